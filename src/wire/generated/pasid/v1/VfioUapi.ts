// Original file: proto/pasid/v1/vfio_uapi.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CloseContainerRequest as _pasid_v1_CloseContainerRequest, CloseContainerRequest__Output as _pasid_v1_CloseContainerRequest__Output } from '../../pasid/v1/CloseContainerRequest.js';
import type { CloseContainerResponse as _pasid_v1_CloseContainerResponse, CloseContainerResponse__Output as _pasid_v1_CloseContainerResponse__Output } from '../../pasid/v1/CloseContainerResponse.js';
import type { IoctlRequest as _pasid_v1_IoctlRequest, IoctlRequest__Output as _pasid_v1_IoctlRequest__Output } from '../../pasid/v1/IoctlRequest.js';
import type { IoctlResponse as _pasid_v1_IoctlResponse, IoctlResponse__Output as _pasid_v1_IoctlResponse__Output } from '../../pasid/v1/IoctlResponse.js';
import type { OpenContainerRequest as _pasid_v1_OpenContainerRequest, OpenContainerRequest__Output as _pasid_v1_OpenContainerRequest__Output } from '../../pasid/v1/OpenContainerRequest.js';
import type { OpenContainerResponse as _pasid_v1_OpenContainerResponse, OpenContainerResponse__Output as _pasid_v1_OpenContainerResponse__Output } from '../../pasid/v1/OpenContainerResponse.js';

export interface VfioUapiClient extends grpc.Client {
  CloseContainer(argument: _pasid_v1_CloseContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CloseContainerResponse__Output>): grpc.ClientUnaryCall;
  CloseContainer(argument: _pasid_v1_CloseContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_CloseContainerResponse__Output>): grpc.ClientUnaryCall;
  CloseContainer(argument: _pasid_v1_CloseContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CloseContainerResponse__Output>): grpc.ClientUnaryCall;
  CloseContainer(argument: _pasid_v1_CloseContainerRequest, callback: grpc.requestCallback<_pasid_v1_CloseContainerResponse__Output>): grpc.ClientUnaryCall;
  closeContainer(argument: _pasid_v1_CloseContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CloseContainerResponse__Output>): grpc.ClientUnaryCall;
  closeContainer(argument: _pasid_v1_CloseContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_CloseContainerResponse__Output>): grpc.ClientUnaryCall;
  closeContainer(argument: _pasid_v1_CloseContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CloseContainerResponse__Output>): grpc.ClientUnaryCall;
  closeContainer(argument: _pasid_v1_CloseContainerRequest, callback: grpc.requestCallback<_pasid_v1_CloseContainerResponse__Output>): grpc.ClientUnaryCall;
  
  Ioctl(argument: _pasid_v1_IoctlRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_IoctlResponse__Output>): grpc.ClientUnaryCall;
  Ioctl(argument: _pasid_v1_IoctlRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_IoctlResponse__Output>): grpc.ClientUnaryCall;
  Ioctl(argument: _pasid_v1_IoctlRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_IoctlResponse__Output>): grpc.ClientUnaryCall;
  Ioctl(argument: _pasid_v1_IoctlRequest, callback: grpc.requestCallback<_pasid_v1_IoctlResponse__Output>): grpc.ClientUnaryCall;
  ioctl(argument: _pasid_v1_IoctlRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_IoctlResponse__Output>): grpc.ClientUnaryCall;
  ioctl(argument: _pasid_v1_IoctlRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_IoctlResponse__Output>): grpc.ClientUnaryCall;
  ioctl(argument: _pasid_v1_IoctlRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_IoctlResponse__Output>): grpc.ClientUnaryCall;
  ioctl(argument: _pasid_v1_IoctlRequest, callback: grpc.requestCallback<_pasid_v1_IoctlResponse__Output>): grpc.ClientUnaryCall;
  
  OpenContainer(argument: _pasid_v1_OpenContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_OpenContainerResponse__Output>): grpc.ClientUnaryCall;
  OpenContainer(argument: _pasid_v1_OpenContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_OpenContainerResponse__Output>): grpc.ClientUnaryCall;
  OpenContainer(argument: _pasid_v1_OpenContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_OpenContainerResponse__Output>): grpc.ClientUnaryCall;
  OpenContainer(argument: _pasid_v1_OpenContainerRequest, callback: grpc.requestCallback<_pasid_v1_OpenContainerResponse__Output>): grpc.ClientUnaryCall;
  openContainer(argument: _pasid_v1_OpenContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_OpenContainerResponse__Output>): grpc.ClientUnaryCall;
  openContainer(argument: _pasid_v1_OpenContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_OpenContainerResponse__Output>): grpc.ClientUnaryCall;
  openContainer(argument: _pasid_v1_OpenContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_OpenContainerResponse__Output>): grpc.ClientUnaryCall;
  openContainer(argument: _pasid_v1_OpenContainerRequest, callback: grpc.requestCallback<_pasid_v1_OpenContainerResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface VfioUapiHandlers extends grpc.UntypedServiceImplementation {
  CloseContainer: grpc.handleUnaryCall<_pasid_v1_CloseContainerRequest__Output, _pasid_v1_CloseContainerResponse>;
  
  Ioctl: grpc.handleUnaryCall<_pasid_v1_IoctlRequest__Output, _pasid_v1_IoctlResponse>;
  
  OpenContainer: grpc.handleUnaryCall<_pasid_v1_OpenContainerRequest__Output, _pasid_v1_OpenContainerResponse>;
  
}

export interface VfioUapiDefinition extends grpc.ServiceDefinition {
  CloseContainer: MethodDefinition<_pasid_v1_CloseContainerRequest, _pasid_v1_CloseContainerResponse, _pasid_v1_CloseContainerRequest__Output, _pasid_v1_CloseContainerResponse__Output>
  Ioctl: MethodDefinition<_pasid_v1_IoctlRequest, _pasid_v1_IoctlResponse, _pasid_v1_IoctlRequest__Output, _pasid_v1_IoctlResponse__Output>
  OpenContainer: MethodDefinition<_pasid_v1_OpenContainerRequest, _pasid_v1_OpenContainerResponse, _pasid_v1_OpenContainerRequest__Output, _pasid_v1_OpenContainerResponse__Output>
}

// Original file: proto/pasid/v1/pasid_broker.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AllocatePasidsRequest as _pasid_v1_AllocatePasidsRequest, AllocatePasidsRequest__Output as _pasid_v1_AllocatePasidsRequest__Output } from '../../pasid/v1/AllocatePasidsRequest.js';
import type { AllocatePasidsResponse as _pasid_v1_AllocatePasidsResponse, AllocatePasidsResponse__Output as _pasid_v1_AllocatePasidsResponse__Output } from '../../pasid/v1/AllocatePasidsResponse.js';
import type { AttachDeviceRequest as _pasid_v1_AttachDeviceRequest, AttachDeviceRequest__Output as _pasid_v1_AttachDeviceRequest__Output } from '../../pasid/v1/AttachDeviceRequest.js';
import type { AttachDeviceResponse as _pasid_v1_AttachDeviceResponse, AttachDeviceResponse__Output as _pasid_v1_AttachDeviceResponse__Output } from '../../pasid/v1/AttachDeviceResponse.js';
import type { BindPasidRequest as _pasid_v1_BindPasidRequest, BindPasidRequest__Output as _pasid_v1_BindPasidRequest__Output } from '../../pasid/v1/BindPasidRequest.js';
import type { BindPasidResponse as _pasid_v1_BindPasidResponse, BindPasidResponse__Output as _pasid_v1_BindPasidResponse__Output } from '../../pasid/v1/BindPasidResponse.js';
import type { CloseSessionRequest as _pasid_v1_CloseSessionRequest, CloseSessionRequest__Output as _pasid_v1_CloseSessionRequest__Output } from '../../pasid/v1/CloseSessionRequest.js';
import type { CloseSessionResponse as _pasid_v1_CloseSessionResponse, CloseSessionResponse__Output as _pasid_v1_CloseSessionResponse__Output } from '../../pasid/v1/CloseSessionResponse.js';
import type { ControlRequest as _pasid_v1_ControlRequest, ControlRequest__Output as _pasid_v1_ControlRequest__Output } from '../../pasid/v1/ControlRequest.js';
import type { ControlResponse as _pasid_v1_ControlResponse, ControlResponse__Output as _pasid_v1_ControlResponse__Output } from '../../pasid/v1/ControlResponse.js';
import type { DetachDeviceRequest as _pasid_v1_DetachDeviceRequest, DetachDeviceRequest__Output as _pasid_v1_DetachDeviceRequest__Output } from '../../pasid/v1/DetachDeviceRequest.js';
import type { DetachDeviceResponse as _pasid_v1_DetachDeviceResponse, DetachDeviceResponse__Output as _pasid_v1_DetachDeviceResponse__Output } from '../../pasid/v1/DetachDeviceResponse.js';
import type { FreePasidsRequest as _pasid_v1_FreePasidsRequest, FreePasidsRequest__Output as _pasid_v1_FreePasidsRequest__Output } from '../../pasid/v1/FreePasidsRequest.js';
import type { FreePasidsResponse as _pasid_v1_FreePasidsResponse, FreePasidsResponse__Output as _pasid_v1_FreePasidsResponse__Output } from '../../pasid/v1/FreePasidsResponse.js';
import type { GetServerInfoRequest as _pasid_v1_GetServerInfoRequest, GetServerInfoRequest__Output as _pasid_v1_GetServerInfoRequest__Output } from '../../pasid/v1/GetServerInfoRequest.js';
import type { GetSessionRequest as _pasid_v1_GetSessionRequest, GetSessionRequest__Output as _pasid_v1_GetSessionRequest__Output } from '../../pasid/v1/GetSessionRequest.js';
import type { InvalidateRawRequest as _pasid_v1_InvalidateRawRequest, InvalidateRawRequest__Output as _pasid_v1_InvalidateRawRequest__Output } from '../../pasid/v1/InvalidateRawRequest.js';
import type { InvalidateRawResponse as _pasid_v1_InvalidateRawResponse, InvalidateRawResponse__Output as _pasid_v1_InvalidateRawResponse__Output } from '../../pasid/v1/InvalidateRawResponse.js';
import type { InvalidateRequest as _pasid_v1_InvalidateRequest, InvalidateRequest__Output as _pasid_v1_InvalidateRequest__Output } from '../../pasid/v1/InvalidateRequest.js';
import type { InvalidateResponse as _pasid_v1_InvalidateResponse, InvalidateResponse__Output as _pasid_v1_InvalidateResponse__Output } from '../../pasid/v1/InvalidateResponse.js';
import type { ListPasidsRequest as _pasid_v1_ListPasidsRequest, ListPasidsRequest__Output as _pasid_v1_ListPasidsRequest__Output } from '../../pasid/v1/ListPasidsRequest.js';
import type { ListPasidsResponse as _pasid_v1_ListPasidsResponse, ListPasidsResponse__Output as _pasid_v1_ListPasidsResponse__Output } from '../../pasid/v1/ListPasidsResponse.js';
import type { MapGuestMemoryRequest as _pasid_v1_MapGuestMemoryRequest, MapGuestMemoryRequest__Output as _pasid_v1_MapGuestMemoryRequest__Output } from '../../pasid/v1/MapGuestMemoryRequest.js';
import type { MapGuestMemoryResponse as _pasid_v1_MapGuestMemoryResponse, MapGuestMemoryResponse__Output as _pasid_v1_MapGuestMemoryResponse__Output } from '../../pasid/v1/MapGuestMemoryResponse.js';
import type { OpenSessionRequest as _pasid_v1_OpenSessionRequest, OpenSessionRequest__Output as _pasid_v1_OpenSessionRequest__Output } from '../../pasid/v1/OpenSessionRequest.js';
import type { OpenSessionResponse as _pasid_v1_OpenSessionResponse, OpenSessionResponse__Output as _pasid_v1_OpenSessionResponse__Output } from '../../pasid/v1/OpenSessionResponse.js';
import type { RespondPageRequestRequest as _pasid_v1_RespondPageRequestRequest, RespondPageRequestRequest__Output as _pasid_v1_RespondPageRequestRequest__Output } from '../../pasid/v1/RespondPageRequestRequest.js';
import type { RespondPageRequestResponse as _pasid_v1_RespondPageRequestResponse, RespondPageRequestResponse__Output as _pasid_v1_RespondPageRequestResponse__Output } from '../../pasid/v1/RespondPageRequestResponse.js';
import type { ResumeSessionRequest as _pasid_v1_ResumeSessionRequest, ResumeSessionRequest__Output as _pasid_v1_ResumeSessionRequest__Output } from '../../pasid/v1/ResumeSessionRequest.js';
import type { ResumeSessionResponse as _pasid_v1_ResumeSessionResponse, ResumeSessionResponse__Output as _pasid_v1_ResumeSessionResponse__Output } from '../../pasid/v1/ResumeSessionResponse.js';
import type { ServerInfo as _pasid_v1_ServerInfo, ServerInfo__Output as _pasid_v1_ServerInfo__Output } from '../../pasid/v1/ServerInfo.js';
import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from '../../pasid/v1/Session.js';
import type { UnbindPasidsRequest as _pasid_v1_UnbindPasidsRequest, UnbindPasidsRequest__Output as _pasid_v1_UnbindPasidsRequest__Output } from '../../pasid/v1/UnbindPasidsRequest.js';
import type { UnbindPasidsResponse as _pasid_v1_UnbindPasidsResponse, UnbindPasidsResponse__Output as _pasid_v1_UnbindPasidsResponse__Output } from '../../pasid/v1/UnbindPasidsResponse.js';
import type { UnmapGuestMemoryRequest as _pasid_v1_UnmapGuestMemoryRequest, UnmapGuestMemoryRequest__Output as _pasid_v1_UnmapGuestMemoryRequest__Output } from '../../pasid/v1/UnmapGuestMemoryRequest.js';
import type { UnmapGuestMemoryResponse as _pasid_v1_UnmapGuestMemoryResponse, UnmapGuestMemoryResponse__Output as _pasid_v1_UnmapGuestMemoryResponse__Output } from '../../pasid/v1/UnmapGuestMemoryResponse.js';

export interface PasidBrokerClient extends grpc.Client {
  AllocatePasids(argument: _pasid_v1_AllocatePasidsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_AllocatePasidsResponse__Output>): grpc.ClientUnaryCall;
  AllocatePasids(argument: _pasid_v1_AllocatePasidsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_AllocatePasidsResponse__Output>): grpc.ClientUnaryCall;
  AllocatePasids(argument: _pasid_v1_AllocatePasidsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_AllocatePasidsResponse__Output>): grpc.ClientUnaryCall;
  AllocatePasids(argument: _pasid_v1_AllocatePasidsRequest, callback: grpc.requestCallback<_pasid_v1_AllocatePasidsResponse__Output>): grpc.ClientUnaryCall;
  allocatePasids(argument: _pasid_v1_AllocatePasidsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_AllocatePasidsResponse__Output>): grpc.ClientUnaryCall;
  allocatePasids(argument: _pasid_v1_AllocatePasidsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_AllocatePasidsResponse__Output>): grpc.ClientUnaryCall;
  allocatePasids(argument: _pasid_v1_AllocatePasidsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_AllocatePasidsResponse__Output>): grpc.ClientUnaryCall;
  allocatePasids(argument: _pasid_v1_AllocatePasidsRequest, callback: grpc.requestCallback<_pasid_v1_AllocatePasidsResponse__Output>): grpc.ClientUnaryCall;
  
  AttachDevice(argument: _pasid_v1_AttachDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_AttachDeviceResponse__Output>): grpc.ClientUnaryCall;
  AttachDevice(argument: _pasid_v1_AttachDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_AttachDeviceResponse__Output>): grpc.ClientUnaryCall;
  AttachDevice(argument: _pasid_v1_AttachDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_AttachDeviceResponse__Output>): grpc.ClientUnaryCall;
  AttachDevice(argument: _pasid_v1_AttachDeviceRequest, callback: grpc.requestCallback<_pasid_v1_AttachDeviceResponse__Output>): grpc.ClientUnaryCall;
  attachDevice(argument: _pasid_v1_AttachDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_AttachDeviceResponse__Output>): grpc.ClientUnaryCall;
  attachDevice(argument: _pasid_v1_AttachDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_AttachDeviceResponse__Output>): grpc.ClientUnaryCall;
  attachDevice(argument: _pasid_v1_AttachDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_AttachDeviceResponse__Output>): grpc.ClientUnaryCall;
  attachDevice(argument: _pasid_v1_AttachDeviceRequest, callback: grpc.requestCallback<_pasid_v1_AttachDeviceResponse__Output>): grpc.ClientUnaryCall;
  
  BindPasid(argument: _pasid_v1_BindPasidRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_BindPasidResponse__Output>): grpc.ClientUnaryCall;
  BindPasid(argument: _pasid_v1_BindPasidRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_BindPasidResponse__Output>): grpc.ClientUnaryCall;
  BindPasid(argument: _pasid_v1_BindPasidRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_BindPasidResponse__Output>): grpc.ClientUnaryCall;
  BindPasid(argument: _pasid_v1_BindPasidRequest, callback: grpc.requestCallback<_pasid_v1_BindPasidResponse__Output>): grpc.ClientUnaryCall;
  bindPasid(argument: _pasid_v1_BindPasidRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_BindPasidResponse__Output>): grpc.ClientUnaryCall;
  bindPasid(argument: _pasid_v1_BindPasidRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_BindPasidResponse__Output>): grpc.ClientUnaryCall;
  bindPasid(argument: _pasid_v1_BindPasidRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_BindPasidResponse__Output>): grpc.ClientUnaryCall;
  bindPasid(argument: _pasid_v1_BindPasidRequest, callback: grpc.requestCallback<_pasid_v1_BindPasidResponse__Output>): grpc.ClientUnaryCall;
  
  CloseSession(argument: _pasid_v1_CloseSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CloseSessionResponse__Output>): grpc.ClientUnaryCall;
  CloseSession(argument: _pasid_v1_CloseSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_CloseSessionResponse__Output>): grpc.ClientUnaryCall;
  CloseSession(argument: _pasid_v1_CloseSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CloseSessionResponse__Output>): grpc.ClientUnaryCall;
  CloseSession(argument: _pasid_v1_CloseSessionRequest, callback: grpc.requestCallback<_pasid_v1_CloseSessionResponse__Output>): grpc.ClientUnaryCall;
  closeSession(argument: _pasid_v1_CloseSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CloseSessionResponse__Output>): grpc.ClientUnaryCall;
  closeSession(argument: _pasid_v1_CloseSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_CloseSessionResponse__Output>): grpc.ClientUnaryCall;
  closeSession(argument: _pasid_v1_CloseSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CloseSessionResponse__Output>): grpc.ClientUnaryCall;
  closeSession(argument: _pasid_v1_CloseSessionRequest, callback: grpc.requestCallback<_pasid_v1_CloseSessionResponse__Output>): grpc.ClientUnaryCall;
  
  Control(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_pasid_v1_ControlRequest, _pasid_v1_ControlResponse__Output>;
  Control(options?: grpc.CallOptions): grpc.ClientDuplexStream<_pasid_v1_ControlRequest, _pasid_v1_ControlResponse__Output>;
  control(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_pasid_v1_ControlRequest, _pasid_v1_ControlResponse__Output>;
  control(options?: grpc.CallOptions): grpc.ClientDuplexStream<_pasid_v1_ControlRequest, _pasid_v1_ControlResponse__Output>;
  
  DetachDevice(argument: _pasid_v1_DetachDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_DetachDeviceResponse__Output>): grpc.ClientUnaryCall;
  DetachDevice(argument: _pasid_v1_DetachDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_DetachDeviceResponse__Output>): grpc.ClientUnaryCall;
  DetachDevice(argument: _pasid_v1_DetachDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_DetachDeviceResponse__Output>): grpc.ClientUnaryCall;
  DetachDevice(argument: _pasid_v1_DetachDeviceRequest, callback: grpc.requestCallback<_pasid_v1_DetachDeviceResponse__Output>): grpc.ClientUnaryCall;
  detachDevice(argument: _pasid_v1_DetachDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_DetachDeviceResponse__Output>): grpc.ClientUnaryCall;
  detachDevice(argument: _pasid_v1_DetachDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_DetachDeviceResponse__Output>): grpc.ClientUnaryCall;
  detachDevice(argument: _pasid_v1_DetachDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_DetachDeviceResponse__Output>): grpc.ClientUnaryCall;
  detachDevice(argument: _pasid_v1_DetachDeviceRequest, callback: grpc.requestCallback<_pasid_v1_DetachDeviceResponse__Output>): grpc.ClientUnaryCall;
  
  FreePasids(argument: _pasid_v1_FreePasidsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_FreePasidsResponse__Output>): grpc.ClientUnaryCall;
  FreePasids(argument: _pasid_v1_FreePasidsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_FreePasidsResponse__Output>): grpc.ClientUnaryCall;
  FreePasids(argument: _pasid_v1_FreePasidsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_FreePasidsResponse__Output>): grpc.ClientUnaryCall;
  FreePasids(argument: _pasid_v1_FreePasidsRequest, callback: grpc.requestCallback<_pasid_v1_FreePasidsResponse__Output>): grpc.ClientUnaryCall;
  freePasids(argument: _pasid_v1_FreePasidsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_FreePasidsResponse__Output>): grpc.ClientUnaryCall;
  freePasids(argument: _pasid_v1_FreePasidsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_FreePasidsResponse__Output>): grpc.ClientUnaryCall;
  freePasids(argument: _pasid_v1_FreePasidsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_FreePasidsResponse__Output>): grpc.ClientUnaryCall;
  freePasids(argument: _pasid_v1_FreePasidsRequest, callback: grpc.requestCallback<_pasid_v1_FreePasidsResponse__Output>): grpc.ClientUnaryCall;
  
  GetServerInfo(argument: _pasid_v1_GetServerInfoRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ServerInfo__Output>): grpc.ClientUnaryCall;
  GetServerInfo(argument: _pasid_v1_GetServerInfoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ServerInfo__Output>): grpc.ClientUnaryCall;
  GetServerInfo(argument: _pasid_v1_GetServerInfoRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ServerInfo__Output>): grpc.ClientUnaryCall;
  GetServerInfo(argument: _pasid_v1_GetServerInfoRequest, callback: grpc.requestCallback<_pasid_v1_ServerInfo__Output>): grpc.ClientUnaryCall;
  getServerInfo(argument: _pasid_v1_GetServerInfoRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ServerInfo__Output>): grpc.ClientUnaryCall;
  getServerInfo(argument: _pasid_v1_GetServerInfoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ServerInfo__Output>): grpc.ClientUnaryCall;
  getServerInfo(argument: _pasid_v1_GetServerInfoRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ServerInfo__Output>): grpc.ClientUnaryCall;
  getServerInfo(argument: _pasid_v1_GetServerInfoRequest, callback: grpc.requestCallback<_pasid_v1_ServerInfo__Output>): grpc.ClientUnaryCall;
  
  GetSession(argument: _pasid_v1_GetSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  GetSession(argument: _pasid_v1_GetSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  GetSession(argument: _pasid_v1_GetSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  GetSession(argument: _pasid_v1_GetSessionRequest, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _pasid_v1_GetSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _pasid_v1_GetSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _pasid_v1_GetSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _pasid_v1_GetSessionRequest, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  
  Invalidate(argument: _pasid_v1_InvalidateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InvalidateResponse__Output>): grpc.ClientUnaryCall;
  Invalidate(argument: _pasid_v1_InvalidateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_InvalidateResponse__Output>): grpc.ClientUnaryCall;
  Invalidate(argument: _pasid_v1_InvalidateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InvalidateResponse__Output>): grpc.ClientUnaryCall;
  Invalidate(argument: _pasid_v1_InvalidateRequest, callback: grpc.requestCallback<_pasid_v1_InvalidateResponse__Output>): grpc.ClientUnaryCall;
  invalidate(argument: _pasid_v1_InvalidateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InvalidateResponse__Output>): grpc.ClientUnaryCall;
  invalidate(argument: _pasid_v1_InvalidateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_InvalidateResponse__Output>): grpc.ClientUnaryCall;
  invalidate(argument: _pasid_v1_InvalidateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InvalidateResponse__Output>): grpc.ClientUnaryCall;
  invalidate(argument: _pasid_v1_InvalidateRequest, callback: grpc.requestCallback<_pasid_v1_InvalidateResponse__Output>): grpc.ClientUnaryCall;
  
  InvalidateRaw(argument: _pasid_v1_InvalidateRawRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InvalidateRawResponse__Output>): grpc.ClientUnaryCall;
  InvalidateRaw(argument: _pasid_v1_InvalidateRawRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_InvalidateRawResponse__Output>): grpc.ClientUnaryCall;
  InvalidateRaw(argument: _pasid_v1_InvalidateRawRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InvalidateRawResponse__Output>): grpc.ClientUnaryCall;
  InvalidateRaw(argument: _pasid_v1_InvalidateRawRequest, callback: grpc.requestCallback<_pasid_v1_InvalidateRawResponse__Output>): grpc.ClientUnaryCall;
  invalidateRaw(argument: _pasid_v1_InvalidateRawRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InvalidateRawResponse__Output>): grpc.ClientUnaryCall;
  invalidateRaw(argument: _pasid_v1_InvalidateRawRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_InvalidateRawResponse__Output>): grpc.ClientUnaryCall;
  invalidateRaw(argument: _pasid_v1_InvalidateRawRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InvalidateRawResponse__Output>): grpc.ClientUnaryCall;
  invalidateRaw(argument: _pasid_v1_InvalidateRawRequest, callback: grpc.requestCallback<_pasid_v1_InvalidateRawResponse__Output>): grpc.ClientUnaryCall;
  
  ListPasids(argument: _pasid_v1_ListPasidsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListPasidsResponse__Output>): grpc.ClientUnaryCall;
  ListPasids(argument: _pasid_v1_ListPasidsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListPasidsResponse__Output>): grpc.ClientUnaryCall;
  ListPasids(argument: _pasid_v1_ListPasidsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListPasidsResponse__Output>): grpc.ClientUnaryCall;
  ListPasids(argument: _pasid_v1_ListPasidsRequest, callback: grpc.requestCallback<_pasid_v1_ListPasidsResponse__Output>): grpc.ClientUnaryCall;
  listPasids(argument: _pasid_v1_ListPasidsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListPasidsResponse__Output>): grpc.ClientUnaryCall;
  listPasids(argument: _pasid_v1_ListPasidsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListPasidsResponse__Output>): grpc.ClientUnaryCall;
  listPasids(argument: _pasid_v1_ListPasidsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListPasidsResponse__Output>): grpc.ClientUnaryCall;
  listPasids(argument: _pasid_v1_ListPasidsRequest, callback: grpc.requestCallback<_pasid_v1_ListPasidsResponse__Output>): grpc.ClientUnaryCall;
  
  MapGuestMemory(argument: _pasid_v1_MapGuestMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_MapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  MapGuestMemory(argument: _pasid_v1_MapGuestMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_MapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  MapGuestMemory(argument: _pasid_v1_MapGuestMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_MapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  MapGuestMemory(argument: _pasid_v1_MapGuestMemoryRequest, callback: grpc.requestCallback<_pasid_v1_MapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  mapGuestMemory(argument: _pasid_v1_MapGuestMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_MapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  mapGuestMemory(argument: _pasid_v1_MapGuestMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_MapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  mapGuestMemory(argument: _pasid_v1_MapGuestMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_MapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  mapGuestMemory(argument: _pasid_v1_MapGuestMemoryRequest, callback: grpc.requestCallback<_pasid_v1_MapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  
  OpenSession(argument: _pasid_v1_OpenSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_OpenSessionResponse__Output>): grpc.ClientUnaryCall;
  OpenSession(argument: _pasid_v1_OpenSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_OpenSessionResponse__Output>): grpc.ClientUnaryCall;
  OpenSession(argument: _pasid_v1_OpenSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_OpenSessionResponse__Output>): grpc.ClientUnaryCall;
  OpenSession(argument: _pasid_v1_OpenSessionRequest, callback: grpc.requestCallback<_pasid_v1_OpenSessionResponse__Output>): grpc.ClientUnaryCall;
  openSession(argument: _pasid_v1_OpenSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_OpenSessionResponse__Output>): grpc.ClientUnaryCall;
  openSession(argument: _pasid_v1_OpenSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_OpenSessionResponse__Output>): grpc.ClientUnaryCall;
  openSession(argument: _pasid_v1_OpenSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_OpenSessionResponse__Output>): grpc.ClientUnaryCall;
  openSession(argument: _pasid_v1_OpenSessionRequest, callback: grpc.requestCallback<_pasid_v1_OpenSessionResponse__Output>): grpc.ClientUnaryCall;
  
  RespondPageRequest(argument: _pasid_v1_RespondPageRequestRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_RespondPageRequestResponse__Output>): grpc.ClientUnaryCall;
  RespondPageRequest(argument: _pasid_v1_RespondPageRequestRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_RespondPageRequestResponse__Output>): grpc.ClientUnaryCall;
  RespondPageRequest(argument: _pasid_v1_RespondPageRequestRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_RespondPageRequestResponse__Output>): grpc.ClientUnaryCall;
  RespondPageRequest(argument: _pasid_v1_RespondPageRequestRequest, callback: grpc.requestCallback<_pasid_v1_RespondPageRequestResponse__Output>): grpc.ClientUnaryCall;
  respondPageRequest(argument: _pasid_v1_RespondPageRequestRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_RespondPageRequestResponse__Output>): grpc.ClientUnaryCall;
  respondPageRequest(argument: _pasid_v1_RespondPageRequestRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_RespondPageRequestResponse__Output>): grpc.ClientUnaryCall;
  respondPageRequest(argument: _pasid_v1_RespondPageRequestRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_RespondPageRequestResponse__Output>): grpc.ClientUnaryCall;
  respondPageRequest(argument: _pasid_v1_RespondPageRequestRequest, callback: grpc.requestCallback<_pasid_v1_RespondPageRequestResponse__Output>): grpc.ClientUnaryCall;
  
  ResumeSession(argument: _pasid_v1_ResumeSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  ResumeSession(argument: _pasid_v1_ResumeSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  ResumeSession(argument: _pasid_v1_ResumeSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  ResumeSession(argument: _pasid_v1_ResumeSessionRequest, callback: grpc.requestCallback<_pasid_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  resumeSession(argument: _pasid_v1_ResumeSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  resumeSession(argument: _pasid_v1_ResumeSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  resumeSession(argument: _pasid_v1_ResumeSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  resumeSession(argument: _pasid_v1_ResumeSessionRequest, callback: grpc.requestCallback<_pasid_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  
  UnbindPasids(argument: _pasid_v1_UnbindPasidsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnbindPasidsResponse__Output>): grpc.ClientUnaryCall;
  UnbindPasids(argument: _pasid_v1_UnbindPasidsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_UnbindPasidsResponse__Output>): grpc.ClientUnaryCall;
  UnbindPasids(argument: _pasid_v1_UnbindPasidsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnbindPasidsResponse__Output>): grpc.ClientUnaryCall;
  UnbindPasids(argument: _pasid_v1_UnbindPasidsRequest, callback: grpc.requestCallback<_pasid_v1_UnbindPasidsResponse__Output>): grpc.ClientUnaryCall;
  unbindPasids(argument: _pasid_v1_UnbindPasidsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnbindPasidsResponse__Output>): grpc.ClientUnaryCall;
  unbindPasids(argument: _pasid_v1_UnbindPasidsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_UnbindPasidsResponse__Output>): grpc.ClientUnaryCall;
  unbindPasids(argument: _pasid_v1_UnbindPasidsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnbindPasidsResponse__Output>): grpc.ClientUnaryCall;
  unbindPasids(argument: _pasid_v1_UnbindPasidsRequest, callback: grpc.requestCallback<_pasid_v1_UnbindPasidsResponse__Output>): grpc.ClientUnaryCall;
  
  UnmapGuestMemory(argument: _pasid_v1_UnmapGuestMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnmapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  UnmapGuestMemory(argument: _pasid_v1_UnmapGuestMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_UnmapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  UnmapGuestMemory(argument: _pasid_v1_UnmapGuestMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnmapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  UnmapGuestMemory(argument: _pasid_v1_UnmapGuestMemoryRequest, callback: grpc.requestCallback<_pasid_v1_UnmapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  unmapGuestMemory(argument: _pasid_v1_UnmapGuestMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnmapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  unmapGuestMemory(argument: _pasid_v1_UnmapGuestMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_UnmapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  unmapGuestMemory(argument: _pasid_v1_UnmapGuestMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnmapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  unmapGuestMemory(argument: _pasid_v1_UnmapGuestMemoryRequest, callback: grpc.requestCallback<_pasid_v1_UnmapGuestMemoryResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface PasidBrokerHandlers extends grpc.UntypedServiceImplementation {
  AllocatePasids: grpc.handleUnaryCall<_pasid_v1_AllocatePasidsRequest__Output, _pasid_v1_AllocatePasidsResponse>;
  
  AttachDevice: grpc.handleUnaryCall<_pasid_v1_AttachDeviceRequest__Output, _pasid_v1_AttachDeviceResponse>;
  
  BindPasid: grpc.handleUnaryCall<_pasid_v1_BindPasidRequest__Output, _pasid_v1_BindPasidResponse>;
  
  CloseSession: grpc.handleUnaryCall<_pasid_v1_CloseSessionRequest__Output, _pasid_v1_CloseSessionResponse>;
  
  Control: grpc.handleBidiStreamingCall<_pasid_v1_ControlRequest__Output, _pasid_v1_ControlResponse>;
  
  DetachDevice: grpc.handleUnaryCall<_pasid_v1_DetachDeviceRequest__Output, _pasid_v1_DetachDeviceResponse>;
  
  FreePasids: grpc.handleUnaryCall<_pasid_v1_FreePasidsRequest__Output, _pasid_v1_FreePasidsResponse>;
  
  GetServerInfo: grpc.handleUnaryCall<_pasid_v1_GetServerInfoRequest__Output, _pasid_v1_ServerInfo>;
  
  GetSession: grpc.handleUnaryCall<_pasid_v1_GetSessionRequest__Output, _pasid_v1_Session>;
  
  Invalidate: grpc.handleUnaryCall<_pasid_v1_InvalidateRequest__Output, _pasid_v1_InvalidateResponse>;
  
  InvalidateRaw: grpc.handleUnaryCall<_pasid_v1_InvalidateRawRequest__Output, _pasid_v1_InvalidateRawResponse>;
  
  ListPasids: grpc.handleUnaryCall<_pasid_v1_ListPasidsRequest__Output, _pasid_v1_ListPasidsResponse>;
  
  MapGuestMemory: grpc.handleUnaryCall<_pasid_v1_MapGuestMemoryRequest__Output, _pasid_v1_MapGuestMemoryResponse>;
  
  OpenSession: grpc.handleUnaryCall<_pasid_v1_OpenSessionRequest__Output, _pasid_v1_OpenSessionResponse>;
  
  RespondPageRequest: grpc.handleUnaryCall<_pasid_v1_RespondPageRequestRequest__Output, _pasid_v1_RespondPageRequestResponse>;
  
  ResumeSession: grpc.handleUnaryCall<_pasid_v1_ResumeSessionRequest__Output, _pasid_v1_ResumeSessionResponse>;
  
  UnbindPasids: grpc.handleUnaryCall<_pasid_v1_UnbindPasidsRequest__Output, _pasid_v1_UnbindPasidsResponse>;
  
  UnmapGuestMemory: grpc.handleUnaryCall<_pasid_v1_UnmapGuestMemoryRequest__Output, _pasid_v1_UnmapGuestMemoryResponse>;
  
}

export interface PasidBrokerDefinition extends grpc.ServiceDefinition {
  AllocatePasids: MethodDefinition<_pasid_v1_AllocatePasidsRequest, _pasid_v1_AllocatePasidsResponse, _pasid_v1_AllocatePasidsRequest__Output, _pasid_v1_AllocatePasidsResponse__Output>
  AttachDevice: MethodDefinition<_pasid_v1_AttachDeviceRequest, _pasid_v1_AttachDeviceResponse, _pasid_v1_AttachDeviceRequest__Output, _pasid_v1_AttachDeviceResponse__Output>
  BindPasid: MethodDefinition<_pasid_v1_BindPasidRequest, _pasid_v1_BindPasidResponse, _pasid_v1_BindPasidRequest__Output, _pasid_v1_BindPasidResponse__Output>
  CloseSession: MethodDefinition<_pasid_v1_CloseSessionRequest, _pasid_v1_CloseSessionResponse, _pasid_v1_CloseSessionRequest__Output, _pasid_v1_CloseSessionResponse__Output>
  Control: MethodDefinition<_pasid_v1_ControlRequest, _pasid_v1_ControlResponse, _pasid_v1_ControlRequest__Output, _pasid_v1_ControlResponse__Output>
  DetachDevice: MethodDefinition<_pasid_v1_DetachDeviceRequest, _pasid_v1_DetachDeviceResponse, _pasid_v1_DetachDeviceRequest__Output, _pasid_v1_DetachDeviceResponse__Output>
  FreePasids: MethodDefinition<_pasid_v1_FreePasidsRequest, _pasid_v1_FreePasidsResponse, _pasid_v1_FreePasidsRequest__Output, _pasid_v1_FreePasidsResponse__Output>
  GetServerInfo: MethodDefinition<_pasid_v1_GetServerInfoRequest, _pasid_v1_ServerInfo, _pasid_v1_GetServerInfoRequest__Output, _pasid_v1_ServerInfo__Output>
  GetSession: MethodDefinition<_pasid_v1_GetSessionRequest, _pasid_v1_Session, _pasid_v1_GetSessionRequest__Output, _pasid_v1_Session__Output>
  Invalidate: MethodDefinition<_pasid_v1_InvalidateRequest, _pasid_v1_InvalidateResponse, _pasid_v1_InvalidateRequest__Output, _pasid_v1_InvalidateResponse__Output>
  InvalidateRaw: MethodDefinition<_pasid_v1_InvalidateRawRequest, _pasid_v1_InvalidateRawResponse, _pasid_v1_InvalidateRawRequest__Output, _pasid_v1_InvalidateRawResponse__Output>
  ListPasids: MethodDefinition<_pasid_v1_ListPasidsRequest, _pasid_v1_ListPasidsResponse, _pasid_v1_ListPasidsRequest__Output, _pasid_v1_ListPasidsResponse__Output>
  MapGuestMemory: MethodDefinition<_pasid_v1_MapGuestMemoryRequest, _pasid_v1_MapGuestMemoryResponse, _pasid_v1_MapGuestMemoryRequest__Output, _pasid_v1_MapGuestMemoryResponse__Output>
  OpenSession: MethodDefinition<_pasid_v1_OpenSessionRequest, _pasid_v1_OpenSessionResponse, _pasid_v1_OpenSessionRequest__Output, _pasid_v1_OpenSessionResponse__Output>
  RespondPageRequest: MethodDefinition<_pasid_v1_RespondPageRequestRequest, _pasid_v1_RespondPageRequestResponse, _pasid_v1_RespondPageRequestRequest__Output, _pasid_v1_RespondPageRequestResponse__Output>
  ResumeSession: MethodDefinition<_pasid_v1_ResumeSessionRequest, _pasid_v1_ResumeSessionResponse, _pasid_v1_ResumeSessionRequest__Output, _pasid_v1_ResumeSessionResponse__Output>
  UnbindPasids: MethodDefinition<_pasid_v1_UnbindPasidsRequest, _pasid_v1_UnbindPasidsResponse, _pasid_v1_UnbindPasidsRequest__Output, _pasid_v1_UnbindPasidsResponse__Output>
  UnmapGuestMemory: MethodDefinition<_pasid_v1_UnmapGuestMemoryRequest, _pasid_v1_UnmapGuestMemoryResponse, _pasid_v1_UnmapGuestMemoryRequest__Output, _pasid_v1_UnmapGuestMemoryResponse__Output>
}

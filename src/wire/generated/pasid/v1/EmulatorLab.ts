// Original file: proto/pasid/v1/emulator_lab.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ClearFaultsRequest as _pasid_v1_ClearFaultsRequest, ClearFaultsRequest__Output as _pasid_v1_ClearFaultsRequest__Output } from '../../pasid/v1/ClearFaultsRequest.js';
import type { ClearFaultsResponse as _pasid_v1_ClearFaultsResponse, ClearFaultsResponse__Output as _pasid_v1_ClearFaultsResponse__Output } from '../../pasid/v1/ClearFaultsResponse.js';
import type { CreateDeviceRequest as _pasid_v1_CreateDeviceRequest, CreateDeviceRequest__Output as _pasid_v1_CreateDeviceRequest__Output } from '../../pasid/v1/CreateDeviceRequest.js';
import type { CreateDeviceResponse as _pasid_v1_CreateDeviceResponse, CreateDeviceResponse__Output as _pasid_v1_CreateDeviceResponse__Output } from '../../pasid/v1/CreateDeviceResponse.js';
import type { DumpTablesRequest as _pasid_v1_DumpTablesRequest, DumpTablesRequest__Output as _pasid_v1_DumpTablesRequest__Output } from '../../pasid/v1/DumpTablesRequest.js';
import type { DumpTablesResponse as _pasid_v1_DumpTablesResponse, DumpTablesResponse__Output as _pasid_v1_DumpTablesResponse__Output } from '../../pasid/v1/DumpTablesResponse.js';
import type { GetEmulatorRequest as _pasid_v1_GetEmulatorRequest, GetEmulatorRequest__Output as _pasid_v1_GetEmulatorRequest__Output } from '../../pasid/v1/GetEmulatorRequest.js';
import type { GetEmulatorResponse as _pasid_v1_GetEmulatorResponse, GetEmulatorResponse__Output as _pasid_v1_GetEmulatorResponse__Output } from '../../pasid/v1/GetEmulatorResponse.js';
import type { InjectFaultRequest as _pasid_v1_InjectFaultRequest, InjectFaultRequest__Output as _pasid_v1_InjectFaultRequest__Output } from '../../pasid/v1/InjectFaultRequest.js';
import type { InjectFaultResponse as _pasid_v1_InjectFaultResponse, InjectFaultResponse__Output as _pasid_v1_InjectFaultResponse__Output } from '../../pasid/v1/InjectFaultResponse.js';
import type { ListFaultsRequest as _pasid_v1_ListFaultsRequest, ListFaultsRequest__Output as _pasid_v1_ListFaultsRequest__Output } from '../../pasid/v1/ListFaultsRequest.js';
import type { ListFaultsResponse as _pasid_v1_ListFaultsResponse, ListFaultsResponse__Output as _pasid_v1_ListFaultsResponse__Output } from '../../pasid/v1/ListFaultsResponse.js';
import type { ListOperationsRequest as _pasid_v1_ListOperationsRequest, ListOperationsRequest__Output as _pasid_v1_ListOperationsRequest__Output } from '../../pasid/v1/ListOperationsRequest.js';
import type { ListOperationsResponse as _pasid_v1_ListOperationsResponse, ListOperationsResponse__Output as _pasid_v1_ListOperationsResponse__Output } from '../../pasid/v1/ListOperationsResponse.js';
import type { MapMemoryRequest as _pasid_v1_MapMemoryRequest, MapMemoryRequest__Output as _pasid_v1_MapMemoryRequest__Output } from '../../pasid/v1/MapMemoryRequest.js';
import type { MapMemoryResponse as _pasid_v1_MapMemoryResponse, MapMemoryResponse__Output as _pasid_v1_MapMemoryResponse__Output } from '../../pasid/v1/MapMemoryResponse.js';
import type { RaisePageRequestRequest as _pasid_v1_RaisePageRequestRequest, RaisePageRequestRequest__Output as _pasid_v1_RaisePageRequestRequest__Output } from '../../pasid/v1/RaisePageRequestRequest.js';
import type { RaisePageRequestResponse as _pasid_v1_RaisePageRequestResponse, RaisePageRequestResponse__Output as _pasid_v1_RaisePageRequestResponse__Output } from '../../pasid/v1/RaisePageRequestResponse.js';
import type { ReadMemoryRequest as _pasid_v1_ReadMemoryRequest, ReadMemoryRequest__Output as _pasid_v1_ReadMemoryRequest__Output } from '../../pasid/v1/ReadMemoryRequest.js';
import type { ReadMemoryResponse as _pasid_v1_ReadMemoryResponse, ReadMemoryResponse__Output as _pasid_v1_ReadMemoryResponse__Output } from '../../pasid/v1/ReadMemoryResponse.js';
import type { ResetDeviceRequest as _pasid_v1_ResetDeviceRequest, ResetDeviceRequest__Output as _pasid_v1_ResetDeviceRequest__Output } from '../../pasid/v1/ResetDeviceRequest.js';
import type { ResetDeviceResponse as _pasid_v1_ResetDeviceResponse, ResetDeviceResponse__Output as _pasid_v1_ResetDeviceResponse__Output } from '../../pasid/v1/ResetDeviceResponse.js';
import type { SubmitDescriptorsRequest as _pasid_v1_SubmitDescriptorsRequest, SubmitDescriptorsRequest__Output as _pasid_v1_SubmitDescriptorsRequest__Output } from '../../pasid/v1/SubmitDescriptorsRequest.js';
import type { SubmitDescriptorsResponse as _pasid_v1_SubmitDescriptorsResponse, SubmitDescriptorsResponse__Output as _pasid_v1_SubmitDescriptorsResponse__Output } from '../../pasid/v1/SubmitDescriptorsResponse.js';
import type { TranslateRequest as _pasid_v1_TranslateRequest, TranslateRequest__Output as _pasid_v1_TranslateRequest__Output } from '../../pasid/v1/TranslateRequest.js';
import type { TranslateResponse as _pasid_v1_TranslateResponse, TranslateResponse__Output as _pasid_v1_TranslateResponse__Output } from '../../pasid/v1/TranslateResponse.js';
import type { UnmapMemoryRequest as _pasid_v1_UnmapMemoryRequest, UnmapMemoryRequest__Output as _pasid_v1_UnmapMemoryRequest__Output } from '../../pasid/v1/UnmapMemoryRequest.js';
import type { UnmapMemoryResponse as _pasid_v1_UnmapMemoryResponse, UnmapMemoryResponse__Output as _pasid_v1_UnmapMemoryResponse__Output } from '../../pasid/v1/UnmapMemoryResponse.js';
import type { UpdateEmulatorRequest as _pasid_v1_UpdateEmulatorRequest, UpdateEmulatorRequest__Output as _pasid_v1_UpdateEmulatorRequest__Output } from '../../pasid/v1/UpdateEmulatorRequest.js';
import type { UpdateEmulatorResponse as _pasid_v1_UpdateEmulatorResponse, UpdateEmulatorResponse__Output as _pasid_v1_UpdateEmulatorResponse__Output } from '../../pasid/v1/UpdateEmulatorResponse.js';
import type { WatchFaultsRequest as _pasid_v1_WatchFaultsRequest, WatchFaultsRequest__Output as _pasid_v1_WatchFaultsRequest__Output } from '../../pasid/v1/WatchFaultsRequest.js';
import type { WatchFaultsResponse as _pasid_v1_WatchFaultsResponse, WatchFaultsResponse__Output as _pasid_v1_WatchFaultsResponse__Output } from '../../pasid/v1/WatchFaultsResponse.js';
import type { WriteMemoryRequest as _pasid_v1_WriteMemoryRequest, WriteMemoryRequest__Output as _pasid_v1_WriteMemoryRequest__Output } from '../../pasid/v1/WriteMemoryRequest.js';
import type { WriteMemoryResponse as _pasid_v1_WriteMemoryResponse, WriteMemoryResponse__Output as _pasid_v1_WriteMemoryResponse__Output } from '../../pasid/v1/WriteMemoryResponse.js';

export interface EmulatorLabClient extends grpc.Client {
  ClearFaults(argument: _pasid_v1_ClearFaultsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ClearFaultsResponse__Output>): grpc.ClientUnaryCall;
  ClearFaults(argument: _pasid_v1_ClearFaultsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ClearFaultsResponse__Output>): grpc.ClientUnaryCall;
  ClearFaults(argument: _pasid_v1_ClearFaultsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ClearFaultsResponse__Output>): grpc.ClientUnaryCall;
  ClearFaults(argument: _pasid_v1_ClearFaultsRequest, callback: grpc.requestCallback<_pasid_v1_ClearFaultsResponse__Output>): grpc.ClientUnaryCall;
  clearFaults(argument: _pasid_v1_ClearFaultsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ClearFaultsResponse__Output>): grpc.ClientUnaryCall;
  clearFaults(argument: _pasid_v1_ClearFaultsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ClearFaultsResponse__Output>): grpc.ClientUnaryCall;
  clearFaults(argument: _pasid_v1_ClearFaultsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ClearFaultsResponse__Output>): grpc.ClientUnaryCall;
  clearFaults(argument: _pasid_v1_ClearFaultsRequest, callback: grpc.requestCallback<_pasid_v1_ClearFaultsResponse__Output>): grpc.ClientUnaryCall;
  
  CreateDevice(argument: _pasid_v1_CreateDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CreateDeviceResponse__Output>): grpc.ClientUnaryCall;
  CreateDevice(argument: _pasid_v1_CreateDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_CreateDeviceResponse__Output>): grpc.ClientUnaryCall;
  CreateDevice(argument: _pasid_v1_CreateDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CreateDeviceResponse__Output>): grpc.ClientUnaryCall;
  CreateDevice(argument: _pasid_v1_CreateDeviceRequest, callback: grpc.requestCallback<_pasid_v1_CreateDeviceResponse__Output>): grpc.ClientUnaryCall;
  createDevice(argument: _pasid_v1_CreateDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CreateDeviceResponse__Output>): grpc.ClientUnaryCall;
  createDevice(argument: _pasid_v1_CreateDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_CreateDeviceResponse__Output>): grpc.ClientUnaryCall;
  createDevice(argument: _pasid_v1_CreateDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CreateDeviceResponse__Output>): grpc.ClientUnaryCall;
  createDevice(argument: _pasid_v1_CreateDeviceRequest, callback: grpc.requestCallback<_pasid_v1_CreateDeviceResponse__Output>): grpc.ClientUnaryCall;
  
  DumpTables(argument: _pasid_v1_DumpTablesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_DumpTablesResponse__Output>): grpc.ClientUnaryCall;
  DumpTables(argument: _pasid_v1_DumpTablesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_DumpTablesResponse__Output>): grpc.ClientUnaryCall;
  DumpTables(argument: _pasid_v1_DumpTablesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_DumpTablesResponse__Output>): grpc.ClientUnaryCall;
  DumpTables(argument: _pasid_v1_DumpTablesRequest, callback: grpc.requestCallback<_pasid_v1_DumpTablesResponse__Output>): grpc.ClientUnaryCall;
  dumpTables(argument: _pasid_v1_DumpTablesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_DumpTablesResponse__Output>): grpc.ClientUnaryCall;
  dumpTables(argument: _pasid_v1_DumpTablesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_DumpTablesResponse__Output>): grpc.ClientUnaryCall;
  dumpTables(argument: _pasid_v1_DumpTablesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_DumpTablesResponse__Output>): grpc.ClientUnaryCall;
  dumpTables(argument: _pasid_v1_DumpTablesRequest, callback: grpc.requestCallback<_pasid_v1_DumpTablesResponse__Output>): grpc.ClientUnaryCall;
  
  GetEmulator(argument: _pasid_v1_GetEmulatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_GetEmulatorResponse__Output>): grpc.ClientUnaryCall;
  GetEmulator(argument: _pasid_v1_GetEmulatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_GetEmulatorResponse__Output>): grpc.ClientUnaryCall;
  GetEmulator(argument: _pasid_v1_GetEmulatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_GetEmulatorResponse__Output>): grpc.ClientUnaryCall;
  GetEmulator(argument: _pasid_v1_GetEmulatorRequest, callback: grpc.requestCallback<_pasid_v1_GetEmulatorResponse__Output>): grpc.ClientUnaryCall;
  getEmulator(argument: _pasid_v1_GetEmulatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_GetEmulatorResponse__Output>): grpc.ClientUnaryCall;
  getEmulator(argument: _pasid_v1_GetEmulatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_GetEmulatorResponse__Output>): grpc.ClientUnaryCall;
  getEmulator(argument: _pasid_v1_GetEmulatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_GetEmulatorResponse__Output>): grpc.ClientUnaryCall;
  getEmulator(argument: _pasid_v1_GetEmulatorRequest, callback: grpc.requestCallback<_pasid_v1_GetEmulatorResponse__Output>): grpc.ClientUnaryCall;
  
  InjectFault(argument: _pasid_v1_InjectFaultRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InjectFaultResponse__Output>): grpc.ClientUnaryCall;
  InjectFault(argument: _pasid_v1_InjectFaultRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_InjectFaultResponse__Output>): grpc.ClientUnaryCall;
  InjectFault(argument: _pasid_v1_InjectFaultRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InjectFaultResponse__Output>): grpc.ClientUnaryCall;
  InjectFault(argument: _pasid_v1_InjectFaultRequest, callback: grpc.requestCallback<_pasid_v1_InjectFaultResponse__Output>): grpc.ClientUnaryCall;
  injectFault(argument: _pasid_v1_InjectFaultRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InjectFaultResponse__Output>): grpc.ClientUnaryCall;
  injectFault(argument: _pasid_v1_InjectFaultRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_InjectFaultResponse__Output>): grpc.ClientUnaryCall;
  injectFault(argument: _pasid_v1_InjectFaultRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_InjectFaultResponse__Output>): grpc.ClientUnaryCall;
  injectFault(argument: _pasid_v1_InjectFaultRequest, callback: grpc.requestCallback<_pasid_v1_InjectFaultResponse__Output>): grpc.ClientUnaryCall;
  
  ListFaults(argument: _pasid_v1_ListFaultsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListFaultsResponse__Output>): grpc.ClientUnaryCall;
  ListFaults(argument: _pasid_v1_ListFaultsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListFaultsResponse__Output>): grpc.ClientUnaryCall;
  ListFaults(argument: _pasid_v1_ListFaultsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListFaultsResponse__Output>): grpc.ClientUnaryCall;
  ListFaults(argument: _pasid_v1_ListFaultsRequest, callback: grpc.requestCallback<_pasid_v1_ListFaultsResponse__Output>): grpc.ClientUnaryCall;
  listFaults(argument: _pasid_v1_ListFaultsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListFaultsResponse__Output>): grpc.ClientUnaryCall;
  listFaults(argument: _pasid_v1_ListFaultsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListFaultsResponse__Output>): grpc.ClientUnaryCall;
  listFaults(argument: _pasid_v1_ListFaultsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListFaultsResponse__Output>): grpc.ClientUnaryCall;
  listFaults(argument: _pasid_v1_ListFaultsRequest, callback: grpc.requestCallback<_pasid_v1_ListFaultsResponse__Output>): grpc.ClientUnaryCall;
  
  ListOperations(argument: _pasid_v1_ListOperationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  ListOperations(argument: _pasid_v1_ListOperationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  ListOperations(argument: _pasid_v1_ListOperationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  ListOperations(argument: _pasid_v1_ListOperationsRequest, callback: grpc.requestCallback<_pasid_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  listOperations(argument: _pasid_v1_ListOperationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  listOperations(argument: _pasid_v1_ListOperationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  listOperations(argument: _pasid_v1_ListOperationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  listOperations(argument: _pasid_v1_ListOperationsRequest, callback: grpc.requestCallback<_pasid_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  
  MapMemory(argument: _pasid_v1_MapMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_MapMemoryResponse__Output>): grpc.ClientUnaryCall;
  MapMemory(argument: _pasid_v1_MapMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_MapMemoryResponse__Output>): grpc.ClientUnaryCall;
  MapMemory(argument: _pasid_v1_MapMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_MapMemoryResponse__Output>): grpc.ClientUnaryCall;
  MapMemory(argument: _pasid_v1_MapMemoryRequest, callback: grpc.requestCallback<_pasid_v1_MapMemoryResponse__Output>): grpc.ClientUnaryCall;
  mapMemory(argument: _pasid_v1_MapMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_MapMemoryResponse__Output>): grpc.ClientUnaryCall;
  mapMemory(argument: _pasid_v1_MapMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_MapMemoryResponse__Output>): grpc.ClientUnaryCall;
  mapMemory(argument: _pasid_v1_MapMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_MapMemoryResponse__Output>): grpc.ClientUnaryCall;
  mapMemory(argument: _pasid_v1_MapMemoryRequest, callback: grpc.requestCallback<_pasid_v1_MapMemoryResponse__Output>): grpc.ClientUnaryCall;
  
  RaisePageRequest(argument: _pasid_v1_RaisePageRequestRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_RaisePageRequestResponse__Output>): grpc.ClientUnaryCall;
  RaisePageRequest(argument: _pasid_v1_RaisePageRequestRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_RaisePageRequestResponse__Output>): grpc.ClientUnaryCall;
  RaisePageRequest(argument: _pasid_v1_RaisePageRequestRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_RaisePageRequestResponse__Output>): grpc.ClientUnaryCall;
  RaisePageRequest(argument: _pasid_v1_RaisePageRequestRequest, callback: grpc.requestCallback<_pasid_v1_RaisePageRequestResponse__Output>): grpc.ClientUnaryCall;
  raisePageRequest(argument: _pasid_v1_RaisePageRequestRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_RaisePageRequestResponse__Output>): grpc.ClientUnaryCall;
  raisePageRequest(argument: _pasid_v1_RaisePageRequestRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_RaisePageRequestResponse__Output>): grpc.ClientUnaryCall;
  raisePageRequest(argument: _pasid_v1_RaisePageRequestRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_RaisePageRequestResponse__Output>): grpc.ClientUnaryCall;
  raisePageRequest(argument: _pasid_v1_RaisePageRequestRequest, callback: grpc.requestCallback<_pasid_v1_RaisePageRequestResponse__Output>): grpc.ClientUnaryCall;
  
  ReadMemory(argument: _pasid_v1_ReadMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ReadMemoryResponse__Output>): grpc.ClientUnaryCall;
  ReadMemory(argument: _pasid_v1_ReadMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ReadMemoryResponse__Output>): grpc.ClientUnaryCall;
  ReadMemory(argument: _pasid_v1_ReadMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ReadMemoryResponse__Output>): grpc.ClientUnaryCall;
  ReadMemory(argument: _pasid_v1_ReadMemoryRequest, callback: grpc.requestCallback<_pasid_v1_ReadMemoryResponse__Output>): grpc.ClientUnaryCall;
  readMemory(argument: _pasid_v1_ReadMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ReadMemoryResponse__Output>): grpc.ClientUnaryCall;
  readMemory(argument: _pasid_v1_ReadMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ReadMemoryResponse__Output>): grpc.ClientUnaryCall;
  readMemory(argument: _pasid_v1_ReadMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ReadMemoryResponse__Output>): grpc.ClientUnaryCall;
  readMemory(argument: _pasid_v1_ReadMemoryRequest, callback: grpc.requestCallback<_pasid_v1_ReadMemoryResponse__Output>): grpc.ClientUnaryCall;
  
  ResetDevice(argument: _pasid_v1_ResetDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResetDeviceResponse__Output>): grpc.ClientUnaryCall;
  ResetDevice(argument: _pasid_v1_ResetDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ResetDeviceResponse__Output>): grpc.ClientUnaryCall;
  ResetDevice(argument: _pasid_v1_ResetDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResetDeviceResponse__Output>): grpc.ClientUnaryCall;
  ResetDevice(argument: _pasid_v1_ResetDeviceRequest, callback: grpc.requestCallback<_pasid_v1_ResetDeviceResponse__Output>): grpc.ClientUnaryCall;
  resetDevice(argument: _pasid_v1_ResetDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResetDeviceResponse__Output>): grpc.ClientUnaryCall;
  resetDevice(argument: _pasid_v1_ResetDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ResetDeviceResponse__Output>): grpc.ClientUnaryCall;
  resetDevice(argument: _pasid_v1_ResetDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResetDeviceResponse__Output>): grpc.ClientUnaryCall;
  resetDevice(argument: _pasid_v1_ResetDeviceRequest, callback: grpc.requestCallback<_pasid_v1_ResetDeviceResponse__Output>): grpc.ClientUnaryCall;
  
  SubmitDescriptors(argument: _pasid_v1_SubmitDescriptorsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_SubmitDescriptorsResponse__Output>): grpc.ClientUnaryCall;
  SubmitDescriptors(argument: _pasid_v1_SubmitDescriptorsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_SubmitDescriptorsResponse__Output>): grpc.ClientUnaryCall;
  SubmitDescriptors(argument: _pasid_v1_SubmitDescriptorsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_SubmitDescriptorsResponse__Output>): grpc.ClientUnaryCall;
  SubmitDescriptors(argument: _pasid_v1_SubmitDescriptorsRequest, callback: grpc.requestCallback<_pasid_v1_SubmitDescriptorsResponse__Output>): grpc.ClientUnaryCall;
  submitDescriptors(argument: _pasid_v1_SubmitDescriptorsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_SubmitDescriptorsResponse__Output>): grpc.ClientUnaryCall;
  submitDescriptors(argument: _pasid_v1_SubmitDescriptorsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_SubmitDescriptorsResponse__Output>): grpc.ClientUnaryCall;
  submitDescriptors(argument: _pasid_v1_SubmitDescriptorsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_SubmitDescriptorsResponse__Output>): grpc.ClientUnaryCall;
  submitDescriptors(argument: _pasid_v1_SubmitDescriptorsRequest, callback: grpc.requestCallback<_pasid_v1_SubmitDescriptorsResponse__Output>): grpc.ClientUnaryCall;
  
  Translate(argument: _pasid_v1_TranslateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_TranslateResponse__Output>): grpc.ClientUnaryCall;
  Translate(argument: _pasid_v1_TranslateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_TranslateResponse__Output>): grpc.ClientUnaryCall;
  Translate(argument: _pasid_v1_TranslateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_TranslateResponse__Output>): grpc.ClientUnaryCall;
  Translate(argument: _pasid_v1_TranslateRequest, callback: grpc.requestCallback<_pasid_v1_TranslateResponse__Output>): grpc.ClientUnaryCall;
  translate(argument: _pasid_v1_TranslateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_TranslateResponse__Output>): grpc.ClientUnaryCall;
  translate(argument: _pasid_v1_TranslateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_TranslateResponse__Output>): grpc.ClientUnaryCall;
  translate(argument: _pasid_v1_TranslateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_TranslateResponse__Output>): grpc.ClientUnaryCall;
  translate(argument: _pasid_v1_TranslateRequest, callback: grpc.requestCallback<_pasid_v1_TranslateResponse__Output>): grpc.ClientUnaryCall;
  
  UnmapMemory(argument: _pasid_v1_UnmapMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnmapMemoryResponse__Output>): grpc.ClientUnaryCall;
  UnmapMemory(argument: _pasid_v1_UnmapMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_UnmapMemoryResponse__Output>): grpc.ClientUnaryCall;
  UnmapMemory(argument: _pasid_v1_UnmapMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnmapMemoryResponse__Output>): grpc.ClientUnaryCall;
  UnmapMemory(argument: _pasid_v1_UnmapMemoryRequest, callback: grpc.requestCallback<_pasid_v1_UnmapMemoryResponse__Output>): grpc.ClientUnaryCall;
  unmapMemory(argument: _pasid_v1_UnmapMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnmapMemoryResponse__Output>): grpc.ClientUnaryCall;
  unmapMemory(argument: _pasid_v1_UnmapMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_UnmapMemoryResponse__Output>): grpc.ClientUnaryCall;
  unmapMemory(argument: _pasid_v1_UnmapMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UnmapMemoryResponse__Output>): grpc.ClientUnaryCall;
  unmapMemory(argument: _pasid_v1_UnmapMemoryRequest, callback: grpc.requestCallback<_pasid_v1_UnmapMemoryResponse__Output>): grpc.ClientUnaryCall;
  
  UpdateEmulator(argument: _pasid_v1_UpdateEmulatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UpdateEmulatorResponse__Output>): grpc.ClientUnaryCall;
  UpdateEmulator(argument: _pasid_v1_UpdateEmulatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_UpdateEmulatorResponse__Output>): grpc.ClientUnaryCall;
  UpdateEmulator(argument: _pasid_v1_UpdateEmulatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UpdateEmulatorResponse__Output>): grpc.ClientUnaryCall;
  UpdateEmulator(argument: _pasid_v1_UpdateEmulatorRequest, callback: grpc.requestCallback<_pasid_v1_UpdateEmulatorResponse__Output>): grpc.ClientUnaryCall;
  updateEmulator(argument: _pasid_v1_UpdateEmulatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UpdateEmulatorResponse__Output>): grpc.ClientUnaryCall;
  updateEmulator(argument: _pasid_v1_UpdateEmulatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_UpdateEmulatorResponse__Output>): grpc.ClientUnaryCall;
  updateEmulator(argument: _pasid_v1_UpdateEmulatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_UpdateEmulatorResponse__Output>): grpc.ClientUnaryCall;
  updateEmulator(argument: _pasid_v1_UpdateEmulatorRequest, callback: grpc.requestCallback<_pasid_v1_UpdateEmulatorResponse__Output>): grpc.ClientUnaryCall;
  
  WatchFaults(argument: _pasid_v1_WatchFaultsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_pasid_v1_WatchFaultsResponse__Output>;
  WatchFaults(argument: _pasid_v1_WatchFaultsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_pasid_v1_WatchFaultsResponse__Output>;
  watchFaults(argument: _pasid_v1_WatchFaultsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_pasid_v1_WatchFaultsResponse__Output>;
  watchFaults(argument: _pasid_v1_WatchFaultsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_pasid_v1_WatchFaultsResponse__Output>;
  
  WriteMemory(argument: _pasid_v1_WriteMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_WriteMemoryResponse__Output>): grpc.ClientUnaryCall;
  WriteMemory(argument: _pasid_v1_WriteMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_WriteMemoryResponse__Output>): grpc.ClientUnaryCall;
  WriteMemory(argument: _pasid_v1_WriteMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_WriteMemoryResponse__Output>): grpc.ClientUnaryCall;
  WriteMemory(argument: _pasid_v1_WriteMemoryRequest, callback: grpc.requestCallback<_pasid_v1_WriteMemoryResponse__Output>): grpc.ClientUnaryCall;
  writeMemory(argument: _pasid_v1_WriteMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_WriteMemoryResponse__Output>): grpc.ClientUnaryCall;
  writeMemory(argument: _pasid_v1_WriteMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_WriteMemoryResponse__Output>): grpc.ClientUnaryCall;
  writeMemory(argument: _pasid_v1_WriteMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_WriteMemoryResponse__Output>): grpc.ClientUnaryCall;
  writeMemory(argument: _pasid_v1_WriteMemoryRequest, callback: grpc.requestCallback<_pasid_v1_WriteMemoryResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface EmulatorLabHandlers extends grpc.UntypedServiceImplementation {
  ClearFaults: grpc.handleUnaryCall<_pasid_v1_ClearFaultsRequest__Output, _pasid_v1_ClearFaultsResponse>;
  
  CreateDevice: grpc.handleUnaryCall<_pasid_v1_CreateDeviceRequest__Output, _pasid_v1_CreateDeviceResponse>;
  
  DumpTables: grpc.handleUnaryCall<_pasid_v1_DumpTablesRequest__Output, _pasid_v1_DumpTablesResponse>;
  
  GetEmulator: grpc.handleUnaryCall<_pasid_v1_GetEmulatorRequest__Output, _pasid_v1_GetEmulatorResponse>;
  
  InjectFault: grpc.handleUnaryCall<_pasid_v1_InjectFaultRequest__Output, _pasid_v1_InjectFaultResponse>;
  
  ListFaults: grpc.handleUnaryCall<_pasid_v1_ListFaultsRequest__Output, _pasid_v1_ListFaultsResponse>;
  
  ListOperations: grpc.handleUnaryCall<_pasid_v1_ListOperationsRequest__Output, _pasid_v1_ListOperationsResponse>;
  
  MapMemory: grpc.handleUnaryCall<_pasid_v1_MapMemoryRequest__Output, _pasid_v1_MapMemoryResponse>;
  
  RaisePageRequest: grpc.handleUnaryCall<_pasid_v1_RaisePageRequestRequest__Output, _pasid_v1_RaisePageRequestResponse>;
  
  ReadMemory: grpc.handleUnaryCall<_pasid_v1_ReadMemoryRequest__Output, _pasid_v1_ReadMemoryResponse>;
  
  ResetDevice: grpc.handleUnaryCall<_pasid_v1_ResetDeviceRequest__Output, _pasid_v1_ResetDeviceResponse>;
  
  SubmitDescriptors: grpc.handleUnaryCall<_pasid_v1_SubmitDescriptorsRequest__Output, _pasid_v1_SubmitDescriptorsResponse>;
  
  Translate: grpc.handleUnaryCall<_pasid_v1_TranslateRequest__Output, _pasid_v1_TranslateResponse>;
  
  UnmapMemory: grpc.handleUnaryCall<_pasid_v1_UnmapMemoryRequest__Output, _pasid_v1_UnmapMemoryResponse>;
  
  UpdateEmulator: grpc.handleUnaryCall<_pasid_v1_UpdateEmulatorRequest__Output, _pasid_v1_UpdateEmulatorResponse>;
  
  WatchFaults: grpc.handleServerStreamingCall<_pasid_v1_WatchFaultsRequest__Output, _pasid_v1_WatchFaultsResponse>;
  
  WriteMemory: grpc.handleUnaryCall<_pasid_v1_WriteMemoryRequest__Output, _pasid_v1_WriteMemoryResponse>;
  
}

export interface EmulatorLabDefinition extends grpc.ServiceDefinition {
  ClearFaults: MethodDefinition<_pasid_v1_ClearFaultsRequest, _pasid_v1_ClearFaultsResponse, _pasid_v1_ClearFaultsRequest__Output, _pasid_v1_ClearFaultsResponse__Output>
  CreateDevice: MethodDefinition<_pasid_v1_CreateDeviceRequest, _pasid_v1_CreateDeviceResponse, _pasid_v1_CreateDeviceRequest__Output, _pasid_v1_CreateDeviceResponse__Output>
  DumpTables: MethodDefinition<_pasid_v1_DumpTablesRequest, _pasid_v1_DumpTablesResponse, _pasid_v1_DumpTablesRequest__Output, _pasid_v1_DumpTablesResponse__Output>
  GetEmulator: MethodDefinition<_pasid_v1_GetEmulatorRequest, _pasid_v1_GetEmulatorResponse, _pasid_v1_GetEmulatorRequest__Output, _pasid_v1_GetEmulatorResponse__Output>
  InjectFault: MethodDefinition<_pasid_v1_InjectFaultRequest, _pasid_v1_InjectFaultResponse, _pasid_v1_InjectFaultRequest__Output, _pasid_v1_InjectFaultResponse__Output>
  ListFaults: MethodDefinition<_pasid_v1_ListFaultsRequest, _pasid_v1_ListFaultsResponse, _pasid_v1_ListFaultsRequest__Output, _pasid_v1_ListFaultsResponse__Output>
  ListOperations: MethodDefinition<_pasid_v1_ListOperationsRequest, _pasid_v1_ListOperationsResponse, _pasid_v1_ListOperationsRequest__Output, _pasid_v1_ListOperationsResponse__Output>
  MapMemory: MethodDefinition<_pasid_v1_MapMemoryRequest, _pasid_v1_MapMemoryResponse, _pasid_v1_MapMemoryRequest__Output, _pasid_v1_MapMemoryResponse__Output>
  RaisePageRequest: MethodDefinition<_pasid_v1_RaisePageRequestRequest, _pasid_v1_RaisePageRequestResponse, _pasid_v1_RaisePageRequestRequest__Output, _pasid_v1_RaisePageRequestResponse__Output>
  ReadMemory: MethodDefinition<_pasid_v1_ReadMemoryRequest, _pasid_v1_ReadMemoryResponse, _pasid_v1_ReadMemoryRequest__Output, _pasid_v1_ReadMemoryResponse__Output>
  ResetDevice: MethodDefinition<_pasid_v1_ResetDeviceRequest, _pasid_v1_ResetDeviceResponse, _pasid_v1_ResetDeviceRequest__Output, _pasid_v1_ResetDeviceResponse__Output>
  SubmitDescriptors: MethodDefinition<_pasid_v1_SubmitDescriptorsRequest, _pasid_v1_SubmitDescriptorsResponse, _pasid_v1_SubmitDescriptorsRequest__Output, _pasid_v1_SubmitDescriptorsResponse__Output>
  Translate: MethodDefinition<_pasid_v1_TranslateRequest, _pasid_v1_TranslateResponse, _pasid_v1_TranslateRequest__Output, _pasid_v1_TranslateResponse__Output>
  UnmapMemory: MethodDefinition<_pasid_v1_UnmapMemoryRequest, _pasid_v1_UnmapMemoryResponse, _pasid_v1_UnmapMemoryRequest__Output, _pasid_v1_UnmapMemoryResponse__Output>
  UpdateEmulator: MethodDefinition<_pasid_v1_UpdateEmulatorRequest, _pasid_v1_UpdateEmulatorResponse, _pasid_v1_UpdateEmulatorRequest__Output, _pasid_v1_UpdateEmulatorResponse__Output>
  WatchFaults: MethodDefinition<_pasid_v1_WatchFaultsRequest, _pasid_v1_WatchFaultsResponse, _pasid_v1_WatchFaultsRequest__Output, _pasid_v1_WatchFaultsResponse__Output>
  WriteMemory: MethodDefinition<_pasid_v1_WriteMemoryRequest, _pasid_v1_WriteMemoryResponse, _pasid_v1_WriteMemoryRequest__Output, _pasid_v1_WriteMemoryResponse__Output>
}

// Original file: proto/pasid/v1/operator.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { Allocation as _pasid_v1_Allocation, Allocation__Output as _pasid_v1_Allocation__Output } from '../../pasid/v1/Allocation.js';
import type { CheckRequest as _pasid_v1_CheckRequest, CheckRequest__Output as _pasid_v1_CheckRequest__Output } from '../../pasid/v1/CheckRequest.js';
import type { CheckResponse as _pasid_v1_CheckResponse, CheckResponse__Output as _pasid_v1_CheckResponse__Output } from '../../pasid/v1/CheckResponse.js';
import type { EndSessionRequest as _pasid_v1_EndSessionRequest, EndSessionRequest__Output as _pasid_v1_EndSessionRequest__Output } from '../../pasid/v1/EndSessionRequest.js';
import type { EndSessionResponse as _pasid_v1_EndSessionResponse, EndSessionResponse__Output as _pasid_v1_EndSessionResponse__Output } from '../../pasid/v1/EndSessionResponse.js';
import type { GetAllocationRequest as _pasid_v1_GetAllocationRequest, GetAllocationRequest__Output as _pasid_v1_GetAllocationRequest__Output } from '../../pasid/v1/GetAllocationRequest.js';
import type { GetNamespaceRequest as _pasid_v1_GetNamespaceRequest, GetNamespaceRequest__Output as _pasid_v1_GetNamespaceRequest__Output } from '../../pasid/v1/GetNamespaceRequest.js';
import type { GetReclaimRequest as _pasid_v1_GetReclaimRequest, GetReclaimRequest__Output as _pasid_v1_GetReclaimRequest__Output } from '../../pasid/v1/GetReclaimRequest.js';
import type { ListAllocationsRequest as _pasid_v1_ListAllocationsRequest, ListAllocationsRequest__Output as _pasid_v1_ListAllocationsRequest__Output } from '../../pasid/v1/ListAllocationsRequest.js';
import type { ListAllocationsResponse as _pasid_v1_ListAllocationsResponse, ListAllocationsResponse__Output as _pasid_v1_ListAllocationsResponse__Output } from '../../pasid/v1/ListAllocationsResponse.js';
import type { ListAuditEventsRequest as _pasid_v1_ListAuditEventsRequest, ListAuditEventsRequest__Output as _pasid_v1_ListAuditEventsRequest__Output } from '../../pasid/v1/ListAuditEventsRequest.js';
import type { ListAuditEventsResponse as _pasid_v1_ListAuditEventsResponse, ListAuditEventsResponse__Output as _pasid_v1_ListAuditEventsResponse__Output } from '../../pasid/v1/ListAuditEventsResponse.js';
import type { ListDevicesRequest as _pasid_v1_ListDevicesRequest, ListDevicesRequest__Output as _pasid_v1_ListDevicesRequest__Output } from '../../pasid/v1/ListDevicesRequest.js';
import type { ListDevicesResponse as _pasid_v1_ListDevicesResponse, ListDevicesResponse__Output as _pasid_v1_ListDevicesResponse__Output } from '../../pasid/v1/ListDevicesResponse.js';
import type { ListReservationsRequest as _pasid_v1_ListReservationsRequest, ListReservationsRequest__Output as _pasid_v1_ListReservationsRequest__Output } from '../../pasid/v1/ListReservationsRequest.js';
import type { ListReservationsResponse as _pasid_v1_ListReservationsResponse, ListReservationsResponse__Output as _pasid_v1_ListReservationsResponse__Output } from '../../pasid/v1/ListReservationsResponse.js';
import type { ListSessionsRequest as _pasid_v1_ListSessionsRequest, ListSessionsRequest__Output as _pasid_v1_ListSessionsRequest__Output } from '../../pasid/v1/ListSessionsRequest.js';
import type { ListSessionsResponse as _pasid_v1_ListSessionsResponse, ListSessionsResponse__Output as _pasid_v1_ListSessionsResponse__Output } from '../../pasid/v1/ListSessionsResponse.js';
import type { ListTenantsRequest as _pasid_v1_ListTenantsRequest, ListTenantsRequest__Output as _pasid_v1_ListTenantsRequest__Output } from '../../pasid/v1/ListTenantsRequest.js';
import type { ListTenantsResponse as _pasid_v1_ListTenantsResponse, ListTenantsResponse__Output as _pasid_v1_ListTenantsResponse__Output } from '../../pasid/v1/ListTenantsResponse.js';
import type { Namespace as _pasid_v1_Namespace, Namespace__Output as _pasid_v1_Namespace__Output } from '../../pasid/v1/Namespace.js';
import type { OperatorGetSessionRequest as _pasid_v1_OperatorGetSessionRequest, OperatorGetSessionRequest__Output as _pasid_v1_OperatorGetSessionRequest__Output } from '../../pasid/v1/OperatorGetSessionRequest.js';
import type { Reclaim as _pasid_v1_Reclaim, Reclaim__Output as _pasid_v1_Reclaim__Output } from '../../pasid/v1/Reclaim.js';
import type { ReleaseAllocationRequest as _pasid_v1_ReleaseAllocationRequest, ReleaseAllocationRequest__Output as _pasid_v1_ReleaseAllocationRequest__Output } from '../../pasid/v1/ReleaseAllocationRequest.js';
import type { ReleaseAllocationResponse as _pasid_v1_ReleaseAllocationResponse, ReleaseAllocationResponse__Output as _pasid_v1_ReleaseAllocationResponse__Output } from '../../pasid/v1/ReleaseAllocationResponse.js';
import type { ResumeReclaimRequest as _pasid_v1_ResumeReclaimRequest, ResumeReclaimRequest__Output as _pasid_v1_ResumeReclaimRequest__Output } from '../../pasid/v1/ResumeReclaimRequest.js';
import type { ResumeReclaimResponse as _pasid_v1_ResumeReclaimResponse, ResumeReclaimResponse__Output as _pasid_v1_ResumeReclaimResponse__Output } from '../../pasid/v1/ResumeReclaimResponse.js';
import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from '../../pasid/v1/Session.js';
import type { Tenant as _pasid_v1_Tenant, Tenant__Output as _pasid_v1_Tenant__Output } from '../../pasid/v1/Tenant.js';
import type { UpdateTenantRequest as _pasid_v1_UpdateTenantRequest, UpdateTenantRequest__Output as _pasid_v1_UpdateTenantRequest__Output } from '../../pasid/v1/UpdateTenantRequest.js';
import type { WatchRequest as _pasid_v1_WatchRequest, WatchRequest__Output as _pasid_v1_WatchRequest__Output } from '../../pasid/v1/WatchRequest.js';
import type { WatchResponse as _pasid_v1_WatchResponse, WatchResponse__Output as _pasid_v1_WatchResponse__Output } from '../../pasid/v1/WatchResponse.js';

export interface OperatorClient extends grpc.Client {
  Check(argument: _pasid_v1_CheckRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  Check(argument: _pasid_v1_CheckRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  Check(argument: _pasid_v1_CheckRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  Check(argument: _pasid_v1_CheckRequest, callback: grpc.requestCallback<_pasid_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  check(argument: _pasid_v1_CheckRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  check(argument: _pasid_v1_CheckRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  check(argument: _pasid_v1_CheckRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  check(argument: _pasid_v1_CheckRequest, callback: grpc.requestCallback<_pasid_v1_CheckResponse__Output>): grpc.ClientUnaryCall;
  
  EndSession(argument: _pasid_v1_EndSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  EndSession(argument: _pasid_v1_EndSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  EndSession(argument: _pasid_v1_EndSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  EndSession(argument: _pasid_v1_EndSessionRequest, callback: grpc.requestCallback<_pasid_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  endSession(argument: _pasid_v1_EndSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  endSession(argument: _pasid_v1_EndSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  endSession(argument: _pasid_v1_EndSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  endSession(argument: _pasid_v1_EndSessionRequest, callback: grpc.requestCallback<_pasid_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  
  GetAllocation(argument: _pasid_v1_GetAllocationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Allocation__Output>): grpc.ClientUnaryCall;
  GetAllocation(argument: _pasid_v1_GetAllocationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Allocation__Output>): grpc.ClientUnaryCall;
  GetAllocation(argument: _pasid_v1_GetAllocationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Allocation__Output>): grpc.ClientUnaryCall;
  GetAllocation(argument: _pasid_v1_GetAllocationRequest, callback: grpc.requestCallback<_pasid_v1_Allocation__Output>): grpc.ClientUnaryCall;
  getAllocation(argument: _pasid_v1_GetAllocationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Allocation__Output>): grpc.ClientUnaryCall;
  getAllocation(argument: _pasid_v1_GetAllocationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Allocation__Output>): grpc.ClientUnaryCall;
  getAllocation(argument: _pasid_v1_GetAllocationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Allocation__Output>): grpc.ClientUnaryCall;
  getAllocation(argument: _pasid_v1_GetAllocationRequest, callback: grpc.requestCallback<_pasid_v1_Allocation__Output>): grpc.ClientUnaryCall;
  
  GetNamespace(argument: _pasid_v1_GetNamespaceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Namespace__Output>): grpc.ClientUnaryCall;
  GetNamespace(argument: _pasid_v1_GetNamespaceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Namespace__Output>): grpc.ClientUnaryCall;
  GetNamespace(argument: _pasid_v1_GetNamespaceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Namespace__Output>): grpc.ClientUnaryCall;
  GetNamespace(argument: _pasid_v1_GetNamespaceRequest, callback: grpc.requestCallback<_pasid_v1_Namespace__Output>): grpc.ClientUnaryCall;
  getNamespace(argument: _pasid_v1_GetNamespaceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Namespace__Output>): grpc.ClientUnaryCall;
  getNamespace(argument: _pasid_v1_GetNamespaceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Namespace__Output>): grpc.ClientUnaryCall;
  getNamespace(argument: _pasid_v1_GetNamespaceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Namespace__Output>): grpc.ClientUnaryCall;
  getNamespace(argument: _pasid_v1_GetNamespaceRequest, callback: grpc.requestCallback<_pasid_v1_Namespace__Output>): grpc.ClientUnaryCall;
  
  GetReclaim(argument: _pasid_v1_GetReclaimRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Reclaim__Output>): grpc.ClientUnaryCall;
  GetReclaim(argument: _pasid_v1_GetReclaimRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Reclaim__Output>): grpc.ClientUnaryCall;
  GetReclaim(argument: _pasid_v1_GetReclaimRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Reclaim__Output>): grpc.ClientUnaryCall;
  GetReclaim(argument: _pasid_v1_GetReclaimRequest, callback: grpc.requestCallback<_pasid_v1_Reclaim__Output>): grpc.ClientUnaryCall;
  getReclaim(argument: _pasid_v1_GetReclaimRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Reclaim__Output>): grpc.ClientUnaryCall;
  getReclaim(argument: _pasid_v1_GetReclaimRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Reclaim__Output>): grpc.ClientUnaryCall;
  getReclaim(argument: _pasid_v1_GetReclaimRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Reclaim__Output>): grpc.ClientUnaryCall;
  getReclaim(argument: _pasid_v1_GetReclaimRequest, callback: grpc.requestCallback<_pasid_v1_Reclaim__Output>): grpc.ClientUnaryCall;
  
  GetSession(argument: _pasid_v1_OperatorGetSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  GetSession(argument: _pasid_v1_OperatorGetSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  GetSession(argument: _pasid_v1_OperatorGetSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  GetSession(argument: _pasid_v1_OperatorGetSessionRequest, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _pasid_v1_OperatorGetSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _pasid_v1_OperatorGetSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _pasid_v1_OperatorGetSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _pasid_v1_OperatorGetSessionRequest, callback: grpc.requestCallback<_pasid_v1_Session__Output>): grpc.ClientUnaryCall;
  
  ListAllocations(argument: _pasid_v1_ListAllocationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListAllocationsResponse__Output>): grpc.ClientUnaryCall;
  ListAllocations(argument: _pasid_v1_ListAllocationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListAllocationsResponse__Output>): grpc.ClientUnaryCall;
  ListAllocations(argument: _pasid_v1_ListAllocationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListAllocationsResponse__Output>): grpc.ClientUnaryCall;
  ListAllocations(argument: _pasid_v1_ListAllocationsRequest, callback: grpc.requestCallback<_pasid_v1_ListAllocationsResponse__Output>): grpc.ClientUnaryCall;
  listAllocations(argument: _pasid_v1_ListAllocationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListAllocationsResponse__Output>): grpc.ClientUnaryCall;
  listAllocations(argument: _pasid_v1_ListAllocationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListAllocationsResponse__Output>): grpc.ClientUnaryCall;
  listAllocations(argument: _pasid_v1_ListAllocationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListAllocationsResponse__Output>): grpc.ClientUnaryCall;
  listAllocations(argument: _pasid_v1_ListAllocationsRequest, callback: grpc.requestCallback<_pasid_v1_ListAllocationsResponse__Output>): grpc.ClientUnaryCall;
  
  ListAuditEvents(argument: _pasid_v1_ListAuditEventsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListAuditEventsResponse__Output>): grpc.ClientUnaryCall;
  ListAuditEvents(argument: _pasid_v1_ListAuditEventsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListAuditEventsResponse__Output>): grpc.ClientUnaryCall;
  ListAuditEvents(argument: _pasid_v1_ListAuditEventsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListAuditEventsResponse__Output>): grpc.ClientUnaryCall;
  ListAuditEvents(argument: _pasid_v1_ListAuditEventsRequest, callback: grpc.requestCallback<_pasid_v1_ListAuditEventsResponse__Output>): grpc.ClientUnaryCall;
  listAuditEvents(argument: _pasid_v1_ListAuditEventsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListAuditEventsResponse__Output>): grpc.ClientUnaryCall;
  listAuditEvents(argument: _pasid_v1_ListAuditEventsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListAuditEventsResponse__Output>): grpc.ClientUnaryCall;
  listAuditEvents(argument: _pasid_v1_ListAuditEventsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListAuditEventsResponse__Output>): grpc.ClientUnaryCall;
  listAuditEvents(argument: _pasid_v1_ListAuditEventsRequest, callback: grpc.requestCallback<_pasid_v1_ListAuditEventsResponse__Output>): grpc.ClientUnaryCall;
  
  ListDevices(argument: _pasid_v1_ListDevicesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  ListDevices(argument: _pasid_v1_ListDevicesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  ListDevices(argument: _pasid_v1_ListDevicesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  ListDevices(argument: _pasid_v1_ListDevicesRequest, callback: grpc.requestCallback<_pasid_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _pasid_v1_ListDevicesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _pasid_v1_ListDevicesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _pasid_v1_ListDevicesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _pasid_v1_ListDevicesRequest, callback: grpc.requestCallback<_pasid_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  
  ListReservations(argument: _pasid_v1_ListReservationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  ListReservations(argument: _pasid_v1_ListReservationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  ListReservations(argument: _pasid_v1_ListReservationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  ListReservations(argument: _pasid_v1_ListReservationsRequest, callback: grpc.requestCallback<_pasid_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  listReservations(argument: _pasid_v1_ListReservationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  listReservations(argument: _pasid_v1_ListReservationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  listReservations(argument: _pasid_v1_ListReservationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  listReservations(argument: _pasid_v1_ListReservationsRequest, callback: grpc.requestCallback<_pasid_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  
  ListSessions(argument: _pasid_v1_ListSessionsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  ListSessions(argument: _pasid_v1_ListSessionsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  ListSessions(argument: _pasid_v1_ListSessionsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  ListSessions(argument: _pasid_v1_ListSessionsRequest, callback: grpc.requestCallback<_pasid_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  listSessions(argument: _pasid_v1_ListSessionsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  listSessions(argument: _pasid_v1_ListSessionsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  listSessions(argument: _pasid_v1_ListSessionsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  listSessions(argument: _pasid_v1_ListSessionsRequest, callback: grpc.requestCallback<_pasid_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  
  ListTenants(argument: _pasid_v1_ListTenantsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  ListTenants(argument: _pasid_v1_ListTenantsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  ListTenants(argument: _pasid_v1_ListTenantsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  ListTenants(argument: _pasid_v1_ListTenantsRequest, callback: grpc.requestCallback<_pasid_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _pasid_v1_ListTenantsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _pasid_v1_ListTenantsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _pasid_v1_ListTenantsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _pasid_v1_ListTenantsRequest, callback: grpc.requestCallback<_pasid_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  
  ReleaseAllocation(argument: _pasid_v1_ReleaseAllocationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ReleaseAllocationResponse__Output>): grpc.ClientUnaryCall;
  ReleaseAllocation(argument: _pasid_v1_ReleaseAllocationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ReleaseAllocationResponse__Output>): grpc.ClientUnaryCall;
  ReleaseAllocation(argument: _pasid_v1_ReleaseAllocationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ReleaseAllocationResponse__Output>): grpc.ClientUnaryCall;
  ReleaseAllocation(argument: _pasid_v1_ReleaseAllocationRequest, callback: grpc.requestCallback<_pasid_v1_ReleaseAllocationResponse__Output>): grpc.ClientUnaryCall;
  releaseAllocation(argument: _pasid_v1_ReleaseAllocationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ReleaseAllocationResponse__Output>): grpc.ClientUnaryCall;
  releaseAllocation(argument: _pasid_v1_ReleaseAllocationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ReleaseAllocationResponse__Output>): grpc.ClientUnaryCall;
  releaseAllocation(argument: _pasid_v1_ReleaseAllocationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ReleaseAllocationResponse__Output>): grpc.ClientUnaryCall;
  releaseAllocation(argument: _pasid_v1_ReleaseAllocationRequest, callback: grpc.requestCallback<_pasid_v1_ReleaseAllocationResponse__Output>): grpc.ClientUnaryCall;
  
  ResumeReclaim(argument: _pasid_v1_ResumeReclaimRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResumeReclaimResponse__Output>): grpc.ClientUnaryCall;
  ResumeReclaim(argument: _pasid_v1_ResumeReclaimRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ResumeReclaimResponse__Output>): grpc.ClientUnaryCall;
  ResumeReclaim(argument: _pasid_v1_ResumeReclaimRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResumeReclaimResponse__Output>): grpc.ClientUnaryCall;
  ResumeReclaim(argument: _pasid_v1_ResumeReclaimRequest, callback: grpc.requestCallback<_pasid_v1_ResumeReclaimResponse__Output>): grpc.ClientUnaryCall;
  resumeReclaim(argument: _pasid_v1_ResumeReclaimRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResumeReclaimResponse__Output>): grpc.ClientUnaryCall;
  resumeReclaim(argument: _pasid_v1_ResumeReclaimRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_ResumeReclaimResponse__Output>): grpc.ClientUnaryCall;
  resumeReclaim(argument: _pasid_v1_ResumeReclaimRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_ResumeReclaimResponse__Output>): grpc.ClientUnaryCall;
  resumeReclaim(argument: _pasid_v1_ResumeReclaimRequest, callback: grpc.requestCallback<_pasid_v1_ResumeReclaimResponse__Output>): grpc.ClientUnaryCall;
  
  UpdateTenant(argument: _pasid_v1_UpdateTenantRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Tenant__Output>): grpc.ClientUnaryCall;
  UpdateTenant(argument: _pasid_v1_UpdateTenantRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Tenant__Output>): grpc.ClientUnaryCall;
  UpdateTenant(argument: _pasid_v1_UpdateTenantRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Tenant__Output>): grpc.ClientUnaryCall;
  UpdateTenant(argument: _pasid_v1_UpdateTenantRequest, callback: grpc.requestCallback<_pasid_v1_Tenant__Output>): grpc.ClientUnaryCall;
  updateTenant(argument: _pasid_v1_UpdateTenantRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Tenant__Output>): grpc.ClientUnaryCall;
  updateTenant(argument: _pasid_v1_UpdateTenantRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_pasid_v1_Tenant__Output>): grpc.ClientUnaryCall;
  updateTenant(argument: _pasid_v1_UpdateTenantRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_pasid_v1_Tenant__Output>): grpc.ClientUnaryCall;
  updateTenant(argument: _pasid_v1_UpdateTenantRequest, callback: grpc.requestCallback<_pasid_v1_Tenant__Output>): grpc.ClientUnaryCall;
  
  Watch(argument: _pasid_v1_WatchRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_pasid_v1_WatchResponse__Output>;
  Watch(argument: _pasid_v1_WatchRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_pasid_v1_WatchResponse__Output>;
  watch(argument: _pasid_v1_WatchRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_pasid_v1_WatchResponse__Output>;
  watch(argument: _pasid_v1_WatchRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_pasid_v1_WatchResponse__Output>;
  
}

export interface OperatorHandlers extends grpc.UntypedServiceImplementation {
  Check: grpc.handleUnaryCall<_pasid_v1_CheckRequest__Output, _pasid_v1_CheckResponse>;
  
  EndSession: grpc.handleUnaryCall<_pasid_v1_EndSessionRequest__Output, _pasid_v1_EndSessionResponse>;
  
  GetAllocation: grpc.handleUnaryCall<_pasid_v1_GetAllocationRequest__Output, _pasid_v1_Allocation>;
  
  GetNamespace: grpc.handleUnaryCall<_pasid_v1_GetNamespaceRequest__Output, _pasid_v1_Namespace>;
  
  GetReclaim: grpc.handleUnaryCall<_pasid_v1_GetReclaimRequest__Output, _pasid_v1_Reclaim>;
  
  GetSession: grpc.handleUnaryCall<_pasid_v1_OperatorGetSessionRequest__Output, _pasid_v1_Session>;
  
  ListAllocations: grpc.handleUnaryCall<_pasid_v1_ListAllocationsRequest__Output, _pasid_v1_ListAllocationsResponse>;
  
  ListAuditEvents: grpc.handleUnaryCall<_pasid_v1_ListAuditEventsRequest__Output, _pasid_v1_ListAuditEventsResponse>;
  
  ListDevices: grpc.handleUnaryCall<_pasid_v1_ListDevicesRequest__Output, _pasid_v1_ListDevicesResponse>;
  
  ListReservations: grpc.handleUnaryCall<_pasid_v1_ListReservationsRequest__Output, _pasid_v1_ListReservationsResponse>;
  
  ListSessions: grpc.handleUnaryCall<_pasid_v1_ListSessionsRequest__Output, _pasid_v1_ListSessionsResponse>;
  
  ListTenants: grpc.handleUnaryCall<_pasid_v1_ListTenantsRequest__Output, _pasid_v1_ListTenantsResponse>;
  
  ReleaseAllocation: grpc.handleUnaryCall<_pasid_v1_ReleaseAllocationRequest__Output, _pasid_v1_ReleaseAllocationResponse>;
  
  ResumeReclaim: grpc.handleUnaryCall<_pasid_v1_ResumeReclaimRequest__Output, _pasid_v1_ResumeReclaimResponse>;
  
  UpdateTenant: grpc.handleUnaryCall<_pasid_v1_UpdateTenantRequest__Output, _pasid_v1_Tenant>;
  
  Watch: grpc.handleServerStreamingCall<_pasid_v1_WatchRequest__Output, _pasid_v1_WatchResponse>;
  
}

export interface OperatorDefinition extends grpc.ServiceDefinition {
  Check: MethodDefinition<_pasid_v1_CheckRequest, _pasid_v1_CheckResponse, _pasid_v1_CheckRequest__Output, _pasid_v1_CheckResponse__Output>
  EndSession: MethodDefinition<_pasid_v1_EndSessionRequest, _pasid_v1_EndSessionResponse, _pasid_v1_EndSessionRequest__Output, _pasid_v1_EndSessionResponse__Output>
  GetAllocation: MethodDefinition<_pasid_v1_GetAllocationRequest, _pasid_v1_Allocation, _pasid_v1_GetAllocationRequest__Output, _pasid_v1_Allocation__Output>
  GetNamespace: MethodDefinition<_pasid_v1_GetNamespaceRequest, _pasid_v1_Namespace, _pasid_v1_GetNamespaceRequest__Output, _pasid_v1_Namespace__Output>
  GetReclaim: MethodDefinition<_pasid_v1_GetReclaimRequest, _pasid_v1_Reclaim, _pasid_v1_GetReclaimRequest__Output, _pasid_v1_Reclaim__Output>
  GetSession: MethodDefinition<_pasid_v1_OperatorGetSessionRequest, _pasid_v1_Session, _pasid_v1_OperatorGetSessionRequest__Output, _pasid_v1_Session__Output>
  ListAllocations: MethodDefinition<_pasid_v1_ListAllocationsRequest, _pasid_v1_ListAllocationsResponse, _pasid_v1_ListAllocationsRequest__Output, _pasid_v1_ListAllocationsResponse__Output>
  ListAuditEvents: MethodDefinition<_pasid_v1_ListAuditEventsRequest, _pasid_v1_ListAuditEventsResponse, _pasid_v1_ListAuditEventsRequest__Output, _pasid_v1_ListAuditEventsResponse__Output>
  ListDevices: MethodDefinition<_pasid_v1_ListDevicesRequest, _pasid_v1_ListDevicesResponse, _pasid_v1_ListDevicesRequest__Output, _pasid_v1_ListDevicesResponse__Output>
  ListReservations: MethodDefinition<_pasid_v1_ListReservationsRequest, _pasid_v1_ListReservationsResponse, _pasid_v1_ListReservationsRequest__Output, _pasid_v1_ListReservationsResponse__Output>
  ListSessions: MethodDefinition<_pasid_v1_ListSessionsRequest, _pasid_v1_ListSessionsResponse, _pasid_v1_ListSessionsRequest__Output, _pasid_v1_ListSessionsResponse__Output>
  ListTenants: MethodDefinition<_pasid_v1_ListTenantsRequest, _pasid_v1_ListTenantsResponse, _pasid_v1_ListTenantsRequest__Output, _pasid_v1_ListTenantsResponse__Output>
  ReleaseAllocation: MethodDefinition<_pasid_v1_ReleaseAllocationRequest, _pasid_v1_ReleaseAllocationResponse, _pasid_v1_ReleaseAllocationRequest__Output, _pasid_v1_ReleaseAllocationResponse__Output>
  ResumeReclaim: MethodDefinition<_pasid_v1_ResumeReclaimRequest, _pasid_v1_ResumeReclaimResponse, _pasid_v1_ResumeReclaimRequest__Output, _pasid_v1_ResumeReclaimResponse__Output>
  UpdateTenant: MethodDefinition<_pasid_v1_UpdateTenantRequest, _pasid_v1_Tenant, _pasid_v1_UpdateTenantRequest__Output, _pasid_v1_Tenant__Output>
  Watch: MethodDefinition<_pasid_v1_WatchRequest, _pasid_v1_WatchResponse, _pasid_v1_WatchRequest__Output, _pasid_v1_WatchResponse__Output>
}

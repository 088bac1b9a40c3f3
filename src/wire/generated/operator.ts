import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.js';
import type { FieldMask as _google_protobuf_FieldMask, FieldMask__Output as _google_protobuf_FieldMask__Output } from './google/protobuf/FieldMask.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.js';
import type { Allocation as _pasid_v1_Allocation, Allocation__Output as _pasid_v1_Allocation__Output } from './pasid/v1/Allocation.js';
import type { AuditEvent as _pasid_v1_AuditEvent, AuditEvent__Output as _pasid_v1_AuditEvent__Output } from './pasid/v1/AuditEvent.js';
import type { Binding as _pasid_v1_Binding, Binding__Output as _pasid_v1_Binding__Output } from './pasid/v1/Binding.js';
import type { CheckRequest as _pasid_v1_CheckRequest, CheckRequest__Output as _pasid_v1_CheckRequest__Output } from './pasid/v1/CheckRequest.js';
import type { CheckResponse as _pasid_v1_CheckResponse, CheckResponse__Output as _pasid_v1_CheckResponse__Output } from './pasid/v1/CheckResponse.js';
import type { Device as _pasid_v1_Device, Device__Output as _pasid_v1_Device__Output } from './pasid/v1/Device.js';
import type { EndSessionRequest as _pasid_v1_EndSessionRequest, EndSessionRequest__Output as _pasid_v1_EndSessionRequest__Output } from './pasid/v1/EndSessionRequest.js';
import type { EndSessionResponse as _pasid_v1_EndSessionResponse, EndSessionResponse__Output as _pasid_v1_EndSessionResponse__Output } from './pasid/v1/EndSessionResponse.js';
import type { FirstStageTable as _pasid_v1_FirstStageTable, FirstStageTable__Output as _pasid_v1_FirstStageTable__Output } from './pasid/v1/FirstStageTable.js';
import type { GetAllocationRequest as _pasid_v1_GetAllocationRequest, GetAllocationRequest__Output as _pasid_v1_GetAllocationRequest__Output } from './pasid/v1/GetAllocationRequest.js';
import type { GetNamespaceRequest as _pasid_v1_GetNamespaceRequest, GetNamespaceRequest__Output as _pasid_v1_GetNamespaceRequest__Output } from './pasid/v1/GetNamespaceRequest.js';
import type { GetReclaimRequest as _pasid_v1_GetReclaimRequest, GetReclaimRequest__Output as _pasid_v1_GetReclaimRequest__Output } from './pasid/v1/GetReclaimRequest.js';
import type { Headroom as _pasid_v1_Headroom, Headroom__Output as _pasid_v1_Headroom__Output } from './pasid/v1/Headroom.js';
import type { HwInfo as _pasid_v1_HwInfo, HwInfo__Output as _pasid_v1_HwInfo__Output } from './pasid/v1/HwInfo.js';
import type { ListAllocationsRequest as _pasid_v1_ListAllocationsRequest, ListAllocationsRequest__Output as _pasid_v1_ListAllocationsRequest__Output } from './pasid/v1/ListAllocationsRequest.js';
import type { ListAllocationsResponse as _pasid_v1_ListAllocationsResponse, ListAllocationsResponse__Output as _pasid_v1_ListAllocationsResponse__Output } from './pasid/v1/ListAllocationsResponse.js';
import type { ListAuditEventsRequest as _pasid_v1_ListAuditEventsRequest, ListAuditEventsRequest__Output as _pasid_v1_ListAuditEventsRequest__Output } from './pasid/v1/ListAuditEventsRequest.js';
import type { ListAuditEventsResponse as _pasid_v1_ListAuditEventsResponse, ListAuditEventsResponse__Output as _pasid_v1_ListAuditEventsResponse__Output } from './pasid/v1/ListAuditEventsResponse.js';
import type { ListDevicesRequest as _pasid_v1_ListDevicesRequest, ListDevicesRequest__Output as _pasid_v1_ListDevicesRequest__Output } from './pasid/v1/ListDevicesRequest.js';
import type { ListDevicesResponse as _pasid_v1_ListDevicesResponse, ListDevicesResponse__Output as _pasid_v1_ListDevicesResponse__Output } from './pasid/v1/ListDevicesResponse.js';
import type { ListReservationsRequest as _pasid_v1_ListReservationsRequest, ListReservationsRequest__Output as _pasid_v1_ListReservationsRequest__Output } from './pasid/v1/ListReservationsRequest.js';
import type { ListReservationsResponse as _pasid_v1_ListReservationsResponse, ListReservationsResponse__Output as _pasid_v1_ListReservationsResponse__Output } from './pasid/v1/ListReservationsResponse.js';
import type { ListSessionsRequest as _pasid_v1_ListSessionsRequest, ListSessionsRequest__Output as _pasid_v1_ListSessionsRequest__Output } from './pasid/v1/ListSessionsRequest.js';
import type { ListSessionsResponse as _pasid_v1_ListSessionsResponse, ListSessionsResponse__Output as _pasid_v1_ListSessionsResponse__Output } from './pasid/v1/ListSessionsResponse.js';
import type { ListTenantsRequest as _pasid_v1_ListTenantsRequest, ListTenantsRequest__Output as _pasid_v1_ListTenantsRequest__Output } from './pasid/v1/ListTenantsRequest.js';
import type { ListTenantsResponse as _pasid_v1_ListTenantsResponse, ListTenantsResponse__Output as _pasid_v1_ListTenantsResponse__Output } from './pasid/v1/ListTenantsResponse.js';
import type { Namespace as _pasid_v1_Namespace, Namespace__Output as _pasid_v1_Namespace__Output } from './pasid/v1/Namespace.js';
import type { OperatorClient as _pasid_v1_OperatorClient, OperatorDefinition as _pasid_v1_OperatorDefinition } from './pasid/v1/Operator.js';
import type { OperatorGetSessionRequest as _pasid_v1_OperatorGetSessionRequest, OperatorGetSessionRequest__Output as _pasid_v1_OperatorGetSessionRequest__Output } from './pasid/v1/OperatorGetSessionRequest.js';
import type { PasidRange as _pasid_v1_PasidRange, PasidRange__Output as _pasid_v1_PasidRange__Output } from './pasid/v1/PasidRange.js';
import type { PassThrough as _pasid_v1_PassThrough, PassThrough__Output as _pasid_v1_PassThrough__Output } from './pasid/v1/PassThrough.js';
import type { Problem as _pasid_v1_Problem, Problem__Output as _pasid_v1_Problem__Output } from './pasid/v1/Problem.js';
import type { Process as _pasid_v1_Process, Process__Output as _pasid_v1_Process__Output } from './pasid/v1/Process.js';
import type { Reclaim as _pasid_v1_Reclaim, Reclaim__Output as _pasid_v1_Reclaim__Output } from './pasid/v1/Reclaim.js';
import type { ReleaseAllocationRequest as _pasid_v1_ReleaseAllocationRequest, ReleaseAllocationRequest__Output as _pasid_v1_ReleaseAllocationRequest__Output } from './pasid/v1/ReleaseAllocationRequest.js';
import type { ReleaseAllocationResponse as _pasid_v1_ReleaseAllocationResponse, ReleaseAllocationResponse__Output as _pasid_v1_ReleaseAllocationResponse__Output } from './pasid/v1/ReleaseAllocationResponse.js';
import type { Reservation as _pasid_v1_Reservation, Reservation__Output as _pasid_v1_Reservation__Output } from './pasid/v1/Reservation.js';
import type { ResumeReclaimRequest as _pasid_v1_ResumeReclaimRequest, ResumeReclaimRequest__Output as _pasid_v1_ResumeReclaimRequest__Output } from './pasid/v1/ResumeReclaimRequest.js';
import type { ResumeReclaimResponse as _pasid_v1_ResumeReclaimResponse, ResumeReclaimResponse__Output as _pasid_v1_ResumeReclaimResponse__Output } from './pasid/v1/ResumeReclaimResponse.js';
import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from './pasid/v1/Session.js';
import type { SessionCapabilities as _pasid_v1_SessionCapabilities, SessionCapabilities__Output as _pasid_v1_SessionCapabilities__Output } from './pasid/v1/SessionCapabilities.js';
import type { Stuck as _pasid_v1_Stuck, Stuck__Output as _pasid_v1_Stuck__Output } from './pasid/v1/Stuck.js';
import type { Tenant as _pasid_v1_Tenant, Tenant__Output as _pasid_v1_Tenant__Output } from './pasid/v1/Tenant.js';
import type { UpdateTenantRequest as _pasid_v1_UpdateTenantRequest, UpdateTenantRequest__Output as _pasid_v1_UpdateTenantRequest__Output } from './pasid/v1/UpdateTenantRequest.js';
import type { WatchAttachment as _pasid_v1_WatchAttachment, WatchAttachment__Output as _pasid_v1_WatchAttachment__Output } from './pasid/v1/WatchAttachment.js';
import type { WatchBinding as _pasid_v1_WatchBinding, WatchBinding__Output as _pasid_v1_WatchBinding__Output } from './pasid/v1/WatchBinding.js';
import type { WatchChange as _pasid_v1_WatchChange, WatchChange__Output as _pasid_v1_WatchChange__Output } from './pasid/v1/WatchChange.js';
import type { WatchEvent as _pasid_v1_WatchEvent, WatchEvent__Output as _pasid_v1_WatchEvent__Output } from './pasid/v1/WatchEvent.js';
import type { WatchNumbers as _pasid_v1_WatchNumbers, WatchNumbers__Output as _pasid_v1_WatchNumbers__Output } from './pasid/v1/WatchNumbers.js';
import type { WatchRequest as _pasid_v1_WatchRequest, WatchRequest__Output as _pasid_v1_WatchRequest__Output } from './pasid/v1/WatchRequest.js';
import type { WatchResponse as _pasid_v1_WatchResponse, WatchResponse__Output as _pasid_v1_WatchResponse__Output } from './pasid/v1/WatchResponse.js';
import type { WatchResync as _pasid_v1_WatchResync, WatchResync__Output as _pasid_v1_WatchResync__Output } from './pasid/v1/WatchResync.js';
import type { WatchSession as _pasid_v1_WatchSession, WatchSession__Output as _pasid_v1_WatchSession__Output } from './pasid/v1/WatchSession.js';
import type { WatchStarted as _pasid_v1_WatchStarted, WatchStarted__Output as _pasid_v1_WatchStarted__Output } from './pasid/v1/WatchStarted.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Duration: MessageTypeDefinition<_google_protobuf_Duration, _google_protobuf_Duration__Output>
      FieldMask: MessageTypeDefinition<_google_protobuf_FieldMask, _google_protobuf_FieldMask__Output>
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
  }
  pasid: {
    v1: {
      Allocation: MessageTypeDefinition<_pasid_v1_Allocation, _pasid_v1_Allocation__Output>
      AllocationState: EnumTypeDefinition
      AuditEvent: MessageTypeDefinition<_pasid_v1_AuditEvent, _pasid_v1_AuditEvent__Output>
      BackendState: EnumTypeDefinition
      Binding: MessageTypeDefinition<_pasid_v1_Binding, _pasid_v1_Binding__Output>
      BindingState: EnumTypeDefinition
      CheckRequest: MessageTypeDefinition<_pasid_v1_CheckRequest, _pasid_v1_CheckRequest__Output>
      CheckResponse: MessageTypeDefinition<_pasid_v1_CheckResponse, _pasid_v1_CheckResponse__Output>
      Device: MessageTypeDefinition<_pasid_v1_Device, _pasid_v1_Device__Output>
      EndCause: EnumTypeDefinition
      EndSessionRequest: MessageTypeDefinition<_pasid_v1_EndSessionRequest, _pasid_v1_EndSessionRequest__Output>
      EndSessionResponse: MessageTypeDefinition<_pasid_v1_EndSessionResponse, _pasid_v1_EndSessionResponse__Output>
      FirstStageTable: MessageTypeDefinition<_pasid_v1_FirstStageTable, _pasid_v1_FirstStageTable__Output>
      GetAllocationRequest: MessageTypeDefinition<_pasid_v1_GetAllocationRequest, _pasid_v1_GetAllocationRequest__Output>
      GetNamespaceRequest: MessageTypeDefinition<_pasid_v1_GetNamespaceRequest, _pasid_v1_GetNamespaceRequest__Output>
      GetReclaimRequest: MessageTypeDefinition<_pasid_v1_GetReclaimRequest, _pasid_v1_GetReclaimRequest__Output>
      Headroom: MessageTypeDefinition<_pasid_v1_Headroom, _pasid_v1_Headroom__Output>
      HwInfo: MessageTypeDefinition<_pasid_v1_HwInfo, _pasid_v1_HwInfo__Output>
      ListAllocationsRequest: MessageTypeDefinition<_pasid_v1_ListAllocationsRequest, _pasid_v1_ListAllocationsRequest__Output>
      ListAllocationsResponse: MessageTypeDefinition<_pasid_v1_ListAllocationsResponse, _pasid_v1_ListAllocationsResponse__Output>
      ListAuditEventsRequest: MessageTypeDefinition<_pasid_v1_ListAuditEventsRequest, _pasid_v1_ListAuditEventsRequest__Output>
      ListAuditEventsResponse: MessageTypeDefinition<_pasid_v1_ListAuditEventsResponse, _pasid_v1_ListAuditEventsResponse__Output>
      ListDevicesRequest: MessageTypeDefinition<_pasid_v1_ListDevicesRequest, _pasid_v1_ListDevicesRequest__Output>
      ListDevicesResponse: MessageTypeDefinition<_pasid_v1_ListDevicesResponse, _pasid_v1_ListDevicesResponse__Output>
      ListReservationsRequest: MessageTypeDefinition<_pasid_v1_ListReservationsRequest, _pasid_v1_ListReservationsRequest__Output>
      ListReservationsResponse: MessageTypeDefinition<_pasid_v1_ListReservationsResponse, _pasid_v1_ListReservationsResponse__Output>
      ListSessionsRequest: MessageTypeDefinition<_pasid_v1_ListSessionsRequest, _pasid_v1_ListSessionsRequest__Output>
      ListSessionsResponse: MessageTypeDefinition<_pasid_v1_ListSessionsResponse, _pasid_v1_ListSessionsResponse__Output>
      ListTenantsRequest: MessageTypeDefinition<_pasid_v1_ListTenantsRequest, _pasid_v1_ListTenantsRequest__Output>
      ListTenantsResponse: MessageTypeDefinition<_pasid_v1_ListTenantsResponse, _pasid_v1_ListTenantsResponse__Output>
      Namespace: MessageTypeDefinition<_pasid_v1_Namespace, _pasid_v1_Namespace__Output>
      Operator: SubtypeConstructor<typeof grpc.Client, _pasid_v1_OperatorClient> & { service: _pasid_v1_OperatorDefinition }
      OperatorGetSessionRequest: MessageTypeDefinition<_pasid_v1_OperatorGetSessionRequest, _pasid_v1_OperatorGetSessionRequest__Output>
      PasidRange: MessageTypeDefinition<_pasid_v1_PasidRange, _pasid_v1_PasidRange__Output>
      PasidTranslation: EnumTypeDefinition
      PassThrough: MessageTypeDefinition<_pasid_v1_PassThrough, _pasid_v1_PassThrough__Output>
      Platform: EnumTypeDefinition
      Problem: MessageTypeDefinition<_pasid_v1_Problem, _pasid_v1_Problem__Output>
      Process: MessageTypeDefinition<_pasid_v1_Process, _pasid_v1_Process__Output>
      Reclaim: MessageTypeDefinition<_pasid_v1_Reclaim, _pasid_v1_Reclaim__Output>
      ReleaseAllocationRequest: MessageTypeDefinition<_pasid_v1_ReleaseAllocationRequest, _pasid_v1_ReleaseAllocationRequest__Output>
      ReleaseAllocationResponse: MessageTypeDefinition<_pasid_v1_ReleaseAllocationResponse, _pasid_v1_ReleaseAllocationResponse__Output>
      Reservation: MessageTypeDefinition<_pasid_v1_Reservation, _pasid_v1_Reservation__Output>
      ResumeReclaimRequest: MessageTypeDefinition<_pasid_v1_ResumeReclaimRequest, _pasid_v1_ResumeReclaimRequest__Output>
      ResumeReclaimResponse: MessageTypeDefinition<_pasid_v1_ResumeReclaimResponse, _pasid_v1_ResumeReclaimResponse__Output>
      Scope: EnumTypeDefinition
      Session: MessageTypeDefinition<_pasid_v1_Session, _pasid_v1_Session__Output>
      SessionCapabilities: MessageTypeDefinition<_pasid_v1_SessionCapabilities, _pasid_v1_SessionCapabilities__Output>
      SessionState: EnumTypeDefinition
      Stuck: MessageTypeDefinition<_pasid_v1_Stuck, _pasid_v1_Stuck__Output>
      Tenant: MessageTypeDefinition<_pasid_v1_Tenant, _pasid_v1_Tenant__Output>
      UpdateTenantRequest: MessageTypeDefinition<_pasid_v1_UpdateTenantRequest, _pasid_v1_UpdateTenantRequest__Output>
      WatchAttachment: MessageTypeDefinition<_pasid_v1_WatchAttachment, _pasid_v1_WatchAttachment__Output>
      WatchBinding: MessageTypeDefinition<_pasid_v1_WatchBinding, _pasid_v1_WatchBinding__Output>
      WatchChange: MessageTypeDefinition<_pasid_v1_WatchChange, _pasid_v1_WatchChange__Output>
      WatchEvent: MessageTypeDefinition<_pasid_v1_WatchEvent, _pasid_v1_WatchEvent__Output>
      WatchNumbers: MessageTypeDefinition<_pasid_v1_WatchNumbers, _pasid_v1_WatchNumbers__Output>
      WatchRequest: MessageTypeDefinition<_pasid_v1_WatchRequest, _pasid_v1_WatchRequest__Output>
      WatchResponse: MessageTypeDefinition<_pasid_v1_WatchResponse, _pasid_v1_WatchResponse__Output>
      WatchResync: MessageTypeDefinition<_pasid_v1_WatchResync, _pasid_v1_WatchResync__Output>
      WatchSession: MessageTypeDefinition<_pasid_v1_WatchSession, _pasid_v1_WatchSession__Output>
      WatchStarted: MessageTypeDefinition<_pasid_v1_WatchStarted, _pasid_v1_WatchStarted__Output>
    }
  }
}


import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.js';
import type { AddressGranularity as _pasid_v1_AddressGranularity, AddressGranularity__Output as _pasid_v1_AddressGranularity__Output } from './pasid/v1/AddressGranularity.js';
import type { AllocatePasidsRequest as _pasid_v1_AllocatePasidsRequest, AllocatePasidsRequest__Output as _pasid_v1_AllocatePasidsRequest__Output } from './pasid/v1/AllocatePasidsRequest.js';
import type { AllocatePasidsResponse as _pasid_v1_AllocatePasidsResponse, AllocatePasidsResponse__Output as _pasid_v1_AllocatePasidsResponse__Output } from './pasid/v1/AllocatePasidsResponse.js';
import type { Allocation as _pasid_v1_Allocation, Allocation__Output as _pasid_v1_Allocation__Output } from './pasid/v1/Allocation.js';
import type { AttachDeviceRequest as _pasid_v1_AttachDeviceRequest, AttachDeviceRequest__Output as _pasid_v1_AttachDeviceRequest__Output } from './pasid/v1/AttachDeviceRequest.js';
import type { AttachDeviceResponse as _pasid_v1_AttachDeviceResponse, AttachDeviceResponse__Output as _pasid_v1_AttachDeviceResponse__Output } from './pasid/v1/AttachDeviceResponse.js';
import type { BindPasidRequest as _pasid_v1_BindPasidRequest, BindPasidRequest__Output as _pasid_v1_BindPasidRequest__Output } from './pasid/v1/BindPasidRequest.js';
import type { BindPasidResponse as _pasid_v1_BindPasidResponse, BindPasidResponse__Output as _pasid_v1_BindPasidResponse__Output } from './pasid/v1/BindPasidResponse.js';
import type { Binding as _pasid_v1_Binding, Binding__Output as _pasid_v1_Binding__Output } from './pasid/v1/Binding.js';
import type { BindingLost as _pasid_v1_BindingLost, BindingLost__Output as _pasid_v1_BindingLost__Output } from './pasid/v1/BindingLost.js';
import type { BoundDevice as _pasid_v1_BoundDevice, BoundDevice__Output as _pasid_v1_BoundDevice__Output } from './pasid/v1/BoundDevice.js';
import type { Caller as _pasid_v1_Caller, Caller__Output as _pasid_v1_Caller__Output } from './pasid/v1/Caller.js';
import type { CloseSessionRequest as _pasid_v1_CloseSessionRequest, CloseSessionRequest__Output as _pasid_v1_CloseSessionRequest__Output } from './pasid/v1/CloseSessionRequest.js';
import type { CloseSessionResponse as _pasid_v1_CloseSessionResponse, CloseSessionResponse__Output as _pasid_v1_CloseSessionResponse__Output } from './pasid/v1/CloseSessionResponse.js';
import type { ControlError as _pasid_v1_ControlError, ControlError__Output as _pasid_v1_ControlError__Output } from './pasid/v1/ControlError.js';
import type { ControlOpen as _pasid_v1_ControlOpen, ControlOpen__Output as _pasid_v1_ControlOpen__Output } from './pasid/v1/ControlOpen.js';
import type { ControlOpened as _pasid_v1_ControlOpened, ControlOpened__Output as _pasid_v1_ControlOpened__Output } from './pasid/v1/ControlOpened.js';
import type { ControlRequest as _pasid_v1_ControlRequest, ControlRequest__Output as _pasid_v1_ControlRequest__Output } from './pasid/v1/ControlRequest.js';
import type { ControlResponse as _pasid_v1_ControlResponse, ControlResponse__Output as _pasid_v1_ControlResponse__Output } from './pasid/v1/ControlResponse.js';
import type { DetachDeviceRequest as _pasid_v1_DetachDeviceRequest, DetachDeviceRequest__Output as _pasid_v1_DetachDeviceRequest__Output } from './pasid/v1/DetachDeviceRequest.js';
import type { DetachDeviceResponse as _pasid_v1_DetachDeviceResponse, DetachDeviceResponse__Output as _pasid_v1_DetachDeviceResponse__Output } from './pasid/v1/DetachDeviceResponse.js';
import type { Device as _pasid_v1_Device, Device__Output as _pasid_v1_Device__Output } from './pasid/v1/Device.js';
import type { DeviceFault as _pasid_v1_DeviceFault, DeviceFault__Output as _pasid_v1_DeviceFault__Output } from './pasid/v1/DeviceFault.js';
import type { DeviceFaults as _pasid_v1_DeviceFaults, DeviceFaults__Output as _pasid_v1_DeviceFaults__Output } from './pasid/v1/DeviceFaults.js';
import type { DeviceReset as _pasid_v1_DeviceReset, DeviceReset__Output as _pasid_v1_DeviceReset__Output } from './pasid/v1/DeviceReset.js';
import type { DomainGranularity as _pasid_v1_DomainGranularity, DomainGranularity__Output as _pasid_v1_DomainGranularity__Output } from './pasid/v1/DomainGranularity.js';
import type { Feature as _pasid_v1_Feature, Feature__Output as _pasid_v1_Feature__Output } from './pasid/v1/Feature.js';
import type { FirstStageTable as _pasid_v1_FirstStageTable, FirstStageTable__Output as _pasid_v1_FirstStageTable__Output } from './pasid/v1/FirstStageTable.js';
import type { FreePasidsRequest as _pasid_v1_FreePasidsRequest, FreePasidsRequest__Output as _pasid_v1_FreePasidsRequest__Output } from './pasid/v1/FreePasidsRequest.js';
import type { FreePasidsResponse as _pasid_v1_FreePasidsResponse, FreePasidsResponse__Output as _pasid_v1_FreePasidsResponse__Output } from './pasid/v1/FreePasidsResponse.js';
import type { GetServerInfoRequest as _pasid_v1_GetServerInfoRequest, GetServerInfoRequest__Output as _pasid_v1_GetServerInfoRequest__Output } from './pasid/v1/GetServerInfoRequest.js';
import type { GetSessionRequest as _pasid_v1_GetSessionRequest, GetSessionRequest__Output as _pasid_v1_GetSessionRequest__Output } from './pasid/v1/GetSessionRequest.js';
import type { HandOver as _pasid_v1_HandOver, HandOver__Output as _pasid_v1_HandOver__Output } from './pasid/v1/HandOver.js';
import type { Headroom as _pasid_v1_Headroom, Headroom__Output as _pasid_v1_Headroom__Output } from './pasid/v1/Headroom.js';
import type { HwInfo as _pasid_v1_HwInfo, HwInfo__Output as _pasid_v1_HwInfo__Output } from './pasid/v1/HwInfo.js';
import type { InvalidateRawRequest as _pasid_v1_InvalidateRawRequest, InvalidateRawRequest__Output as _pasid_v1_InvalidateRawRequest__Output } from './pasid/v1/InvalidateRawRequest.js';
import type { InvalidateRawResponse as _pasid_v1_InvalidateRawResponse, InvalidateRawResponse__Output as _pasid_v1_InvalidateRawResponse__Output } from './pasid/v1/InvalidateRawResponse.js';
import type { InvalidateRequest as _pasid_v1_InvalidateRequest, InvalidateRequest__Output as _pasid_v1_InvalidateRequest__Output } from './pasid/v1/InvalidateRequest.js';
import type { InvalidateResponse as _pasid_v1_InvalidateResponse, InvalidateResponse__Output as _pasid_v1_InvalidateResponse__Output } from './pasid/v1/InvalidateResponse.js';
import type { InvalidationEntry as _pasid_v1_InvalidationEntry, InvalidationEntry__Output as _pasid_v1_InvalidationEntry__Output } from './pasid/v1/InvalidationEntry.js';
import type { IoasParent as _pasid_v1_IoasParent, IoasParent__Output as _pasid_v1_IoasParent__Output } from './pasid/v1/IoasParent.js';
import type { Limits as _pasid_v1_Limits, Limits__Output as _pasid_v1_Limits__Output } from './pasid/v1/Limits.js';
import type { ListPasidsRequest as _pasid_v1_ListPasidsRequest, ListPasidsRequest__Output as _pasid_v1_ListPasidsRequest__Output } from './pasid/v1/ListPasidsRequest.js';
import type { ListPasidsResponse as _pasid_v1_ListPasidsResponse, ListPasidsResponse__Output as _pasid_v1_ListPasidsResponse__Output } from './pasid/v1/ListPasidsResponse.js';
import type { MapGuestMemoryRequest as _pasid_v1_MapGuestMemoryRequest, MapGuestMemoryRequest__Output as _pasid_v1_MapGuestMemoryRequest__Output } from './pasid/v1/MapGuestMemoryRequest.js';
import type { MapGuestMemoryResponse as _pasid_v1_MapGuestMemoryResponse, MapGuestMemoryResponse__Output as _pasid_v1_MapGuestMemoryResponse__Output } from './pasid/v1/MapGuestMemoryResponse.js';
import type { NativeAttachment as _pasid_v1_NativeAttachment, NativeAttachment__Output as _pasid_v1_NativeAttachment__Output } from './pasid/v1/NativeAttachment.js';
import type { NumberBlock as _pasid_v1_NumberBlock, NumberBlock__Output as _pasid_v1_NumberBlock__Output } from './pasid/v1/NumberBlock.js';
import type { NumberList as _pasid_v1_NumberList, NumberList__Output as _pasid_v1_NumberList__Output } from './pasid/v1/NumberList.js';
import type { OneNumber as _pasid_v1_OneNumber, OneNumber__Output as _pasid_v1_OneNumber__Output } from './pasid/v1/OneNumber.js';
import type { OpenSessionRequest as _pasid_v1_OpenSessionRequest, OpenSessionRequest__Output as _pasid_v1_OpenSessionRequest__Output } from './pasid/v1/OpenSessionRequest.js';
import type { OpenSessionResponse as _pasid_v1_OpenSessionResponse, OpenSessionResponse__Output as _pasid_v1_OpenSessionResponse__Output } from './pasid/v1/OpenSessionResponse.js';
import type { PageRequest as _pasid_v1_PageRequest, PageRequest__Output as _pasid_v1_PageRequest__Output } from './pasid/v1/PageRequest.js';
import type { PasidBrokerClient as _pasid_v1_PasidBrokerClient, PasidBrokerDefinition as _pasid_v1_PasidBrokerDefinition } from './pasid/v1/PasidBroker.js';
import type { PasidGranularity as _pasid_v1_PasidGranularity, PasidGranularity__Output as _pasid_v1_PasidGranularity__Output } from './pasid/v1/PasidGranularity.js';
import type { PasidRange as _pasid_v1_PasidRange, PasidRange__Output as _pasid_v1_PasidRange__Output } from './pasid/v1/PasidRange.js';
import type { PassThrough as _pasid_v1_PassThrough, PassThrough__Output as _pasid_v1_PassThrough__Output } from './pasid/v1/PassThrough.js';
import type { Process as _pasid_v1_Process, Process__Output as _pasid_v1_Process__Output } from './pasid/v1/Process.js';
import type { QuotaChanged as _pasid_v1_QuotaChanged, QuotaChanged__Output as _pasid_v1_QuotaChanged__Output } from './pasid/v1/QuotaChanged.js';
import type { RequestedPage as _pasid_v1_RequestedPage, RequestedPage__Output as _pasid_v1_RequestedPage__Output } from './pasid/v1/RequestedPage.js';
import type { Reservation as _pasid_v1_Reservation, Reservation__Output as _pasid_v1_Reservation__Output } from './pasid/v1/Reservation.js';
import type { RespondPageRequestRequest as _pasid_v1_RespondPageRequestRequest, RespondPageRequestRequest__Output as _pasid_v1_RespondPageRequestRequest__Output } from './pasid/v1/RespondPageRequestRequest.js';
import type { RespondPageRequestResponse as _pasid_v1_RespondPageRequestResponse, RespondPageRequestResponse__Output as _pasid_v1_RespondPageRequestResponse__Output } from './pasid/v1/RespondPageRequestResponse.js';
import type { ResumeSessionRequest as _pasid_v1_ResumeSessionRequest, ResumeSessionRequest__Output as _pasid_v1_ResumeSessionRequest__Output } from './pasid/v1/ResumeSessionRequest.js';
import type { ResumeSessionResponse as _pasid_v1_ResumeSessionResponse, ResumeSessionResponse__Output as _pasid_v1_ResumeSessionResponse__Output } from './pasid/v1/ResumeSessionResponse.js';
import type { ServerInfo as _pasid_v1_ServerInfo, ServerInfo__Output as _pasid_v1_ServerInfo__Output } from './pasid/v1/ServerInfo.js';
import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from './pasid/v1/Session.js';
import type { SessionCapabilities as _pasid_v1_SessionCapabilities, SessionCapabilities__Output as _pasid_v1_SessionCapabilities__Output } from './pasid/v1/SessionCapabilities.js';
import type { SessionEnded as _pasid_v1_SessionEnded, SessionEnded__Output as _pasid_v1_SessionEnded__Output } from './pasid/v1/SessionEnded.js';
import type { SourceId as _pasid_v1_SourceId, SourceId__Output as _pasid_v1_SourceId__Output } from './pasid/v1/SourceId.js';
import type { StatusWrite as _pasid_v1_StatusWrite, StatusWrite__Output as _pasid_v1_StatusWrite__Output } from './pasid/v1/StatusWrite.js';
import type { Stuck as _pasid_v1_Stuck, Stuck__Output as _pasid_v1_Stuck__Output } from './pasid/v1/Stuck.js';
import type { UnbindAll as _pasid_v1_UnbindAll, UnbindAll__Output as _pasid_v1_UnbindAll__Output } from './pasid/v1/UnbindAll.js';
import type { UnbindPasidsRequest as _pasid_v1_UnbindPasidsRequest, UnbindPasidsRequest__Output as _pasid_v1_UnbindPasidsRequest__Output } from './pasid/v1/UnbindPasidsRequest.js';
import type { UnbindPasidsResponse as _pasid_v1_UnbindPasidsResponse, UnbindPasidsResponse__Output as _pasid_v1_UnbindPasidsResponse__Output } from './pasid/v1/UnbindPasidsResponse.js';
import type { UnbindTarget as _pasid_v1_UnbindTarget, UnbindTarget__Output as _pasid_v1_UnbindTarget__Output } from './pasid/v1/UnbindTarget.js';
import type { UnmapGuestMemoryRequest as _pasid_v1_UnmapGuestMemoryRequest, UnmapGuestMemoryRequest__Output as _pasid_v1_UnmapGuestMemoryRequest__Output } from './pasid/v1/UnmapGuestMemoryRequest.js';
import type { UnmapGuestMemoryResponse as _pasid_v1_UnmapGuestMemoryResponse, UnmapGuestMemoryResponse__Output as _pasid_v1_UnmapGuestMemoryResponse__Output } from './pasid/v1/UnmapGuestMemoryResponse.js';
import type { VtdDescriptors as _pasid_v1_VtdDescriptors, VtdDescriptors__Output as _pasid_v1_VtdDescriptors__Output } from './pasid/v1/VtdDescriptors.js';
import type { VtdS1Invalidation as _pasid_v1_VtdS1Invalidation, VtdS1Invalidation__Output as _pasid_v1_VtdS1Invalidation__Output } from './pasid/v1/VtdS1Invalidation.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Duration: MessageTypeDefinition<_google_protobuf_Duration, _google_protobuf_Duration__Output>
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
  }
  pasid: {
    v1: {
      AddressGranularity: MessageTypeDefinition<_pasid_v1_AddressGranularity, _pasid_v1_AddressGranularity__Output>
      AllocatePasidsRequest: MessageTypeDefinition<_pasid_v1_AllocatePasidsRequest, _pasid_v1_AllocatePasidsRequest__Output>
      AllocatePasidsResponse: MessageTypeDefinition<_pasid_v1_AllocatePasidsResponse, _pasid_v1_AllocatePasidsResponse__Output>
      Allocation: MessageTypeDefinition<_pasid_v1_Allocation, _pasid_v1_Allocation__Output>
      AllocationState: EnumTypeDefinition
      AttachDeviceRequest: MessageTypeDefinition<_pasid_v1_AttachDeviceRequest, _pasid_v1_AttachDeviceRequest__Output>
      AttachDeviceResponse: MessageTypeDefinition<_pasid_v1_AttachDeviceResponse, _pasid_v1_AttachDeviceResponse__Output>
      BindPasidRequest: MessageTypeDefinition<_pasid_v1_BindPasidRequest, _pasid_v1_BindPasidRequest__Output>
      BindPasidResponse: MessageTypeDefinition<_pasid_v1_BindPasidResponse, _pasid_v1_BindPasidResponse__Output>
      Binding: MessageTypeDefinition<_pasid_v1_Binding, _pasid_v1_Binding__Output>
      BindingLost: MessageTypeDefinition<_pasid_v1_BindingLost, _pasid_v1_BindingLost__Output>
      BindingState: EnumTypeDefinition
      BoundDevice: MessageTypeDefinition<_pasid_v1_BoundDevice, _pasid_v1_BoundDevice__Output>
      Caller: MessageTypeDefinition<_pasid_v1_Caller, _pasid_v1_Caller__Output>
      CloseSessionRequest: MessageTypeDefinition<_pasid_v1_CloseSessionRequest, _pasid_v1_CloseSessionRequest__Output>
      CloseSessionResponse: MessageTypeDefinition<_pasid_v1_CloseSessionResponse, _pasid_v1_CloseSessionResponse__Output>
      ControlError: MessageTypeDefinition<_pasid_v1_ControlError, _pasid_v1_ControlError__Output>
      ControlOpen: MessageTypeDefinition<_pasid_v1_ControlOpen, _pasid_v1_ControlOpen__Output>
      ControlOpened: MessageTypeDefinition<_pasid_v1_ControlOpened, _pasid_v1_ControlOpened__Output>
      ControlRequest: MessageTypeDefinition<_pasid_v1_ControlRequest, _pasid_v1_ControlRequest__Output>
      ControlResponse: MessageTypeDefinition<_pasid_v1_ControlResponse, _pasid_v1_ControlResponse__Output>
      DetachDeviceRequest: MessageTypeDefinition<_pasid_v1_DetachDeviceRequest, _pasid_v1_DetachDeviceRequest__Output>
      DetachDeviceResponse: MessageTypeDefinition<_pasid_v1_DetachDeviceResponse, _pasid_v1_DetachDeviceResponse__Output>
      Device: MessageTypeDefinition<_pasid_v1_Device, _pasid_v1_Device__Output>
      DeviceFault: MessageTypeDefinition<_pasid_v1_DeviceFault, _pasid_v1_DeviceFault__Output>
      DeviceFaults: MessageTypeDefinition<_pasid_v1_DeviceFaults, _pasid_v1_DeviceFaults__Output>
      DeviceReset: MessageTypeDefinition<_pasid_v1_DeviceReset, _pasid_v1_DeviceReset__Output>
      DomainGranularity: MessageTypeDefinition<_pasid_v1_DomainGranularity, _pasid_v1_DomainGranularity__Output>
      EndCause: EnumTypeDefinition
      Feature: MessageTypeDefinition<_pasid_v1_Feature, _pasid_v1_Feature__Output>
      FirstStageTable: MessageTypeDefinition<_pasid_v1_FirstStageTable, _pasid_v1_FirstStageTable__Output>
      FreePasidsRequest: MessageTypeDefinition<_pasid_v1_FreePasidsRequest, _pasid_v1_FreePasidsRequest__Output>
      FreePasidsResponse: MessageTypeDefinition<_pasid_v1_FreePasidsResponse, _pasid_v1_FreePasidsResponse__Output>
      GetServerInfoRequest: MessageTypeDefinition<_pasid_v1_GetServerInfoRequest, _pasid_v1_GetServerInfoRequest__Output>
      GetSessionRequest: MessageTypeDefinition<_pasid_v1_GetSessionRequest, _pasid_v1_GetSessionRequest__Output>
      HandOver: MessageTypeDefinition<_pasid_v1_HandOver, _pasid_v1_HandOver__Output>
      Headroom: MessageTypeDefinition<_pasid_v1_Headroom, _pasid_v1_Headroom__Output>
      HwInfo: MessageTypeDefinition<_pasid_v1_HwInfo, _pasid_v1_HwInfo__Output>
      InvalidateRawRequest: MessageTypeDefinition<_pasid_v1_InvalidateRawRequest, _pasid_v1_InvalidateRawRequest__Output>
      InvalidateRawResponse: MessageTypeDefinition<_pasid_v1_InvalidateRawResponse, _pasid_v1_InvalidateRawResponse__Output>
      InvalidateRequest: MessageTypeDefinition<_pasid_v1_InvalidateRequest, _pasid_v1_InvalidateRequest__Output>
      InvalidateResponse: MessageTypeDefinition<_pasid_v1_InvalidateResponse, _pasid_v1_InvalidateResponse__Output>
      InvalidationCache: EnumTypeDefinition
      InvalidationEntry: MessageTypeDefinition<_pasid_v1_InvalidationEntry, _pasid_v1_InvalidationEntry__Output>
      IoasParent: MessageTypeDefinition<_pasid_v1_IoasParent, _pasid_v1_IoasParent__Output>
      Limits: MessageTypeDefinition<_pasid_v1_Limits, _pasid_v1_Limits__Output>
      ListPasidsRequest: MessageTypeDefinition<_pasid_v1_ListPasidsRequest, _pasid_v1_ListPasidsRequest__Output>
      ListPasidsResponse: MessageTypeDefinition<_pasid_v1_ListPasidsResponse, _pasid_v1_ListPasidsResponse__Output>
      MapGuestMemoryRequest: MessageTypeDefinition<_pasid_v1_MapGuestMemoryRequest, _pasid_v1_MapGuestMemoryRequest__Output>
      MapGuestMemoryResponse: MessageTypeDefinition<_pasid_v1_MapGuestMemoryResponse, _pasid_v1_MapGuestMemoryResponse__Output>
      NativeAttachment: MessageTypeDefinition<_pasid_v1_NativeAttachment, _pasid_v1_NativeAttachment__Output>
      NumberBlock: MessageTypeDefinition<_pasid_v1_NumberBlock, _pasid_v1_NumberBlock__Output>
      NumberList: MessageTypeDefinition<_pasid_v1_NumberList, _pasid_v1_NumberList__Output>
      OneNumber: MessageTypeDefinition<_pasid_v1_OneNumber, _pasid_v1_OneNumber__Output>
      OpenSessionRequest: MessageTypeDefinition<_pasid_v1_OpenSessionRequest, _pasid_v1_OpenSessionRequest__Output>
      OpenSessionResponse: MessageTypeDefinition<_pasid_v1_OpenSessionResponse, _pasid_v1_OpenSessionResponse__Output>
      PageRequest: MessageTypeDefinition<_pasid_v1_PageRequest, _pasid_v1_PageRequest__Output>
      PageResponseCode: EnumTypeDefinition
      PasidBroker: SubtypeConstructor<typeof grpc.Client, _pasid_v1_PasidBrokerClient> & { service: _pasid_v1_PasidBrokerDefinition }
      PasidGranularity: MessageTypeDefinition<_pasid_v1_PasidGranularity, _pasid_v1_PasidGranularity__Output>
      PasidRange: MessageTypeDefinition<_pasid_v1_PasidRange, _pasid_v1_PasidRange__Output>
      PasidTranslation: EnumTypeDefinition
      PassThrough: MessageTypeDefinition<_pasid_v1_PassThrough, _pasid_v1_PassThrough__Output>
      Platform: EnumTypeDefinition
      Process: MessageTypeDefinition<_pasid_v1_Process, _pasid_v1_Process__Output>
      QuotaChanged: MessageTypeDefinition<_pasid_v1_QuotaChanged, _pasid_v1_QuotaChanged__Output>
      RequestedPage: MessageTypeDefinition<_pasid_v1_RequestedPage, _pasid_v1_RequestedPage__Output>
      Reservation: MessageTypeDefinition<_pasid_v1_Reservation, _pasid_v1_Reservation__Output>
      RespondPageRequestRequest: MessageTypeDefinition<_pasid_v1_RespondPageRequestRequest, _pasid_v1_RespondPageRequestRequest__Output>
      RespondPageRequestResponse: MessageTypeDefinition<_pasid_v1_RespondPageRequestResponse, _pasid_v1_RespondPageRequestResponse__Output>
      ResumeSessionRequest: MessageTypeDefinition<_pasid_v1_ResumeSessionRequest, _pasid_v1_ResumeSessionRequest__Output>
      ResumeSessionResponse: MessageTypeDefinition<_pasid_v1_ResumeSessionResponse, _pasid_v1_ResumeSessionResponse__Output>
      RidState: EnumTypeDefinition
      Scope: EnumTypeDefinition
      ServerInfo: MessageTypeDefinition<_pasid_v1_ServerInfo, _pasid_v1_ServerInfo__Output>
      Session: MessageTypeDefinition<_pasid_v1_Session, _pasid_v1_Session__Output>
      SessionCapabilities: MessageTypeDefinition<_pasid_v1_SessionCapabilities, _pasid_v1_SessionCapabilities__Output>
      SessionEnded: MessageTypeDefinition<_pasid_v1_SessionEnded, _pasid_v1_SessionEnded__Output>
      SessionState: EnumTypeDefinition
      SourceId: MessageTypeDefinition<_pasid_v1_SourceId, _pasid_v1_SourceId__Output>
      StatusWrite: MessageTypeDefinition<_pasid_v1_StatusWrite, _pasid_v1_StatusWrite__Output>
      Stuck: MessageTypeDefinition<_pasid_v1_Stuck, _pasid_v1_Stuck__Output>
      UnbindAll: MessageTypeDefinition<_pasid_v1_UnbindAll, _pasid_v1_UnbindAll__Output>
      UnbindPasidsRequest: MessageTypeDefinition<_pasid_v1_UnbindPasidsRequest, _pasid_v1_UnbindPasidsRequest__Output>
      UnbindPasidsResponse: MessageTypeDefinition<_pasid_v1_UnbindPasidsResponse, _pasid_v1_UnbindPasidsResponse__Output>
      UnbindTarget: MessageTypeDefinition<_pasid_v1_UnbindTarget, _pasid_v1_UnbindTarget__Output>
      UnmapGuestMemoryRequest: MessageTypeDefinition<_pasid_v1_UnmapGuestMemoryRequest, _pasid_v1_UnmapGuestMemoryRequest__Output>
      UnmapGuestMemoryResponse: MessageTypeDefinition<_pasid_v1_UnmapGuestMemoryResponse, _pasid_v1_UnmapGuestMemoryResponse__Output>
      VtdDescriptors: MessageTypeDefinition<_pasid_v1_VtdDescriptors, _pasid_v1_VtdDescriptors__Output>
      VtdS1Invalidation: MessageTypeDefinition<_pasid_v1_VtdS1Invalidation, _pasid_v1_VtdS1Invalidation__Output>
    }
  }
}


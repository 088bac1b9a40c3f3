import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.js';
import type { Allocation as _pasid_v1_Allocation, Allocation__Output as _pasid_v1_Allocation__Output } from './pasid/v1/Allocation.js';
import type { Binding as _pasid_v1_Binding, Binding__Output as _pasid_v1_Binding__Output } from './pasid/v1/Binding.js';
import type { ClearFaultsRequest as _pasid_v1_ClearFaultsRequest, ClearFaultsRequest__Output as _pasid_v1_ClearFaultsRequest__Output } from './pasid/v1/ClearFaultsRequest.js';
import type { ClearFaultsResponse as _pasid_v1_ClearFaultsResponse, ClearFaultsResponse__Output as _pasid_v1_ClearFaultsResponse__Output } from './pasid/v1/ClearFaultsResponse.js';
import type { CreateDeviceRequest as _pasid_v1_CreateDeviceRequest, CreateDeviceRequest__Output as _pasid_v1_CreateDeviceRequest__Output } from './pasid/v1/CreateDeviceRequest.js';
import type { CreateDeviceResponse as _pasid_v1_CreateDeviceResponse, CreateDeviceResponse__Output as _pasid_v1_CreateDeviceResponse__Output } from './pasid/v1/CreateDeviceResponse.js';
import type { Device as _pasid_v1_Device, Device__Output as _pasid_v1_Device__Output } from './pasid/v1/Device.js';
import type { DumpTablesRequest as _pasid_v1_DumpTablesRequest, DumpTablesRequest__Output as _pasid_v1_DumpTablesRequest__Output } from './pasid/v1/DumpTablesRequest.js';
import type { DumpTablesResponse as _pasid_v1_DumpTablesResponse, DumpTablesResponse__Output as _pasid_v1_DumpTablesResponse__Output } from './pasid/v1/DumpTablesResponse.js';
import type { DumpedEntry as _pasid_v1_DumpedEntry, DumpedEntry__Output as _pasid_v1_DumpedEntry__Output } from './pasid/v1/DumpedEntry.js';
import type { EmulatedCache as _pasid_v1_EmulatedCache, EmulatedCache__Output as _pasid_v1_EmulatedCache__Output } from './pasid/v1/EmulatedCache.js';
import type { EmulatedStatusWrite as _pasid_v1_EmulatedStatusWrite, EmulatedStatusWrite__Output as _pasid_v1_EmulatedStatusWrite__Output } from './pasid/v1/EmulatedStatusWrite.js';
import type { EmulatedTarget as _pasid_v1_EmulatedTarget, EmulatedTarget__Output as _pasid_v1_EmulatedTarget__Output } from './pasid/v1/EmulatedTarget.js';
import type { EmulatorLabClient as _pasid_v1_EmulatorLabClient, EmulatorLabDefinition as _pasid_v1_EmulatorLabDefinition } from './pasid/v1/EmulatorLab.js';
import type { EmulatorSwitches as _pasid_v1_EmulatorSwitches, EmulatorSwitches__Output as _pasid_v1_EmulatorSwitches__Output } from './pasid/v1/EmulatorSwitches.js';
import type { FirstStageTable as _pasid_v1_FirstStageTable, FirstStageTable__Output as _pasid_v1_FirstStageTable__Output } from './pasid/v1/FirstStageTable.js';
import type { GetEmulatorRequest as _pasid_v1_GetEmulatorRequest, GetEmulatorRequest__Output as _pasid_v1_GetEmulatorRequest__Output } from './pasid/v1/GetEmulatorRequest.js';
import type { GetEmulatorResponse as _pasid_v1_GetEmulatorResponse, GetEmulatorResponse__Output as _pasid_v1_GetEmulatorResponse__Output } from './pasid/v1/GetEmulatorResponse.js';
import type { Headroom as _pasid_v1_Headroom, Headroom__Output as _pasid_v1_Headroom__Output } from './pasid/v1/Headroom.js';
import type { HwInfo as _pasid_v1_HwInfo, HwInfo__Output as _pasid_v1_HwInfo__Output } from './pasid/v1/HwInfo.js';
import type { InjectFaultRequest as _pasid_v1_InjectFaultRequest, InjectFaultRequest__Output as _pasid_v1_InjectFaultRequest__Output } from './pasid/v1/InjectFaultRequest.js';
import type { InjectFaultResponse as _pasid_v1_InjectFaultResponse, InjectFaultResponse__Output as _pasid_v1_InjectFaultResponse__Output } from './pasid/v1/InjectFaultResponse.js';
import type { ListFaultsRequest as _pasid_v1_ListFaultsRequest, ListFaultsRequest__Output as _pasid_v1_ListFaultsRequest__Output } from './pasid/v1/ListFaultsRequest.js';
import type { ListFaultsResponse as _pasid_v1_ListFaultsResponse, ListFaultsResponse__Output as _pasid_v1_ListFaultsResponse__Output } from './pasid/v1/ListFaultsResponse.js';
import type { ListOperationsRequest as _pasid_v1_ListOperationsRequest, ListOperationsRequest__Output as _pasid_v1_ListOperationsRequest__Output } from './pasid/v1/ListOperationsRequest.js';
import type { ListOperationsResponse as _pasid_v1_ListOperationsResponse, ListOperationsResponse__Output as _pasid_v1_ListOperationsResponse__Output } from './pasid/v1/ListOperationsResponse.js';
import type { MapMemoryRequest as _pasid_v1_MapMemoryRequest, MapMemoryRequest__Output as _pasid_v1_MapMemoryRequest__Output } from './pasid/v1/MapMemoryRequest.js';
import type { MapMemoryResponse as _pasid_v1_MapMemoryResponse, MapMemoryResponse__Output as _pasid_v1_MapMemoryResponse__Output } from './pasid/v1/MapMemoryResponse.js';
import type { NeededInvalidation as _pasid_v1_NeededInvalidation, NeededInvalidation__Output as _pasid_v1_NeededInvalidation__Output } from './pasid/v1/NeededInvalidation.js';
import type { Operation as _pasid_v1_Operation, Operation__Output as _pasid_v1_Operation__Output } from './pasid/v1/Operation.js';
import type { PasidRange as _pasid_v1_PasidRange, PasidRange__Output as _pasid_v1_PasidRange__Output } from './pasid/v1/PasidRange.js';
import type { PassThrough as _pasid_v1_PassThrough, PassThrough__Output as _pasid_v1_PassThrough__Output } from './pasid/v1/PassThrough.js';
import type { Process as _pasid_v1_Process, Process__Output as _pasid_v1_Process__Output } from './pasid/v1/Process.js';
import type { RaisePageRequestRequest as _pasid_v1_RaisePageRequestRequest, RaisePageRequestRequest__Output as _pasid_v1_RaisePageRequestRequest__Output } from './pasid/v1/RaisePageRequestRequest.js';
import type { RaisePageRequestResponse as _pasid_v1_RaisePageRequestResponse, RaisePageRequestResponse__Output as _pasid_v1_RaisePageRequestResponse__Output } from './pasid/v1/RaisePageRequestResponse.js';
import type { ReadMemoryRequest as _pasid_v1_ReadMemoryRequest, ReadMemoryRequest__Output as _pasid_v1_ReadMemoryRequest__Output } from './pasid/v1/ReadMemoryRequest.js';
import type { ReadMemoryResponse as _pasid_v1_ReadMemoryResponse, ReadMemoryResponse__Output as _pasid_v1_ReadMemoryResponse__Output } from './pasid/v1/ReadMemoryResponse.js';
import type { RecordedFault as _pasid_v1_RecordedFault, RecordedFault__Output as _pasid_v1_RecordedFault__Output } from './pasid/v1/RecordedFault.js';
import type { Reservation as _pasid_v1_Reservation, Reservation__Output as _pasid_v1_Reservation__Output } from './pasid/v1/Reservation.js';
import type { ResetDeviceRequest as _pasid_v1_ResetDeviceRequest, ResetDeviceRequest__Output as _pasid_v1_ResetDeviceRequest__Output } from './pasid/v1/ResetDeviceRequest.js';
import type { ResetDeviceResponse as _pasid_v1_ResetDeviceResponse, ResetDeviceResponse__Output as _pasid_v1_ResetDeviceResponse__Output } from './pasid/v1/ResetDeviceResponse.js';
import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from './pasid/v1/Session.js';
import type { SessionCapabilities as _pasid_v1_SessionCapabilities, SessionCapabilities__Output as _pasid_v1_SessionCapabilities__Output } from './pasid/v1/SessionCapabilities.js';
import type { Staleness as _pasid_v1_Staleness, Staleness__Output as _pasid_v1_Staleness__Output } from './pasid/v1/Staleness.js';
import type { Stuck as _pasid_v1_Stuck, Stuck__Output as _pasid_v1_Stuck__Output } from './pasid/v1/Stuck.js';
import type { SubmitDescriptorsRequest as _pasid_v1_SubmitDescriptorsRequest, SubmitDescriptorsRequest__Output as _pasid_v1_SubmitDescriptorsRequest__Output } from './pasid/v1/SubmitDescriptorsRequest.js';
import type { SubmitDescriptorsResponse as _pasid_v1_SubmitDescriptorsResponse, SubmitDescriptorsResponse__Output as _pasid_v1_SubmitDescriptorsResponse__Output } from './pasid/v1/SubmitDescriptorsResponse.js';
import type { TranslateRequest as _pasid_v1_TranslateRequest, TranslateRequest__Output as _pasid_v1_TranslateRequest__Output } from './pasid/v1/TranslateRequest.js';
import type { TranslateResponse as _pasid_v1_TranslateResponse, TranslateResponse__Output as _pasid_v1_TranslateResponse__Output } from './pasid/v1/TranslateResponse.js';
import type { Translated as _pasid_v1_Translated, Translated__Output as _pasid_v1_Translated__Output } from './pasid/v1/Translated.js';
import type { TranslationFault as _pasid_v1_TranslationFault, TranslationFault__Output as _pasid_v1_TranslationFault__Output } from './pasid/v1/TranslationFault.js';
import type { UnmapMemoryRequest as _pasid_v1_UnmapMemoryRequest, UnmapMemoryRequest__Output as _pasid_v1_UnmapMemoryRequest__Output } from './pasid/v1/UnmapMemoryRequest.js';
import type { UnmapMemoryResponse as _pasid_v1_UnmapMemoryResponse, UnmapMemoryResponse__Output as _pasid_v1_UnmapMemoryResponse__Output } from './pasid/v1/UnmapMemoryResponse.js';
import type { UpdateEmulatorRequest as _pasid_v1_UpdateEmulatorRequest, UpdateEmulatorRequest__Output as _pasid_v1_UpdateEmulatorRequest__Output } from './pasid/v1/UpdateEmulatorRequest.js';
import type { UpdateEmulatorResponse as _pasid_v1_UpdateEmulatorResponse, UpdateEmulatorResponse__Output as _pasid_v1_UpdateEmulatorResponse__Output } from './pasid/v1/UpdateEmulatorResponse.js';
import type { WatchFaultsRequest as _pasid_v1_WatchFaultsRequest, WatchFaultsRequest__Output as _pasid_v1_WatchFaultsRequest__Output } from './pasid/v1/WatchFaultsRequest.js';
import type { WatchFaultsResponse as _pasid_v1_WatchFaultsResponse, WatchFaultsResponse__Output as _pasid_v1_WatchFaultsResponse__Output } from './pasid/v1/WatchFaultsResponse.js';
import type { WriteMemoryRequest as _pasid_v1_WriteMemoryRequest, WriteMemoryRequest__Output as _pasid_v1_WriteMemoryRequest__Output } from './pasid/v1/WriteMemoryRequest.js';
import type { WriteMemoryResponse as _pasid_v1_WriteMemoryResponse, WriteMemoryResponse__Output as _pasid_v1_WriteMemoryResponse__Output } from './pasid/v1/WriteMemoryResponse.js';

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
      Allocation: MessageTypeDefinition<_pasid_v1_Allocation, _pasid_v1_Allocation__Output>
      AllocationState: EnumTypeDefinition
      Binding: MessageTypeDefinition<_pasid_v1_Binding, _pasid_v1_Binding__Output>
      BindingState: EnumTypeDefinition
      ClearFaultsRequest: MessageTypeDefinition<_pasid_v1_ClearFaultsRequest, _pasid_v1_ClearFaultsRequest__Output>
      ClearFaultsResponse: MessageTypeDefinition<_pasid_v1_ClearFaultsResponse, _pasid_v1_ClearFaultsResponse__Output>
      CreateDeviceRequest: MessageTypeDefinition<_pasid_v1_CreateDeviceRequest, _pasid_v1_CreateDeviceRequest__Output>
      CreateDeviceResponse: MessageTypeDefinition<_pasid_v1_CreateDeviceResponse, _pasid_v1_CreateDeviceResponse__Output>
      Device: MessageTypeDefinition<_pasid_v1_Device, _pasid_v1_Device__Output>
      DumpTablesRequest: MessageTypeDefinition<_pasid_v1_DumpTablesRequest, _pasid_v1_DumpTablesRequest__Output>
      DumpTablesResponse: MessageTypeDefinition<_pasid_v1_DumpTablesResponse, _pasid_v1_DumpTablesResponse__Output>
      DumpedEntry: MessageTypeDefinition<_pasid_v1_DumpedEntry, _pasid_v1_DumpedEntry__Output>
      EmulatedCache: MessageTypeDefinition<_pasid_v1_EmulatedCache, _pasid_v1_EmulatedCache__Output>
      EmulatedStatusWrite: MessageTypeDefinition<_pasid_v1_EmulatedStatusWrite, _pasid_v1_EmulatedStatusWrite__Output>
      EmulatedTarget: MessageTypeDefinition<_pasid_v1_EmulatedTarget, _pasid_v1_EmulatedTarget__Output>
      EmulatorLab: SubtypeConstructor<typeof grpc.Client, _pasid_v1_EmulatorLabClient> & { service: _pasid_v1_EmulatorLabDefinition }
      EmulatorSwitches: MessageTypeDefinition<_pasid_v1_EmulatorSwitches, _pasid_v1_EmulatorSwitches__Output>
      EndCause: EnumTypeDefinition
      FirstStageTable: MessageTypeDefinition<_pasid_v1_FirstStageTable, _pasid_v1_FirstStageTable__Output>
      GetEmulatorRequest: MessageTypeDefinition<_pasid_v1_GetEmulatorRequest, _pasid_v1_GetEmulatorRequest__Output>
      GetEmulatorResponse: MessageTypeDefinition<_pasid_v1_GetEmulatorResponse, _pasid_v1_GetEmulatorResponse__Output>
      Headroom: MessageTypeDefinition<_pasid_v1_Headroom, _pasid_v1_Headroom__Output>
      HwInfo: MessageTypeDefinition<_pasid_v1_HwInfo, _pasid_v1_HwInfo__Output>
      InjectFaultRequest: MessageTypeDefinition<_pasid_v1_InjectFaultRequest, _pasid_v1_InjectFaultRequest__Output>
      InjectFaultResponse: MessageTypeDefinition<_pasid_v1_InjectFaultResponse, _pasid_v1_InjectFaultResponse__Output>
      ListFaultsRequest: MessageTypeDefinition<_pasid_v1_ListFaultsRequest, _pasid_v1_ListFaultsRequest__Output>
      ListFaultsResponse: MessageTypeDefinition<_pasid_v1_ListFaultsResponse, _pasid_v1_ListFaultsResponse__Output>
      ListOperationsRequest: MessageTypeDefinition<_pasid_v1_ListOperationsRequest, _pasid_v1_ListOperationsRequest__Output>
      ListOperationsResponse: MessageTypeDefinition<_pasid_v1_ListOperationsResponse, _pasid_v1_ListOperationsResponse__Output>
      MapMemoryRequest: MessageTypeDefinition<_pasid_v1_MapMemoryRequest, _pasid_v1_MapMemoryRequest__Output>
      MapMemoryResponse: MessageTypeDefinition<_pasid_v1_MapMemoryResponse, _pasid_v1_MapMemoryResponse__Output>
      NeededInvalidation: MessageTypeDefinition<_pasid_v1_NeededInvalidation, _pasid_v1_NeededInvalidation__Output>
      Operation: MessageTypeDefinition<_pasid_v1_Operation, _pasid_v1_Operation__Output>
      PasidRange: MessageTypeDefinition<_pasid_v1_PasidRange, _pasid_v1_PasidRange__Output>
      PasidTranslation: EnumTypeDefinition
      PassThrough: MessageTypeDefinition<_pasid_v1_PassThrough, _pasid_v1_PassThrough__Output>
      Platform: EnumTypeDefinition
      Process: MessageTypeDefinition<_pasid_v1_Process, _pasid_v1_Process__Output>
      RaisePageRequestRequest: MessageTypeDefinition<_pasid_v1_RaisePageRequestRequest, _pasid_v1_RaisePageRequestRequest__Output>
      RaisePageRequestResponse: MessageTypeDefinition<_pasid_v1_RaisePageRequestResponse, _pasid_v1_RaisePageRequestResponse__Output>
      ReadMemoryRequest: MessageTypeDefinition<_pasid_v1_ReadMemoryRequest, _pasid_v1_ReadMemoryRequest__Output>
      ReadMemoryResponse: MessageTypeDefinition<_pasid_v1_ReadMemoryResponse, _pasid_v1_ReadMemoryResponse__Output>
      RecordedFault: MessageTypeDefinition<_pasid_v1_RecordedFault, _pasid_v1_RecordedFault__Output>
      Reservation: MessageTypeDefinition<_pasid_v1_Reservation, _pasid_v1_Reservation__Output>
      ResetDeviceRequest: MessageTypeDefinition<_pasid_v1_ResetDeviceRequest, _pasid_v1_ResetDeviceRequest__Output>
      ResetDeviceResponse: MessageTypeDefinition<_pasid_v1_ResetDeviceResponse, _pasid_v1_ResetDeviceResponse__Output>
      Scope: EnumTypeDefinition
      Session: MessageTypeDefinition<_pasid_v1_Session, _pasid_v1_Session__Output>
      SessionCapabilities: MessageTypeDefinition<_pasid_v1_SessionCapabilities, _pasid_v1_SessionCapabilities__Output>
      SessionState: EnumTypeDefinition
      Staleness: MessageTypeDefinition<_pasid_v1_Staleness, _pasid_v1_Staleness__Output>
      Stuck: MessageTypeDefinition<_pasid_v1_Stuck, _pasid_v1_Stuck__Output>
      SubmitDescriptorsRequest: MessageTypeDefinition<_pasid_v1_SubmitDescriptorsRequest, _pasid_v1_SubmitDescriptorsRequest__Output>
      SubmitDescriptorsResponse: MessageTypeDefinition<_pasid_v1_SubmitDescriptorsResponse, _pasid_v1_SubmitDescriptorsResponse__Output>
      TranslateRequest: MessageTypeDefinition<_pasid_v1_TranslateRequest, _pasid_v1_TranslateRequest__Output>
      TranslateResponse: MessageTypeDefinition<_pasid_v1_TranslateResponse, _pasid_v1_TranslateResponse__Output>
      Translated: MessageTypeDefinition<_pasid_v1_Translated, _pasid_v1_Translated__Output>
      TranslationFault: MessageTypeDefinition<_pasid_v1_TranslationFault, _pasid_v1_TranslationFault__Output>
      UnmapMemoryRequest: MessageTypeDefinition<_pasid_v1_UnmapMemoryRequest, _pasid_v1_UnmapMemoryRequest__Output>
      UnmapMemoryResponse: MessageTypeDefinition<_pasid_v1_UnmapMemoryResponse, _pasid_v1_UnmapMemoryResponse__Output>
      UpdateEmulatorRequest: MessageTypeDefinition<_pasid_v1_UpdateEmulatorRequest, _pasid_v1_UpdateEmulatorRequest__Output>
      UpdateEmulatorResponse: MessageTypeDefinition<_pasid_v1_UpdateEmulatorResponse, _pasid_v1_UpdateEmulatorResponse__Output>
      WatchFaultsRequest: MessageTypeDefinition<_pasid_v1_WatchFaultsRequest, _pasid_v1_WatchFaultsRequest__Output>
      WatchFaultsResponse: MessageTypeDefinition<_pasid_v1_WatchFaultsResponse, _pasid_v1_WatchFaultsResponse__Output>
      WriteMemoryRequest: MessageTypeDefinition<_pasid_v1_WriteMemoryRequest, _pasid_v1_WriteMemoryRequest__Output>
      WriteMemoryResponse: MessageTypeDefinition<_pasid_v1_WriteMemoryResponse, _pasid_v1_WriteMemoryResponse__Output>
    }
  }
}


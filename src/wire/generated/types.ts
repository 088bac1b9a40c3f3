import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.js';
import type { Allocation as _pasid_v1_Allocation, Allocation__Output as _pasid_v1_Allocation__Output } from './pasid/v1/Allocation.js';
import type { Binding as _pasid_v1_Binding, Binding__Output as _pasid_v1_Binding__Output } from './pasid/v1/Binding.js';
import type { Device as _pasid_v1_Device, Device__Output as _pasid_v1_Device__Output } from './pasid/v1/Device.js';
import type { FirstStageTable as _pasid_v1_FirstStageTable, FirstStageTable__Output as _pasid_v1_FirstStageTable__Output } from './pasid/v1/FirstStageTable.js';
import type { Headroom as _pasid_v1_Headroom, Headroom__Output as _pasid_v1_Headroom__Output } from './pasid/v1/Headroom.js';
import type { HwInfo as _pasid_v1_HwInfo, HwInfo__Output as _pasid_v1_HwInfo__Output } from './pasid/v1/HwInfo.js';
import type { PasidRange as _pasid_v1_PasidRange, PasidRange__Output as _pasid_v1_PasidRange__Output } from './pasid/v1/PasidRange.js';
import type { PassThrough as _pasid_v1_PassThrough, PassThrough__Output as _pasid_v1_PassThrough__Output } from './pasid/v1/PassThrough.js';
import type { Process as _pasid_v1_Process, Process__Output as _pasid_v1_Process__Output } from './pasid/v1/Process.js';
import type { Reservation as _pasid_v1_Reservation, Reservation__Output as _pasid_v1_Reservation__Output } from './pasid/v1/Reservation.js';
import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from './pasid/v1/Session.js';
import type { SessionCapabilities as _pasid_v1_SessionCapabilities, SessionCapabilities__Output as _pasid_v1_SessionCapabilities__Output } from './pasid/v1/SessionCapabilities.js';
import type { Stuck as _pasid_v1_Stuck, Stuck__Output as _pasid_v1_Stuck__Output } from './pasid/v1/Stuck.js';

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
      Device: MessageTypeDefinition<_pasid_v1_Device, _pasid_v1_Device__Output>
      EndCause: EnumTypeDefinition
      FirstStageTable: MessageTypeDefinition<_pasid_v1_FirstStageTable, _pasid_v1_FirstStageTable__Output>
      Headroom: MessageTypeDefinition<_pasid_v1_Headroom, _pasid_v1_Headroom__Output>
      HwInfo: MessageTypeDefinition<_pasid_v1_HwInfo, _pasid_v1_HwInfo__Output>
      PasidRange: MessageTypeDefinition<_pasid_v1_PasidRange, _pasid_v1_PasidRange__Output>
      PasidTranslation: EnumTypeDefinition
      PassThrough: MessageTypeDefinition<_pasid_v1_PassThrough, _pasid_v1_PassThrough__Output>
      Platform: EnumTypeDefinition
      Process: MessageTypeDefinition<_pasid_v1_Process, _pasid_v1_Process__Output>
      Reservation: MessageTypeDefinition<_pasid_v1_Reservation, _pasid_v1_Reservation__Output>
      Scope: EnumTypeDefinition
      Session: MessageTypeDefinition<_pasid_v1_Session, _pasid_v1_Session__Output>
      SessionCapabilities: MessageTypeDefinition<_pasid_v1_SessionCapabilities, _pasid_v1_SessionCapabilities__Output>
      SessionState: EnumTypeDefinition
      Stuck: MessageTypeDefinition<_pasid_v1_Stuck, _pasid_v1_Stuck__Output>
    }
  }
}


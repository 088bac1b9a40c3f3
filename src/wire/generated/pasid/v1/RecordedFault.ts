// Original file: proto/pasid/v1/emulator_lab.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.js';
import type { EmulatedTarget as _pasid_v1_EmulatedTarget, EmulatedTarget__Output as _pasid_v1_EmulatedTarget__Output } from '../../pasid/v1/EmulatedTarget.js';
import type { Long } from '@grpc/proto-loader';

export interface RecordedFault {
  'sequence'?: (number | string | Long);
  'time'?: (_google_protobuf_Timestamp | null);
  'device'?: (string);
  'target'?: (_pasid_v1_EmulatedTarget | null);
  'reason'?: (number);
  'name'?: (string);
  'address'?: (number | string | Long);
  'write'?: (boolean);
  'privileged'?: (boolean);
}

export interface RecordedFault__Output {
  'sequence': (string);
  'time': (_google_protobuf_Timestamp__Output | null);
  'device': (string);
  'target': (_pasid_v1_EmulatedTarget__Output | null);
  'reason': (number);
  'name': (string);
  'address': (string);
  'write': (boolean);
  'privileged': (boolean);
}

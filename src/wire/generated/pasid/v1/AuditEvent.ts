// Original file: proto/pasid/v1/operator.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.js';
import type { Process as _pasid_v1_Process, Process__Output as _pasid_v1_Process__Output } from '../../pasid/v1/Process.js';
import type { Long } from '@grpc/proto-loader';

export interface AuditEvent {
  'revision'?: (number | string | Long);
  'time'?: (_google_protobuf_Timestamp | null);
  'action'?: (string);
  'actor'?: (_pasid_v1_Process | null);
  'subject'?: (string);
  'cause'?: (string);
  'outcome'?: (string);
  'details'?: (string);
}

export interface AuditEvent__Output {
  'revision': (string);
  'time': (_google_protobuf_Timestamp__Output | null);
  'action': (string);
  'actor': (_pasid_v1_Process__Output | null);
  'subject': (string);
  'cause': (string);
  'outcome': (string);
  'details': (string);
}

// Original file: proto/pasid/v1/types.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.js';

export interface Stuck {
  'since'?: (_google_protobuf_Timestamp | null);
  'attempts'?: (number);
  'problem'?: (string);
}

export interface Stuck__Output {
  'since': (_google_protobuf_Timestamp__Output | null);
  'attempts': (number);
  'problem': (string);
}

// Original file: proto/pasid/v1/operator.proto

import type { Problem as _pasid_v1_Problem, Problem__Output as _pasid_v1_Problem__Output } from '../../pasid/v1/Problem.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.js';
import type { Long } from '@grpc/proto-loader';

export interface CheckResponse {
  'consistent'?: (boolean);
  'revision'?: (number | string | Long);
  'problems'?: (_pasid_v1_Problem)[];
  'problemCount'?: (number);
  'checkTime'?: (_google_protobuf_Timestamp | null);
  'allocations'?: (number);
  'sessions'?: (number);
  'bindings'?: (number);
}

export interface CheckResponse__Output {
  'consistent': (boolean);
  'revision': (string);
  'problems': (_pasid_v1_Problem__Output)[];
  'problemCount': (number);
  'checkTime': (_google_protobuf_Timestamp__Output | null);
  'allocations': (number);
  'sessions': (number);
  'bindings': (number);
}

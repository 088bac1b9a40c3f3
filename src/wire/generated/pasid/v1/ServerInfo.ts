// Original file: proto/pasid/v1/pasid_broker.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.js';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.js';
import type { Feature as _pasid_v1_Feature, Feature__Output as _pasid_v1_Feature__Output } from '../../pasid/v1/Feature.js';
import type { Limits as _pasid_v1_Limits, Limits__Output as _pasid_v1_Limits__Output } from '../../pasid/v1/Limits.js';
import type { Caller as _pasid_v1_Caller, Caller__Output as _pasid_v1_Caller__Output } from '../../pasid/v1/Caller.js';
import type { Long } from '@grpc/proto-loader';

export interface ServerInfo {
  'version'?: (string);
  'incarnation'?: (string);
  'ledgerId'?: (string);
  'recoveredRevision'?: (number | string | Long);
  'durableRevision'?: (number | string | Long);
  'backend'?: (string);
  'startTime'?: (_google_protobuf_Timestamp | null);
  'hold'?: (_google_protobuf_Duration | null);
  'writable'?: (boolean);
  'features'?: (_pasid_v1_Feature)[];
  'limits'?: (_pasid_v1_Limits | null);
  'caller'?: (_pasid_v1_Caller | null);
}

export interface ServerInfo__Output {
  'version': (string);
  'incarnation': (string);
  'ledgerId': (string);
  'recoveredRevision': (string);
  'durableRevision': (string);
  'backend': (string);
  'startTime': (_google_protobuf_Timestamp__Output | null);
  'hold': (_google_protobuf_Duration__Output | null);
  'writable': (boolean);
  'features': (_pasid_v1_Feature__Output)[];
  'limits': (_pasid_v1_Limits__Output | null);
  'caller': (_pasid_v1_Caller__Output | null);
}

// Original file: proto/pasid/v1/pasid_broker.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.js';

export interface Limits {
  'messageBytes'?: (number);
  'controlInFlight'?: (number);
  'pasidsPerCall'?: (number);
  'invalidateEntries'?: (number);
  'devicesPerCall'?: (number);
  'labels'?: (number);
  'linger'?: (_google_protobuf_Duration | null);
}

export interface Limits__Output {
  'messageBytes': (number);
  'controlInFlight': (number);
  'pasidsPerCall': (number);
  'invalidateEntries': (number);
  'devicesPerCall': (number);
  'labels': (number);
  'linger': (_google_protobuf_Duration__Output | null);
}

// Original file: proto/pasid/v1/types.proto

import type { SessionState as _pasid_v1_SessionState, SessionState__Output as _pasid_v1_SessionState__Output } from '../../pasid/v1/SessionState.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.js';

export interface Session {
  'name'?: (string);
  'tenant'?: (string);
  'state'?: (_pasid_v1_SessionState);
  'heldPasids'?: (number);
  'maxPasids'?: (number);
  'devices'?: (string)[];
  'bindings'?: (number);
  'lostBindings'?: (number);
  'openTime'?: (_google_protobuf_Timestamp | null);
  'labels'?: ({[key: string]: string});
}

export interface Session__Output {
  'name': (string);
  'tenant': (string);
  'state': (_pasid_v1_SessionState__Output);
  'heldPasids': (number);
  'maxPasids': (number);
  'devices': (string)[];
  'bindings': (number);
  'lostBindings': (number);
  'openTime': (_google_protobuf_Timestamp__Output | null);
  'labels': ({[key: string]: string});
}

// Original file: proto/pasid/v1/operator.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.js';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.js';
import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from '../../pasid/v1/Session.js';
import type { BackendState as _pasid_v1_BackendState, BackendState__Output as _pasid_v1_BackendState__Output } from '../../pasid/v1/BackendState.js';

export interface Reclaim {
  'breakerOpen'?: (boolean);
  'breakerTime'?: (_google_protobuf_Timestamp | null);
  'withheldSessions'?: (number);
  'withheldPasids'?: (number);
  'breakerShare'?: (number);
  'breakerFloor'?: (number);
  'unknownOwners'?: (number);
  'watchedOwners'?: (number);
  'unwatchedOwners'?: (number);
  'sweepLooked'?: (number);
  'sweepTime'?: (_google_protobuf_Duration | null);
  'unfinishedSweeps'?: (number);
  'passTime'?: (_google_protobuf_Timestamp | null);
  'stuck'?: (_pasid_v1_Session)[];
  'stuckCount'?: (number);
  'unprovenSessions'?: (number);
  'unprovenPasids'?: (number);
  'backendState'?: (_pasid_v1_BackendState);
  'backendProblem'?: (string);
}

export interface Reclaim__Output {
  'breakerOpen': (boolean);
  'breakerTime': (_google_protobuf_Timestamp__Output | null);
  'withheldSessions': (number);
  'withheldPasids': (number);
  'breakerShare': (number);
  'breakerFloor': (number);
  'unknownOwners': (number);
  'watchedOwners': (number);
  'unwatchedOwners': (number);
  'sweepLooked': (number);
  'sweepTime': (_google_protobuf_Duration__Output | null);
  'unfinishedSweeps': (number);
  'passTime': (_google_protobuf_Timestamp__Output | null);
  'stuck': (_pasid_v1_Session__Output)[];
  'stuckCount': (number);
  'unprovenSessions': (number);
  'unprovenPasids': (number);
  'backendState': (_pasid_v1_BackendState__Output);
  'backendProblem': (string);
}

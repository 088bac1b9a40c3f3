// Original file: proto/pasid/v1/types.proto

import type { SessionState as _pasid_v1_SessionState, SessionState__Output as _pasid_v1_SessionState__Output } from '../../pasid/v1/SessionState.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.js';
import type { Process as _pasid_v1_Process, Process__Output as _pasid_v1_Process__Output } from '../../pasid/v1/Process.js';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.js';
import type { EndCause as _pasid_v1_EndCause, EndCause__Output as _pasid_v1_EndCause__Output } from '../../pasid/v1/EndCause.js';
import type { Stuck as _pasid_v1_Stuck, Stuck__Output as _pasid_v1_Stuck__Output } from '../../pasid/v1/Stuck.js';
import type { Headroom as _pasid_v1_Headroom, Headroom__Output as _pasid_v1_Headroom__Output } from '../../pasid/v1/Headroom.js';
import type { SessionCapabilities as _pasid_v1_SessionCapabilities, SessionCapabilities__Output as _pasid_v1_SessionCapabilities__Output } from '../../pasid/v1/SessionCapabilities.js';

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
  'owner'?: (_pasid_v1_Process | null);
  'delegateUid'?: (number);
  'linger'?: (_google_protobuf_Duration | null);
  'cause'?: (_pasid_v1_EndCause);
  'withheld'?: (boolean);
  'stuck'?: (_pasid_v1_Stuck | null);
  'headroom'?: (_pasid_v1_Headroom | null);
  'capabilities'?: (_pasid_v1_SessionCapabilities | null);
  'unproven'?: (boolean);
  '_delegateUid'?: "delegateUid";
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
  'owner': (_pasid_v1_Process__Output | null);
  'delegateUid'?: (number);
  'linger': (_google_protobuf_Duration__Output | null);
  'cause': (_pasid_v1_EndCause__Output);
  'withheld': (boolean);
  'stuck': (_pasid_v1_Stuck__Output | null);
  'headroom': (_pasid_v1_Headroom__Output | null);
  'capabilities': (_pasid_v1_SessionCapabilities__Output | null);
  'unproven': (boolean);
  '_delegateUid'?: "delegateUid";
}

// Original file: proto/pasid/v1/operator.proto

import type { SessionState as _pasid_v1_SessionState, SessionState__Output as _pasid_v1_SessionState__Output } from '../../pasid/v1/SessionState.js';
import type { EndCause as _pasid_v1_EndCause, EndCause__Output as _pasid_v1_EndCause__Output } from '../../pasid/v1/EndCause.js';
import type { Process as _pasid_v1_Process, Process__Output as _pasid_v1_Process__Output } from '../../pasid/v1/Process.js';

export interface WatchSession {
  'name'?: (string);
  'tenant'?: (string);
  'state'?: (_pasid_v1_SessionState);
  'cause'?: (_pasid_v1_EndCause);
  'owner'?: (_pasid_v1_Process | null);
}

export interface WatchSession__Output {
  'name': (string);
  'tenant': (string);
  'state': (_pasid_v1_SessionState__Output);
  'cause': (_pasid_v1_EndCause__Output);
  'owner': (_pasid_v1_Process__Output | null);
}

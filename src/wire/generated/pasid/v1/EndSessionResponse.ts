// Original file: proto/pasid/v1/operator.proto

import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from '../../pasid/v1/Session.js';

export interface EndSessionResponse {
  'session'?: (_pasid_v1_Session | null);
  'durable'?: (boolean);
}

export interface EndSessionResponse__Output {
  'session': (_pasid_v1_Session__Output | null);
  'durable': (boolean);
}

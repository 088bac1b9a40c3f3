// Original file: proto/pasid/v1/pasid_broker.proto

import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from '../../pasid/v1/Session.js';
import type { Long } from '@grpc/proto-loader';

export interface ResumeSessionResponse {
  'session'?: (_pasid_v1_Session | null);
  'incarnation'?: (string);
  'recoveredRevision'?: (number | string | Long);
}

export interface ResumeSessionResponse__Output {
  'session': (_pasid_v1_Session__Output | null);
  'incarnation': (string);
  'recoveredRevision': (string);
}

// Original file: proto/pasid/v1/vfio_uapi.proto

import type { Session as _pasid_v1_Session, Session__Output as _pasid_v1_Session__Output } from '../../pasid/v1/Session.js';

export interface OpenContainerResponse {
  'session'?: (_pasid_v1_Session | null);
  'token'?: (string);
}

export interface OpenContainerResponse__Output {
  'session': (_pasid_v1_Session__Output | null);
  'token': (string);
}

// Original file: proto/pasid/v1/pasid_broker.proto

import type { UnbindTarget as _pasid_v1_UnbindTarget, UnbindTarget__Output as _pasid_v1_UnbindTarget__Output } from '../../pasid/v1/UnbindTarget.js';
import type { UnbindAll as _pasid_v1_UnbindAll, UnbindAll__Output as _pasid_v1_UnbindAll__Output } from '../../pasid/v1/UnbindAll.js';

export interface UnbindPasidsRequest {
  'session'?: (string);
  'target'?: (_pasid_v1_UnbindTarget | null);
  'device'?: (string);
  'all'?: (_pasid_v1_UnbindAll | null);
  'what'?: "target"|"device"|"all";
}

export interface UnbindPasidsRequest__Output {
  'session': (string);
  'target'?: (_pasid_v1_UnbindTarget__Output | null);
  'device'?: (string);
  'all'?: (_pasid_v1_UnbindAll__Output | null);
  'what'?: "target"|"device"|"all";
}

// Original file: proto/pasid/v1/operator.proto

import type { Binding as _pasid_v1_Binding, Binding__Output as _pasid_v1_Binding__Output } from '../../pasid/v1/Binding.js';

export interface WatchBinding {
  'session'?: (string);
  'binding'?: (_pasid_v1_Binding | null);
  'removed'?: (boolean);
}

export interface WatchBinding__Output {
  'session': (string);
  'binding': (_pasid_v1_Binding__Output | null);
  'removed': (boolean);
}

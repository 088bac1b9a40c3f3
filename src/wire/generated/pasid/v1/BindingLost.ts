// Original file: proto/pasid/v1/pasid_broker.proto

import type { Binding as _pasid_v1_Binding, Binding__Output as _pasid_v1_Binding__Output } from '../../pasid/v1/Binding.js';

export interface BindingLost {
  'binding'?: (_pasid_v1_Binding | null);
}

export interface BindingLost__Output {
  'binding': (_pasid_v1_Binding__Output | null);
}

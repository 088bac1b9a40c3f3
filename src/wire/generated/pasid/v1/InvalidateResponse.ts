// Original file: proto/pasid/v1/pasid_broker.proto

import type { Binding as _pasid_v1_Binding, Binding__Output as _pasid_v1_Binding__Output } from '../../pasid/v1/Binding.js';

export interface InvalidateResponse {
  'done'?: (number);
  'lost'?: (_pasid_v1_Binding)[];
}

export interface InvalidateResponse__Output {
  'done': (number);
  'lost': (_pasid_v1_Binding__Output)[];
}

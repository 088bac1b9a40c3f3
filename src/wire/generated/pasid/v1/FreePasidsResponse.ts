// Original file: proto/pasid/v1/pasid_broker.proto

import type { Headroom as _pasid_v1_Headroom, Headroom__Output as _pasid_v1_Headroom__Output } from '../../pasid/v1/Headroom.js';

export interface FreePasidsResponse {
  'freed'?: (number);
  'durable'?: (boolean);
  'headroom'?: (_pasid_v1_Headroom | null);
}

export interface FreePasidsResponse__Output {
  'freed': (number);
  'durable': (boolean);
  'headroom': (_pasid_v1_Headroom__Output | null);
}

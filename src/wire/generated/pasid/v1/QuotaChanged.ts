// Original file: proto/pasid/v1/pasid_broker.proto

import type { Headroom as _pasid_v1_Headroom, Headroom__Output as _pasid_v1_Headroom__Output } from '../../pasid/v1/Headroom.js';

export interface QuotaChanged {
  'headroom'?: (_pasid_v1_Headroom | null);
}

export interface QuotaChanged__Output {
  'headroom': (_pasid_v1_Headroom__Output | null);
}

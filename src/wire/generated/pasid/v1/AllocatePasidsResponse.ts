// Original file: proto/pasid/v1/pasid_broker.proto

import type { PasidRange as _pasid_v1_PasidRange, PasidRange__Output as _pasid_v1_PasidRange__Output } from '../../pasid/v1/PasidRange.js';
import type { Headroom as _pasid_v1_Headroom, Headroom__Output as _pasid_v1_Headroom__Output } from '../../pasid/v1/Headroom.js';
import type { Long } from '@grpc/proto-loader';

export interface AllocatePasidsResponse {
  'ranges'?: (_pasid_v1_PasidRange)[];
  'generation'?: (number | string | Long);
  'headroom'?: (_pasid_v1_Headroom | null);
}

export interface AllocatePasidsResponse__Output {
  'ranges': (_pasid_v1_PasidRange__Output)[];
  'generation': (string);
  'headroom': (_pasid_v1_Headroom__Output | null);
}

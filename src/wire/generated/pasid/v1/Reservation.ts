// Original file: proto/pasid/v1/types.proto

import type { PasidRange as _pasid_v1_PasidRange, PasidRange__Output as _pasid_v1_PasidRange__Output } from '../../pasid/v1/PasidRange.js';

export interface Reservation {
  'range'?: (_pasid_v1_PasidRange | null);
  'reason'?: (string);
}

export interface Reservation__Output {
  'range': (_pasid_v1_PasidRange__Output | null);
  'reason': (string);
}

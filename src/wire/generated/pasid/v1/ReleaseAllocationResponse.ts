// Original file: proto/pasid/v1/operator.proto

import type { Allocation as _pasid_v1_Allocation, Allocation__Output as _pasid_v1_Allocation__Output } from '../../pasid/v1/Allocation.js';

export interface ReleaseAllocationResponse {
  'allocation'?: (_pasid_v1_Allocation | null);
  'durable'?: (boolean);
}

export interface ReleaseAllocationResponse__Output {
  'allocation': (_pasid_v1_Allocation__Output | null);
  'durable': (boolean);
}

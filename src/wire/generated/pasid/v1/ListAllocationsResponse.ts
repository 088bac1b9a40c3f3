// Original file: proto/pasid/v1/operator.proto

import type { Allocation as _pasid_v1_Allocation, Allocation__Output as _pasid_v1_Allocation__Output } from '../../pasid/v1/Allocation.js';
import type { Long } from '@grpc/proto-loader';

export interface ListAllocationsResponse {
  'allocations'?: (_pasid_v1_Allocation)[];
  'nextPageToken'?: (string);
  'revision'?: (number | string | Long);
}

export interface ListAllocationsResponse__Output {
  'allocations': (_pasid_v1_Allocation__Output)[];
  'nextPageToken': (string);
  'revision': (string);
}

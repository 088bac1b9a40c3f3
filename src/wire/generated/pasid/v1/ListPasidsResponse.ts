// Original file: proto/pasid/v1/pasid_broker.proto

import type { Allocation as _pasid_v1_Allocation, Allocation__Output as _pasid_v1_Allocation__Output } from '../../pasid/v1/Allocation.js';
import type { Binding as _pasid_v1_Binding, Binding__Output as _pasid_v1_Binding__Output } from '../../pasid/v1/Binding.js';
import type { Headroom as _pasid_v1_Headroom, Headroom__Output as _pasid_v1_Headroom__Output } from '../../pasid/v1/Headroom.js';
import type { Long } from '@grpc/proto-loader';

export interface ListPasidsResponse {
  'allocations'?: (_pasid_v1_Allocation)[];
  'nextPageToken'?: (string);
  'ridBindings'?: (_pasid_v1_Binding)[];
  'revision'?: (number | string | Long);
  'headroom'?: (_pasid_v1_Headroom | null);
}

export interface ListPasidsResponse__Output {
  'allocations': (_pasid_v1_Allocation__Output)[];
  'nextPageToken': (string);
  'ridBindings': (_pasid_v1_Binding__Output)[];
  'revision': (string);
  'headroom': (_pasid_v1_Headroom__Output | null);
}

// Original file: proto/pasid/v1/pasid_broker.proto

import type { VtdS1Invalidation as _pasid_v1_VtdS1Invalidation, VtdS1Invalidation__Output as _pasid_v1_VtdS1Invalidation__Output } from '../../pasid/v1/VtdS1Invalidation.js';
import type { VtdDescriptors as _pasid_v1_VtdDescriptors, VtdDescriptors__Output as _pasid_v1_VtdDescriptors__Output } from '../../pasid/v1/VtdDescriptors.js';

export interface InvalidateRawRequest {
  'session'?: (string);
  'cacheInvalidateInfo'?: (Buffer | Uint8Array | string);
  'vtdS1'?: (_pasid_v1_VtdS1Invalidation | null);
  'vtdDescriptors'?: (_pasid_v1_VtdDescriptors | null);
  'form'?: "cacheInvalidateInfo"|"vtdS1"|"vtdDescriptors";
}

export interface InvalidateRawRequest__Output {
  'session': (string);
  'cacheInvalidateInfo'?: (Buffer);
  'vtdS1'?: (_pasid_v1_VtdS1Invalidation__Output | null);
  'vtdDescriptors'?: (_pasid_v1_VtdDescriptors__Output | null);
  'form'?: "cacheInvalidateInfo"|"vtdS1"|"vtdDescriptors";
}

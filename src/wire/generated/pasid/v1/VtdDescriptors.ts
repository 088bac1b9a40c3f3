// Original file: proto/pasid/v1/pasid_broker.proto

import type { SourceId as _pasid_v1_SourceId, SourceId__Output as _pasid_v1_SourceId__Output } from '../../pasid/v1/SourceId.js';

export interface VtdDescriptors {
  'descriptors'?: (Buffer | Uint8Array | string);
  'wide'?: (boolean);
  'sourceIds'?: (_pasid_v1_SourceId)[];
}

export interface VtdDescriptors__Output {
  'descriptors': (Buffer);
  'wide': (boolean);
  'sourceIds': (_pasid_v1_SourceId__Output)[];
}

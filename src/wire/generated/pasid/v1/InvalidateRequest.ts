// Original file: proto/pasid/v1/pasid_broker.proto

import type { InvalidationEntry as _pasid_v1_InvalidationEntry, InvalidationEntry__Output as _pasid_v1_InvalidationEntry__Output } from '../../pasid/v1/InvalidationEntry.js';

export interface InvalidateRequest {
  'session'?: (string);
  'entries'?: (_pasid_v1_InvalidationEntry)[];
}

export interface InvalidateRequest__Output {
  'session': (string);
  'entries': (_pasid_v1_InvalidationEntry__Output)[];
}

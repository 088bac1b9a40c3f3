// Original file: proto/pasid/v1/types.proto

import type { HwInfo as _pasid_v1_HwInfo, HwInfo__Output as _pasid_v1_HwInfo__Output } from '../../pasid/v1/HwInfo.js';

export interface SessionCapabilities {
  'hwInfo'?: (_pasid_v1_HwInfo | null);
  'nestingInfo'?: (Buffer | Uint8Array | string);
  'addressWidths'?: (number)[];
}

export interface SessionCapabilities__Output {
  'hwInfo': (_pasid_v1_HwInfo__Output | null);
  'nestingInfo': (Buffer);
  'addressWidths': (number)[];
}

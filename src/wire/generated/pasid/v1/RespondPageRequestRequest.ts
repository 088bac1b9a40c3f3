// Original file: proto/pasid/v1/pasid_broker.proto

import type { PageResponseCode as _pasid_v1_PageResponseCode, PageResponseCode__Output as _pasid_v1_PageResponseCode__Output } from '../../pasid/v1/PageResponseCode.js';

export interface RespondPageRequestRequest {
  'session'?: (string);
  'token'?: (Buffer | Uint8Array | string);
  'code'?: (_pasid_v1_PageResponseCode);
}

export interface RespondPageRequestRequest__Output {
  'session': (string);
  'token': (Buffer);
  'code': (_pasid_v1_PageResponseCode__Output);
}

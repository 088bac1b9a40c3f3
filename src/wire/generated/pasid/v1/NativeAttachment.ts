// Original file: proto/pasid/v1/pasid_broker.proto

import type { RidState as _pasid_v1_RidState, RidState__Output as _pasid_v1_RidState__Output } from '../../pasid/v1/RidState.js';

export interface NativeAttachment {
  'devId'?: (number);
  'parentHwptId'?: (number);
  'ridState'?: (_pasid_v1_RidState);
}

export interface NativeAttachment__Output {
  'devId': (number);
  'parentHwptId': (number);
  'ridState': (_pasid_v1_RidState__Output);
}

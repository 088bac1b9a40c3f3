// Original file: proto/pasid/v1/pasid_broker.proto

import type { IoasParent as _pasid_v1_IoasParent, IoasParent__Output as _pasid_v1_IoasParent__Output } from '../../pasid/v1/IoasParent.js';

export interface HandOver {
  'token'?: (string);
  'hwptId'?: (number);
  'ioas'?: (_pasid_v1_IoasParent | null);
  'moveRid'?: (boolean);
  'faultId'?: (number);
  'secondStage'?: "hwptId"|"ioas";
  '_faultId'?: "faultId";
}

export interface HandOver__Output {
  'token': (string);
  'hwptId'?: (number);
  'ioas'?: (_pasid_v1_IoasParent__Output | null);
  'moveRid': (boolean);
  'faultId'?: (number);
  'secondStage'?: "hwptId"|"ioas";
  '_faultId'?: "faultId";
}

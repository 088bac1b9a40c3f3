// Original file: proto/pasid/v1/pasid_broker.proto

import type { Scope as _pasid_v1_Scope, Scope__Output as _pasid_v1_Scope__Output } from '../../pasid/v1/Scope.js';
import type { NumberList as _pasid_v1_NumberList, NumberList__Output as _pasid_v1_NumberList__Output } from '../../pasid/v1/NumberList.js';
import type { PasidRange as _pasid_v1_PasidRange, PasidRange__Output as _pasid_v1_PasidRange__Output } from '../../pasid/v1/PasidRange.js';

export interface FreePasidsRequest {
  'session'?: (string);
  'requestId'?: (string);
  'scope'?: (_pasid_v1_Scope);
  'device'?: (string);
  'pasids'?: (_pasid_v1_NumberList | null);
  'range'?: (_pasid_v1_PasidRange | null);
  'what'?: "pasids"|"range";
}

export interface FreePasidsRequest__Output {
  'session': (string);
  'requestId': (string);
  'scope': (_pasid_v1_Scope__Output);
  'device': (string);
  'pasids'?: (_pasid_v1_NumberList__Output | null);
  'range'?: (_pasid_v1_PasidRange__Output | null);
  'what'?: "pasids"|"range";
}

// Original file: proto/pasid/v1/pasid_broker.proto

import type { Scope as _pasid_v1_Scope, Scope__Output as _pasid_v1_Scope__Output } from '../../pasid/v1/Scope.js';
import type { OneNumber as _pasid_v1_OneNumber, OneNumber__Output as _pasid_v1_OneNumber__Output } from '../../pasid/v1/OneNumber.js';
import type { NumberBlock as _pasid_v1_NumberBlock, NumberBlock__Output as _pasid_v1_NumberBlock__Output } from '../../pasid/v1/NumberBlock.js';
import type { NumberList as _pasid_v1_NumberList, NumberList__Output as _pasid_v1_NumberList__Output } from '../../pasid/v1/NumberList.js';

export interface AllocatePasidsRequest {
  'session'?: (string);
  'requestId'?: (string);
  'scope'?: (_pasid_v1_Scope);
  'device'?: (string);
  'one'?: (_pasid_v1_OneNumber | null);
  'block'?: (_pasid_v1_NumberBlock | null);
  'exact'?: (_pasid_v1_NumberList | null);
  'min'?: (number);
  'max'?: (number);
  'devices'?: (string)[];
  'labels'?: ({[key: string]: string});
  'ask'?: "one"|"block"|"exact";
  '_min'?: "min";
  '_max'?: "max";
}

export interface AllocatePasidsRequest__Output {
  'session': (string);
  'requestId': (string);
  'scope': (_pasid_v1_Scope__Output);
  'device': (string);
  'one'?: (_pasid_v1_OneNumber__Output | null);
  'block'?: (_pasid_v1_NumberBlock__Output | null);
  'exact'?: (_pasid_v1_NumberList__Output | null);
  'min'?: (number);
  'max'?: (number);
  'devices': (string)[];
  'labels': ({[key: string]: string});
  'ask'?: "one"|"block"|"exact";
  '_min'?: "min";
  '_max'?: "max";
}

// Original file: proto/pasid/v1/operator.proto

import type { Scope as _pasid_v1_Scope, Scope__Output as _pasid_v1_Scope__Output } from '../../pasid/v1/Scope.js';
import type { Long } from '@grpc/proto-loader';

export interface Namespace {
  'scope'?: (_pasid_v1_Scope);
  'device'?: (string);
  'capacity'?: (number);
  'reserved'?: (number);
  'free'?: (number);
  'held'?: (number);
  'freePending'?: (number);
  'quarantined'?: (number);
  'largestFreeBlock'?: (number);
  'cursor'?: (number);
  'revision'?: (number | string | Long);
  'occupancy'?: (number)[];
  'hostUsed'?: (number);
  'hostMax'?: (number);
  '_hostMax'?: "hostMax";
}

export interface Namespace__Output {
  'scope': (_pasid_v1_Scope__Output);
  'device': (string);
  'capacity': (number);
  'reserved': (number);
  'free': (number);
  'held': (number);
  'freePending': (number);
  'quarantined': (number);
  'largestFreeBlock': (number);
  'cursor': (number);
  'revision': (string);
  'occupancy': (number)[];
  'hostUsed': (number);
  'hostMax'?: (number);
  '_hostMax'?: "hostMax";
}

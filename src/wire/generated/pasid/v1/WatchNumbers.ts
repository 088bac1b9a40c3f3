// Original file: proto/pasid/v1/operator.proto

import type { Scope as _pasid_v1_Scope, Scope__Output as _pasid_v1_Scope__Output } from '../../pasid/v1/Scope.js';
import type { PasidRange as _pasid_v1_PasidRange, PasidRange__Output as _pasid_v1_PasidRange__Output } from '../../pasid/v1/PasidRange.js';
import type { AllocationState as _pasid_v1_AllocationState, AllocationState__Output as _pasid_v1_AllocationState__Output } from '../../pasid/v1/AllocationState.js';
import type { Long } from '@grpc/proto-loader';

export interface WatchNumbers {
  'scope'?: (_pasid_v1_Scope);
  'device'?: (string);
  'ranges'?: (_pasid_v1_PasidRange)[];
  'state'?: (_pasid_v1_AllocationState);
  'session'?: (string);
  'generation'?: (number | string | Long);
}

export interface WatchNumbers__Output {
  'scope': (_pasid_v1_Scope__Output);
  'device': (string);
  'ranges': (_pasid_v1_PasidRange__Output)[];
  'state': (_pasid_v1_AllocationState__Output);
  'session': (string);
  'generation': (string);
}

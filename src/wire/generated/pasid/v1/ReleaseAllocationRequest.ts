// Original file: proto/pasid/v1/operator.proto

import type { Scope as _pasid_v1_Scope, Scope__Output as _pasid_v1_Scope__Output } from '../../pasid/v1/Scope.js';
import type { Long } from '@grpc/proto-loader';

export interface ReleaseAllocationRequest {
  'pasid'?: (number);
  'scope'?: (_pasid_v1_Scope);
  'device'?: (string);
  'generation'?: (number | string | Long);
  'reason'?: (string);
  'validateOnly'?: (boolean);
}

export interface ReleaseAllocationRequest__Output {
  'pasid': (number);
  'scope': (_pasid_v1_Scope__Output);
  'device': (string);
  'generation': (string);
  'reason': (string);
  'validateOnly': (boolean);
}

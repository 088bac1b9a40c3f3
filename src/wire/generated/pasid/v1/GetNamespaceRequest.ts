// Original file: proto/pasid/v1/operator.proto

import type { Scope as _pasid_v1_Scope, Scope__Output as _pasid_v1_Scope__Output } from '../../pasid/v1/Scope.js';

export interface GetNamespaceRequest {
  'scope'?: (_pasid_v1_Scope);
  'device'?: (string);
}

export interface GetNamespaceRequest__Output {
  'scope': (_pasid_v1_Scope__Output);
  'device': (string);
}

// Original file: proto/pasid/v1/types.proto

import type { Scope as _pasid_v1_Scope, Scope__Output as _pasid_v1_Scope__Output } from '../../pasid/v1/Scope.js';
import type { AllocationState as _pasid_v1_AllocationState, AllocationState__Output as _pasid_v1_AllocationState__Output } from '../../pasid/v1/AllocationState.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.js';
import type { Binding as _pasid_v1_Binding, Binding__Output as _pasid_v1_Binding__Output } from '../../pasid/v1/Binding.js';
import type { Long } from '@grpc/proto-loader';

export interface Allocation {
  'pasid'?: (number);
  'scope'?: (_pasid_v1_Scope);
  'device'?: (string);
  'state'?: (_pasid_v1_AllocationState);
  'session'?: (string);
  'tenant'?: (string);
  'generation'?: (number | string | Long);
  'grantTime'?: (_google_protobuf_Timestamp | null);
  'labels'?: ({[key: string]: string});
  'bindings'?: (_pasid_v1_Binding)[];
}

export interface Allocation__Output {
  'pasid': (number);
  'scope': (_pasid_v1_Scope__Output);
  'device': (string);
  'state': (_pasid_v1_AllocationState__Output);
  'session': (string);
  'tenant': (string);
  'generation': (string);
  'grantTime': (_google_protobuf_Timestamp__Output | null);
  'labels': ({[key: string]: string});
  'bindings': (_pasid_v1_Binding__Output)[];
}

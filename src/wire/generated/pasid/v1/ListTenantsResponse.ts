// Original file: proto/pasid/v1/operator.proto

import type { Tenant as _pasid_v1_Tenant, Tenant__Output as _pasid_v1_Tenant__Output } from '../../pasid/v1/Tenant.js';
import type { Long } from '@grpc/proto-loader';

export interface ListTenantsResponse {
  'tenants'?: (_pasid_v1_Tenant)[];
  'nextPageToken'?: (string);
  'revision'?: (number | string | Long);
}

export interface ListTenantsResponse__Output {
  'tenants': (_pasid_v1_Tenant__Output)[];
  'nextPageToken': (string);
  'revision': (string);
}

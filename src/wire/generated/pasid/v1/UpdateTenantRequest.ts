// Original file: proto/pasid/v1/operator.proto

import type { Tenant as _pasid_v1_Tenant, Tenant__Output as _pasid_v1_Tenant__Output } from '../../pasid/v1/Tenant.js';
import type { FieldMask as _google_protobuf_FieldMask, FieldMask__Output as _google_protobuf_FieldMask__Output } from '../../google/protobuf/FieldMask.js';

export interface UpdateTenantRequest {
  'tenant'?: (_pasid_v1_Tenant | null);
  'updateMask'?: (_google_protobuf_FieldMask | null);
  'revert'?: (boolean);
  'validateOnly'?: (boolean);
  'reason'?: (string);
}

export interface UpdateTenantRequest__Output {
  'tenant': (_pasid_v1_Tenant__Output | null);
  'updateMask': (_google_protobuf_FieldMask__Output | null);
  'revert': (boolean);
  'validateOnly': (boolean);
  'reason': (string);
}

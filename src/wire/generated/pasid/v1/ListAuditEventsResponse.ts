// Original file: proto/pasid/v1/operator.proto

import type { AuditEvent as _pasid_v1_AuditEvent, AuditEvent__Output as _pasid_v1_AuditEvent__Output } from '../../pasid/v1/AuditEvent.js';

export interface ListAuditEventsResponse {
  'auditEvents'?: (_pasid_v1_AuditEvent)[];
  'nextPageToken'?: (string);
}

export interface ListAuditEventsResponse__Output {
  'auditEvents': (_pasid_v1_AuditEvent__Output)[];
  'nextPageToken': (string);
}

// Original file: proto/pasid/v1/operator.proto

import type { WatchSession as _pasid_v1_WatchSession, WatchSession__Output as _pasid_v1_WatchSession__Output } from '../../pasid/v1/WatchSession.js';
import type { WatchNumbers as _pasid_v1_WatchNumbers, WatchNumbers__Output as _pasid_v1_WatchNumbers__Output } from '../../pasid/v1/WatchNumbers.js';
import type { WatchBinding as _pasid_v1_WatchBinding, WatchBinding__Output as _pasid_v1_WatchBinding__Output } from '../../pasid/v1/WatchBinding.js';
import type { WatchAttachment as _pasid_v1_WatchAttachment, WatchAttachment__Output as _pasid_v1_WatchAttachment__Output } from '../../pasid/v1/WatchAttachment.js';
import type { AuditEvent as _pasid_v1_AuditEvent, AuditEvent__Output as _pasid_v1_AuditEvent__Output } from '../../pasid/v1/AuditEvent.js';

export interface WatchEvent {
  'session'?: (_pasid_v1_WatchSession | null);
  'numbers'?: (_pasid_v1_WatchNumbers | null);
  'binding'?: (_pasid_v1_WatchBinding | null);
  'attachment'?: (_pasid_v1_WatchAttachment | null);
  'tenant'?: (string);
  'audit'?: (_pasid_v1_AuditEvent | null);
  'event'?: "session"|"numbers"|"binding"|"attachment"|"tenant"|"audit";
}

export interface WatchEvent__Output {
  'session'?: (_pasid_v1_WatchSession__Output | null);
  'numbers'?: (_pasid_v1_WatchNumbers__Output | null);
  'binding'?: (_pasid_v1_WatchBinding__Output | null);
  'attachment'?: (_pasid_v1_WatchAttachment__Output | null);
  'tenant'?: (string);
  'audit'?: (_pasid_v1_AuditEvent__Output | null);
  'event'?: "session"|"numbers"|"binding"|"attachment"|"tenant"|"audit";
}

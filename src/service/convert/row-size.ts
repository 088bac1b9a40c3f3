/** How many bytes a row takes in a message, at most: pages are cut so that they fit one. */

import type { SessionDetail } from '../../broker/answers.js'
import type { AuditRecord } from '../../core/audit.js'
import type { Labels } from '../../core/session.js'
import type {
  AllocationView,
  BindingView,
  DeviceView,
  SessionView,
  TenantView,
} from '../../core/view.js'

/** Tags, lengths and numbers of one message with few fields. */
const SMALL = 64
/** A resource name. */
const NAME = 80

function labelsSize(labels: Labels): number {
  let size = 0
  for (const [key, value] of Object.entries(labels)) {
    size += 8 + Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  return size
}

export function bindingSize({ binding }: BindingView): number {
  return SMALL + NAME + Buffer.byteLength(binding.cause)
}

export function allocationSize(view: AllocationView): number {
  let size = SMALL + 3 * NAME + labelsSize(view.labels)
  for (const binding of view.bindings) size += bindingSize(binding)
  return size
}

export function sessionSize(view: SessionView & Partial<SessionDetail>): number {
  const stuck = view.stuck === undefined ? 0 : SMALL + Buffer.byteLength(view.stuck.problem)
  return 6 * SMALL + 2 * NAME + labelsSize(view.labels) + view.devices.length * NAME + stuck
}

export function tenantSize({ etag }: TenantView): number {
  return 2 * SMALL + 2 * NAME + Buffer.byteLength(etag)
}

export function auditSize({ subject, cause, details }: AuditRecord): number {
  const texts = Buffer.byteLength(subject) + Buffer.byteLength(cause) + Buffer.byteLength(details)
  return 2 * SMALL + NAME + texts
}

export function deviceSize(view: DeviceView): number {
  return 3 * SMALL + 2 * NAME + view.sessions.length * NAME
}

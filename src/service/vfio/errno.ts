/**
 * What the series would have said where the broker refuses: one table, by the broker's reason.
 * STATUS: no kernel says that (a ledger that cannot be written, a rate, a session that closes); the
 * call then ends with the gRPC status of the refusal.
 */

import type { Refusal, RefusalCode } from '../../core/refusal.js'
import { ERRNO, type Errno } from '../../uapi/errno.js'

const { EBUSY, EINVAL, ENODEV, ENOENT, ENOSPC, EOPNOTSUPP } = ERRNO

export const REFUSAL_ERRNO: Readonly<Record<RefusalCode, Errno | 'STATUS'>> = {
  INVALID_ARGUMENT: 'STATUS',
  PAGE_TOKEN_INVALID: 'STATUS',
  FILTER_INVALID: 'STATUS',
  FEATURE_NOT_AVAILABLE: EOPNOTSUPP,
  SESSION_NOT_FOUND: 'STATUS',
  SESSION_TOKEN_WRONG: 'STATUS',
  SESSION_CLOSING: 'STATUS',
  SESSION_LINGERING: 'STATUS',
  NOT_OWNER: 'STATUS',
  IDENTITY_REFUSED: 'STATUS',
  CALLER_ENDED: 'STATUS',
  ROLE_NOT_ALLOWED: 'STATUS',
  OWNER_TOKEN_INVALID: 'STATUS',
  OWNER_ENDED: 'STATUS',
  SESSIONS_EXHAUSTED: 'STATUS',
  REQUEST_ID_REUSED: 'STATUS',
  REQUEST_IDS_EXHAUSTED: 'STATUS',
  // The posting left it to the allocator to find that a range has nothing (Alex Williamson, v7).
  RANGE_EMPTY: ENOSPC,
  PASID_OUT_OF_RANGE: ENOSPC,
  PASID_RESERVED: ENOSPC,
  PASID_TAKEN: ENOSPC,
  // ioasid_find(): also what another holds, which then was EACCES, looks like nothing.
  PASID_NOT_FOUND: ENOENT,
  // ioasid_get() of what is IOASID_STATE_FREE_PENDING.
  PASID_BEING_FREED: EBUSY,
  QUOTA_EXCEEDED: ENOSPC,
  NAMESPACE_EXHAUSTED: ENOSPC,
  SCOPE_NOT_ALLOWED: EINVAL,
  GENERATION_STALE: 'STATUS',
  TENANT_NOT_FOUND: 'STATUS',
  ETAG_STALE: 'STATUS',
  DEVICE_NOT_FOUND: ENODEV,
  DEVICE_NOT_ATTACHED: ENODEV,
  DEVICE_ALREADY_ATTACHED: EBUSY,
  DEVICE_IN_USE: EBUSY,
  DEVICES_EXHAUSTED: EBUSY,
  DEVICE_EXISTS: 'STATUS',
  HAND_OVER_TOKEN_INVALID: 'STATUS',
  HAND_OVER_REFUSED: 'STATUS',
  DEVICE_NOT_HANDED_OVER: 'STATUS',
  MEMORY_TOKEN_INVALID: 'STATUS',
  MEMORY_REFUSED: 'STATUS',
  MEMORY_OVERLAPS: 'STATUS',
  MEMORY_NOT_FOUND: 'STATUS',
  MEMORY_EXHAUSTED: 'STATUS',
  PASID_BEYOND_DEVICE_WIDTH: EINVAL,
  GUEST_PASID_MISMATCH: EINVAL,
  GUEST_PASID_TAKEN: EINVAL,
  TABLE_UNSUPPORTED: EINVAL,
  // intel_svm_bind_gpasid(): "Already bound with PASID".
  ALREADY_BOUND: EINVAL,
  NOT_BOUND: EINVAL,
  RID_NOT_AVAILABLE: EINVAL,
  BIND_SUPERSEDED: EBUSY,
  GROUP_TABLE_MISMATCH: EINVAL,
  INVALIDATION_UNSUPPORTED: EINVAL,
  PAGE_REQUEST_NOT_FOUND: EINVAL,
  LEDGER_UNAVAILABLE: 'STATUS',
  // A device in reset, as VFIO says it today.
  BACKEND_UNAVAILABLE: EBUSY,
  BACKEND_REFUSED: EINVAL,
  OVERLOADED: 'STATUS',
  RATE_LIMITED: 'STATUS',
  DRAINING: 'STATUS',
}

/** Undefined: no errno stands for it. */
export function errnoOf(refusal: Refusal): Errno | undefined {
  const errno = REFUSAL_ERRNO[refusal.code]
  return errno === 'STATUS' ? undefined : errno
}

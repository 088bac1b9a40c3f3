/**
 * Every bound of the API and the state, each with its reason. Those that an operator may move are
 * only the defaults here; the configuration carries the value in force.
 */

import { assert } from './assert.js'

/** A naturally aligned block holds 2^n numbers, n at most this: 4096, as many as a list names. */
export const BLOCK_ORDER_MAX = 12
/** Numbers in one list (allocate exact, free by number): one block's worth. */
export const NUMBERS_PER_CALL_MAX = 4096
/** Devices named by one bind or allocation: more than a VM has. */
export const DEVICES_PER_CALL_MAX = 64
/** Devices attached to one session. */
export const DEVICES_PER_SESSION_MAX = 64
/** Entries in one Invalidate: a VT-d queue of one 4 KiB page holds 256 descriptors. */
export const INVALIDATE_ENTRIES_MAX = 512
/** Ranges of guest memory mapped for one session: a VM's memory has a few pieces and some holes. */
export const GUEST_RANGES_PER_SESSION_MAX = 64
/**
 * Of one range: with every file that may be open, no more host-physical addresses than there are.
 */
export const GUEST_RANGE_BYTES_MAX = 2 ** 40
/** Guest-physical addresses are below this: the second stage has 48 bits. */
export const GUEST_MEMORY_END = 2 ** 48
/** PASIDs a session holds unless configured: VFIO_DEFAULT_PASID_QUOTA of the 2020 series. */
export const SESSION_PASIDS_DEFAULT = 1000
export const SESSIONS_DEFAULT = 16_384
export const TENANTS_MAX = 4096
/** Depth of the tenant tree: host, site, team, project is already deep. */
export const TENANT_DEPTH_MAX = 8
export const LABELS_MAX = 16
export const LABEL_KEY_LENGTH_MAX = 63
export const LABEL_VALUE_LENGTH_MAX = 255
/** Of one session or grant, as JSON: the ledger keeps them with each number that is held. */
export const LABELS_BYTES_MAX = 1024
/** Names of devices and tenants: one DNS label. */
export const NAME_LENGTH_MAX = 63
export const RESERVATIONS_MAX = 256
export const RESERVATION_REASON_LENGTH_MAX = 255
/** A request id is remembered while it is among the newest so many of its session … */
export const REQUEST_IDS_KEPT_MIN = 1024
/** … or younger than this. */
export const REQUEST_ID_AGE_MS_MIN = 10 * 60_000
/** Request ids remembered on the whole host: 47 MB. Full = new ones are refused, none forgotten. */
export const REQUEST_IDS_DEFAULT = 1_048_576
/** Time a released number rests before it may be granted again. */
export const HOLD_MS_DEFAULT = 1000
export const HOLD_MS_MAX = 24 * 3600_000
/** 1..255 by default: the host kernel's own lowest-first allocator works there (iommu-sva.c). */
export const RESERVED_FIRST_DEFAULT = 1
export const RESERVED_LAST_DEFAULT = 255

assert(2 ** BLOCK_ORDER_MAX === NUMBERS_PER_CALL_MAX, 'a list is as large as the largest block')

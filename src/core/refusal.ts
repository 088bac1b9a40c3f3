/**
 * Every "no" that the broker can say, with the facts that its message needs. A refusal is a value:
 * it is returned, never thrown, and nothing has changed when it is. `wire/status.ts` turns each
 * into a gRPC status; docs/ERRORS.md says what the client should do.
 */

import type { PasidRange } from './range.js'

/** Which limit said no; the subject is a tenant's name, a session's name, or `host`. */
export type QuotaLevel = 'HOST' | 'TENANT' | 'SESSION'

export type Refusal =
  // -- the request itself, before any state is looked at
  | { code: 'INVALID_ARGUMENT'; field: string; value: string; bound: string; remedy: string }
  | { code: 'PAGE_TOKEN_INVALID'; remedy: string }
  | { code: 'FILTER_INVALID'; filter: string; problem: string }
  | { code: 'FEATURE_NOT_AVAILABLE'; feature: string; remedy: string }
  // -- sessions and request ids
  | { code: 'SESSION_NOT_FOUND'; session: string }
  | { code: 'SESSION_TOKEN_WRONG'; session: string }
  | { code: 'SESSION_CLOSING'; session: string }
  | { code: 'SESSION_LINGERING'; session: string }
  | { code: 'NOT_OWNER'; session: string; pid: number }
  // -- who calls
  | {
      code: 'IDENTITY_REFUSED'
      uid: number
      gid: number
      pid: number
      problem: string
      remedy: string
    }
  | { code: 'CALLER_ENDED'; pid: number }
  | { code: 'ROLE_NOT_ALLOWED'; role: string; uid: number; action: string; remedy: string }
  | { code: 'OWNER_TOKEN_INVALID'; remedy: string }
  | { code: 'OWNER_ENDED'; pid: number }
  | { code: 'SESSIONS_EXHAUSTED'; limit: number }
  | { code: 'REQUEST_ID_REUSED'; requestId: string; method: string }
  | { code: 'REQUEST_IDS_EXHAUSTED'; limit: number }
  // -- numbers
  | { code: 'RANGE_EMPTY'; asked: PasidRange; window: PasidRange; widthBits: number }
  | { code: 'PASID_OUT_OF_RANGE'; pasid: number; allowed: PasidRange }
  | { code: 'PASID_RESERVED'; pasid: number; reason: string }
  | { code: 'PASID_TAKEN'; pasid: number; scope: string }
  | { code: 'PASID_NOT_FOUND'; pasid: number; scope: string }
  | { code: 'PASID_BEING_FREED'; pasid: number }
  | {
      code: 'QUOTA_EXCEEDED'
      level: QuotaLevel
      subject: string
      limit: number
      used: number
      /** Numbers under the same limit that guarantees keep for others. */
      aside: number
      asked: number
    }
  | {
      code: 'NAMESPACE_EXHAUSTED'
      scope: string
      range: PasidRange
      asked: number
      free: number
      /** Milliseconds until a resting number may become free; absent when none rests. */
      retryMs: number | undefined
    }
  | { code: 'SCOPE_NOT_ALLOWED'; device: string; scope: string; allowed: string }
  // -- operators' acts
  | { code: 'GENERATION_STALE'; pasid: number; scope: string; generation: number; current: number }
  | { code: 'TENANT_NOT_FOUND'; tenant: string }
  | { code: 'ETAG_STALE'; tenant: string; etag: string; current: string }
  // -- devices
  | { code: 'DEVICE_NOT_FOUND'; device: string }
  | { code: 'DEVICE_NOT_ATTACHED'; device: string }
  | { code: 'DEVICE_ALREADY_ATTACHED'; device: string }
  | { code: 'DEVICE_IN_USE'; device: string }
  | { code: 'DEVICES_EXHAUSTED'; limit: number }
  | { code: 'DEVICE_EXISTS'; device: string }
  // -- devices handed over (native backend)
  | { code: 'HAND_OVER_TOKEN_INVALID'; remedy: string }
  | { code: 'HAND_OVER_REFUSED'; device: string; problem: string; remedy: string }
  | { code: 'DEVICE_NOT_HANDED_OVER'; device: string }
  // -- guest memory; ranges as `first..last` in hex
  | { code: 'MEMORY_TOKEN_INVALID'; remedy: string }
  | { code: 'MEMORY_REFUSED'; problem: string; remedy: string }
  | { code: 'MEMORY_OVERLAPS'; asked: string; mapped: string }
  | { code: 'MEMORY_NOT_FOUND'; asked: string }
  | { code: 'MEMORY_EXHAUSTED'; limit: number }
  // -- bindings
  | { code: 'PASID_BEYOND_DEVICE_WIDTH'; pasid: number; device: string; widthBits: number }
  | { code: 'GUEST_PASID_MISMATCH'; pasid: number; guestPasid: number; device: string }
  | { code: 'GUEST_PASID_TAKEN'; guestPasid: number; device: string; pasid: number }
  | { code: 'TABLE_UNSUPPORTED'; device: string; field: string; value: string; supported: string }
  | { code: 'ALREADY_BOUND'; device: string; target: number }
  | { code: 'NOT_BOUND'; device: string; target: number }
  | { code: 'RID_NOT_AVAILABLE'; device: string }
  | { code: 'BIND_SUPERSEDED'; device: string; target: number }
  | { code: 'GROUP_TABLE_MISMATCH'; device: string; target: number; group: string; other: string }
  | { code: 'INVALIDATION_UNSUPPORTED'; entry: number; granularity: string; caches: string }
  | { code: 'PAGE_REQUEST_NOT_FOUND'; remedy: string }
  // -- the world behind the broker, and its own state
  | { code: 'LEDGER_UNAVAILABLE'; retryMs: number }
  | { code: 'BACKEND_UNAVAILABLE'; device: string; problem: string; retryMs: number }
  | { code: 'BACKEND_REFUSED'; device: string; problem: string }
  | { code: 'OVERLOADED'; limit: number; what: string }
  | { code: 'RATE_LIMITED'; tenant: string; method: string; limit: number; retryMs: number }
  | { code: 'DRAINING' }

export type RefusalCode = Refusal['code']
export type RefusalOf<Code extends RefusalCode> = Extract<Refusal, { code: Code }>

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly refusal: Refusal }

export function accept<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value }
}

/** Nothing to hand on but that it may be. */
export const ACCEPTED = accept(undefined)

export function refuse(refusal: Refusal): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal }
}

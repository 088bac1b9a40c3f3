/**
 * What can happen to the state, each with before and after, so that `revert` undoes it exactly.
 * The ledger stores these and nothing else (`ledger/codec.ts`).
 */

import type { AuditRecord } from './audit.js'
import type { Binding } from './binding.js'
import type {
  DeviceId,
  Generation,
  InstantMs,
  NamespaceId,
  SessionId,
  TenantId,
  WallMs,
} from './ids.js'
import type { TenantOverride } from './quota.js'
import type { PasidRun } from './range.js'
import type { RequestRecord } from './requests.js'
import type { AttachmentState, Labels, SessionRecord } from './session.js'

export interface TenantRegistered {
  readonly kind: 'tenant-registered'
  readonly id: TenantId
  readonly name: string
}

/** An operator changed its limits at run time. Undefined: those of the configuration. */
export interface TenantChanged {
  readonly kind: 'tenant-changed'
  readonly id: TenantId
  readonly before: TenantOverride | undefined
  readonly after: TenantOverride | undefined
}

export interface DeviceRegistered {
  readonly kind: 'device-registered'
  readonly id: DeviceId
  readonly name: string
}

/** Opened (no before), lingering, handed over, closing, or closed (no after). */
export interface SessionChanged {
  readonly kind: 'session-changed'
  readonly before: SessionRecord | undefined
  readonly after: SessionRecord | undefined
}

export interface AttachmentChanged {
  readonly kind: 'attachment-changed'
  readonly session: SessionId
  readonly device: DeviceId
  readonly before: AttachmentState | undefined
  readonly after: AttachmentState | undefined
}

/** Numbers became held: from free to HELD. */
export interface Granted {
  readonly kind: 'granted'
  readonly namespace: NamespaceId
  readonly session: SessionId
  readonly tenant: TenantId
  readonly runs: readonly PasidRun[]
  readonly generation: Generation
  readonly at: WallMs
  readonly labels: Labels | undefined
  readonly cursorBefore: number
  readonly cursorAfter: number
}

/** The owner gave bound numbers back: HELD to FREE_PENDING, until the backend's word. */
export interface FreeBegun {
  readonly kind: 'free-begun'
  readonly namespace: NamespaceId
  readonly session: SessionId
  readonly runs: readonly PasidRun[]
}

/** Nothing is bound to the numbers any more: to QUARANTINED, from where time makes them free. */
export interface Released {
  readonly kind: 'released'
  readonly namespace: NamespaceId
  readonly session: SessionId
  readonly tenant: TenantId
  readonly runs: readonly PasidRun[]
  readonly from: 'HELD' | 'FREE_PENDING'
  /** End of the hold on this process's monotonic clock; not stored: it restarts whole. */
  readonly until: InstantMs
}

export interface BindingChanged {
  readonly kind: 'binding-changed'
  readonly before: Binding | undefined
  readonly after: Binding | undefined
}

/** A request id was used: its answer can be given again. */
export interface RequestKept {
  readonly kind: 'request-kept'
  readonly record: RequestRecord
}

/** For operators; nothing of the state follows from it. At most one a change. */
export interface Audited {
  readonly kind: 'audited'
  readonly record: AuditRecord
}

export type Event =
  | TenantRegistered
  | TenantChanged
  | DeviceRegistered
  | SessionChanged
  | AttachmentChanged
  | Granted
  | FreeBegun
  | Released
  | BindingChanged
  | RequestKept
  | Audited

/** The events of one command: committed together, under one revision. */
export interface Change {
  readonly revision: number
  readonly events: readonly Event[]
}

/**
 * What still holds of a change whose commit failed. What the backend has already done cannot be
 * undone by forgetting it, so those events are queued again, with the request id that they were
 * asked under (its answer has been given) and the audit record. The rest is undone and refused.
 */
export function keptOf(change: Change): Event[] {
  if (!change.events.some(outlivesFailedCommit)) return []
  return change.events.filter((event) => {
    return ALONG.includes(event.kind) || outlivesFailedCommit(event)
  })
}

const ALONG: readonly Event['kind'][] = ['request-kept', 'audited']

/** The events under another revision: a remembered request carries that of its change. */
export function renumbered(events: readonly Event[], revision: number): Event[] {
  return events.map((event) => {
    if (event.kind !== 'request-kept') return event
    return { ...event, record: { ...event.record, revision } }
  })
}

/** Whether its numbers may be attached somewhere is a fact, and nothing else has changed. */
export function isOfDoubt({ before, after }: SessionChanged): boolean {
  if (before === undefined || after === undefined) return false
  return before.state === after.state && before.unproven !== after.unproven
}

/** By itself; what goes with it is in keptOf(). */
export function outlivesFailedCommit(event: Event): boolean {
  switch (event.kind) {
    case 'free-begun':
    case 'released':
    case 'binding-changed':
      return true
    case 'session-changed':
      // Taking one over is refused like opening one; what ends one goes on.
      return event.before !== undefined && (event.after?.state !== 'OPEN' || isOfDoubt(event))
    case 'attachment-changed':
      return event.before !== undefined
    case 'tenant-registered':
    case 'tenant-changed':
    case 'device-registered':
    case 'audited':
    case 'granted':
    case 'request-kept':
      return false
  }
}

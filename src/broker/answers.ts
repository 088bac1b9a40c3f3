/** What the broker's methods answer, and what it tells a session's owner unasked. */

import type { BackendHealth, NativeAttachment } from '../backend/backend.js'
import type {
  AllocationView,
  AllocationPosition,
  BindingView,
  DeviceView,
  HeadroomView,
  SessionView,
} from '../core/view.js'
import type { DeviceFacts } from '../core/device.js'
import type { Change } from '../core/events.js'
import type { PasidRun } from '../core/range.js'
import type { SessionId, Target } from '../core/ids.js'
import type { SessionState } from '../core/session.js'
import type { AllocationFilter } from '../core/view.js'

/** For rooms that do not know the backend's door. */
export type {
  BackendHealth,
  HandedFd,
  HandOver,
  NativeAttachment,
  Parent,
  RidState,
} from '../backend/backend.js'
export type { AuditQuery, AuditRow } from '../ledger/ledger.js'

export interface OpenedSession {
  readonly session: SessionDetail
}

export interface AllocatedPasids {
  readonly runs: readonly PasidRun[]
  readonly generation: number
  readonly headroom: HeadroomView
}

/** `durable` false: carried out, not recorded yet, and will be. */
export interface FreedPasids {
  readonly freed: number
  readonly durable: boolean
  /** Undefined where the session is gone. */
  readonly headroom: HeadroomView | undefined
}

/** As it was before: what an operator's act breaks. `durable` as in FreedPasids. */
export interface EndedSession {
  readonly session: SessionView
  readonly durable: boolean
}

export interface ReleasedAllocation {
  readonly allocation: AllocationView
  readonly durable: boolean
}

/** Teardown that keeps failing. */
export interface StuckView {
  readonly sinceWall: number
  readonly attempts: number
  readonly problem: string
}

/** A session with what is left of its limits and, for operators, what is stuck. */
export interface SessionDetail extends SessionView {
  /** HOST scope. */
  readonly headroom: HeadroomView
  readonly stuck: StuckView | undefined
}

export interface ReclaimView {
  readonly breakerOpen: boolean
  /** Wall clock; undefined while closed. */
  readonly breakerAt: number | undefined
  /** Held back by the breaker. */
  readonly withheldSessions: number
  readonly withheldPasids: number
  /** Held back until it is proven that nothing of theirs is attached. A session may be both. */
  readonly unprovenSessions: number
  readonly unprovenPasids: number
  readonly breakerShare: number
  readonly breakerFloor: number
  readonly unknownOwners: number
  readonly watchedOwners: number
  readonly unwatchedOwners: number
  readonly sweepLooked: number
  readonly sweepMs: number
  readonly unfinishedSweeps: number
  /** Wall clock of the newest whole pass; undefined before the first. */
  readonly passAt: number | undefined
  /** At most STUCK_LISTED_MAX of them. */
  readonly stuck: readonly SessionDetail[]
  readonly stuckCount: number
  readonly backend: BackendHealth
}

/** What a watcher is told next. */
export type WatchStep =
  | { readonly kind: 'change'; readonly change: Change }
  /** Changes were missed: what comes is after `revision`. */
  | { readonly kind: 'resync'; readonly revision: number; readonly reason: string }

/** A place in the sequence of durable changes. Holds nothing back: who is slow is resynced. */
export interface WatchCursor {
  /** Changes after it will come. */
  readonly revision: number
  /** The next, or undefined when there is none yet. */
  next(): WatchStep | undefined
  /** Ends it; `wake` is not called any more. */
  close(): void
}

export interface DetachedDevice {
  readonly unbound: number
  readonly durable: boolean
}

export interface BoundPasid {
  readonly revision: number
  /** By device, in the order asked, where the backend has one: of the VMM's own iommufd. */
  readonly hwpts: readonly { readonly device: string; readonly hwpt: number }[]
}

/** As operators see it. */
export interface ListedDevice extends DeviceView {
  /** In the backend's hands, for one of `sessions`. */
  readonly handedOver: boolean
}

export interface AttachedDevice {
  readonly device: DeviceView
  /** Undefined unless the device is in the broker's hands. */
  readonly native: NativeAttachment | undefined
}

export interface UnboundPasids {
  readonly unbound: number
  readonly revision: number
}

export interface Invalidated {
  readonly done: number
  readonly lost: readonly BindingView[]
}

/** Of the session's devices: what its guest's invalidation queue is read by. */
export interface RawView {
  readonly facts: readonly DeviceFacts[]
  /** What is bound on the device under a guest PASID; 0 is the RID. */
  targetOf(device: string, guestPasid: number): Target | undefined
}

/** A list as of a durable revision. */
export interface Page<Row, Position> {
  readonly rows: readonly Row[]
  readonly next: Position | undefined
  readonly revision: number
}

export interface OwnPage extends Page<AllocationView, AllocationPosition> {
  /** HOST scope. */
  readonly headroom: HeadroomView
  /** On the last page only. */
  readonly ridBindings: readonly BindingView[]
}

export interface ListRequest {
  readonly after: AllocationPosition | undefined
  readonly limit: number
  readonly filter: AllocationFilter
}

/** Rows after the one named, by a list's own order. */
export interface NamedPageRequest {
  readonly after: string | undefined
  readonly limit: number
}

export interface SessionsRequest {
  /** Session id. */
  readonly after: number | undefined
  readonly limit: number
  readonly tenant: string | undefined
  readonly state: SessionState | undefined
  readonly device: string | undefined
}

export interface NamespaceView {
  readonly scope: 'HOST' | 'DEVICE'
  readonly device: string
  readonly capacity: number
  readonly reserved: number
  readonly free: number
  readonly held: number
  readonly freePending: number
  readonly quarantined: number
  readonly largestFreeBlock: number
  readonly cursor: number
  /** Numbers not free in each of 256 equal parts. */
  readonly occupancy: readonly number[]
  readonly hostUsed: number
  readonly hostMax: number | undefined
  readonly revision: number
}

export interface Problem {
  readonly against: 'invariant' | 'ledger' | 'backend'
  readonly description: string
}

export interface CheckReport {
  readonly revision: number
  /** At most PROBLEMS_MAX of them. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  readonly allocations: number
  readonly sessions: number
  readonly bindings: number
}

export interface BrokerInfo {
  readonly incarnation: string
  readonly ledgerId: string
  readonly recoveredRevision: number
  readonly durableRevision: number
  readonly backend: 'emulator' | 'vfio'
  readonly startedAt: number
  readonly holdMs: number
  readonly lingerMsMax: number
  readonly writable: boolean
}

export interface RequestedPage {
  readonly address: bigint
  readonly read: boolean
  readonly write: boolean
  readonly execute: boolean
  readonly privileged: boolean
}

/** What a session's owner hears on its Control stream. */
export type SessionEvent =
  | { readonly kind: 'binding-lost'; readonly binding: BindingView }
  | { readonly kind: 'session-ended'; readonly cause: string }
  | { readonly kind: 'quota-changed'; readonly headroom: HeadroomView }
  | {
      readonly kind: 'page-request'
      readonly token: Uint8Array
      readonly device: string
      readonly target: Target
      readonly pages: readonly RequestedPage[]
      readonly deadlineAt: number
    }
  | {
      readonly kind: 'device-faults'
      readonly faults: readonly DeviceFaultView[]
      /** Further ones that were not kept. */
      readonly lost: number
    }
  | { readonly kind: 'device-reset'; readonly device: string; readonly done: boolean }

/** A fault of a session's binding. */
export interface DeviceFaultView {
  readonly device: string
  readonly target: Target
  /** VT-d fault reason, 8 bits. */
  readonly reason: number
  readonly name: string
  readonly address: bigint
  readonly write: boolean
  readonly execute: boolean
  readonly privileged: boolean
}

export interface Subscription {
  close(): void
}

export interface Subscriber {
  readonly session: SessionId
  readonly receivePageRequests: boolean
  /** Bindings that are LOST by now are told at once, at most so many. Absent: none. */
  readonly lostToldMax?: number | undefined
  /** Called with the events of the session, in order; must not throw. */
  deliver(event: SessionEvent): void
}

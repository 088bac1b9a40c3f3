/** What the broker needs of the world beside its doors: time, chance, and somebody to tell. */

import type { InstantMs, WallMs } from '../core/ids.js'
import type { Liveness, ProcessId } from '../core/owner.js'
import type { RefusalCode } from '../core/refusal.js'
import type { EndCause } from '../core/session.js'

export interface Clock {
  /** Monotonic. */
  instant(): InstantMs
  wall(): WallMs
  /** Calls back once after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void
}

export interface Chance {
  /** Fresh bytes that nobody can guess. */
  bytes(count: number): Uint8Array
}

export interface WatchedOwner {
  /** Whether the kernel says that the process has ended; cheap. */
  ended(): boolean
  /** `ended` is not called any more. Once. */
  stop(): void
}

/** What the kernel knows of processes. Each call returns at once. */
export interface Owners {
  /**
   * Calls `ended` once, in a turn of its own, when the process ends. GONE: it had ended before, or
   * the pid is another's by now. UNWATCHED: it cannot be watched (no pidfds, or as many as may be
   * are open); sweeps look after it.
   */
  watch(owner: ProcessId, ended: () => void): WatchedOwner | 'GONE' | 'UNWATCHED'
  probe(owner: ProcessId): Liveness
}

export interface Reclaimed {
  readonly cause: EndCause | 'REBOOT'
  /** Name, or empty for many at once. */
  readonly session: string
  readonly sessions: number
  readonly pasids: number
  /** How long the session had been open. */
  readonly ageMs: number
  readonly ownerPid: number | undefined
}

/**
 * How a page request's wait for an answer ended: the VMM gave one; its deadline was over; the
 * session had too many waiting; or none is needed: a drain, a reset, or the device is gone.
 */
export type PageRequestEnd = 'answered' | 'deadline' | 'overflow' | 'dropped'

export interface Sweep {
  readonly looked: number
  readonly proven: number
  readonly inferred: number
  readonly unknown: number
  readonly tookMs: number
  /** Whether it came to the end of all sessions. */
  readonly whole: boolean
}

/** Facts for logs and metrics; the broker itself never logs. Each call returns at once. */
export interface Telemetry {
  committed(batch: { changes: number; events: number; tookMs: number }): void
  commitFailed(fault: { message: string; undone: number; kept: number }): void
  ledgerRecovered(facts: { revision: number; downMs: number }): void
  refused(code: RefusalCode): void
  backendFault(fault: { device: string; operation: string; message: string }): void
  /** Descriptors that an earlier life left, and that are let go of at start. */
  keptLetGo(facts: { device: string; session: string; why: string }): void
  bindingLost(facts: { device: string; target: number; cause: string }): void
  pageRequestEnded(end: PageRequestEnd): void
  reclaimed(facts: Reclaimed): void
  swept(sweep: Sweep): void
  breakerOpened(facts: { inferred: number; looked: number; share: number }): void
  breakerClosed(facts: { sessions: number; pasids: number }): void
  /** Whether an ended session's numbers are attached somewhere is open, or is not any more. */
  unproven(facts: {
    session: string
    pasids: number
    how: 'BEGUN' | 'SEEN_CLOSED' | 'HOLD_OVER'
  }): void
  /** A teardown has kept failing for long; told once a job. */
  stuck(facts: { session: string; attempts: number; problem: string }): void
  /** A promise that nobody waits for failed: a bug. The daemon stops. */
  bug(error: unknown): void
}

export interface Ports {
  readonly clock: Clock
  readonly chance: Chance
  readonly owners: Owners
  readonly telemetry: Telemetry
}

/** What the broker needs of the world beside its doors: time, chance, and somebody to tell. */

import type { InstantMs, WallMs } from '../core/ids.js'
import type { RefusalCode } from '../core/refusal.js'

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

/** Facts for logs and metrics; the broker itself never logs. Each call returns at once. */
export interface Telemetry {
  committed(batch: { changes: number; events: number; tookMs: number }): void
  commitFailed(fault: { message: string; undone: number; kept: number }): void
  ledgerRecovered(facts: { revision: number; downMs: number }): void
  refused(code: RefusalCode): void
  backendFault(fault: { device: string; operation: string; message: string }): void
  bindingLost(facts: { device: string; target: number; cause: string }): void
  reclaimed(facts: { cause: string; sessions: number; pasids: number }): void
  /** A promise that nobody waits for failed: a bug. The daemon stops. */
  bug(error: unknown): void
}

export interface Ports {
  readonly clock: Clock
  readonly chance: Chance
  readonly telemetry: Telemetry
}

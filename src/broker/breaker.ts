/**
 * The circuit breaker: a sweep that infers the end of too many owners may itself be what is wrong
 * (a pid namespace mixed up, a kernel without the proof). Then numbers are held back until an
 * operator says so. Tables are cleared all the same, and deaths that the kernel confirms never
 * count.
 */

import type { Context } from './context.js'

export interface BreakerLimits {
  /** Percent of the owners looked at in one pass; more inferred deaths open it. 100 = never. */
  readonly breakerShare: number
  /** So many never open it. */
  readonly breakerFloor: number
}

export class Breaker {
  readonly #context: Context
  readonly #limits: BreakerLimits
  #openedAt: number | undefined

  constructor(context: Context, limits: BreakerLimits) {
    this.#context = context
    this.#limits = limits
    // What it held back before a restart is held back still.
    for (const { record } of context.state.sessions.values()) {
      if (record.withheld) this.#openedAt = context.ports.clock.wall()
    }
  }

  get open(): boolean {
    return this.#openedAt !== undefined
  }

  /** Wall clock, or undefined while closed. */
  get openedAt(): number | undefined {
    return this.#openedAt
  }

  get limits(): BreakerLimits {
    return this.#limits
  }

  /** At the end of a pass: true when these open it. */
  judge(inferred: number, looked: number): boolean {
    const { breakerShare: share, breakerFloor: floor } = this.#limits
    if (this.open || inferred <= floor || inferred * 100 <= share * looked) return false
    this.#openedAt = this.#context.ports.clock.wall()
    this.#context.ports.telemetry.breakerOpened({ inferred, looked, share })
    return true
  }

  close(resumed: { readonly sessions: number; readonly pasids: number }): void {
    this.#openedAt = undefined
    this.#context.ports.telemetry.breakerClosed(resumed)
  }
}

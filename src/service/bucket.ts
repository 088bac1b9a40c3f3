/**
 * A token bucket: `perSecond` on average, `burst` at once after a pause. Kept as one number, the
 * moment at which the bucket would be full again (the generic cell rate algorithm, ITU-T I.371), so
 * that the check costs a hot path two comparisons and nothing has to be filled up in between.
 */

import { assert } from '../core/assert.js'

export interface Rate {
  /** 0 = no limit. */
  readonly perSecond: number
  readonly burst: number
}

export class Bucket {
  readonly perSecond: number
  readonly #intervalMs: number
  /** How far ahead the bucket may be emptied. */
  readonly #aheadMs: number
  #fullAt = -Infinity

  constructor({ perSecond, burst }: Rate) {
    assert(perSecond >= 0 && burst >= 1, 'a rate and a burst')
    this.perSecond = perSecond
    this.#intervalMs = perSecond === 0 ? 0 : 1000 / perSecond
    this.#aheadMs = (burst - 1) * this.#intervalMs
  }

  /** Milliseconds until a token is there; 0 when there is one. */
  waitMs(now: number): number {
    return Math.max(0, this.#fullAt - this.#aheadMs - now)
  }

  /**
   * Takes a token, one that is not there yet if need be: answers how long the taker must wait for
   * it, in the order of taking.
   */
  take(now: number): number {
    if (this.#fullAt < now) this.#fullAt = now
    const waitMs = this.#fullAt - this.#aheadMs - now
    this.#fullAt += this.#intervalMs
    return waitMs > 0 ? waitMs : 0
  }

  /** A full bucket is as good as a new one. */
  isFull(now: number): boolean {
    return this.#fullAt <= now
  }
}

/** Bounds the calls and stream commands under way: on one socket, or of one tenant. */

import { assert } from '../core/assert.js'

export class CallsInFlight {
  #count = 0

  constructor(readonly limit: number) {}

  get count(): number {
    return this.#count
  }

  /** False: no more may begin. Pairs with leave(). */
  enter(): boolean {
    if (this.#count >= this.limit) return false
    this.#count += 1
    return true
  }

  leave(): void {
    assert(this.#count > 0, 'a call that entered')
    this.#count -= 1
  }
}

/**
 * Numbers at rest: released, and not yet free. A number leaves only when its hold is over *and* its
 * release is durable, in the order of release. Time alone moves them: no event does.
 */

import { assert } from './assert.js'
import type { InstantMs, NamespaceId, TenantId } from './ids.js'
import type { PasidRun } from './range.js'

export interface Resting {
  readonly namespace: NamespaceId
  readonly tenant: TenantId
  readonly runs: readonly PasidRun[]
  readonly until: InstantMs
  readonly revision: number
}

/** A queue in an array: `#gone` entries at its front have left; they are dropped in bulk. */
export class Quarantine {
  #entries: Resting[] = []
  #gone = 0

  get size(): number {
    return this.#entries.length - this.#gone
  }

  push(resting: Resting): void {
    this.#entries.push(resting)
  }

  /** Pairs with push(): undoes the newest. */
  pop(): Resting {
    assert(this.size > 0, 'a resting entry to take back')
    const newest = this.#entries.pop()
    assert(newest !== undefined, 'the newest resting entry')
    return newest
  }

  /** The next to leave, or undefined when none may leave yet. */
  takeLapsed(now: InstantMs, durable: number): Resting | undefined {
    const head = this.#entries[this.#gone]
    if (head === undefined || head.until > now || head.revision > durable) return undefined
    this.#gone += 1
    if (this.#gone > 1024 && this.#gone * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#gone)
      this.#gone = 0
    }
    return head
  }

  /** When the next number may become free, whatever the ledger does. */
  nextUntil(): InstantMs | undefined {
    return this.#entries[this.#gone]?.until
  }

  *entries(): Generator<Resting> {
    for (let i = this.#gone; i < this.#entries.length; i += 1) {
      const entry = this.#entries[i]
      if (entry !== undefined) yield entry
    }
  }
}

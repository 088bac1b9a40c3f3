/**
 * Failures that tests and the lab order in advance: the next effects on a device fail with a
 * BackendFault. Asked by the emulator before each effect, and between the two halves of a replace.
 */

import { assert } from '../../core/assert.js'
import { BackendFault } from '../backend.js'

export type Effect =
  | 'attachDevice'
  | 'detachDevice'
  | 'bind'
  | 'replace'
  | 'unbind'
  | 'invalidate'
  | 'respond'

export interface InjectedFault {
  readonly kind: BackendFault['kind']
  /** How many effects fail, 1 or more. */
  readonly times: number
  /** Which kind of effect; absent = any. */
  readonly effect?: Effect
  /** Effects of that kind that succeed first: to fail the n-th of a sweep. */
  readonly skip?: number
  /** START: before anything is touched. SET_UP: in a replace, after the old table's teardown. */
  readonly at?: 'START' | 'SET_UP'
}

interface Pending {
  readonly fault: InjectedFault
  skip: number
  times: number
}

export class FaultPlan {
  readonly #pending: Pending[] = []

  inject(fault: InjectedFault): void {
    assert(Number.isSafeInteger(fault.times) && fault.times >= 1, `fault times: ${fault.times}`)
    this.#pending.push({ fault, skip: fault.skip ?? 0, times: fault.times })
  }

  clear(): void {
    this.#pending.length = 0
  }

  /** The fault that this effect meets, if one was ordered; it is counted as met. */
  take(effect: Effect, at: 'START' | 'SET_UP', device: string): BackendFault | undefined {
    for (const [index, pending] of this.#pending.entries()) {
      const { fault } = pending
      if ((fault.at ?? 'START') !== at) continue
      if (fault.effect !== undefined && fault.effect !== effect) continue
      if (pending.skip > 0) {
        pending.skip -= 1
        continue
      }
      pending.times -= 1
      if (pending.times === 0) this.#pending.splice(index, 1)
      return new BackendFault(`injected: ${effect} on ${device}`, fault.kind)
    }
    return undefined
  }
}

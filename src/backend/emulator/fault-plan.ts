/**
 * Failures that tests and the lab order in advance, of one device: the next effects on it fail with
 * a BackendFault, or take long; or it is dead: every effect fails with STOP and nothing comes from
 * it. Asked by the emulator before each effect, and between the two halves of a replace. No clock:
 * a delay is answered in milliseconds, and waited for by who asks.
 */

import { assert } from '../../core/assert.js'
import { BackendFault } from '../backend.js'
import type { LabEffect, LabFailure } from '../lab.js'

export type Effect = LabEffect

/** A FAIL as most tests order it. */
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

export function failureOf({ kind, times, effect, skip, at }: InjectedFault): LabFailure {
  const afterTeardown = at === 'SET_UP'
  return { kind: 'FAIL', as: kind, effect, skip: skip ?? 0, times, afterTeardown }
}

type Ordered<Kind extends 'FAIL' | 'SLOW'> = Extract<LabFailure, { readonly kind: Kind }>

interface Pending<Failure> {
  readonly failure: Failure
  skip: number
  times: number
}

export class FaultPlan {
  readonly #fails: Pending<Ordered<'FAIL'>>[] = []
  readonly #slows: Pending<Ordered<'SLOW'>>[] = []
  #dead = false

  /** Until the plan is cleared. */
  get dead(): boolean {
    return this.#dead
  }

  inject(failure: LabFailure): void {
    if (failure.kind === 'DEAD') {
      this.#dead = true
      return
    }
    const { skip, times } = failure
    assert(Number.isSafeInteger(skip) && skip >= 0, `effects skipped: ${skip}`)
    if (failure.kind === 'SLOW') {
      assert(Number.isSafeInteger(times) && times >= 0, `slow effects: ${times}`)
      assert(failure.ms >= 1, `slowness of ${failure.ms} ms`)
      // 0: until cleared.
      this.#slows.push({ failure, skip, times: times === 0 ? Infinity : times })
    } else {
      assert(Number.isSafeInteger(times) && times >= 1, `fault times: ${times}`)
      this.#fails.push({ failure, skip, times })
    }
  }

  clear(): void {
    this.#fails.length = 0
    this.#slows.length = 0
    this.#dead = false
  }

  /** The fault that this effect meets, if one was ordered; it is counted as met. */
  take(effect: Effect, at: 'START' | 'SET_UP', device: string): BackendFault | undefined {
    if (this.#dead) return new BackendFault(`${device} is dead`, 'STOP')
    const isThere = ({ afterTeardown }: Ordered<'FAIL'>): boolean => {
      return afterTeardown === (at === 'SET_UP')
    }
    const fail = met(this.#fails, effect, isThere)
    return fail && new BackendFault(`injected: ${effect} on ${device}`, fail.as)
  }

  /** Milliseconds that this effect takes longer, at its start; it is counted as met. */
  delay(effect: Effect): number {
    if (this.#slows.length === 0) return 0
    return met(this.#slows, effect, () => true)?.ms ?? 0
  }
}

/** The first that was ordered for the effect and is due. */
function met<Failure extends Ordered<'FAIL' | 'SLOW'>>(
  pendings: Pending<Failure>[],
  effect: Effect,
  isThere: (failure: Failure) => boolean,
): Failure | undefined {
  for (const [index, pending] of pendings.entries()) {
    const { failure } = pending
    if (!isThere(failure)) continue
    if (failure.effect !== undefined && failure.effect !== effect) continue
    if (pending.skip > 0) {
      pending.skip -= 1
      continue
    }
    pending.times -= 1
    if (pending.times === 0) pendings.splice(index, 1)
    return failure
  }
  return undefined
}

/**
 * Deaths to be carried out: each once, the oldest first, a bounded number at a time, so that the
 * living do not wait for the dead. What is slow to end (a device that does not answer) gives its
 * place up after a while and goes on beside the others.
 */

import type { SessionId } from '../core/ids.js'
import { sameProcess, type ProcessId } from '../core/owner.js'
import type { EndCause } from '../core/session.js'
import type { Context } from './context.js'

/** How a death was noticed. */
export type Noticed = Extract<EndCause, 'EXIT' | 'SWEEP' | 'INFERRED'>

export interface Death {
  readonly session: SessionId
  readonly owner: ProcessId
  readonly noticed: Noticed
}

/** Sessions reclaimed at once. */
export const RECLAIMS_AT_ONCE = 64
/** Numbers that they hold together: a grant waits for what they commit. A larger one goes alone. */
export const RECLAIM_PASIDS_AT_ONCE = 128
/** How long one keeps its place. */
export const RECLAIM_PLACE_MS = 1000

function sameDeath(a: Death, b: Death): boolean {
  return a.session === b.session && sameProcess(a.owner, b.owner)
}

export class ReclaimQueue {
  readonly #context: Context
  readonly #carryOut: (death: Death) => Promise<void>
  readonly #waiting = new Map<SessionId, Death>()
  readonly #underWay = new Map<Death, Promise<void>>()
  readonly #timers = new Set<() => void>()
  /** Taken by those under way. */
  #places = 0
  #pasids = 0
  #stopped = false

  constructor(context: Context, carryOut: (death: Death) => Promise<void>) {
    this.#context = context
    this.#carryOut = carryOut
  }

  add(death: Death): void {
    if ([...this.#underWay.keys()].some((other) => sameDeath(other, death))) return
    const before = this.#waiting.get(death.session)
    // The kernel's word takes the place of an inference.
    if (before !== undefined && sameDeath(before, death) && before.noticed !== 'INFERRED') return
    this.#waiting.set(death.session, death)
    this.#next()
  }

  /** Nothing of the session is waiting or under way any more, or the queue has stopped. */
  async settled(session: SessionId): Promise<void> {
    while (!this.#stopped && this.#has(session)) await Promise.race(this.#underWay.values())
  }

  #has(session: SessionId): boolean {
    if (this.#waiting.has(session)) return true
    return [...this.#underWay.keys()].some((death) => death.session === session)
  }

  /** Nothing is under way any more, or the time is over. */
  async idle(ms: number): Promise<void> {
    let cancel: (() => void) | undefined
    const late = new Promise<'LATE'>((resolve) => {
      cancel = this.#after(ms, () => resolve('LATE'))
    })
    while (this.#underWay.size > 0) {
      if ((await Promise.race([...this.#underWay.values(), late])) === 'LATE') return
    }
    cancel?.()
  }

  stop(): void {
    this.#stopped = true
    for (const cancel of [...this.#timers]) cancel()
  }

  #next(): void {
    while (!this.#stopped && this.#places < RECLAIMS_AT_ONCE) {
      const [death] = this.#waiting.values()
      if (death === undefined) return
      const held = this.#context.state.sessions.get(death.session)?.held ?? 0
      if (this.#places > 0 && this.#pasids + held > RECLAIM_PASIDS_AT_ONCE) return
      this.#waiting.delete(death.session)
      this.#begin(death, held)
    }
  }

  #begin(death: Death, held: number): void {
    this.#places += 1
    this.#pasids += held
    let hasPlace = true
    const leave = (): void => {
      if (!hasPlace) return
      hasPlace = false
      this.#places -= 1
      this.#pasids -= held
      this.#next()
    }
    const cancel = this.#after(RECLAIM_PLACE_MS, leave)
    const done = this.#carryOut(death)
      .catch((error: unknown) => this.#context.ports.telemetry.bug(error))
      .then(() => {
        cancel()
        this.#underWay.delete(death)
        leave()
      })
    this.#underWay.set(death, done)
  }

  #after(ms: number, run: () => void): () => void {
    const cancelTimer = this.#context.ports.clock.after(ms, () => {
      this.#timers.delete(cancel)
      run()
    })
    const cancel = (): void => {
      this.#timers.delete(cancel)
      cancelTimer()
    }
    this.#timers.add(cancel)
    return cancel
  }
}

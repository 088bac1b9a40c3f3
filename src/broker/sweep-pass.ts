/**
 * One look at the owner of every open session, in as many steps as it takes. Holds: the event loop
 * turns in between, and what is inferred is judged only when all have been looked at.
 */

import type { SessionId } from '../core/ids.js'
import type { ProcessId } from '../core/owner.js'
import type { Tenant } from '../core/quota.js'
import type { Context } from './context.js'
import { Turns } from './turns.js'

/** Owners looked at before the clock is read again. */
const LOOKS_A_STRETCH = 64

export interface LostOwner {
  readonly session: SessionId
  readonly owner: ProcessId
}

/** What one sweep did of the pass: owners looked at, and what the kernel said of them. */
export interface SweepStep {
  readonly looked: number
  readonly proven: number
  readonly inferred: number
  readonly unknown: number
  readonly tookMs: number
}

function isBelow(tenant: Tenant, name: string): boolean {
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) {
    if (at.name === name) return true
  }
  return false
}

export class SweepPass {
  /** Owners looked at so far. */
  looked = 0
  /** Of them those that one cannot tell of. */
  unknown = 0
  readonly inferred: LostOwner[] = []
  readonly #context: Context
  readonly #sessions: readonly SessionId[]
  readonly #found: LostOwner[] = []
  #proven = 0
  #tookMs = 0
  /** All that was told of by takeStep(). */
  #told: SweepStep = { looked: 0, proven: 0, inferred: 0, unknown: 0, tookMs: 0 }
  #at = 0

  /** `tenant`: only sessions of it and of those below it. */
  constructor(context: Context, tenant?: string) {
    this.#context = context
    const { state } = context
    const ids = [...state.sessions.keys()]
    this.#sessions =
      tenant === undefined
        ? ids
        : ids.filter((id) => isBelow(state.tenantOf(state.session(id)), tenant))
  }

  /** Looks at up to `sessions` more for up to `budgetMs`; true when all have been looked at. */
  async advance(sessions: number, budgetMs: number): Promise<boolean> {
    const { clock } = this.#context.ports
    const began = clock.instant()
    const turns = new Turns()
    const stop = Math.min(this.#sessions.length, this.#at + sessions)
    while (this.#at < stop) {
      this.#look(this.#sessions[this.#at])
      this.#at += 1
      const turn = turns.next()
      if (turn !== undefined) await turn
      if (this.#at % LOOKS_A_STRETCH === 0 && clock.instant() - began >= budgetMs) break
    }
    this.#tookMs += clock.instant() - began
    return this.#at >= this.#sessions.length
  }

  #look(id: SessionId | undefined): void {
    const record = id === undefined ? undefined : this.#context.state.sessions.get(id)?.record
    if (record?.state !== 'OPEN' || record.owner === undefined) return
    this.looked += 1
    const { id: session, owner } = record
    const liveness = this.#context.ports.owners.probe(owner)
    if (liveness === 'UNKNOWN') this.unknown += 1
    if (liveness === 'DEAD_INFERRED') this.inferred.push({ session, owner })
    if (liveness !== 'DEAD_PROVEN') return
    this.#proven += 1
    this.#found.push({ session, owner })
  }

  /** What was done since the last call. */
  takeStep(): SweepStep {
    const before = this.#told
    const { looked, unknown } = this
    const inferred = this.inferred.length
    this.#told = { looked, proven: this.#proven, inferred, unknown, tookMs: this.#tookMs }
    return {
      looked: looked - before.looked,
      proven: this.#proven - before.proven,
      inferred: inferred - before.inferred,
      unknown: unknown - before.unknown,
      tookMs: this.#tookMs - before.tookMs,
    }
  }

  /** Those found ended for certain since the last call. */
  takeProven(): LostOwner[] {
    return this.#found.splice(0)
  }
}

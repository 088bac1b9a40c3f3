/**
 * A ledger before the real one that fails as a test orders, at the door: the n-th append is not
 * written, or nobody knows and it was, or was not; the next k attempts to reopen fail. Everything
 * else, and everything after, is the real ledger's.
 */

import type { Change } from '../../src/core/events.js'
import type { Image } from '../../src/core/image.js'
import {
  type AuditQuery,
  type AuditRow,
  type Ledger,
  type LedgerFacts,
  LedgerFault,
} from '../../src/ledger/ledger.js'

export type AppendFailure = 'NOT_WRITTEN' | 'UNKNOWN_WRITTEN' | 'UNKNOWN_NOT_WRITTEN'

export interface FailurePlan {
  /** Which append fails, counted from 1 from when the plan was made. */
  readonly nth: number
  readonly how: AppendFailure
  /** How many appends in a row fail; the others after it succeed. */
  readonly times?: number
  /** Attempts to reopen that fail after each failing append. */
  readonly reopenFailures?: number
}

type Gate = () => Promise<void>

export interface HeldCall {
  readonly reached: Promise<void>
  release(): void
}

function newGate(): { gate: Gate; held: HeldCall } {
  let release = (): void => undefined
  let arrive = (): void => undefined
  const opened = new Promise<void>((resolve) => (release = resolve))
  const reached = new Promise<void>((resolve) => (arrive = resolve))
  const gate = (): Promise<void> => {
    arrive()
    return opened
  }
  return { gate, held: { reached, release } }
}

export class FailingLedger implements Ledger {
  appends = 0
  reopens = 0
  failures = 0
  /** Changes in the largest batch so far. */
  largest = 0
  /** Told of each batch that fails. */
  onFailure: ((batch: readonly Change[]) => void) | undefined
  /** Told of each append before it is made, with its number from 1 on. */
  onAppend: ((nth: number) => void) | undefined
  #plan: FailurePlan | undefined
  #since = 0
  #failReopens = 0
  /** Whether only reopen() makes the handle usable again: after UNKNOWN, as with SQLite. */
  #distrusted = false
  #frozen = false
  #appendGate: Gate | undefined
  #reopenGate: Gate | undefined

  constructor(readonly inner: Ledger) {}

  get facts(): LedgerFacts {
    return this.inner.facts
  }

  plan(plan: FailurePlan): void {
    this.#plan = plan
    this.#since = 0
  }

  /** From now on nothing returns any more, as when the process has died. */
  freeze(): void {
    this.#frozen = true
  }

  /** freeze() may have been called while something was waited for. */
  #isFrozen(): boolean {
    return this.#frozen
  }

  /** The next append waits; answers when it has come, and how to let it go on. */
  holdAppend(): HeldCall {
    const { gate, held } = newGate()
    this.#appendGate = gate
    return held
  }

  /** As holdAppend(), for the next attempt to reopen. */
  holdReopen(): HeldCall {
    const { gate, held } = newGate()
    this.#reopenGate = gate
    return held
  }

  async append(changes: readonly Change[]): Promise<void> {
    this.appends += 1
    this.#since += 1
    this.largest = Math.max(this.largest, changes.length)
    this.onAppend?.(this.appends)
    if (this.#frozen) return new Promise(() => undefined)
    const gate = this.#appendGate
    this.#appendGate = undefined
    await gate?.()
    if (this.#isFrozen()) return new Promise(() => undefined)
    if (this.#distrusted) throw new LedgerFault('ordered: must be reopened first', 'NOT_WRITTEN')
    const how = this.#howNow()
    if (how === undefined) return this.inner.append(changes)
    this.failures += 1
    this.onFailure?.(changes)
    this.#failReopens = this.#plan?.reopenFailures ?? 0
    if (how === 'NOT_WRITTEN') throw new LedgerFault('ordered: not written', how)
    if (how === 'UNKNOWN_WRITTEN') await this.inner.append(changes)
    this.#distrusted = true
    throw new LedgerFault('ordered: nobody knows', 'UNKNOWN')
  }

  #howNow(): AppendFailure | undefined {
    if (this.#plan === undefined) return undefined
    const { nth, how, times } = this.#plan
    return this.#since >= nth && this.#since < nth + (times ?? 1) ? how : undefined
  }

  async load(): Promise<Image> {
    if (this.#frozen) return new Promise(() => undefined)
    if (this.#distrusted) throw new LedgerFault('ordered: must be reopened first', 'NOT_WRITTEN')
    return this.inner.load()
  }

  async readAudit(query: AuditQuery): Promise<readonly AuditRow[]> {
    if (this.#frozen) return new Promise(() => undefined)
    if (this.#distrusted) throw new LedgerFault('ordered: must be reopened first', 'NOT_WRITTEN')
    return this.inner.readAudit(query)
  }

  async reopen(): Promise<number> {
    this.reopens += 1
    if (this.#frozen) return new Promise(() => undefined)
    const gate = this.#reopenGate
    this.#reopenGate = undefined
    await gate?.()
    if (this.#isFrozen()) return new Promise(() => undefined)
    if (this.#failReopens > 0) {
      this.#failReopens -= 1
      throw new LedgerFault('ordered: cannot be reopened yet', 'UNKNOWN')
    }
    const revision = await this.inner.reopen()
    this.#distrusted = false
    return revision
  }

  archive(cause: string, bootId: string): Promise<number> {
    return this.inner.archive(cause, bootId)
  }

  close(): Promise<void> {
    return this.inner.close()
  }
}

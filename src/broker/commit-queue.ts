/**
 * Group commit: whatever is submitted while one batch is being synced forms the next. The working
 * state runs ahead of the disk by what stands here. Nobody is told "done" before the sync.
 *
 * When a commit fails, everything not durable is undone newest first, and what the backend has
 * already carried out (`keptOf`) is applied again and queued: it becomes durable when
 * the ledger is back. Until then the queue is not `writable`, and verbs that grant refuse.
 */

import { assert } from '../core/assert.js'
import { keptOf, type Change, type Event } from '../core/events.js'
import { applyChange, completions, retold, revertChange } from '../core/machine.js'
import type { State } from '../core/state.js'
import { LedgerFault, type Ledger } from '../ledger/ledger.js'
import type { Ports } from './ports.js'

/** Changes in one transaction: bounds the time that one batch keeps the next waiting. */
export const BATCH_CHANGES_MAX = 4096
/** Changes waiting; verbs that grant refuse beyond it. Several batches fit. */
export const QUEUE_CHANGES_MAX = 16 * BATCH_CHANGES_MAX
/** First pause before the ledger is tried again; doubles up to the second. */
export const REOPEN_MS_MIN = 50
export const REOPEN_MS_MAX = 2000

interface Waiter {
  readonly revision: number
  readonly resolve: (durable: boolean) => void
}

export class CommitQueue {
  /** Newest revision on disk. */
  durable: number
  #waiting: Change[] = []
  #inFlight: Change[] = []
  #waiters: Waiter[] = []
  #mode: 'OPEN' | 'DEGRADED' | 'CLOSED' = 'OPEN'
  #running = false
  /** A batch whose fate is unknown: undone in memory, perhaps on disk. */
  #doubtful: readonly Change[] = []
  /** Of #waiting, how many came from the doubtful batch. */
  #doubtfulKept = 0
  /** Being found out whether the batch in flight was written: whoever waits for it waits on. */
  #resolving = false
  #downSince = 0
  #cancelReopen: (() => void) | undefined
  #held = false

  /** `tell` hears of changes once they are on disk, in order, each once. */
  constructor(
    readonly state: State,
    readonly ledger: Ledger,
    readonly ports: Ports,
    readonly tell: (changes: readonly Change[]) => void,
  ) {
    this.durable = state.durable
  }

  /** Whether new grants may be decided. */
  get writable(): boolean {
    return this.#mode === 'OPEN'
  }

  /** stop() may have been called while something was waited for. */
  #isStopped(): boolean {
    return this.#mode === 'CLOSED'
  }

  /** Whether it is known what is on disk: sessions are not ended for good while it is not. */
  get certain(): boolean {
    return this.#doubtful.length === 0
  }

  get overloaded(): boolean {
    return this.#waiting.length >= QUEUE_CHANGES_MAX
  }

  /** Applies a decision at once and queues it for the disk. */
  submit(events: readonly Event[]): Change {
    try {
      const change = applyChange(this.state, events)
      this.#waiting.push(change)
      this.#start()
      return change
    } catch (error) {
      // Half applied: nothing may be decided on this state any more, whatever was thrown.
      this.ports.telemetry.bug(error)
      throw error
    }
  }

  /**
   * Resolves true when the revision is on disk; false when its commit failed, or when the ledger
   * is down and it will be written later.
   */
  settled(revision: number): Promise<boolean> {
    if (revision <= this.durable) return Promise.resolve(true)
    if (this.#mode !== 'OPEN' && !this.#resolving) return Promise.resolve(false)
    assert(revision <= this.state.revision, `revision ${revision} has been made`)
    return new Promise((resolve) => this.#waiters.push({ revision, resolve }))
  }

  /**
   * Reads something of the ledger while no batch is under way, and looks at it beside the durable
   * state: what is queued is undone for `look`, which is synchronous, and applied again after.
   */
  async besideLedger<Read, T>(read: () => Promise<Read>, look: (read: Read) => T): Promise<T> {
    while (this.#running || this.#held) await this.#idle()
    this.#held = true
    try {
      const found = await read()
      const ahead = [...this.#waiting]
      for (const change of [...ahead].reverse()) revertChange(this.state, change)
      const result = look(found)
      for (const change of ahead) applyChange(this.state, change.events)
      return result
    } finally {
      this.#held = false
      this.#wake()
    }
  }

  /** Everything submitted is on disk, or the ledger is down and it cannot be. */
  async flush(): Promise<boolean> {
    while ((this.writable || this.#resolving) && this.state.revision > this.durable) {
      await this.settled(this.state.revision)
    }
    return this.state.revision <= this.durable
  }

  /** No more batches and no more attempts to reopen. */
  stop(): void {
    this.#mode = 'CLOSED'
    this.#cancelReopen?.()
    this.#resolve(Infinity, false)
  }

  #idleWaiters: (() => void)[] = []

  #idle(): Promise<void> {
    return new Promise((resolve) => this.#idleWaiters.push(resolve))
  }

  #wake(): void {
    for (const resume of this.#idleWaiters.splice(0)) resume()
    // Whoever was woken takes its turn first.
    queueMicrotask(() => this.#start())
  }

  #start(): void {
    if (this.#running || this.#mode !== 'OPEN' || this.#held) return
    if (this.#waiting.length === 0) return
    this.#running = true
    // One turn later: what is decided in the same turn shares the first sync.
    queueMicrotask(() => {
      this.#run().catch((error: unknown) => this.ports.telemetry.bug(error))
    })
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 && this.#mode === 'OPEN' && this.#idleWaiters.length === 0) {
      this.#inFlight = this.#waiting.splice(0, BATCH_CHANGES_MAX)
      const began = this.ports.clock.instant()
      try {
        await this.ledger.append(this.#inFlight)
      } catch (fault) {
        if (!(fault instanceof LedgerFault)) throw fault
        await this.#failed(fault)
        continue
      }
      this.#committed(began)
    }
    this.#running = false
    this.#wake()
  }

  #committed(began: number): void {
    const batch = this.#inFlight
    this.#inFlight = []
    this.durable = batch[batch.length - 1]?.revision ?? this.durable
    let events = 0
    for (const change of batch) events += change.events.length
    const tookMs = this.ports.clock.instant() - began
    this.ports.telemetry.committed({ changes: batch.length, events, tookMs })
    this.tell(batch)
    this.#resolve(this.durable, true)
  }

  /** A batch was not written, or nobody knows: find out at once if possible, else undo. */
  async #failed(fault: LedgerFault): Promise<void> {
    if (this.#isStopped()) return
    this.#mode = 'DEGRADED'
    this.#downSince = this.ports.clock.instant()
    const batch = this.#inFlight
    const last = batch[batch.length - 1]?.revision ?? this.durable
    let known = fault.outcome === 'NOT_WRITTEN'
    let reopened = false
    if (!known) {
      this.#resolving = true
      const newest = await this.#tryReopen()
      this.#resolving = false
      if (this.#isStopped()) return
      if (newest === last) {
        this.#mode = 'OPEN'
        this.#committed(this.#downSince)
        return
      }
      reopened = newest === this.durable
      known = reopened
    }
    this.#undo(batch, known, fault)
    if (reopened) this.#open()
    else this.#reopenLater(REOPEN_MS_MIN)
  }

  #undo(batch: readonly Change[], known: boolean, fault: LedgerFault): void {
    const all = [...batch, ...this.#waiting]
    this.#inFlight = []
    this.#waiting = []
    for (const change of [...all].reverse()) revertChange(this.state, change)
    assert(this.state.revision === this.durable, 'undone down to what is durable')
    const kept = this.#applyKept(batch)
    this.#doubtful = known ? [] : batch
    this.#doubtfulKept = kept
    this.#applyKept(all.slice(batch.length))
    const undone = all.length
    const { message } = fault
    this.ports.telemetry.commitFailed({ message, undone, kept: this.#waiting.length })
    this.#resolve(Infinity, false)
  }

  /** Applies again what the backend has done already; answers how many changes that makes. */
  #applyKept(changes: readonly Change[]): number {
    let kept = 0
    for (const change of changes) {
      const events = keptOf(change)
      if (events.length === 0) continue
      this.#queueAgain(events)
      kept += 1
    }
    return kept
  }

  #queueAgain(events: readonly Event[]): void {
    this.#waiting.push(applyChange(this.state, retold(this.state, events)))
  }

  async #tryReopen(): Promise<number | undefined> {
    try {
      return await this.ledger.reopen()
    } catch (fault) {
      if (fault instanceof LedgerFault) return undefined
      throw fault
    }
  }

  #reopenLater(ms: number): void {
    this.#cancelReopen = this.ports.clock.after(ms, () => {
      this.#cancelReopen = undefined
      this.#reopenNow(ms).catch((error: unknown) => this.ports.telemetry.bug(error))
    })
  }

  async #reopenNow(ms: number): Promise<void> {
    const newest = await this.#tryReopen()
    if (this.#mode !== 'DEGRADED') return
    if (newest === undefined) return this.#reopenLater(Math.min(ms * 2, REOPEN_MS_MAX))
    if (newest !== this.durable) this.#acceptDoubtful(newest)
    this.#open()
  }

  /** The doubtful batch is on disk after all: memory is brought to where the disk is. */
  #acceptDoubtful(newest: number): void {
    const batch = this.#doubtful
    const last = batch[batch.length - 1]?.revision
    assert(newest === last, `the ledger is at ${newest}, memory at ${this.durable} or ${last}`)
    const later = this.#waiting.slice(this.#doubtfulKept)
    for (const change of [...this.#waiting].reverse()) revertChange(this.state, change)
    this.#waiting = []
    for (const change of batch) applyChange(this.state, change.events)
    this.durable = newest
    this.tell(batch)
    for (const change of later) this.#queueAgain(change.events)
    for (const change of batch) this.#dropAttaching(change)
  }

  /** Whoever began to attach was refused when the batch was undone: nobody goes on with it. */
  #dropAttaching(change: Change): void {
    for (const event of change.events) {
      if (event.kind !== 'attachment-changed' || event.after !== 'ATTACHING') continue
      const { session, device } = event
      const gone = completions.completeAttach(this.state, { session, device }, false)
      if (gone.length > 0) this.#waiting.push(applyChange(this.state, gone))
    }
  }

  #open(): void {
    this.#mode = 'OPEN'
    this.#doubtful = []
    this.#doubtfulKept = 0
    const downMs = this.ports.clock.instant() - this.#downSince
    this.ports.telemetry.ledgerRecovered({ revision: this.durable, downMs })
    this.#start()
  }

  #resolve(revision: number, durable: boolean): void {
    const waiters = this.#waiters
    let count = 0
    // Waiters come nearly in the order of revisions: what is left is moved once.
    const left: Waiter[] = []
    for (const waiter of waiters) {
      if (waiter.revision > revision) left.push(waiter)
      else count += 1
    }
    if (count === 0) return
    this.#waiters = left
    for (const waiter of waiters) if (waiter.revision <= revision) waiter.resolve(durable)
  }
}

/**
 * The main thread's end of one ledger thread, from its start to its end: requests out, replies in.
 * When the thread ends, however it ends, everything unanswered fails: of a write nobody knows then
 * whether it was done.
 */

import { Worker } from 'node:worker_threads'
import { assert, InvariantViolation } from '../../core/assert.js'
import { LedgerFault } from '../ledger.js'
import { LedgerCorrupt, LedgerHeld, LedgerTooNew } from './errors.js'
import type { Answers, Failure, Opened, OpenOptions, Reply, Request } from './protocol.js'

const OPENING = 0

interface Waiting {
  readonly kind: Request['kind'] | 'open'
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

const READS: readonly Waiting['kind'][] = ['load', 'read-audit']

export class LedgerWriter {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended: Promise<void>
  #nextId = OPENING + 1
  #cause: unknown
  #isEnded = false
  #isTrusted = true

  private constructor(threadUrl: URL, options: OpenOptions) {
    // The parent's own flags are not the thread's: some would keep it from starting.
    this.#worker = new Worker(threadUrl, { workerData: options, name: 'ledger', execArgv: [] })
    this.#worker.on('message', (reply: Reply) => {
      this.#settle(reply)
    })
    this.#worker.on('error', (error) => {
      this.#cause = error
    })
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#end(code)
        resolve()
      })
    })
  }

  /** @throws LedgerCorrupt, LedgerTooNew, LedgerHeld, LedgerFault */
  static async start(
    threadUrl: URL,
    options: OpenOptions,
  ): Promise<{ readonly writer: LedgerWriter; readonly opened: Opened }> {
    const writer = new LedgerWriter(threadUrl, options)
    try {
      const opened = (await writer.#wait(OPENING, 'open')) as Opened
      return { writer, opened }
    } catch (error) {
      await writer.#ended
      throw error
    }
  }

  /** False after a fault that leaves the handle in doubt, and once the thread has ended. */
  get isUsable(): boolean {
    return this.#isTrusted && !this.#isEnded
  }

  async call<Kind extends Request['kind']>(
    request: Extract<Request, { kind: Kind }>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Answers[Kind]> {
    if (this.#isEnded) throw new LedgerFault(this.#epitaph(), 'NOT_WRITTEN')
    const id = this.#nextId
    this.#nextId += 1
    const answered = this.#wait(id, request.kind)
    this.#worker.postMessage({ ...request, id }, [...transfer])
    return (await answered) as Answers[Kind]
  }

  /** Lets the handle go and ends the thread; false when it has not ended within `waitMs`. */
  async stop(checkpoint: boolean, waitMs: number): Promise<boolean> {
    if (this.#isEnded) return true
    // Its answer does not matter: what counts is the end of the thread, and with it of the handle.
    this.call<'close'>({ kind: 'close', checkpoint }).catch(() => undefined)
    if (await this.#endsWithin(waitMs)) return true
    void this.#worker.terminate()
    return this.#endsWithin(waitMs)
  }

  async #endsWithin(waitMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => {
        resolve(false)
      }, waitMs)
    })
    try {
      return await Promise.race([this.#ended.then(() => true), late])
    } finally {
      clearTimeout(timer)
    }
  }

  #wait(id: number, kind: Waiting['kind']): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { kind, resolve, reject })
    })
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    assert(waiting !== undefined, `reply ${reply.id} has a request`)
    this.#waiting.delete(reply.id)
    if (reply.ok) return waiting.resolve(reply.value)
    if (reply.failure.kind === 'fault' && !reply.failure.trusted) this.#isTrusted = false
    waiting.reject(errorOf(reply.failure))
  }

  #end(code: number): void {
    this.#isEnded = true
    this.#cause ??= `exit code ${code}`
    for (const { kind, reject } of this.#waiting.values()) {
      const outcome = READS.includes(kind) ? 'NOT_WRITTEN' : 'UNKNOWN'
      reject(new LedgerFault(this.#epitaph(), outcome, { cause: this.#cause }))
    }
    this.#waiting.clear()
  }

  #epitaph(): string {
    const cause = this.#cause instanceof Error ? this.#cause.message : String(this.#cause)
    return `the ledger's thread has ended (${cause})`
  }
}

function errorOf(failure: Failure): Error {
  switch (failure.kind) {
    case 'fault':
      return new LedgerFault(failure.message, failure.outcome)
    case 'corrupt':
      return new LedgerCorrupt(failure.path, failure.problem)
    case 'too-new':
      return new LedgerTooNew(failure.path, failure.found, failure.known)
    case 'held':
      return new LedgerHeld(failure.path, undefined)
    case 'bug':
      return new InvariantViolation(failure.message)
  }
}

/**
 * The ledger's thread: the only holder of the database handle, so that no sync ever blocks the loop
 * that serves invalidations. Opens at once with its workerData, then does what it is told, in
 * order.
 */

import { parentPort, workerData } from 'node:worker_threads'
import type Database from 'better-sqlite3'
import { InvariantViolation, present } from '../../core/assert.js'
import { CodecFault } from '../bytes.js'
import { decodeChanges } from '../codec.js'
import { archive } from './archive.js'
import { LedgerCorrupt, LedgerHeld, LedgerTooNew, StoreFault } from './errors.js'
import { buffersOf, Loader } from './load.js'
import { checkpoint, type OpenLedger, openLedgerFile } from './open.js'
import type { Failure, Numbered, OpenOptions, Reply } from './protocol.js'
import { Store } from './store.js'
import { faultOf } from './transaction.js'

interface Done {
  readonly value: unknown
  readonly transfer: readonly ArrayBuffer[]
}

class LedgerThread {
  readonly #db: Database.Database
  readonly #store: Store
  readonly #loader: Loader
  #bootId: string

  constructor(
    private readonly ledger: OpenLedger,
    auditEvents: number,
  ) {
    this.#db = ledger.db
    this.#store = new Store(ledger.db, ledger.transactions, ledger.meta, auditEvents)
    this.#loader = new Loader(ledger.db)
    this.#bootId = ledger.meta.bootId
  }

  handle(request: Numbered): Done {
    switch (request.kind) {
      case 'append': {
        const revision = this.#store.append(decodeChanges(request.bytes), request.bootId)
        this.#bootId = request.bootId
        return { value: revision, transfer: [] }
      }
      case 'load':
        return this.#reading(() => this.#load())
      case 'read-audit':
        return this.#reading(() => {
          const value = this.#store.audit.read(request.query, this.#store.revision)
          return { value, transfer: [] }
        })
      case 'archive':
        return { value: this.#archive(request), transfer: [] }
      case 'close':
        return { value: this.#close(request.checkpoint), transfer: [] }
    }
  }

  #load(): Done {
    const { revision, lastSession, pruner } = this.#store
    const image = this.#loader.load(revision, lastSession, pruner)
    return { value: image, transfer: buffersOf(image) }
  }

  /** Rows that we cannot have written are corruption, found late. */
  #reading(read: () => Done): Done {
    try {
      return read()
    } catch (error) {
      if (error instanceof CodecFault || error instanceof InvariantViolation) {
        throw new LedgerCorrupt(this.#db.name, error.message, { cause: error })
      }
      throw faultOf(error, this.#db.name, { outcome: 'NOT_WRITTEN', rolledBack: true })
    }
  }

  #archive(request: Extract<Numbered, { kind: 'archive' }>): number {
    const { cause, bootId, atMs } = request
    const { transactions } = this.ledger
    const count = archive(this.#db, transactions, {
      cause,
      bootId,
      formerBootId: this.#bootId,
      atMs,
    })
    this.#bootId = bootId
    this.#store.setBoot(bootId)
    return count
  }

  /** Everything acknowledged is in the log already: a checkpoint that fails loses nothing. */
  #close(withCheckpoint: boolean): number {
    try {
      if (withCheckpoint) checkpoint(this.#db)
    } finally {
      this.#db.close()
    }
    return this.#store.revision
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof StoreFault) {
    const { message, outcome, trusted } = error
    return { kind: 'fault', message, outcome, trusted }
  }
  if (error instanceof LedgerCorrupt) {
    return { kind: 'corrupt', path: error.path, problem: error.problem }
  }
  if (error instanceof LedgerTooNew) {
    return { kind: 'too-new', path: error.path, found: error.found, known: error.known }
  }
  if (error instanceof LedgerHeld) return { kind: 'held', path: error.path }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { kind: 'bug', message }
}

const port = present(parentPort ?? undefined, 'the parent of the ledger thread')

function reply(message: Reply, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, [...transfer])
}

function serve(): void {
  let thread: LedgerThread
  try {
    const options = workerData as OpenOptions
    const ledger = openLedgerFile(options)
    thread = new LedgerThread(ledger, options.auditEvents)
    reply({ id: 0, ok: true, value: ledger.opened })
  } catch (error) {
    reply({ id: 0, ok: false, failure: failureOf(error) })
    return
  }
  port.on('message', (request: Numbered) => {
    try {
      const { value, transfer } = thread.handle(request)
      reply({ id: request.id, ok: true, value }, transfer)
    } catch (error) {
      reply({ id: request.id, ok: false, failure: failureOf(error) })
    }
    if (request.kind === 'close') port.close()
  })
}

serve()

/**
 * The ledger in SQLite, seen from the daemon's main thread. The directory is locked from before the
 * file is looked at until it is closed; the file itself belongs to a thread, which `reopen`
 * replaces.
 */

import { assert } from '../../core/assert.js'
import type { Change } from '../../core/events.js'
import type { Image } from '../../core/image.js'
import { encodeChanges } from '../codec.js'
import {
  type AuditQuery,
  type AuditRow,
  type Ledger,
  type LedgerFacts,
  LedgerFault,
} from '../ledger.js'
import { LedgerCorrupt } from './errors.js'
import { type LedgerPaths, pathsIn } from './files.js'
import { DirectoryLock } from './lock.js'
import type { OpenOptions } from './protocol.js'
import { LedgerWriter } from './writer.js'

export { LedgerCorrupt, LedgerHeld, LedgerTooNew } from './errors.js'

const BUSY_TIMEOUT_MS_DEFAULT = 500
const AUDIT_EVENTS_DEFAULT = 100_000
/** As the door says. */
const AUDIT_QUERY_LIMIT_MAX = 5000
/** A thread that is stuck in the disk is waited for so long, asked politely and then not. */
const STOP_WAIT_MS = 5000

export interface SqliteLedgerOptions {
  /** Made, for the owner only, when it is not there. */
  readonly directory: string
  /** This boot of the host: what is appended belongs to it. */
  readonly bootId: string
  /** What to do about a file that cannot be used: throw, or keep it aside and begin a new one. */
  readonly onCorrupt: 'refuse' | 'move-aside'
  /** Largest size of the file in pages of 4 KiB. */
  readonly maxPages?: number
  readonly threadUrl?: URL
  /** How long to wait for another holder to end. */
  readonly busyTimeoutMs?: number
  /** The newest so many audit records of sessions are kept: see auditBounds. From 1 on. */
  readonly auditEvents?: number
  /** Wall clock, for records and names that people read. */
  readonly nowMs?: () => number
}

/** @throws LedgerHeld, LedgerCorrupt, LedgerTooNew, LedgerFault */
export async function openSqliteLedger(options: SqliteLedgerOptions): Promise<Ledger> {
  const paths = pathsIn(options.directory)
  const busyTimeoutMs = options.busyTimeoutMs ?? BUSY_TIMEOUT_MS_DEFAULT
  const nowMs = options.nowMs ?? Date.now
  const threadUrl = options.threadUrl ?? defaultThreadUrl()
  const { bootId, directory, onCorrupt, maxPages } = options
  const auditEvents = options.auditEvents ?? AUDIT_EVENTS_DEFAULT
  assert(Number.isSafeInteger(auditEvents) && auditEvents >= 1, 'some audit records are kept')
  const bounds = { maxPages, busyTimeoutMs, auditEvents }
  const opening = { directory, onCorrupt, ...bounds, expectedId: undefined }
  const lock = await DirectoryLock.take(paths, busyTimeoutMs)
  try {
    const { writer, opened } = await LedgerWriter.start(threadUrl, { ...opening, nowMs: nowMs() })
    const setting = { paths, lock, threadUrl, opening, bootId, nowMs }
    return new SqliteLedger(setting, opened, writer)
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Tests run the TypeScript sources, but a thread starts from a compiled file. */
function defaultThreadUrl(): URL {
  if (!import.meta.url.endsWith('.ts')) return new URL('./thread.js', import.meta.url)
  return new URL('../../../dist/ledger/sqlite/thread.js', import.meta.url)
}

interface Setting {
  readonly paths: LedgerPaths
  readonly lock: DirectoryLock
  readonly threadUrl: URL
  readonly opening: Omit<OpenOptions, 'nowMs'>
  readonly bootId: string
  readonly nowMs: () => number
}

class SqliteLedger implements Ledger {
  #facts: LedgerFacts
  #writer: LedgerWriter
  /** Boot that appended changes belong to. */
  #bootId: string
  #isAppending = false
  #isClosed = false

  constructor(
    private readonly setting: Setting,
    facts: LedgerFacts,
    writer: LedgerWriter,
  ) {
    this.#facts = facts
    this.#writer = writer
    this.#bootId = setting.bootId
  }

  get facts(): LedgerFacts {
    return this.#facts
  }

  async append(changes: readonly Change[]): Promise<void> {
    assert(!this.#isAppending, 'one batch is appended at a time')
    const writer = this.#usable()
    if (changes.length === 0) return
    const bytes = encodeChanges(changes)
    const bootId = this.#bootId
    this.#isAppending = true
    try {
      const revision = await writer.call<'append'>({ kind: 'append', bytes, bootId }, [bytes])
      assert(revision === changes.at(-1)?.revision, 'the batch ends at its own last revision')
      this.#facts = { ...this.#facts, revision, bootId }
    } finally {
      this.#isAppending = false
    }
  }

  async load(): Promise<Image> {
    return await reading(this.#usable().call<'load'>({ kind: 'load' }))
  }

  /** In slices, so that appends come between them however little the query finds. */
  async readAudit(query: AuditQuery): Promise<readonly AuditRow[]> {
    const { limit } = query
    assert(Number.isSafeInteger(limit), 'a limit is a whole number')
    assert(limit >= 1 && limit <= AUDIT_QUERY_LIMIT_MAX, 'so many audit records may be asked for')
    const writer = this.#usable()
    const rows: AuditRow[] = []
    let { before } = query
    do {
      const left = { ...query, before, limit: limit - rows.length }
      const slice = await reading(writer.call<'read-audit'>({ kind: 'read-audit', query: left }))
      rows.push(...slice.rows)
      before = slice.next
    } while (before !== undefined && rows.length < limit)
    return rows
  }

  async reopen(): Promise<number> {
    assert(!this.#isClosed && !this.#isAppending, 'a ledger is reopened between appends')
    const { paths, threadUrl, opening, nowMs } = this.setting
    // The old handle goes first: two in one process would take each other's locks away.
    if (!(await this.#writer.stop(false, STOP_WAIT_MS))) {
      throw new LedgerFault(`${paths.db}: the former thread is stuck in the disk`, 'UNKNOWN')
    }
    const again = { ...opening, expectedId: this.#facts.id, nowMs: nowMs() }
    try {
      const { writer, opened } = await LedgerWriter.start(threadUrl, again)
      this.#writer = writer
      const { revision, bootId } = opened
      this.#facts = { ...this.#facts, revision, bootId }
      return revision
    } catch (cause) {
      if (cause instanceof LedgerFault || !(cause instanceof Error)) throw cause
      throw new LedgerFault(cause.message, 'UNKNOWN', { cause })
    }
  }

  async archive(cause: string, bootId: string): Promise<number> {
    assert(!this.#isAppending, 'a boot is archived between appends')
    const atMs = this.setting.nowMs()
    const count = await this.#usable().call<'archive'>({ kind: 'archive', cause, bootId, atMs })
    this.#bootId = bootId
    this.#facts = { ...this.#facts, bootId }
    return count
  }

  async close(): Promise<void> {
    assert(!this.#isClosed, 'a ledger is closed once')
    this.#isClosed = true
    const isGone = await this.#writer.stop(this.#writer.isUsable, STOP_WAIT_MS)
    if (!isGone) {
      const message = `${this.setting.paths.db}: its thread is stuck in the disk`
      throw new LedgerFault(message, 'UNKNOWN')
    }
    this.setting.lock.release()
  }

  #usable(): LedgerWriter {
    assert(!this.#isClosed, 'the ledger is open')
    if (this.#writer.isUsable) return this.#writer
    throw new LedgerFault(`${this.setting.paths.db} must be reopened first`, 'NOT_WRITTEN')
  }
}

/** Corruption found by a read is a fault of it: the file was fit to be opened. */
async function reading<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    if (!(cause instanceof LedgerCorrupt)) throw cause
    throw new LedgerFault(cause.message, 'NOT_WRITTEN', { cause })
  }
}

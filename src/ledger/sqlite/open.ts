/**
 * From a directory to a handle that may be written to. A file is looked at first through a
 * read-only handle, which changes neither it nor its log, so that what is refused stays as it was
 * found: closing a writable handle would fold a foreign or damaged log into the database.
 */

import { randomBytes } from 'node:crypto'
import { existsSync, renameSync } from 'node:fs'
import Database from 'better-sqlite3'
import { assert, InvariantViolation } from '../../core/assert.js'
import { LedgerCorrupt, LedgerHeld, LedgerTooNew, StoreFault } from './errors.js'
import {
  APPLICATION_ID,
  createPrivate,
  hasContent,
  type LedgerPaths,
  makePrivate,
  moveAside,
  pathsIn,
  readTag,
  removeDatabase,
  removeTraces,
  syncDirectory,
  tagOf,
} from './files.js'
import { type Meta, metaWriter, readMeta } from './meta.js'
import { BASE, type Migration, MIGRATIONS, SCHEMA_VERSION } from './migrations.js'
import type { OpenOptions, Opened } from './protocol.js'
import { isAmong, Transactions } from './transaction.js'

const ID_BYTES = 16
/** The log is folded into the database when it has grown to so many pages: 4 MB. */
const CHECKPOINT_PAGES = 1000
/** What a log that was longer is cut back to. */
const LOG_BYTES_KEPT = 16 * 1024 * 1024
const CACHE_KIB = 16 * 1024
const SYNCHRONOUS_FULL = 2

export interface OpenLedger {
  readonly db: Database.Database
  readonly transactions: Transactions
  readonly meta: Meta
  readonly opened: Opened
}

/** @throws LedgerCorrupt, LedgerTooNew, LedgerHeld, StoreFault */
export function openLedgerFile(options: OpenOptions): OpenLedger {
  const paths = pathsIn(options.directory)
  try {
    return openOnce(paths, options, undefined)
  } catch (error) {
    const mayMove = options.onCorrupt === 'move-aside' && options.expectedId === undefined
    if (!(error instanceof LedgerCorrupt) || !mayMove) throw error
    const path = moveAside(paths, options.nowMs)
    return openOnce(paths, options, { path, reason: error.problem })
  }
}

function openOnce(
  paths: LedgerPaths,
  options: OpenOptions,
  movedAside: Opened['movedAside'],
): OpenLedger {
  return translating(paths, () => {
    if (!existsSync(paths.db)) {
      if (options.expectedId !== undefined) throw gone(paths)
      if (hasContent(paths.wal)) throw new LedgerCorrupt(paths.db, 'it is gone, its log is not')
      create(paths, options)
    }
    makePrivate(paths.db)
    inspect(paths, options)
    const db = new Database(paths.db, { fileMustExist: true, timeout: options.busyTimeoutMs })
    try {
      return prepareForWriting(db, paths, options, movedAside)
    } catch (error) {
      db.close()
      throw error
    }
  })
}

function gone(paths: LedgerPaths): StoreFault {
  return new StoreFault(`${paths.db} is gone while it was in use`, 'UNKNOWN', false)
}

/** Complete or not there at all: made under another name, synced, then renamed. */
function create(paths: LedgerPaths, options: OpenOptions): void {
  removeDatabase(paths.fresh)
  createPrivate(paths.fresh)
  const id = randomBytes(ID_BYTES).toString('hex')
  const db = new Database(paths.fresh)
  try {
    configure(db, options)
    db.pragma(`application_id = ${APPLICATION_ID}`)
    db.pragma(`user_version = ${tagOf(id)}`)
    const set = new Transactions(db).run(() => {
      db.exec(BASE)
      return metaWriter(db)
    })
    new Transactions(db).run(() => {
      set('id', id)
      set('schema', 0)
      set('boot_id', '')
      set('revision', 0)
      set('last_session', 0)
    })
    migrate(db, paths, 0, options.nowMs)
    checkpoint(db)
  } finally {
    db.close()
  }
  assert(!existsSync(`${paths.fresh}-wal`), 'a closed database has no log')
  renameSync(paths.fresh, paths.db)
  syncDirectory(paths.directory)
}

/** Pairs with create(). Changes nothing. */
function inspect(paths: LedgerPaths, options: OpenOptions): void {
  const tag = readTag(paths.db)
  const db = new Database(paths.db, {
    readonly: true,
    fileMustExist: true,
    timeout: options.busyTimeoutMs,
  })
  try {
    const { id, schema } = readMeta(db, paths.db)
    // The tag is on the file's own page, the id may come from the log.
    if (tagOf(id) !== tag) throw new LedgerCorrupt(paths.db, 'its log is that of another ledger')
    if (options.expectedId !== undefined && options.expectedId !== id) throw gone(paths)
    if (schema > SCHEMA_VERSION) throw new LedgerTooNew(paths.db, schema, SCHEMA_VERSION)
    // 0.2 s for a million grants, so always and not only after an unclean stop.
    const problem: unknown = db.pragma('quick_check(1)', { simple: true })
    if (problem !== 'ok') throw new LedgerCorrupt(paths.db, String(problem))
  } finally {
    db.close()
    removeTraces(paths)
  }
}

function prepareForWriting(
  db: Database.Database,
  paths: LedgerPaths,
  options: OpenOptions,
  movedAside: Opened['movedAside'],
): OpenLedger {
  configure(db, options)
  migrate(db, paths, readMeta(db, paths.db).schema, options.nowMs)
  const transactions = new Transactions(db)
  const set = metaWriter(db)
  transactions.run(() => set('opened_at', options.nowMs))
  verify(db, paths)
  checkpoint(db)
  const meta = readMeta(db, paths.db)
  const { id, bootId, revision } = meta
  const opened = {
    id,
    path: paths.db,
    schemaVersion: SCHEMA_VERSION,
    bootId,
    revision,
    movedAside,
  }
  return { db, transactions, meta, opened }
}

/** Every option that matters is said, since defaults belong to others. Pairs with verify(). */
function configure(db: Database.Database, options: OpenOptions): void {
  // Before the log is touched: then its index is in memory, and no second process can join.
  db.pragma('locking_mode = EXCLUSIVE')
  db.pragma('journal_mode = WAL')
  // The build's own default in WAL is NORMAL, which does not sync at commit.
  db.pragma('synchronous = FULL')
  db.pragma('foreign_keys = ON')
  db.pragma('cell_size_check = ON')
  db.pragma('temp_store = MEMORY')
  db.pragma(`cache_size = -${CACHE_KIB}`)
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
  db.pragma(`journal_size_limit = ${LOG_BYTES_KEPT}`)
  if (options.maxPages !== undefined) db.pragma(`max_page_count = ${options.maxPages}`)
}

/** After the first write: only from then on do the pragmas tell the truth. */
function verify(db: Database.Database, paths: LedgerPaths): void {
  const is = (pragma: string, wanted: unknown): void => {
    const found: unknown = db.pragma(pragma, { simple: true })
    if (found === wanted) return
    throw new InvariantViolation(`${pragma} is ${String(found)} instead of ${String(wanted)}`)
  }
  is('synchronous', SYNCHRONOUS_FULL)
  is('journal_mode', 'wal')
  is('locking_mode', 'exclusive')
  is('foreign_keys', 1)
  assert(!existsSync(`${paths.db}-shm`), 'an exclusive ledger shares no memory')
}

/** Each step in a transaction of its own, so that a crash leaves a version that is known. */
function migrate(db: Database.Database, paths: LedgerPaths, from: number, nowMs: number): void {
  const transactions = new Transactions(db)
  const set = metaWriter(db)
  const step = ({ version, name, sql }: Migration): void => {
    db.exec(sql)
    const note = db.prepare('INSERT INTO migration (version, name, applied_at) VALUES (?, ?, ?)')
    note.run(version, name, nowMs)
    set('schema', version)
  }
  for (const migration of MIGRATIONS.filter(({ version }) => version > from)) {
    try {
      transactions.run(() => step(migration))
    } catch (error) {
      // Rows that break a constraint of the next version cannot have been written by the last.
      if (from === 0 || !(error instanceof InvariantViolation)) throw error
      throw new LedgerCorrupt(paths.db, error.message, { cause: error })
    }
  }
}

/** Folds the whole log into the database, both synced. */
export function checkpoint(db: Database.Database): void {
  const busy: unknown = db.pragma('wal_checkpoint(TRUNCATE)', { simple: true })
  assert(busy === 0, 'nobody else reads an exclusive ledger')
}

/** SQLite's errors while opening, as what they mean for the ledger. */
function translating<T>(paths: LedgerPaths, open: () => T): T {
  try {
    return open()
  } catch (error) {
    if (isAmong(error, ['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_ERROR'])) {
      const problem = error instanceof Error ? error.message : 'it is damaged'
      throw new LedgerCorrupt(paths.db, problem, { cause: error })
    }
    if (isAmong(error, ['SQLITE_BUSY', 'SQLITE_PROTOCOL'])) {
      throw new LedgerHeld(paths.db, undefined)
    }
    const isForeign = error instanceof Database.SqliteError || isSystemError(error)
    if (!isForeign) throw error
    const message = `cannot open ${paths.db}: ${error.message} (${error.code})`
    throw new StoreFault(message, 'UNKNOWN', false, { cause: error })
  }
}

function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error
}

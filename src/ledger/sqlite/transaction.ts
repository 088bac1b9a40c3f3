/**
 * All or none, and what is known when it fails. Before COMMIT nothing can have been written,
 * whatever ROLLBACK says: a write-ahead log without a commit frame is no change. A COMMIT that
 * fails for want of space or for a constraint has written none either. After an I/O error in COMMIT
 * the frame may be on the disk or not: only reading the file anew tells.
 */

import Database from 'better-sqlite3'
import { InvariantViolation } from '../../core/assert.js'
import { StoreFault } from './errors.js'

/** Errors of COMMIT after which its frame is certainly not whole. */
const COMMIT_REFUSED = ['SQLITE_FULL', 'SQLITE_CONSTRAINT', 'SQLITE_BUSY', 'SQLITE_NOMEM']
/** Constraints of our own schema: to break one is a bug of ours, not a failure of the world. */
const OWN_CONSTRAINTS = [
  'SQLITE_CONSTRAINT_CHECK',
  'SQLITE_CONSTRAINT_DATATYPE',
  'SQLITE_CONSTRAINT_NOTNULL',
  'SQLITE_CONSTRAINT_PRIMARYKEY',
  'SQLITE_CONSTRAINT_ROWID',
  'SQLITE_CONSTRAINT_UNIQUE',
]
/** Errors that leave the handle as good as it was. */
const HARMLESS = ['SQLITE_FULL', 'SQLITE_CONSTRAINT', 'SQLITE_BUSY']

export class Transactions {
  readonly #begin: Database.Statement
  readonly #commit: Database.Statement
  readonly #rollback: Database.Statement

  constructor(private readonly db: Database.Database) {
    this.#begin = db.prepare('BEGIN IMMEDIATE')
    this.#commit = db.prepare('COMMIT')
    this.#rollback = db.prepare('ROLLBACK')
  }

  /**
   * @throws StoreFault, or what `work` threw when that was not SQLite's; then nothing is written
   */
  run<T>(work: () => T): T {
    try {
      this.#begin.run()
    } catch (error) {
      throw faultOf(error, this.db.name, { outcome: 'NOT_WRITTEN', rolledBack: true })
    }
    let result: T
    try {
      result = work()
    } catch (error) {
      const rolledBack = this.#undo()
      throw faultOf(error, this.db.name, { outcome: 'NOT_WRITTEN', rolledBack })
    }
    try {
      this.#commit.run()
    } catch (error) {
      const rolledBack = this.#undo()
      const outcome = rolledBack && isAmong(error, COMMIT_REFUSED) ? 'NOT_WRITTEN' : 'UNKNOWN'
      throw faultOf(error, this.db.name, { outcome, rolledBack })
    }
    return result
  }

  /** SQLite undoes by itself after some errors; then there is nothing left to roll back. */
  #undo(): boolean {
    if (!this.db.inTransaction) return true
    try {
      this.#rollback.run()
      return true
    } catch {
      return false
    }
  }
}

export function isAmong(error: unknown, codes: readonly string[]): boolean {
  if (!(error instanceof Database.SqliteError)) return false
  const { code } = error
  return codes.some((known) => code === known || code.startsWith(`${known}_`))
}

/** What an error of SQLite is to us; any other is a bug and stays what it is. */
export function faultOf(
  error: unknown,
  path: string,
  known: { readonly outcome: 'NOT_WRITTEN' | 'UNKNOWN'; readonly rolledBack: boolean },
): unknown {
  if (!(error instanceof Database.SqliteError)) return error
  const message = `${path}: ${error.message} (${error.code})`
  if (isAmong(error, OWN_CONSTRAINTS)) return new InvariantViolation(message)
  const trusted = known.outcome === 'NOT_WRITTEN' && known.rolledBack && isAmong(error, HARMLESS)
  return new StoreFault(message, known.outcome, trusted, { cause: error })
}

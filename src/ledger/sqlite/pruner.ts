/**
 * Forgets request ids on the disk by the rule of core/requests.ts (`forgetOld`), never earlier than
 * memory does: oldest first within an owner, what is neither among its newest nor young, with the
 * time of its newest as the present. A few rows at each append, inside its transaction, so that
 * there is never a long stall. What it knows is lost when a transaction is undone or the process
 * ends; `load`, which sees every row, tells it again.
 */

import type Database from 'better-sqlite3'
import { assert } from '../../core/assert.js'
import { REQUEST_IDS_KEPT_MIN, REQUEST_ID_AGE_MS_MIN } from '../../core/limits.js'
import type { RequestRecord } from '../../core/requests.js'

/** An owner is looked at after so many new rows … */
export const PRUNE_AFTER_ROWS = 512
/** … and then loses at most so many, so that forgetting keeps up with keeping. */
export const PRUNED_ROWS_MAX = 1024
/** Owners looked at by one append. */
const OWNERS_PER_STEP_MAX = 4

assert(PRUNED_ROWS_MAX >= 2 * PRUNE_AFTER_ROWS, 'forgetting is faster than keeping')

/** Sessions by their number, tenants (OpenSession) below zero. Pairs with sessionOfOwner(). */
export function ownerOf(record: Pick<RequestRecord, 'session' | 'tenant'>): number {
  return record.session ?? -1 - record.tenant
}

/** 0 for a tenant's own. */
export function sessionOfOwner(owner: number): number {
  return Math.max(owner, 0)
}

export class RequestPruner {
  readonly #newRows = new Map<number, number>()
  readonly #due = new Set<number>()
  readonly #gone = new Set<number>()
  readonly #sql: ReturnType<typeof prepare>

  constructor(db: Database.Database) {
    this.#sql = prepare(db)
  }

  noteKept(owner: number): void {
    const rows = (this.#newRows.get(owner) ?? 0) + 1
    this.#newRows.set(owner, rows)
    if (rows >= PRUNE_AFTER_ROWS) this.noteMany(owner)
  }

  /** The owner may have more than it must keep. */
  noteMany(owner: number): void {
    this.#newRows.delete(owner)
    this.#due.add(owner)
  }

  /** The session is closed: none of its ids matters, since its number is never given again. */
  noteGone(session: number): void {
    this.#newRows.delete(session)
    this.#due.delete(session)
    this.#gone.add(session)
  }

  /** Within a transaction. */
  step(): void {
    let visits = OWNERS_PER_STEP_MAX
    for (const owner of this.#gone) {
      if (visits-- === 0) return
      const { changes } = this.#sql.deleteOldest.run(owner, owner)
      if (changes < PRUNED_ROWS_MAX) this.#gone.delete(owner)
    }
    for (const owner of this.#due) {
      if (visits-- === 0) return
      if (this.#prune(owner) < PRUNED_ROWS_MAX) this.#due.delete(owner)
    }
  }

  #prune(owner: number): number {
    const newest = this.#sql.newestAt.get(owner)
    const keptFrom = this.#sql.keptFrom.get(owner)
    if (newest === undefined || keptFrom === undefined) return 0
    let last: number | undefined
    for (const [revision, at] of this.#sql.oldest.all(owner, keptFrom[0])) {
      if (newest[0] - at < REQUEST_ID_AGE_MS_MIN) break
      last = revision
    }
    return last === undefined ? 0 : this.#sql.deleteUpTo.run(owner, last).changes
  }
}

function prepare(db: Database.Database) {
  return {
    newestAt: db
      .prepare<[number], [number]>(
        'SELECT at FROM request WHERE owner = ? ORDER BY revision DESC LIMIT 1',
      )
      .raw(),
    /** The oldest of those that are kept for being among the newest. */
    keptFrom: db
      .prepare<[number], [number]>(
        `SELECT revision FROM request WHERE owner = ? ORDER BY revision DESC
         LIMIT 1 OFFSET ${REQUEST_IDS_KEPT_MIN - 1}`,
      )
      .raw(),
    oldest: db
      .prepare<[number, number], [number, number]>(
        `SELECT revision, at FROM request WHERE owner = ? AND revision < ? ORDER BY revision
         LIMIT ${PRUNED_ROWS_MAX}`,
      )
      .raw(),
    deleteUpTo: db.prepare<[number, number]>(
      'DELETE FROM request WHERE owner = ? AND revision <= ?',
    ),
    deleteOldest: db.prepare<[number, number]>(
      `DELETE FROM request WHERE owner = ? AND revision <= (SELECT max(revision) FROM
         (SELECT revision FROM request WHERE owner = ? ORDER BY revision
          LIMIT ${PRUNED_ROWS_MAX}))`,
    ),
  }
}

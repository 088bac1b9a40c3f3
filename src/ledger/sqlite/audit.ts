/**
 * Audit records on the disk. Kept bounded: what is beyond the newest goes oldest first, a few rows
 * at each append, inside its transaction. Read in slices: a query that finds little looks at no
 * more rows at a time than a slice has, so that no append waits for it long.
 */

import type Database from 'better-sqlite3'
import { type Actor, AUDIT_ACTIONS, type AuditRecord } from '../../core/audit.js'
import { wallMs } from '../../core/ids.js'
import { isAudit } from '../codec-audit.js'
import type { AuditQuery, AuditRow } from '../ledger.js'
import { PID_LAST, USER_ID_LAST } from '../texts.js'
import { damaged, oneOf, whole } from './checked.js'

/** One append takes at most so many away, beside as many as it adds: so there are never more. */
export const AUDIT_PRUNED_ROWS_MAX = 256
/** Some milliseconds of reading. */
export const AUDIT_SLICE_ROWS = 8192

export interface AuditSlice {
  readonly rows: readonly AuditRow[]
  /** What is left to look at is below this revision; undefined: nothing. */
  readonly next: number | undefined
}

export class AuditLog {
  readonly #sql: ReturnType<typeof prepare>
  #rows: number

  constructor(
    private readonly db: Database.Database,
    private readonly most: number,
  ) {
    this.#sql = prepare(db)
    this.#rows = this.#sql.count.get()?.[0] ?? 0
  }

  keep(record: AuditRecord, revision: number): void {
    const { at, action, actor, subject, cause, outcome, details } = record
    const who = [actor?.uid ?? null, actor?.gid ?? null, actor?.pid ?? null] as const
    this.#sql.keep.run(revision, at, action, ...who, subject, cause, outcome, details)
  }

  /** Within the transaction that added some. Answers how many there are once it is committed. */
  prune(added: number): number {
    const rows = this.#rows + added
    const excess = Math.min(rows - this.most, AUDIT_PRUNED_ROWS_MAX + added)
    return excess <= 0 ? rows : rows - this.#sql.deleteOldest.run(excess - 1).changes
  }

  settle(rows: number): void {
    this.#rows = rows
  }

  /** @throws CodecFault or InvariantViolation for rows that we cannot have written */
  read(query: AuditQuery, newest: number): AuditSlice {
    const { before = Number.MAX_SAFE_INTEGER, subject, limit } = query
    const floor =
      subject === undefined ? this.#sql.floor.get(before) : this.#sql.floorOf.get(before, subject)
    const next = floor?.[0]
    const filters = FILTERS.filter((filter) => query[filter] !== undefined)
    const where = ['revision BETWEEN ? AND ?', ...filters.map((filter) => `${filter} = ?`)]
    const values = filters.map((filter) => query[filter])
    const found = this.db
      .prepare<unknown[], Row>(
        `SELECT ${COLUMNS} FROM audit WHERE ${where.join(' AND ')} ORDER BY revision DESC LIMIT ?`,
      )
      .raw()
      .all(next ?? 0, before - 1, ...values, limit)
    return { rows: found.map((row) => auditOf(row, newest)), next }
  }
}

const FILTERS = ['action', 'subject', 'uid', 'outcome'] as const

const COLUMNS = 'revision, at, action, uid, gid, pid, subject, cause, outcome, details'

type Row = [
  revision: number,
  at: number,
  action: string,
  uid: number | null,
  gid: number | null,
  pid: number | null,
  subject: string,
  cause: string,
  outcome: string,
  details: string,
]

/** Pairs with keep(). */
function auditOf(row: Row, newest: number): AuditRow {
  const [revision, at, action, uid, gid, pid, subject, cause, outcome, details] = row
  const record: AuditRow = {
    revision: whole(revision, newest, 'revision of an audit record'),
    at: wallMs(at),
    action: oneOf(AUDIT_ACTIONS, action),
    actor: actorOf(uid, gid, pid),
    subject,
    cause,
    outcome: outcome as AuditRecord['outcome'],
    details,
  }
  if (!isAudit(record)) damaged(`audit record ${revision} is beyond its bounds`)
  return record
}

function actorOf(...[uid, gid, pid]: (number | null)[]): Actor | undefined {
  if (uid === null && gid === null && pid === null) return undefined
  return {
    uid: whole(uid, USER_ID_LAST, 'user of an audit record'),
    gid: whole(gid, USER_ID_LAST, 'group of an audit record'),
    pid: whole(pid, PID_LAST, 'process of an audit record'),
  }
}

function prepare(db: Database.Database) {
  type Who = number | null
  const lowest = `ORDER BY revision DESC LIMIT 1 OFFSET ${AUDIT_SLICE_ROWS - 1}`
  return {
    count: db.prepare<[], [number]>('SELECT count(*) FROM audit').raw(),
    keep: db.prepare<[number, number, string, Who, Who, Who, string, string, string, string]>(
      `INSERT INTO audit (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    deleteOldest: db.prepare<[number]>(
      `DELETE FROM audit WHERE revision <=
         (SELECT revision FROM audit ORDER BY revision LIMIT 1 OFFSET ?)`,
    ),
    /** The last row of a slice; nothing when there are not so many left. */
    floor: db
      .prepare<[number], [number]>(`SELECT revision FROM audit WHERE revision < ? ${lowest}`)
      .raw(),
    floorOf: db
      .prepare<[number, string], [number]>(
        `SELECT revision FROM audit WHERE revision < ? AND subject = ? ${lowest}`,
      )
      .raw(),
  }
}

/**
 * Audit records on the disk. Kept bounded, each share by itself: what is beyond its newest goes
 * oldest first, a few rows at each append, inside its transaction. Read in slices: a query that
 * finds little looks at no more rows at a time than a slice has, so that no append waits for it
 * long.
 */

import type Database from 'better-sqlite3'
import {
  type Actor,
  AUDIT_ACTIONS,
  auditBounds,
  type AuditRecord,
  type AuditShare,
  SHARE_OF,
} from '../../core/audit.js'
import { wallMs } from '../../core/ids.js'
import { isAudit } from '../codec-audit.js'
import type { AuditQuery, AuditRow } from '../ledger.js'
import { PID_LAST, USER_ID_LAST } from '../texts.js'
import { damaged, oneOf, whole } from './checked.js'

/**
 * One append takes at most so many of a share away, beside as many as it adds: so there are never
 * more.
 */
export const AUDIT_PRUNED_ROWS_MAX = 256
/** Some milliseconds of reading. */
export const AUDIT_SLICE_ROWS = 8192

export interface AuditSlice {
  readonly rows: readonly AuditRow[]
  /** What is left to look at is below this revision; undefined: nothing. */
  readonly next: number | undefined
}

type AuditRows = Readonly<Record<AuditShare, number>>

export class AuditLog {
  readonly #sql: ReturnType<typeof prepare>
  readonly #most: AuditRows
  #rows: AuditRows

  constructor(
    private readonly db: Database.Database,
    auditEvents: number,
  ) {
    this.#sql = prepare(db)
    this.#most = auditBounds(auditEvents)
    const all = this.#sql.count.get()?.[0] ?? 0
    const operators = this.#sql.countOperators.get()?.[0] ?? 0
    this.#rows = { SESSIONS: all - operators, OPERATORS: operators }
  }

  keep(record: AuditRecord, revision: number): void {
    const { at, action, actor, subject, cause, outcome, details } = record
    const who = [actor?.uid ?? null, actor?.gid ?? null, actor?.pid ?? null] as const
    const texts = [subject, cause, outcome, details] as const
    this.#sql.keep.run(revision, at, action, ...who, ...texts, SHARE_OF[action])
  }

  /** Within the transaction that added some. Answers how many there are once it is committed. */
  prune(added: AuditRows): AuditRows {
    const left = (share: AuditShare): number => {
      const rows = this.#rows[share] + added[share]
      const excess = Math.min(rows - this.#most[share], AUDIT_PRUNED_ROWS_MAX + added[share])
      return excess <= 0 ? rows : rows - this.#sql.deleteOldest[share].run(excess).changes
    }
    return { SESSIONS: left('SESSIONS'), OPERATORS: left('OPERATORS') }
  }

  settle(rows: AuditRows): void {
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

/** Named with its index: to go by any other is an error, where it is prepared. */
const OF_SHARE: Readonly<Record<AuditShare, string>> = {
  SESSIONS: `audit INDEXED BY audit_sessions WHERE share = 'SESSIONS'`,
  OPERATORS: `audit INDEXED BY audit_operators WHERE share = 'OPERATORS'`,
}

/** Of so many of the oldest of a share. */
export function deletionOf(share: AuditShare): string {
  return `DELETE FROM audit WHERE revision IN
    (SELECT revision FROM ${OF_SHARE[share]} ORDER BY revision LIMIT ?)`
}

function prepare(db: Database.Database) {
  type Who = number | null
  type Texts = [string, string, string, string, AuditShare]
  const lowest = `ORDER BY revision DESC LIMIT 1 OFFSET ${AUDIT_SLICE_ROWS - 1}`
  return {
    count: db.prepare<[], [number]>('SELECT count(*) FROM audit').raw(),
    countOperators: db.prepare<[], [number]>(`SELECT count(*) FROM ${OF_SHARE.OPERATORS}`).raw(),
    keep: db.prepare<[number, number, string, Who, Who, Who, ...Texts]>(
      `INSERT INTO audit (${COLUMNS}, share) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    deleteOldest: {
      SESSIONS: db.prepare<[number]>(deletionOf('SESSIONS')),
      OPERATORS: db.prepare<[number]>(deletionOf('OPERATORS')),
    },
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

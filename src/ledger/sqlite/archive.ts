/**
 * A reboot voids every grant: what the former boot held moves to the archive with the cause, in one
 * transaction, and nothing of it is in force any more. Tenants and devices keep their numbers.
 */

import type Database from 'better-sqlite3'
import { PASID_LAST } from '../../core/ids.js'
import { SLOT } from '../../core/namespace.js'
import { metaWriter } from './meta.js'
import type { Transactions } from './transaction.js'

/** Rows of each archive table that are kept, newest first: two full namespaces. */
export const ARCHIVED_ROWS_MAX = 2 ** 21

export interface Archiving {
  readonly cause: string
  /** The boot that begins. */
  readonly bootId: string
  /** The boot that ended. */
  readonly formerBootId: string
  readonly atMs: number
}

/** Answers how many numbers were held (being freed among them, at rest not). @throws StoreFault */
export function archive(
  db: Database.Database,
  transactions: Transactions,
  archiving: Archiving,
): number {
  const { cause, bootId, formerBootId, atMs } = archiving
  return transactions.run(() => {
    const stamp = { boot: formerBootId, at: atMs, cause }
    db.prepare(
      `INSERT INTO archived_session
         (boot, session, name, tenant, opened_at, devices, bindings, archived_at, cause)
       SELECT @boot, s.id, s.name, s.tenant, s.opened_at, coalesce(a.n, 0), coalesce(b.n, 0),
         @at, @cause
       FROM session AS s
         LEFT JOIN (SELECT session, count(*) AS n FROM attachment GROUP BY session) AS a
           ON a.session = s.id
         LEFT JOIN (SELECT session, count(*) AS n FROM binding GROUP BY session) AS b
           ON b.session = s.id
       ORDER BY s.id`,
    ).run(stamp)
    const { changes } = db
      .prepare(
        `INSERT INTO archived_grant
         (boot, namespace, pasid, session, tenant, generation, at, archived_at, cause)
       SELECT @boot, a.id >> 20, a.id & ${PASID_LAST}, coalesce(s.name, ''), a.tenant,
         a.generation, a.at, @at, @cause
       FROM allocation AS a LEFT JOIN session AS s ON s.id = a.session
       WHERE a.slot <> ${SLOT.QUARANTINED} ORDER BY a.id`,
      )
      .run(stamp)
    for (const table of ['archived_session', 'archived_grant']) {
      db.exec(
        `DELETE FROM ${table} WHERE id <= (SELECT max(id) FROM ${table}) - ${ARCHIVED_ROWS_MAX}`,
      )
    }
    for (const table of ['allocation', 'binding', 'attachment', 'session', 'request']) {
      db.exec(`DELETE FROM ${table}`)
    }
    metaWriter(db)('boot_id', bootId)
    return changes
  })
}

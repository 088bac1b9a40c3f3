/** Audit records on the disk: forgotten a few at a time, read in slices, damage told. */

import { expect, test } from 'vitest'
import type { AuditRecord } from '../../src/core/audit.js'
import { type AuditQuery, type Ledger, LedgerFault } from '../../src/ledger/ledger.js'
import {
  AUDIT_PRUNED_ROWS_MAX,
  AUDIT_SLICE_ROWS,
  deletionOf,
} from '../../src/ledger/sqlite/audit.js'
import { LedgerCorrupt } from '../../src/ledger/sqlite/sqlite-ledger.js'
import { audited, changesAfter, linesOf, tenant } from '../support/ledger-events.js'
import { LedgerDirectory } from '../support/ledger-home.js'

const EVERY: AuditQuery = {
  before: undefined,
  limit: 5000,
  action: undefined,
  subject: undefined,
  uid: undefined,
  outcome: undefined,
}

/** One batch of changes with a record each, of sessions' life. */
function audit(ledger: Ledger, count: number, other: Partial<AuditRecord> = {}): Promise<void> {
  const records = Array.from({ length: count }, () => [audited({ action: 'RECLAIM', ...other })])
  return ledger.append(changesAfter(ledger, ...records))
}

async function revisionsOf(ledger: Ledger, other: Partial<AuditQuery> = {}): Promise<number[]> {
  return (await ledger.readAudit({ ...EVERY, ...other })).map(({ revision }) => revision)
}

test.each([
  ['RECLAIM', 2000, 1100],
  ['UPDATE_TENANT', 11_000, 1000],
] as const)('a lower bound takes effect a few %s at an append', async (action, before, after) => {
  const directory = new LedgerDirectory()
  const first = await directory.open({ auditEvents: action === 'RECLAIM' ? before : 10 * before })
  await audit(first, 1, { action: action === 'RECLAIM' ? 'UPDATE_TENANT' : 'RECLAIM' })
  await audit(first, 1900, { action })
  await first.close()
  const second = await directory.open({ auditEvents: action === 'RECLAIM' ? after : 1000 })
  const left: number[] = []
  for (let i = 0; i < 6; i += 1) {
    await second.append(changesAfter(second, i === 0 ? [tenant(0)] : []))
    const revisions = await revisionsOf(second, { action })
    expect(revisions[0]).toBe(1901)
    expect(revisions.at(-1)).toBe(1902 - revisions.length)
    left.push(revisions.length)
  }
  const steps = [1, 2, 3, 4, 5, 6].map((i) => 1900 - i * AUDIT_PRUNED_ROWS_MAX)
  expect(left).toEqual(steps.map((rows) => Math.max(rows, after)))
  expect((await revisionsOf(second)).at(-1)).toBe(1)
  await second.close()
})

test.each([
  ['RECLAIM', 3],
  ['BREAKER_OPENED', 1000],
] as const)('a COMMIT that fails counts no %s and takes none away', async (action, bound) => {
  const directory = new LedgerDirectory()
  await (await directory.open()).close()
  directory.tamper(
    `CREATE TABLE parent (id INTEGER PRIMARY KEY);
     CREATE TABLE child (id REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
     CREATE TRIGGER planted AFTER INSERT ON audit WHEN NEW.cause = 'planted'
     BEGIN INSERT INTO child VALUES (1); END`,
  )
  const ledger = await directory.open({ auditEvents: 3 })
  await audit(ledger, bound - 1, { action })
  for (const count of [1, 300]) {
    const failing = audit(ledger, count, { action, cause: 'planted' })
    await expect(failing).rejects.toMatchObject({ outcome: 'NOT_WRITTEN' })
    expect(await revisionsOf(ledger)).toHaveLength(bound - 1)
  }
  await audit(ledger, 1, { action })
  expect(await revisionsOf(ledger)).toHaveLength(bound)
  await audit(ledger, 1, { action })
  const left = await revisionsOf(ledger)
  expect([left.length, left[0], left.at(-1)]).toEqual([bound, bound + 1, 2])
  await ledger.close()
})

test('a batch larger than what one append takes away still keeps the bound', async () => {
  const ledger = await new LedgerDirectory().open({ auditEvents: 10 })
  for (let i = 1; i <= 3; i += 1) {
    await audit(ledger, 3 * AUDIT_PRUNED_ROWS_MAX)
    const newest = i * 3 * AUDIT_PRUNED_ROWS_MAX
    expect(await revisionsOf(ledger)).toEqual(Array.from({ length: 10 }, (_, n) => newest - n))
  }
  await ledger.close()
})

test('what is rare is found however many slices lie before it, between appends', async () => {
  const ledger = await new LedgerDirectory().open()
  await audit(ledger, 1, { outcome: 'DRAINING', subject: 'sessions/first' })
  await audit(ledger, AUDIT_SLICE_ROWS - 1, { subject: 'sessions/many' })
  await audit(ledger, 1, { outcome: 'DRAINING', subject: 'sessions/first' })
  await audit(ledger, 2 * AUDIT_SLICE_ROWS, { subject: 'sessions/many' })
  const rare = [AUDIT_SLICE_ROWS + 1, 1]
  const reading = revisionsOf(ledger, { outcome: 'DRAINING' })
  await audit(ledger, 1, { subject: 'sessions/many' })
  expect(await reading).toEqual(rare)
  expect(await revisionsOf(ledger, { outcome: 'DRAINING', limit: 1 })).toEqual(rare.slice(0, 1))
  expect(await revisionsOf(ledger, { subject: 'sessions/first' })).toEqual(rare)
  // Of this subject there is more than a slice, and of neither kind both.
  const both = { subject: 'sessions/many', outcome: 'DRAINING' }
  expect(await revisionsOf(ledger, both)).toEqual([])
  const many: number[] = []
  for (let before: number | undefined; ; before = many.at(-1)) {
    const page = await revisionsOf(ledger, { subject: 'sessions/many', before })
    if (page.length === 0) break
    many.push(...page)
  }
  const all = Array.from({ length: 3 * AUDIT_SLICE_ROWS + 2 }, (_, i) => i + 1).reverse()
  expect(many).toEqual(all.filter((revision) => !rare.includes(revision)))
  await ledger.close()
})

test('of what reads ask only the subject has an index, else the revisions lead', async () => {
  const directory = new LedgerDirectory()
  await (await directory.open()).close()
  const plan = (where: string) =>
    JSON.stringify(
      directory.query(
        `EXPLAIN QUERY PLAN SELECT * FROM audit WHERE revision BETWEEN 1 AND 9 AND ${where}
         ORDER BY revision DESC LIMIT 3`,
      ),
    )
  expect(plan(`subject = 'x' AND uid = 1`)).toContain('audit_subject (subject=? AND rowid>? AND')
  expect(plan(`action = 'x' AND uid = 1`)).toContain('INTEGER PRIMARY KEY (rowid>? AND rowid<?)')
  expect(plan(`subject = 'x'`)).not.toContain('TEMP B-TREE')
})

test.each([
  ['SESSIONS', 'audit_sessions'],
  ['OPERATORS', 'audit_operators'],
] as const)(
  'the oldest of %s are found by their own index, not by what is between',
  async (...of) => {
    const [share, index] = of
    const directory = new LedgerDirectory()
    await (await directory.open()).close()
    const rows = directory.query(`EXPLAIN QUERY PLAN ${deletionOf(share).replace('?', '3')}`)
    const steps = rows.map((row) => (row as { readonly detail: string }).detail)
    expect(steps).toContain('SEARCH audit USING INTEGER PRIMARY KEY (rowid=?)')
    expect(steps).toContain(`SCAN audit USING COVERING INDEX ${index}`)
    expect(steps.join(' ')).not.toContain('TEMP B-TREE')
  },
)

test('a read that a close overtakes is a fault, not a bug', async () => {
  const ledger = await new LedgerDirectory().open()
  await audit(ledger, 2 * AUDIT_SLICE_ROWS)
  const reading = revisionsOf(ledger, { outcome: 'DRAINING' }).catch((error: unknown) => error)
  await ledger.close()
  expect(await reading).toMatchObject({ name: 'LedgerFault', outcome: 'NOT_WRITTEN' })
})

test.each([
  ['an action there is not', `UPDATE audit SET action = 'WAVE'`],
  ['half an actor', 'UPDATE audit SET uid = NULL'],
  ['an actor beyond all', 'UPDATE audit SET pid = 4194305'],
  ['a text without an end', `UPDATE audit SET details = printf('%.600c', 'x')`],
  ['an outcome in words', `UPDATE audit SET outcome = 'went well'`],
  ['a change to come', 'UPDATE audit SET revision = 9'],
])('damage is told by the read and by nothing else: %s', async (_what, sql) => {
  const directory = new LedgerDirectory()
  const first = await directory.openFilled()
  await audit(first, 1)
  await first.close()
  directory.tamper(`PRAGMA ignore_check_constraints = ON; ${sql}`)
  const ledger = await directory.open()
  const error: unknown = await ledger.readAudit(EVERY).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(LedgerFault)
  expect((error as LedgerFault).cause).toBeInstanceOf(LedgerCorrupt)
  expect(linesOf(await ledger.load())).toContain('revision 2')
  await ledger.append(changesAfter(ledger, [tenant(1)]))
  await ledger.close()
})

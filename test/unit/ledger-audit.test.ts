/** Audit records on the disk: forgotten a few at a time, read in slices, damage told. */

import { expect, test } from 'vitest'
import type { AuditRecord } from '../../src/core/audit.js'
import { type AuditQuery, type Ledger, LedgerFault } from '../../src/ledger/ledger.js'
import { AUDIT_PRUNED_ROWS_MAX, AUDIT_SLICE_ROWS } from '../../src/ledger/sqlite/audit.js'
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

/** One batch of changes with a record each. */
function audit(ledger: Ledger, count: number, other: Partial<AuditRecord> = {}): Promise<void> {
  const records = Array.from({ length: count }, () => [audited(other)])
  return ledger.append(changesAfter(ledger, ...records))
}

async function revisionsOf(ledger: Ledger, other: Partial<AuditQuery> = {}): Promise<number[]> {
  return (await ledger.readAudit({ ...EVERY, ...other })).map(({ revision }) => revision)
}

test('a lower bound takes effect a few rows at an append, oldest first', async () => {
  const directory = new LedgerDirectory()
  const first = await directory.open()
  await audit(first, 1000)
  await first.close()
  const second = await directory.open({ auditEvents: 100 })
  const left: number[] = []
  for (let i = 0; i < 6; i += 1) {
    await second.append(changesAfter(second, i === 0 ? [tenant(0)] : []))
    const revisions = await revisionsOf(second)
    expect(revisions[0]).toBe(1000)
    expect(revisions.at(-1)).toBe(1001 - revisions.length)
    left.push(revisions.length)
  }
  const pruned = AUDIT_PRUNED_ROWS_MAX
  expect(left).toEqual([1000 - pruned, 1000 - 2 * pruned, 1000 - 3 * pruned, 100, 100, 100])
  await second.close()
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

test('only the subject has an index, and each slice goes by it or by the revisions', async () => {
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

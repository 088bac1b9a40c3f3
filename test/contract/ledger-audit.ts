/** What every ledger does with audit records. */

import { describe, expect, test } from 'vitest'
import { InvariantViolation } from '../../src/core/assert.js'
import { AUDIT_ACTIONS, type AuditRecord, SHARE_OF } from '../../src/core/audit.js'
import { wallMs } from '../../src/core/ids.js'
import type { AuditQuery, AuditRow, Ledger } from '../../src/ledger/ledger.js'
import { audited, changesAfter, limits, linesOf, tenant } from '../support/ledger-events.js'
import type { LedgerHome } from './ledger.js'

function asked(other: Partial<AuditQuery> = {}): AuditQuery {
  const any = { action: undefined, subject: undefined, uid: undefined, outcome: undefined }
  return { before: undefined, limit: 5000, ...any, ...other }
}

/** One change each, from the ledger's next revision on. */
async function audit(ledger: Ledger, ...records: Partial<AuditRecord>[]): Promise<void> {
  await ledger.append(changesAfter(ledger, ...records.map((record) => [audited(record)])))
}

async function revisionsOf(ledger: Ledger, other: Partial<AuditQuery> = {}): Promise<number[]> {
  return (await ledger.readAudit(asked(other))).map(({ revision }) => revision)
}

/** A record of each action, as many as asked for in all. */
function ofShare(share: 'SESSIONS' | 'OPERATORS', count: number): Partial<AuditRecord>[] {
  const actions = AUDIT_ACTIONS.filter((action) => SHARE_OF[action] === share)
  return Array.from({ length: count }, (_, i) => ({
    action: actions[i % actions.length] ?? 'LINGER',
  }))
}

/** The newest first, from one to another. */
function down(from: number, to: number): number[] {
  return Array.from({ length: from - to + 1 }, (_, i) => from - i)
}

const actor = { uid: 1000, gid: 100, pid: 4_194_304 }

/** Revisions 1 to 6. */
const SIX: readonly Partial<AuditRecord>[] = [
  { action: 'OPEN_SESSION', actor, subject: 'sessions/a' },
  { action: 'END_SESSION', outcome: 'SESSION_NOT_FOUND', subject: 'sessions/b' },
  { action: 'RECLAIM', actor: undefined, subject: 'sessions/a', cause: 'pidfd' },
  { action: 'END_SESSION', actor, subject: 'sessions/a' },
  { action: 'RESUME_RECLAIM', actor, subject: '', details: 'all' },
  { action: 'END_SESSION', actor, outcome: 'SESSION_NOT_FOUND', subject: 'sessions/a' },
]

export function ledgerAuditContract(name: string, create: () => LedgerHome): void {
  describe(`ledger's audit records: ${name}`, () => {
    test('a new ledger has none', async () => {
      const ledger = await create().open()
      expect(await ledger.readAudit(asked())).toEqual([])
      await ledger.close()
    })

    test('each comes back as it was, with the revision of its change, newest first', async () => {
      const place = create()
      const ledger = await place.open()
      const records: AuditRecord[] = AUDIT_ACTIONS.map((action, i) => ({
        action,
        at: wallMs(Number.MAX_SAFE_INTEGER - i),
        actor: i % 2 === 0 ? undefined : { uid: 0xffff_fffe, gid: 0, pid: i },
        subject: i % 3 === 0 ? '' : `sessions/ü-${i}`,
        cause: 'x'.repeat(512),
        outcome: i % 2 === 0 ? 'DONE' : 'GENERATION_STALE',
        details: `"${i}"\n\u0000`,
      }))
      for (const [i, record] of records.entries()) {
        await ledger.append(changesAfter(ledger, [tenant(i), audited(record)], [tenant(1000 + i)]))
      }
      const rows: AuditRow[] = records.map((record, i) => ({ revision: 1 + 2 * i, ...record }))
      rows.reverse()
      expect(await ledger.readAudit(asked())).toEqual(rows)
      expect(await ledger.reopen()).toBe(2 * records.length)
      expect(await ledger.readAudit(asked())).toEqual(rows)
      await ledger.close()
      const again = await place.open()
      expect(await again.readAudit(asked())).toEqual(rows)
      await again.close()
    })

    test.each<readonly [string, Partial<AuditQuery>, number[]]>([
      ['nothing', {}, [6, 5, 4, 3, 2, 1]],
      ['an action', { action: 'END_SESSION' }, [6, 4, 2]],
      ['a subject', { subject: 'sessions/a' }, [6, 4, 3, 1]],
      ['no subject', { subject: '' }, [5]],
      ['the beginning of a subject', { subject: 'sessions/' }, []],
      ['a user', { uid: 1000 }, [6, 5, 4, 1]],
      ['root, which the daemon by itself is not', { uid: 0 }, [2]],
      ['an outcome', { outcome: 'SESSION_NOT_FOUND' }, [6, 2]],
      ['an outcome there never was', { outcome: `' OR 1 --` }, []],
      ['all together', { ...SIX[5], uid: 1000, before: 7 }, [6]],
      ['two of which no record has both', { action: 'RECLAIM', uid: 1000 }, []],
      ['before one', { before: 4 }, [3, 2, 1]],
      ['before the first', { before: 1 }, []],
      ['before all that may come', { before: Number.MAX_SAFE_INTEGER }, [6, 5, 4, 3, 2, 1]],
      ['so many', { limit: 2 }, [6, 5]],
      ['so many of an action before one', { action: 'END_SESSION', before: 6, limit: 1 }, [4]],
      ['a subject before one', { subject: 'sessions/a', before: 4 }, [3, 1]],
    ])('asked for %s', async (_what, { before, limit, action, subject, uid, outcome }, found) => {
      const ledger = await create().open()
      await audit(ledger, ...SIX)
      const query = { before, limit: limit ?? 5000, action, subject, uid, outcome }
      expect(await revisionsOf(ledger, query)).toEqual(found)
      await ledger.close()
    })

    test('pages join without a gap or a repeat, whatever is added meanwhile', async () => {
      const ledger = await create().open()
      await audit(ledger, ...SIX)
      const seen: number[] = []
      for (let before: number | undefined; ; ) {
        const page = await revisionsOf(ledger, { before, limit: 2, subject: 'sessions/a' })
        if (page.length === 0) break
        seen.push(...page)
        before = page.at(-1)
        await audit(ledger, { subject: 'sessions/a' })
      }
      expect(seen).toEqual([6, 4, 3, 1])
      await ledger.close()
    })

    test.each([0, 5001, 1.5, Number.NaN])('a limit of %d is a bug', async (limit) => {
      const ledger = await create().open()
      await expect(ledger.readAudit(asked({ limit }))).rejects.toThrow(InvariantViolation)
      await ledger.close()
    })

    test.each([
      ['SESSIONS', 5, 5],
      ['SESSIONS', 20_000, 20_000],
      ['OPERATORS', 5, 1000],
      ['OPERATORS', 10_000, 1000],
      ['OPERATORS', 10_019, 1001],
    ] as const)(
      'of %s, at a bound of %d, %d are kept; one more, and the oldest goes',
      async (...of) => {
        const [share, auditEvents, bound] = of
        const place = create()
        const ledger = await place.open({ auditEvents })
        const oldest = async () => (await revisionsOf(ledger, { before: 6 })).at(-1)
        await audit(ledger, ...ofShare(share, bound))
        expect(await oldest()).toBe(1)
        await ledger.append(changesAfter(ledger, [tenant(0)]))
        expect(await oldest()).toBe(1)
        await audit(ledger, ...ofShare(share, 1))
        expect(await oldest()).toBe(2)
        await audit(ledger, ...ofShare(share, 2))
        expect(await oldest()).toBe(4)
        await ledger.close()
        const again = await place.open({ auditEvents })
        await audit(again, ...ofShare(share, 1))
        const newest = again.facts.revision
        const kept: number[] = []
        for (let before: number | undefined; ; before = kept.at(-1)) {
          const page = await revisionsOf(again, { before })
          if (page.length === 0) break
          kept.push(...page)
        }
        expect(kept).toEqual(down(newest, 5).filter((revision) => revision !== bound + 1))
        await again.close()
      },
    )

    test('a flood of sessions leaves what operators did, and the other way round', async () => {
      const place = create()
      const ledger = await place.open({ auditEvents: 5 })
      await audit(ledger, ...ofShare('OPERATORS', 7), ...ofShare('SESSIONS', 3))
      for (let i = 0; i < 3; i += 1) await audit(ledger, ...ofShare('SESSIONS', 1000))
      const operators = down(7, 1)
      expect(await revisionsOf(ledger)).toEqual([...down(3010, 3006), ...operators])
      await ledger.close()
      const again = await place.open({ auditEvents: 5 })
      await audit(again, ...ofShare('OPERATORS', 993))
      expect(await revisionsOf(again)).toEqual([...down(4003, 3006), ...operators])
      for (let i = 0; i < 3; i += 1) await audit(again, ...ofShare('OPERATORS', 1000))
      expect(await revisionsOf(again)).toEqual([...down(7003, 6004), ...down(3010, 3006)])
      await audit(again, ...ofShare('SESSIONS', 1), ...ofShare('OPERATORS', 1))
      expect(await revisionsOf(again)).toEqual([...down(7005, 6005), ...down(3010, 3007)])
      await again.close()
    })

    test.each([
      ['SESSIONS', 3],
      ['OPERATORS', 1000],
    ] as const)(
      'a batch of %s that is undone neither adds one nor takes one away',
      async (share, bound) => {
        const ledger = await create().open({ auditEvents: 3 })
        await ledger.append(changesAfter(ledger, [tenant(0)]))
        await audit(ledger, ...ofShare(share, bound - 1))
        // The tenant is there already: memory and disk differ, which is a bug.
        const events = ofShare(share, 9).map((record) => [audited(record)])
        const batch = changesAfter(ledger, ...events, [tenant(0)])
        await expect(ledger.append(batch)).rejects.toThrow(InvariantViolation)
        expect(await revisionsOf(ledger)).toEqual(down(bound, 2))
        await audit(ledger, ...ofShare(share, 1))
        expect(await revisionsOf(ledger)).toEqual(down(bound + 1, 2))
        await audit(ledger, ...ofShare(share, 1))
        expect(await revisionsOf(ledger)).toEqual(down(bound + 2, 3))
        await ledger.close()
      },
    )

    test('a reboot leaves them, and the limits that were changed', async () => {
      const place = create()
      const ledger = await place.open()
      const override = { maxPasids: 7 }
      await ledger.append(changesAfter(ledger, [tenant(0)], [limits(0, undefined, override)]))
      await audit(ledger, ...SIX)
      const before = await ledger.readAudit(asked())
      await ledger.close()
      const next = await place.open({ bootId: 'boot-2' })
      await next.archive('the host was rebooted', 'boot-2')
      expect(await next.readAudit(asked())).toEqual(before)
      expect(linesOf(await next.load())).toContain('tenant 0 tenant-0 {"maxPasids":7}')
      await next.append(changesAfter(next, [limits(0, override, undefined), audited()]))
      expect(await revisionsOf(next, { limit: 2 })).toEqual([9, 8])
      await next.close()
    })
  })
}

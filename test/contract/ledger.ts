/** What every ledger does, whatever engine is behind the door. */

import { describe, expect, test } from 'vitest'
import { InvariantViolation } from '../../src/core/assert.js'
import type { Change, Event } from '../../src/core/events.js'
import { domainId, namespaceId, tenantId, wallMs } from '../../src/core/ids.js'
import type { TenantOverride } from '../../src/core/quota.js'
import type { SessionRecord } from '../../src/core/session.js'
import type { Ledger } from '../../src/ledger/ledger.js'
import {
  AT,
  attachment,
  audited,
  binding,
  changesAfter,
  closed,
  device,
  freeBegun,
  granted,
  kept,
  limits,
  linesOf,
  opened,
  OWNER,
  released,
  session,
  slotsOf,
  sortedJson,
  tenant,
} from '../support/ledger-events.js'

/** One place where a ledger lives, over several openings. */
export interface LedgerHome {
  open(options?: { readonly bootId?: string; readonly auditEvents?: number }): Promise<Ledger>
  /** Tries to open it in another process; answers what that one was told. */
  openElsewhere(): Promise<{ readonly opened: boolean; readonly told: string }>
}

export function ledgerContract(name: string, create: () => LedgerHome): void {
  /** A ledger with a tenant, a device, and session 1 that holds 256 to 259 since revision 1. */
  async function filled(): Promise<{ place: LedgerHome; ledger: Ledger }> {
    const place = create()
    const ledger = await place.open()
    await ledger.append(
      changesAfter(ledger, (revision) => [
        tenant(0),
        device(0),
        opened(session(1)),
        granted(1, 256, 4, { revision }),
      ]),
    )
    return { place, ledger }
  }

  describe(`ledger contract: ${name}`, () => {
    test('a new ledger is empty and names itself', async () => {
      const ledger = await create().open()
      expect(ledger.facts).toMatchObject({ revision: 0, bootId: '', movedAside: undefined })
      expect(ledger.facts.id).toMatch(/^[0-9a-f]{32}$/)
      expect(linesOf(await ledger.load())).toEqual(['last session 0', 'revision 0'])
      await ledger.close()
    })

    const record = session(5, { labels: { team: 'grün', __proto__x: '' }, maxPasids: 2 ** 40 })
    const ownerless = session(6, { owner: undefined, delegate: 0xffff_ffff, lingerMs: 60_000 })
    const unnamed = { ...OWNER, pid: 1, inode: '', startTime: '', pidNamespace: '', gid: 0 }
    const lingering: SessionRecord = { ...record, state: 'LINGERING', cause: 'EXIT', lingerMs: 5 }
    const successor: SessionRecord = { ...record, owner: unnamed, delegate: 0, lingerMs: 5 }
    const held = { withheld: true, unproven: true }
    const closing = { ...record, state: 'CLOSING', cause: 'INFERRED', ...held } as const
    const changed = { window: { first: 1, last: 1_048_575 }, maxPasids: 0, maxSessions: null }
    const raised: TenantOverride = { maxPasids: Number.MAX_SAFE_INTEGER, guaranteedPasids: 4 }
    const bound = binding(1, 256, { state: 'BOUND' })
    const lostCause = 'reset, „weg“'
    const previous = { table: { kind: 'PASS_THROUGH' }, domain: domainId(65_535) } as const
    /** One kind of event a row: what is done, and lines that must, or must not, be there then. */
    const kinds: readonly {
      readonly what: string
      readonly steps: readonly ((revision: number) => readonly Event[])[]
      readonly lines?: readonly string[]
      readonly absent?: readonly string[]
      readonly slots?: Readonly<Record<number, number>>
    }[] = [
      { what: 'a tenant', steps: [() => [tenant(65_535, 'ü')]], lines: ['tenant 65535 ü'] },
      {
        what: 'limits changed at run time, null for those inherited',
        steps: [() => [limits(0, undefined, changed)]],
        lines: [`tenant 0 tenant-0 ${sortedJson(changed)}`],
      },
      {
        what: 'limits changed again, in whatever order they are named',
        steps: [
          () => [limits(0, undefined, changed)],
          () => [limits(0, { maxPasids: 0, maxSessions: null, window: changed.window }, raised)],
        ],
        lines: [`tenant 0 tenant-0 ${sortedJson(raised)}`],
      },
      {
        what: 'limits that are those of the configuration again',
        steps: [() => [limits(0, undefined, raised)], () => [limits(0, raised, undefined)]],
        lines: ['tenant 0 tenant-0'],
      },
      { what: 'a device', steps: [() => [device(4095)]], lines: ['device 4095 device-4095'] },
      {
        what: 'a session opened',
        steps: [() => [opened(record)]],
        lines: [`session ${sortedJson(record)}`, 'last session 5'],
      },
      {
        what: 'a session without an owner, opened by a delegate',
        steps: [() => [opened(ownerless)]],
        lines: [`session ${sortedJson(ownerless)}`],
      },
      {
        what: 'a session lingering',
        steps: [
          () => [opened(record)],
          () => [{ kind: 'session-changed', before: record, after: lingering }],
        ],
        lines: [`session ${sortedJson(lingering)}`],
      },
      {
        what: 'a session taken over',
        steps: [
          () => [opened(record)],
          () => [{ kind: 'session-changed', before: record, after: lingering }],
          () => [{ kind: 'session-changed', before: lingering, after: successor }],
        ],
        lines: [`session ${sortedJson(successor)}`],
      },
      {
        what: 'a session closing, its numbers withheld and unproven',
        steps: [
          () => [opened(record)],
          () => [{ kind: 'session-changed', before: record, after: closing }],
        ],
        lines: [`session ${sortedJson(closing)}`],
      },
      {
        what: 'a session closed, whose number stays used',
        steps: [
          (revision) => [opened(record), kept(revision, { session: record.id })],
          () => [{ kind: 'session-changed', before: record, after: undefined }],
        ],
        lines: ['last session 5'],
        absent: [`session ${sortedJson(record)}`, 'request 5'],
      },
      {
        what: 'an attachment begun',
        steps: [() => [attachment(undefined, 'ATTACHING')]],
        lines: ['attachment 1 0 ATTACHING'],
      },
      {
        what: 'an attachment moved on',
        steps: [
          () => [attachment(undefined, 'ATTACHING'), attachment('ATTACHING', 'ATTACHED')],
          () => [attachment('ATTACHED', 'DETACHING')],
        ],
        lines: ['attachment 1 0 DETACHING'],
      },
      {
        what: 'an attachment ended',
        steps: [
          () => [attachment(undefined, 'ATTACHED')],
          () => [attachment('ATTACHED', undefined)],
        ],
        absent: ['attachment'],
      },
      {
        what: 'a grant of several runs, with labels, in the last namespace',
        steps: [
          (revision) => [
            granted(1, 1, 1, {
              revision,
              namespace: namespaceId(4096),
              tenant: tenantId(9),
              runs: [
                { first: 1, count: 2 },
                { first: 1_048_575, count: 1 },
              ],
              labels: { vm: 'a"b' },
              at: wallMs(Number.MAX_SAFE_INTEGER),
            }),
          ],
        ],
        lines: [1, 2, 1_048_575].map(
          (n) => `pasid 4096 ${n} 1 1 9 2 ${Number.MAX_SAFE_INTEGER} {"vm":"a\\"b"}`,
        ),
      },
      {
        what: 'a free begun',
        steps: [() => [freeBegun(1, 257, 2)]],
        slots: { 256: 1, 257: 2, 258: 2, 259: 1 },
      },
      {
        what: 'numbers released from both states',
        steps: [
          () => [freeBegun(1, 257, 2)],
          () => [released(1, 257, 1), released(1, 259, 1, 'HELD')],
        ],
        slots: { 256: 1, 257: 3, 258: 2, 259: 3 },
      },
      {
        what: 'a number that rested, granted again',
        steps: [
          () => [released(1, 256, 1, 'HELD')],
          (revision) => [granted(1, 256, 1, { revision })],
        ],
        lines: [`pasid 0 256 1 1 0 3 ${AT} -`],
      },
      {
        what: 'a binding made and bound',
        steps: [
          () => [{ kind: 'binding-changed', before: undefined, after: binding(1, 256) }],
          () => [{ kind: 'binding-changed', before: binding(1, 256), after: bound }],
        ],
        lines: [`binding ${sortedJson(bound)}`],
      },
      {
        what: 'a binding of the RID, being replaced, lost',
        steps: [
          () => [
            {
              kind: 'binding-changed',
              before: undefined,
              after: binding(1, 0, { previous, state: 'LOST', cause: lostCause }),
            },
          ],
        ],
        lines: [
          `binding ${sortedJson(binding(1, 0, { previous, state: 'LOST', cause: lostCause }))}`,
        ],
      },
      {
        what: 'a binding gone',
        steps: [
          () => [{ kind: 'binding-changed', before: undefined, after: bound }],
          () => [{ kind: 'binding-changed', before: bound, after: undefined }],
        ],
        absent: ['binding'],
      },
      {
        what: 'request ids of a session and of a tenant',
        steps: [
          (revision) => [kept(revision)],
          (revision) => [kept(revision, { session: undefined, method: 'OpenSession', answer: 1 })],
        ],
        lines: [
          `request 1 0 AllocatePasids 4294967294 2 2147483649 3 ${AT} 256 2`,
          `request 0 0 OpenSession 4294967294 3 2147483649 3 ${AT} 1 3`,
        ],
      },
    ]
    test.each(kinds)('keeps $what', async ({ steps, lines = [], absent = [], slots }) => {
      const { place, ledger } = await filled()
      const before = await ledger.load()
      await ledger.append(changesAfter(ledger, ...steps))
      await ledger.close()
      const again = await place.open()
      const image = await again.load()
      const found = linesOf(image)
      for (const line of lines) expect(found).toContain(line)
      for (const start of absent) {
        expect(found.filter((line) => `${line} `.startsWith(`${start} `))).toEqual([])
      }
      if (slots !== undefined) expect(slotsOf(image)).toEqual(slots)
      expect(image.revision).toBe(before.revision + steps.length)
      await again.close()
    })

    test('columns come in the order of numbers, request ids oldest first', async () => {
      const { ledger } = await filled()
      const numbers = [900, 300, 700]
      await ledger.append(
        changesAfter(
          ledger,
          ...numbers.map((n) => (revision: number) => [
            granted(1, n, 1, { revision }),
            kept(revision),
          ]),
        ),
      )
      const { allocations, requests } = await ledger.load()
      expect([...allocations.pasid]).toEqual([256, 257, 258, 259, 300, 700, 900])
      expect([...requests.revision]).toEqual([2, 3, 4])
      await ledger.close()
    })

    test('a batch is durable as a whole or not at all', async () => {
      const { ledger } = await filled()
      const before = linesOf(await ledger.load())
      const batch = changesAfter(
        ledger,
        (revision) => [granted(1, 300, 100, { revision }), tenant(1)],
        (revision) => [kept(revision)],
        // Held already: memory and disk differ, which is a bug.
        (revision) => [granted(1, 259, 1, { revision })],
      )
      await expect(ledger.append(batch)).rejects.toThrow(InvariantViolation)
      expect(linesOf(await ledger.load())).toEqual(before)
      await ledger.append(batch.slice(0, 2))
      expect(ledger.facts.revision).toBe(3)
      await ledger.close()
    })

    test.each([
      ['a number is freed that is not held', () => [freeBegun(1, 260, 1)]],
      ['a number is freed by another', () => [freeBegun(2, 256, 1)]],
      ['a number is released that was not given back', () => [released(1, 256, 1)]],
      ['a run reaches beyond what is held', () => [freeBegun(1, 258, 3)]],
      ['a session is closed that is not open', () => [closed(session(9))]],
      ['a session is opened twice', () => [opened(session(1))]],
      ['a device is detached that is not attached', () => [attachment('DETACHING', undefined)]],
      ['a session is open and has a cause', () => [opened(session(2, { cause: 'EXIT' }))]],
      ['a session lingers for no cause', () => [opened(session(2, { state: 'LINGERING' }))]],
      ['an owner has no process', () => [opened(session(2, { owner: { ...OWNER, pid: 0 } }))]],
      ['limits change that are others', () => [limits(0, { maxPasids: 1 }, undefined)]],
      ['limits change of nobody', () => [limits(9, undefined, { maxPasids: 1 })]],
      ['a change is audited twice', () => [audited(), audited()]],
      ['a tenant gets a second number', () => [tenant(1, 'tenant-0')]],
    ] as const)('it is a bug when %s', async (_what, events) => {
      const { ledger } = await filled()
      await expect(ledger.append(changesAfter(ledger, events()))).rejects.toThrow(
        InvariantViolation,
      )
      expect(ledger.facts.revision).toBe(1)
      await ledger.close()
    })

    test('revisions continue without a gap', async () => {
      const { ledger } = await filled()
      for (const revision of [1, 3]) {
        const gap: Change = { revision, events: [] }
        await expect(ledger.append([gap])).rejects.toThrow(InvariantViolation)
      }
      await ledger.append([
        { revision: 2, events: [] },
        { revision: 3, events: [] },
      ])
      await ledger.append([])
      expect((await ledger.load()).revision).toBe(3)
      await ledger.close()
    })

    test('reopened, it goes on where it was', async () => {
      const { place, ledger } = await filled()
      const before = linesOf(await ledger.load())
      const { id } = ledger.facts
      expect(await ledger.reopen()).toBe(1)
      expect(await ledger.reopen()).toBe(1)
      expect(linesOf(await ledger.load())).toEqual(before)
      expect((await place.openElsewhere()).opened).toBe(false)
      await ledger.append(changesAfter(ledger, [tenant(1)]))
      expect(ledger.facts).toMatchObject({ id, revision: 2 })
      await ledger.close()
    })

    test('a former boot is archived: nothing of it is in force, names stay', async () => {
      const { place, ledger } = await filled()
      await ledger.append(
        changesAfter(ledger, (revision) => [
          attachment(undefined, 'ATTACHED'),
          { kind: 'binding-changed', before: undefined, after: bound },
          released(1, 257, 1, 'HELD'),
          freeBegun(1, 258, 1),
          kept(revision),
        ]),
      )
      await ledger.close()

      const next = await place.open({ bootId: 'boot-2' })
      expect(next.facts.bootId).toBe('boot-1')
      await expect(next.append(changesAfter(next, [tenant(1)]))).rejects.toThrow(InvariantViolation)
      expect(await next.archive('the host was rebooted', 'boot-2')).toBe(3)
      expect(next.facts.bootId).toBe('boot-2')
      const names = ['device 0 device-0', 'last session 1', 'revision 2', 'tenant 0 tenant-0']
      expect(linesOf(await next.load())).toEqual(names)
      await next.append(
        changesAfter(next, (revision) => [opened(session(2)), granted(2, 256, 4, { revision })]),
      )
      expect(await next.archive('again', 'boot-3')).toBe(4)
      await next.close()
    })

    test('one holder at a time, who is named', async () => {
      const { place, ledger } = await filled()
      const { opened: mine, told } = await place.openElsewhere()
      expect(mine).toBe(false)
      expect(told).toMatch(new RegExp(`\\bprocess ${process.pid}\\b`))
      await expect(place.open()).rejects.toThrow(`process ${process.pid}`)
      await ledger.append(changesAfter(ledger, [tenant(1)]))
      await ledger.close()
      expect(await place.openElsewhere()).toEqual({ opened: true, told: '' })
    })
  })
}

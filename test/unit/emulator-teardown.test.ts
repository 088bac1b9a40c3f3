/** The order in which bindings come and go, to the single store, and what each leaves behind. */

import { describe, expect, test } from 'vitest'
import type { Operation } from '../../src/backend/emulator/operation-log.js'
import type { LabRaised } from '../../src/backend/lab.js'
import type { Table } from '../../src/core/binding.js'
import { domainId, RID, sessionId, target } from '../../src/core/ids.js'
import { GuestTables } from '../support/emulator-guest.js'
import { endOf } from '../support/broker-rig-receiver.js'
import { ONE, Rig, VM } from '../support/emulator-rig.js'

const small = { order: 0, writable: true, user: true } as const
const PASS_THROUGH: Table = { kind: 'PASS_THROUGH' }

async function ready(
  device: ConstructorParameters<typeof Rig>[0] = {},
  options: ConstructorParameters<typeof Rig>[1] = {},
): Promise<{ rig: Rig; tables: GuestTables }> {
  const rig = new Rig(device, options)
  await rig.attach()
  rig.emulator.operations.on = true
  return { rig, tables: new GuestTables(rig.guest) }
}

function kinds(rig: Rig): readonly Operation['kind'][] {
  return rig.emulator.operations.list().map(({ kind }) => kind)
}

const TEARDOWN_OF = (iotlb: Operation['kind']): readonly Operation['kind'][] => [
  'CLEAR_PRESENT',
  'INVALIDATE_PASID_CACHE',
  iotlb,
  'INVALIDATE_DEVICE_TLB',
  'CLEAR_ENTRY',
  'DRAIN_PAGE_REQUESTS',
]

describe('operations', () => {
  test('a bind writes the entry, then P', async () => {
    const { rig, tables } = await ready()
    await rig.bind(tables.table())
    await rig.bind(tables.table())
    expect(kinds(rig)).toEqual(['WRITE_ENTRY', 'SET_PRESENT'])
  })

  test.each([
    ['a nested entry', false],
    ['a second stage alone', true],
  ])('%s is torn down in the order of intel_pasid_tear_down_entry', async (_name, through) => {
    const { rig, tables } = await ready()
    for (const [place, domain] of [
      [ONE, 2],
      [RID, 3],
    ] as const) {
      await rig.bind(through ? PASS_THROUGH : tables.table(), place)
      rig.emulator.operations.clear()
      await rig.emulator.unbind({ device: 'dev', session: VM, target: place })
      expect(kinds(rig)).toEqual(TEARDOWN_OF('INVALIDATE_IOTLB'))
      const list = rig.emulator.operations.list()
      expect(list[1]).toMatchObject({ domain, pasid: place })
      expect(list[2]).toMatchObject({ domain, block: undefined })
      const pasid = place === RID ? undefined : place
      expect(list[3]).toMatchObject({ pasid, block: undefined })
      rig.emulator.operations.clear()
      await rig.emulator.unbind({ device: 'dev', session: VM, target: place })
      expect(kinds(rig)).toEqual([])
    }
  })

  test('without ATS there is no device-TLB to invalidate', async () => {
    const { rig, tables } = await ready({ ats: false })
    await rig.bind(tables.table())
    rig.emulator.operations.clear()
    await rig.emulator.unbind({ device: 'dev', session: VM, target: ONE })
    expect(kinds(rig)).not.toContain('INVALIDATE_DEVICE_TLB')
  })

  test('an invalidation is done in the order of the caches, whatever the order asked', async () => {
    const { rig, tables } = await ready()
    await rig.bind(tables.table())
    rig.emulator.operations.clear()
    const range = { address: 0x5000n, pages: 2n, leaf: true }
    await rig.invalidate({ caches: ['DEVICE_TLB', 'IOTLB', 'PASID_CACHE'], range })
    // 5..6 lie in no block smaller than 4..7.
    const block = { first: 4, order: 2 }
    expect(rig.emulator.operations.list()).toEqual([
      { kind: 'INVALIDATE_PASID_CACHE', domain: 2, pasid: 1 },
      { kind: 'INVALIDATE_PIOTLB', domain: 2, pasid: 1, block, leaf: true },
      { kind: 'INVALIDATE_DEVICE_TLB', device: 'dev', pasid: 1, block },
    ])
  })

  test('the log keeps the newest and no more', async () => {
    const { rig, tables } = await ready({}, { operationsKept: 3 })
    await rig.bind(tables.table())
    await rig.emulator.unbind({ device: 'dev', session: VM, target: ONE })
    const newest = ['INVALIDATE_DEVICE_TLB', 'CLEAR_ENTRY', 'DRAIN_PAGE_REQUESTS']
    expect(kinds(rig)).toEqual(newest)
  })
})

describe('teardown', () => {
  test('leaves nothing in tables or caches, and keeps what belongs to others', async () => {
    const { rig, tables } = await ready()
    tables.map(5, { ...small, frame: 6 })
    await rig.bind(tables.table())
    await rig.bind(tables.table(), target(2), domainId(9))
    rig.ask(5)
    rig.ask(5, { at: target(2) })
    expect(rig.fills()).toMatchObject({ CONTEXT: 1, PASID: 2, IOTLB: 2, DEVICE_TLB: 2 })
    const structures = rig.fills()['PAGING_STRUCTURE'] ?? 0
    await rig.emulator.unbind({ device: 'dev', session: VM, target: ONE })
    expect(rig.fills()).toMatchObject({ CONTEXT: 1, PASID: 1, IOTLB: 1, DEVICE_TLB: 1 })
    expect(rig.fills()['PAGING_STRUCTURE']).toBe(structures / 2)
    expect(rig.answer(5)).toBe('PASID_ENTRY_NOT_PRESENT')
    expect(rig.answer(5, { at: target(2) })).toBe('6 DEVICE_TLB')
    const { entries } = rig.emulator.dumpTables('dev', { first: 0, count: 10 })
    expect(entries.map(({ pasid }) => pasid)).toEqual([2])
  })

  test('page requests that wait are answered INVALID, and an answer later is refused', async () => {
    const { rig, tables } = await ready({}, {})
    await rig.bind(tables.table())
    await rig.bind(tables.table(), target(2))
    const told: unknown[] = []
    rig.emulator.listen({
      pageRequest: ({ target: at, group, pages }) => told.push([at, group, pages.length]),
      pageRequestGone: ({ target: at, group, session }) => told.push([at, group, 'gone', session]),
      fault: () => undefined,
      reset: () => undefined,
    })
    const raise = (at: number, group: number, last: boolean): LabRaised => {
      const rights = { read: true, write: false, execute: false, privileged: false }
      const address = 0x5000n
      const place = { device: 'dev', target: target(at) }
      return rig.emulator.raisePageRequest({ ...place, group, address, last, ...rights })
    }
    const partial = raise(1, 3, false)
    const raised = raise(1, 3, true)
    expect([partial.state, raised.state, raise(1, 4, false).state]).toEqual([
      'WAITING',
      'DELIVERED',
      'WAITING',
    ])
    const other = raise(2, 3, true)
    expect(raise(3, 1, true)).toEqual({ state: 'INVALID' })
    const heard = [
      [1, 3, 2],
      [2, 3, 1],
    ]
    expect(told).toEqual(heard)
    await rig.emulator.unbind({ device: 'dev', session: VM, target: ONE })
    expect(told).toEqual([...heard, [1, 3, 'gone', VM]])
    const late = { device: 'dev', target: ONE, group: 3, code: 'SUCCESS' } as const
    await expect(rig.emulator.respond(late)).rejects.toMatchObject({ kind: 'REFUSE' })
    await rig.emulator.respond({ ...late, target: target(2) })
    expect([await endOf(raised), await endOf(other)]).toEqual(['INVALID', 'SUCCESS'])
    expect(told).toHaveLength(3)
  })
})

describe('replace', () => {
  test('has a gap in which requests fault, and nothing of the old table after it', async () => {
    let open = (): void => undefined
    const replaceGap = (): Promise<void> => new Promise((resolve) => (open = resolve))
    const { rig, tables } = await ready({}, { replaceGap })
    const next = new GuestTables(rig.guest)
    tables.map(5, { ...small, frame: 6 })
    next.map(5, { ...small, frame: 7 })
    await rig.bind(tables.table())
    rig.ask(5)
    const done = rig.replace(next.table(), tables.table())
    expect(rig.answer(5)).toBe('PASID_ENTRY_NOT_PRESENT')
    expect(await rig.emulator.observe()).toEqual({ kind: 'KNOWN', places: [] })
    open()
    await done
    expect(rig.answer(5)).toBe('7 TABLES')
  })

  test('without a gap where the device can, and the caches are empty after it', async () => {
    const { rig, tables } = await ready({ hitlessReplace: true })
    const next = new GuestTables(rig.guest)
    tables.map(5, { ...small, frame: 6 })
    next.map(5, { ...small, frame: 7 })
    await rig.bind(tables.table())
    rig.ask(5)
    const done = rig.replace(next.table(), tables.table())
    expect(rig.answer(5)).toBe('7 TABLES')
    await done
    expect(kinds(rig)).not.toContain('CLEAR_PRESENT')
  })

  test('a STOP in its middle leaves nothing bound', async () => {
    const { rig, tables } = await ready()
    await rig.bind(tables.table())
    rig.emulator.injectFault('dev', { kind: 'STOP', times: 1, at: 'SET_UP' })
    const broken = rig.replace(PASS_THROUGH, tables.table())
    await expect(broken).rejects.toMatchObject({ kind: 'STOP' })
    expect(await rig.emulator.observe()).toEqual({ kind: 'KNOWN', places: [] })
    await rig.bind(tables.table())
  })
})

describe('limits and failures', () => {
  test('hardware domain ids run out, come back, and are never shared by sessions', async () => {
    const { rig } = await ready()
    rig.emulator.operations.on = false
    await rig.emulator.attachDevice('dev', sessionId(2))
    const count = 2 ** 16 - 2
    const request = (at: number) => {
      const place = { device: 'dev', session: sessionId(1 + (at % 2)), target: target(at) }
      return { ...place, table: PASS_THROUGH, domain: domainId(Math.floor(at / 2)) }
    }
    for (let at = 1; at <= count; at += 1) await rig.emulator.bind(request(at))
    const { entries } = rig.emulator.dumpTables('dev', { first: 0, count: 8192 })
    expect(new Set(entries.map(({ entry }) => entry.domain)).size).toBe(8192)
    const over = request(count + 1)
    await expect(rig.emulator.bind(over)).rejects.toMatchObject({ kind: 'REFUSE' })
    await rig.emulator.unbind(request(5))
    await rig.emulator.bind(over)
    const last = rig.emulator.dumpTables('dev', { first: count + 1, count: 1 })
    expect(last.entries[0]?.entry.domain).toBe(2 + 4)
  })

  test('an ordered fault meets the effects it was ordered for, and changes nothing', async () => {
    const { rig, tables } = await ready()
    const { emulator } = rig
    emulator.injectFault('dev', { kind: 'RETRY', times: 2, effect: 'bind', skip: 1 })
    await rig.bind(tables.table(), target(1))
    await expect(rig.bind(tables.table(), target(2))).rejects.toMatchObject({ kind: 'RETRY' })
    await emulator.unbind({ device: 'dev', session: VM, target: target(1) })
    await expect(rig.bind(tables.table(), target(2))).rejects.toMatchObject({ kind: 'RETRY' })
    expect(await emulator.observe()).toEqual({ kind: 'KNOWN', places: [] })
    await rig.bind(tables.table(), target(2))
  })

  test('a dead emulator stops every effect and knows nothing; it may come back', async () => {
    const { rig, tables } = await ready()
    await rig.bind(tables.table())
    rig.emulator.setHealth({ state: 'DEAD', reason: 'pulled' })
    await expect(rig.bind(tables.table())).rejects.toMatchObject({ kind: 'STOP' })
    expect(await rig.emulator.observe()).toEqual({ kind: 'UNKNOWN', reason: 'pulled' })
    rig.emulator.setHealth({ state: 'READY' })
    expect((await rig.emulator.observe()).kind).toBe('KNOWN')
  })
})

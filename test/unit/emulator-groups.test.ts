/**
 * IOMMU groups in the emulator's tables and caches: an attachment through one device is in the own
 * table of each, its invalidations reach the device-TLB of each, and a device that comes later
 * cannot join while the group is in use. What the door promises is in test/contract/.
 */

import { describe, expect, test } from 'vitest'
import type { Operation } from '../../src/backend/emulator/operation-log.js'
import { DEVICE_DEFAULTS } from '../../src/backend/emulator/device.js'
import { createEmulator, type Emulator } from '../../src/backend/emulator/emulator.js'
import type { Table } from '../../src/core/binding.js'
import { domainId, RID, sessionId, target, type Target } from '../../src/core/ids.js'
import { Guest, GuestTables } from '../support/emulator-guest.js'
import { entriesOf, nameOf } from '../support/teardown-order.js'

const VM = sessionId(1)
const ONE = target(1)
const PAGE = 5
const SERVED = /^(TABLES|IOTLB)$/
const MEMBERS = ['a', 'b', 'plain'] as const
const member = { ...DEVICE_DEFAULTS, shared: false, group: 'g' }

class Group {
  readonly guest = new Guest()
  readonly tables = new GuestTables(this.guest)
  readonly emulator: Emulator

  constructor(replaceGap = (): Promise<void> => Promise.resolve()) {
    const devices = [
      { ...member, name: 'a' },
      { ...member, name: 'b' },
      { ...member, name: 'plain', pasidBits: 0 },
      { ...member, group: 'h', name: 'apart' },
    ]
    this.emulator = createEmulator({ devices, replaceGap })
    this.tables.map(PAGE, { frame: 6, order: 0, writable: true, user: true })
  }

  async attach(...names: string[]): Promise<this> {
    for (const name of names) await this.emulator.attachDevice(name, VM)
    this.emulator.setGuestMemory(VM, this.guest.memory)
    return this
  }

  request(device: string, table: Table, at: Target = ONE) {
    return { device, session: VM, target: at, table, domain: domainId(7) }
  }

  bind(device: string, at: Target = ONE): Promise<void> {
    return this.emulator.bind(this.request(device, this.tables.table(), at))
  }

  answer(device: string, at: Target = ONE): string {
    const access = { target: at, address: BigInt(PAGE) << 12n, write: false, privileged: false }
    const { outcome, source } = this.emulator.translate(device, access)
    return outcome.kind === 'FAULT' ? outcome.fault : source
  }

  names(): readonly string[] {
    return entriesOf(this.emulator, MEMBERS).map(nameOf)
  }

  kinds(device: string): readonly Operation['kind'][] {
    const own = this.emulator.operations.list().filter((one) => {
      return 'device' in one && one.device === device
    })
    return own.map(({ kind }) => kind)
  }
}

describe('an attachment through one device', () => {
  test('is in the table of every device with PASIDs, with the same bits', async () => {
    const group = await new Group().attach('a')
    await group.bind('a')
    expect(group.names()).toEqual(['a 1', 'b 1'])
    const window = { first: 0, count: 8 }
    const [a, b] = ['a', 'b'].map((name) => group.emulator.dumpTables(name, window).entries)
    expect(a).toEqual(b)
    expect([group.answer('b'), group.answer('a')]).toEqual(['TABLES', 'IOTLB'])
    expect(group.answer('plain')).toBe('PASID_NOT_ENABLED')
  })

  test('of the RID is in the table of every device', async () => {
    const group = await new Group().attach('plain')
    await group.bind('plain', RID)
    expect(group.names()).toEqual(['a 0', 'b 0', 'plain 0'])
    for (const name of MEMBERS) expect(group.answer(name, RID)).toMatch(SERVED)
  })

  test('gives every device its context, and the last one takes it', async () => {
    const group = await new Group().attach('a')
    const contexts = () => {
      return [...MEMBERS, 'apart'].filter((name) => {
        return group.emulator.dumpTables(name, { first: 0, count: 1 }).context !== undefined
      })
    }
    expect(contexts()).toEqual(['a', 'b', 'plain'])
    await group.attach('b')
    await group.emulator.detachDevice('a', VM)
    expect(contexts()).toEqual(['a', 'b', 'plain'])
    await group.emulator.detachDevice('b', VM)
    expect(contexts()).toEqual([])
    expect(group.answer('b')).toBe('CONTEXT_ENTRY_NOT_PRESENT')
  })

  test('is gone with the last, on every device', async () => {
    const group = await new Group().attach('a', 'b')
    await group.bind('a')
    await group.bind('b')
    await group.emulator.unbind({ device: 'a', session: VM, target: ONE })
    expect(group.names()).toEqual(['a 1', 'b 1'])
    for (const name of ['a', 'b']) group.answer(name)
    await group.emulator.unbind({ device: 'b', session: VM, target: ONE })
    expect(group.names()).toEqual([])
    const sizes = group.emulator.cacheSizes().filter(({ name }) => name !== 'CONTEXT')
    expect(sizes.filter(({ entries }) => entries > 0)).toEqual([])
    for (const name of ['a', 'b']) expect(group.answer(name)).toBe('PASID_ENTRY_NOT_PRESENT')
  })

  test('is invalidated in the device-TLB of each', async () => {
    const group = await new Group().attach('a')
    await group.bind('a')
    for (const name of ['a', 'b']) group.answer(name)
    group.tables.unmap(PAGE, 0)
    const place = { device: 'a', session: VM, target: ONE }
    const caches = ['IOTLB', 'DEVICE_TLB'] as const
    expect(group.answer('b')).toBe('DEVICE_TLB')
    await group.emulator.invalidate({ ...place, caches, range: undefined })
    for (const name of ['a', 'b']) expect(group.answer(name)).toBe('FIRST_STAGE_ENTRY_NOT_PRESENT')
  })
})

describe('a replace', () => {
  const next: Table = { kind: 'PASS_THROUGH' }

  test('has its gap on one device after the other', async () => {
    const gaps: (() => void)[] = []
    const gap = (): Promise<void> => new Promise((resolve) => gaps.push(resolve))
    const group = await new Group(gap).attach('a')
    await group.bind('a')
    const old = { table: group.tables.table(), domain: domainId(7) }
    const done = group.emulator.replace(group.request('a', next), old)
    expect(group.names()).toEqual(['b 1'])
    gaps.shift()?.()
    await expect.poll(() => gaps.length).toBe(1)
    expect(group.names()).toEqual(['a 1'])
    gaps.shift()?.()
    await done
    expect(group.names()).toEqual(['a 1', 'b 1'])
  })

  test('that stops in its middle leaves nothing, and no use of a domain', async () => {
    for (const broken of ['a', 'b']) {
      const group = await new Group().attach('a', 'b')
      await group.bind('a')
      await group.bind('b')
      group.emulator.injectFault(broken, { kind: 'STOP', times: 1, at: 'SET_UP' })
      const old = { table: group.tables.table(), domain: domainId(7) }
      const asked = group.emulator.replace(group.request('a', next), old)
      await expect(asked).rejects.toMatchObject({ kind: 'STOP' })
      expect(group.names()).toEqual([])
      expect(await group.emulator.observe()).toEqual({ kind: 'KNOWN', places: [] })
      for (const name of ['a', 'b']) await group.emulator.detachDevice(name, VM)
      await group.attach('a')
      await group.bind('a')
      expect(group.names()).toEqual(['a 1', 'b 1'])
    }
  })

  test('that fails is undone whole: each device is torn down as often as it was set up', async () => {
    const group = await new Group().attach('a')
    await group.bind('a')
    group.emulator.operations.on = true
    group.emulator.injectFault('b', { kind: 'RETRY', times: 1, at: 'SET_UP' })
    const old = { table: group.tables.table(), domain: domainId(7) }
    const asked = group.emulator.replace(group.request('a', next), old)
    await expect(asked).rejects.toMatchObject({ kind: 'RETRY' })
    const count = (device: string, kind: Operation['kind']) => {
      return group.kinds(device).filter((one) => one === kind).length
    }
    expect([count('a', 'CLEAR_PRESENT'), count('a', 'SET_PRESENT')]).toEqual([2, 2])
    expect([count('b', 'CLEAR_PRESENT'), count('b', 'SET_PRESENT')]).toEqual([1, 1])
    for (const name of ['a', 'b']) expect(group.answer(name)).toMatch(SERVED)
  })
})

describe('a device that comes later', () => {
  test('joins a group that nobody has, and is refused by one in use', async () => {
    const group = await new Group().attach('a')
    const late = { ...member, name: 'late' }
    expect(() => group.emulator.addDevice(late)).toThrow(/group g of late is in use/)
    expect(group.emulator.devices().map(({ name }) => name)).not.toContain('late')
    await group.emulator.detachDevice('a', VM)
    group.emulator.addDevice(late)
    await group.attach('a')
    await group.bind('a')
    expect(entriesOf(group.emulator, ['late']).map(nameOf)).toEqual(['late 1'])
  })

  test('that is shared has no group with a name', () => {
    const { emulator } = new Group()
    const shared = { ...member, name: 'shared', shared: true }
    expect(() => emulator.addDevice(shared)).toThrow(/is a group of its own/)
  })
})

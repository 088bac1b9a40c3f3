/** What a device's request meets: levels, sizes, rights, flags, and each fault with its code. */

import { describe, expect, test } from 'vitest'
import { FAULT } from '../../src/backend/emulator/faults.js'
import { memoryFileOf } from '../../src/backend/emulator/memory.js'
import { present } from '../../src/core/assert.js'
import { RID, target } from '../../src/core/ids.js'
import { GuestTables, LEAF_ACCESSED, LEAF_DIRTY } from '../support/emulator-guest.js'
import { ONE, Rig, VM } from '../support/emulator-rig.js'

const small = { order: 0, writable: true, user: true } as const
const LAST_PAGE = (1n << 52n) - 1n

async function bound(levels: 4 | 5 = 4): Promise<{ rig: Rig; tables: GuestTables }> {
  const rig = new Rig()
  await rig.attach()
  const tables = new GuestTables(rig.guest, levels)
  await rig.bind(tables.table())
  return { rig, tables }
}

describe('page walk', () => {
  test.each([4, 5] as const)('%i levels, at both ends of the address space', async (levels) => {
    const { rig, tables } = await bound(levels)
    const half = levels === 4 ? 2 ** 35 : 2 ** 44
    const pages = [0, 1, 511, 512, half - 1, 2 ** 52 - half, 2 ** 52 - 1]
    for (const [i, page] of pages.entries()) tables.map(page, { ...small, frame: 0x5000 + i })
    for (const [i, page] of pages.entries()) {
      expect(rig.answer(page)).toBe(`${0x5000 + i} TABLES`)
      expect(rig.answer(page)).toBe(`${0x5000 + i} DEVICE_TLB`)
    }
    expect(rig.ask(half).outcome).toMatchObject({ fault: 'NOT_CANONICAL', code: 0x80 })
    expect(rig.answer(2 ** 52 - half - 1)).toBe('NOT_CANONICAL')
  })

  test('the offset within the page is kept', async () => {
    const { rig, tables } = await bound()
    tables.map(3, { ...small, frame: 9 })
    const access = { target: ONE, address: 0x3abcn, write: false, privileged: false }
    const address = present(rig.emulator.hostAddress(VM, 0x9abc), 'an address of guest memory')
    expect(rig.emulator.translate('dev', access).outcome).toMatchObject({ address })
  })

  test('leaves of 2 MiB and 1 GiB map each of their pages', async () => {
    const { rig, tables } = await bound()
    tables.map(512, { frame: 0x20_0000 / 4096, order: 9, writable: true, user: true })
    tables.map(2 ** 18, { frame: 2 ** 18 * 3, order: 18, writable: true, user: true })
    expect(rig.ask(512 + 511).outcome).toMatchObject({ order: 9 })
    expect(rig.answer(512)).toBe('512 DEVICE_TLB')
    expect(rig.answer(2 ** 19 - 1)).toBe(`${2 ** 20 - 1} TABLES`)
    expect(rig.answer(2 ** 18)).toBe(`${2 ** 18 * 3} DEVICE_TLB`)
  })

  test('accessed is set on every level, dirty on the leaf of a write', async () => {
    const { rig, tables } = await bound()
    tables.map(3, { ...small, frame: 9 })
    rig.ask(3)
    expect(tables.leaf(3) & (LEAF_ACCESSED | LEAF_DIRTY)).toBe(LEAF_ACCESSED)
    for (const order of [9, 18, 27]) expect(tables.leaf(3, order) & LEAF_ACCESSED).not.toBe(0n)
    expect(rig.answer(3)).toBe('9 DEVICE_TLB')
    expect(rig.answer(3, { write: true })).toBe('9 TABLES')
    expect(tables.leaf(3) & LEAF_DIRTY).toBe(LEAF_DIRTY)
    expect(tables.leaf(3, 9) & LEAF_DIRTY).toBe(0n)
    expect(rig.answer(3, { write: true })).toBe('9 DEVICE_TLB')
  })

  test('extended accessed is set beside accessed when the entry says so', async () => {
    const { rig, tables } = await bound()
    await rig.bind(tables.table({ extendedAccessed: true }), target(2))
    tables.map(3, { ...small, frame: 9 })
    rig.ask(3)
    expect(tables.leaf(3) & 0x400n).toBe(0n)
    rig.ask(3, { at: target(2) })
    expect(tables.leaf(3) & 0x400n).toBe(0x400n)
  })

  test('rights are what all levels allow, for user and supervisor', async () => {
    const { rig, tables } = await bound()
    await rig.bind(tables.table({ supervisor: true }), target(2))
    await rig.bind(tables.table({ supervisor: true, writeProtect: true }), target(3))
    tables.map(1, { frame: 1, order: 0, writable: false, user: true })
    tables.map(2, { frame: 2, order: 0, writable: true, user: false })
    expect(rig.answer(1)).toBe('1 TABLES')
    expect(rig.answer(1, { write: true })).toBe('WRITE_NOT_ALLOWED')
    expect(rig.answer(2)).toBe('USER_NOT_ALLOWED')
    expect(rig.answer(1, { privileged: true })).toBe('SUPERVISOR_NOT_ALLOWED')
    expect(rig.answer(2, { privileged: true, write: true, at: target(2) })).toBe('2 TABLES')
    // Without WPE a supervisor's write ignores R/W.
    expect(rig.answer(1, { privileged: true, write: true, at: target(2) })).toBe('1 TABLES')
    const protect = { privileged: true, write: true, at: target(3) }
    expect(rig.answer(1, protect)).toBe('WRITE_NOT_ALLOWED')
  })

  test('a request without PASID uses the RID entry, pass-through the second stage', async () => {
    const { rig, tables } = await bound()
    tables.map(5, { ...small, frame: 6 })
    expect(rig.answer(5, { at: RID })).toBe('PASID_ENTRY_NOT_PRESENT')
    await rig.bind({ kind: 'PASS_THROUGH' }, RID)
    expect(rig.answer(5, { at: RID })).toBe('5 TABLES')
    expect(rig.answer(2 ** 36, { at: RID })).toBe('SECOND_STAGE_BEYOND_WIDTH')
    expect(rig.answer(5)).toBe('6 TABLES')
  })
})

describe('faults', () => {
  test('of the tables above the first stage', async () => {
    const rig = new Rig({ pasidBits: 14 })
    expect(rig.answer(0)).toBe('ROOT_ENTRY_NOT_PRESENT')
    await rig.attach()
    expect(rig.answer(0)).toBe('PASID_DIRECTORY_ENTRY_NOT_PRESENT')
    expect(rig.answer(0, { at: target(2 ** 14) })).toBe('PASID_BEYOND_TABLE')
    await rig.bind({ kind: 'PASS_THROUGH' }, target(2))
    expect(rig.answer(0)).toBe('PASID_ENTRY_NOT_PRESENT')
    const narrow = new Rig({ pasidBits: 0 })
    await narrow.attach()
    expect(narrow.answer(0)).toBe('PASID_NOT_ENABLED')
  })

  test('of the first stage, each with the number of the specification', async () => {
    const { rig, tables } = await bound()
    const { memory } = rig.guest
    const code = (page: number | bigint, write = false): number => {
      const { outcome } = rig.ask(page, { write })
      return outcome.kind === 'FAULT' ? outcome.code : 0
    }
    expect(code(7)).toBe(0x71)
    memory.write(tables.entryAddress(8, 0), 0x1_0000_0000_0007n)
    expect(code(8)).toBe(0x84)
    memory.write(tables.entryAddress(2 ** 27, 27), 0x87n)
    expect(code(2 ** 27)).toBe(0x72)
    memory.write(tables.entryAddress(512, 9), 0x3087n)
    expect(code(512)).toBe(0x72)
    memory.write(tables.entryAddress(512, 9), 0x20_1087n)
    expect(code(512)).toBe(0)
    memory.write(tables.entryAddress(1024, 9), BigInt(memory.sizeBytes) | 7n)
    expect(code(1024)).toBe(0x79)
    memory.write(tables.entryAddress(1536, 9), 0x1_0000_0000_0007n)
    expect(code(1536)).toBe(0x74)
    rig.emulator.setGuestMemory(VM, undefined)
    expect(code(7)).toBe(0x79)
    expect(code(LAST_PAGE)).toBe(0x79)
  })

  test('memory that has shrunk is unreadable: the pointer, then an entry', async () => {
    const { rig, tables } = await bound()
    const file = memoryFileOf(rig.guest.memory)
    tables.map(3, { ...small, frame: 9 })
    let end = Infinity
    const read = (at: number): bigint | undefined => (at < end ? file.read(at) : undefined)
    rig.emulator.setGuestMemory(VM, { ...file, read })
    end = tables.root
    expect(rig.ask(3).outcome).toMatchObject({ code: 0x73 })
    end = tables.root + 4096
    expect(rig.ask(3).outcome).toMatchObject({ code: 0x70 })
  })

  test('a guest page that takes no flag is 0x91, one that may not be written 0x77', async () => {
    const { rig, tables } = await bound()
    tables.map(3, { ...small, frame: 9 })
    const file = memoryFileOf(rig.guest.memory)
    rig.emulator.setGuestMemory(VM, { ...file, exchange: () => false })
    expect(rig.ask(3)).toEqual({
      outcome: {
        kind: 'FAULT',
        fault: 'BIT_UPDATE_FAILED',
        code: FAULT.BIT_UPDATE_FAILED,
        recorded: true,
      },
      source: 'TABLES',
      staleness: undefined,
    })
    expect(FAULT.BIT_UPDATE_FAILED).toBe(0x91)
    rig.emulator.setGuestMemory(VM, undefined)
    const range = { address: 0, bytes: file.bytes, offset: 0, readOnly: true }
    rig.emulator.guestMemory.map(VM, range, file)
    expect(rig.ask(3).outcome).toMatchObject({ code: 0x77 })
  })
})

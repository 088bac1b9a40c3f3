/**
 * The second-stage tables and the windows of guest memory: what is read back from the table's own
 * bits, by a walk that shares nothing with the writer, is what a plain Map of pages says.
 * SEED=n replays or varies the random part.
 */

import process from 'node:process'
import { describe, expect, test } from 'vitest'
import type { MemoryFile } from '../../src/backend/backend.js'
import { DEVICE_DEFAULTS } from '../../src/backend/emulator/device.js'
import { createEmulator, type Emulator } from '../../src/backend/emulator/emulator.js'
import { HostMemory, memoryFileOf, SparseMemory } from '../../src/backend/emulator/memory.js'
import { SecondStageTable } from '../../src/backend/emulator/second-stage-table.js'
import { domainId, sessionId, target } from '../../src/core/ids.js'
import { GUEST_RANGE_BYTES_MAX } from '../../src/core/limits.js'
import { MEMORY_FILES_MAX } from '../../src/daemon/memory-tokens.js'
import { Guest, GuestTables } from '../support/emulator-guest.js'

const SEED = Number(process.env['SEED'] ?? 4_711)
const PAGE = 4096n
const MIB2 = 2 ** 21
const GIB = 2 ** 30
const VM = sessionId(1)

interface Leaf {
  readonly host: bigint
  readonly bytes: bigint
  readonly flags: bigint
}

/** By the bits of VT-d 9.8, read from memory. */
function lookUp(memory: HostMemory, root: number, address: bigint): Leaf | undefined {
  let table = BigInt(root)
  for (let level = 4n; level >= 1n; level -= 1n) {
    const shift = 12n + 9n * (level - 1n)
    const entry = memory.read(Number(table + ((address >> shift) & 511n) * 8n)) ?? 0n
    if ((entry & 3n) === 0n) return undefined
    const output = entry & 0x000f_ffff_ffff_f000n
    const bytes = 1n << shift
    if (level === 1n || (entry & 0x80n) !== 0n) {
      return { host: output + (address & (bytes - 1n)), bytes, flags: entry & 0xfffn }
    }
    expect(entry & 0xfffn, 'a table entry has rights and nothing else').toBe(3n)
    table = output
  }
  return undefined
}

function lcg(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** A file that says whether it was closed. */
function file(bytes: number): MemoryFile & { closed: boolean } {
  const memory = memoryFileOf(new SparseMemory(bytes))
  const made = { ...memory, closed: false, close: () => void (made.closed = true) }
  return made
}

describe('the writer of a second stage', () => {
  test('uses the largest leaves that both addresses allow', () => {
    const memory = new HostMemory()
    const table = new SecondStageTable(memory)
    const bytes = 2 * GIB + MIB2 + 4096
    table.map({ address: GIB - MIB2, bytes, host: 2 ** 41 + GIB - MIB2, writable: true })
    table.map({ address: 2 ** 40, bytes: MIB2, host: 2 ** 42 + 4096, writable: false })
    const sizeAt = (address: number): bigint | undefined =>
      lookUp(memory, table.root, BigInt(address))?.bytes
    expect(sizeAt(GIB - MIB2)).toBe(BigInt(MIB2))
    expect(sizeAt(GIB)).toBe(BigInt(GIB))
    expect(sizeAt(2 * GIB - 4096)).toBe(BigInt(GIB))
    expect(sizeAt(GIB - 4096)).toBe(BigInt(MIB2))
    expect(sizeAt(3 * GIB - MIB2)).toBe(BigInt(GIB))
    expect(sizeAt(3 * GIB)).toBe(PAGE)
    expect(sizeAt(3 * GIB + 4096)).toBeUndefined()
    expect(lookUp(memory, table.root, BigInt(GIB))?.flags).toBe(0x83n)
    expect(lookUp(memory, table.root, 2n ** 40n)).toEqual({
      host: 2n ** 42n + PAGE,
      bytes: PAGE,
      flags: 1n,
    })
  })

  test('maps all 48 bits, and the last page', () => {
    const memory = new HostMemory()
    const table = new SecondStageTable(memory)
    const all = { address: 0, bytes: 2 ** 48, host: 2 ** 50, writable: true }
    table.map(all)
    expect(lookUp(memory, table.root, 2n ** 48n - PAGE)?.host).toBe(2n ** 50n + 2n ** 48n - PAGE)
    table.release(table.unmap(all))
    table.map({ address: 2 ** 48 - 4096, bytes: 4096, host: 2 ** 41, writable: true })
    expect(lookUp(memory, table.root, 2n ** 48n - PAGE)?.host).toBe(2n ** 41n)
    expect(() => table.map({ ...all, address: 4096 })).toThrow('48 bits')
  })

  test('keeps the pages it cut out until they are released, and then leaves none', () => {
    const memory = new HostMemory()
    const table = new SecondStageTable(memory)
    const before = memory.pagesHeld()
    const one = { address: GIB, bytes: 4096, host: 2 ** 41, writable: true }
    const other = { address: GIB + 4096, bytes: 4096, host: 2 ** 42, writable: true }
    table.map(one)
    table.map(other)
    expect(table.unmap(one)).toEqual([])
    const cut = table.unmap(other)
    expect(cut).toHaveLength(3)
    for (const page of cut) expect(memory.findPage(page)).toBeDefined()
    table.release(cut)
    table.destroy()
    expect(memory.pagesHeld()).toBe(before)
  })

  test(`agrees with a plain Map over random ranges (SEED=${SEED})`, () => {
    const random = lcg(SEED)
    const memory = new HostMemory()
    const table = new SecondStageTable(memory)
    const page = (): number => [0, 510, 2 ** 18 - 3, 2 ** 27 - 2][random(4)]! + random(1600)
    const truth = new Map<number, { host: number; writable: boolean }>()
    const mapped: { first: number; pages: number }[] = []
    for (let step = 0; step < 400; step += 1) {
      if (random(5) < 2 && mapped.length > 0) {
        const [range] = mapped.splice(random(mapped.length), 1)
        if (range === undefined) continue
        const { first, pages } = range
        table.release(table.unmap({ address: first * 4096, bytes: pages * 4096 }))
        for (let i = 0; i < pages; i += 1) truth.delete(first + i)
        continue
      }
      const first = page()
      const pages = 1 + random([4, 700, 1100][random(3)]!)
      const free = mapped.every((r) => first + pages <= r.first || first >= r.first + r.pages)
      if (!free) continue
      // Often congruent, so that large leaves come about.
      const host = 2 ** 30 + (random(2) === 0 ? first : random(2 ** 20))
      const writable = random(3) > 0
      table.map({ address: first * 4096, bytes: pages * 4096, host: host * 4096, writable })
      for (let i = 0; i < pages; i += 1) truth.set(first + i, { host: host + i, writable })
      mapped.push({ first, pages })
      for (let probe = 0; probe < 40; probe += 1) {
        const at = probe === 0 ? first : probe === 1 ? first + pages - 1 : page()
        const found = lookUp(memory, table.root, BigInt(at) * PAGE)
        const expected = truth.get(at)
        expect(found?.host, `SEED=${SEED} step ${step} page ${at}`).toBe(
          expected === undefined ? undefined : BigInt(expected.host) * PAGE,
        )
        if (expected !== undefined) expect((found!.flags & 2n) !== 0n).toBe(expected.writable)
      }
    }
    for (const { first, pages } of mapped) {
      table.release(table.unmap({ address: first * 4096, bytes: pages * 4096 }))
    }
    table.destroy()
    expect(memory.pagesHeld()).toBe(0)
  })
})

describe('windows', () => {
  const request = (bytes: number, phase = 0, readOnly = false) => {
    return { bytes, file: file(bytes), offset: 0, readOnly, phase }
  }

  test('begin where the guest begins in its GiB, and never overlap', () => {
    const { windows } = new HostMemory()
    const first = windows.add(request(GIB + 4096, 4096)) ?? 0
    const second = windows.add(request(4096)) ?? 0
    expect(first).toBe(2 ** 40 + 4096)
    expect(second).toBe(2 ** 40 + 2 * GIB)
    expect(windows.read(second + 4096)).toBeUndefined()
    expect(windows.read(first - 8)).toBeUndefined()
    expect(windows.read(first)).toBe(0n)
  })

  test('are given again only after all others', () => {
    const { windows } = new HostMemory(41)
    const half = windows.add(request(2 ** 39)) ?? 0
    windows.remove(half)
    const next = windows.add(request(4096))
    expect(next).toBe(2 ** 40 + 2 ** 39)
    expect(windows.add(request(2 ** 39))).toBe(half)
    expect(windows.add(request(2 ** 39))).toBeUndefined()
  })

  test('that are only to be read take no write', () => {
    const memory = new HostMemory()
    const readOnly = memory.windows.add(request(4096, 0, true)) ?? 0
    const writable = memory.windows.add(request(4096)) ?? 0
    expect(memory.exchange(readOnly, 0n, 1n)).toBe(false)
    expect(memory.exchange(writable, 0n, 1n)).toBe(true)
    expect(memory.exchange(writable, 0n, 2n)).toBe(false)
    expect(memory.read(writable)).toBe(1n)
  })
})

describe('guest memory of the emulator', () => {
  async function rig(): Promise<{ emulator: Emulator; guest: Guest; tables: GuestTables }> {
    const emulator = createEmulator({ devices: [{ ...DEVICE_DEFAULTS, name: 'dev' }] })
    await emulator.attachDevice('dev', VM)
    const guest = new Guest(2 ** 30)
    return { emulator, guest, tables: new GuestTables(guest) }
  }

  function ask(emulator: Emulator, page: number, write = false): string {
    const address = BigInt(page) * PAGE
    const { outcome } = emulator.translate('dev', {
      target: target(1),
      address,
      write,
      privileged: false,
    })
    return outcome.kind === 'FAULT' ? 'fault' : String(outcome.address / 4096)
  }

  test('what is unmapped is gone from every cache, and its file is closed', async () => {
    const { emulator, guest, tables } = await rig()
    tables.map(5, { frame: 6, order: 0, writable: true, user: true })
    const memory = { ...memoryFileOf(guest.memory), closed: false }
    memory.close = () => void (memory.closed = true)
    const range = { address: 0, bytes: 2 ** 30, offset: 0, readOnly: false }
    emulator.guestMemory.map(VM, range, memory)
    const place = { device: 'dev', session: VM, target: target(1) }
    await emulator.bind({ ...place, table: tables.table(), domain: domainId(3) })
    const base = emulator.hostAddress(VM, 0) ?? 0
    expect(ask(emulator, 5, true)).toBe(String(base / 4096 + 6))
    expect(emulator.guestMemory.ranges(VM)).toEqual([range])
    emulator.operations.on = true
    emulator.guestMemory.unmap(VM, range)
    const kinds = emulator.operations.list().map((each) => each.kind)
    expect(kinds).toEqual(['INVALIDATE_IOTLB', 'INVALIDATE_WHOLE_DEVICE_TLB'])
    expect(ask(emulator, 5)).toBe('fault')
    expect(memory.closed).toBe(true)
    expect(emulator.guestMemory.ranges(VM)).toEqual([])
  })

  test('read-only memory holds tables but takes no flags and no writes', async () => {
    const { emulator, guest, tables } = await rig()
    tables.map(5, { frame: 6, order: 0, writable: true, user: true })
    const range = { address: 0, bytes: 2 ** 30, offset: 0, readOnly: true }
    emulator.guestMemory.map(VM, range, memoryFileOf(guest.memory))
    const place = { device: 'dev', session: VM, target: target(1) }
    await emulator.bind({ ...place, table: tables.table(), domain: domainId(3) })
    expect(ask(emulator, 5)).toBe('fault')
    expect(emulator.guestMemory.write(VM, 4096, 1n)).toBe(false)
    expect(guest.memory.read(4096)).toBe(0n)
  })

  test('outlives the last attachment, and ends with the session', async () => {
    const { emulator } = await rig()
    const memory = file(4096)
    const range = { address: 8192, bytes: 4096, offset: 0, readOnly: false }
    emulator.guestMemory.map(VM, range, memory)
    await emulator.detachDevice('dev', VM)
    expect(emulator.guestMemory.write(VM, 8192, 7n)).toBe(true)
    expect(emulator.guestMemory.read(VM, 8192)).toBe(7n)
    expect(emulator.guestMemory.read(VM, 4096)).toBeUndefined()
    emulator.guestMemory.drop(VM)
    expect(memory.closed).toBe(true)
    emulator.guestMemory.drop(VM)
  })

  test('is dropped with one invalidation of each cache, however many ranges there are', async () => {
    const { emulator, tables } = await rig()
    const place = { device: 'dev', session: VM, target: target(1) }
    await emulator.bind({ ...place, table: tables.table(), domain: domainId(3) })
    const memories = [0, 1, 2].map(() => file(4096))
    for (const [i, memory] of memories.entries()) {
      const range = { address: i * 2 ** 30, bytes: 4096, offset: 0, readOnly: false }
      emulator.guestMemory.map(VM, range, memory)
    }
    emulator.operations.on = true
    emulator.guestMemory.drop(VM)
    const kinds = emulator.operations.list().map((each) => each.kind)
    expect(kinds).toEqual(['INVALIDATE_IOTLB', 'INVALIDATE_WHOLE_DEVICE_TLB'])
    expect(memories.map(({ closed }) => closed)).toEqual([true, true, true])
  })

  test('has room for every file that may be open, each as large as a range may be', () => {
    const windows = new HostMemory().windows
    const big = { ...file(4096), bytes: GUEST_RANGE_BYTES_MAX }
    // The worst place in a GiB.
    const place = { bytes: GUEST_RANGE_BYTES_MAX, file: big, offset: 0, readOnly: false }
    for (let i = 0; i < MEMORY_FILES_MAX; i += 1) {
      expect(windows.add({ ...place, phase: 2 ** 30 - 4096 })).toBeDefined()
    }
  })

  test('is refused, and its file closed, when no addresses are left for it', () => {
    const emulator = createEmulator({ devices: [] })
    let mapped = 0
    const big = () => ({ ...file(4096), bytes: 2 ** 48 })
    const range = { address: 0, bytes: 2 ** 48, offset: 0, readOnly: false }
    for (; mapped < 15; mapped += 1) {
      emulator.guestMemory.map(sessionId(1 + mapped), range, big())
    }
    const last = big()
    last.close = () => void (last.closed = true)
    expect(() => emulator.guestMemory.map(sessionId(99), range, last)).toThrow('map less')
    expect(last.closed).toBe(true)
    expect(emulator.guestMemory.ranges(sessionId(99))).toEqual([])
  })
})

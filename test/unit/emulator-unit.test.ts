/**
 * A unit on tables that nobody of the emulator wrote, and each way in which its caches go stale.
 */

import { describe, expect, test } from 'vitest'
import { registersOf } from '../../src/backend/emulator/registers.js'
import type { UnitFault } from '../../src/backend/emulator/unit.js'
import { UNIT_DEFAULTS } from '../../src/backend/emulator/unit-options.js'
import {
  device,
  firstStage,
  GPA,
  LARGE,
  nested,
  NESTED_PLACES,
  PASID,
  PASS,
  PLACES,
  RW,
  secondStage,
  USER,
  VA,
} from '../support/slow-tables.js'
import { UnitRig } from '../support/unit-tables.js'

const FPD = 2n
const DTE = 4n

function entryOf(entries: readonly bigint[], level: number): bigint {
  const found = entries.at(-level)
  if (found === undefined) throw new Error(`no level ${level}`)
  return found
}

describe('a unit', () => {
  test('walks a first stage alone, whose addresses are the host’s', () => {
    const { tables, entries } = firstStage()
    const rig = new UnitRig(tables)
    expect(rig.answer(VA + 0x123n)).toBe('0x789123 TABLES')
    expect(rig.answer(VA)).toBe('0x789000 IOTLB')
    tables.put(entryOf(entries, 1), 0xfee0_0007n)
    rig.unit.flushCaches()
    expect(rig.answer(VA)).toBe('INTERRUPT_ADDRESS')
    tables.put(entryOf(entries, 1), (1n << 46n) | USER)
    expect(rig.answer(VA)).toBe('FIRST_STAGE_ENTRY_RESERVED')
  })

  test('a large leaf over the interrupt range serves everything but that', () => {
    const { tables } = firstStage(0xfee0_0000n, { leaf: 0xfee0_0000n | USER | LARGE, level: 2 })
    const rig = new UnitRig(tables)
    expect(rig.answer(0xfef0_0000n)).toBe('0xfef00000 TABLES')
    expect(rig.answer(0xfee0_0000n)).toBe('INTERRUPT_ADDRESS')
    expect(rig.answer(0xfee0_0000n, { pasid: undefined })).toBe('INTERRUPT_ADDRESS')
  })

  test('passes host-physical addresses through, within the host’s width', () => {
    const rig = new UnitRig(device(PASS))
    expect(rig.answer(0x1234_5678n, { privileged: true })).toBe('0x12345678 TABLES')
    expect(rig.answer((1n << 46n) - 8n, { pasid: undefined })).toBe('0x3ffffffffff8 TABLES')
    expect(rig.answer(1n << 46n)).toBe('ADDRESS_BEYOND_WIDTH')
    expect(rig.answer(0xfee0_0000n)).toBe('INTERRUPT_ADDRESS')
  })

  test('sets the second stage’s flags of each table and of the page, dirty only by a write', () => {
    const { tables } = nested(1n << 9n)
    const rig = new UnitRig(tables)
    const { leaf, guestTables, guestPage } = NESTED_PLACES
    rig.ask(VA)
    const flags = (gpa: bigint): bigint => (tables.read(leaf(gpa)) ?? 0n) & 0x300n
    // Setting A in a table is a write of its page.
    for (const table of guestTables) expect(flags(table)).toBe(0x300n)
    expect(flags(guestPage)).toBe(0x100n)
    rig.ask(VA, { write: true })
    expect(flags(guestPage)).toBe(0x300n)
  })

  test('tells of faults that are recorded; FPD keeps a qualified one quiet', () => {
    const rig = new UnitRig(device(0n))
    const faults: UnitFault[] = []
    rig.unit.onFault = (fault) => void faults.push(fault)
    rig.ask(VA, { write: true })
    expect(faults).toEqual([
      {
        device: rig.device,
        pasid: PASID,
        code: 0x5b,
        name: 'PASID_ENTRY_INVALID',
        address: VA,
        write: true,
        privileged: false,
      },
    ])
    for (const place of [PLACES.context, PLACES.directory, PLACES.pasid]) {
      const quiet = new UnitRig(device(0n).set(place, FPD))
      expect(quiet.ask(VA).outcome).toMatchObject({ code: 0x5b, recorded: false })
    }
    const lost = new UnitRig(device(0n).set(PLACES.directory, FPD).drop(PLACES.pasid))
    expect(lost.ask(VA).outcome).toMatchObject({ code: 0x58, recorded: true })
  })

  test('shows what it can in its registers', () => {
    const { cap, ecap } = registersOf({ ...UNIT_DEFAULTS, addressMask: 20, cachingMode: true })
    const bit = (word: bigint, at: number): bigint => (word >> BigInt(at)) & 1n
    for (const at of [7, 39, 56, 60]) expect(bit(cap, at)).toBe(1n)
    expect((cap >> 48n) & 0x3fn).toBe(20n)
    for (const at of [2, 26, 29, 31, 34, 40, 43, 46, 47, 48]) expect(bit(ecap, at)).toBe(1n)
    expect((ecap >> 35n) & 0x1fn).toBe(19n)
    const none = { supervisorRequests: false, extendedAccessed: false }
    const plain = { ...UNIT_DEFAULTS, ...none, leaf1G: false, fiveLevels: false }
    const less = registersOf(plain)
    for (const at of [7, 56, 60]) expect(bit(less.cap, at)).toBe(0n)
    for (const at of [31, 34]) expect(bit(less.ecap, at)).toBe(0n)
  })
})

describe('a stale cache', () => {
  test('of upper entries fills the IOTLB with what is gone, and the device-TLB from there', () => {
    const { tables, entries } = firstStage()
    const rig = new UnitRig(tables.set(PLACES.context, DTE), {}, true)
    rig.ask(VA + 0x1000n)
    rig.ask(VA)
    // The whole of 2 MiB goes elsewhere; software invalidates the leaves only.
    const table = 0x50_0000n
    tables.put(table + (entryOf(entries, 1) & 0xfffn), 0x999000n | USER)
    tables.put(entryOf(entries, 2), table | USER)
    const leaves = { kind: 'PIOTLB', granularity: 'PAGE', domain: 7, pasid: PASID } as const
    const block = { address: VA, order: 0 }
    const tlb = { kind: 'PASID_DEVICE_TLB', sourceId: 0x1234, pasid: PASID, global: false } as const
    rig.queue.carryOut([
      { ...leaves, block, leaf: true },
      { ...tlb, block: undefined },
    ])
    // What the request itself fills from there is not to blame for it; for the next one it is.
    expect(rig.answer(VA)).toBe('0x789000 TABLES ! PAGING_STRUCTURE')
    expect(rig.answer(VA)).toBe('0x789000 DEVICE_TLB ! PAGING_STRUCTURE DEVICE_TLB')
    rig.cure(VA)
    expect(rig.answer(VA)).toBe('0x999000 TABLES')
  })

  test('that only lacks a right is walked anew, and accuses nobody', () => {
    const { tables, entries } = firstStage(VA, { leaf: 0x789000n | 5n, table: 5n })
    const rig = new UnitRig(tables)
    expect(rig.answer(VA)).toBe('0x789000 TABLES')
    expect(rig.answer(VA, { write: true })).toBe('WRITE_NOT_ALLOWED')
    for (const entry of entries) tables.set(entry, 2n)
    expect(rig.answer(VA, { write: true })).toBe('0x789000 TABLES')
  })

  test('over a second stage that has changed: its pages by PASID, its tables by domain', () => {
    const { tables } = nested()
    const rig = new UnitRig(tables)
    rig.ask(VA)
    const { leaf, guestPage } = NESTED_PLACES
    tables.put(leaf(guestPage), 0x888000n | RW)
    expect(rig.answer(VA)).toBe('0x1050000 IOTLB ! IOTLB')
    expect(rig.ask(VA).staleness?.needed).toEqual([
      {
        cache: 'IOTLB',
        descriptor: {
          kind: 'PIOTLB',
          granularity: 'PAGE',
          domain: 7,
          pasid: PASID,
          block: { address: VA, order: 0 },
          leaf: true,
        },
      },
    ])
    rig.cure(VA)
    expect(rig.answer(VA)).toBe('0x888000 TABLES')
  })

  test('of a write whose dirty flag was cleared has lost it', () => {
    const { tables, entries } = firstStage()
    const rig = new UnitRig(tables)
    rig.ask(VA, { write: true })
    const entry = entryOf(entries, 1)
    tables.put(entry, (tables.read(entry) ?? 0n) & ~0x60n)
    expect(rig.answer(VA)).toBe('0x789000 IOTLB')
    expect(rig.answer(VA, { write: true })).toBe('0x789000 IOTLB ! IOTLB')
    rig.cure(VA, { write: true })
    expect(rig.answer(VA, { write: true })).toBe('0x789000 TABLES')
    expect((tables.read(entry) ?? 0n) & 0x40n).toBe(0x40n)
  })

  test('of a PASID entry whose domain or type changed', () => {
    const { tables } = firstStage()
    const rig = new UnitRig(tables)
    rig.ask(VA)
    // Another domain with the same table: the answer is still true.
    tables.put(PLACES.pasid + 8n, 9n)
    expect(rig.answer(VA)).toBe('0x789000 IOTLB')
    tables.put(PLACES.pasid, PASS | 1n)
    expect(rig.answer(VA)).toBe('0x789000 IOTLB ! PASID')
    expect(rig.ask(VA).staleness?.tables).toMatchObject({ fault: 'ADDRESS_BEYOND_WIDTH' })
    rig.cure(VA)
    expect(rig.answer(VA)).toBe('ADDRESS_BEYOND_WIDTH')
  })

  test('of a large leaf that was split, and of small ones that were merged', () => {
    const leaf = 0x80_0000n | RW | LARGE
    const { tables, entries } = secondStage(GPA, { leaf, level: 2 })
    const rig = new UnitRig(tables)
    const inside = 0x80_0000n | (GPA & 0x1f_ffffn)
    expect(rig.answer(GPA)).toBe(`0x${inside.toString(16)} TABLES`)
    const table = 0x50_0000n
    const at = table + ((GPA >> 12n) & 0x1ffn) * 8n
    tables.put(at, inside | RW)
    tables.put(at + 8n, 0x999000n | RW)
    tables.put(entryOf(entries, 1), table | RW)
    // What is still the same is still supported.
    expect(rig.answer(GPA)).toBe(`0x${inside.toString(16)} IOTLB`)
    expect(rig.answer(GPA + 0x1000n)).toContain('! IOTLB')
    rig.cure(GPA + 0x1000n)
    expect(rig.answer(GPA + 0x1000n)).toBe('0x999000 TABLES')
    tables.put(entryOf(entries, 1), leaf)
    // The table is no table any more: its cached place has to go, and the leaf goes with it.
    expect(rig.answer(GPA + 0x1000n)).toBe('0x999000 IOTLB ! PAGING_STRUCTURE')
    rig.cure(GPA + 0x1000n)
    expect(rig.answer(GPA + 0x1000n)).toBe(`0x${(inside + 0x1000n).toString(16)} TABLES`)
  })

  test('of what was not present, in caching mode only', () => {
    for (const cachingMode of [false, true]) {
      const { tables } = firstStage()
      const present = tables.read(PLACES.pasid) ?? 0n
      tables.put(PLACES.pasid, present & ~1n)
      const rig = new UnitRig(tables, { cachingMode })
      expect(rig.answer(VA)).toBe('PASID_ENTRY_NOT_PRESENT')
      tables.put(PLACES.pasid, present)
      const stale = 'PASID_ENTRY_NOT_PRESENT ! PASID'
      expect(rig.answer(VA)).toBe(cachingMode ? stale : '0x789000 TABLES')
      if (!cachingMode) continue
      const [needed] = rig.ask(VA).staleness?.needed ?? []
      expect(needed?.descriptor).toMatchObject({ domain: 0, pasid: PASID })
      // Linux names the new entry's domain.
      rig.unit.invalidatePasidCache(7, PASID)
      expect(rig.answer(VA)).toBe('0x789000 TABLES')
    }
  })

  test('of a context entry', () => {
    const { tables } = firstStage()
    const rig = new UnitRig(tables)
    rig.ask(VA)
    tables.put(PLACES.context, 0n)
    expect(rig.answer(VA)).toBe('0x789000 IOTLB ! CONTEXT')
    rig.unit.invalidateContext('DEVICE', 0x1234 ^ 1, 0)
    expect(rig.answer(VA)).toBe('0x789000 IOTLB ! CONTEXT')
    // FM 3: all functions of the device.
    rig.unit.invalidateContext('DEVICE', 0x1234 ^ 1, 3)
    expect(rig.answer(VA)).toBe('CONTEXT_ENTRY_NOT_PRESENT')
  })
})

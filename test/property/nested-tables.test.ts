/**
 * Remapping tables that the Linux Intel driver itself wrote (test/data/README.md): one device with
 * a second-stage PASID and nested ones. A unit on that image of memory gives every stated result,
 * at first from the tables and then from its caches, and never calls a cached answer stale.
 */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { OperationLog } from '../../src/backend/emulator/operation-log.js'
import type { UnitDevice } from '../../src/backend/emulator/request-path.js'
import { IommuUnit, type Translation } from '../../src/backend/emulator/unit.js'
import { UNIT_DEFAULTS } from '../../src/backend/emulator/unit-options.js'

interface Case {
  readonly sid: number
  readonly pasid: number
  readonly addr: string
  readonly hpa?: string
  readonly gpa?: string
  readonly w?: 0 | 1
  readonly u?: 0 | 1
  readonly fs_level?: number
  readonly ss_level?: number
  readonly fault?: string
}

interface Recording {
  readonly root_table: string
  readonly host_address_width: number
  readonly pages: Readonly<Record<string, string>>
  readonly cases: readonly Case[]
}

const FILE = new URL('../data/vtd-nested-tables.json.gz', import.meta.url)
const recording = JSON.parse(gunzipSync(readFileSync(FILE)).toString('utf8')) as Recording

/** The pages that were recorded; nothing is anywhere else. */
class Image {
  readonly #pages = new Map<number, BigUint64Array>()

  constructor(pages: Readonly<Record<string, string>>) {
    for (const [address, hex] of Object.entries(pages)) {
      const bytes = Uint8Array.from(Buffer.from(hex, 'hex'))
      this.#pages.set(Number(address) / 4096, new BigUint64Array(bytes.buffer))
    }
  }

  read(address: number): bigint | undefined {
    return this.#pages.get(Math.floor(address / 4096))?.[(address % 4096) / 8]
  }

  exchange(address: number, expected: bigint, next: bigint): boolean {
    const page = this.#pages.get(Math.floor(address / 4096))
    if (page?.[(address % 4096) / 8] !== expected) return false
    page[(address % 4096) / 8] = next
    return true
  }
}

const FAULTS: Readonly<Record<string, readonly string[]>> = {
  'not-present': ['FIRST_STAGE_ENTRY_NOT_PRESENT'],
  'non-canonical': ['NOT_CANONICAL'],
  'second-stage': ['SECOND_STAGE_ENTRY_NOT_PRESENT', 'SECOND_STAGE_BEYOND_WIDTH'],
  'reserved-or-second-stage': ['FIRST_STAGE_ENTRY_RESERVED', 'SECOND_STAGE_BEYOND_WIDTH'],
}

/** Where the driver put a PASID's entry. */
function entryOf(memory: Image, sid: number, pasid: number): number {
  const pointer = (at: number): number => Number((memory.read(at) ?? 0n) & ~0xfffn)
  const directory = pointer(pointer(Number(recording.root_table)) + sid * 32)
  return pointer(directory + Math.floor(pasid / 64) * 8) + (pasid % 64) * 64
}

function makeUnit(memory = new Image(recording.pages)): IommuUnit {
  const options = { ...UNIT_DEFAULTS, hostAddressWidth: recording.host_address_width }
  return new IommuUnit({ memory, root: Number(recording.root_table) }, options, new OperationLog(1))
}

function deviceOf({ sid }: Case, ats: boolean): UnitDevice {
  return { name: `device ${sid}`, sourceId: sid, ats, tlb: undefined }
}

function ask(unit: IommuUnit, device: UnitDevice, one: Case, write = false): Translation {
  // The driver's RID_PASID is 0: a request without a PASID.
  const pasid = one.pasid === 0 ? undefined : one.pasid
  const access = { pasid, address: BigInt(one.addr), write, privileged: false }
  return unit.translate(device, access)
}

function check(one: Case, { outcome, staleness }: Translation): void {
  expect(staleness).toBeUndefined()
  if (one.fault !== undefined) {
    expect(FAULTS[one.fault]).toContain(outcome.kind === 'FAULT' ? outcome.fault : outcome.kind)
    return
  }
  if (one.u === 0) {
    expect(outcome).toMatchObject({ fault: 'USER_NOT_ALLOWED' })
    return
  }
  expect(outcome).toMatchObject({ kind: 'TRANSLATED', address: Number(one.hpa) })
  const levels = [one.fs_level, one.ss_level].filter((level) => level !== undefined)
  expect(outcome).toMatchObject({ order: 9 * (Math.min(...levels) - 1) })
}

describe('tables that a kernel wrote', () => {
  test('there are all of the recorded cases', () => {
    expect(recording.cases).toHaveLength(3039)
  })

  test.each([false, true])('each case gives its result twice (device-TLB: %s)', (ats) => {
    const unit = makeUnit()
    const devices = new Map<number, UnitDevice>()
    const sources = new Set<string>()
    for (const round of [1, 2]) {
      for (const one of recording.cases) {
        const device = devices.get(one.sid) ?? deviceOf(one, ats)
        devices.set(one.sid, device)
        const found = ask(unit, device, one)
        if (round === 2) sources.add(found.source)
        check(one, found)
      }
    }
    expect(sources).toContain('IOTLB')
    unit.flushCaches()
    expect(unit.cacheSizes().every(({ entries }) => entries === 0)).toBe(true)
  })

  test('a write is let through exactly where it is writable', () => {
    const unit = makeUnit()
    for (const one of recording.cases) {
      if (one.hpa === undefined || one.u === 0) continue
      const { outcome, staleness } = ask(unit, deviceOf(one, false), one, true)
      expect(staleness).toBeUndefined()
      if (one.w === 1) expect(outcome).toMatchObject({ address: Number(one.hpa) })
      else expect(outcome).toMatchObject({ fault: 'WRITE_NOT_ALLOWED' })
    }
  })

  test('the supervisor’s pages are there for supervisor requests, once SRE is set', () => {
    const memory = new Image(recording.pages)
    const cases = recording.cases.filter(({ u }) => u === 0)
    for (const { sid, pasid } of cases) {
      const at = entryOf(memory, sid, pasid) + 16
      const word = memory.read(at) ?? 0n
      expect(memory.exchange(at, word, word | 1n)).toBe(true)
    }
    const unit = makeUnit(memory)
    for (const one of cases) {
      const access = { pasid: one.pasid, address: BigInt(one.addr), write: false, privileged: true }
      const { outcome } = unit.translate(deviceOf(one, false), access)
      expect(outcome).toMatchObject({ kind: 'TRANSLATED', address: Number(one.hpa) })
    }
    expect(cases).toHaveLength(153)
  })
})

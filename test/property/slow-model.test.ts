/**
 * The slow VT-d model (test/support/slow-iommu.ts), which judges the emulator, judged itself: by
 * tables that Linux's Intel driver wrote (test/data/README.md), and by small tables built here,
 * whose answers follow from their layout. Its faults are in slow-model-faults.test.ts.
 */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { slowTranslate } from '../support/slow-iommu.js'
import {
  ask,
  CAPS,
  device,
  firstStage,
  GPA,
  LARGE,
  lay,
  nested,
  NESTED_PLACES,
  PASS,
  PLACES,
  RW,
  SECOND,
  secondStage,
  SOURCE,
  USER,
  VA,
} from '../support/slow-tables.js'
import type { SlowAnswer, SlowCaps, SlowMemory } from '../support/slow-types.js'

interface RecordedCase {
  readonly sid: number
  readonly pasid: number
  readonly addr: string
  readonly hpa?: string
  readonly gpa?: string
  readonly w?: number
  readonly u?: number
  readonly fs_level?: number
  readonly ss_level?: number
  readonly fault?: string
}

interface Recorded {
  readonly root_table: string
  readonly host_address_width: number
  readonly cap: string
  readonly ecap: string
  readonly pages: Readonly<Record<string, string>>
  readonly cases: readonly RecordedCase[]
}

const RECORDED = JSON.parse(
  gunzipSync(
    readFileSync(new URL('../data/vtd-nested-tables.json.gz', import.meta.url)),
  ).toString(),
) as Recorded

function has(register: string, bit: number): boolean {
  return ((BigInt(register) >> BigInt(bit)) & 1n) === 1n
}

const RECORDED_CAPS: SlowCaps = {
  leaf1G: has(RECORDED.cap, 56),
  fiveLevels: has(RECORDED.cap, 60),
  secondStageLeaf2M: has(RECORDED.cap, 34),
  secondStageLeaf1G: has(RECORDED.cap, 35),
  supervisorRequests: has(RECORDED.ecap, 31),
  extendedAccessed: has(RECORDED.ecap, 34),
  hostAddressWidth: RECORDED.host_address_width,
}

/** The recorded words; `changes` lie over them. */
function recordedMemory(changes: ReadonlyMap<bigint, bigint> = new Map()): SlowMemory {
  const pages = new Map(
    Object.entries(RECORDED.pages).map(([page, hex]) => [BigInt(page), Buffer.from(hex, 'hex')]),
  )
  return {
    read: (address) =>
      changes.get(address) ??
      pages.get(address & ~0xfffn)?.readBigUInt64LE(Number(address & 0xfffn)),
  }
}

/** Where the recorded PASID entry's third word is: it holds SRE and WPE. */
function thirdWord(memory: SlowMemory, sid: number, pasid: number): bigint {
  const at = (address: bigint): bigint => (memory.read(address) ?? 0n) & ~0xfffn
  const context = at(BigInt(RECORDED.root_table) + BigInt(sid >> 8) * 16n) + BigInt(sid) * 32n
  return at(at(context) + BigInt(pasid >> 6) * 8n) + BigInt(pasid & 63) * 64n + 16n
}

const FAULTS_OF: Readonly<Record<string, RegExp>> = {
  'not-present': /^FS_NOT_PRESENT$/u,
  'non-canonical': /^FS_NOT_CANONICAL$/u,
  'second-stage': /^(SS|NESTED)_/u,
  'reserved-or-second-stage': /./u,
}

/** What is wrong with the answer; undefined if it is as recorded. */
function differs(found: SlowAnswer, wanted: RecordedCase): string | undefined {
  if (wanted.fault !== undefined) {
    const fits = found.kind === 'FAULT' && FAULTS_OF[wanted.fault]?.test(found.reason) === true
    return fits ? undefined : 'fault'
  }
  if (found.kind === 'FAULT') return found.reason
  if (found.hpa !== BigInt(wanted.hpa ?? -1)) return 'hpa'
  if (found.gpa !== BigInt(wanted.gpa ?? -1)) return 'gpa'
  if (found.writable !== (wanted.w === 1)) return 'writable'
  if (found.user !== (wanted.u === 1)) return 'user'
  if (found.fsLevel !== wanted.fs_level) return 'fsLevel'
  return found.ssLevel === wanted.ss_level ? undefined : 'ssLevel'
}

test('the tables that Linux wrote translate as recorded', () => {
  const memory = recordedMemory()
  const changes = new Map<bigint, bigint>()
  for (const pasid of [1, 5, 64]) {
    const at = thirdWord(memory, 8, pasid)
    changes.set(at, (memory.read(at) ?? 0n) | 1n | 0x10n)
  }
  const supervisor = recordedMemory(changes)
  const root = BigInt(RECORDED.root_table)
  const wrong: unknown[] = []
  let runs = 0
  for (const wanted of RECORDED.cases) {
    const request = { sourceId: wanted.sid, pasid: wanted.pasid, address: BigInt(wanted.addr) }
    const ask = (memoryOf: SlowMemory, write: boolean, privileged: boolean): SlowAnswer =>
      slowTranslate(memoryOf, root, RECORDED_CAPS, { ...request, write, privileged })
    runs += 1
    // A supervisor's page has no recorded answer for a user: ask as a supervisor, SRE and WPE set.
    const privileged = wanted.u === 0
    const tables = privileged ? supervisor : memory
    const difference = differs(ask(tables, false, privileged), wanted)
    const asUser = ask(memory, false, false)
    if (difference !== undefined) wrong.push({ difference, ...wanted })
    if (privileged && !(asUser.kind === 'FAULT' && asUser.reason === 'FS_SUPERVISOR_PAGE')) {
      wrong.push({ difference: 'user access', ...wanted })
    }
    const written = ask(tables, true, privileged)
    if ((written.kind === 'TRANSLATED') !== (wanted.w === 1)) {
      wrong.push({ difference: 'write', ...wanted })
    }
  }
  expect(runs).toBe(3039)
  expect(wrong).toEqual([])
})

const mask1G = 0x3fff_ffffn
const none = { gpa: undefined, fsLevel: undefined, ssLevel: undefined }
const plain = { kind: 'TRANSLATED', writable: true, user: true, updates: [] }

test('five levels with a 1 GiB leaf translate 57 bits, and four levels only 48', () => {
  const address = 0xaa_1234_4765_4328n
  const { tables } = firstStage(0n, {}, 1n << 2n)
  const path = { top: 0x10000n, levels: 5, address, table: USER | 0x20n }
  lay(tables, { ...path, leaf: 0x1_4000_0000n | USER | LARGE | 0x20n, level: 3 })
  expect(ask(tables, { address })).toEqual({
    ...plain,
    ...none,
    hpa: 0x1_4765_4328n,
    fsLevel: 3,
  })
  const four = firstStage().tables
  expect(ask(four, { address })).toMatchObject({ reason: 'FS_NOT_CANONICAL' })
  const high = 0xffff_8000_0000_1ff8n
  expect(ask(firstStage(high).tables, { address: high })).toMatchObject({ hpa: 0x789ff8n })
})

test('a write marks every first-stage entry accessed and the leaf dirty, EAFE also bit 10', () => {
  const { tables, entries } = firstStage(VA, {}, 0x80n)
  const marks = [0x420n, 0x420n, 0x420n, 0x460n]
  const updates = entries.map((address, at) => ({
    address,
    value: (tables.read(address) ?? 0n) | (marks[at] ?? 0n),
  }))
  expect(ask(tables, { address: VA, write: true })).toEqual({
    ...plain,
    ...none,
    hpa: 0x789000n,
    fsLevel: 1,
    updates,
  })
  for (const { address, value } of updates) tables.put(address, value)
  expect(ask(tables, { address: VA, write: true })).toMatchObject({ updates: [] })
})

test('a supervisor sees supervisor pages with SRE, and writes to read-only ones without WPE', () => {
  const privileged = { address: VA, privileged: true }
  const leaf = { leaf: 0x789001n }
  const open = firstStage(VA, leaf, 1n).tables
  expect(ask(open, privileged)).toMatchObject({ hpa: 0x789000n, user: false, writable: true })
  expect(ask(open, { ...privileged, write: true })).toMatchObject({ hpa: 0x789000n })
  const closed = firstStage(VA, leaf, 0x11n).tables
  expect(ask(closed, privileged)).toMatchObject({ hpa: 0x789000n, user: false, writable: false })
  expect(ask(closed, { ...privileged, write: true })).toMatchObject({ code: 0x85 })
})

test('a request without PASID is under RID_PASID, with the privilege of RID_PRIV', () => {
  const { tables } = firstStage(VA, { leaf: 0x789003n }, 1n)
  const request = { pasid: undefined, address: VA, privileged: true }
  expect(ask(tables, request)).toMatchObject({ reason: 'FS_SUPERVISOR_PAGE' })
  tables.set(PLACES.context + 8n, 1n << 20n)
  expect(ask(tables, request)).toMatchObject({ hpa: 0x789000n, user: false })
  const without = { ...CAPS, supervisorRequests: false }
  expect(ask(tables, request, without)).toMatchObject({ reason: 'CONTEXT_ENTRY_RESERVED' })
})

test("a page is the user's only if every level says so", () => {
  const { tables, entries } = firstStage(VA, {}, 1n)
  tables.put(entries[1] ?? 0n, 0x12003n)
  expect(ask(tables, { address: VA, privileged: true })).toMatchObject({ user: false })
  expect(ask(tables, { address: VA })).toMatchObject({ reason: 'FS_SUPERVISOR_PAGE' })
})

test('the upper half of a bus has a context table of its own', () => {
  const { tables } = firstStage()
  tables.put(PLACES.rootEntry + 8n, 0x6001n)
  tables.put(0x6000n + 0x34n * 32n, 0x3009n, 0n, 0n, 0n)
  const upper = { sourceId: SOURCE | 0x80, address: VA }
  expect(ask(tables, upper)).toMatchObject({ hpa: 0x789000n })
  tables.put(PLACES.rootEntry, 0n)
  expect(ask(tables, upper)).toMatchObject({ hpa: 0x789000n })
  expect(ask(tables, { address: VA })).toMatchObject({ reason: 'ROOT_ENTRY_NOT_PRESENT' })
})

test.each([
  ['39 bits', 1n, 3],
  ['48 bits', 2n, 4],
  ['57 bits', 3n, 5],
] as const)('a second stage of %s takes addresses of that width', (_name, width, levels) => {
  const address = (1n << BigInt(12 + 9 * levels)) - 0x1000n
  const tables = device(SECOND | (width << 2n) | 0x20000n)
  lay(tables, { top: 0x20000n, levels, address, table: RW, leaf: 0x789000n | RW })
  const answer = { ...plain, ...none, hpa: 0x789000n, gpa: address, ssLevel: 1 }
  expect(ask(tables, { address })).toEqual(answer)
  expect(ask(tables, { address: address + 0x1000n })).toMatchObject({ code: 0x84 })
})

test('second-stage rights are the AND of all levels, and SSADE marks accessed and dirty', () => {
  const { tables, entries } = secondStage(GPA & ~mask1G, {
    leaf: 0x4000_0000n | RW | LARGE,
    level: 3,
  })
  const request = { address: GPA }
  expect(ask(tables, request)).toMatchObject({ ssLevel: 3, hpa: 0x4000_0000n | (GPA & mask1G) })
  tables.set(PLACES.pasid, 1n << 9n)
  const values = [0x21103n, 0x4000_0383n]
  const updates = entries.map((address, at) => ({ address, value: values[at] }))
  expect(ask(tables, { ...request, write: true })).toMatchObject({ updates })
  tables.put(entries[0] ?? 0n, 0x21001n)
  expect(ask(tables, request)).toMatchObject({ kind: 'TRANSLATED', writable: false })
  expect(ask(tables, { ...request, write: true })).toMatchObject({ reason: 'SS_WRITE_DENIED' })
})

test('pass-through gives the address back, and blocks the interrupt range', () => {
  const tables = device(PASS)
  const address = 0x3fff_ffff_f123n
  expect(ask(tables, { address, write: true })).toEqual({ ...plain, ...none, hpa: address })
  expect(ask(tables, { address: 0xfee0_0000n })).toMatchObject({ code: 0x87 })
  expect(ask(tables, { address: 0xfef0_0000n })).toMatchObject({ hpa: 0xfef0_0000n })
})

test('0xfeexxxxx is an interrupt without a PASID and an address like any other with one', () => {
  const address = 0xfee0_1000n
  const { tables } = firstStage(address)
  expect(ask(tables, { address })).toMatchObject({ hpa: 0x789000n })
  expect(ask(tables, { address, pasid: undefined })).toMatchObject({ reason: 'INTERRUPT_RANGE' })
})

test('nested: marking a first-stage entry is a write to its guest page', () => {
  const { tables, entries } = nested(1n << 9n)
  const { address, guestTables, guestPage, leaf } = NESTED_PLACES
  const found = ask(tables, { address })
  expect(found).toMatchObject({ hpa: 0x1050000n, gpa: guestPage, fsLevel: 1, ssLevel: 1 })
  const value = (at: bigint): bigint | undefined =>
    found.kind === 'TRANSLATED'
      ? found.updates.find((update) => update.address === at)?.value
      : undefined
  for (const table of guestTables) expect(value(leaf(table))).toBe(table + 0x1000303n)
  expect(value(leaf(guestPage))).toBe(0x1050103n)
  for (const entry of entries) expect(value(entry)).toBe((tables.read(entry) ?? 0n) | 0x20n)
  // Three second-stage entries above the leaves, five leaves, four first-stage entries.
  expect(found).toHaveProperty('updates.length', 12)
  for (const entry of entries) tables.set(entry, 0x20n)
  const again = ask(tables, { address })
  expect(again).toHaveProperty('updates.length', 8)
})

test('a walk sees the flags that it has set itself', () => {
  const { tables } = nested(1n << 9n)
  // The top table's first entry points to its own page: all four levels and the page are one.
  const entry = 0x1040000n
  tables.put(entry, 0x40000n | USER)
  expect(ask(tables, { address: 0x18n })).toMatchObject({
    hpa: entry + 0x18n,
    updates: [
      { address: 0x20000n, value: 0x21103n },
      { address: 0x21000n, value: 0x22103n },
      { address: 0x22000n, value: 0x23103n },
      { address: NESTED_PLACES.leaf(0x40000n), value: entry | 0x303n },
      { address: entry, value: 0x40000n | USER | 0x20n },
    ],
  })
})

/**
 * The faults of the slow VT-d model: each that it knows happens once, with its code, recorded or
 * kept out of the record by FPD; and the reserved bits are those of the layouts, bit by bit.
 */
import { expect, test } from 'vitest'
import { SLOW_FAULTS, type SlowReason } from '../support/slow-faults.js'
import {
  ask,
  CAPS,
  device,
  FIRST,
  firstStage,
  GPA,
  LARGE,
  NESTED,
  nested,
  NESTED_PLACES,
  PASID,
  PASS,
  type Path,
  PLACES,
  ROOT,
  RW,
  SECOND,
  secondStage,
  type SlowTables,
  USER,
  VA,
} from '../support/slow-tables.js'
import type { SlowCaps, SlowRequest } from '../support/slow-types.js'

const noMemory = 0xf00_0000n
const { address: NVA, guestTables: GUEST, leaf: LEAF } = NESTED_PLACES

/** One way to each fault: what to ask of which tables, under which capabilities. */
const WAYS: Readonly<
  Record<SlowReason, () => readonly [SlowTables, Partial<SlowRequest>?, Partial<SlowCaps>?]>
> = {
  ROOT_ENTRY_UNREADABLE: () => [device(PASS).drop(ROOT)],
  ROOT_ENTRY_NOT_PRESENT: () => [device(PASS), { sourceId: 0x1334 }],
  ROOT_ENTRY_RESERVED: () => [device(PASS).set(PLACES.rootEntry, 2n)],
  CONTEXT_ENTRY_UNREADABLE: () => [device(PASS).drop(PLACES.context)],
  CONTEXT_ENTRY_NOT_PRESENT: () => [device(PASS), { sourceId: 0x1235 }],
  CONTEXT_ENTRY_RESERVED: () => [device(PASS).set(PLACES.context + 16n, 1n)],
  PASID_NOT_ENABLED: () => [device(PASS).put(PLACES.context, 0x3001n)],
  PASID_TOO_LARGE: () => [device(PASS), { pasid: 8192 }],
  RID_PASID_TOO_LARGE: () => [device(PASS, 0n, 8192n), { pasid: undefined }],
  PASID_DIRECTORY_UNREADABLE: () => [device(PASS).drop(PLACES.directory)],
  PASID_DIRECTORY_NOT_PRESENT: () => [device(PASS), { pasid: 1 }],
  PASID_DIRECTORY_RESERVED: () => [device(PASS).set(PLACES.directory, 1n << 46n)],
  PASID_ENTRY_UNREADABLE: () => [device(PASS).drop(PLACES.pasid)],
  PASID_ENTRY_NOT_PRESENT: () => [device(PASS), { pasid: PASID + 1 }],
  PASID_ENTRY_RESERVED: () => [device(FIRST, 0x80n), {}, { extendedAccessed: false }],
  PASID_ENTRY_TYPE: () => [device(0n)],
  PASID_ENTRY_ADDRESS_WIDTH: () => [device(NESTED | (4n << 2n))],
  PASID_ENTRY_PAGING_MODE: () => [device(FIRST, 4n), {}, { fiveLevels: false }],
  EXECUTE_NOT_ENABLED: () => [firstStage().tables, { address: VA, execute: true }],
  SUPERVISOR_NOT_ENABLED: () => [firstStage().tables, { address: VA, privileged: true }],
  FS_ENTRY_UNREADABLE: () => {
    const { tables, entries } = firstStage()
    return [tables.put(entries[1] ?? 0n, noMemory | USER), { address: VA }]
  },
  FS_NOT_PRESENT: () => [firstStage().tables, { address: VA + 0x1000n }],
  FS_RESERVED: () => {
    const large = { leaf: 0x4000_0000n | USER | LARGE, level: 3 }
    return [firstStage(VA, large).tables, { address: VA }, { leaf1G: false }]
  },
  FS_ROOT_UNREADABLE: () => [device(FIRST, noMemory)],
  NESTED_TABLE_TOO_WIDE: () => [device(NESTED | (1n << 2n) | 0x20000n, 1n << 39n)],
  NESTED_ROOT_READ_DENIED: () => [
    nested().tables.put(LEAF(GUEST[0]), 0x1040002n),
    { address: NVA },
  ],
  NESTED_TABLE_READ_DENIED: () => [
    nested().tables.put(LEAF(GUEST[2]), 0x1042002n),
    { address: NVA },
  ],
  NESTED_TABLE_WRITE_DENIED: () => [
    nested().tables.put(LEAF(GUEST[3]), 0x1043001n),
    { address: NVA },
  ],
  SS_ENTRY_UNREADABLE: () => {
    const { tables, entries } = secondStage()
    return [tables.put(entries[2] ?? 0n, noMemory | RW), { address: GPA }]
  },
  SS_NOT_PRESENT: () => [secondStage().tables, { address: GPA + 0x1000n }],
  SS_RESERVED: () => [secondStage(GPA, { leaf: 0x789803n }).tables, { address: GPA }],
  SS_ROOT_UNREADABLE: () => [device(SECOND | (2n << 2n) | noMemory)],
  FS_NOT_CANONICAL: () => [firstStage().tables, { address: 0x8000_0000_0000n }],
  FS_SUPERVISOR_PAGE: () => [firstStage(VA, { leaf: 0x789003n }).tables, { address: VA }],
  PASS_THROUGH_TOO_WIDE: () => [device(PASS), { address: 1n << 46n }],
  SS_TOO_WIDE: () => [secondStage().tables, { address: 1n << 48n }],
  FS_WRITE_DENIED: () => [firstStage(VA, { leaf: 0x789005n }).tables, { address: VA, write: true }],
  SS_WRITE_DENIED: () => [
    secondStage(GPA, { leaf: 0x789001n }).tables,
    { address: GPA, write: true },
  ],
  SS_READ_DENIED: () => [secondStage(GPA, { leaf: 0x789002n }).tables, { address: GPA }],
  INTERRUPT_RANGE: () => [firstStage(VA, { leaf: 0xfeef_f007n }).tables, { address: VA }],
}

/** Where FPD may be, in the order in which a unit meets it. */
const FPD_PLACES = [PLACES.context, PLACES.directory, PLACES.pasid]

test.each(Object.entries(WAYS))('%s', (reason, way) => {
  const { code, qualified } = SLOW_FAULTS[reason as SlowReason]
  const [tables, request = {}, caps = {}] = way()
  const all = { ...CAPS, ...caps }
  const fault = { kind: 'FAULT', reason, code }
  expect(ask(tables, request, all)).toEqual({ ...fault, recorded: true })
  const silent = tables
  for (const place of FPD_PLACES) {
    if (silent.read(place) !== undefined) silent.set(place, 2n)
  }
  const beforeAnyFpd = reason.startsWith('ROOT') || reason === 'CONTEXT_ENTRY_NOT_PRESENT'
  const recorded = !qualified || beforeAnyFpd
  expect(ask(silent, request, all)).toEqual({ ...fault, recorded })
})

test('FPD in any one of the three entries silences a fault of the walk', () => {
  for (const place of FPD_PLACES) {
    const tables = firstStage().tables.set(place, 2n)
    expect(ask(tables, { address: 0n })).toMatchObject({ code: 0x71, recorded: false })
  }
})

test('FPD counts in a context or PASID entry that is not present', () => {
  const context = device(PASS).put(PLACES.context, 2n)
  expect(ask(context, {})).toMatchObject({ code: 0x41, recorded: false })
  const pasid = device(PASS).put(PLACES.pasid, 2n)
  expect(ask(pasid, {})).toMatchObject({ code: 0x59, recorded: false })
})

const ADDRESS_BITS = range(46, 51)
const WIDE: Partial<Path> = { leaf: 0x4000_0000n | USER | LARGE, address: 0n }
const WIDE_SS: Partial<Path> = { leaf: 0x4000_0000n | RW | LARGE, address: 0n }

function range(low: number, high: number): readonly number[] {
  return Array.from({ length: high - low + 1 }, (_, at) => low + at)
}

/** [what, tables and entries, which entry (-1 the leaf), the bits that are reserved in it]. */
const RESERVED = [
  ['first-stage 4 KiB leaf', firstStage(0n), -1, ADDRESS_BITS],
  ['first-stage 2 MiB leaf', firstStage(0n, { ...WIDE, level: 2 }), -1, range(13, 20)],
  ['first-stage 1 GiB leaf', firstStage(0n, { ...WIDE, level: 3 }), -1, range(13, 29)],
  ['first-stage top entry', firstStage(0n), 0, [7]],
  ['second-stage 4 KiB leaf', secondStage(0n), -1, [11, 62]],
  [
    'second-stage 2 MiB leaf',
    secondStage(0n, { ...WIDE_SS, level: 2 }),
    -1,
    [...range(11, 20), 62],
  ],
  [
    'second-stage 1 GiB leaf',
    secondStage(0n, { ...WIDE_SS, level: 3 }),
    -1,
    [...range(11, 29), 62],
  ],
  ['second-stage top entry', secondStage(0n), 0, [7, 11, 62]],
] as const

test.each(RESERVED)('reserved bits of a %s', (_name, { tables, entries }, which, bits) => {
  const at = entries.at(which) ?? 0n
  const good = tables.read(at) ?? 0n
  const found = range(0, 63).filter((bit) => {
    const answer = ask(tables.put(at, good | (1n << BigInt(bit))), { address: 0n })
    return answer.kind === 'FAULT' && answer.reason.endsWith('_RESERVED')
  })
  expect(found).toEqual([...new Set([...bits, ...ADDRESS_BITS])].sort((one, two) => one - two))
})

test('reserved fields of the PASID entry are those that its type uses', () => {
  const reserved = (type: bigint, third: bigint, at: number): readonly number[] =>
    range(0, 63).filter((bit) => {
      const tables = device(type, third).set(PLACES.pasid + BigInt(8 * at), 1n << BigInt(bit))
      const answer = ask(tables, {})
      return answer.kind === 'FAULT' && answer.reason === 'PASID_ENTRY_RESERVED'
    })
  const high = range(46, 63)
  expect(reserved(SECOND | (2n << 2n), 0n, 0)).toEqual([5, 10, 11, ...high])
  expect(reserved(PASS, 0n, 0)).toEqual([5, 10, 11])
  expect(reserved(PASS, 0n, 1)).toEqual(range(16, 22))
  expect(reserved(PASS, 0n, 2)).toEqual([])
  expect(reserved(FIRST, 0n, 2)).toEqual([1, 5, 6, ...range(8, 11), ...high])
  expect(reserved(NESTED | (2n << 2n), 0n, 2)).toEqual([1, 5, 6, ...range(8, 11)])
  for (const word of range(3, 7)) expect(reserved(PASS, 0n, word)).toEqual(range(0, 63))
})

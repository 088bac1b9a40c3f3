/**
 * Those P- and N-cases of iommufd's selftests (docs/CONFORMANCE.md has the list) that are about a
 * single call, given as it stands: what the kernel answers to calls that the native backend never
 * makes, which its guards and its table of errnos go by.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HWPT_ALLOC, HWPT_INVALIDATE, IOMMUFD } from '../../../src/uapi/iommufd.js'
import { endWorlds, MockWorld, TABLES } from '../rig/mock-world.js'
import { IOTLB_CELLS, iotlbOf, mockCodec } from '../rig/mock.js'

const { nested0, nested1 } = TABLES
const { IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_PASID, IOMMU_HWPT_FAULT_ID_VALID } = IOMMUFD
const UNKNOWN_DATA = 0xdead_0000
/** Of struct iommu_hwpt_selftest: what came later may be missing. */
const DATA_BYTES_MIN = 4
const { hwptDataType, invalidateDataType, entryBytes } = mockCodec

let world: MockWorld

beforeEach(async () => {
  world = await MockWorld.start()
})
afterEach(endWorlds)

type Values = Parameters<
  typeof world.vm.user.attempt<(typeof HWPT_ALLOC)['structure']['fields']>
>[1]

/** A nested table on the parent, but for what is said; the errno. */
async function allocNested(more: Values, data?: Uint8Array): Promise<string | undefined> {
  const { idev: devId } = world.device.ids
  const table = mockCodec.table(nested0)
  const right = { devId, ptId: world.parent, dataType: hwptDataType, dataLen: table.length }
  const { errno } = await world.vm.user.attempt(HWPT_ALLOC, { ...right, ...more }, data ?? table)
  return errno
}

/** The backend never asks for it: the broker knows what is bound, and answers NOT_BOUND. */
test('P14: a replace where nothing is attached attaches nothing', async () => {
  expect(await world.device.replaceAsIs(200, world.parent)).toBe('EINVAL')
  expect(await world.device.isAttached(200, 0)).toBe(true)
})

test('N1, N3: an HWPT of no device, or a parent with a fault queue', async () => {
  const { user, ioas } = world.vm
  const { idev } = world.device.ids
  const alloc = (devId: number, flags: number) => {
    return user.attempt(HWPT_ALLOC, { devId, ptId: ioas, flags })
  }
  expect((await alloc(ioas, 0)).errno).toBe('ENOENT')
  const flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID
  expect((await alloc(idev, flags)).errno).toBe('EOPNOTSUPP')
})

test('N2, N9, N12: a nested table on what is no parent', async () => {
  const { idev, nowhere } = world.device.ids
  const nested = await world.bind(100, nested1)
  for (const ptId of [idev, nowhere, nested]) expect(await allocNested({ ptId })).toBe('EINVAL')
})

test('N4, N5, N6, N7, N8: a nested table with data of no type, of an unknown one, too short, missing, or as a parent', async () => {
  expect(await allocNested({ dataType: 0 })).toBe('EINVAL')
  expect(await allocNested({ dataType: UNKNOWN_DATA })).toBe('EOPNOTSUPP')
  expect(await allocNested({ dataLen: DATA_BYTES_MIN - 1 })).toBe('EINVAL')
  expect(await allocNested({ flags: IOMMU_HWPT_ALLOC_NEST_PARENT })).toBe('EOPNOTSUPP')
  const { idev: devId } = world.device.ids
  const right = { devId, ptId: world.parent, dataType: hwptDataType, dataLen: 8 }
  expect((await world.vm.user.attempt(HWPT_ALLOC, right)).errno).toBe('EFAULT')
  expect(await allocNested({ flags: IOMMU_HWPT_ALLOC_PASID })).toBeUndefined()
})

interface Call {
  readonly hwptId?: number
  readonly dataType?: number
  readonly entryLen?: number
  readonly entryNum?: number
}

/** Each entry is its flags, and a cell. */
type Entry = readonly [flags: number, cell: number]

/** `entries` undefined: the pointer is null. Answers the errno and how many were done. */
async function invalidate(hwptId: number, entries: readonly Entry[] | undefined, more: Call = {}) {
  const data = entries && new Uint8Array(Uint32Array.from(entries.flat()).buffer)
  const entryNum = entries?.length ?? 0
  const asked = { hwptId, dataType: invalidateDataType, entryLen: entryBytes, entryNum, ...more }
  const { errno = 'ok', left } = await world.vm.user.attempt(HWPT_INVALIDATE, asked, data)
  return [errno, left.entryNum] as const
}

/** Cells of nested0 that were invalidated. */
async function cleared(hwpt: number): Promise<readonly number[]> {
  const cells = Array.from({ length: IOTLB_CELLS }, (_, cell) => cell)
  const kept = await Promise.all(
    cells.map((cell) => world.device.isCached(hwpt, cell, iotlbOf(nested0))),
  )
  return cells.filter((cell) => kept[cell] !== true)
}

test('N14, N15, N16, N17: an invalidation of a parent, of nothing, of another type, of entries of another size', async () => {
  const hwpt = await world.bind(100, nested0)
  const one: readonly Entry[] = [[0, 0]]
  expect(await invalidate(world.parent, one)).toEqual(['EINVAL', 0])
  expect(await invalidate(hwpt, undefined)).toEqual(['ok', 0])
  for (const entries of [one, undefined]) {
    expect(await invalidate(hwpt, entries, { dataType: 0xdad_beef })).toEqual(['EINVAL', 0])
  }
  for (const entryLen of [1, entryBytes + 1]) {
    expect(await invalidate(hwpt, one, { entryLen })).toEqual(['EINVAL', 0])
  }
  expect(await cleared(hwpt)).toEqual([])
})

test('N18, N19, N20: an invalidation with unknown flags, without entries or their size, of a cell that is none', async () => {
  const hwpt = await world.bind(100, nested0)
  expect(await invalidate(hwpt, [[0xffff_ffff, 0]])).toEqual(['EOPNOTSUPP', 0])
  expect(await invalidate(hwpt, undefined, { entryNum: 1 })).toEqual(['EINVAL', 0])
  expect(await invalidate(hwpt, [[0, 0]], { entryLen: 0 })).toEqual(['EINVAL', 0])
  expect(await invalidate(hwpt, [[0, IOTLB_CELLS]])).toEqual(['EINVAL', 0])
  expect(await cleared(hwpt)).toEqual([])
})

test.each([
  ['N21', [0xffff_ffff, 1], 'EOPNOTSUPP'],
  ['N22', [0, IOTLB_CELLS], 'EINVAL'],
] as const)('%s: a good entry before a bad one is done, and counted', async (_n, bad, errno) => {
  const hwpt = await world.bind(100, nested0)
  expect(await invalidate(hwpt, [[0, 0], bad])).toEqual([errno, 1])
  expect(await cleared(hwpt)).toEqual([0])
})

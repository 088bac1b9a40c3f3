/**
 * The N-cases of iommufd's selftests (docs/CONFORMANCE.md has the list) on the native backend, with
 * the kernel's mock devices: each nested table has a mock IOTLB of four cells, which shows what an
 * invalidation reached.
 */
import { afterEach, expect, test } from 'vitest'
import type { Table } from '../../../src/core/binding.js'
import { FAULT_QUEUE_ALLOC, HWPT_ALLOC, IOMMUFD } from '../../../src/uapi/iommufd.js'
import { endWorlds, MockWorld, said, TABLES } from '../rig/mock-world.js'
import { IOTLB_CELLS, iotlbOf } from '../rig/mock.js'

const { nested0, nested1, s2 } = TABLES
const RID = 0
const CLEARED = 0

afterEach(endWorlds)

/** Cells that were invalidated. */
async function cleared(world: MockWorld, hwpt: number, table: Table): Promise<readonly number[]> {
  if (table.kind !== 'FIRST_STAGE') throw new Error('only nested tables have cells')
  const found: number[] = []
  for (let cell = 0; cell < IOTLB_CELLS; cell += 1) {
    if (await world.device.isCached(hwpt, cell, CLEARED)) found.push(cell)
    else expect(await world.device.isCached(hwpt, cell, iotlbOf(table))).toBe(true)
  }
  return found
}

test('N2, N9, N12: what is no parent is refused with what to do', async () => {
  const world = await MockWorld.start()
  const { user, ioas } = world.vm
  const { idev } = world.device.ids
  const plain = await user.allocHwpt(idev, ioas, IOMMUFD.IOMMU_HWPT_ALLOC_PASID)
  const nested = await world.bind(100, nested0)
  for (const id of [idev, plain, nested]) {
    const other = await MockWorld.bare()
    // In its own iommufd: the ids mean nothing there.
    await expect(other.handOver({ parent: { kind: 'HWPT', id } })).rejects.toMatchObject({
      kind: 'REFUSE',
      remedy: expect.any(String),
    })
  }
  await world.unbind(100)
  await world.backend.detachDevice('mock', world.place(RID).session)
  const asked = world.handOver({ parent: { kind: 'HWPT', id: plain } })
  await expect(asked).rejects.toMatchObject({ kind: 'REFUSE' })
})

test('N10, N24: two tables on one parent; everything of one is invalidated, of the other nothing', async () => {
  const world = await MockWorld.start()
  const first = await world.bind(100, nested0)
  const second = await world.bind(200, nested1)
  expect(await cleared(world, first, nested0)).toEqual([])
  await world.invalidate(200)
  expect(await cleared(world, second, nested1)).toEqual([0, 1, 2, 3])
  expect(await cleared(world, first, nested0)).toEqual([])
})

test('N11: a fault queue that is not there is refused; one of the VMM is used', async () => {
  const world = await MockWorld.bare()
  await expect(world.handOver({ faultId: 0xffff_ffff })).rejects.toMatchObject({ kind: 'REFUSE' })
  const { outFaultId } = await world.vm.user.ask(FAULT_QUEUE_ALLOC, {})
  await world.handOver({ faultId: outFaultId })
  await world.bind(100, nested0)
  // The tables of the backend hold it.
  expect(await said(world.vm.user.destroy(outFaultId))).toBe('EBUSY')
})

test('N13, N25: neither the parent of a table nor an attached table can be destroyed', async () => {
  const world = await MockWorld.start()
  const hwpt = await world.bind(100, nested0)
  expect(await said(world.vm.user.destroy(world.parent))).toBe('EBUSY')
  expect(await said(world.vm.user.destroy(hwpt))).toBe('EBUSY')
})

test('N14: an invalidation of the parent is nothing to the kernel', async () => {
  const world = await MockWorld.start()
  const hwpt = await world.bind(100, nested0)
  await world.bind(200, s2)
  expect(await said(world.invalidate(200))).toBe('ok')
  expect(await cleared(world, hwpt, nested0)).toEqual([])
})

test('N23: page 1, then 2 and 3 at once: exactly those cells', async () => {
  const world = await MockWorld.start()
  const hwpt = await world.bind(100, nested0)
  await world.invalidate(100, 1)
  expect(await cleared(world, hwpt, nested0)).toEqual([1])
  await world.invalidate(100, 2, 3)
  expect(await cleared(world, hwpt, nested0)).toEqual([1, 2, 3])
})

test('a table at two PASIDs is one HWPT, invalidated once for both', async () => {
  const world = await MockWorld.start()
  const hwpt = await world.bind(100, nested0)
  expect(await world.bind(101, nested0)).toBe(hwpt)
  await world.invalidate(101, 2)
  expect(await cleared(world, hwpt, nested0)).toEqual([2])
  await world.unbind(100)
  expect(await world.device.isAttached(101, hwpt)).toBe(true)
})

test('N26, N28: the RID goes from table to table and back; each table goes when it is left', async () => {
  const world = await MockWorld.start()
  const first = await world.bind(RID, nested0)
  const second = await world.replace(RID, nested1, nested0)
  expect(await said(world.vm.user.destroy(first))).toBe('ENOENT')
  await world.replace(RID, s2, nested1)
  expect(await said(world.vm.user.destroy(second))).toBe('ENOENT')
  expect(await world.device.isAttached(RID, world.parent)).toBe(true)
  await world.unbind(RID)
  await world.backend.detachDevice('mock', world.place(RID).session)
  expect(await said(world.vm.user.destroy(world.parent))).toBe('ENOENT')
})

test('N27: a page request by the RID is told and answered', async () => {
  const world = await MockWorld.start()
  const groups: unknown[] = []
  world.backend.listen({
    pageRequest: (group) => groups.push(group),
    pageRequestGone: () => undefined,
    fault: () => undefined,
    reset: () => undefined,
  })
  await world.bind(RID, nested0)
  await world.device.raise(RID, 7)
  await expect.poll(() => groups).toMatchObject([{ target: RID, group: 7 }])
  const answer = { ...world.place(RID), group: 7, code: 'INVALID' } as const
  expect(await said(world.backend.respond(answer))).toBe('ok')
})

test('N29: without a device nothing is made', async () => {
  const world = await MockWorld.bare()
  const asked = { devId: 77, ptId: world.vm.ioas, flags: 0 }
  expect(await said(world.vm.user.ask(HWPT_ALLOC, asked))).toBe('ENOENT')
  expect(await said(world.bind(100, nested0))).toBe('REFUSE')
})

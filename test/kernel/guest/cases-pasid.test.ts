/**
 * The P-cases of iommufd's selftests (docs/CONFORMANCE.md has the list) on the native backend, with
 * the kernel's mock devices: what is attached afterwards is what the kernel says, by its own check.
 */
import { afterEach, expect, test } from 'vitest'
import { HWPT_SET_DIRTY_TRACKING, IOMMUFD } from '../../../src/uapi/iommufd.js'
import { endWorlds, MockWorld, said, TABLES } from '../rig/mock-world.js'
import { firstStage } from '../rig/tables.js'

const { nested0, nested1, s2 } = TABLES
/** For the kernel's check: nothing. */
const NULL = 0
const RID = 0
const { IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING } = IOMMUFD

afterEach(endWorlds)

test('P1: detach PASID 100, which was never attached: no effect', async () => {
  const world = await MockWorld.start()
  expect(await said(world.unbind(100))).toBe('ok')
  expect(await world.device.isAttached(100, NULL)).toBe(true)
})

test('P2: the RID on an HWPT that PASIDs may not be beside: refused, and why', async () => {
  const world = await MockWorld.start()
  await world.device.moveRid(world.vm.ioas)
  const asked = world.bind(100, nested0)
  await expect(asked).rejects.toMatchObject({ kind: 'REFUSE' })
  await expect(asked).rejects.toThrow('RID_INCOMPATIBLE')
  expect(await world.device.isAttached(100, NULL)).toBe(true)
  // The remedy that it names works.
  await world.device.moveRid(world.parent)
  const hwpt = await world.bind(100, nested0)
  expect(await world.device.isAttached(100, hwpt)).toBe(true)
})

test('P3, P4: the RID on s2, PASID 100 on nested0; the RID cannot leave for such an HWPT', async () => {
  const world = await MockWorld.start()
  await world.bind(RID, s2)
  const hwpt = await world.bind(100, nested0)
  expect(await world.device.isAttached(100, hwpt)).toBe(true)
  expect(await said(world.device.moveRid(world.vm.ioas))).toBe('EINVAL')
  expect(await world.device.isAttached(100, hwpt)).toBe(true)
  expect(await world.device.isAttached(RID, world.parent)).toBe(true)
})

test('P5: detach 100', async () => {
  const world = await MockWorld.start()
  await world.bind(100, nested0)
  await world.unbind(100)
  expect(await world.device.isAttached(100, NULL)).toBe(true)
})

test('P6, P7, P23: a device without PASIDs takes the RID only', async () => {
  const world = await MockWorld.start({ pasids: false })
  expect(await world.vm.user.maxPasidLog2(world.device.ids.idev)).toBe(0)
  expect(world.backend.devices()).toMatchObject([{ pasidBits: 0 }])
  const nested = await world.bind(RID, nested0)
  expect(await world.device.isAttached(RID, nested)).toBe(true)
  await world.replace(RID, s2, nested0)
  expect(await world.device.isAttached(RID, world.parent)).toBe(true)
  for (const table of [s2, nested0]) expect(await said(world.bind(100, table))).toBe('REFUSE')
})

test('P8: a parent that PASIDs may not be on is refused for them, and named', async () => {
  const world = await MockWorld.start()
  const poor = await world.vm.user.allocHwpt(
    world.device.ids.idev,
    world.vm.ioas,
    IOMMU_HWPT_ALLOC_NEST_PARENT,
  )
  await world.backend.detachDevice('mock', world.place(RID).session)
  await world.handOver({ parent: { kind: 'HWPT', id: poor } })
  expect(await said(world.bind(100, s2))).toBe('REFUSE')
  expect(await world.device.isAttached(100, NULL)).toBe(true)
  const nested = await world.bind(100, nested0)
  expect(await world.device.isAttached(100, nested)).toBe(true)
})

test('P10, P11, P12: PASID 100 on s2; another table is refused; detach', async () => {
  const world = await MockWorld.start()
  await world.bind(100, s2)
  expect(await world.device.isAttached(100, world.parent)).toBe(true)
  expect(await said(world.bind(100, nested0))).toBe('REFUSE')
  expect(await world.device.isAttached(100, world.parent)).toBe(true)
  await world.unbind(100)
  expect(await world.device.isAttached(100, NULL)).toBe(true)
})

test('P13: nested0 again is nested0', async () => {
  const world = await MockWorld.start()
  const first = await world.bind(100, nested0)
  expect(await world.bind(100, nested0)).toBe(first)
  expect(await world.device.isAttached(100, first)).toBe(true)
})

test('P15: a replace by a table that the device does not take leaves s2', async () => {
  const world = await MockWorld.start()
  await world.bind(200, s2)
  const refused = firstStage(0x1000, { writeProtect: true })
  expect(await said(world.replace(200, refused, s2))).toBe('REFUSE')
  expect(await world.device.isAttached(200, world.parent)).toBe(true)
})

test('P16: replace by nested0, then by nested1, whose HWPTs go when nobody is on them', async () => {
  const world = await MockWorld.start()
  await world.bind(200, s2)
  const first = await world.replace(200, nested0, s2)
  expect(await world.device.isAttached(200, first)).toBe(true)
  const second = await world.replace(200, nested1, nested0)
  expect(await world.device.isAttached(200, second)).toBe(true)
  expect(await said(world.vm.user.destroy(first))).toBe('ENOENT')
})

/** drivers/iommu/iommufd/iommufd_test.h IOMMU_TEST_PASID_RESERVED: its second attach fails. */
test('P17: a replace that the driver fails with ENOMEM leaves s2 in force', async () => {
  const world = await MockWorld.start()
  await world.bind(1024, s2)
  expect(await said(world.replace(1024, nested0, s2))).toBe('RETRY')
  expect(await world.device.isAttached(1024, world.parent)).toBe(true)
  // The table that was not attached is not left over.
  await world.unbind(1024)
  await world.backend.detachDevice('mock', world.place(RID).session)
  expect(await said(world.vm.user.destroy(world.parent))).toBe('ENOENT')
})

test('P18, P19: a page request of PASID 2048, answered; then another table, and detach', async () => {
  const world = await MockWorld.start()
  const groups: unknown[] = []
  world.backend.listen({
    pageRequest: (group) => groups.push(group),
    pageRequestGone: () => undefined,
    fault: () => undefined,
    reset: () => undefined,
  })
  await world.bind(2048, nested0)
  await world.device.raise(2048, 2)
  await expect.poll(() => groups).toMatchObject([{ target: 2048, group: 2 }])
  const answer = { ...world.place(2048), group: 2, code: 'SUCCESS' } as const
  expect(await said(world.backend.respond(answer))).toBe('ok')
  expect(await said(world.backend.respond(answer))).toBe('REFUSE')
  await world.replace(2048, s2, nested0)
  expect(await world.device.isAttached(2048, world.parent)).toBe(true)
  await world.unbind(2048)
  expect(await said(world.backend.detachDevice('mock', world.place(RID).session))).toBe('ok')
})

test('P21: dirty tracking of the parent is switched on and off with PASID 100 attached', async () => {
  const world = await MockWorld.bare()
  await world.handOver({ parent: { kind: 'IOAS', id: world.vm.ioas, dirtyTracking: true } })
  await world.bind(100, s2)
  for (const flags of [IOMMUFD.IOMMU_HWPT_DIRTY_TRACKING_ENABLE, 0]) {
    await world.vm.user.ask(HWPT_SET_DIRTY_TRACKING, { hwptId: world.parent, flags })
  }
  await world.unbind(100)
  expect(await world.device.isAttached(100, NULL)).toBe(true)
})

test('P22: on a device without dirty tracking neither asking for it nor a parent with it works', async () => {
  const world = await MockWorld.bare({ dirty: false })
  const ioas = { kind: 'IOAS', id: world.vm.ioas, dirtyTracking: true } as const
  await expect(world.handOver({ parent: ioas })).rejects.toMatchObject({ kind: 'REFUSE' })
  const flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMUFD.IOMMU_HWPT_ALLOC_PASID
  await world.handOver()
  const { idev } = world.device.ids
  expect(await said(world.vm.user.allocHwpt(idev, world.vm.ioas, flags))).toBe('EOPNOTSUPP')
})

test('P23: 20 bits, as the kernel says once the device is bound', async () => {
  const world = await MockWorld.start()
  expect(world.backend.devices()).toMatchObject([{ pasidBits: 20 }])
})

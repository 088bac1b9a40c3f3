/**
 * Processes that end with devices bound: what they had in the kernel is gone, whatever becomes of
 * the record, and their numbers rest before anybody is given them again.
 */
import { afterEach, beforeAll, expect, test, vi } from 'vitest'
import { ATTACH_IOMMUFD_PT, BIND_IOMMUFD } from '../../../src/uapi/vfio-cdev.js'
import { Caller, IommufdUser, KernelSaid, openDevice } from '../rig/iommufd-user.js'
import { openersOf, type Daemon } from '../rig/scenario-daemon.js'
import { writtenFor } from '../rig/scenario-entries.js'
import { ManagedVm } from '../rig/scenario-managed.js'
import { outcome } from '../rig/scenario-vmm.js'
import { eventually, SLOW_MS, theWorld } from '../rig/scenario-world.js'

vi.setConfig({ testTimeout: SLOW_MS, hookTimeout: SLOW_MS })

const DEVICE = 'devices/alone'
const PASIDS = [1, 700, 1023]
const RESTS = 'ALLOCATION_STATE_QUARANTINED'
const WAITS = 'ALLOCATION_STATE_FREE_PENDING'

let daemon: Daemon
let vms: ManagedVm[] = []

beforeAll(async () => {
  daemon = (await theWorld()).daemon
})
afterEach(async () => {
  for (const vm of vms.splice(0)) await vm.end()
})

async function start(device: 'alone' | 'first'): Promise<ManagedVm> {
  const vm = await ManagedVm.start(daemon, device)
  vms.push(vm)
  return vm
}

/** In the broker's hands, with PASIDs bound. */
async function brokered(): Promise<ManagedVm> {
  const vm = await start('alone')
  await vm.handOver()
  await vm.allocate(...PASIDS)
  await vm.bind(...PASIDS)
  vm.closeOwn()
  expect(written()).toEqual(PASIDS)
  return vm
}

const written = () => [...writtenFor(daemon.devices.alone.address, PASIDS).keys()]

/** Numbers of the device that are not free, each with its state. */
async function states(device: 'alone' | 'first' = 'alone') {
  const rows = await daemon.pasids(device)
  return rows.map(({ pasid, state }) => [pasid, state])
}

/** Who has the IOMMU or the device open, but for the VMM that nothing happens to. */
async function holders(): Promise<number[]> {
  const { vmm } = await theWorld()
  const all = [...openersOf('/dev/iommu'), ...openersOf(daemon.devices.alone.cdev)]
  return all.filter((pid) => pid !== vmm.pid)
}

/** What the kernel says to whoever binds the device now: 'ok', or an errno. */
async function bindAnew(): Promise<string> {
  const caller = new Caller()
  const user = new IommufdUser()
  const cdev = openDevice(daemon.devices.alone.cdev)
  try {
    await caller.ask(cdev.number, BIND_IOMMUFD, { iommufd: user.fd.number })
    return 'ok'
  } catch (error) {
    if (error instanceof KernelSaid) return error.errno
    throw error
  } finally {
    cdev.close()
    user.close()
    caller.end()
  }
}

test('a VMM is killed: the kernel has nothing of it, and its numbers rest and are free', async () => {
  const { vmm } = await theWorld()
  const cdev = await vmm.open(daemon.devices.alone.cdev)
  const session = await vmm.openSession()
  await vmm.handOver('alone', cdev, { moveRid: true })
  await vmm.allocate('alone', PASIDS)
  for (const pasid of PASIDS) {
    const firstStage = { address: '4096', addressWidth: 48 }
    await vmm.call('bindPasid', { pasid, devices: [DEVICE], firstStage })
  }
  expect(written()).toEqual(PASIDS)
  await vmm.kill()
  const killed = Date.now()
  await eventually(holders).toEqual([])
  console.log(`gone after ${Date.now() - killed} ms`)
  expect(written()).toEqual([])
  expect(await bindAnew()).toBe('ok')
  await eventually(states).toEqual(PASIDS.map((pasid) => [pasid, RESTS]))
  await eventually(states).toEqual([])
  await expect(daemon.operator.getSession(session)).rejects.toMatchObject({
    reason: 'SESSION_NOT_FOUND',
  })
})

test('a VM ends while nothing can be recorded: all the same, and the record follows', async () => {
  const vm = await brokered()
  const makeRoom = daemon.fillDisk()
  await expect(vm.allocate(2)).rejects.toMatchObject({ reason: 'LEDGER_UNAVAILABLE' })
  await vm.kill()
  vm.killChild()
  await eventually(holders).toEqual([])
  expect(written()).toEqual([])
  // The broker may be looking, which binds it for a moment.
  await eventually(bindAnew).toBe('ok')
  // Nobody can be told that they are free.
  expect((await states()).map(([pasid]) => pasid)).toEqual(PASIDS)
  makeRoom()
  await eventually(states).toEqual(PASIDS.map((pasid) => [pasid, RESTS]))
  await eventually(states).toEqual([])
})

test('a child keeps the descriptors: the broker’s are closed, and no PASID is attached', async () => {
  const vm = await brokered()
  const child = (await holders()).filter((pid) => pid !== daemon.pid)
  await vm.kill()
  await eventually(() => openersOf('/dev/iommu').includes(daemon.pid)).toBe(false)
  expect(openersOf(daemon.devices.alone.cdev)).not.toContain(daemon.pid)
  expect(child).toEqual(expect.arrayContaining(openersOf(daemon.devices.alone.cdev)))
  expect(openersOf(daemon.devices.alone.cdev)).toHaveLength(1)
  expect(written()).toEqual([])
  // The child could attach them again, so they rest only when it has closed the device.
  expect(await states()).toEqual(PASIDS.map((pasid) => [pasid, WAITS]))
  expect(await bindAnew()).toBe('EINVAL')
  vm.killChild()
  await eventually(states).toEqual(PASIDS.map((pasid) => [pasid, RESTS]))
  await eventually(holders).toEqual([])
  expect(await bindAnew()).toBe('ok')
})

test('numbers only: they are held back while nobody knows, and then rest', async () => {
  /** By number, and attached by the VM itself. */
  const numbersOnly = async (device: 'alone' | 'first') => {
    const vm = await start(device)
    await vm.attach()
    await vm.allocate(5)
    await expect(vm.bind(5)).rejects.toMatchObject({ reason: 'DEVICE_NOT_HANDED_OVER' })
    const caller = new Caller()
    const { user, cdev } = vm
    const bound = await caller.ask(cdev.number, BIND_IOMMUFD, { iommufd: user.fd.number })
    const ptId = await user.allocHwpt(bound.outDevid, await user.allocIoas(), 1 | 8)
    await caller.ask(cdev.number, ATTACH_IOMMUFD_PT, { flags: 1, ptId, pasid: 5 })
    caller.end()
    vm.closeOwn()
    return vm
  }
  const [seen, waited] = [await numbersOnly('alone'), await numbersOnly('first')]
  const reclaim = async () => {
    const { unprovenSessions, unprovenPasids } = await daemon.operator.getReclaim()
    return [unprovenSessions, unprovenPasids]
  }
  const said = daemon.log.length
  const log = () => daemon.log.slice(said)
  // Children of both have the devices still.
  await seen.kill()
  await waited.kill()
  await eventually(reclaim).toEqual([2, 2])
  seen.killChild()
  await eventually(log).toContain('every device of an ended session was seen closed')
  expect(log()).not.toContain('the hold of an ended session is over')
  expect(await reclaim()).toEqual([1, 1])
  await eventually(() => states('alone')).toEqual([])
  expect((await states('first')).map(([pasid]) => pasid)).toEqual([5])
  await eventually(log).toContain('the hold of an ended session is over')
  expect(await reclaim()).toEqual([0, 0])
  await eventually(() => states('first')).toEqual([])
})

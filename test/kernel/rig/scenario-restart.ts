/**
 * The daemon is killed and started again while a VMM has a device bound, and DMA goes on. Without a
 * service manager what was bound is lost, and its owner is told; with one it is in force
 * throughout.
 */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openersOf, type Daemon } from '../rig/scenario-daemon.js'
import { writtenFor } from '../rig/scenario-entries.js'
import { ServiceManager } from '../rig/scenario-manager.js'
import type { Vmm } from '../rig/scenario-vmm.js'
import { eventually, SLOW_MS, theWorld } from '../rig/scenario-world.js'

vi.setConfig({ testTimeout: SLOW_MS, hookTimeout: SLOW_MS })

const DEVICE = 'devices/alone'
const RID = 0
const PASIDS = [1, 700]

let daemon: Daemon
let vmm: Vmm
let cdev: number
let manager: ServiceManager | undefined

beforeAll(async () => {
  const world = await theWorld()
  daemon = world.daemon
  vmm = world.vmm
  manager = await ServiceManager.start()
  await vmm.openSession()
  cdev = await vmm.open(daemon.devices.alone.cdev)
  await vmm.handOver('alone', cdev)
  await vmm.allocate('alone', PASIDS)
  await bindAll()
})
afterAll(async () => {
  await vmm.call('closeSession')
  await vmm.close(cdev)
})

const written = () => writtenFor(daemon.devices.alone.address, [RID, ...PASIDS])

/** The RID through the parent, so that DMA can be seen; a table of its own on each PASID. */
async function bindAll(): Promise<void> {
  const devices = [DEVICE]
  await vmm.call('bindPasid', { rid: true, devices, passThrough: {} })
  for (const pasid of PASIDS) {
    const firstStage = { address: String(pasid * 4096), addressWidth: 48 }
    await vmm.call('bindPasid', { pasid, devices, firstStage })
  }
  expect([...written().keys()]).toEqual([RID, ...PASIDS])
}

const lost = async () => (await vmm.call('get')).lostBindings

test('with nothing kept, bindings are lost, and the device is handed over anew', async () => {
  const before = written()
  await vmm.startDma(cdev)
  await daemon.kill()
  expect(written()).toEqual(before)
  // Of what the first life had, this manager has nothing.
  await daemon.start(manager)
  // They stay attached: the VMM has them still. That the broker has them, nobody claims.
  expect(written()).toEqual(before)
  expect(await vmm.stopDma()).toMatchObject({ wrong: 0 })
  expect(openersOf(daemon.devices.alone.cdev)).toEqual([vmm.pid])
  expect(await lost()).toBe(3)
  await vmm.control()
  const told = async () => {
    const events = await vmm.events()
    return events.map(({ kind, event }) => [kind, (event as { binding?: unknown }).binding])
  }
  const cause = expect.stringContaining('hand it over again') as string
  const state = 'BINDING_STATE_LOST'
  await eventually(told).toMatchObject([
    ['bindingLost', { device: DEVICE, rid: true, state, cause }],
    ['bindingLost', { device: DEVICE, pasid: 1, state, cause }],
    ['bindingLost', { device: DEVICE, pasid: 700, state, cause }],
  ])
  await expect(vmm.handOver('alone', cdev)).rejects.toMatchObject({ reason: 'X' })
  await vmm.call('detachDevice', { device: DEVICE })
  await vmm.close(cdev)
  expect([...writtenFor(daemon.devices.alone.address, PASIDS).keys()]).toEqual([])
  cdev = await vmm.open(daemon.devices.alone.cdev)
  await vmm.handOver('alone', cdev)
  await bindAll()
  expect(await lost()).toBe(0)
  expect(await vmm.dma(cdev)).toBe(true)
})

test('with what a manager keeps, nothing is lost, and nothing is written', async (ctx) => {
  if (manager === undefined) return ctx.skip('there is no Python for the service manager')
  const names = await manager.names()
  expect(names).toHaveLength(3)
  const before = written()
  await vmm.startDma(cdev)
  await daemon.kill()
  expect(written()).toEqual(before)
  await daemon.start(manager)
  expect(written()).toEqual(before)
  const { rounds, wrong } = await vmm.stopDma()
  expect(rounds).toBeGreaterThan(0)
  expect(wrong).toBe(0)
  expect(await lost()).toBe(0)
  expect(await manager.names()).toEqual(names)
  // It is in the broker's hands: what it does reaches the tables.
  await vmm.call('invalidate', [{ domain: { domain: 0 }, caches: ['INVALIDATION_CACHE_IOTLB'] }])
  await vmm.call('unbindPasids', { target: { pasid: 700 } })
  expect([...written().keys()]).toEqual([RID, 1])
  await vmm.call('unbindPasids', { all: {} })
  expect([...written().keys()]).toEqual([])
  await vmm.call('detachDevice', { device: DEVICE })
  expect(openersOf(daemon.devices.alone.cdev)).toEqual([vmm.pid])
  expect(await manager.names()).toEqual([])
})

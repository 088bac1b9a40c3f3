/**
 * What may be handed over, and what becomes of it, on VFIO devices behind the kernel's Intel
 * driver: descriptors of every wrong kind, devices that go away, owners that do.
 */
import fs from 'node:fs'
import net from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { HandOverRefused, type HandOver } from '../../../src/backend/backend.js'
import { sessionId, target } from '../../../src/core/ids.js'
import { OwnedFd } from '../../../src/linux/owned-fd.js'
import { BIND_IOMMUFD } from '../../../src/uapi/vfio-cdev.js'
import { endIntelWorlds, IntelWorld, SESSION } from '../rig/intel-world.js'
import { pasidEntry } from '../rig/intel-tables.js'
import { Caller, duplicate, openDevice } from '../rig/iommufd-user.js'
import { said } from '../rig/mock-world.js'
import { eduDevices, folderOf, removeDevice, rescan } from '../rig/pci.js'
import { SharedMemory } from '../rig/shared-memory.js'
import { firstStage, PASS_THROUGH } from '../rig/tables.js'

const NESTED = firstStage(0x10_0000)
const cleanups: (() => void)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
  await endIntelWorlds()
})

/** A descriptor of that kind, which the backend is to close. */
const WRONG: Readonly<Record<string, () => OwnedFd>> = {
  'a file': () => new OwnedFd(fs.openSync('/proc/version', 'r'), 'a file'),
  'a folder': () => new OwnedFd(fs.openSync('/proc', 'r'), 'a folder'),
  'memory in a file': () => new OwnedFd(new SharedMemory(4096).fd, 'memory'),
  'the null device': () => openDevice('/dev/null'),
  'another VFIO device': () => openDevice(eduDevices().first.cdev),
  'an iommufd': () => openDevice('/dev/iommu'),
}

async function refusal(world: IntelWorld, more: Partial<HandOver>): Promise<HandOverRefused> {
  const error: unknown = await world.handOver(more).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(HandOverRefused)
  return error as HandOverRefused
}

describe('a hand-over is refused, closed, and said why', () => {
  test.each(Object.entries(WRONG))('with %s in the place of the cdev', async (_kind, open) => {
    const world = await IntelWorld.bare()
    const { remedy } = await refusal(world, { cdev: open() })
    expect(remedy).toContain(world.pci.cdev)
    // The right one is taken afterwards.
    expect(await world.handOver()).toMatchObject({ rid: 'NOT_ATTACHED' })
  })

  test.each(Object.entries(WRONG).filter(([kind]) => kind !== 'an iommufd'))(
    'with %s in the place of the iommufd',
    async (_kind, open) => {
      const world = await IntelWorld.bare()
      await refusal(world, { iommufd: open() })
      expect(await world.handOver()).toMatchObject({ rid: 'NOT_ATTACHED' })
    },
  )

  test('with a cdev that is bound already', async () => {
    const world = await IntelWorld.bare()
    const cdev = openDevice(world.pci.cdev)
    const caller = new Caller()
    cleanups.push(() => caller.end())
    await caller.ask(cdev.number, BIND_IOMMUFD, { iommufd: world.vm.user.fd.number })
    const { message } = await refusal(world, { cdev: duplicate(cdev) })
    expect(message).toContain('VFIO_DEVICE_BIND_IOMMUFD')
    cdev.close()
    expect(await world.handOver()).toMatchObject({ rid: 'NOT_ATTACHED' })
  })

  test('P9: with an IOAS, or what is not there, in the place of a parent', async () => {
    const world = await IntelWorld.bare()
    for (const id of [world.vm.ioas, 0xffff_fff0]) {
      await refusal(world, { parent: { kind: 'HWPT', id } })
    }
    await refusal(world, { parent: { kind: 'IOAS', id: 0xffff_fff0, dirtyTracking: false } })
    expect(await world.handOver()).toMatchObject({ rid: 'NOT_ATTACHED' })
  })

  test('with a parent that a second device of the VMM was used for, it is taken', async () => {
    const world = await IntelWorld.start()
    const { parentHwpt } = (await world.handOver()) ?? {}
    expect(parentHwpt).toBeTypeOf('number')
  })
})

test('a number beyond the width that the kernel tells is refused before it is asked', async () => {
  const world = await IntelWorld.start()
  expect(world.backend.devices()).toMatchObject([{ pasidBits: 10 }])
  await world.bind(1023, NESTED)
  expect(await said(world.bind(1024, NESTED))).toBe('REFUSE')
  expect(world.entry(1023)).toEqual(NESTED)
  expect(world.entry(1024)).toBeUndefined()
})

test('when its owner is gone, nothing of the device is left: entries, descriptors, the binding', async () => {
  const world = await IntelWorld.start({ moveRid: true })
  for (const pasid of [1, 64, 1023]) await world.bind(pasid, NESTED)
  expect(world.entry(0)).toEqual(PASS_THROUGH)
  const { pointer } = pasidEntry(world.pci.address, 0)?.secondStage ?? {}
  await world.backend.handOvers.drop(SESSION, [1, 64, 1023].map(target))
  for (const pasid of [1, 64, 1023]) expect(world.entry(pasid)).toBeUndefined()
  // The RID is on the kernel's own table again, as before VFIO.
  expect(pasidEntry(world.pci.address, 0)?.secondStage?.pointer).not.toBe(pointer)
  expect(world.backend.handOvers.holds('alone', SESSION)).toBe(false)
  // The VMM's iommufd is still open: the next one has another.
  const next = await IntelWorld.bare()
  expect(await next.handOver({}, sessionId(2))).toMatchObject({ rid: 'NOT_ATTACHED' })
})

test('whether anybody has the device bound is seen', async () => {
  const world = await IntelWorld.bare()
  const { handOvers } = world.backend
  expect(await handOvers.seenClosed('alone')).toBe(true)
  const cdev = openDevice(world.pci.cdev)
  const caller = new Caller()
  cleanups.push(() => caller.end())
  await caller.ask(cdev.number, BIND_IOMMUFD, { iommufd: world.vm.user.fd.number })
  expect(await handOvers.seenClosed('alone')).toBe(false)
  cdev.close()
  expect(await handOvers.seenClosed('alone')).toBe(true)
})

test('a device that is taken out is served until it is let go of, and refused then', async () => {
  const world = await IntelWorld.start()
  await world.bind(5, NESTED)
  const folder = folderOf(world.pci)
  // VFIO asks the device's user to let go of it, and waits.
  const removed = removeDevice(world.pci)
  try {
    await expect.poll(() => fs.existsSync(`${folder}/vfio-dev`)).toBe(false)
    expect(await said(world.bind(6, NESTED))).toBe('ok')
    for (const pasid of [5, 6]) await world.unbind(pasid)
    await world.backend.detachDevice('alone', SESSION)
    await removed
    const { message } = await refusal(world, { cdev: openDevice('/dev/null') })
    expect(message).toContain(`there is no PCI function ${world.pci.address}`)
  } finally {
    await endIntelWorlds()
    await removed
    await rescan()
  }
})

test('a socket is no descriptor for it either', async () => {
  const world = await IntelWorld.bare()
  const server = net.createServer().listen('/run/wrong-kind')
  await new Promise((resolve) => server.once('listening', resolve))
  cleanups.push(() => server.close())
  const client = net.connect('/run/wrong-kind')
  await new Promise((resolve) => client.once('connect', resolve))
  cleanups.push(() => client.destroy())
  const { _handle: handle } = client as unknown as { _handle: { fd: number } }
  const { remedy } = await refusal(world, { cdev: duplicate({ number: handle.fd }) })
  expect(remedy).toContain(world.pci.cdev)
})

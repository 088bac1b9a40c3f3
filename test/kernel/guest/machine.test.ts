/** The machine is what the other tests of this folder take it for. */
import fs from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { BIND_IOMMUFD, DETACH_IOMMUFD_PT } from '../../../src/uapi/vfio-cdev.js'
import { ATTACH_IOMMUFD_PT } from '../../../src/uapi/vfio-cdev.js'
import { Edu } from '../rig/edu.mjs'
import { Caller, IommufdUser, openDevice, PARENT_FLAGS } from '../rig/iommufd-user.js'
import { eduDevices, type PciDevice } from '../rig/pci.js'
import { SharedMemory } from '../rig/shared-memory.js'

const IOVA = 0x100_0000
const cleanups: (() => void)[] = []

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

test('there are iommufd, VFIO cdevs, and IOMMU groups of one and of two devices', () => {
  const { alone, first, second } = eduDevices()
  for (const file of ['/dev/iommu', alone.cdev, first.cdev, second.cdev]) {
    expect(fs.statSync(file).isCharacterDevice()).toBe(true)
  }
})

/** Bound and attached by hand, without any of the product. */
async function attached(device: PciDevice) {
  const user = new IommufdUser()
  const caller = new Caller()
  const cdev = openDevice(device.cdev)
  cleanups.push(() => {
    caller.end()
    cdev.close()
    user.close()
  })
  const bound = await caller.ask(cdev.number, BIND_IOMMUFD, { iommufd: user.fd.number })
  const ioas = await user.allocIoas()
  const parent = await user.allocHwpt(bound.outDevid, ioas, PARENT_FLAGS)
  await caller.ask(cdev.number, ATTACH_IOMMUFD_PT, { ptId: parent })
  const detach = () => caller.ask(cdev.number, DETACH_IOMMUFD_PT, {})
  return { user, cdev, ioas, detach, devId: bound.outDevid }
}

describe.each(['alone', 'first', 'second'] as const)('the edu device %s', (which) => {
  test('has PASIDs of 10 bits, and its DMA goes where its IOAS says', async () => {
    const { user, cdev, ioas, detach, devId } = await attached(eduDevices()[which])
    expect(await user.maxPasidLog2(devId)).toBe(10)
    const memory = new SharedMemory(0x4000)
    cleanups.push(() => memory.close())
    await user.map(ioas, memory, IOVA)
    const text = Buffer.from('through the IOMMU')
    memory.write(0x1000, text)
    const edu = new Edu(cdev.number)
    await edu.take(IOVA + 0x1000, text.length)
    await edu.give(IOVA + 0x3000, text.length)
    expect(memory.read(0x3000, text.length)).toEqual(text)
    await detach()
    await edu.give(IOVA + 0x2000, text.length)
    expect(memory.read(0x2000, text.length)).toEqual(Buffer.alloc(text.length))
  })
})

/**
 * Hand-overs that are none, and a VMM that takes away what the broker stands on: each gets a clear
 * no, and nothing of it is left in the daemon.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { openersOf, type Daemon } from '../rig/scenario-daemon.js'
import { writtenFor } from '../rig/scenario-entries.js'
import { outcome, Refused, type HandOverOptions, type Vmm } from '../rig/scenario-vmm.js'
import { eventually, SLOW_MS, theWorld } from '../rig/scenario-world.js'

vi.setConfig({ testTimeout: SLOW_MS, hookTimeout: SLOW_MS })

const DEVICE = 'devices/alone'
const PASIDS = [5, 6]
/** include/uapi/linux/vfio.h: of a group's descriptor. */
const VFIO_GROUP_SET_CONTAINER = 0x3b68
const VFIO_GROUP_GET_DEVICE_FD = 0x3b6a
/** IOMMU_HWPT_ALLOC_NEST_PARENT and IOMMU_HWPT_ALLOC_PASID. */
const PARENT_FLAGS = 1 | 8

let daemon: Daemon
let vmm: Vmm
let cdevFile: string
let fdsBefore: number
/** Descriptors of the VMM's. */
let opened: number[] = []

beforeAll(async () => {
  const world = await theWorld()
  daemon = world.daemon
  vmm = world.vmm
  cdevFile = daemon.devices.alone.cdev
  await vmm.openSession()
  fdsBefore = daemon.openFds()
})
afterAll(() => vmm.call('closeSession'))

afterEach(async () => {
  for (const fd of opened.splice(0)) await vmm.close(fd)
  await eventually(() => daemon.openFds()).toBe(fdsBefore)
  expect(openersOf(cdevFile)).toEqual([])
  expect([...writtenFor(daemon.devices.alone.address, PASIDS).keys()]).toEqual([])
})

async function open(file: string): Promise<number> {
  const fd = await vmm.open(file)
  opened.push(fd)
  return fd
}

async function refusal(call: Promise<unknown>): Promise<Refused> {
  try {
    await call
  } catch (error) {
    if (error instanceof Refused) return error
    throw error
  }
  throw new Error('it was not refused')
}

/** Why it is no device of the broker's, in words. */
async function problemOf(call: Promise<unknown>): Promise<string | undefined> {
  const { reason, metadata } = await refusal(call)
  expect(reason).toBe('HAND_OVER_REFUSED')
  expect(metadata['remedy']).not.toBe('')
  return metadata['problem']
}

describe('what is handed over as a device', () => {
  test('may not be bound already', async () => {
    const cdev = await open(cdevFile)
    const iommufd = await open('/dev/iommu')
    await vmm.ioctl(cdev, 'BIND_IOMMUFD', { iommufd })
    expect(await problemOf(vmm.handOver('alone', cdev))).toMatch(/BIND_IOMMUFD.* bound already/)
    // The VMM's own use of it is none of the broker's business.
    expect(openersOf(cdevFile)).toEqual([vmm.pid])
  })

  test('may not come from a group, nor be one, nor be in the hands of one', async () => {
    const { group: number, address } = daemon.devices.alone
    const group = await open(`/dev/vfio/${number}`)
    const container = await open('/dev/iommu')
    const argument = Buffer.alloc(4)
    argument.writeInt32LE(container)
    await vmm.rawIoctl(group, VFIO_GROUP_SET_CONTAINER, argument)
    const name = Buffer.from(`${address}\0`)
    const device = await vmm.rawIoctl(group, VFIO_GROUP_GET_DEVICE_FD, name)
    opened.push(device)
    const { iommufd } = vmm
    expect(await vmm.side('vfio', [iommufd, device])).toMatch(/^refused .*got from its group/)
    expect(await vmm.side('vfio', [iommufd, group])).toMatch(/^refused .*the group \/dev\/vfio/)
    const cdev = await open(cdevFile)
    expect(await problemOf(vmm.handOver('alone', cdev))).toMatch(/BIND_IOMMUFD/)
  })

  test('must be the device that is named', async () => {
    const cdev = await open(daemon.devices.second.cdev)
    expect(await problemOf(vmm.handOver('alone', cdev))).toMatch(/character device/)
  })

  test('must be an iommufd and a device, in that order', async () => {
    const cdev = await open(cdevFile)
    const { iommufd } = vmm
    expect(await vmm.side('vfio', [cdev, iommufd])).toMatch(/^refused .*wrong order/)
    expect(await vmm.side('vfio', [iommufd, iommufd])).toMatch(/^refused .*is \/dev\/iommu/)
    const zero = await open('/dev/zero')
    expect(await vmm.side('vfio', [iommufd, zero])).toMatch(/^refused .*is \/dev\/zero/)
    expect(await vmm.side('vfio', [zero, cdev])).toMatch(/^refused .*is \/dev\/zero/)
    const file = await open('/guest.env')
    expect(await vmm.side('vfio', [file, cdev])).toMatch(/^refused .*a file/)
  })

  test('is named by a token that works once', async () => {
    const cdev = await open(cdevFile)
    const token = await vmm.token(cdev)
    await vmm.attach('alone', token)
    await vmm.call('detachDevice', { device: DEVICE })
    expect(await outcome(vmm.attach('alone', token))).toBe('HAND_OVER_TOKEN_INVALID')
  })
})

describe('what the broker stands on', () => {
  let cdev: number

  beforeEach(async () => {
    cdev = await open(cdevFile)
  })
  afterEach(async () => {
    await outcome(vmm.call('detachDevice', { device: DEVICE }))
    const all = { scope: 'SCOPE_DEVICE', device: DEVICE, range: { first: 1, last: 1023 } } as const
    await vmm.call('freePasids', all)
  })

  async function reopen(): Promise<void> {
    opened = opened.filter((fd) => fd !== cdev)
    await vmm.close(cdev)
    cdev = await open(cdevFile)
  }

  async function attach(more: HandOverOptions = {}) {
    const { native } = await vmm.handOver('alone', cdev, more)
    await vmm.allocate('alone', PASIDS)
    return native!
  }

  function bind(pasid: number) {
    const firstStage = { address: '4096', addressWidth: 48 }
    return vmm.call('bindPasid', { pasid, devices: [DEVICE], firstStage })
  }

  const destroy = (id: number) => vmm.ioctl(vmm.iommufd, 'DESTROY', { id })
  const written = () => [...writtenFor(daemon.devices.alone.address, PASIDS).keys()]

  test('may be closed by the VMM: the broker has its own', async () => {
    const iommufd = await vmm.open('/dev/iommu')
    const { outIoasId: ioasId } = await vmm.ioctl(iommufd, 'IOAS_ALLOC', {})
    const [word, token = ''] = (await vmm.side('vfio', [iommufd, cdev])).split(' ')
    expect(word).toBe('token')
    await vmm.close(iommufd)
    await vmm.attach('alone', token, { ioas: { ioasId } })
    await vmm.allocate('alone', PASIDS)
    await bind(5)
    expect(written()).toEqual([5])
    await vmm.call('unbindPasids', { all: {} })
    expect(written()).toEqual([])
  })

  test('must be there: an IOAS', async () => {
    const { outIoasId: ioasId } = await vmm.ioctl(vmm.iommufd, 'IOAS_ALLOC', {})
    await destroy(ioasId)
    const asked = vmm.handOver('alone', cdev, { ioas: { ioasId } })
    const { reason, message, metadata } = await refusal(asked)
    expect([reason, metadata['problem']]).toEqual([
      'HAND_OVER_REFUSED',
      expect.stringContaining(`IOAS ${ioasId}`),
    ])
    // It is bound now, and stays so as long as the VMM has it open.
    expect(message).toContain('open the device anew')
    await reopen()
    await attach()
  })

  test('may be a parent that the VMM made, until it takes it away', async () => {
    const { devId } = await attach()
    const asked = { devId, ptId: vmm.ioas, flags: PARENT_FLAGS }
    const { outHwptId: hwptId } = await vmm.ioctl(vmm.iommufd, 'HWPT_ALLOC', asked)
    await vmm.call('detachDevice', { device: DEVICE })
    await reopen()
    expect(await vmm.handOver('alone', cdev, { hwptId })).toMatchObject({
      native: { parentHwptId: hwptId },
    })
    await bind(5)
    expect(await outcome(destroy(hwptId))).toBe('EBUSY')
    await vmm.call('unbindPasids', { all: {} })
    await destroy(hwptId)
    expect(await outcome(bind(5))).toBe('BACKEND_REFUSED')
    expect(written()).toEqual([])
  })

  test('may be taken away from under it: the parent that it made', async () => {
    const { parentHwptId } = await attach()
    await bind(5)
    expect(await outcome(destroy(parentHwptId))).toBe('EBUSY')
    await vmm.call('unbindPasids', { all: {} })
    await destroy(parentHwptId)
    expect(await outcome(bind(5))).toBe('BACKEND_REFUSED')
    expect(written()).toEqual([])
  })

  test('may have more attached to it by the VMM itself, until the device is let go', async () => {
    await attach()
    const { devices } = await bind(5)
    const ptId = devices[0]!.hwptId
    await vmm.ioctl(cdev, 'ATTACH_IOMMUFD_PT', { flags: 1, ptId, pasid: 6 })
    expect(written()).toEqual(PASIDS)
    await vmm.call('closeSession')
    expect(written()).toEqual([])
    await vmm.openSession()
  })
})

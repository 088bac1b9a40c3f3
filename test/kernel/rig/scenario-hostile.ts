/**
 * Hand-overs that are none, and a VMM that takes away what the broker stands on: each gets a clear
 * no, and nothing of it is left in the daemon.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openersOf } from './scenario-daemon.js'
import { writtenFor } from './scenario-entries.js'
import { outcome, Refused, type HandOverOptions } from './scenario-vmm.js'
import { eventually, type World } from './scenario-world.js'
import { PARENT_FLAGS } from './iommufd-user.js'

const DEVICE = 'devices/alone'
/** include/uapi/linux/vfio.h: of a group's descriptor. */
const VFIO_GROUP_SET_CONTAINER = 0x3b68
const VFIO_GROUP_GET_DEVICE_FD = 0x3b6a
/** Numbers that are given back rest: each test has its own. */
const PASIDS = [200, 201, 202, 203, 204]
const ATTACH_PASID = 1

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

/** The VMM, what it has opened, and the daemon's descriptors counted. */
class Run {
  /** The device's own node, opened. */
  cdev = -1
  #opened: number[] = []
  #fdsBefore: readonly string[] = []
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  get vmm() {
    return this.#world.vmm
  }

  get devices() {
    return this.#world.daemon.devices
  }

  count(): void {
    this.#fdsBefore = this.#world.daemon.openFds()
  }

  async open(file: string): Promise<number> {
    return this.closeLater(await this.vmm.open(file))
  }

  closeLater(fd: number): number {
    this.#opened.push(fd)
    return fd
  }

  /** Anew: what was bound once stays bound as long as it is open. */
  async reopen(): Promise<void> {
    if (this.#opened.includes(this.cdev)) {
      this.#opened = this.#opened.filter((fd) => fd !== this.cdev)
      await this.vmm.close(this.cdev)
    }
    this.cdev = await this.open(this.devices.alone.cdev)
  }

  /** Everything is closed, and the daemon has what it had. */
  async end(): Promise<void> {
    for (const fd of this.#opened.splice(0)) await this.vmm.close(fd)
    await eventually(() => this.#world.daemon.openFds()).toEqual(this.#fdsBefore)
    expect(openersOf(this.devices.alone.cdev)).toEqual([])
    expect(this.written()).toEqual([])
  }

  written(): number[] {
    return [...writtenFor(this.devices.alone.address, PASIDS).keys()]
  }

  /** Hands the device over; answers what the kernel calls it, and its parent. */
  async attach(more: HandOverOptions = {}) {
    const { native } = await this.vmm.handOver('alone', this.cdev, more)
    return native!
  }

  async bind(pasid: number): Promise<number> {
    const firstStage = { address: '4096', addressWidth: 48 }
    const { devices } = await this.vmm.call('bindPasid', { pasid, devices: [DEVICE], firstStage })
    return devices[0]!.hwptId
  }

  async destroy(id: number): Promise<void> {
    await this.vmm.ioctl(this.vmm.iommufd, 'DESTROY', { id })
  }
}

function deviceScenarios(run: Run): void {
  test('of a device that is bound already is refused', async () => {
    await run.reopen()
    const iommufd = await run.open('/dev/iommu')
    await run.vmm.ioctl(run.cdev, 'BIND_IOMMUFD', { iommufd })
    expect(await problemOf(run.attach())).toMatch(/BIND_IOMMUFD.* bound already/)
    // The VMM's own use of it is none of the broker's business.
    expect(openersOf(run.devices.alone.cdev)).toEqual([run.vmm.pid])
  })

  test('of what comes from a group, or is one, or is in the hands of one, is refused', async () => {
    const { group: number, address } = run.devices.alone
    const group = await run.open(`/dev/vfio/${number}`)
    const argument = Buffer.alloc(4)
    argument.writeInt32LE(await run.open('/dev/iommu'))
    await run.vmm.rawIoctl(group, VFIO_GROUP_SET_CONTAINER, argument)
    const name = Buffer.from(`${address}\0`)
    const device = await run.vmm.rawIoctl(group, VFIO_GROUP_GET_DEVICE_FD, name)
    run.closeLater(device)
    const { iommufd } = run.vmm
    expect(await run.vmm.side('vfio', [iommufd, device])).toMatch(/^refused .*got from its group/)
    expect(await run.vmm.side('vfio', [iommufd, group])).toMatch(/^refused .*the group \/dev\/vfio/)
    await run.reopen()
    expect(await problemOf(run.attach())).toMatch(/BIND_IOMMUFD/)
  })

  test('of another device than is named is refused', async () => {
    run.cdev = await run.open(run.devices.second.cdev)
    expect(await problemOf(run.attach())).toMatch(/character device/)
  })

  test('of other things than an iommufd and a device, in that order, is refused', async () => {
    await run.reopen()
    const { cdev, vmm } = run
    const { iommufd } = vmm
    expect(await vmm.side('vfio', [cdev, iommufd])).toMatch(/^refused .*wrong order/)
    expect(await vmm.side('vfio', [iommufd, iommufd])).toMatch(/^refused .*is \/dev\/iommu/)
    const zero = await run.open('/dev/zero')
    expect(await vmm.side('vfio', [iommufd, zero])).toMatch(/^refused .*is \/dev\/zero/)
    expect(await vmm.side('vfio', [zero, cdev])).toMatch(/^refused .*is \/dev\/zero/)
    const file = await run.open('/guest.env')
    expect(await vmm.side('vfio', [file, cdev])).toMatch(/^refused .*a file/)
  })

  test('has a token that works once', async () => {
    await run.reopen()
    const token = await run.vmm.token(run.cdev)
    await run.vmm.attach('alone', token)
    await run.vmm.call('detachDevice', { device: DEVICE })
    expect(await outcome(run.vmm.attach('alone', token))).toBe('HAND_OVER_TOKEN_INVALID')
  })
}

function groundScenarios(run: Run, world: World): void {
  beforeEach(() => run.reopen())
  afterEach(async () => {
    await outcome(run.vmm.call('detachDevice', { device: DEVICE }))
  })

  test('outlives the VMM’s own descriptor of its iommufd', async () => {
    const { vmm } = run
    const iommufd = await vmm.open('/dev/iommu')
    const { outIoasId: ioasId } = await vmm.ioctl(iommufd, 'IOAS_ALLOC', {})
    const [word, token = ''] = (await vmm.side('vfio', [iommufd, run.cdev])).split(' ')
    expect(word).toBe('token')
    await vmm.close(iommufd)
    await vmm.attach('alone', token, { ioas: { ioasId } })
    await vmm.allocate('alone', [200])
    await run.bind(200)
    expect(run.written()).toEqual([200])
    await vmm.call('unbindPasids', { all: {} })
    expect(run.written()).toEqual([])
  })

  test('with an IOAS that is gone is refused, and the device is opened anew', async () => {
    const { outIoasId: ioasId } = await run.vmm.ioctl(run.vmm.iommufd, 'IOAS_ALLOC', {})
    await run.destroy(ioasId)
    const { reason, message } = await refusal(run.attach({ ioas: { ioasId } }))
    expect(reason).toBe('HAND_OVER_REFUSED')
    expect(message).toContain(`IOAS ${ioasId}`)
    expect(message).toContain('open the device anew')
    expect(await problemOf(run.attach())).toMatch(/bound already/)
    await run.reopen()
    await run.attach()
  })

  test('takes a parent that the VMM made, until it takes it away', async () => {
    const { devId } = await run.attach()
    const asked = { devId, ptId: run.vmm.ioas, flags: PARENT_FLAGS }
    const { outHwptId: hwptId } = await run.vmm.ioctl(run.vmm.iommufd, 'HWPT_ALLOC', asked)
    await run.vmm.call('detachDevice', { device: DEVICE })
    await run.reopen()
    expect(await run.attach({ hwptId })).toMatchObject({ parentHwptId: hwptId })
    await run.vmm.allocate('alone', [201])
    await run.bind(201)
    expect(await outcome(run.destroy(hwptId))).toBe('EBUSY')
    await run.vmm.call('unbindPasids', { all: {} })
    await run.destroy(hwptId)
    expect(await outcome(run.bind(201))).toBe('BACKEND_REFUSED')
    expect(run.written()).toEqual([])
  })

  test('may have its parent taken away: nothing is bound on it then', async () => {
    const { parentHwptId } = await run.attach()
    await run.vmm.allocate('alone', [202])
    await run.bind(202)
    expect(await outcome(run.destroy(parentHwptId))).toBe('EBUSY')
    await run.vmm.call('unbindPasids', { all: {} })
    await run.destroy(parentHwptId)
    expect(await outcome(run.bind(202))).toBe('BACKEND_REFUSED')
    expect(run.written()).toEqual([])
  })

  test('may have more attached by the VMM itself: it goes with the session', async () => {
    await run.attach()
    await run.vmm.allocate('alone', [203, 204])
    const ptId = await run.bind(203)
    await run.vmm.ioctl(run.cdev, 'ATTACH_IOMMUFD_PT', { flags: ATTACH_PASID, ptId, pasid: 204 })
    expect(run.written()).toEqual([203, 204])
    const before = world.daemon.log.length
    await run.vmm.call('closeSession')
    expect(run.written()).toEqual([])
    // It could attach them again, as long as it has the device open.
    expect((await world.unproven())[0]).toBe(1)
    await run.vmm.openSession()
    expect(await outcome(run.vmm.attach('alone', '0'.repeat(64)))).toBe('DEVICE_IN_USE')
    await run.reopen()
    await eventually(() => world.unproven()).toEqual([0, 0])
    expect(world.daemon.log.slice(before)).not.toContain('the hold of an ended session is over')
  })
}

export function hostileScenarios(world: World): void {
  const run = new Run(world)
  beforeAll(async () => {
    await world.vmm.openSession()
    await world.unproven()
    run.count()
  })
  afterAll(() => world.vmm.call('closeSession'))
  afterEach(() => run.end())

  describe('by a VMM that means harm', () => deviceScenarios(run))
  describe('and what it stands on', () => groundScenarios(run, world))
}

/**
 * A device that is taken out of the host while it is bound through the daemon. VFIO waits until its
 * last user has let go of it, so nothing that is under way breaks; but nobody gets it any more, until
 * it is back.
 */
import fs from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { eduDevices, folderOf, removeDevice, rescan } from './pci.js'
import { openersOf } from './scenario-daemon.js'
import { writtenFor } from './scenario-entries.js'
import { ManagedVm } from './scenario-managed.js'
import { outcome, Refused, type Vmm } from './scenario-vmm.js'
import { eventually, type World } from './scenario-world.js'

const DEVICE = 'devices/alone'
/** Numbers that are given back rest: each test has its own. */
const PASIDS = [300, 301, 302, 303]
/** Of the first: while it is there, VFIO has the device. */
const VFIO = 'vfio-dev'

/** Of a hand-over: why it is none, in words. */
async function problemOf(attach: Promise<unknown>): Promise<string | undefined> {
  try {
    await attach
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    expect(error.reason).toBe('HAND_OVER_REFUSED')
    return error.metadata['problem']
  }
  throw new Error('it was not refused')
}

async function handedOver(vm: ManagedVm): Promise<boolean> {
  try {
    await vm.handOver()
    return true
  } catch (error) {
    expect(error).toMatchObject({ reason: 'DEVICE_IN_USE' })
    return false
  }
}

async function bind(vmm: Vmm, pasid: number): Promise<string> {
  const firstStage = { address: '4096', addressWidth: 48 }
  return outcome(vmm.call('bindPasid', { pasid, devices: [DEVICE], firstStage }))
}

class Run {
  readonly #world: World
  readonly #opened: number[] = []
  #removed: Promise<void> = Promise.resolve()

  constructor(world: World) {
    this.#world = world
  }

  get vmm() {
    return this.#world.vmm
  }

  get daemon() {
    return this.#world.daemon
  }

  get device() {
    return this.daemon.devices.alone
  }

  get isOpen(): boolean {
    return this.#opened.length > 0
  }

  get isThere(): boolean {
    return fs.existsSync(folderOf(this.device))
  }

  /** In the VMM. Pairs with letGo(). */
  async open(): Promise<number> {
    const fd = await this.vmm.open(this.device.cdev)
    this.#opened.push(fd)
    return fd
  }

  async letGo(): Promise<void> {
    for (const fd of this.#opened.splice(0)) await this.vmm.close(fd)
  }

  /** Resolves when the removal waits for those who have the device open. */
  async remove(): Promise<void> {
    this.#removed = removeDevice(this.device)
    await eventually(() => fs.existsSync(`${folderOf(this.device)}/${VFIO}`)).toBe(false)
  }

  /** Resolves when it is gone. */
  removed(): Promise<void> {
    return this.#removed
  }

  /** As it was, with its driver. */
  async bringBack(): Promise<void> {
    await this.#removed
    await rescan()
    expect(eduDevices()).toEqual(this.daemon.devices)
  }

  written(): number[] {
    return [...writtenFor(this.device.address, PASIDS).keys()]
  }
}

function removalScenarios(run: Run, world: World): void {
  test('is served until it is let go of, and handed over by nobody then', async () => {
    const { vmm, daemon, device } = run
    const fdsBefore = daemon.openFds()
    const cdev = await run.open()
    const spare = await run.open()
    await vmm.handOver('alone', cdev, { moveRid: true })
    await vmm.allocate('alone', [300, 301])
    expect(await bind(vmm, 300)).toBe('ok')
    const late = await vmm.token(spare)
    await run.remove()
    // Nobody opens it any more. Who has it, has it still.
    expect(fs.existsSync(device.cdev)).toBe(false)
    expect(await bind(vmm, 301)).toBe('ok')
    expect(run.written()).toEqual([300, 301])
    expect(await vmm.call('detachDevice', { device: DEVICE })).toMatchObject({ unbound: 2 })
    expect(run.written()).toEqual([])
    expect(await problemOf(vmm.attach('alone', late))).toContain('has no VFIO device')
    expect(run.isThere).toBe(true)
    await run.letGo()
    await run.removed()
    expect(run.isThere).toBe(false)
    const other = await vmm.open(daemon.devices.first.cdev)
    const gone = `there is no PCI function ${device.address}`
    expect(await problemOf(vmm.handOver('alone', other))).toContain(gone)
    await vmm.close(other)
    await eventually(() => daemon.openFds()).toEqual(fdsBefore)
  })

  test('comes back, and is handed over as before', async () => {
    const { vmm } = run
    await run.bringBack()
    const cdev = await run.open()
    const { native } = await vmm.handOver('alone', cdev, { moveRid: true })
    expect(native).toMatchObject({ ridState: 'RID_STATE_ON_PARENT' })
    await vmm.allocate('alone', [302])
    expect(await bind(vmm, 302)).toBe('ok')
    expect(run.written()).toEqual([302])
    expect(await vmm.dma(cdev)).toBe(true)
    // What a session holds that has no device any more at its end waits for the whole hold.
    const pasids = { pasids: [300, 301, 302] }
    await vmm.call('freePasids', { scope: 'SCOPE_DEVICE', device: DEVICE, pasids })
    await vmm.call('detachDevice', { device: DEVICE })
    await run.letGo()
    await vmm.call('closeSession')
    expect(openersOf(run.device.cdev)).toEqual([])
  })

  test('goes when its VMM dies, which proves that nobody has it, and it can come back', async () => {
    const before = run.daemon.log.length
    const log = () => run.daemon.log.slice(before)
    const dying = await ManagedVm.start(run.daemon, 'alone', { attempts: 1 })
    try {
      // The session before, which held numbers of the device, may not be through yet.
      await eventually(() => handedOver(dying)).toBe(true)
      await dying.allocate(303)
      await dying.bind(303)
      dying.closeOwn()
      await run.remove()
      expect(run.written()).toContain(303)
      await dying.killAll()
      await run.removed()
    } finally {
      await dying.end()
    }
    expect(run.isThere).toBe(false)
    await eventually(() => world.unproven()).toEqual([0, 0])
    expect(log()).not.toContain('the hold of an ended session is over')
    await eventually(() => world.states('alone')).toEqual([])
    await run.bringBack()
  })
}

export function vanishScenarios(world: World): void {
  describe('of a device that is bound', () => {
    const run = new Run(world)
    beforeAll(() => run.vmm.openSession())
    // After a failure too: a removal that waits would hold up all that follows.
    afterEach(async () => {
      if (run.isOpen) await outcome(run.vmm.call('detachDevice', { device: DEVICE }))
      await run.letGo()
      await run.removed()
    })
    afterAll(async () => {
      if (!run.isThere) await run.bringBack()
    })
    removalScenarios(run, world)
  })
}

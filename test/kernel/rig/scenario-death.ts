/**
 * Processes that end with devices bound: what they had in the kernel is gone, whatever becomes of
 * the record, and their numbers rest before anybody is given them again.
 */
import { afterAll, afterEach, expect, test } from 'vitest'
import { BIND_IOMMUFD } from '../../../src/uapi/vfio-cdev.js'
import { Caller, IommufdUser, KernelSaid, openDevice } from './iommufd-user.js'
import { exampleScenario } from './scenario-bind.js'
import { openersOf } from './scenario-daemon.js'
import { writtenFor } from './scenario-entries.js'
import { ManagedVm } from './scenario-managed.js'
import { eventually, type World } from './scenario-world.js'

const DEVICE = 'devices/alone'
/**
 * The broker takes less than a second, and does not wait for any record or hold; this is for a
 * machine that is emulated.
 */
const GONE = { timeout: 10_000 }

const all = (pasids: readonly number[], state: string) => pasids.map((pasid) => [pasid, state])

/** What the kernel says to whoever binds the device now: 'ok', or an errno. */
async function bindAnew(file: string): Promise<string> {
  const caller = new Caller()
  const user = new IommufdUser()
  const cdev = openDevice(file)
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

class Run {
  /** A VM that has ended, and whose child keeps its device, until all is over. */
  lasting: ManagedVm | undefined
  readonly #world: World
  readonly #vms: ManagedVm[] = []

  constructor(world: World) {
    this.#world = world
  }

  get #device() {
    return this.#world.daemon.devices.alone
  }

  async end(): Promise<void> {
    this.#world.daemon.makeRoom()
    for (const vm of this.#vms.splice(0)) await vm.end()
  }

  async start(device: 'alone' | 'first'): Promise<ManagedVm> {
    // What is refused is not asked for again: it is refused on purpose.
    const vm = await ManagedVm.start(this.#world.daemon, device, { attempts: 1 })
    this.#vms.push(vm)
    return vm
  }

  /** It is not ended with its test. */
  last(vm: ManagedVm): void {
    this.#vms.splice(this.#vms.indexOf(vm), 1)
    this.lasting = vm
  }

  /** In the broker's hands, with the numbers bound. */
  async brokered(pasids: readonly number[]): Promise<ManagedVm> {
    const vm = await this.start('alone')
    await vm.handOver()
    await vm.allocate(...pasids)
    await vm.bind(...pasids)
    vm.closeOwn()
    expect(this.written(pasids)).toEqual(pasids)
    return vm
  }

  written(pasids: readonly number[]): number[] {
    return [...writtenFor(this.#device.address, pasids).keys()]
  }

  /** Who has the IOMMU or the device open, but for those of whom it is known. */
  holders(...known: readonly number[]): number[] {
    const others = [...known, this.lasting?.child]
    const found = [...openersOf('/dev/iommu'), ...openersOf(this.#device.cdev)]
    return found.filter((pid) => !others.includes(pid))
  }

  /** Kills it with `kill`; resolves when nobody but the known has the IOMMU or the device open. */
  async killed(kill: () => Promise<void>, ...known: readonly number[]): Promise<void> {
    const [device, before] = [this.#device, performance.now()]
    const open = () => openersOf('/dev/iommu').length + openersOf(device.cdev).length
    const had = open()
    await kill()
    await expect.poll(() => this.holders(...known), GONE).toEqual([])
    const ms = Math.round(performance.now() - before)
    console.log(`  killed: ${had} openers, now ${open()}, within ${ms} ms`)
  }

  bindAnew(): Promise<string> {
    return bindAnew(this.#device.cdev)
  }
}

function numbersOnlyScenario(world: World, run: Run): void {
  test('of VMs that the broker has only numbers of: they wait until the device is closed', async () => {
    const [closing, lasting] = [await run.start('alone'), await run.start('first')]
    for (const vm of [closing, lasting]) {
      await vm.attachByNumber(5)
      await vm.allocate(5)
      await expect(vm.bind(5)).rejects.toMatchObject({ reason: 'DEVICE_NOT_HANDED_OVER' })
      vm.closeOwn()
    }
    expect(run.written([5])).toEqual([5])
    // Their children have the devices still.
    await closing.kill()
    await lasting.kill()
    run.last(lasting)
    await eventually(() => world.unproven()).toEqual([2, 2])
    const before = world.daemon.log.length
    const log = () => world.daemon.log.slice(before)
    closing.killChild()
    await eventually(log).toContain('every device of an ended session was seen closed')
    expect(log()).not.toContain('the hold of an ended session is over')
    await eventually(() => world.states('alone')).toEqual([])
    expect(await world.states('first')).toEqual([[5, 'FREE_PENDING']])
  })
}

/** While another's numbers wait. */
function brokeredScenarios(world: World, run: Run): void {
  const states = () => world.states('alone')

  test('with a child that has the descriptors: the broker closes its own, detached', async () => {
    const pasids = [404, 705, 1002]
    const vm = await run.brokered(pasids)
    await run.killed(() => vm.kill(), world.vmm.pid, vm.child)
    // The broker looks from time to time whether the child has, which opens them for a moment.
    expect(run.holders(world.vmm.pid, world.daemon.pid)).toEqual([vm.child, vm.child])
    expect(run.written(pasids)).toEqual([])
    // The child could attach them again: they rest only when it has closed the device.
    await eventually(states).toEqual(all(pasids, 'FREE_PENDING'))
    expect(await run.bindAnew()).toBe('EINVAL')
    vm.killChild()
    await eventually(states).toEqual(all(pasids, 'QUARANTINED'))
    await eventually(() => run.holders(world.vmm.pid)).toEqual([])
    await eventually(() => run.bindAnew()).toBe('ok')
  })

  test('while nothing can be recorded leaves nothing behind, and the record follows', async () => {
    const pasids = [401, 702, 901]
    const vm = await run.brokered(pasids)
    do {
      // A commit that fails can leave a log that is folded, which makes a little room.
      world.daemon.fillDisk()
    } while (await isGranted(vm, pasids))
    await run.killed(() => vm.killAll(), world.vmm.pid)
    expect(run.written(pasids)).toEqual([])
    // The broker may be looking, which binds it for a moment.
    await eventually(() => run.bindAnew()).toBe('ok')
    // Nobody can be given them.
    const taken = (await states()).map(([pasid]) => pasid)
    expect(taken).toEqual(expect.arrayContaining(pasids))
    world.daemon.makeRoom()
    await eventually(states).toEqual(all(pasids, 'QUARANTINED'))
    await eventually(states).toEqual([])
  })
}

/** Asks for one number more. */
async function isGranted(vm: ManagedVm, pasids: number[]): Promise<boolean> {
  const next = (pasids.at(-1) ?? 0) + 1
  try {
    await vm.allocate(next)
    pasids.push(next)
    return true
  } catch (error) {
    expect(error).toMatchObject({ reason: 'LEDGER_UNAVAILABLE' })
    return false
  }
}

function killScenario(world: World, run: Run): void {
  test('by SIGKILL: the kernel has nothing of the VMM, and its numbers rest and are free', async () => {
    const { vmm, daemon } = world
    const pasids = [400, 700, 1000]
    const cdev = await vmm.open(daemon.devices.alone.cdev)
    const session = await vmm.openSession()
    await vmm.handOver('alone', cdev, { moveRid: true })
    await vmm.allocate('alone', pasids)
    const firstStage = { address: '4096', addressWidth: 48 }
    for (const pasid of pasids) {
      await vmm.call('bindPasid', { pasid, devices: [DEVICE], firstStage })
    }
    expect(run.written(pasids)).toEqual(pasids)
    await run.killed(() => vmm.kill())
    expect(run.written(pasids)).toEqual([])
    await eventually(() => run.bindAnew()).toBe('ok')
    await eventually(() => world.states('alone')).toEqual(all(pasids, 'QUARANTINED'))
    await eventually(() => world.states('alone')).toEqual([])
    const gone = daemon.operator.getSession(session)
    await expect(gone).rejects.toMatchObject({ reason: 'SESSION_NOT_FOUND' })
  })
}

function holdScenario(world: World): void {
  test('of a VM whose child never closes its device: its numbers wait for the hold', async () => {
    await eventually(() => world.daemon.log).toContain('the hold of an ended session is over')
    await eventually(() => world.states('first')).toEqual([])
    expect(await world.unproven()).toEqual([0, 0])
  })
}

export function deathScenarios(world: World): void {
  const run = new Run(world)
  afterEach(() => run.end())
  afterAll(() => run.lasting?.end())
  numbersOnlyScenario(world, run)
  brokeredScenarios(world, run)
  killScenario(world, run)
  // While the hold of the first goes on.
  exampleScenario(world)
  holdScenario(world)
}

/**
 * Processes that end with devices bound: what they had in the kernel is gone, whatever becomes of
 * the record, and their numbers rest before anybody is given them again.
 */
import { afterEach, expect, test } from 'vitest'
import { BIND_IOMMUFD } from '../../../src/uapi/vfio-cdev.js'
import { Caller, IommufdUser, KernelSaid, openDevice } from './iommufd-user.js'
import { openersOf } from './scenario-daemon.js'
import { writtenFor } from './scenario-entries.js'
import { ManagedVm } from './scenario-managed.js'
import { eventually, type World } from './scenario-world.js'

const DEVICE = 'devices/alone'

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
    const vm = await ManagedVm.start(this.#world.daemon, device)
    this.#vms.push(vm)
    return vm
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

  /** Who has the IOMMU or the device open, but for those that live. */
  holders(...living: readonly number[]): number[] {
    const all = [...openersOf('/dev/iommu'), ...openersOf(this.#device.cdev)]
    return all.filter((pid) => !living.includes(pid))
  }

  bindAnew(): Promise<string> {
    return bindAnew(this.#device.cdev)
  }
}

const all = (pasids: readonly number[], state: string) => pasids.map((pasid) => [pasid, state])

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

function brokeredScenarios(world: World, run: Run): void {
  const states = () => world.states('alone')

  test('while nothing can be recorded leaves nothing behind, and the record follows', async () => {
    const pasids = [401, 702, 901]
    const vm = await run.brokered(pasids)
    do {
      // A commit that fails can leave a log that is folded, which makes a little room.
      world.daemon.fillDisk()
    } while (await isGranted(vm, pasids))
    await vm.kill()
    vm.killChild()
    await eventually(() => run.holders(world.vmm.pid)).toEqual([])
    expect(run.written(pasids)).toEqual([])
    // The broker may be looking, which binds it for a moment.
    await eventually(() => run.bindAnew()).toBe('ok')
    // Nobody can be given them.
    expect((await states()).map(([pasid]) => pasid)).toEqual(pasids)
    world.daemon.makeRoom()
    await eventually(states).toEqual(all(pasids, 'QUARANTINED'))
    await eventually(states).toEqual([])
  })

  test('with a child that has the descriptors: the broker closes its own, detached', async () => {
    const pasids = [404, 705, 1002]
    const vm = await run.brokered(pasids)
    await vm.kill()
    await eventually(() => run.holders(world.vmm.pid, vm.child)).toEqual([])
    expect(run.holders(world.vmm.pid)).toEqual([vm.child, vm.child])
    expect(run.written(pasids)).toEqual([])
    // The child could attach them again: they rest only when it has closed the device.
    await eventually(() => world.unproven()).toEqual([1, pasids.length])
    expect(await states()).toEqual(all(pasids, 'FREE_PENDING'))
    expect(await run.bindAnew()).toBe('EINVAL')
    vm.killChild()
    await eventually(states).toEqual(all(pasids, 'QUARANTINED'))
    expect(run.holders(world.vmm.pid)).toEqual([])
    await eventually(() => run.bindAnew()).toBe('ok')
    await eventually(states).toEqual([])
  })
}

function numbersOnlyScenarios(world: World, run: Run): void {
  test('of VMs that the broker has only numbers of: these wait while nobody knows', async () => {
    const [seen, waited] = [await run.start('alone'), await run.start('first')]
    for (const vm of [seen, waited]) {
      await vm.attachByNumber(5)
      await vm.allocate(5)
      await expect(vm.bind(5)).rejects.toMatchObject({ reason: 'DEVICE_NOT_HANDED_OVER' })
      vm.closeOwn()
    }
    expect(run.written([5])).toEqual([5])
    const before = world.daemon.log.length
    const log = () => world.daemon.log.slice(before)
    // Children of both have the devices still.
    await seen.kill()
    await waited.kill()
    await eventually(() => world.unproven()).toEqual([2, 2])
    seen.killChild()
    await eventually(log).toContain('every device of an ended session was seen closed')
    expect(log()).not.toContain('the hold of an ended session is over')
    expect(await world.unproven()).toEqual([1, 1])
    await eventually(() => world.states('alone')).toEqual([])
    expect(await world.states('first')).toEqual([[5, 'FREE_PENDING']])
    await eventually(log).toContain('the hold of an ended session is over')
    await eventually(() => world.states('first')).toEqual([])
  })
}

function killScenarios(world: World, run: Run): void {
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
    await vmm.kill()
    const killed = Date.now()
    await eventually(() => run.holders()).toEqual([])
    console.log(`gone after ${Date.now() - killed} ms`)
    expect(run.written(pasids)).toEqual([])
    await eventually(() => run.bindAnew()).toBe('ok')
    await eventually(() => world.states('alone')).toEqual(all(pasids, 'QUARANTINED'))
    await eventually(() => world.states('alone')).toEqual([])
    const gone = daemon.operator.getSession(session)
    await expect(gone).rejects.toMatchObject({ reason: 'SESSION_NOT_FOUND' })
  })
}

export function deathScenarios(world: World): void {
  const run = new Run(world)
  afterEach(() => run.end())
  brokeredScenarios(world, run)
  numbersOnlyScenarios(world, run)
  killScenarios(world, run)
}

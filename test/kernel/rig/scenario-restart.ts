/**
 * The daemon is killed and started again while two VMs have devices bound. Of one device the service
 * manager has the descriptors still: nothing happens to it. Of the other it has lost them, as where
 * there is none: what was bound there is LOST, its owner is told, and begins anew.
 */
import { afterAll, expect, test } from 'vitest'
import { openersOf } from './scenario-daemon.js'
import { writtenFor, type Entries } from './scenario-entries.js'
import { ManagedVm } from './scenario-managed.js'
import { eventually, until, type World } from './scenario-world.js'

const RID = 0
const DEVICE = 'devices/alone'
const PASIDS = [300, 301]
const KEPT_PASIDS = [302, 1001]

const isOfLost = (name: string) => name.includes('.alone.')

class Run {
  cdev = -1
  readonly #world: World
  #kept: ManagedVm | undefined

  constructor(world: World) {
    this.#world = world
  }

  get vmm() {
    return this.#world.vmm
  }

  get devices() {
    return this.#world.daemon.devices
  }

  /** The VM whose device is kept. */
  get kept(): ManagedVm {
    if (this.#kept === undefined) throw new Error('the scenario has not begun')
    return this.#kept
  }

  /** The VMM's RID through its parent, so that DMA can be seen. */
  async bindAll(): Promise<void> {
    const devices = [DEVICE]
    await this.vmm.call('bindPasid', { rid: true, devices, passThrough: {} })
    for (const pasid of PASIDS) {
      const firstStage = { address: String(pasid * 4096), addressWidth: 48 }
      await this.vmm.call('bindPasid', { pasid, devices, firstStage })
    }
    expect([...this.written().keys()]).toEqual([RID, ...PASIDS])
  }

  async begin(): Promise<void> {
    await this.vmm.openSession()
    this.cdev = await this.vmm.open(this.devices.alone.cdev)
    await this.vmm.handOver('alone', this.cdev)
    await this.vmm.allocate('alone', PASIDS)
    await this.bindAll()
    this.#kept = await ManagedVm.start(this.#world.daemon, 'first')
    await this.kept.handOver()
    await this.kept.allocate(...KEPT_PASIDS)
    await this.kept.bind(...KEPT_PASIDS)
  }

  async end(): Promise<void> {
    await this.kept.end()
    await this.vmm.close(this.cdev)
    await this.vmm.call('closeSession')
    await until(async () => (await this.#world.unproven())[0] === 0)
  }

  written(): Entries {
    return writtenFor(this.devices.alone.address, [RID, ...PASIDS])
  }

  writtenKept(): Entries {
    return writtenFor(this.devices.first.address, [RID, ...KEPT_PASIDS])
  }

  /** Both devices copy all the while, and what is written stays as it is. */
  async restart(): Promise<void> {
    const { daemon, manager } = this.#world
    const [lost, kept] = [this.written(), this.writtenKept()]
    const [prefix] = (await manager?.names())?.filter(isOfLost) ?? []
    await manager?.forget(prefix?.replace(/[^.]*$/, '') ?? '-')
    await this.vmm.startDma(this.cdev)
    this.kept.startDma()
    await daemon.kill()
    const between = [this.written(), this.writtenKept()]
    await daemon.start(manager)
    expect(between).toEqual([lost, kept])
    expect([this.written(), this.writtenKept()]).toEqual([lost, kept])
  }

  /** What Control tells unasked: of losses. */
  async told() {
    const events = await this.vmm.events()
    return events.map(({ kind, event }) => ({ kind, ...event }))
  }
}

export function restartScenarios(world: World): void {
  const run = new Run(world)
  afterAll(() => run.end())

  test('changes nothing of what is in force, and DMA goes on', async () => {
    await run.begin()
    await run.restart()
    for (const dma of [await run.vmm.stopDma(), await run.kept.stopDma()]) {
      expect(dma.rounds).toBeGreaterThan(0)
      expect(dma.wrong).toBe(0)
    }
  })

  test('loses nothing where descriptors were kept', async (ctx) => {
    const { manager, daemon } = world
    if (manager === undefined) return ctx.skip('there is no Python for a service manager')
    const { session } = run.kept
    expect(await session.get()).toMatchObject({ lostBindings: 0, bindings: KEPT_PASIDS.length })
    expect(openersOf(run.devices.first.cdev)).toContain(daemon.pid)
    // It is in the broker's hands: what it is asked for reaches the tables.
    await session.invalidate([{ domain: { domain: 0 }, caches: ['INVALIDATION_CACHE_IOTLB'] }])
    await session.unbindPasids({ target: { pasid: KEPT_PASIDS[0]! } })
    expect([...run.writtenKept().keys()]).toEqual([RID, KEPT_PASIDS[1]])
    await run.kept.bind(KEPT_PASIDS[0]!)
    expect([...run.writtenKept().keys()]).toEqual([RID, ...KEPT_PASIDS])
    await session.unbindPasids({ all: {} })
    await session.detachDevice({ device: 'devices/first' })
    expect([...run.writtenKept().keys()]).toEqual([])
    expect(openersOf(run.devices.first.cdev)).not.toContain(daemon.pid)
    expect(await manager.names()).toEqual([])
  })

  test('loses what is not kept, says so to its owner, and the device is handed over anew', async () => {
    expect(openersOf(run.devices.alone.cdev)).toEqual([run.vmm.pid])
    expect(await run.vmm.call('get')).toMatchObject({ lostBindings: 3, bindings: 3 })
    await run.vmm.control()
    const cause = expect.stringContaining('hand it over again') as string
    const lost = { device: DEVICE, state: 'BINDING_STATE_LOST', cause }
    const told = [{ rid: true }, { pasid: PASIDS[0] }, { pasid: PASIDS[1] }].map((target) => {
      const binding = expect.objectContaining({ ...lost, ...target }) as object
      return { kind: 'bindingLost', binding }
    })
    await eventually(() => run.told()).toHaveLength(told.length)
    expect(await run.told()).toEqual(expect.arrayContaining(told))
    await run.vmm.call('detachDevice', { device: DEVICE })
    // Attached by the VMM's own descriptor as long as it is open, and nobody says otherwise.
    expect([...run.written().keys()]).toEqual([RID, ...PASIDS])
    expect(await run.vmm.call('get')).toMatchObject({ unproven: true })
    await run.vmm.close(run.cdev)
    run.cdev = await run.vmm.open(run.devices.alone.cdev)
    expect([...writtenFor(run.devices.alone.address, PASIDS).keys()]).toEqual([])
    await run.vmm.handOver('alone', run.cdev)
    await run.bindAll()
    expect(await run.vmm.call('get')).toMatchObject({ lostBindings: 0, unproven: false })
    expect(await run.vmm.dma(run.cdev)).toBe(true)
  })
}

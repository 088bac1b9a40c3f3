/**
 * Numbers that the backend cannot vouch for though nobody lied to it: a restart took their device
 * out of its hands, somebody else has another copy of it, or it was detached before the end. None
 * of them goes to another session before it is proven that nothing is attached.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { LOOK_MS_MIN } from '../../src/broker/unproven.js'
import { pasid as asPasid } from '../../src/core/ids.js'
import { SLOT } from '../../src/core/namespace.js'
import { handing, RigNative } from '../support/broker-rig-native.js'
import { ACTOR, codeOf, exactAsk, ok, type RigVm } from '../support/broker-rig-vm.js'
import { BrokerRig, removeFolders, type RigOptions } from '../support/broker-rig.js'

const HOLD_MS = 60_000

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

interface Scene {
  readonly on: BrokerRig
  readonly native: RigNative
  readonly vm: RigVm
  /** Bound on nic0. */
  readonly pasid: number
}

async function brokered(options: RigOptions = {}): Promise<Scene> {
  const native = new RigNative()
  const on = await BrokerRig.start({ ...options, native })
  rig = on
  const vm = await on.vm()
  ok(await vm.handOver(handing().take, 'nic0'))
  const pasid = await vm.one()
  ok(await vm.bind(pasid, { devices: ['nic0'] }))
  await on.settled()
  return { on, native, vm, pasid }
}

/** The next life of the daemon; nobody kept the descriptors, and the VMM has its own still. */
async function reborn({ on, native, vm, pasid }: Scene): Promise<Scene> {
  const next = native.reborn(false)
  next.closed.set('nic0', false)
  rig = await on.kill({ native: next })
  return { on: rig, native: next, vm: vm.on(rig.broker), pasid }
}

function slot({ on, pasid }: Scene): number {
  return on.broker.state.host.slotOf(pasid)
}

async function quiet({ on }: Scene): Promise<void> {
  await on.settled()
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  await on.settled()
}

async function pass(scene: Scene, ms: number): Promise<void> {
  scene.on.clock.pass(ms)
  await quiet(scene)
}

async function freed(before: Scene): Promise<Scene> {
  const scene = await reborn(before)
  ok(await scene.vm.unbind(scene.pasid))
  ok(await scene.vm.free([scene.pasid]))
  await quiet(scene)
  return scene
}

describe('a number that was bound on a device which a restart took out of our hands', () => {
  test('unbound and given back, goes to nobody before the hold is over', async () => {
    const scene = await freed(await brokered())
    const { on, vm, pasid } = scene
    expect(vm.bindingState(pasid, 'nic0')).toBeUndefined()
    expect(slot(scene)).toBe(SLOT.FREE_PENDING)
    const other = await on.vm()
    expect(codeOf(await other.allocate({ ask: exactAsk(pasid) }))).toBe('PASID_TAKEN')
    expect(ok(await on.broker.getSessionByName(vm.name))).toMatchObject({ unproven: true })
    expect(ok(await on.broker.reclaim())).toMatchObject({ unprovenSessions: 1, unprovenPasids: 1 })
    await pass(scene, HOLD_MS - 1)
    expect(slot(scene)).toBe(SLOT.FREE_PENDING)
    await pass(scene, 1)
    expect(slot(scene)).toBe(SLOT.QUARANTINED)
  })

  test('given back without an unbind, or by an operator, likewise', async () => {
    const scene = await reborn(await brokered())
    const { vm, pasid, on } = scene
    const spare = await vm.one()
    ok(await vm.free([pasid]))
    expect(slot(scene)).toBe(SLOT.FREE_PENDING)
    await on.settled()
    const { generation } = on.broker.state.host.holderOf(spare)
    const release = { scope: { kind: 'HOST' }, pasid: asPasid(spare), generation } as const
    const act = { actor: ACTOR, reason: 'test', validateOnly: false }
    // Whatever else is taken from the session waits as well: nobody knows what was where.
    ok(await on.broker.releaseAllocation({ ...release, ...act }))
    expect(on.broker.state.host.slotOf(spare)).toBe(SLOT.FREE_PENDING)
  })

  test('rests as soon as its device is seen closed', async () => {
    const scene = await freed(await brokered())
    const { vm, native } = scene
    await pass(scene, LOOK_MS_MIN)
    // The session has it attached: a look would be in its way.
    expect(native.calls).not.toContain('seenClosed nic0')
    ok(await vm.detach('nic0'))
    native.closed.set('nic0', true)
    await pass(scene, 2 * LOOK_MS_MIN)
    expect(slot(scene)).toBe(SLOT.QUARANTINED)
    expect(scene.on.broker.state.session(vm.id).record.unproven).toBe(false)
  })

  test('rests when its device is handed over anew; what is given back later rests at once', async () => {
    const scene = await reborn(await brokered())
    const { vm, pasid, on } = scene
    const spare = await vm.one()
    ok(await vm.detach('nic0'))
    ok(await vm.free([pasid]))
    expect(slot(scene)).toBe(SLOT.FREE_PENDING)
    ok(await vm.handOver(handing().take, 'nic0'))
    expect(slot(scene)).toBe(SLOT.QUARANTINED)
    ok(await vm.free([spare]))
    expect(on.broker.state.host.slotOf(spare)).toBe(SLOT.QUARANTINED)
  })

  test('rests when an operator says so', async () => {
    const scene = await freed(await brokered())
    ok(await scene.on.broker.resumeReclaim({ reason: 'test', actor: ACTOR }))
    expect(slot(scene)).toBe(SLOT.QUARANTINED)
  })

  test('waits whole again after another restart, for devices that nobody remembers', async () => {
    const before = await freed(await brokered())
    await pass(before, HOLD_MS - 1)
    const scene = await reborn(before)
    ok(await scene.vm.detach('nic0'))
    ok(await scene.vm.handOver(handing().take, 'nic0'))
    expect(slot(scene)).toBe(SLOT.FREE_PENDING)
    await pass(scene, HOLD_MS)
    expect(slot(scene)).toBe(SLOT.QUARANTINED)
  })

  test('held until then, waits with the whole session when that ends', async () => {
    const scene = await reborn(await brokered())
    const { vm, native, on } = scene
    ok(await vm.detach('nic0'))
    ok(await vm.close())
    expect(slot(scene)).toBe(SLOT.FREE_PENDING)
    native.closed.set('nic0', true)
    await pass(scene, LOOK_MS_MIN)
    expect(slot(scene)).toBe(SLOT.QUARANTINED)
    expect(on.broker.state.sessions.size).toBe(0)
  })

  test('waits though the ledger could not write that it must', async () => {
    const scene = await reborn(await brokered())
    const { vm, on, pasid } = scene
    on.ledger.plan({ nth: 1, how: 'UNKNOWN_NOT_WRITTEN', reopenFailures: 2 })
    await vm.unbind(pasid)
    await on.passUntil(() => on.telemetry.recoveries === 1)
    await quiet(scene)
    expect(on.broker.state.session(vm.id).record).toMatchObject({ state: 'OPEN', unproven: true })
    expect(await on.differencesFromFile()).toEqual([])
    ok(await vm.free([pasid]))
    expect(slot(scene)).toBe(SLOT.FREE_PENDING)
  })

  test('of a session that had it by number only: its word is taken, as before', async () => {
    const native = new RigNative()
    rig = await BrokerRig.start({ native })
    const vm = await rig.vm()
    ok(await vm.attach('nic0'))
    const pasid = await vm.one()
    const scene = await reborn({ on: rig, native, vm, pasid })
    ok(await scene.vm.free([pasid]))
    expect(slot(scene)).toBe(SLOT.QUARANTINED)
  })
})

describe('a device that somebody else has open after our copies were closed', () => {
  test('is looked at once, then; its numbers wait until it is closed', async () => {
    const scene = await brokered()
    const { on, vm, native } = scene
    native.closed.set('nic0', false)
    on.owners.kill(vm.owner)
    await on.until(() => native.calls.includes('seenClosed nic0'))
    const calls = native.calls.filter((call) => /^(drop|seenClosed)/.test(call))
    expect(calls).toEqual([`drop ${vm.id}`, 'seenClosed nic0'])
    expect(native.inForce()).toEqual([])
    await quiet(scene)
    expect(slot(scene)).toBe(SLOT.FREE_PENDING)
    native.closed.set('nic0', true)
    await pass(scene, LOOK_MS_MIN)
    await on.until(() => slot(scene) === SLOT.QUARANTINED)
  })

  test('closes them without waiting for the look', async () => {
    const scene = await brokered()
    const { on, vm, native } = scene
    const look = native.hold('seenClosed')
    on.owners.kill(vm.owner)
    await look.reached
    expect(native.holds('nic0', vm.id)).toBe(false)
    look.release()
    await on.until(() => slot(scene) === SLOT.QUARANTINED)
  })
})

test('a device detached while it was not in our hands is waited for at the end', async () => {
  const scene = await brokered()
  const { vm, native } = scene
  ok(await vm.attach('nic1'))
  ok(await vm.detach('nic1'))
  native.closed.set('nic1', false)
  ok(await vm.close())
  await quiet(scene)
  expect(slot(scene)).toBe(SLOT.FREE_PENDING)
  native.closed.set('nic1', true)
  await pass(scene, LOOK_MS_MIN)
  expect(slot(scene)).toBe(SLOT.QUARANTINED)
})

test('devices that never come to be let go: the session is shown as stuck, and told', async () => {
  const scene = await brokered({ reclaim: { stuckAfterMs: 10_000 } })
  const { on, vm, native } = scene
  const drop = native.hold('drop')
  on.owners.kill(vm.owner)
  await drop.reached
  await on.until(() => on.broker.state.session(vm.id).record.state === 'CLOSING')
  await quiet(scene)
  const view = async () => ok(await on.broker.reclaim())
  expect(await view()).toMatchObject({ stuckCount: 0 })
  await pass(scene, 10_000)
  const { stuckCount, stuck } = await view()
  expect(stuckCount).toBe(1)
  const problem = expect.stringContaining('still being let go')
  expect(stuck).toMatchObject([{ name: vm.name, stuck: { attempts: 1, problem } }])
  expect(on.telemetry.stuckJobs).toMatchObject([{ session: vm.name, problem }])
  drop.release()
  await on.until(() => !on.broker.state.sessions.has(vm.id))
  expect(await view()).toMatchObject({ stuckCount: 0 })
})

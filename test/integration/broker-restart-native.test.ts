/**
 * A restart where VMMs hand devices over: what was kept is taken up and settled, what is recorded is
 * bound again, and what nobody holds any more is LOST. Nothing is attached that is not recorded.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { BackendFault } from '../../src/backend/backend.js'
import { RID, sessionId, target } from '../../src/core/ids.js'
import { SLOT } from '../../src/core/namespace.js'
import { handing, RigNative } from '../support/broker-rig-native.js'
import { codeOf, ok, requestKey, tableAt, type RigVm } from '../support/broker-rig-vm.js'
import { BrokerRig, removeFolders } from '../support/broker-rig.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

const ON = { devices: ['nic0'] }

interface Scene {
  readonly on: BrokerRig
  readonly native: RigNative
  readonly vm: RigVm
  readonly handed: ReturnType<typeof handing>
  readonly bound: number
  readonly idle: number
}

async function scene(): Promise<Scene> {
  const native = new RigNative()
  const on = await BrokerRig.start({ native })
  rig = on
  const vm = await on.vm()
  const handed = handing()
  ok(await vm.handOver(handed.take, 'nic0'))
  const [bound, idle] = [await vm.one(), await vm.one()]
  ok(await vm.bind(bound, ON))
  await on.settled()
  return { on, native, vm, handed, bound, idle }
}

async function again({ on, native, vm }: Scene, keeps: boolean, how: 'kill' | 'restart' = 'kill') {
  const next = native.reborn(keeps)
  rig = await on[how]({ native: next })
  return { on: rig, native: next, vm: vm.on(rig.broker) }
}

describe('with the descriptors kept', () => {
  test.each(['kill', 'restart'] as const)('what is bound stays in force (%s)', async (how) => {
    const before = await scene()
    const { bound, idle, handed } = before
    const { on, native, vm } = await again(before, true, how)
    expect(vm.bindingState(bound, 'nic0')).toBe('BOUND')
    expect(native.inForce()).toEqual([`nic0 ${bound}`])
    expect(on.telemetry.letGo).toEqual([])
    expect(native.calls).toEqual([
      `attach nic0 ${vm.id}`,
      `settle nic0 ${vm.id} keeps ${bound}`,
      `bind nic0 ${bound}`,
    ])
    expect(native.granted).toEqual([bound, idle])
    expect(on.broker.state.deviceByName.get('nic0')?.facts?.pasidBits).toBe(10)
    expect(handed.cdev.closes).toBe(0)
    ok(await vm.bind(idle, ON))
    ok(await vm.close())
    expect(handed.cdev.closes).toBe(1)
  })

  test('what is attached and not recorded is detached, RID and numbers', async () => {
    const before = await scene()
    const { native, bound, idle } = before
    native.attached.get('nic0')?.set(target(idle), tableAt(9))
    native.attached.get('nic0')?.set(RID, tableAt(9))
    const now = await again(before, true)
    expect(now.native.inForce()).toEqual([`nic0 ${bound}`])
  })

  test('a table that was never recorded gives way to the one that was', async () => {
    const before = await scene()
    const { native, bound } = before
    native.attached.get('nic0')?.set(target(bound), tableAt(9))
    const now = await again(before, true)
    expect(now.vm.bindingState(bound, 'nic0')).toBe('BOUND')
    expect(now.native.attached.get('nic0')?.get(target(bound))).toEqual(tableAt(1))
  })

  test('what cannot be settled is LOST, and taken down when it can be', async () => {
    const before = await scene()
    const next = before.native.reborn(true)
    next.faults.set('settle', new BackendFault('the device is stuck', 'STOP'))
    rig = await before.on.kill({ native: next })
    const vm = before.vm.on(rig.broker)
    expect(vm.bindingState(before.bound, 'nic0')).toBe('LOST')
    expect(rig.telemetry.lost).toMatchObject([{ device: 'nic0', cause: 'the device is stuck' }])
    await rig.passUntil(() => next.inForce().length === 0)
  })

  test('the owner ended meanwhile: all is let go, nothing is bound again, numbers rest', async () => {
    const before = await scene()
    const { on, bound, idle, handed } = before
    on.owners.become(before.vm.owner, 'DEAD_PROVEN')
    const now = await again(before, true)
    expect(now.native.inForce()).toEqual([])
    expect(now.native.calls.some((call) => call.startsWith('bind'))).toBe(false)
    expect(handed.cdev.closes).toBe(1)
    expect(now.on.broker.state.sessions.size).toBe(0)
    const slots = [bound, idle].map((pasid) => now.on.broker.state.host.slotOf(pasid))
    expect(slots).toEqual([SLOT.QUARANTINED, SLOT.QUARANTINED])
  })

  test('of a session that the ledger does not know: they are let go', async () => {
    const before = await scene()
    const { native } = before
    const stranger = handing()
    const handOver = stranger.take()
    if (!handOver.ok) throw new Error('it hands over')
    await native.attachDevice('nic1', sessionId(77), handOver.value)
    const now = await again(before, true)
    expect(now.native.kept()).toEqual([])
    expect(stranger.cdev.closes).toBe(1)
    const why = expect.stringContaining('knows no such session')
    expect(now.on.telemetry.letGo).toEqual([{ device: 'nic1', session: '#77', why }])
    expect(now.vm.bindingState(before.bound, 'nic0')).toBe('BOUND')
  })

  test('of a device that its session has not attached: it is let go, the rest stays', async () => {
    const before = await scene()
    const { native, vm } = before
    const unwanted = handing()
    const handOver = unwanted.take()
    if (!handOver.ok) throw new Error('it hands over')
    await native.attachDevice('nic1', vm.id, handOver.value)
    const now = await again(before, true)
    expect(now.native.kept()).toEqual([])
    expect(now.native.holds('nic1', vm.id)).toBe(false)
    expect(unwanted.cdev.closes).toBe(1)
    const session = now.on.broker.state.session(vm.id).record.name
    const why = expect.stringContaining('has not attached')
    expect(now.on.telemetry.letGo).toEqual([{ device: 'nic1', session, why }])
    expect(before.handed.cdev.closes).toBe(0)
    expect(now.vm.bindingState(before.bound, 'nic0')).toBe('BOUND')
  })

  test('what the backend could not take up is said, of whichever session', async () => {
    const before = await scene()
    const next = before.native.reborn(true)
    const { id } = before.vm
    const why = 'nic1 is another device now'
    next.turnedAway.push({ device: 'nic1', session: id, why })
    next.turnedAway.push({ device: 'nic1', session: sessionId(78), why })
    rig = await before.on.kill({ native: next })
    const { name: session } = rig.broker.state.session(id).record
    expect(rig.telemetry.letGo).toEqual([
      { device: 'nic1', session, why },
      { device: 'nic1', session: '#78', why },
    ])
  })

  test('of one that cannot be let go: it is said, and the start goes on', async () => {
    const before = await scene()
    const { vm } = before
    const handOver = handing().take()
    if (!handOver.ok) throw new Error('it hands over')
    await before.native.attachDevice('nic1', vm.id, handOver.value)
    const next = before.native.reborn(true)
    next.faults.set('detach', new BackendFault('the device is stuck', 'STOP'))
    rig = await before.on.kill({ native: next })
    expect(rig.telemetry.backendFaults).toMatchObject([{ device: 'nic1', operation: 'detach' }])
    expect(vm.on(rig.broker).bindingState(before.bound, 'nic0')).toBe('BOUND')
    expect(next.kept()).toHaveLength(1)
  })
})

describe('with the descriptors gone', () => {
  test('what is bound is LOST, and says what to do; it is done, and goes on', async () => {
    const before = await scene()
    const { bound } = before
    const { on, native, vm } = await again(before, false)
    expect(vm.bindingState(bound, 'nic0')).toBe('LOST')
    expect(on.telemetry.lost).toMatchObject([
      { device: 'nic0', target: bound, cause: expect.stringContaining('hand it over again') },
    ])
    expect(native.calls).toEqual([`attach nic0 ${vm.id}`])
    expect(await vm.bind(bound, ON)).toMatchObject({
      refusal: { code: 'DEVICE_NOT_HANDED_OVER', device: 'nic0' },
    })
    ok(await vm.detach('nic0'))
    ok(await vm.handOver(handing().take, 'nic0'))
    ok(await vm.bind(bound, ON))
    expect(vm.bindingState(bound, 'nic0')).toBe('BOUND')
  })

  test('the session’s end is unproven', async () => {
    const before = await scene()
    const { vm, on } = await again(before, false)
    ok(await vm.close())
    expect(on.broker.state.host.slotOf(before.idle)).toBe(SLOT.FREE_PENDING)
    expect(ok(await on.broker.reclaim())).toMatchObject({ unprovenSessions: 1, unprovenPasids: 2 })
    on.clock.pass(60_000)
    await on.until(() => on.broker.state.sessions.size === 0)
  })
})

describe('killed in the middle of attaching', () => {
  test('what nobody answered for is gone; the same request begins anew', async () => {
    const before = await scene()
    const binding = before.native.hold('attach')
    const key = requestKey('second')
    const lost = handing()
    void before.vm.handOver(lost.take, 'nic1', key)
    await binding.reached
    await before.on.settled()
    const { vm, on } = await again(before, true)
    expect(on.broker.state.session(vm.id).attachments.size).toBe(1)
    const attached = ok(await vm.handOver(handing().take, 'nic1', key))
    expect(attached.native).toBeDefined()
  })

  test('what came into the backend’s hands, and was kept, is answered again', async () => {
    const before = await scene()
    const { on, vm, native } = before
    const key = requestKey('third')
    const handed = handing()
    const binding = native.hold('attach')
    void vm.handOver(handed.take, 'nic1', key)
    await binding.reached
    const write = on.ledger.holdAppend()
    binding.release()
    await write.reached
    const { vm: later, native: next } = await again({ ...before, native }, true)
    const repeated = handing()
    const answer = ok(await later.handOver(repeated.take, 'nic1', key))
    expect(answer.native).toBeDefined()
    expect([handed.taken, repeated.taken]).toEqual([1, 0])
    expect(next.holds('nic1', later.id)).toBe(true)
  })
})

test('a device that cannot be taken up does not stop a start', async () => {
  const before = await scene()
  const next = before.native.reborn(true)
  next.faults.set('attach', new BackendFault('the device does not answer', 'STOP'))
  rig = await before.on.kill({ native: next })
  const vm = before.vm.on(rig.broker)
  expect(vm.bindingState(before.bound, 'nic0')).toBe('LOST')
  expect(rig.telemetry.backendFaults).toMatchObject([{ device: 'nic0', operation: 'attach' }])
  expect(codeOf(await vm.allocate())).toBe('ACCEPTED')
})

/**
 * The broker when a device fails: what was asked of several devices ends on all or on none, what
 * cannot be restored is LOST and said so, and what must be taken down is taken down in the end.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { Effect } from '../../src/backend/emulator/fault-plan.js'
import { BrokerRig, removeFolders, SHARED, type RigOptions } from '../support/broker-rig.js'
import { codeOf, ok, tableAt, type RigVm } from '../support/broker-rig-vm.js'

const TWO: RigOptions = { devices: [SHARED, { ...SHARED, name: 'emu2' }] }
const BOTH = ['emu0', 'emu2']

let rig: BrokerRig | undefined

async function up(options: RigOptions = TWO): Promise<BrokerRig> {
  rig = await BrokerRig.start(options)
  return rig
}

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

async function onBoth(on: BrokerRig): Promise<{ vm: RigVm; pasid: number }> {
  const vm = await on.vm()
  for (const device of BOTH) ok(await vm.attach(device))
  return { vm, pasid: await vm.one() }
}

function fail(
  on: BrokerRig,
  device: string,
  kind: 'RETRY' | 'REFUSE' | 'STOP',
  effect: Effect,
  times = 1,
): void {
  on.emulator.injectFault(device, { kind, effect, times })
}

function states(vm: RigVm, pasid: number): (string | undefined)[] {
  return BOTH.map((device) => vm.bindingState(pasid, device))
}

async function tablesInForce(on: BrokerRig): Promise<number[]> {
  const observed = await on.emulator.observe()
  if (observed.kind === 'UNKNOWN') return []
  return observed.places.map(({ table }) => {
    return table.kind === 'FIRST_STAGE' ? table.address / 4096 : -1
  })
}

describe('a bind on two devices, with a fault on the second', () => {
  test.each([
    ['RETRY', 'BACKEND_UNAVAILABLE'],
    ['REFUSE', 'BACKEND_REFUSED'],
  ] as const)('%s: nothing is bound anywhere, and it can be asked again', async (kind, code) => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    fail(on, 'emu2', kind, 'bind')
    expect(codeOf(await vm.bind(pasid, { devices: BOTH }))).toBe(code)
    expect(states(vm, pasid)).toEqual([undefined, undefined])
    expect(await tablesInForce(on)).toEqual([])
    ok(await vm.bind(pasid, { devices: BOTH }))
    expect(states(vm, pasid)).toEqual(['BOUND', 'BOUND'])
  })

  test('STOP: the one in doubt is LOST, the other is gone; unbind clears it', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    fail(on, 'emu2', 'STOP', 'bind')
    expect(codeOf(await vm.bind(pasid, { devices: BOTH }))).toBe('BACKEND_UNAVAILABLE')
    expect(states(vm, pasid)).toEqual([undefined, 'LOST'])
    expect(on.telemetry.lost.map(({ device }) => device)).toEqual(['emu2'])
    ok(await vm.unbind(pasid, ['emu2']))
    expect(states(vm, pasid)).toEqual([undefined, undefined])
  })

  test('the first cannot be taken back: LOST there', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    fail(on, 'emu2', 'REFUSE', 'bind')
    fail(on, 'emu0', 'STOP', 'unbind')
    expect(codeOf(await vm.bind(pasid, { devices: BOTH }))).toBe('BACKEND_REFUSED')
    expect(states(vm, pasid)).toEqual(['LOST', undefined])
    // The owner binds anew: what stands there is the very table it asked for.
    ok(await vm.bind(pasid, { devices: BOTH }))
    expect(states(vm, pasid)).toEqual(['BOUND', 'BOUND'])
  })
})

describe('a replace on two devices, with a fault on the second', () => {
  test('RETRY: both have the old table again', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH, table: tableAt(1) }))
    fail(on, 'emu2', 'RETRY', 'replace')
    const replaced = await vm.bind(pasid, { devices: BOTH, table: tableAt(2), replace: true })
    expect(codeOf(replaced)).toBe('BACKEND_UNAVAILABLE')
    expect(states(vm, pasid)).toEqual(['BOUND', 'BOUND'])
    expect(await tablesInForce(on)).toEqual([1, 1])
  })

  test('in the gap, after the old table’s teardown: restored all the same', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH, table: tableAt(1) }))
    on.emulator.injectFault('emu2', { kind: 'RETRY', effect: 'replace', times: 1, at: 'SET_UP' })
    const replaced = await vm.bind(pasid, { devices: BOTH, table: tableAt(2), replace: true })
    expect(codeOf(replaced)).toBe('BACKEND_UNAVAILABLE')
    expect(await tablesInForce(on)).toEqual([1, 1])
  })

  test('what cannot be restored is LOST and said so', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH, table: tableAt(1) }))
    on.emulator.injectFault('emu0', { kind: 'STOP', effect: 'replace', times: 1, skip: 1 })
    fail(on, 'emu2', 'REFUSE', 'replace')
    const replaced = await vm.bind(pasid, { devices: BOTH, table: tableAt(2), replace: true })
    expect(codeOf(replaced)).toBe('BACKEND_REFUSED')
    expect(states(vm, pasid)).toEqual(['LOST', 'BOUND'])
    expect(on.telemetry.lost.map(({ device }) => device)).toEqual(['emu0'])
    expect(ok(await vm.unbindAll())).toMatchObject({ unbound: 2 })
    expect(await tablesInForce(on)).toEqual([])
  })
})

describe('invalidate', () => {
  test('a failed entry is done as a whole-table invalidation, and nobody notices', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH }))
    fail(on, 'emu0', 'REFUSE', 'invalidate')
    expect(ok(await vm.invalidate(pasid))).toEqual({ done: 1, lost: [] })
    expect(states(vm, pasid)).toEqual(['BOUND', 'BOUND'])
  })

  test('when that fails too its binding is taken down and LOST, the other goes on', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH }))
    fail(on, 'emu0', 'REFUSE', 'invalidate', 2)
    const { done, lost } = ok(await vm.invalidate(pasid))
    expect(done).toBe(1)
    expect(lost.map(({ device }) => device)).toEqual(['emu0'])
    expect(states(vm, pasid)).toEqual(['LOST', 'BOUND'])
    expect(await tablesInForce(on)).toEqual([1])
    ok(await vm.bind(pasid, { devices: ['emu0'] }))
    expect(states(vm, pasid)).toEqual(['BOUND', 'BOUND'])
  })

  test('and when not even the teardown works it is tried until it does', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH }))
    fail(on, 'emu0', 'STOP', 'invalidate', 2)
    fail(on, 'emu0', 'STOP', 'unbind', 4)
    expect(ok(await vm.invalidate(pasid)).lost).toHaveLength(1)
    expect(on.broker.unfinishedTeardowns).toBe(1)
    expect(await tablesInForce(on)).toEqual([1, 1])
    await on.passUntil(() => on.broker.unfinishedTeardowns === 0)
    expect(await tablesInForce(on)).toEqual([1])
    expect(states(vm, pasid)).toEqual(['LOST', 'BOUND'])
  })
})

describe('teardown that fails at first', () => {
  test('unbind says so and is finished later; the number is bindable then', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH }))
    fail(on, 'emu2', 'RETRY', 'unbind', 3)
    expect(codeOf(await vm.unbind(pasid))).toBe('BACKEND_UNAVAILABLE')
    expect(states(vm, pasid)).toEqual([undefined, 'UNBINDING'])
    expect(codeOf(await vm.bind(pasid, { devices: ['emu2'] }))).toBe('BIND_SUPERSEDED')
    await on.passUntil(() => on.broker.unfinishedTeardowns === 0)
    expect(states(vm, pasid)).toEqual([undefined, undefined])
    ok(await vm.bind(pasid, { devices: BOTH }))
  })

  test('free answers, and the number rests only when nothing of it is left', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH }))
    fail(on, 'emu2', 'STOP', 'unbind', 5)
    expect(ok(await vm.free([pasid]))).toMatchObject({ freed: 1, durable: true })
    expect(on.broker.state.host.counts).toMatchObject({ pending: 1, quarantined: 0 })
    expect(ok(await vm.free([pasid]))).toMatchObject({ freed: 0, durable: true })
    await on.passUntil(() => on.broker.unfinishedTeardowns === 0)
    expect(on.broker.state.host.counts).toMatchObject({ pending: 0, quarantined: 1 })
  })

  test('detach is finished later, and only then the device can be attached again', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH }))
    fail(on, 'emu0', 'RETRY', 'unbind')
    fail(on, 'emu0', 'RETRY', 'detachDevice', 2)
    ok(await vm.detach('emu0'))
    expect(codeOf(await vm.attach('emu0'))).toBe('DEVICE_ALREADY_ATTACHED')
    await on.passUntil(() => on.broker.unfinishedTeardowns === 0)
    ok(await vm.attach('emu0'))
    expect(states(vm, pasid)).toEqual([undefined, 'BOUND'])
  })

  test('close is finished later, whatever fails on the way', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH }))
    fail(on, 'emu0', 'STOP', 'unbind', 2)
    fail(on, 'emu2', 'RETRY', 'detachDevice', 2)
    expect(ok(await vm.close())).toMatchObject({ freed: 1, durable: true })
    expect(codeOf(await vm.allocate())).toBe('SESSION_CLOSING')
    await on.passUntil(() => on.broker.state.sessions.size === 0)
    expect(on.broker.unfinishedTeardowns).toBe(0)
    expect(await tablesInForce(on)).toEqual([])
  })

  test('close while a free is not finished takes over what the free had begun', async () => {
    const on = await up()
    const { vm, pasid } = await onBoth(on)
    ok(await vm.bind(pasid, { devices: BOTH }))
    fail(on, 'emu0', 'RETRY', 'unbind')
    ok(await vm.free([pasid]))
    expect(on.broker.state.host.counts).toMatchObject({ pending: 1 })
    ok(await vm.close())
    await on.passUntil(() => on.broker.state.sessions.size === 0)
    await on.passUntil(() => on.broker.unfinishedTeardowns === 0)
    expect(on.broker.state.host.counts).toMatchObject({ pending: 0, quarantined: 1 })
  })
})

test('an attach that the backend refuses leaves nothing; the next one may do better', async () => {
  const on = await up()
  const vm = await on.vm()
  fail(on, 'emu0', 'REFUSE', 'attachDevice')
  fail(on, 'emu2', 'RETRY', 'attachDevice')
  expect(codeOf(await vm.attach('emu0'))).toBe('BACKEND_REFUSED')
  expect(codeOf(await vm.attach('emu2'))).toBe('BACKEND_UNAVAILABLE')
  expect(codeOf(await vm.attach('emu9'))).toBe('DEVICE_NOT_FOUND')
  ok(await vm.attach('emu0'))
  ok(await vm.attach('emu2'))
})

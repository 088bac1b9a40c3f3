/**
 * Teardown that a failing backend holds up: what is clear goes on, others are not held up,
 * operators see what is stuck and why, and it ends by itself when the backend is well again.
 */

import { afterAll, afterEach, expect, test } from 'vitest'
import { DEVICE_DEFAULTS } from '../../src/backend/emulator/device.js'
import { SLOT } from '../../src/core/namespace.js'
import { BrokerRig, removeFolders, SHARED } from '../support/broker-rig.js'
import { busyVm, inForce, isGone, stateOf } from '../support/broker-rig-reclaim.js'
import { blockAsk, ok, tableAt } from '../support/broker-rig-vm.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

const NEVER = 1e6

test('it is shown as stuck after a while, told once, and ends when the backend is well', async () => {
  const on = await BrokerRig.start({ reclaim: { stuckAfterMs: 10_000 } })
  rig = on
  const [{ vm, bound }, other] = [await busyVm(on), await busyVm(on)]
  on.emulator.injectFault('emu0', { kind: 'STOP', times: NEVER, effect: 'unbind' })
  on.owners.kill(vm.owner)
  await on.until(() => on.telemetry.backendFaults.length > 0)
  const view = async () => ok(await on.broker.reclaim())
  expect(await view()).toMatchObject({ stuckCount: 0, stuck: [] })
  await on.passUntil(() => on.telemetry.stuckJobs.length > 0, 500)
  const problem = 'unbind on emu0: injected: unbind on emu0'
  const { stuckCount, stuck } = await view()
  expect(stuckCount).toBe(1)
  expect(stuck[0]).toMatchObject({ name: vm.name, state: 'CLOSING', stuck: { problem } })
  const attempts = stuck[0]?.stuck?.attempts ?? 0
  // 20 ms, doubled up to 5 s: ten or so in the time.
  expect(attempts).toBeGreaterThan(8)
  expect(attempts).toBeLessThan(14)
  expect(on.telemetry.stuckJobs).toMatchObject([{ session: vm.name, problem }])
  const seen = ok(await on.broker.getSessionByName(vm.name))
  expect(seen.stuck).toMatchObject({ problem })
  const faults = on.telemetry.backendFaults.length
  await on.passUntil(() => on.telemetry.backendFaults.length > faults + 3, 500)
  expect(on.telemetry.stuckJobs).toHaveLength(1)
  expect(await inForce(on)).toContain(bound)
  expect(on.broker.state.host.slotOf(bound)).toBe(SLOT.FREE_PENDING)
  // Another session's own commands are served, and its end is its own affair.
  ok(await other.vm.bind(await other.vm.one(), { table: tableAt(3) }))
  on.emulator.clearFaults('emu0')
  on.owners.kill(other.vm.owner)
  await on.until(() => isGone(on, other.vm))
  await on.passUntil(() => isGone(on, vm), 500)
  expect(await view()).toMatchObject({ stuckCount: 0 })
})

test('one binding of 100 that cannot be taken down: the other 99 numbers rest', async () => {
  const on = await BrokerRig.start()
  rig = on
  const vm = await on.vm()
  ok(await vm.attach())
  const { runs } = ok(await vm.allocate({ ask: blockAsk(7) }))
  const first = runs[0]?.first ?? 0
  for (let i = 0; i < 100; i += 1) ok(await vm.bind(first + i))
  on.emulator.injectFault('emu0', { kind: 'STOP', times: 1, effect: 'unbind', skip: 41 })
  on.owners.kill(vm.owner)
  await on.until(() => on.telemetry.backendFaults.length > 0)
  await on.settled()
  expect(await inForce(on)).toHaveLength(1)
  expect(on.broker.state.host.counts).toMatchObject({ held: 0, pending: 1, quarantined: 127 })
  expect(stateOf(on, vm)).toBe('CLOSING')
  await on.passUntil(() => isGone(on, vm))
  expect(on.broker.state.host.counts).toMatchObject({ pending: 0 })
})

test('one device of three that does not let go: the others do, and other sessions may have them', async () => {
  const whole = { ...DEVICE_DEFAULTS, shared: false }
  const on = await BrokerRig.start({
    devices: [{ ...SHARED }, { ...whole, name: 'emu1' }, { ...whole, name: 'emu2' }],
    scopes: new Map(),
  })
  rig = on
  const vm = await on.vm()
  const bound: number[] = []
  for (const device of ['emu0', 'emu1', 'emu2']) {
    ok(await vm.attach(device))
    const pasid = await vm.one()
    bound.push(pasid)
    ok(await vm.bind(pasid, { devices: [device] }))
  }
  on.emulator.injectFault('emu1', { kind: 'STOP', times: 2, effect: 'detachDevice' })
  on.owners.kill(vm.owner)
  await on.until(() => on.broker.state.sessions.get(vm.id)?.attachments.size === 1)
  await on.settled()
  expect(await inForce(on)).toEqual([])
  expect(on.broker.state.host.counts).toMatchObject({ held: 0, pending: 0, quarantined: 3 })
  const next = await on.vm()
  ok(await next.attach('emu2'))
  await on.passUntil(() => isGone(on, vm))
  ok(await next.attach('emu1'))
})

test('four sessions whose teardown keeps failing do not hold up the fifth', async () => {
  const on = await BrokerRig.start({ devices: [SHARED, { ...SHARED, name: 'emu2' }] })
  rig = on
  const stuck = await Promise.all(Array.from({ length: 6 }, () => busyVm(on)))
  const other = await on.vm()
  ok(await other.attach('emu2'))
  ok(await other.bind(await other.one(), { devices: ['emu2'] }))
  on.emulator.injectFault('emu0', { kind: 'STOP', times: NEVER, effect: 'unbind' })
  for (const { vm } of stuck) on.owners.kill(vm.owner)
  on.owners.kill(other.owner)
  await on.until(() => isGone(on, other))
  expect(on.broker.unfinishedTeardowns).toBe(6)
  on.emulator.clearFaults('emu0')
  await on.passUntil(() => on.broker.state.sessions.size === 0)
})

test('a broker that starts beside a failing backend takes it up, and serves', async () => {
  const on = await BrokerRig.start()
  rig = on
  const { vm } = await busyVm(on)
  on.emulator.injectFault('emu0', { kind: 'STOP', times: NEVER, effect: 'unbind' })
  on.owners.kill(vm.owner)
  await on.until(() => on.telemetry.backendFaults.length > 0)
  await on.settled()
  const next = await on.kill()
  rig = next
  // The emulator of the next incarnation knows nothing: there is nothing to take down.
  expect(isGone(next, vm)).toBe(true)
  expect(next.broker.state.host.counts).toMatchObject({ held: 0, pending: 0, quarantined: 2 })
})

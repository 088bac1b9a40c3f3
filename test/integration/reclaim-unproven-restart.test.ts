/**
 * Numbers of a session that its VMM may have attached by itself, where the daemon was restarted
 * before its end, or in it: what an earlier life knew of its devices is not known any more.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { LOOK_MS_MAX, LOOK_MS_MIN } from '../../src/broker/unproven.js'
import { SLOT } from '../../src/core/namespace.js'
import { handing, RigNative } from '../support/broker-rig-native.js'
import { alone, HOLD_MS, looks, pass, quiet, slot } from '../support/broker-rig-unproven.js'
import { ok } from '../support/broker-rig-vm.js'
import { BrokerRig, removeFolders, type RigOptions } from '../support/broker-rig.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

async function up(options: RigOptions = {}): Promise<{ on: BrokerRig; native: RigNative }> {
  const native = options.native ?? new RigNative()
  rig = await BrokerRig.start({ ...options, native })
  return { on: rig, native }
}

describe('over a restart', () => {
  test('they are held back still, and the hold begins whole again', async () => {
    const { on, native } = await up()
    const one = await alone(on, 'nic0')
    ok(await one.vm.close())
    await pass(on, HOLD_MS - 1000)
    rig = await on.restart({ native: native.reborn(false) })
    expect(slot(rig, one)).toBe(SLOT.FREE_PENDING)
    expect(ok(await rig.broker.reclaim())).toMatchObject({
      breakerOpen: false,
      unprovenSessions: 1,
      unprovenPasids: 1,
    })
    await pass(rig, HOLD_MS - 1)
    expect(slot(rig, one)).toBe(SLOT.FREE_PENDING)
    await pass(rig, 1)
    expect(slot(rig, one)).toBe(SLOT.QUARANTINED)
    expect(rig.broker.state.sessions.size).toBe(0)
  })

  test.each(['nic0', 'nic1'])(
    'what was detached by number before is not known: that all others are closed proves nothing (%s)',
    async (detached) => {
      const { on, native } = await up()
      const one = await alone(on, 'nic0', 'nic1')
      ok(await one.vm.detach(detached))
      await on.settled()
      const next = native.reborn(false)
      rig = await on.restart({ native: next })
      // The detached one is not closed: the VMM has it bound, with the number attached.
      for (const name of native.names) next.closed.set(name, name !== detached)
      ok(await one.vm.on(rig.broker).close())
      await pass(rig, HOLD_MS - 1)
      expect(slot(rig, one)).toBe(SLOT.FREE_PENDING)
      expect(looks(next)).toBe(0)
      await pass(rig, 1)
      expect(slot(rig, one)).toBe(SLOT.QUARANTINED)
      expect(rig.telemetry.unprovenTold.at(-1)).toMatchObject({ how: 'HOLD_OVER' })
    },
  )

  test('without one, what was detached by number must be seen closed', async () => {
    const { on, native } = await up()
    const one = await alone(on, 'nic0', 'nic1')
    ok(await one.vm.detach('nic0'))
    native.closed.set('nic0', false).set('nic1', true)
    ok(await one.vm.close())
    await pass(on, 10_000)
    expect(slot(on, one)).toBe(SLOT.FREE_PENDING)
    native.closed.set('nic0', true)
    await pass(on, LOOK_MS_MAX)
    expect(slot(on, one)).toBe(SLOT.QUARANTINED)
  })

  test('of one whose devices are all in the broker’s hands again, letting go proves it', async () => {
    const { on, native } = await up()
    const one = await alone(on, 'nic0')
    rig = await on.restart({ native: native.reborn(false) })
    const vm = one.vm.on(rig.broker)
    ok(await vm.detach('nic0'))
    ok(await vm.handOver(handing().take, 'nic0'))
    ok(await vm.close())
    await quiet(rig)
    expect(slot(rig, one)).toBe(SLOT.QUARANTINED)
  })

  test('of a session that was opened after it, all is known', async () => {
    const { on, native } = await up()
    const next = native.reborn(false)
    rig = await on.restart({ native: next })
    const one = await alone(rig, 'nic0')
    next.closed.set('nic0', true)
    ok(await one.vm.close())
    await pass(rig, LOOK_MS_MIN)
    expect(slot(rig, one)).toBe(SLOT.QUARANTINED)
  })

  test('killed as the session ends: nothing is proven by a drop that nobody saw', async () => {
    const { on, native } = await up()
    const vm = await on.vm()
    ok(await vm.handOver(handing().take, 'nic0'))
    const one = { vm, pasid: await vm.one() }
    const drop = native.hold('drop')
    void vm.close()
    await drop.reached
    await on.settled()
    rig = await on.kill({ native: native.reborn(false) })
    expect(slot(rig, one)).toBe(SLOT.FREE_PENDING)
    await pass(rig, HOLD_MS)
    expect(slot(rig, one)).toBe(SLOT.QUARANTINED)
  })

  test('descriptors that were kept are let go then, and prove it', async () => {
    const { on, native } = await up()
    const vm = await on.vm()
    const handed = handing()
    ok(await vm.handOver(handed.take, 'nic0'))
    const one = { vm, pasid: await vm.one() }
    ok(await vm.bind(one.pasid, { devices: ['nic0'] }))
    const drop = native.hold('drop')
    void vm.close()
    await drop.reached
    await on.settled()
    const next = native.reborn(true)
    rig = await on.kill({ native: next })
    expect(handed.cdev.closes).toBe(1)
    expect(next.inForce()).toEqual([])
    expect(next.kept()).toEqual([])
    expect(slot(rig, one)).toBe(SLOT.QUARANTINED)
  })
})

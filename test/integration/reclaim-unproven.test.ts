/**
 * Numbers of an ended session that its VMM may have attached by itself: they wait until every such
 * device was seen closed, a hold is over, or an operator says so.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { LOOK_MS_MAX, LOOK_MS_MIN } from '../../src/broker/unproven.js'
import { SLOT } from '../../src/core/namespace.js'
import { handing, RigNative } from '../support/broker-rig-native.js'
import { sweepNow } from '../support/broker-rig-reclaim.js'
import { alone, HOLD_MS, looks, pass, quiet, slot } from '../support/broker-rig-unproven.js'
import { ACTOR, codeOf, exactAsk, ok } from '../support/broker-rig-vm.js'
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

describe('the numbers of a session whose device is not in the broker’s hands', () => {
  test('rest as soon as the device is seen closed', async () => {
    const { on, native } = await up()
    const one = await alone(on, 'nic0')
    native.closed.set('nic0', false)
    ok(await one.vm.close())
    expect(slot(on, one)).toBe(SLOT.FREE_PENDING)
    expect(on.broker.state.session(one.vm.id)).toMatchObject({
      held: 1,
      record: { state: 'CLOSING', unproven: true, withheld: false },
    })
    await pass(on, LOOK_MS_MIN)
    expect(looks(native)).toBe(1)
    expect(slot(on, one)).toBe(SLOT.FREE_PENDING)
    native.closed.set('nic0', true)
    await pass(on, 2 * LOOK_MS_MIN)
    expect(slot(on, one)).toBe(SLOT.QUARANTINED)
    expect(on.broker.state.sessions.size).toBe(0)
    const told = { session: one.vm.name, pasids: 1 }
    expect(on.telemetry.unprovenTold).toEqual([
      { ...told, how: 'BEGUN' },
      { ...told, how: 'SEEN_CLOSED' },
    ])
  })

  test('rest when the hold is over, whatever can be seen; the looks get rarer', async () => {
    const { on, native } = await up()
    const one = await alone(on, 'nic0')
    ok(await one.vm.close())
    let before = 0
    const pauses: number[] = []
    for (let ms = 0; ms < HOLD_MS - 100; ms += 100) {
      await pass(on, 100)
      if (looks(native) === before) continue
      pauses.push(ms + 100)
      before = looks(native)
    }
    expect(pauses.slice(0, 4)).toEqual([100, 300, 700, 1500])
    const between = pauses.slice(1).map((at, i) => at - (pauses[i] ?? 0))
    expect(Math.max(...between)).toBe(LOOK_MS_MAX)
    expect(slot(on, one)).toBe(SLOT.FREE_PENDING)
    await pass(on, 100)
    expect(slot(on, one)).toBe(SLOT.QUARANTINED)
    expect(on.telemetry.unprovenTold.at(-1)).toMatchObject({ how: 'HOLD_OVER' })
    const known = looks(native)
    await pass(on, HOLD_MS)
    expect(looks(native)).toBe(known)
    expect(on.clock.timers).toBe(1)
  })

  test('rest when an operator says so; nothing is looked at any more', async () => {
    const { on, native } = await up()
    const one = await alone(on, 'nic0')
    ok(await one.vm.close())
    const view = ok(await on.broker.reclaim())
    expect(view).toMatchObject({ unprovenSessions: 1, unprovenPasids: 1 })
    expect(view).toMatchObject({ breakerOpen: false, withheldSessions: 0, withheldPasids: 0 })
    const resumed = ok(await on.broker.resumeReclaim({ reason: 'gone', actor: ACTOR }))
    expect(resumed).toEqual({ sessions: 1, pasids: 1 })
    expect(slot(on, one)).toBe(SLOT.QUARANTINED)
    await pass(on, HOLD_MS)
    expect(looks(native)).toBe(0)
    expect(ok(await on.broker.reclaim())).toMatchObject({ unprovenSessions: 0 })
  })

  test('wait for each of its devices', async () => {
    const { on, native } = await up()
    const one = await alone(on, 'nic0', 'nic1')
    native.closed.set('nic0', true)
    native.closed.set('nic1', false)
    on.owners.kill(one.vm.owner)
    await on.until(() => on.telemetry.unprovenTold.length === 1)
    await pass(on, LOOK_MS_MIN)
    await pass(on, 2 * LOOK_MS_MIN)
    expect(slot(on, one)).toBe(SLOT.FREE_PENDING)
    expect(native.calls.filter((call) => call === 'seenClosed nic0')).toHaveLength(1)
    native.closed.set('nic1', true)
    await pass(on, 4 * LOOK_MS_MIN)
    expect(slot(on, one)).toBe(SLOT.QUARANTINED)
  })

  test('are granted to nobody meanwhile, and are charged', async () => {
    const { on } = await up()
    const one = await alone(on, 'nic0')
    ok(await one.vm.close())
    const other = await on.vm()
    expect(codeOf(await other.allocate({ ask: exactAsk(one.pasid) }))).toBe('PASID_TAKEN')
    expect(on.broker.state.hostUsed).toBe(1)
    await pass(on, HOLD_MS)
    await pass(on, 1000)
    ok(await other.allocate({ ask: exactAsk(one.pasid) }))
  })
})

describe('what is not held back', () => {
  test('a session that held no number, or has given them back', async () => {
    const { on } = await up()
    const [none, gave] = [await alone(on, 'nic0'), await alone(on, 'nic1')]
    for (const { vm, pasid } of [none, gave]) ok(await vm.free([pasid]))
    for (const { vm } of [none, gave]) ok(await vm.close())
    expect(on.broker.state.sessions.size).toBe(0)
    expect(on.telemetry.unprovenTold).toEqual([])
  })

  test('anything, where the hold is 0', async () => {
    const { on } = await up({ reclaim: { unprovenHoldMs: 0 } })
    const one = await alone(on, 'nic0')
    ok(await one.vm.close())
    expect(slot(on, one)).toBe(SLOT.QUARANTINED)
    expect(on.broker.state.sessions.size).toBe(0)
  })

  test('anything on the emulator', async () => {
    rig = await BrokerRig.start()
    const one = await alone(rig, 'emu0')
    ok(await one.vm.close())
    expect(slot(rig, one)).toBe(SLOT.QUARANTINED)
  })
})

test('with no device attached nobody knows where to look: only time tells', async () => {
  const { on, native } = await up()
  const one = await alone(on)
  ok(await one.vm.close())
  await pass(on, HOLD_MS - 1)
  expect(slot(on, one)).toBe(SLOT.FREE_PENDING)
  expect(looks(native)).toBe(0)
  await pass(on, 1)
  expect(slot(on, one)).toBe(SLOT.QUARANTINED)
})

test('one device in the broker’s hands and one not: the other must be seen closed', async () => {
  const { on, native } = await up()
  const one = await alone(on, 'nic1')
  const handed = handing()
  ok(await one.vm.handOver(handed.take, 'nic0'))
  ok(await one.vm.bind(one.pasid, { devices: ['nic0'] }))
  ok(await one.vm.close())
  expect(handed.cdev.closes).toBe(1)
  expect(native.inForce()).toEqual([])
  expect(slot(on, one)).toBe(SLOT.FREE_PENDING)
  native.closed.set('nic1', true)
  await pass(on, LOOK_MS_MIN)
  expect(slot(on, one)).toBe(SLOT.QUARANTINED)
  // One look was enough: nobody had it when our copies were closed.
  expect(native.calls.filter((call) => call === 'seenClosed nic0')).toHaveLength(1)
})

test('a device that the backend is not certain to have let go must be seen closed', async () => {
  const { on, native } = await up()
  const vm = await on.vm()
  ok(await vm.handOver(handing().take, 'nic0'))
  const one = { vm, pasid: await vm.one() }
  native.uncertain = ['nic0']
  ok(await vm.close())
  expect(slot(on, one)).toBe(SLOT.FREE_PENDING)
  native.closed.set('nic0', true)
  await pass(on, LOOK_MS_MIN)
  expect(slot(on, one)).toBe(SLOT.QUARANTINED)
})

describe('a device that another session has by now', () => {
  test('is not looked at; handing it over shows that it was closed', async () => {
    const { on, native } = await up()
    const one = await alone(on, 'nic0')
    ok(await one.vm.close())
    const next = await on.vm()
    const key = handing()
    ok(await next.handOver(key.take, 'nic0'))
    await quiet(on)
    expect(slot(on, one)).toBe(SLOT.QUARANTINED)
    expect(looks(native)).toBe(0)
  })

  test('by number only, it shows nothing', async () => {
    const { on, native } = await up()
    const one = await alone(on, 'nic0')
    native.closed.set('nic0', true)
    ok(await one.vm.close())
    const next = await on.vm()
    ok(await next.attach('nic0'))
    await pass(on, 10_000)
    expect(slot(on, one)).toBe(SLOT.FREE_PENDING)
    expect(looks(native)).toBe(0)
    ok(await next.detach('nic0'))
    await pass(on, LOOK_MS_MAX)
    expect(slot(on, one)).toBe(SLOT.QUARANTINED)
  })

  test('is attached only after a look that is under way', async () => {
    const { on, native } = await up()
    const one = await alone(on, 'nic0')
    ok(await one.vm.close())
    const look = native.hold('seenClosed')
    on.clock.pass(LOOK_MS_MIN)
    await look.reached
    const next = await on.vm()
    const handed = handing()
    const attaching = next.handOver(handed.take, 'nic0')
    await quiet(on)
    expect(handed.taken).toBe(0)
    look.release()
    ok(await attaching)
    expect(handed.taken).toBe(1)
  })
})

test('held back by the breaker as well, the proof alone lets nothing go', async () => {
  const { on, native } = await up({ reclaim: { breakerShare: 1, breakerFloor: 0 } })
  const one = await alone(on, 'nic0')
  native.closed.set('nic0', true)
  on.owners.become(one.vm.owner, 'DEAD_INFERRED')
  await sweepNow(on)
  await on.until(() => on.telemetry.unprovenTold.length === 1)
  expect(ok(await on.broker.reclaim())).toMatchObject({ withheldSessions: 1, unprovenSessions: 1 })
  await pass(on, LOOK_MS_MIN)
  expect(on.telemetry.unprovenTold.at(-1)).toMatchObject({ how: 'SEEN_CLOSED' })
  expect(ok(await on.broker.reclaim())).toMatchObject({ withheldSessions: 1, unprovenSessions: 0 })
  expect(slot(on, one)).toBe(SLOT.FREE_PENDING)
  ok(await on.broker.resumeReclaim({ reason: 'test', actor: ACTOR }))
  expect(slot(on, one)).toBe(SLOT.QUARANTINED)
})

test('a proof that the ledger could not write holds, and is written later', async () => {
  const { on, native } = await up()
  const one = await alone(on, 'nic0')
  native.closed.set('nic0', true)
  ok(await one.vm.close())
  await on.settled()
  on.ledger.plan({ nth: 1, how: 'UNKNOWN_NOT_WRITTEN', reopenFailures: 2 })
  on.clock.pass(LOOK_MS_MIN)
  await on.until(() => slot(on, one) === SLOT.QUARANTINED)
  await on.passUntil(() => on.telemetry.recoveries === 1)
  await on.passUntil(() => on.broker.state.sessions.size === 0)
  await on.settled()
  expect(await on.differencesFromFile()).toEqual([])
})

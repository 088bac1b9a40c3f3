/**
 * Whatever ends a session, what it handed over is let go at once: before the ledger has written it,
 * before others that ended earlier, breaker or not. Its numbers rest when that is done. While it
 * lingers it keeps its descriptors.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { Scope } from '../../src/core/device.js'
import { SLOT } from '../../src/core/namespace.js'
import { handing, RigNative, type Handing } from '../support/broker-rig-native.js'
import { stateOf, sweepNow } from '../support/broker-rig-reclaim.js'
import { ACTOR, codeOf, exactAsk, ok, type OpenAsk, type RigVm } from '../support/broker-rig-vm.js'
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

interface Brokered {
  readonly vm: RigVm
  readonly handed: Handing
  readonly bound: number
  readonly idle: number
}

/** A VM whose device is in the broker's hands, one number bound and one not. */
async function brokered(on: BrokerRig, ask: OpenAsk = {}, device = 'nic0'): Promise<Brokered> {
  const vm = await on.vm(ask)
  const handed = handing()
  ok(await vm.handOver(handed.take, device))
  const [bound, idle] = [await vm.one(), await vm.one()]
  ok(await vm.bind(bound, { devices: [device] }))
  await on.settled()
  return { vm, handed, bound, idle }
}

function closes({ iommufd, cdev }: Handing): number[] {
  return [iommufd.closes, cdev.closes]
}

function slots(on: BrokerRig, { bound, idle }: Brokered): number[] {
  return [bound, idle].map((pasid) => on.broker.state.host.slotOf(pasid))
}

const RESTING = [SLOT.QUARANTINED, SLOT.QUARANTINED]
const WAITING = [SLOT.FREE_PENDING, SLOT.FREE_PENDING]

const ENDS: readonly [string, (on: BrokerRig, vm: RigVm) => Promise<unknown>][] = [
  ['closed by its owner', (_on, vm) => vm.close()],
  [
    'ended by an operator',
    (on, { name }) =>
      on.broker.endSession({ name, actor: ACTOR, reason: 'test', validateOnly: false }),
  ],
  ['its owner has ended', (on, { owner }) => Promise.resolve(on.owners.kill(owner))],
  [
    'a sweep finds its owner ended',
    (on, { owner }) => {
      on.owners.become(owner, 'DEAD_PROVEN')
      return sweepNow(on)
    },
  ],
  [
    'a sweep infers that its owner has ended',
    (on, { owner }) => {
      on.owners.become(owner, 'DEAD_INFERRED')
      return sweepNow(on)
    },
  ],
]

describe.each(ENDS)('a session with a device in the broker’s hands, %s', (_how, end) => {
  test('lets it go, with all its numbers; then they rest, and it is gone', async () => {
    const { on, native } = await up()
    const one = await brokered(on)
    const ending = end(on, one.vm)
    await on.until(() => !on.broker.state.sessions.has(one.vm.id))
    await ending
    expect(native.granted).toEqual([one.bound, one.idle])
    expect(native.inForce()).toEqual([])
    expect(closes(one.handed)).toEqual([1, 1])
    expect(slots(on, one)).toEqual(RESTING)
    expect(on.telemetry.unprovenTold).toEqual([])
    on.clock.pass(1000)
    ok(await (await on.vm()).allocate({ ask: exactAsk(one.bound, one.idle) }))
  })

  test('lets it go while the ledger hangs', async () => {
    const { on, native } = await up()
    const one = await brokered(on)
    const write = on.ledger.holdAppend()
    const ending = end(on, one.vm)
    await write.reached
    await on.until(() => native.calls.includes(`drop ${one.vm.id}`))
    await on.until(() => closes(one.handed).join() === '1,1')
    expect(native.inForce()).toEqual([])
    expect(on.broker.state.sessions.has(one.vm.id)).toBe(true)
    write.release()
    await ending
    await on.until(() => !on.broker.state.sessions.has(one.vm.id))
  })

  test('lets it go while the ledger cannot be written; the rest comes when it can', async () => {
    const { on } = await up()
    const one = await brokered(on)
    on.ledger.plan({ nth: 1, how: 'UNKNOWN_NOT_WRITTEN', reopenFailures: 3 })
    const ending = end(on, one.vm)
    await on.until(() => closes(one.handed).join() === '1,1')
    await on.until(() => slots(on, one).join() === RESTING.join())
    await ending
    expect(on.telemetry.recoveries).toBe(0)
    await on.passUntil(() => on.telemetry.recoveries === 1)
    await on.passUntil(() => !on.broker.state.sessions.has(one.vm.id))
    await on.settled()
    expect(await on.differencesFromFile()).toEqual([])
  })

  test('has its numbers wait for a device that is slow to go; others do not', async () => {
    const { on, native } = await up()
    const [one, other] = [await brokered(on), await brokered(on, {}, 'nic1')]
    const slow = native.hold('drop')
    const ending = end(on, one.vm)
    await slow.reached
    await on.until(() => stateOf(on, one.vm) === 'CLOSING')
    on.clock.pass(5000)
    ok(await other.vm.close())
    expect(slots(on, other)).toEqual(RESTING)
    expect(slots(on, one)).toEqual(WAITING)
    expect(ok(await on.broker.reclaim())).toMatchObject({
      unprovenSessions: 1,
      unprovenPasids: 2,
      withheldSessions: 0,
    })
    slow.release()
    await ending
    await on.until(() => !on.broker.state.sessions.has(one.vm.id))
    expect(slots(on, one)).toEqual(RESTING)
  })
})

describe('the breaker', () => {
  test('holds numbers back, never devices', async () => {
    const { on, native } = await up({ reclaim: { breakerShare: 1, breakerFloor: 0 } })
    const one = await brokered(on)
    on.owners.become(one.vm.owner, 'DEAD_INFERRED')
    await sweepNow(on)
    await on.until(() => closes(one.handed).join() === '1,1')
    expect(native.inForce()).toEqual([])
    await on.until(() => on.broker.state.session(one.vm.id).attachments.size === 0)
    expect(slots(on, one)).toEqual(WAITING)
    expect(ok(await on.broker.reclaim())).toMatchObject({
      breakerOpen: true,
      withheldSessions: 1,
      // That it is let go was proof enough.
      unprovenSessions: 0,
    })
    ok(await on.broker.resumeReclaim({ reason: 'test', actor: ACTOR }))
    expect(slots(on, one)).toEqual(RESTING)
  })
})

describe('many that end at once', () => {
  test('let go at once, before the numbers of those that ended earlier rest', async () => {
    const native = new RigNative(Array.from({ length: 90 }, (_, i) => `nic${i}`))
    const { on } = await up({ native })
    const all: Brokered[] = []
    for (const name of native.names) all.push(await brokered(on, {}, name))
    const write = on.ledger.holdAppend()
    // Nothing is decided of most of them: they wait for their turn.
    for (const { vm } of all) on.owners.kill(vm.owner)
    await write.reached
    await on.until(() => all.every(({ handed }) => closes(handed).join() === '1,1'))
    expect(all.filter(({ vm }) => stateOf(on, vm) === 'OPEN').length).toBeGreaterThan(0)
    write.release()
    await on.passUntil(() => on.broker.state.sessions.size === 0)
  })
})

describe('a session that lingers', () => {
  const LINGER = { lingerMs: 10_000 }

  test('keeps its device for a successor, who goes on with it', async () => {
    const { on, native } = await up()
    const one = await brokered(on, LINGER)
    on.owners.kill(one.vm.owner)
    await on.until(() => stateOf(on, one.vm) === 'LINGERING')
    on.clock.pass(9000)
    const heir = on.owners.start()
    ok(await on.resume(one.vm, heir))
    expect(native.inForce()).toEqual([`nic0 ${one.bound}`])
    ok(await one.vm.bind(one.idle, { devices: ['nic0'] }))
    on.clock.pass(20_000)
    expect(closes(one.handed)).toEqual([0, 0])
    ok(await one.vm.close())
    expect(closes(one.handed)).toEqual([1, 1])
  })

  test('lets it go when nobody came, while the ledger hangs', async () => {
    const { on } = await up()
    const one = await brokered(on, LINGER)
    const other = await on.vm()
    on.owners.kill(one.vm.owner)
    await on.until(() => stateOf(on, one.vm) === 'LINGERING')
    await on.settled()
    const write = on.ledger.holdAppend()
    const asking = other.allocate()
    await write.reached
    on.clock.pass(10_001)
    await on.until(() => closes(one.handed).join() === '1,1')
    write.release()
    ok(await asking)
    await on.until(() => !on.broker.state.sessions.has(one.vm.id))
  })

  test('has a successor on its way to the disk: that one is waited for', async () => {
    const { on, native } = await up()
    const one = await brokered(on, LINGER)
    on.owners.kill(one.vm.owner)
    await on.until(() => stateOf(on, one.vm) === 'LINGERING')
    await on.settled()
    const write = on.ledger.holdAppend()
    const heir = on.owners.start()
    const resuming = on.resume(one.vm, heir)
    await write.reached
    on.clock.pass(10_001)
    write.release()
    ok(await resuming)
    await on.settled()
    expect(stateOf(on, one.vm)).toBe('OPEN')
    expect(native.calls.some((call) => call.startsWith('drop'))).toBe(false)
  })
})

test('numbers of a device’s own numbering are let go as well', async () => {
  const scopes = new Map<string, Scope>([['nic1', 'DEVICE']])
  const { on, native } = await up({ scopes })
  const vm = await on.vm()
  ok(await vm.handOver(handing().take, 'nic1'))
  const own = await vm.one({ scope: { kind: 'DEVICE', device: 'nic1' } })
  const host = await vm.one()
  expect(own).not.toBe(host)
  ok(await vm.close())
  expect(native.granted).toEqual([own, host].sort((a, b) => a - b))
})

test('after the owner’s end is certain, nothing more is handed over', async () => {
  const { on } = await up()
  const one = await brokered(on)
  const write = on.ledger.holdAppend()
  on.owners.kill(one.vm.owner)
  await write.reached
  const late = handing()
  expect(codeOf(await one.vm.handOver(late.take, 'nic1'))).toBe('SESSION_CLOSING')
  expect(late.taken).toBe(0)
  write.release()
  await on.until(() => !on.broker.state.sessions.has(one.vm.id))
})

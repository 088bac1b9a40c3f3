/**
 * The commit queue at its edges, on a broker with a real ledger behind a door that fails as
 * ordered: what is asked while it is being found out what is on the disk, what is remembered when a
 * batch turns out to be written, and stopping in the middle of it.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { BATCH_CHANGES_MAX, QUEUE_CHANGES_MAX } from '../../src/broker/commit-queue.js'
import { BrokerRig, removeFolders } from '../support/broker-rig.js'
import { codeOf, exactAsk, ok, requestKey, type RigVm } from '../support/broker-rig-vm.js'
import type { AppendFailure } from '../support/failing-ledger.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

async function up(): Promise<{ on: BrokerRig; vm: RigVm }> {
  const on = await BrokerRig.start()
  rig = on
  const vm = await on.vm()
  ok(await vm.attach())
  await on.settled()
  return { on, vm }
}

/** The next append fails; `then` are attempts to reopen that fail before one succeeds. */
function order(on: BrokerRig, how: AppendFailure, reopenFailures: number, times = 1): void {
  on.ledger.plan({ nth: 1, how, times, reopenFailures })
}

async function recovered(on: BrokerRig): Promise<void> {
  await on.passUntil(() => on.broker.info().writable)
  await on.settled()
}

describe('a batch of unknown fate', () => {
  test('is written, and that is known at once: nobody notices', async () => {
    const { on, vm } = await up()
    order(on, 'UNKNOWN_WRITTEN', 0)
    expect(await vm.one()).toBe(256)
    expect(on.telemetry.failures).toEqual([])
    expect(await vm.held()).toEqual([256])
  })

  test('is not written, and that is known at once: refused, undone, open again', async () => {
    const { on, vm } = await up()
    order(on, 'UNKNOWN_NOT_WRITTEN', 0)
    expect(codeOf(await vm.allocate())).toBe('LEDGER_UNAVAILABLE')
    expect(on.broker.info().writable).toBe(true)
    expect(await vm.held()).toEqual([])
    expect(await vm.one()).toBe(256)
  })

  test('shows nothing to a reader while it is being found out', async () => {
    const { on, vm } = await up()
    const reopening = on.ledger.holdReopen()
    order(on, 'UNKNOWN_NOT_WRITTEN', 0)
    const refused = vm.allocate()
    await reopening.reached
    const reading = vm.held()
    const freeing = vm.freeRange()
    expect(codeOf(await vm.allocate())).toBe('LEDGER_UNAVAILABLE')
    reopening.release()
    expect(await reading).toEqual([])
    expect(codeOf(await refused)).toBe('LEDGER_UNAVAILABLE')
    expect(ok(await freeing).freed).toBe(0)
  })

  test('found written later: what was refused is held after all, and a retry says so', async () => {
    const { on, vm } = await up()
    order(on, 'UNKNOWN_WRITTEN', 2)
    const request = requestKey('a')
    expect(codeOf(await vm.allocate({ request }))).toBe('LEDGER_UNAVAILABLE')
    expect(on.broker.state.host.counts.held).toBe(0)
    await recovered(on)
    expect(await vm.held()).toEqual([256])
    expect(ok(await vm.allocate({ request })).runs).toEqual([{ first: 256, count: 1 }])
    expect(await vm.held()).toEqual([256])
  })

  test('found written later: an attach that was refused is taken back', async () => {
    const { on } = await up()
    const vm = await on.vm()
    order(on, 'UNKNOWN_WRITTEN', 2)
    expect(codeOf(await vm.attach('emu1'))).toBe('LEDGER_UNAVAILABLE')
    await recovered(on)
    expect(on.broker.state.session(vm.id).attachments.size).toBe(0)
    ok(await vm.attach('emu1'))
  })

  test('found written later, and its session was closed meanwhile: nothing of it is left', async () => {
    const { on, vm } = await up()
    order(on, 'UNKNOWN_WRITTEN', 3)
    expect(codeOf(await vm.allocate())).toBe('LEDGER_UNAVAILABLE')
    expect(ok(await vm.close())).toMatchObject({ freed: 0, durable: false })
    expect(on.broker.state.sessions.size).toBe(1)
    await recovered(on)
    await on.passUntil(() => on.broker.state.sessions.size === 0)
    expect(on.broker.state.host.counts).toMatchObject({ held: 0, pending: 0, quarantined: 1 })
    expect(on.broker.unfinishedTeardowns).toBe(0)
  })
})

describe('request ids over a failed commit', () => {
  test('frees with ids beside a batch that is found written keep both answers', async () => {
    const { on, vm } = await up()
    const [a, b, c] = [await vm.one(), await vm.one(), await vm.one()]
    order(on, 'UNKNOWN_WRITTEN', 2)
    // Two changes of one session in the doubtful batch, two more while it is in doubt: under which
    // revision each becomes durable is not known before the ledger is back.
    const first = vm.free([a], { request: requestKey('free-a') })
    const refused = vm.allocate({ request: requestKey('more'), ask: exactAsk(500) })
    expect(ok(await first)).toMatchObject({ freed: 1, durable: false })
    expect(codeOf(await refused)).toBe('LEDGER_UNAVAILABLE')
    expect(ok(await vm.free([b], { request: requestKey('free-b') }))).toMatchObject({ freed: 1 })
    expect(ok(await vm.free([c], { request: requestKey('free-c') }))).toMatchObject({ freed: 1 })
    await recovered(on)
    expect(await vm.held()).toEqual([500])
    for (const [pasid, id] of [
      [a, 'free-a'],
      [b, 'free-b'],
      [c, 'free-c'],
    ] as const) {
      const again = ok(await vm.free([pasid], { request: requestKey(id) }))
      expect(again).toMatchObject({ freed: 1, durable: true })
    }
  })

  test.each([
    ['NOT_WRITTEN', 0],
    ['UNKNOWN_NOT_WRITTEN', 0],
    ['UNKNOWN_NOT_WRITTEN', 2],
    ['UNKNOWN_WRITTEN', 2],
  ] as const)('a free that was answered is answered the same again: %s, %d', async (how, k) => {
    const { on, vm } = await up()
    const pasid = await vm.one()
    order(on, how, k)
    const request = requestKey('free')
    expect(ok(await vm.free([pasid], { request }))).toMatchObject({ freed: 1, durable: false })
    const duplicate = ok(await vm.free([pasid], { request }))
    expect(duplicate.freed).toBe(1)
    await recovered(on)
    expect(ok(await vm.free([pasid], { request }))).toMatchObject({ freed: 1, durable: true })
    on.clock.pass(1000)
    // The number may be granted anew: the retry of the old free must not reach it.
    expect(await vm.one({ ask: exactAsk(pasid) })).toBe(pasid)
    expect(ok(await vm.free([pasid], { request }))).toMatchObject({ freed: 1, durable: true })
    expect(await vm.held()).toEqual([pasid])
    const next = await on.restart()
    rig = next
    expect(ok(await vm.on(next.broker).free([pasid], { request })).freed).toBe(1)
    expect(await vm.on(next.broker).held()).toEqual([pasid])
  })
})

describe('while the ledger is down', () => {
  test('no grants; invalidations, unbinds and frees are served; it recovers by itself', async () => {
    const { on, vm } = await up()
    const [a, b, c] = [await vm.one(), await vm.one(), await vm.one()]
    for (const pasid of [a, b, c]) ok(await vm.bind(pasid))
    await on.settled()
    order(on, 'NOT_WRITTEN', 6)
    expect(codeOf(await vm.allocate())).toBe('LEDGER_UNAVAILABLE')
    expect(on.broker.info().writable).toBe(false)
    expect(codeOf(await on.tryVm())).toBe('LEDGER_UNAVAILABLE')
    expect(codeOf(await vm.attach('emu1'))).toBe('LEDGER_UNAVAILABLE')
    expect(codeOf(await vm.bind(a, { replace: true }))).toBe('LEDGER_UNAVAILABLE')
    expect(ok(await vm.invalidate(a)).done).toBe(1)
    expect(ok(await vm.unbind(b))).toMatchObject({ unbound: 1 })
    expect(ok(await vm.free([c]))).toMatchObject({ freed: 1, durable: false })
    expect(ok(await vm.free([b]))).toMatchObject({ freed: 1, durable: false })
    on.clock.pass(1100)
    const { host } = on.broker.state
    expect(host.counts).toMatchObject({ held: 1, quarantined: 2 })
    await recovered(on)
    expect(on.telemetry.recoveries).toBe(1)
    expect(await vm.held()).toEqual([a])
    // The hold was over before the release was durable: free from the next decision on.
    expect(await vm.one({ ask: exactAsk(b) })).toBe(b)
  })

  test('killed before the release was durable: the number is the caller’s again', async () => {
    const { on, vm } = await up()
    const pasid = await vm.one()
    order(on, 'NOT_WRITTEN', 100, 100)
    expect(ok(await vm.free([pasid]))).toMatchObject({ freed: 1, durable: false })
    const next = await on.kill()
    rig = next
    const again = vm.on(next.broker)
    expect(await again.held()).toEqual([pasid])
    expect(codeOf(await (await next.vm()).allocate({ ask: exactAsk(pasid) }))).toBe('PASID_TAKEN')
    expect(ok(await again.free([pasid]))).toMatchObject({ freed: 1, durable: true })
  })
})

describe('bounds', () => {
  test('beyond so many changes waiting, grants are refused and releases are not', async () => {
    const on = await BrokerRig.start({ policy: { sessionMaxPasids: 2 ** 20 } })
    rig = on
    const vm = await on.vm()
    const pasid = await vm.one()
    await on.settled()
    const append = on.ledger.holdAppend()
    // The first is in flight, the others wait.
    const grants = [vm.allocate()]
    await append.reached
    for (let i = 0; i < QUEUE_CHANGES_MAX; i += 1) grants.push(vm.allocate())
    expect(codeOf(await vm.allocate())).toBe('OVERLOADED')
    const freeing = vm.free([pasid])
    append.release()
    expect(ok(await freeing)).toMatchObject({ freed: 1, durable: true })
    const outcomes = await Promise.all(grants)
    expect(outcomes.every((outcome) => outcome.ok)).toBe(true)
    expect(on.ledger.largest).toBe(BATCH_CHANGES_MAX)
    expect(on.broker.state.host.counts.held).toBe(QUEUE_CHANGES_MAX + 1)
  })

  test('it is tried again after 50 ms, then ever later, up to every two seconds', async () => {
    const { on, vm } = await up()
    order(on, 'NOT_WRITTEN', 12)
    expect(codeOf(await vm.allocate())).toBe('LEDGER_UNAVAILABLE')
    let attempts = 0
    const { timers } = on.clock
    for (const ms of [50, 100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000, 2000, 2000, 2000]) {
      on.clock.pass(ms - 1)
      expect(on.ledger.reopens).toBe(attempts)
      on.clock.pass(1)
      attempts += 1
      await on.until(() => on.ledger.reopens === attempts)
      await on.until(() => on.clock.timers === timers || on.broker.info().writable)
    }
    expect(on.broker.info().writable).toBe(true)
    // A new failure begins with the short pause again.
    order(on, 'NOT_WRITTEN', 0)
    expect(codeOf(await vm.allocate())).toBe('LEDGER_UNAVAILABLE')
    on.clock.pass(50)
    await on.until(() => on.broker.info().writable)
  })

  test('the wall clock jumps while many requests wait, and then their commit fails', async () => {
    const on = await BrokerRig.start({ policy: { sessionMaxPasids: 10_000 } })
    rig = on
    const vm = await on.vm()
    await on.settled()
    const append = on.ledger.holdAppend()
    order(on, 'NOT_WRITTEN', 0, 1)
    const calls = [vm.allocate({ request: requestKey('first') })]
    await append.reached
    for (let i = 0; i < 2000; i += 1) {
      if (i === 1000) on.clock.jumpWall(3_600_000)
      calls.push(vm.allocate({ request: requestKey(`${i}`) }))
    }
    append.release()
    for (const outcome of await Promise.all(calls))
      expect(codeOf(outcome)).toBe('LEDGER_UNAVAILABLE')
    await recovered(on)
    expect(await vm.held()).toEqual([])
    expect(await vm.one({ request: requestKey('first') })).toBe(256)
  })
})

describe('stopping', () => {
  test('while it is being found out what is on the disk waits for that', async () => {
    const { on, vm } = await up()
    const reopening = on.ledger.holdReopen()
    order(on, 'UNKNOWN_WRITTEN', 0)
    const granted = vm.allocate()
    await reopening.reached
    let stopped = false
    const stopping = on.broker.stop().then(() => (stopped = true))
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(stopped).toBe(false)
    reopening.release()
    expect(codeOf(await granted)).toBe('ACCEPTED')
    await stopping
    rig = await on.reincarnate()
    expect(await vm.on(rig.broker).held()).toEqual([256])
  })

  test('while the ledger is down ends all attempts', async () => {
    const { on, vm } = await up()
    order(on, 'NOT_WRITTEN', 0)
    expect(codeOf(await vm.allocate())).toBe('LEDGER_UNAVAILABLE')
    await on.broker.stop()
    on.clock.pass(60_000)
    expect(on.clock.timers).toBe(0)
    expect(on.ledger.reopens).toBe(0)
    rig = await on.reincarnate()
    expect(await vm.on(rig.broker).held()).toEqual([])
  })

  test('while an append is under way that then fails: nothing begins anew', async () => {
    const { on, vm } = await up()
    const append = on.ledger.holdAppend()
    order(on, 'UNKNOWN_NOT_WRITTEN', 0)
    const granted = vm.allocate()
    await append.reached
    const stopping = on.broker.stop()
    append.release()
    expect(codeOf(await granted)).toBe('LEDGER_UNAVAILABLE')
    await stopping
    on.clock.pass(60_000)
    expect(on.clock.timers).toBe(0)
    rig = await on.reincarnate()
  })
})

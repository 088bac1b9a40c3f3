/**
 * What waits for what, and what does not: one session's work on a device goes in order; other
 * sessions, other devices and the disk are not waited for where a guest's CPU spins. And a backend
 * that is dead.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { InvalidationCache } from '../../src/core/commands.js'
import { target } from '../../src/core/ids.js'
import { BrokerRig, removeFolders, SHARED, type RigOptions } from '../support/broker-rig.js'
import { codeOf, exactAsk, ok, requestKey, tableAt, type RigVm } from '../support/broker-rig-vm.js'

let rig: BrokerRig | undefined

async function up(options: RigOptions = {}): Promise<BrokerRig> {
  rig = await BrokerRig.start({ devices: [SHARED, { ...SHARED, name: 'emu2' }], ...options })
  return rig
}

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

async function withNumber(on: BrokerRig): Promise<{ vm: RigVm; pasid: number }> {
  const vm = await on.vm()
  for (const device of ['emu0', 'emu2']) ok(await vm.attach(device))
  return { vm, pasid: await vm.one() }
}

/** Whether it is done after everything that needs no help had time to be. */
async function isDone(work: Promise<unknown>): Promise<boolean> {
  let done = false
  void work.then(() => (done = true))
  await new Promise((resolve) => setTimeout(resolve, 10))
  return done
}

describe('a slow device', () => {
  test('holds up its session’s work on it, in order, and nothing else', async () => {
    const on = await up()
    const [a, b] = [await withNumber(on), await withNumber(on)]
    ok(await b.vm.bind(b.pasid, { guestPasid: 2 }))
    const held = on.backend.hold('bind')
    const binding = a.vm.bind(a.pasid)
    await held.reached
    const invalidating = a.vm.invalidate(a.pasid, 'emu0')
    const unbinding = a.vm.unbind(a.pasid, ['emu0'])
    expect(await isDone(Promise.race([invalidating, unbinding]))).toBe(false)
    ok(await a.vm.bind(a.pasid, { devices: ['emu2'] }))
    expect(ok(await a.vm.invalidate(a.pasid, 'emu2')).done).toBe(1)
    expect(ok(await b.vm.invalidate(b.pasid)).done).toBe(1)
    ok(await b.vm.bind(b.pasid, { replace: true, table: tableAt(9), guestPasid: 2 }))
    expect(ok(await b.vm.unbind(b.pasid))).toMatchObject({ unbound: 1 })
    expect(ok(await b.vm.close()).freed).toBe(1)
    held.release()
    ok(await binding)
    expect(ok(await invalidating)).toEqual({ done: 1, lost: [] })
    expect(ok(await unbinding)).toMatchObject({ unbound: 1 })
  })

  test('a replace in its gap holds up nobody else on a shared device', async () => {
    let open = (): void => undefined
    const gap = new Promise<void>((resolve) => (open = resolve))
    const on = await up({ replaceGap: () => gap })
    const [a, b] = [await withNumber(on), await withNumber(on)]
    ok(await a.vm.bind(a.pasid))
    const replacing = a.vm.bind(a.pasid, { replace: true, table: tableAt(2) })
    expect(await isDone(replacing)).toBe(false)
    ok(await b.vm.bind(b.pasid, { guestPasid: 2 }))
    expect(ok(await b.vm.invalidate(b.pasid)).done).toBe(1)
    expect(ok(await b.vm.free([b.pasid])).freed).toBe(1)
    ok(await b.vm.detach())
    ok(await b.vm.attach())
    open()
    ok(await replacing)
  })
})

describe('a slow disk', () => {
  test('is not waited for by bind, replace, invalidate and unbind', async () => {
    const on = await up()
    const { vm, pasid } = await withNumber(on)
    await on.settled()
    const append = on.ledger.holdAppend()
    const granting = vm.allocate()
    await append.reached
    ok(await vm.bind(pasid))
    ok(await vm.bind(pasid, { replace: true, table: tableAt(2) }))
    expect(ok(await vm.invalidate(pasid))).toEqual({ done: 1, lost: [] })
    expect(ok(await vm.unbind(pasid))).toMatchObject({ unbound: 1 })
    expect(await isDone(granting)).toBe(false)
    append.release()
    ok(await granting)
  })

  test('is waited for by a bind of a number that is not durable, and by its free', async () => {
    const on = await up()
    const { vm } = await withNumber(on)
    await on.settled()
    const append = on.ledger.holdAppend()
    const granting = vm.allocate({ ask: exactAsk(700) })
    await append.reached
    const binding = vm.bind(700)
    const freeing = vm.freeRange({ first: 700, last: 700 })
    expect(await isDone(Promise.race([granting, binding, freeing]))).toBe(false)
    append.release()
    ok(await granting)
    expect(ok(await freeing)).toMatchObject({ freed: 1, durable: true })
    expect(['ACCEPTED', 'BIND_SUPERSEDED', 'PASID_BEING_FREED', 'PASID_NOT_FOUND']).toContain(
      codeOf(await binding),
    )
    await on.until(() => on.broker.state.host.counts.quarantined === 1)
    expect(on.broker.state.bindings.size).toBe(0)
  })

  test('an allocation refused over it takes its bind and its free with it', async () => {
    const on = await up()
    const { vm } = await withNumber(on)
    await on.settled()
    const append = on.ledger.holdAppend()
    on.ledger.plan({ nth: 1, how: 'NOT_WRITTEN' })
    const granting = vm.allocate({ ask: exactAsk(700) })
    await append.reached
    const [binding, freeing, closing] = [vm.bind(700), vm.free([700]), vm.detach()]
    append.release()
    expect(codeOf(await granting)).toBe('LEDGER_UNAVAILABLE')
    expect(codeOf(await binding)).not.toBe('ACCEPTED')
    expect(codeOf(await freeing)).toBe('PASID_NOT_FOUND')
    expect(ok(await closing).unbound).toBe(0)
    await on.passUntil(() => on.broker.info().writable)
    await on.settled()
    expect(on.broker.state.bindings.size).toBe(0)
  })
})

describe('a batch of invalidations', () => {
  /** What reached the caches, in order, of a batch of whole-target entries with these caches. */
  async function performed(batch: readonly InvalidationCache[][]): Promise<string[]> {
    const on = await up()
    const { vm, pasid } = await withNumber(on)
    ok(await vm.bind(pasid))
    const granularity = { kind: 'PASID', target: target(pasid), device: undefined } as const
    const log = on.emulator.operations
    log.on = true
    const entries = batch.map((caches) => ({ granularity, caches }))
    expect(ok(await vm.invalidateAll(entries))).toEqual({ done: batch.length, lost: [] })
    log.on = false
    return log.list().map(({ kind }) => kind.replace('INVALIDATE_', ''))
  }

  test('does the whole of a cache once, however often it is named', async () => {
    const twice = await performed([['IOTLB'], ['DEVICE_TLB'], ['IOTLB'], ['DEVICE_TLB']])
    expect(twice).toEqual(['PIOTLB', 'DEVICE_TLB'])
  })

  test('but again after the cache that it is filled from', async () => {
    const seen = await performed([['IOTLB'], ['PASID_CACHE'], ['IOTLB'], ['IOTLB']])
    expect(seen).toEqual(['PIOTLB', 'PASID_CACHE', 'PIOTLB'])
  })

  test('and so for a device-TLB, whatever came before', async () => {
    const seen = await performed([['DEVICE_TLB'], ['PASID_CACHE', 'IOTLB'], ['DEVICE_TLB']])
    expect(seen).toEqual(['DEVICE_TLB', 'PASID_CACHE', 'PIOTLB', 'DEVICE_TLB'])
  })
})

test('a duplicate of a free is answered when the first is carried out', async () => {
  const on = await up()
  const { vm, pasid } = await withNumber(on)
  ok(await vm.bind(pasid))
  const held = on.backend.hold('unbind')
  const request = requestKey('free')
  const first = vm.free([pasid], { request })
  await held.reached
  const again = vm.free([pasid], { request })
  const other = vm.free([pasid])
  expect(await isDone(Promise.race([first, again, other]))).toBe(false)
  held.release()
  expect(ok(await first)).toMatchObject({ freed: 1, durable: true })
  expect(ok(await again)).toMatchObject({ freed: 1, durable: true })
  expect(ok(await other)).toMatchObject({ freed: 0, durable: true })
})

test('a dead backend ends nothing: refused, LOST, or done when it is back', async () => {
  const on = await up()
  const [a, b, c] = [await withNumber(on), await withNumber(on), await withNumber(on)]
  const spare = await a.vm.one()
  for (const [i, { vm, pasid }] of [a, b, c].entries()) {
    ok(await vm.bind(pasid, { guestPasid: i + 1 }))
  }
  on.emulator.setHealth({ state: 'DEAD', reason: 'pulled out' })
  expect(codeOf(await a.vm.bind(spare, { guestPasid: 9 }))).toBe('BACKEND_UNAVAILABLE')
  expect(a.vm.bindingState(spare)).toBe('LOST')
  expect(ok(await a.vm.invalidate(a.pasid)).lost).toHaveLength(1)
  expect(codeOf(await b.vm.unbind(b.pasid))).toBe('BACKEND_UNAVAILABLE')
  expect(ok(await b.vm.free([b.pasid])).freed).toBe(1)
  expect(ok(await c.vm.close()).freed).toBe(1)
  expect(await a.vm.one()).toBeGreaterThan(spare)
  on.clock.pass(20_000)
  await on.settled()
  expect(on.broker.unfinishedTeardowns).toBeGreaterThan(0)
  expect(on.broker.state.host.counts).toMatchObject({ pending: 2, quarantined: 0 })
  on.emulator.setHealth({ state: 'READY' })
  await on.passUntil(() => on.broker.unfinishedTeardowns === 0)
  expect(on.broker.state.sessions.size).toBe(2)
  expect(on.broker.state.host.counts).toMatchObject({ pending: 0 })
  expect(a.vm.bindingState(a.pasid)).toBe('LOST')
  ok(await a.vm.bind(a.pasid, { guestPasid: 1 }))
})

/**
 * The broker end to end, on a real ledger and the emulator: what each verb does in the life of a
 * VM, and the order in which numbers come back.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { Operation } from '../../src/backend/emulator/operation-log.js'
import type { SessionEvent } from '../../src/broker/answers.js'
import { target } from '../../src/core/ids.js'
import { BrokerRig, removeFolders, SHARED, type RigOptions } from '../support/broker-rig.js'
import { blockAsk, codeOf, exactAsk, ok, tableAt, type RigVm } from '../support/broker-rig-vm.js'

let rig: BrokerRig | undefined

async function up(options: RigOptions = {}): Promise<BrokerRig> {
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

async function attached(on: BrokerRig, ...devices: string[]): Promise<RigVm> {
  const vm = await on.vm()
  for (const device of devices.length > 0 ? devices : ['emu0']) ok(await vm.attach(device))
  return vm
}

function slotNames(on: BrokerRig, pasid: number): string | undefined {
  const { host } = on.broker.state
  return ['FREE', 'HELD', 'FREE_PENDING', 'QUARANTINED'][host.slotOf(pasid)]
}

describe('a VM from open to close', () => {
  test('open, attach, allocate, bind, invalidate, unbind, free, detach, close', async () => {
    const on = await up()
    const vm = await on.vm({ labels: { vm: 'a' }, maxPasids: 10 })
    expect(codeOf(await vm.bind(256))).toBe('DEVICE_NOT_ATTACHED')
    expect(ok(await vm.attach())).toMatchObject({
      device: { sessions: [vm.name] },
      native: undefined,
    })

    const { runs, generation, headroom } = ok(await vm.allocate({ ask: blockAsk(2) }))
    expect(runs).toEqual([{ first: 256, count: 4 }])
    expect(headroom.session).toBe(6)
    expect(ok(await vm.bind(256)).revision).toBeGreaterThan(generation)
    expect(ok(await vm.invalidate(256))).toEqual({ done: 1, lost: [] })
    expect(codeOf(await vm.invalidate(257))).toBe('NOT_BOUND')
    expect(codeOf(await vm.invalidate(300))).toBe('PASID_NOT_FOUND')
    const view = ok(await on.broker.getAllocation({ scope: { kind: 'HOST' }, pasid: 256 }))
    expect(view).toMatchObject({ state: 'ACTIVE', session: vm.name, generation })
    expect(view.bindings.map(({ device }) => device)).toEqual(['emu0'])

    expect(ok(await vm.unbind(256))).toMatchObject({ unbound: 1 })
    expect(codeOf(await vm.unbind(256))).toBe('NOT_BOUND')
    expect(ok(await vm.free([256, 257]))).toMatchObject({ freed: 2, durable: true })
    expect(await vm.held()).toEqual([258, 259])
    expect(ok(await vm.detach())).toEqual({ unbound: 0, durable: true })
    expect(codeOf(await vm.detach())).toBe('DEVICE_NOT_ATTACHED')
    expect(ok(await vm.close())).toMatchObject({ freed: 2, durable: true })
    expect(codeOf(await vm.close())).toBe('SESSION_NOT_FOUND')
    expect(on.broker.state.host.counts).toMatchObject({ held: 0, pending: 0, quarantined: 4 })
  })

  test('numbers rest for the hold, then are free again; the cursor goes on', async () => {
    const on = await up()
    const vm = await on.vm()
    expect(await vm.one()).toBe(256)
    expect(ok(await vm.free([256]))).toMatchObject({ freed: 1, durable: true })
    expect(codeOf(await vm.allocate({ ask: exactAsk(256) }))).toBe('PASID_TAKEN')
    on.clock.pass(999)
    expect(codeOf(await vm.allocate({ ask: exactAsk(256) }))).toBe('PASID_TAKEN')
    on.clock.pass(1)
    expect(await vm.one()).toBe(257)
    expect(await vm.one({ ask: exactAsk(256) })).toBe(256)
  })

  test('exhaustion says when a resting number may be free, and shortens no hold', async () => {
    const on = await up()
    const vm = await on.vm()
    const range = { first: 1000, last: 1001 }
    await vm.one({ range })
    await vm.one({ range })
    ok(await vm.free([1000, 1001]))
    on.clock.pass(400)
    const refused = await vm.allocate({ range })
    expect(refused).toMatchObject({
      ok: false,
      refusal: { code: 'NAMESPACE_EXHAUSTED', retryMs: 600, free: 0, asked: 1 },
    })
    on.clock.pass(600)
    expect(range.last - (await vm.one({ range }))).toBeLessThanOrEqual(1)
  })

  test('a number given back is nobody else’s business, and may be given back again', async () => {
    const on = await up()
    const [one, other] = [await on.vm(), await on.vm()]
    const pasid = await one.one()
    expect(codeOf(await other.free([pasid]))).toBe('PASID_NOT_FOUND')
    expect(codeOf(await other.free([999]))).toBe('PASID_NOT_FOUND')
    expect(codeOf(await other.allocate({ ask: exactAsk(pasid) }))).toBe('PASID_TAKEN')
    expect(ok(await one.free([pasid])).freed).toBe(1)
    expect(ok(await one.free([pasid])).freed).toBe(0)
    expect(codeOf(await one.unbind(pasid))).toBe('NOT_BOUND')
    expect(ok(await one.freeRange())).toMatchObject({ freed: 0, durable: true })
  })

  test('two whole-number scopes do not meet: HOST and a device of its own', async () => {
    const on = await up()
    const vm = await attached(on, 'emu0', 'emu1')
    const scope = { kind: 'DEVICE', device: 'emu1' } as const
    expect(await vm.one({ scope, ask: exactAsk(1) })).toBe(1)
    const host = await vm.one()
    expect(codeOf(await vm.bind(host, { devices: ['emu1'] }))).toBe('PASID_NOT_FOUND')
    ok(await vm.bind(1, { devices: ['emu1'] }))
    ok(await vm.bind(host))
    ok(await vm.bind(0, { devices: ['emu1'], domain: 9 }))
    expect(codeOf(await vm.bind(0, { devices: ['emu0'] }))).toBe('RID_NOT_AVAILABLE')
    expect(ok(await vm.unbindAll())).toMatchObject({ unbound: 3 })
    expect(ok(await vm.freeRange(undefined, { scope })).freed).toBe(1)
    expect(await vm.held()).toEqual([host])
  })
})

describe('bind, replace, free while bound', () => {
  test('replace takes the place of a table, and only of one', async () => {
    const on = await up()
    const vm = await attached(on)
    const pasid = await vm.one()
    expect(codeOf(await vm.bind(pasid, { replace: true }))).toBe('NOT_BOUND')
    ok(await vm.bind(pasid, { table: tableAt(1) }))
    expect(codeOf(await vm.bind(pasid, { table: tableAt(2) }))).toBe('ALREADY_BOUND')
    ok(await vm.bind(pasid, { table: tableAt(2), replace: true, domain: 8 }))
    const observed = await on.emulator.observe()
    expect(observed).toMatchObject({ kind: 'KNOWN', places: [{ table: tableAt(2) }] })
    const device = on.broker.state.deviceByName.get('emu0')
    const binding = device && on.broker.state.bindingAt(device.id, target(pasid))
    expect(binding).toMatchObject({ state: 'BOUND', domain: 8, previous: undefined })
  })

  test('a number freed while bound is torn down in order, then rests', async () => {
    const on = await up({ devices: [SHARED, { ...SHARED, name: 'emu2' }] })
    const vm = await attached(on, 'emu0', 'emu2')
    const pasid = await vm.one()
    ok(await vm.bind(pasid, { devices: ['emu0', 'emu2'] }))
    const log = on.emulator.operations
    log.on = true
    expect(ok(await vm.free([pasid]))).toMatchObject({ freed: 1, durable: true })
    log.on = false
    expect(slotNames(on, pasid)).toBe('QUARANTINED')
    for (const device of ['emu0', 'emu2']) expect(teardownOf(log.list(), device)).toBe(TEARDOWN)
  })

  test('it is FREE_PENDING until the backend has done its part, and nobody else gets it', async () => {
    const on = await up()
    const [vm, other] = [await attached(on), await on.vm()]
    const pasid = await vm.one()
    ok(await vm.bind(pasid))
    const held = on.backend.hold('unbind')
    const freeing = vm.free([pasid])
    await held.reached
    expect(slotNames(on, pasid)).toBe('FREE_PENDING')
    on.clock.pass(60_000)
    expect(codeOf(await other.allocate({ ask: exactAsk(pasid) }))).toBe('PASID_TAKEN')
    held.release()
    expect(ok(await freeing)).toMatchObject({ freed: 1, durable: true })
    expect(slotNames(on, pasid)).toBe('QUARANTINED')
    on.clock.pass(1000)
    expect(codeOf(await other.allocate({ ask: exactAsk(pasid) }))).toBe('PASID_TAKEN')
    await on.settled()
    expect(await other.one({ ask: exactAsk(pasid) })).toBe(pasid)
  })

  test('a free that overtakes a bind under way: the bind is superseded, nothing stays', async () => {
    const on = await up()
    const vm = await attached(on)
    const pasid = await vm.one()
    const held = on.backend.hold('bind')
    const binding = vm.bind(pasid)
    await held.reached
    const freeing = vm.free([pasid])
    await on.until(() => slotNames(on, pasid) === 'FREE_PENDING')
    held.release()
    expect(codeOf(await binding)).toBe('BIND_SUPERSEDED')
    expect(ok(await freeing)).toMatchObject({ freed: 1, durable: true })
    expect(slotNames(on, pasid)).toBe('QUARANTINED')
    expect(await on.emulator.observe()).toEqual({ kind: 'KNOWN', places: [] })
  })

  test('closing while a bind is under way leaves nothing', async () => {
    const on = await up()
    const vm = await attached(on)
    const pasid = await vm.one()
    const held = on.backend.hold('bind', 'AFTER')
    const binding = vm.bind(pasid)
    await held.reached
    const closing = vm.close()
    await on.until(() => slotNames(on, pasid) === 'FREE_PENDING')
    held.release()
    expect(codeOf(await binding)).toBe('BIND_SUPERSEDED')
    expect(ok(await closing)).toMatchObject({ freed: 1, durable: true })
    expect(on.broker.state.sessions.size).toBe(0)
    expect(await on.emulator.observe()).toEqual({ kind: 'KNOWN', places: [] })
  })

  test('detaching unbinds what is on the device, and keeps the numbers', async () => {
    const on = await up()
    const vm = await attached(on)
    const [a, b] = [await vm.one(), await vm.one()]
    ok(await vm.bind(a))
    ok(await vm.bind(b))
    expect(ok(await vm.detach())).toEqual({ unbound: 2, durable: true })
    expect(await vm.held()).toEqual([a, b])
    ok(await vm.attach())
    ok(await vm.bind(a))
  })
})

describe('what a session hears', () => {
  test('session-ended on close, binding-lost with its cause', async () => {
    const on = await up()
    const vm = await attached(on)
    const heard: SessionEvent[] = []
    const deliver = (event: SessionEvent) => heard.push(event)
    on.broker.subscribe({ session: vm.id, receivePageRequests: false, deliver })
    const pasid = await vm.one()
    ok(await vm.bind(pasid))
    on.emulator.injectFault('emu0', { kind: 'RETRY', times: 2, effect: 'invalidate' })
    const { done, lost } = ok(await vm.invalidate(pasid))
    expect(done).toBe(1)
    expect(lost.map(({ device, binding }) => [device, binding.state])).toEqual([['emu0', 'LOST']])
    ok(await vm.close())
    expect(heard.map(({ kind }) => kind)).toEqual(['binding-lost', 'session-ended'])
    expect(on.telemetry.lost).toEqual([
      { device: 'emu0', target: pasid, cause: 'injected: invalidate on emu0' },
    ])
  })

  test('what was lost before it listened, as much as it asks for', async () => {
    const on = await up()
    const vm = await attached(on)
    const pasids = [await vm.one(), await vm.one(), await vm.one()]
    for (const pasid of pasids) ok(await vm.bind(pasid))
    for (const pasid of pasids.slice(1)) {
      on.emulator.injectFault('emu0', { kind: 'RETRY', times: 2, effect: 'invalidate' })
      ok(await vm.invalidate(pasid))
    }
    const heard = (lostToldMax?: number) => {
      const lost: number[] = []
      const deliver = (event: SessionEvent) => {
        if (event.kind === 'binding-lost') lost.push(event.binding.binding.target)
      }
      const listen = { session: vm.id, receivePageRequests: false, lostToldMax, deliver }
      on.broker.subscribe(listen).close()
      return lost
    }
    expect(heard(8)).toEqual(pasids.slice(1))
    expect(heard(1)).toEqual([pasids[1]])
    expect(heard()).toEqual([])
  })

  test('and nothing any more once it does not listen', async () => {
    const on = await up()
    const vm = await attached(on)
    const heard: SessionEvent[] = []
    const deliver = (event: SessionEvent) => heard.push(event)
    const listen = { session: vm.id, receivePageRequests: false, deliver }
    on.broker.subscribe(listen).close()
    ok(await vm.close())
    expect(heard).toEqual([])
  })
})

const TEARDOWN = 'CLEAR_PRESENT PASID_CACHE IOTLB DEVICE_TLB CLEAR_ENTRY DRAIN'

/** One device's operations by their part in a teardown; DIDs are per binding, so one each. */
function teardownOf(operations: readonly Operation[], device: string): string {
  const parts: string[] = []
  let own = false
  for (const operation of operations) {
    if ('device' in operation) own = operation.device === device
    if (!own) continue
    if (operation.kind === 'INVALIDATE_PASID_CACHE') parts.push('PASID_CACHE')
    else if (operation.kind === 'INVALIDATE_DEVICE_TLB') parts.push('DEVICE_TLB')
    else if (operation.kind === 'DRAIN_PAGE_REQUESTS') parts.push('DRAIN')
    else if (operation.kind.endsWith('IOTLB')) parts.push('IOTLB')
    else parts.push(operation.kind)
  }
  return parts.join(' ')
}

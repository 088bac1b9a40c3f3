/** Faults, resets and failures of devices, as sessions and operators meet them. */
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { DEVICE_FAULTS_INTERVAL_MS, DEVICE_FAULTS_MAX } from '../../src/broker/device-faults.js'
import { RID } from '../../src/core/ids.js'
import { BrokerRig, removeFolders, SHARED, WHOLE } from '../support/broker-rig.js'
import { boundVm, endOf, raise, Receiver } from '../support/broker-rig-receiver.js'
import { codeOf, ok, tableAt } from '../support/broker-rig-vm.js'

let rig: BrokerRig

afterEach(() => rig.stop())
afterAll(removeFolders)

/** An access of a device whose session has no memory mapped: every walk is a fault. */
function access(at: number, page = 5, device = 'emu0'): void {
  const address = BigInt(page) * 4096n + 8n
  rig.emulator.translate(device, { target: at, address, write: true, privileged: false })
}

describe('faults', () => {
  test('of a binding come to its session, all of an interval together', async () => {
    rig = await BrokerRig.start()
    const { vm, at } = await boundVm(rig)
    const other = await boundVm(rig)
    const [one, two, foreign] = [new Receiver(vm), new Receiver(vm, false), new Receiver(other.vm)]
    access(at, 5)
    access(at, 6)
    expect(one.events).toEqual([])
    rig.clock.pass(DEVICE_FAULTS_INTERVAL_MS)
    const [event] = one.of('device-faults')
    const rights = { write: true, execute: false, privileged: false }
    expect(event).toMatchObject({
      lost: 0,
      faults: [
        { device: 'emu0', target: at, address: 0x5000n, ...rights },
        { device: 'emu0', target: at, address: 0x6000n, ...rights },
      ],
    })
    expect(event?.faults[0]?.name).toMatch(/^[A-Z_]+$/)
    expect(event?.faults[0]?.reason).toBeGreaterThan(0)
    expect(two.events).toEqual(one.events)
    expect(foreign.events).toEqual([])
    rig.clock.pass(10 * DEVICE_FAULTS_INTERVAL_MS)
    expect(one.events).toHaveLength(1)
  })

  test('of a RID carry it', async () => {
    rig = await BrokerRig.start()
    const vm = await rig.vm()
    ok(await vm.attach('emu1'))
    ok(await vm.bind(RID, { devices: ['emu1'] }))
    const receiver = new Receiver(vm)
    access(RID, 5, 'emu1')
    rig.clock.pass(DEVICE_FAULTS_INTERVAL_MS)
    expect(receiver.of('device-faults')[0]?.faults).toMatchObject([{ device: 'emu1', target: RID }])
  })

  test('are kept to the bound of an event, one past it is a count', async () => {
    rig = await BrokerRig.start()
    const { vm, at } = await boundVm(rig)
    const receiver = new Receiver(vm)
    for (const [count, lost] of [
      [DEVICE_FAULTS_MAX, 0],
      [DEVICE_FAULTS_MAX + 1, 1],
    ] as const) {
      for (let i = 0; i < count; i += 1) access(at, i)
      rig.clock.pass(DEVICE_FAULTS_INTERVAL_MS)
      const event = receiver.of('device-faults').at(-1)
      expect([event?.faults.length, event?.lost]).toEqual([DEVICE_FAULTS_MAX, lost])
      expect(event?.faults[0]?.address).toBe(0n)
    }
  })

  test('where nothing is bound belong to no session, and are on record all the same', async () => {
    rig = await BrokerRig.start()
    const { vm, at } = await boundVm(rig)
    const receiver = new Receiver(vm)
    access(at + 1)
    access(RID)
    rig.clock.pass(DEVICE_FAULTS_INTERVAL_MS)
    expect(receiver.events).toEqual([])
    const { rows } = rig.emulator.faults.list(0, 10, 'emu0')
    const then = rig.clock.wall() - DEVICE_FAULTS_INTERVAL_MS
    expect(rows.map((fault) => [fault.target, fault.name, fault.at])).toEqual([
      [at + 1, 'PASID_ENTRY_NOT_PRESENT', then],
      [RID, 'PASID_DIRECTORY_ENTRY_NOT_PRESENT', then],
    ])
  })

  test('that nobody listens for are not kept', async () => {
    rig = await BrokerRig.start()
    const { vm, at } = await boundVm(rig)
    const before = rig.clock.timers
    access(at)
    expect(rig.clock.timers).toBe(before)
    const receiver = new Receiver(vm)
    rig.clock.pass(DEVICE_FAULTS_INTERVAL_MS)
    expect(receiver.events).toEqual([])
    access(at)
    receiver.close()
    rig.clock.pass(DEVICE_FAULTS_INTERVAL_MS)
    expect([receiver.events.length, rig.clock.timers]).toEqual([0, before])
  })
})

describe('a reset', () => {
  test('is told to who has the device; bindings stand, page requests are gone', async () => {
    rig = await BrokerRig.start()
    const { vm, at } = await boundVm(rig)
    const without = await rig.vm()
    const [receiver, other] = [new Receiver(vm), new Receiver(without)]
    const raised = raise(rig, at)
    raise(rig, at, 4, { last: false })
    const { token } = receiver
    expect(rig.emulator.reset('emu0', 100)).toBe(2)
    expect(await endOf(raised)).toBe('DROPPED')
    const response = { session: vm.id, token, code: 'SUCCESS' } as const
    expect(codeOf(await rig.broker.respondPageRequest(response))).toBe('PAGE_REQUEST_NOT_FOUND')
    expect(rig.telemetry.pageRequestEnds).toEqual(['dropped'])
    expect(raise(rig, at)).toEqual({ state: 'DROPPED' })
    expect(rig.emulator.silenceOf('emu0')).toMatchObject({ name: 'DEVICE_RESETTING' })
    rig.clock.pass(99)
    expect(receiver.of('device-reset')).toEqual([
      { kind: 'device-reset', device: 'emu0', done: false },
    ])
    rig.clock.pass(1)
    expect(receiver.of('device-reset').map(({ done }) => done)).toEqual([false, true])
    expect(rig.emulator.silenceOf('emu0')).toBeUndefined()
    expect([vm.bindingState(at), other.events]).toEqual(['BOUND', []])
    expect(raise(rig, at).state).toBe('DELIVERED')
    expect(await rig.problems()).toEqual([])
  })

  test('refuses binds and replaces as retryable, and lets all else through', async () => {
    rig = await BrokerRig.start()
    const { vm, at } = await boundVm(rig)
    const next = await vm.one()
    rig.emulator.reset('emu0', 100)
    expect(codeOf(await vm.bind(next))).toBe('BACKEND_UNAVAILABLE')
    const replaced = await vm.bind(at, { table: tableAt(2), replace: true })
    expect(codeOf(replaced)).toBe('BACKEND_UNAVAILABLE')
    expect([vm.bindingState(next), vm.bindingState(at)]).toEqual([undefined, 'BOUND'])
    ok(await vm.invalidate(at))
    ok(await vm.unbind(at))
    ok(await vm.detach())
    ok(await vm.attach())
    expect(codeOf(await vm.bind(next))).toBe('BACKEND_UNAVAILABLE')
    rig.clock.pass(100)
    ok(await vm.bind(next))
    expect(await rig.problems()).toEqual([])
  })

  test('of one device is not one of another', async () => {
    rig = await BrokerRig.start()
    const { vm } = await boundVm(rig)
    ok(await vm.attach('emu1'))
    rig.emulator.reset('emu1', 100)
    ok(await vm.bind(await vm.one()))
  })

  test('that comes again begins anew, and ends once', async () => {
    rig = await BrokerRig.start()
    const { vm, at } = await boundVm(rig)
    const receiver = new Receiver(vm)
    rig.emulator.reset('emu0', 100)
    rig.clock.pass(60)
    rig.emulator.reset('emu0', 100)
    rig.clock.pass(99)
    expect(codeOf(await vm.bind(at, { table: tableAt(2), replace: true }))).toBe(
      'BACKEND_UNAVAILABLE',
    )
    rig.clock.pass(1)
    expect(receiver.of('device-reset').map(({ done }) => done)).toEqual([false, false, true])
    rig.emulator.reset('emu0', 0)
    expect(
      receiver
        .of('device-reset')
        .map(({ done }) => done)
        .slice(3),
    ).toEqual([false, true])
    ok(await vm.bind(at, { table: tableAt(2), replace: true }))
  })

  test('between the halves of a bind that waits refuses it, and nothing is bound', async () => {
    rig = await BrokerRig.start()
    const { vm } = await boundVm(rig)
    const next = await vm.one()
    const held = rig.backend.hold('bind')
    const bound = vm.bind(next)
    await held.reached
    rig.emulator.reset('emu0', 100)
    held.release()
    expect(codeOf(await bound)).toBe('BACKEND_UNAVAILABLE')
    expect(vm.bindingState(next)).toBeUndefined()
    rig.clock.pass(100)
    ok(await vm.bind(next))
    expect(await rig.problems()).toEqual([])
  })

  test('in the gap of a replace leaves the new table', async () => {
    let open = (): void => undefined
    const replaceGap = () => new Promise<void>((resolve) => (open = resolve))
    rig = await BrokerRig.start({ replaceGap })
    const { vm, at } = await boundVm(rig)
    const replaced = vm.bind(at, { table: tableAt(2), replace: true })
    await rig.until(() => vm.bindingState(at) === 'BINDING')
    rig.emulator.reset('emu0', 100)
    open()
    ok(await replaced)
    expect(await rig.problems()).toEqual([])
  })
})

describe('a slow device', () => {
  const SLOW = { kind: 'SLOW', ms: 1000, effect: undefined, skip: 0, times: 0 } as const

  test('takes its time, and does not slow another down, nor another session', async () => {
    rig = await BrokerRig.start({ devices: [SHARED, WHOLE, { ...SHARED, name: 'emu2' }] })
    const { vm } = await boundVm(rig)
    ok(await vm.attach('emu2'))
    const numbers = [await vm.one(), await vm.one()] as const
    rig.emulator.inject('emu0', SLOW)
    let done = false
    const slow = vm.bind(numbers[0]).then((outcome) => {
      done = true
      return outcome
    })
    ok(await vm.bind(numbers[1], { devices: ['emu2'] }))
    ok(await vm.invalidate(numbers[1], 'emu2'))
    const other = await rig.vm()
    ok(await other.attach('emu2'))
    ok(await other.bind(await other.one(), { devices: ['emu2'] }))
    rig.clock.pass(999)
    await rig.settled()
    expect(done).toBe(false)
    rig.clock.pass(1)
    ok(await slow)
    expect(vm.bindingState(numbers[0])).toBe('BOUND')
    expect(await rig.problems()).toEqual([])
  })

  test('that dies or is reset meanwhile says so at the end of the wait', async () => {
    rig = await BrokerRig.start()
    const { vm } = await boundVm(rig)
    const at = await vm.one()
    rig.emulator.inject('emu0', { ...SLOW, times: 2 })
    const first = vm.bind(at)
    await rig.until(() => vm.bindingState(at) === 'BINDING')
    rig.emulator.reset('emu0', 5000)
    rig.clock.pass(1000)
    expect(codeOf(await first)).toBe('BACKEND_UNAVAILABLE')
    expect(vm.bindingState(at)).toBeUndefined()
    const second = vm.bind(at)
    await rig.until(() => vm.bindingState(at) === 'BINDING')
    rig.emulator.inject('emu0', { kind: 'DEAD' })
    rig.clock.pass(5000)
    expect(codeOf(await second)).toBe('BACKEND_UNAVAILABLE')
    expect(vm.bindingState(at)).toBe('LOST')
    rig.emulator.clearFaults('emu0')
    await rig.passUntil(() => rig.broker.unfinishedTeardowns === 0)
    expect(await rig.problems()).toEqual([])
  })
})

describe('a dead device', () => {
  test('loses what is bound on it, and nothing waits for it', async () => {
    rig = await BrokerRig.start()
    const { vm, at } = await boundVm(rig)
    const receiver = new Receiver(vm)
    raise(rig, at)
    const { token } = receiver
    rig.emulator.inject('emu0', { kind: 'DEAD' })
    expect(rig.emulator.silenceOf('emu0')).toMatchObject({ name: 'DEVICE_DEAD' })
    expect(raise(rig, at, 4)).toEqual({ state: 'DROPPED' })
    const response = { session: vm.id, token, code: 'SUCCESS' } as const
    expect(codeOf(await rig.broker.respondPageRequest(response))).toBe('BACKEND_UNAVAILABLE')
    expect(rig.broker.waitingPageRequests).toBe(0)
    expect(codeOf(await vm.bind(at, { table: tableAt(2), replace: true }))).toBe(
      'BACKEND_UNAVAILABLE',
    )
    expect(receiver.of('binding-lost')).toHaveLength(1)
    rig.emulator.clearFaults('emu0')
    await rig.passUntil(() => rig.broker.unfinishedTeardowns === 0)
    ok(await vm.bind(at))
    expect(await rig.problems()).toEqual([])
  })
})

describe('a dead backend', () => {
  test('is refused as unavailable; the broker stays up, and goes on when it is back', async () => {
    rig = await BrokerRig.start()
    const { vm, at } = await boundVm(rig)
    const receiver = new Receiver(vm)
    const next = await vm.one()
    const raised = raise(rig, at)
    rig.emulator.setHealth({ state: 'DEAD', reason: 'injected' })
    for (const refused of [vm.bind(next), vm.attach('emu1')]) {
      expect(codeOf(await refused)).toBe('BACKEND_UNAVAILABLE')
    }
    // Grants and reads need no backend, and a free is taken up until it is done.
    const granted = await vm.one()
    expect(await vm.held()).toContain(granted)
    ok(await vm.free([at]))
    expect(await vm.held()).not.toContain(at)
    rig.clock.pass(5000)
    await rig.until(() => rig.broker.waitingPageRequests === 0)
    expect(rig.telemetry.pageRequestEnds).toEqual(['dropped'])
    rig.emulator.setHealth({ state: 'READY' })
    await rig.passUntil(() => rig.broker.unfinishedTeardowns === 0)
    // The teardown has answered what the broker could not.
    expect(await endOf(raised)).toBe('INVALID')
    ok(await vm.attach('emu1'))
    ok(await vm.bind(granted))
    expect(receiver.of('session-ended')).toEqual([])
    expect(await rig.problems()).toEqual([])
  })
})

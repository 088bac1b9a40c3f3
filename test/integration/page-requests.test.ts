/** Page requests: who gets them, how long they wait, and what ends the wait. */
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { createHmac } from 'node:crypto'
import type { RigOptions } from '../support/broker-rig.js'
import { BrokerRig, removeFolders } from '../support/broker-rig.js'
import { boundVm, endOf, raise, Receiver } from '../support/broker-rig-receiver.js'
import { codeOf, ok, tableAt, type RigVm } from '../support/broker-rig-vm.js'
import { target } from '../../src/core/ids.js'

const DEADLINE_MS = 5000
let rig: BrokerRig

afterEach(() => rig.stop())
afterAll(removeFolders)

async function start(options: RigOptions = {}): Promise<{ vm: RigVm; at: number }> {
  rig = await BrokerRig.start(options)
  return boundVm(rig)
}

function respond(
  vm: RigVm,
  token: Uint8Array,
  code: 'SUCCESS' | 'INVALID' | 'FAILURE' = 'SUCCESS',
) {
  return vm.broker.respondPageRequest({ session: vm.id, token, code })
}

const NOT_FOUND = 'PAGE_REQUEST_NOT_FOUND'

describe('a page request', () => {
  test('comes to the receiver with its pages, and the answer goes to the device', async () => {
    const { vm, at } = await start()
    const receiver = new Receiver(vm)
    const first = raise(rig, at, 3, { last: false, address: 0x7000n })
    expect([first.state, receiver.events.length]).toEqual(['WAITING', 0])
    const raised = raise(rig, at, 3, { read: false, write: true, execute: true })
    const rights = { execute: false, privileged: false }
    expect(receiver.requests).toEqual([
      {
        kind: 'page-request',
        token: expect.any(Uint8Array) as Uint8Array,
        device: 'emu0',
        target: at,
        pages: [
          { address: 0x7000n, read: true, write: false, ...rights },
          { address: 0x5000n, read: false, write: true, ...rights, execute: true },
        ],
        deadlineAt: rig.clock.wall() + DEADLINE_MS,
      },
    ])
    expect(receiver.token.length).toBeLessThanOrEqual(64)
    expect(await endOf(raised)).toBeUndefined()
    ok(await respond(vm, receiver.token))
    expect(await endOf(raised)).toBe('SUCCESS')
    expect(rig.telemetry.pageRequestEnds).toEqual(['answered'])
    expect(rig.broker.waitingPageRequests).toBe(0)
  })

  test.each(['SUCCESS', 'INVALID', 'FAILURE'] as const)('can be answered %s', async (code) => {
    const { vm, at } = await start()
    const receiver = new Receiver(vm)
    const raised = raise(rig, at)
    ok(await respond(vm, receiver.token, code))
    expect(await endOf(raised)).toBe(code)
  })

  test('is answered once; the index may be used again, and each token is for its own', async () => {
    const { vm, at } = await start()
    const receiver = new Receiver(vm)
    raise(rig, at)
    const used = receiver.token
    ok(await respond(vm, used))
    expect(codeOf(await respond(vm, used))).toBe(NOT_FOUND)
    const again = raise(rig, at)
    expect(codeOf(await respond(vm, used))).toBe(NOT_FOUND)
    expect(await endOf(again)).toBeUndefined()
    ok(await respond(vm, receiver.token))
  })

  test('of another session cannot be answered, nor with a token that nobody made', async () => {
    const { vm, at } = await start()
    const other = await boundVm(rig)
    const receiver = new Receiver(vm)
    const raised = raise(rig, at)
    const { token } = receiver
    expect(codeOf(await respond(other.vm, token))).toBe(NOT_FOUND)
    for (let i = 0; i < token.length; i += 1) {
      const forged = Uint8Array.from(token)
      forged[i] = (forged[i] ?? 0) ^ 1
      expect(codeOf(await respond(vm, forged))).toBe(NOT_FOUND)
    }
    for (const wrong of [token.slice(1), Uint8Array.from([...token, 0]), new Uint8Array(0)]) {
      expect(codeOf(await respond(vm, wrong))).toBe(NOT_FOUND)
    }
    const key = createHmac('sha256', new Uint8Array(32)).update('pasidd page request token')
    const body = token.slice(0, 26)
    const mac = createHmac('sha256', key.digest()).update(body).digest().subarray(0, 16)
    expect(codeOf(await respond(vm, Buffer.concat([body, mac])))).toBe(NOT_FOUND)
    expect(await endOf(raised)).toBeUndefined()
    ok(await respond(vm, token))
  })

  test('of a shared device goes to the session whose binding it came through', async () => {
    const one = await start()
    const two = await boundVm(rig)
    const receivers = [new Receiver(one.vm), new Receiver(two.vm)] as const
    raise(rig, two.at, 5)
    expect(receivers.map(({ requests }) => requests.length)).toEqual([0, 1])
    raise(rig, one.at, 5)
    expect(receivers.map(({ requests }) => requests.length)).toEqual([1, 1])
    ok(await respond(two.vm, receivers[1].token))
    ok(await respond(one.vm, receivers[0].token))
  })

  test('can be answered by its group, by its own session only', async () => {
    const { vm, at } = await start()
    const other = await boundVm(rig)
    const raised = raise(rig, at)
    const answer = { device: 'emu0', target: target(at), group: 3, code: 'SUCCESS' } as const
    const { broker } = rig
    expect(codeOf(await broker.respondToGroup(other.vm.id, answer))).toBe(NOT_FOUND)
    expect(codeOf(await broker.respondToGroup(vm.id, { ...answer, group: 4 }))).toBe(NOT_FOUND)
    const elsewhere = { ...answer, device: 'no-such' }
    expect(codeOf(await broker.respondToGroup(vm.id, elsewhere))).toBe(NOT_FOUND)
    ok(await broker.respondToGroup(vm.id, answer))
    expect(await endOf(raised)).toBe('SUCCESS')
    expect(codeOf(await broker.respondToGroup(vm.id, answer))).toBe(NOT_FOUND)
  })
})

describe('the receiver', () => {
  test('is the last that asked; no other hears of page requests', async () => {
    const { vm, at } = await start()
    const first = new Receiver(vm)
    const silent = new Receiver(vm, false)
    const second = new Receiver(vm)
    raise(rig, at)
    expect([first, silent, second].map(({ requests }) => requests.length)).toEqual([0, 0, 1])
  })

  test('that ends is followed by nobody: the group waits for one that asks', async () => {
    const { vm, at } = await start()
    const first = new Receiver(vm)
    const second = new Receiver(vm)
    second.close()
    const raised = raise(rig, at)
    expect([first.requests.length, await endOf(raised)]).toEqual([0, undefined])
    const third = new Receiver(vm)
    await rig.until(() => third.requests.length === 1)
    ok(await respond(vm, third.token))
  })

  test('that comes gets what waits, also what a former one got and did not answer', async () => {
    const { vm, at } = await start()
    raise(rig, at, 1)
    const first = new Receiver(vm)
    await rig.until(() => first.requests.length === 1)
    raise(rig, at, 2)
    raise(rig, at, 3)
    ok(await respond(vm, first.token))
    first.close()
    raise(rig, at, 4)
    const second = new Receiver(vm)
    await rig.until(() => second.requests.length === 3)
    // The same tokens: a late answer to one of the first receiver's is as good.
    expect(second.requests.slice(0, 2).map(({ token }) => token)).toEqual(
      first.requests.slice(0, 2).map(({ token }) => token),
    )
    for (const { token } of second.requests) ok(await respond(vm, token))
    expect(rig.broker.waitingPageRequests).toBe(0)
  })

  test('that goes before it was told is told nothing', async () => {
    const { vm, at } = await start()
    raise(rig, at)
    const receiver = new Receiver(vm)
    receiver.close()
    await rig.until(() => true)
    expect(receiver.events).toEqual([])
  })
})

describe('the deadline', () => {
  test('ends the wait with INVALID, to the millisecond, receiver or not', async () => {
    const { vm, at } = await start()
    const alone = raise(rig, at, 1)
    rig.clock.pass(1000)
    const receiver = new Receiver(vm)
    const told = raise(rig, at, 2)
    rig.clock.pass(DEADLINE_MS - 1001)
    expect([await endOf(alone), await endOf(told)]).toEqual([undefined, undefined])
    rig.clock.pass(1)
    expect([await endOf(alone), await endOf(told)]).toEqual(['INVALID', undefined])
    rig.clock.pass(1000)
    expect(await endOf(told)).toBe('INVALID')
    expect(codeOf(await respond(vm, receiver.token))).toBe(NOT_FOUND)
    expect(rig.telemetry.pageRequestEnds).toEqual(['deadline', 'deadline'])
  })

  test('is tried again after a passing fault, and then the device has its answer', async () => {
    const { at } = await start()
    const raised = raise(rig, at)
    rig.emulator.injectFault('emu0', { kind: 'RETRY', effect: 'respond', times: 2 })
    rig.clock.pass(DEADLINE_MS)
    expect(await endOf(raised)).toBeUndefined()
    await rig.passUntil(() => rig.broker.waitingPageRequests === 0)
    expect(await endOf(raised)).toBe('INVALID')
    expect(rig.telemetry.pageRequestEnds).toEqual(['deadline'])
  })

  test('is not moved by a passing fault of the answer: the group waits on', async () => {
    const { vm, at } = await start()
    const receiver = new Receiver(vm)
    const raised = raise(rig, at)
    rig.emulator.injectFault('emu0', { kind: 'RETRY', effect: 'respond', times: 1 })
    expect(codeOf(await respond(vm, receiver.token))).toBe('BACKEND_UNAVAILABLE')
    ok(await respond(vm, receiver.token))
    expect(await endOf(raised)).toBe('SUCCESS')
  })

  test('while an answer is on its way leaves it that answer', async () => {
    const { vm, at } = await start()
    const receiver = new Receiver(vm)
    const raised = raise(rig, at)
    const held = rig.backend.hold('respond')
    const answered = respond(vm, receiver.token)
    await held.reached
    // It has its answer: another is too late.
    expect(codeOf(await respond(vm, receiver.token, 'FAILURE'))).toBe(NOT_FOUND)
    rig.clock.pass(DEADLINE_MS)
    held.release()
    ok(await answered)
    expect(await endOf(raised)).toBe('SUCCESS')
    expect(rig.telemetry.pageRequestEnds).toEqual(['answered'])
  })
})

describe('the bound of a session', () => {
  test('holds exactly; beyond it the device is answered INVALID at once, and it is counted', async () => {
    const { vm, at } = await start({ pageRequests: { pendingMax: 3 } })
    const other = await boundVm(rig)
    const receiver = new Receiver(vm)
    const kept = [1, 2, 3].map((group) => raise(rig, at, group))
    expect(rig.broker.waitingPageRequests).toBe(3)
    expect(await endOf(raise(rig, at, 4))).toBe('INVALID')
    expect(receiver.requests).toHaveLength(3)
    expect(rig.telemetry.pageRequestEnds).toEqual(['overflow'])
    // It is the session's, not the device's.
    expect(await endOf(raise(rig, other.at, 4))).toBeUndefined()
    ok(await respond(vm, receiver.token))
    expect(await endOf(raise(rig, at, 5))).toBeUndefined()
    expect(receiver.requests).toHaveLength(4)
    expect(await Promise.all(kept.map(endOf))).toEqual([undefined, undefined, 'SUCCESS'])
  })

  test('beyond it a passing fault is tried again', async () => {
    const { at } = await start({ pageRequests: { pendingMax: 1 } })
    raise(rig, at, 1)
    rig.emulator.injectFault('emu0', { kind: 'RETRY', effect: 'respond', times: 1 })
    const beyond = raise(rig, at, 2)
    expect(await endOf(beyond)).toBeUndefined()
    rig.clock.pass(100)
    expect(await endOf(beyond)).toBe('INVALID')
  })
})

describe('what is pending is answered INVALID', () => {
  const ways: readonly [string, (vm: RigVm, at: number) => Promise<unknown>][] = [
    ['an unbind', async (vm, at) => ok(await vm.unbind(at))],
    ['a guest reset', async (vm) => ok(await vm.unbindAll())],
    ['a free', async (vm, at) => ok(await vm.free([at]))],
    ['a detach', async (vm) => ok(await vm.detach())],
    ['a close', async (vm) => ok(await vm.close())],
    ['a replace', async (vm, at) => ok(await vm.bind(at, { table: tableAt(2), replace: true }))],
    [
      'the end of its owner',
      async (vm) => {
        rig.owners.kill(vm.owner)
        await rig.passUntil(() => !rig.broker.state.sessions.has(vm.id))
      },
    ],
    ['a drain', (vm) => vm.broker.drainPageRequests(vm.id)],
  ]

  test.each(ways)('by %s', async (_name, act) => {
    const { vm, at } = await start()
    const other = await boundVm(rig)
    const receiver = new Receiver(vm)
    const raised = raise(rig, at, 1)
    const foreign = raise(rig, other.at, 1)
    const { token } = receiver
    await act(vm, at)
    expect(await endOf(raised)).toBe('INVALID')
    expect(codeOf(await respond(vm, token))).toBe(NOT_FOUND)
    expect(rig.telemetry.pageRequestEnds).toEqual(['dropped'])
    expect([rig.broker.waitingPageRequests, await endOf(foreign)]).toEqual([1, undefined])
  })

  test('by a drain that waits for an answer on its way', async () => {
    const { vm, at } = await start()
    const receiver = new Receiver(vm)
    const [first, second] = [raise(rig, at, 1), raise(rig, at, 2)]
    const held = rig.backend.hold('respond')
    const answered = respond(vm, receiver.token)
    await held.reached
    let drained = false
    const drain = rig.broker.drainPageRequests(vm.id).then(() => (drained = true))
    expect([await endOf(first), drained]).toEqual(['INVALID', false])
    held.release()
    await drain
    ok(await answered)
    expect(await endOf(second)).toBe('SUCCESS')
  })

  test('by an unbind while a slow answer is on its way, which is not for the next group', async () => {
    const { vm, at } = await start()
    const receiver = new Receiver(vm)
    const raised = raise(rig, at)
    const slow = { kind: 'SLOW', ms: 50, effect: 'respond', skip: 0, times: 1 } as const
    rig.emulator.inject('emu0', slow)
    const answered = respond(vm, receiver.token)
    ok(await vm.unbind(at))
    ok(await vm.bind(at))
    const next = raise(rig, at)
    rig.clock.pass(50)
    expect(codeOf(await answered)).toBe(NOT_FOUND)
    expect([await endOf(raised), await endOf(next)]).toEqual(['INVALID', undefined])
    ok(await respond(vm, receiver.token))
    expect(await endOf(next)).toBe('SUCCESS')
  })
})

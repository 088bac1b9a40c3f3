/** Page requests and a restart of the daemon: what a backend that outlives it still waits for. */
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { createEmulator } from '../../src/backend/emulator/emulator.js'
import { BrokerRig, removeFolders, SHARED, WHOLE } from '../support/broker-rig.js'
import { boundVm, endOf, raise, Receiver } from '../support/broker-rig-receiver.js'
import { codeOf, ok, type RigVm } from '../support/broker-rig-vm.js'

const DEADLINE_MS = 5000
const NOT_FOUND = 'PAGE_REQUEST_NOT_FOUND'
let rig: BrokerRig

afterEach(() => rig.stop())
afterAll(removeFolders)

function respond(vm: RigVm, token: Uint8Array) {
  return vm.broker.respondPageRequest({ session: vm.id, token, code: 'SUCCESS' })
}

describe('a restart of the daemon', () => {
  async function outliving() {
    const emulator = createEmulator({ devices: [SHARED, WHOLE] })
    rig = await BrokerRig.start({ emulator })
    const { vm, at } = await boundVm(rig)
    return { vm, at, receiver: new Receiver(vm) }
  }

  test('leaves a token good while the device still waits', async () => {
    const { vm, at, receiver } = await outliving()
    const raised = raise(rig, at)
    await rig.settled()
    rig = await rig.kill()
    const after = vm.on(rig.broker)
    expect(rig.broker.waitingPageRequests).toBe(1)
    ok(await respond(after, receiver.token))
    expect(await endOf(raised)).toBe('SUCCESS')
    expect(codeOf(await respond(after, receiver.token))).toBe(NOT_FOUND)
  })

  test('begins the deadline anew, and a new receiver is told', async () => {
    const { vm, at } = await outliving()
    const raised = raise(rig, at)
    await rig.settled()
    rig = await rig.kill()
    const receiver = new Receiver(vm.on(rig.broker))
    await rig.until(() => receiver.requests.length === 1)
    rig.clock.pass(DEADLINE_MS)
    expect(await endOf(raised)).toBe('INVALID')
  })

  test('does not let a token of before name a group of after', async () => {
    const { vm, at, receiver } = await outliving()
    raise(rig, at)
    const { token } = receiver
    await rig.settled()
    rig = await rig.kill()
    const after = vm.on(rig.broker)
    ok(await respond(after, token))
    const raised = raise(rig, at)
    expect(codeOf(await respond(after, token))).toBe(NOT_FOUND)
    expect(await endOf(raised)).toBeUndefined()
  })

  test('with a backend that cannot list what waits: the token is tried on it', async () => {
    const { vm, at, receiver } = await outliving()
    const raised = raise(rig, at)
    const { token } = receiver
    await rig.settled()
    const { emulator } = rig
    // As natively: a group that was read from the fault queue is never told again.
    const listen = emulator.listen.bind(emulator)
    const silent = Object.assign(emulator, {
      listen: (listener: Parameters<typeof listen>[0]) => {
        listen({ ...listener, pageRequest: () => undefined })
      },
    })
    rig = await rig.kill({ emulator: silent })
    const after = vm.on(rig.broker)
    expect(rig.broker.waitingPageRequests).toBe(0)
    const other = await rig.vm()
    expect(codeOf(await respond(other, token))).toBe(NOT_FOUND)
    ok(await respond(after, token))
    expect(await endOf(raised)).toBe('SUCCESS')
    expect(codeOf(await respond(after, token))).toBe(NOT_FOUND)
    rig.clock.pass(DEADLINE_MS)
    expect(codeOf(await respond(after, token))).toBe(NOT_FOUND)
  })

  test('after which the owner is gone: the device is answered INVALID', async () => {
    const { vm, at } = await outliving()
    const raised = raise(rig, at)
    await rig.settled()
    rig.owners.kill(vm.owner)
    rig = await rig.kill()
    expect(await endOf(raised)).toBe('INVALID')
    expect(rig.broker.waitingPageRequests).toBe(0)
  })
})

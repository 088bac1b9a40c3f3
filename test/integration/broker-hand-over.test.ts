/**
 * AttachDevice with descriptors that were handed over, and what a bind answers then: who has the
 * descriptors at every end of it, and what a repeated request hears.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { BackendFault } from '../../src/backend/backend.js'
import type { Scope } from '../../src/core/device.js'
import { refuse } from '../../src/core/refusal.js'
import { handing, REFUSED, RigNative } from '../support/broker-rig-native.js'
import { codeOf, exactAsk, ok, requestKey, tableAt } from '../support/broker-rig-vm.js'
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
  const native = new RigNative()
  rig = await BrokerRig.start({ native, ...options })
  return { on: rig, native }
}

const INVALID = refuse({ code: 'HAND_OVER_TOKEN_INVALID', remedy: 'send them again' })

describe('a device that is handed over', () => {
  test('is attached: the answer says how, and knows the device better', async () => {
    const { on, native } = await up()
    const vm = await on.vm()
    const handed = handing()
    const attached = ok(await vm.handOver(handed.take))
    expect(attached.native).toEqual({ devId: 40, parentHwpt: 7, rid: 'ON_PARENT' })
    expect(attached.device).toMatchObject({ name: 'nic0', facts: { pasidBits: 10 } })
    expect(handed.taken).toBe(1)
    expect(native.holds('nic0', vm.id)).toBe(true)
    expect([handed.iommufd.closes, handed.cdev.closes]).toEqual([0, 0])
    ok(await vm.detach('nic0'))
    expect([handed.iommufd.closes, handed.cdev.closes]).toEqual([1, 1])
  })

  test('turns out narrower: what was granted stays held, and cannot be bound', async () => {
    const { on } = await up()
    const vm = await on.vm()
    ok(await vm.allocate({ ask: exactAsk(5000) }))
    ok(await vm.handOver(handing().take))
    expect(await vm.held()).toEqual([5000])
    const refused = await vm.bind(5000, { devices: ['nic0'] })
    expect(refused).toMatchObject({
      refusal: { code: 'PASID_BEYOND_DEVICE_WIDTH', pasid: 5000, widthBits: 10 },
    })
    const small = await vm.one({ devices: ['nic0'] })
    expect(small).toBeLessThan(1024)
    ok(await vm.bind(small, { devices: ['nic0'] }))
  })

  test('attached by number only, nothing is taken, and nothing can be bound', async () => {
    const { on } = await up()
    const vm = await on.vm()
    expect(ok(await vm.attach('nic0'))).toMatchObject({ native: undefined })
    const pasid = await vm.one()
    expect(await vm.bind(pasid, { devices: ['nic0'] })).toMatchObject({
      refusal: { code: 'DEVICE_NOT_HANDED_OVER', device: 'nic0' },
    })
    expect(vm.bindingState(pasid, 'nic0')).toBeUndefined()
  })

  test('is listed as such for operators, until it is let go; by number only it is not', async () => {
    const { on } = await up()
    const vm = await on.vm()
    ok(await vm.handOver(handing().take))
    ok(await vm.attach('nic1'))
    const listed = async () => {
      const { rows } = ok(await on.broker.listDevices({ after: undefined, limit: 10 }))
      return rows.map(({ name, sessions, handedOver }) => [name, sessions.length, handedOver])
    }
    const nic1 = ['nic1', 1, false]
    expect(await listed()).toEqual([['nic0', 1, true], nic1])
    ok(await vm.detach('nic0'))
    expect(await listed()).toEqual([['nic0', 0, false], nic1])
  })

  test('asked again under the same request id, hears how it stands; nothing more is taken', async () => {
    const { on, native } = await up()
    const vm = await on.vm()
    const [first, again] = [handing(), handing()]
    const key = requestKey('attach-1')
    const attached = ok(await vm.handOver(first.take, 'nic0', key))
    const repeated = ok(await vm.handOver(again.take, 'nic0', key))
    expect(repeated.native).toEqual(attached.native)
    expect([first.taken, again.taken]).toEqual([1, 0])
    expect(native.inForce()).toEqual([])
  })

  test('asked again, the RID is found out about with a number that the session has not', async () => {
    const { on, native } = await up()
    const vm = await on.vm()
    const key = requestKey('attach-1')
    ok(await vm.handOver(handing().take, 'nic0', key))
    expect(native.unused).toBeUndefined()
    ok(await vm.handOver(handing().take, 'nic0', key))
    const { unused = 0 } = native
    expect(unused).toBeGreaterThan(0)
    expect(on.broker.state.host.sessionOf(unused)).not.toBe(vm.id)
  })

  test('asked twice at once under one id, both hear the same, and one is taken', async () => {
    const { on } = await up()
    const vm = await on.vm()
    const handed = handing()
    const key = requestKey('attach-2')
    const both = await Promise.all([
      vm.handOver(handed.take, 'nic0', key),
      vm.handOver(handed.take, 'nic0', key),
    ])
    expect(both.map((one) => ok(one).native?.devId)).toEqual([40, 40])
    expect(handed.taken).toBe(1)
  })
})

describe('what speaks against it comes first: nothing is taken', () => {
  test('a backend that takes none refuses before anything is recorded', async () => {
    rig = await BrokerRig.start()
    const vm = await rig.vm()
    const { revision } = rig.broker.state
    const handed = handing()
    expect(await vm.handOver(handed.take, 'emu0')).toMatchObject({
      refusal: { code: 'FEATURE_NOT_AVAILABLE', feature: 'native-backend' },
    })
    expect(handed.taken).toBe(0)
    expect(rig.broker.state.revision).toBe(revision)
    expect(ok(await vm.attach())).toMatchObject({ native: undefined })
  })

  test('a device that is not there, is attached, or is another’s', async () => {
    const { on } = await up()
    const [vm, other] = [await on.vm(), await on.vm()]
    ok(await other.attach('nic1'))
    ok(await vm.attach('nic0'))
    const handed = handing()
    const codes = [
      codeOf(await vm.handOver(handed.take, 'nic9')),
      codeOf(await vm.handOver(handed.take, 'nic0')),
      codeOf(await vm.handOver(handed.take, 'nic1')),
    ]
    expect(codes).toEqual(['DEVICE_NOT_FOUND', 'DEVICE_ALREADY_ATTACHED', 'DEVICE_IN_USE'])
    expect(handed.taken).toBe(0)
  })

  test('a ledger that cannot be written', async () => {
    const { on } = await up()
    const vm = await on.vm()
    on.ledger.plan({ nth: 1, how: 'NOT_WRITTEN', reopenFailures: 3 })
    const handed = handing()
    expect(codeOf(await vm.handOver(handed.take))).toBe('LEDGER_UNAVAILABLE')
    expect(codeOf(await vm.handOver(handed.take))).toBe('LEDGER_UNAVAILABLE')
    expect(handed.taken).toBe(0)
    await on.passUntil(() => on.telemetry.recoveries === 1)
    expect(ok(await vm.handOver(handed.take)).native).toBeDefined()
  })

  test('a session that was closed while its intent was on its way', async () => {
    const { on } = await up()
    const vm = await on.vm()
    const held = on.ledger.holdAppend()
    const handed = handing()
    const attaching = vm.handOver(handed.take)
    await held.reached
    const closing = vm.close()
    held.release()
    expect(codeOf(await attaching)).toBe('SESSION_CLOSING')
    ok(await closing)
    expect(handed.taken).toBe(0)
  })
})

describe('what was taken is the backend’s, or closed', () => {
  test('a token that is not valid leaves no attachment; the next is taken with the same request id', async () => {
    const { on } = await up()
    const vm = await on.vm()
    const key = requestKey('attach')
    for (let i = 0; i < 2; i += 1) {
      const attempt = await vm.handOver(() => INVALID, 'nic0', key)
      expect(codeOf(attempt)).toBe('HAND_OVER_TOKEN_INVALID')
    }
    expect(on.telemetry.refusals).toContain('HAND_OVER_TOKEN_INVALID')
    const handed = handing()
    expect(ok(await vm.handOver(handed.take, 'nic0', key)).native).toBeDefined()
  })

  test.each([
    [REFUSED, { code: 'HAND_OVER_REFUSED', problem: REFUSED.message, remedy: REFUSED.remedy }],
    [new BackendFault('no thread', 'RETRY'), { code: 'BACKEND_UNAVAILABLE', device: 'nic0' }],
  ])('a backend that says no (%s) has closed it; nothing stands', async (fault, refusal) => {
    const { on, native } = await up()
    const vm = await on.vm()
    native.faults.set('attach', fault)
    const handed = handing()
    expect(await vm.handOver(handed.take)).toMatchObject({ refusal })
    expect([handed.iommufd.closes, handed.cdev.closes]).toEqual([1, 1])
    expect(on.broker.state.session(vm.id).attachments.size).toBe(0)
    expect(ok(await vm.handOver(handing().take)).native).toBeDefined()
  })

  test('an owner that dies while the backend binds it: it is let go all the same', async () => {
    const { on, native } = await up()
    const vm = await on.vm()
    const binding = native.hold('attach')
    const handed = handing()
    const attaching = vm.handOver(handed.take)
    await binding.reached
    await on.settled()
    const write = on.ledger.holdAppend()
    on.owners.kill(vm.owner)
    await on.until(() => native.calls.includes(`drop ${vm.id}`))
    binding.release()
    // The ledger hangs: nothing but the death itself has told anybody.
    await on.until(() => handed.cdev.closes === 1)
    write.release()
    expect((await attaching).ok).toBe(false)
    await on.until(() => !on.broker.state.sessions.has(vm.id))
    expect([handed.iommufd.closes, handed.cdev.closes]).toEqual([1, 1])
  })

  test('an owner that died while the intent was on its way: nothing is taken any more', async () => {
    const { on } = await up()
    const vm = await on.vm()
    const held = on.ledger.holdAppend()
    const handed = handing()
    const attaching = vm.handOver(handed.take)
    await held.reached
    on.owners.kill(vm.owner)
    held.release()
    expect((await attaching).ok).toBe(false)
    await on.until(() => !on.broker.state.sessions.has(vm.id))
    expect(handed.taken).toBe(0)
  })
})

describe('a bind answers the HWPTs that it is on', () => {
  const DEVICE_SCOPE = new Map<string, Scope>()

  test('by device, in the order asked; a replace answers the new one', async () => {
    const { on } = await up({ scopes: DEVICE_SCOPE })
    const vm = await on.vm()
    for (const device of ['nic0', 'nic1']) ok(await vm.handOver(handing().take, device))
    const pasid = await vm.one()
    const both = { devices: ['nic1', 'nic0'], table: tableAt(3) }
    expect(ok(await vm.bind(pasid, both)).hwpts).toEqual([
      { device: 'nic1', hwpt: 1003 },
      { device: 'nic0', hwpt: 1003 },
    ])
    const again = { devices: ['nic0'], table: tableAt(4), replace: true }
    expect(ok(await vm.bind(pasid, again)).hwpts).toEqual([{ device: 'nic0', hwpt: 1004 }])
  })

  test('on the emulator there are none', async () => {
    rig = await BrokerRig.start()
    const vm = await rig.vm()
    ok(await vm.attach())
    expect(ok(await vm.bind(await vm.one())).hwpts).toEqual([])
  })
})

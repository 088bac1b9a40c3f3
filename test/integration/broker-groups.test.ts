/**
 * IOMMU groups in the broker: what becomes of one device's entry becomes of its group's, in
 * failures and over restarts. Record, ledger and backend agree after each.
 */

import { afterAll, afterEach, expect, test } from 'vitest'
import { createEmulator } from '../../src/backend/emulator/emulator.js'
import { RID } from '../../src/core/ids.js'
import { BrokerRig, removeFolders, WHOLE } from '../support/broker-rig.js'
import { codeOf, ok, tableAt, type RigVm } from '../support/broker-rig-vm.js'

const GROUP = ['a', 'b'] as const
const DEVICES = [
  ...GROUP.map((name) => ({ ...WHOLE, name, group: 'g' })),
  { ...WHOLE, name: 'apart' },
]
const NEXT = { table: tableAt(2), domain: 9, replace: true }

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

/** A VM with all devices and a number bound on both of the group. */
async function up(): Promise<{ on: BrokerRig; vm: RigVm; at: number }> {
  const on = await BrokerRig.start({ devices: DEVICES })
  rig = on
  const vm = await on.vm()
  for (const { name } of DEVICES) ok(await vm.attach(name))
  const at = await vm.one()
  ok(await vm.bind(at, { devices: GROUP }))
  return { on, vm, at }
}

function states(vm: RigVm, at: number): readonly (string | undefined)[] {
  return GROUP.map((name) => vm.bindingState(at, name))
}

async function tables(on: BrokerRig): Promise<readonly string[]> {
  const observed = await on.emulator.observe()
  if (observed.kind === 'UNKNOWN') return [observed.reason]
  return observed.places.map(({ device, table }) => {
    return table.kind === 'PASS_THROUGH' ? device : `${device} ${table.address / 4096}`
  })
}

test('a replace through one device is recorded of both', async () => {
  const { on, vm, at } = await up()
  ok(await vm.bind(at, { devices: ['b'], ...NEXT }))
  expect(states(vm, at)).toEqual(['BOUND', 'BOUND'])
  expect(await tables(on)).toEqual(['a 2', 'b 2'])
  expect(await on.problems()).toEqual([])
  ok(await vm.unbind(at, ['a']))
  expect(await tables(on)).toEqual(['b 2'])
})

test('a replace that fails on a device beside the group puts the group back', async () => {
  const { on, vm, at } = await up()
  ok(await vm.bind(at, { devices: ['apart'] }))
  on.emulator.injectFault('apart', { kind: 'REFUSE', times: 1, at: 'SET_UP' })
  const asked = await vm.bind(at, { devices: ['a', 'apart'], ...NEXT })
  expect(codeOf(asked)).toBe('BACKEND_REFUSED')
  expect(states(vm, at)).toEqual(['BOUND', 'BOUND'])
  expect(await tables(on)).toEqual(['a 1', 'b 1', 'apart 1'])
})

test('a replace that stops in its middle loses the binding on both', async () => {
  const { on, vm, at } = await up()
  on.emulator.injectFault('b', { kind: 'STOP', times: 1, at: 'SET_UP' })
  expect(codeOf(await vm.bind(at, { devices: ['a'], ...NEXT }))).toBe('BACKEND_UNAVAILABLE')
  expect(states(vm, at)).toEqual(['LOST', 'LOST'])
  expect(on.telemetry.lost.map(({ device }) => device)).toEqual(['a', 'b'])
  expect(await tables(on)).toEqual([])
  ok(await vm.bind(at, { devices: GROUP }))
  expect(await tables(on)).toEqual(['a 1', 'b 1'])
})

test('an invalidation that cannot be done loses the binding on both: the entry must go', async () => {
  const { on, vm, at } = await up()
  on.emulator.injectFault('a', { kind: 'RETRY', times: 2, effect: 'invalidate' })
  const { lost } = ok(await vm.invalidate(at, 'a'))
  expect(lost.map(({ device }) => device)).toEqual(['a', 'b'])
  expect(states(vm, at)).toEqual(['LOST', 'LOST'])
  expect(await tables(on)).toEqual([])
})

test('effects on devices of one group come one after the other', async () => {
  const { on, vm, at } = await up()
  const replacing = on.backend.hold('replace')
  const replaced = vm.bind(at, { devices: ['a'], ...NEXT })
  await replacing.reached
  const unbound = vm.unbind(at, ['b'])
  const apart = vm.bind(at, { devices: ['apart'] })
  ok(await apart)
  expect(states(vm, at)).toEqual(['BINDING', 'BINDING'])
  replacing.release()
  ok(await replaced)
  ok(await unbound)
  expect(states(vm, at)).toEqual(['BOUND', undefined])
  expect(await tables(on)).toEqual(['a 2', 'apart 1'])
})

test('a new incarnation makes an emulator that kept older tables agree, group by group', async () => {
  const emulator = createEmulator({ devices: DEVICES })
  const first = await BrokerRig.start({ devices: DEVICES, emulator })
  rig = first
  const vm = await first.vm()
  for (const name of GROUP) ok(await vm.attach(name))
  const at = await vm.one()
  ok(await vm.bind(at, { devices: GROUP }))
  ok(await vm.bind(RID, { devices: GROUP }))
  // Recorded, durable, and not yet at the backend: the process dies there.
  const replacing = first.backend.hold('replace')
  const replaced = vm.bind(at, { devices: ['a'], ...NEXT })
  await replacing.reached
  await first.settled()
  const second = await first.kill({ emulator })
  rig = second
  void replaced.catch(() => undefined)
  const again = vm.on(second.broker)
  expect(states(again, at)).toEqual(['BOUND', 'BOUND'])
  expect((await tables(second)).toSorted()).toEqual(['a 1', 'a 2', 'b 1', 'b 2'])
})

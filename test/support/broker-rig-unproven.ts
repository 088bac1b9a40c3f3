/** VMs that have devices by number only, and what becomes of their numbers, in a BrokerRig. */

import type { BrokerRig } from './broker-rig.js'
import type { RigNative } from './broker-rig-native.js'
import { ok, type RigVm } from './broker-rig-vm.js'

/** As the rig is configured. */
export const HOLD_MS = 60_000

export interface Alone {
  readonly vm: RigVm
  readonly pasid: number
}

/** A VM that has the devices by number only, and one number. */
export async function alone(on: BrokerRig, ...devices: string[]): Promise<Alone> {
  const vm = await on.vm()
  for (const device of devices) ok(await vm.attach(device))
  const pasid = await vm.one()
  await on.settled()
  return { vm, pasid }
}

export function slot(on: BrokerRig, { pasid }: Alone): number {
  return on.broker.state.host.slotOf(pasid)
}

/** Everything that is under way without time passing has come to its end. */
export async function quiet(on: BrokerRig): Promise<void> {
  await on.settled()
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  await on.settled()
}

export async function pass(on: BrokerRig, ms: number): Promise<void> {
  on.clock.pass(ms)
  await quiet(on)
}

export function looks(native: RigNative): number {
  return native.calls.filter((call) => call.startsWith('seenClosed')).length
}

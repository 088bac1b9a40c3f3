/** What tests of reclaim ask of a rig: one sweep now, what is in force, who is left. */

import { ALL_PATHS, type ReclaimPaths } from '../../src/broker/reaper.js'
import type { BrokerRig } from './broker-rig.js'
import { ok, type OpenAsk, type RigVm } from './broker-rig-vm.js'

export const SWEEP_EVERY_MS = 1e9

export const NO_PATHS: ReclaimPaths = {
  events: false,
  startSweep: false,
  sweeps: false,
  beforeExhausted: false,
}

export const PATH_NAMES = Object.keys(ALL_PATHS) as readonly (keyof ReclaimPaths)[]

/** A VM with a device, one number bound and one idle, all durable. */
export async function busyVm(rig: BrokerRig, ask: OpenAsk = {}): Promise<BusyVm> {
  const vm = await rig.vm(ask)
  ok(await vm.attach())
  const [bound, idle] = [await vm.one(), await vm.one()]
  ok(await vm.bind(bound))
  await rig.settled()
  return { vm, bound, idle }
}

export interface BusyVm {
  readonly vm: RigVm
  readonly bound: number
  readonly idle: number
}

/** The next periodic sweep, to its end; what it began is under way. */
export async function sweepNow(rig: BrokerRig): Promise<void> {
  const { sweeps } = rig.telemetry
  const before = sweeps.length
  rig.clock.pass(SWEEP_EVERY_MS)
  await rig.until(() => sweeps.length > before)
  // The next one is ordered when this one is over.
  await new Promise((resolve) => setImmediate(resolve))
}

/** A whole pass, however many sweeps it takes. */
export async function passNow(rig: BrokerRig): Promise<void> {
  do await sweepNow(rig)
  while (rig.telemetry.sweeps.at(-1)?.whole !== true)
}

export function isGone(rig: BrokerRig, vm: RigVm): boolean {
  return !rig.broker.state.sessions.has(vm.id)
}

export function stateOf(rig: BrokerRig, vm: RigVm) {
  return rig.broker.state.sessions.get(vm.id)?.record.state
}

/** Targets bound in the emulator, of all devices. */
export async function inForce(rig: BrokerRig): Promise<number[]> {
  const observed = await rig.emulator.observe()
  return observed.kind === 'KNOWN' ? observed.places.map(({ target }) => target) : []
}

/**
 * fail_nth: attach, replace and detach, with the N-th effect at the backend failing; N grows until
 * no failure is met any more. After each step what stands is what the answer said, and nothing
 * leaks.
 */

import { expect } from 'vitest'
import type { InjectedFault } from '../../src/backend/emulator/fault-plan.js'
import type { Vm, World } from './world.js'

const PASID = 200
const KINDS = ['RETRY', 'REFUSE', 'STOP'] as const
/**
 * Effects of a run that can fail so: the bind, the replace and the unbind; of the second, its half.
 */
const EFFECTS = { START: 3, SET_UP: 1 } as const
const BACKEND = /^BACKEND_/

export async function failEveryNth(world: World): Promise<readonly string[]> {
  const out = new Set<string>()
  for (const kind of KINDS) {
    for (const at of ['START', 'SET_UP'] as const) {
      for (let n = 0; n <= EFFECTS[at]; n += 1) {
        const told = await runOnce(world, { kind, at, times: 1, skip: n })
        const wanted = n < EFFECTS[at] ? 1 : 0
        out.add(told === wanted ? 'every failure was told' : `${kind} ${at} ${n}: ${told} told`)
        const { consistent } = await world.operator.check()
        out.add(consistent ? 'record, memory and backend agree' : `${kind} ${at} ${n}: they differ`)
        const left = await world.cleanUp()
        out.add(left.length === 0 ? 'nothing is left' : left.join(', '))
      }
    }
  }
  return [...out]
}

/** How many failures of the backend the answers told. What stands is held against each answer. */
async function runOnce(world: World, fault: InjectedFault): Promise<number> {
  const vm = await world.vm(['dev'], [PASID])
  world.daemon.backend.injectFault('dev', fault)
  const attached = await vm.bind(PASID, 'nested0')
  const first = attached === 'ok' ? 'check: nested0' : 'check: null'
  await stands(vm, first)
  const replaced = await vm.replace(PASID, 'nested1')
  // After a STOP nobody knows what is in force: LOST, and taken down.
  const lost = BACKEND.test(replaced) && fault.kind === 'STOP' ? 'check: null' : first
  await stands(vm, replaced === 'ok' ? 'check: nested1' : lost)
  const detached = await vm.unbind(PASID)
  // One that fails is tried again until it is done.
  await stands(vm, 'check: null')
  world.daemon.backend.clearFaults('dev')
  return [attached, replaced, detached].filter((told) => BACKEND.test(told)).length
}

async function stands(vm: Vm, wanted: string): Promise<void> {
  await expect.poll(() => vm.check(PASID)).toBe(wanted)
}

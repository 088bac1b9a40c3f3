/** What must be left when a session is over: of its objects none, of ours none. */

import { expect } from 'vitest'
import type { VfioRig } from './vfio-rig.js'

export interface Left {
  readonly descriptors: number
  readonly threads: number
  readonly kept: number
  readonly bound: readonly string[]
  readonly timers: number
  /** Objects of VMMs' iommufds, but for each one's IOAS. */
  readonly objects: readonly string[]
}

export function leftIn(rig: VfioRig): Left {
  const objects: string[] = []
  for (const { context, ioas } of rig.vms.values()) {
    for (const { id, kind } of context.objects.values()) if (id !== ioas) objects.push(kind)
  }
  const devices = [...rig.kernel.devices.values()]
  return {
    descriptors: rig.kernel.openFds,
    threads: rig.kernel.threads,
    kept: rig.keeper.files.size,
    bound: devices.filter(({ bound }) => bound !== undefined).map(({ name }) => name),
    timers: rig.clock.timers,
    objects,
  }
}

const NOTHING: Left = { descriptors: 0, threads: 0, kept: 0, bound: [], timers: 0, objects: [] }

/** `objects`: that the kernel was made not to give back. */
export function expectNothingLeft(
  rig: VfioRig,
  what: string,
  objects: readonly string[] = [],
): void {
  expect(leftIn(rig), what).toEqual({ ...NOTHING, objects })
}

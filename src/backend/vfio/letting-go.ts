/**
 * Letting go of devices: what we attached is detached, what we made is destroyed, in the order in
 * which the kernel allows it (nested tables, our parent, our fault queue), and the descriptors are
 * closed. Nothing here fails: what the kernel refuses to take back goes with the VMM's iommufd.
 */

import type { Target } from '../../core/ids.js'
import { RID } from '../../core/ids.js'
import { pasidOf } from './guards.js'
import { closeApart } from './held-fd.js'
import { closeDevice, type HeldDevice } from './held-device.js'
import type { Holding } from './holding.js'
import { quietly } from './hwpts.js'
import type { Kernel } from './ports.js'

export interface Leaving {
  /** What the VMM may have attached by itself, beside what is in the books. */
  readonly granted: readonly Target[]
  /** Also a RID that the VMM has attached by itself. */
  readonly wholly: boolean
  /** Whether there is no time for what the VMM may have attached by itself. */
  readonly isLate: () => boolean
}

export const ORDERLY: Leaving = { granted: [], wholly: false, isLate: () => false }

/** Whether it is certain that nothing of the session's is attached through the device any more. */
export async function detachAll(
  holding: Holding,
  device: HeldDevice,
  { granted, wholly, isLate }: Leaving,
): Promise<boolean> {
  let certain = true
  const detach = async (target: Target): Promise<boolean> => {
    const isDone = await quietly(() => device.port.detach(pasidOf(target)))
    certain &&= isDone
    return isDone
  }
  for (const [target, place] of [...holding.places]) {
    if (!place.through.has(device)) continue
    if (!(await detach(target))) place.unproven.add(device)
    else if (holding.gone(device, target)) await holding.hwpts.release(place.hwpt)
  }
  if (wholly || holding.resting.has(device)) {
    if (await detach(RID)) holding.rest(device, 'NO')
  }
  if (device.info.maxPasidLog2 === 0) return certain
  for (const target of granted) {
    if (isLate()) return false
    if (target < 2 ** device.info.maxPasidLog2) await detach(target)
  }
  return certain
}

/** It is detached. The last one takes what the group shares with it. */
export async function leave(kernel: Kernel, holding: Holding, device: HeldDevice): Promise<void> {
  const { faults, parent } = holding
  holding.forgetDevice(device)
  if (holding.devices.size > 1) {
    holding.devices.delete(device.name)
    await closeDevice(kernel, device)
    return
  }
  await holding.hwpts.destroyUnused()
  // Before the ids stop being ours.
  holding.memory.end()
  if (parent.own !== undefined) await quietly(() => device.ioctls.destroy(parent.id))
  if (faults !== undefined) {
    faults.stop()
    await device.calls.watched('close', closeApart(kernel, [faults.fd]))
    await quietly(() => device.ioctls.destroy(faults.id))
  }
  holding.devices.delete(device.name)
  await closeDevice(kernel, device)
}

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

/** Calls that wait on a device's thread for each other. */
const AT_ONCE = 64

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
  return (await detachUnbooked(device, granted, isLate)) && certain
}

/**
 * What is not in the books and may be attached all the same, by the VMM itself: many at a time,
 * since a session may hold every number. False: not all, or not for certain.
 */
export async function detachUnbooked(
  device: HeldDevice,
  targets: readonly Target[],
  isLate: () => boolean,
): Promise<boolean> {
  const end = device.info.maxPasidLog2 === 0 ? 0 : 2 ** device.info.maxPasidLog2
  const pasids = targets.filter((target) => target !== RID && target < end)
  let certain = true
  for (let i = 0; i < pasids.length; i += AT_ONCE) {
    if (isLate()) return false
    const some = pasids.slice(i, i + AT_ONCE)
    const ends = await Promise.all(some.map((pasid) => quietly(() => device.port.detach(pasid))))
    certain &&= ends.every((isDone) => isDone)
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
    await faults.end()
    await device.calls.watched('close', closeApart(kernel, [faults.fd]))
    await quietly(() => device.ioctls.destroy(faults.id))
  }
  holding.devices.delete(device.name)
  await closeDevice(kernel, device)
}

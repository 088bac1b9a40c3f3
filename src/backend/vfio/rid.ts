/**
 * The RID (requests without PASID) and the parent that it may rest on. In an IOMMU group it is
 * attached once for all devices, counted by device, so what rests is moved aside before a table is
 * put there, and put back when that failed.
 */

import { BackendFault } from '../backend.js'
import { faultOf } from './errors.js'
import type { HeldDevice } from './held-device.js'
import type { Holding } from './holding.js'
import { quietly, type Hwpt } from './hwpts.js'

/** To the parent; what the VMM had there is replaced. @throws KernelRefusal; BackendFault */
export async function restOnParent(holding: Holding, device: HeldDevice): Promise<void> {
  holding.rest(device, 'INTENDED')
  await device.port.attach(holding.parent.id, undefined)
  holding.rest(device, 'YES')
}

/** @throws KernelRefusal; BackendFault: what rested rests again, or the fault is a STOP */
export async function attachRid(holding: Holding, device: HeldDevice, hwpt: Hwpt): Promise<void> {
  const resting = [...holding.resting]
  try {
    for (const other of resting) if (other !== device) await moveAside(other)
    await device.port.attach(hwpt.id, undefined)
  } catch (error) {
    if (resting.length === 0) throw error
    // Whatever became of it, it is in the way of those that rest.
    if (!resting.includes(device)) await quietly(() => device.port.detach(undefined))
    if (await restAgain(holding, resting)) throw error
    const { message } = faultOf(device.name, error)
    const what = 'and the RID could not be attached to the parent again'
    throw new BackendFault(`${message}; ${what}`, 'STOP', { cause: error })
  }
  for (const each of resting) holding.rest(each, 'NO')
}

/** @throws BackendFault */
async function moveAside(device: HeldDevice): Promise<void> {
  try {
    await device.port.detach(undefined)
  } catch (error) {
    throw faultOf(device.name, error)
  }
}

/** Detached first: an attach of what the kernel's books have there changes nothing. */
async function restAgain(holding: Holding, devices: readonly HeldDevice[]): Promise<boolean> {
  for (const device of devices) await quietly(() => device.port.detach(undefined))
  let whole = true
  for (const device of devices) {
    if (await quietly(() => device.port.attach(holding.parent.id, undefined))) continue
    await quietly(() => device.port.detach(undefined))
    holding.rest(device, 'NO')
    device.otherRid = 'NOT_ATTACHED'
    whole = false
  }
  return whole
}

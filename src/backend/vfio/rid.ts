/**
 * The RID (requests without PASID) and the parent that it may rest on. In an IOMMU group it is
 * attached once for all devices, counted by device, so what rests is moved aside before a table is
 * put there, and put back when that failed.
 */

import { domainId, RID, type Target } from '../../core/ids.js'
import { BackendFault } from '../backend.js'
import { faultOf } from './errors.js'
import { pasidOf } from './guards.js'
import type { HeldDevice } from './held-device.js'
import type { Holding } from './holding.js'
import { quietly, type Hwpt } from './hwpts.js'
import { KernelRefusal } from './ports.js'
import type { Job } from './work.js'

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

/**
 * Whether PASIDs can be attached beside what the VMM has the RID on by now. The parent is attached
 * to one for a moment, which the kernel refuses beside an HWPT that was made without
 * IOMMU_HWPT_ALLOC_PASID (drivers/iommu/iommufd/device.c iommufd_hwpt_pasid_compat). That nothing
 * is attached cannot be told from COMPATIBLE: what was known of it stays.
 * `unused`: as Backend.attachDevice().
 * @throws BackendFault; with a STOP the parent may be attached there still, which is remembered
 */
export async function askRid(
  job: Job,
  holding: Holding,
  device: HeldDevice,
  unused: Target,
): Promise<void> {
  // On something of ours.
  if (holding.resting.has(device) || holding.isAttached(device, RID)) return
  if (hasPasids(holding)) {
    tell(device, true)
    return
  }
  if (!isPasid(holding, device, unused) || holding.places.has(unused)) return
  const isCompatible = await tryParent(job, holding, device, unused)
  if (isCompatible !== undefined) tell(device, isCompatible)
}

/** Of the device, and of those of its group that have any: the kernel writes to all. */
function isPasid({ devices }: Holding, { info }: HeldDevice, number: Target): boolean {
  if (number === RID || info.maxPasidLog2 === 0) return false
  const widths = [...devices.values()].map((each) => each.info.maxPasidLog2)
  return widths.every((bits) => bits === 0 || number < 2 ** bits)
}

/** The kernel puts no RID beside them that is not compatible. */
function hasPasids({ places }: Holding): boolean {
  for (const [target, { through, unproven }] of places) {
    if (target !== RID && through.size > unproven.size) return true
  }
  return false
}

function tell(device: HeldDevice, isCompatible: boolean): void {
  if (!isCompatible) device.otherRid = 'INCOMPATIBLE'
  else if (device.otherRid === 'INCOMPATIBLE') device.otherRid = 'COMPATIBLE'
}

/** Undefined: the kernel's refusal says nothing of the RID. */
async function tryParent(
  job: Job,
  holding: Holding,
  device: HeldDevice,
  target: Target,
): Promise<boolean | undefined> {
  const { parent } = holding.hwpts
  const domain = domainId(0)
  job.check()
  holding.intend(device, target, parent, domain)
  let refusal: unknown
  try {
    await device.port.attach(parent.id, pasidOf(target))
  } catch (error) {
    refusal = error
  }
  if (await quietly(() => device.port.detach(pasidOf(target)))) holding.gone(device, target)
  else {
    parent.users += 1
    holding.stands(device, target, { table: parent.table, domain, hwpt: parent })
    holding.places.get(target)?.unproven.add(device)
    throw new BackendFault(`${device.name}: PASID ${target} could not be detached again`, 'STOP')
  }
  if (refusal === undefined) return true
  if (!(refusal instanceof KernelRefusal)) throw faultOf(device.name, refusal)
  return refusal.errno === 'EINVAL' ? false : undefined
}

/**
 * What is checked before the kernel is asked, because it does not check, or checks too late (VFIO
 * and iommufd as of Linux 7.1): PASID 0 is taken for the RID; a table that the IOMMU refuses is
 * refused after the entry before it was torn down; a number beyond the device's width is refused by
 * a device that has PASIDs only; an invalidation of no pages, or beyond 2^64, is carried out.
 */

import type { Table } from '../../core/binding.js'
import type { DeviceFacts } from '../../core/device.js'
import { PASID_LAST, RID, type Target } from '../../core/ids.js'
import { unsupportedTable } from '../../core/table-support.js'
import { BackendFault, type InvalidateRequest } from '../backend.js'

const PAGE_BYTES = 4096n
const ADDRESSES = 2n ** 64n

function refused(device: string, problem: string): BackendFault {
  return new BackendFault(`${device}: ${problem}`, 'REFUSE')
}

/** What VFIO takes: undefined is the RID. Never 0. */
export function pasidOf(target: Target): number | undefined {
  return target === RID ? undefined : target
}

/**
 * A place that the kernel is about to write: on every device that it reaches, of those in our
 * hands.
 * @throws BackendFault REFUSE
 */
export function checkPlace(facts: readonly DeviceFacts[], target: Target, table: Table): void {
  for (const of of facts) {
    if (target !== RID) checkPasid(of, target)
    const no = unsupportedTable(of, table)
    if (no !== undefined) {
      throw refused(of.name, `${no.field} is ${no.value}, must be ${no.supported}`)
    }
  }
}

function checkPasid({ name, pasidBits }: DeviceFacts, target: Target): void {
  if (pasidBits === 0) throw refused(name, 'it has no PASIDs (out_max_pasid_log2 is 0)')
  const last = Math.min(2 ** pasidBits - 1, PASID_LAST)
  if (target <= last) return
  throw refused(name, `PASID ${target} is too wide: the last is ${last}, by out_max_pasid_log2`)
}

/** @throws BackendFault REFUSE */
export function checkRange(device: string, range: InvalidateRequest['range']): void {
  if (range === undefined) return
  const { address, pages } = range
  const what = `invalidation of 0x${address.toString(16)} and ${pages} pages`
  if (address < 0n || address % PAGE_BYTES !== 0n) {
    throw refused(device, `${what}: the address must be a multiple of 4096`)
  }
  if (pages < 1n) throw refused(device, `${what}: at least 1 page`)
  if (address + pages * PAGE_BYTES > ADDRESSES) {
    throw refused(device, `${what}: it must end at 2^64 or before`)
  }
}

/** Page requests of a fake device: through the table that stands there, to its fault queue. */

import type { FakeDevice } from './vfio-fake-books.js'

/** iommufd_fault_iopf_handler. False: the table brings no page requests, and none was raised. */
export function raiseFault(device: FakeDevice, pasid: number, group: number, pages = 1): boolean {
  const hwpt = device.table.get(pasid)
  const queue = hwpt?.queue
  if (hwpt === undefined || queue === undefined) return false
  queue.deliver.push({ device, pasid, group, pages, cookie: -1, hwpt })
  queue.wake?.()
  return true
}

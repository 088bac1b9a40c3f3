/**
 * Whether anybody has a device bound: shown by binding it for a moment to an iommufd of our own, or
 * by its removal from the host, which ends when the last has closed it.
 */

import type { DeviceCalls } from './device-calls.js'
import { HeldFd } from './held-fd.js'
import { closeDevice } from './held-device.js'
import { KernelRefusal, type HostDevice, type Kernel } from './ports.js'

/** drivers/vfio/vfio_main.c vfio_df_open: a cdev that is bound is not bound a second time. */
const IN_USE: readonly string[] = ['EINVAL', 'EBUSY']

/**
 * Undefined: it cannot be told. Resolves when it is closed again, so that whoever comes next can
 * bind it. @throws BackendFault
 */
export async function look(
  kernel: Kernel,
  host: HostDevice,
  calls: DeviceCalls,
): Promise<boolean | undefined> {
  const opened = host.open()
  if (opened === undefined) {
    calls.end()
    return host.isGone ? true : undefined
  }
  const iommufd = new HeldFd(opened.iommufd, `an iommufd for ${host.name}`)
  const cdev = new HeldFd(opened.cdev, `the descriptor of ${host.name}`)
  try {
    await host.attachPort(cdev, calls).bind(iommufd.number)
    return true
  } catch (error) {
    if (!(error instanceof KernelRefusal)) throw error
    return IN_USE.includes(error.errno) ? false : undefined
  } finally {
    await closeDevice(kernel, { iommufd, cdev, calls })
  }
}

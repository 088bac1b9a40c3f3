/** The port to where devices are handed over: the daemon's side socket. */

import type { HandedFd } from '../broker/answers.js'
import type { Caller } from '../broker/caller.js'

/** The two descriptors that were sent together; each is closed by whoever has it then. */
export interface HandedDevice {
  /** /dev/iommu. */
  readonly iommufd: HandedFd
  /** /dev/vfio/devices/vfioN. */
  readonly cdev: HandedFd
}

/** Devices that VMMs have handed over, each under a token that is good once. */
export interface HandOverTokens {
  /**
   * What was handed over for the token, once; the caller's of this function then. Undefined:
   * unknown, used, too old, or given to another process than the caller.
   */
  take(token: string, caller: Caller): HandedDevice | undefined
}

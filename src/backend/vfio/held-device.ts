/**
 * One device in our hands: its two descriptors, its calls, its port, and what the kernel said of
 * it. Made by taking a hand-over, or from what was kept; let go of exactly once.
 */

import type { DeviceFacts } from '../../core/device.js'
import type { RidState } from '../backend.js'
import { Iommufd } from './calls.js'
import type { DeviceCalls } from './device-calls.js'
import { closeApart, type HeldFd } from './held-fd.js'
import type { AttachPort, HostDevice, HwInfo, Kernel, NestedCodec } from './ports.js'

export interface HeldDeviceParts {
  readonly host: HostDevice
  readonly iommufd: HeldFd
  readonly cdev: HeldFd
  readonly calls: DeviceCalls
  readonly port: AttachPort
}

export class HeldDevice {
  readonly host: HostDevice
  readonly iommufd: HeldFd
  readonly cdev: HeldFd
  readonly calls: DeviceCalls
  readonly port: AttachPort
  readonly ioctls: Iommufd
  /** Of the iommufd's context. */
  readonly devId: number
  readonly info: HwInfo
  readonly facts: DeviceFacts
  readonly codec: NestedCodec | undefined
  /** Of the RID, where it is neither on the parent nor on a table of ours. */
  otherRid: Extract<RidState, 'NOT_ATTACHED' | 'COMPATIBLE' | 'INCOMPATIBLE'> = 'NOT_ATTACHED'

  constructor(parts: HeldDeviceParts, known: { readonly devId: number; readonly info: HwInfo }) {
    this.host = parts.host
    this.iommufd = parts.iommufd
    this.cdev = parts.cdev
    this.calls = parts.calls
    this.port = parts.port
    this.ioctls = new Iommufd(parts.iommufd, parts.calls)
    this.devId = known.devId
    this.info = known.info
    this.facts = parts.host.factsOf(known.info)
    this.codec = parts.host.codec(known.info)
  }

  get name(): string {
    return this.host.name
  }
}

/**
 * While a call is under way, or waits behind another device's, the numbers stay taken until it is
 * back. Resolves when the files are let go of. Repeatable.
 */
export async function closeDevice(
  kernel: Kernel,
  { iommufd, cdev, calls }: Pick<HeldDeviceParts, 'iommufd' | 'cdev' | 'calls'>,
  more: readonly HeldFd[] = [],
): Promise<void> {
  const fds = [cdev, ...more, iommufd].filter((fd) => fd.isOpen)
  if (calls.underWay > 0) {
    await calls.abandon(fds)
    return
  }
  calls.end()
  if (fds.length > 0) await calls.watched('close', closeApart(kernel, fds))
}

/** The attach port of VFIO cdevs: BIND, ATTACH and DETACH (drivers/vfio/device_cdev.c). */

import {
  ATTACH_IOMMUFD_PT,
  BIND_IOMMUFD,
  BIND_IOMMUFD_BYTES,
  DETACH_IOMMUFD_PT,
  encodeAttach,
  encodeBind,
  encodeDetach,
} from '../../uapi/vfio-cdev.js'
import type { BareRequest } from '../../uapi/structure.js'
import type { HandedFd } from '../backend.js'
import { succeeded } from './calls.js'
import type { AttachPort, Calls, IoctlEnd } from './ports.js'

export class CdevPort implements AttachPort {
  readonly #cdev: HandedFd
  readonly #calls: Calls

  constructor(cdev: HandedFd, calls: Calls) {
    this.#cdev = cdev
    this.#calls = calls
  }

  async bind(iommufd: number): Promise<number> {
    const { bytes } = await this.#make(BIND_IOMMUFD, encodeBind(iommufd))
    return devIdOf(bytes)
  }

  async attach(hwpt: number, pasid: number | undefined): Promise<void> {
    await this.#make(ATTACH_IOMMUFD_PT, encodeAttach(hwpt, pasid))
  }

  async detach(pasid: number | undefined): Promise<void> {
    await this.#make(DETACH_IOMMUFD_PT, encodeDetach(pasid))
  }

  async #make({ name, request }: BareRequest, bytes: Uint8Array): Promise<IoctlEnd> {
    return succeeded(name, await this.#calls.ioctl({ fd: this.#cdev.number, request, bytes }))
  }
}

/** Of the short form, which ends before the token. */
function devIdOf(bytes: Uint8Array): number {
  const { at } = BIND_IOMMUFD.structure.fields.outDevid
  return new DataView(bytes.buffer, bytes.byteOffset, BIND_IOMMUFD_BYTES).getUint32(at, true)
}

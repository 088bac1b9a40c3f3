/**
 * A host's device that tells when it is bound, whose attachments and what the kernel says against
 * them are written down, and whose next attach can be refused with an errno of the test's choice, without the kernel being asked: for
 * what no kernel can be brought to say when it is wanted.
 */
import type { DeviceFacts } from '../../../src/core/device.js'
import type { HandedFd } from '../../../src/backend/backend.js'
import {
  KernelRefusal,
  type AttachPort,
  type Calls,
  type HostDevice,
  type HwInfo,
  type NestedCodec,
} from '../../../src/backend/vfio/ports.js'

/** Of the devices of an IOMMU group together: one attach reaches all of them. */
export interface FailurePlan {
  /** Of the next attach. */
  errno?: string | undefined
}

export class WatchedHost implements HostDevice {
  readonly #device: HostDevice
  readonly plan: FailurePlan
  /** PASIDs attached through the device; 0 is the RID. */
  readonly attached = new Set<number>()
  /** What the kernel refused attaches with. */
  readonly refusals: string[] = []
  /** Called when the device has been bound. */
  onBound: () => void = () => undefined

  constructor(device: HostDevice, plan: FailurePlan = {}) {
    this.#device = device
    this.plan = plan
  }

  get name(): string {
    return this.#device.name
  }

  facts(): DeviceFacts {
    return this.#device.facts()
  }

  factsOf(info: HwInfo): DeviceFacts {
    return this.#device.factsOf(info)
  }

  problemWith(cdev: HandedFd) {
    return this.#device.problemWith(cdev)
  }

  codec(info: HwInfo): NestedCodec | undefined {
    return this.#device.codec(info)
  }

  open() {
    return this.#device.open()
  }

  get isGone() {
    return this.#device.isGone
  }

  attachPort(cdev: HandedFd, calls: Calls): AttachPort {
    const port = this.#device.attachPort(cdev, calls)
    return {
      bind: async (iommufd) => {
        this.attached.clear()
        const devId = await port.bind(iommufd)
        this.onBound()
        return devId
      },
      attach: async (hwpt, pasid) => {
        const { errno } = this.plan
        this.plan.errno = undefined
        if (errno !== undefined) throw new KernelRefusal('VFIO_DEVICE_ATTACH_IOMMUFD_PT', errno)
        try {
          await port.attach(hwpt, pasid)
        } catch (error) {
          if (error instanceof KernelRefusal) this.refusals.push(error.errno)
          throw error
        }
        this.attached.add(pasid ?? 0)
      },
      detach: async (pasid) => {
        await port.detach(pasid)
        this.attached.delete(pasid ?? 0)
      },
    }
  }
}

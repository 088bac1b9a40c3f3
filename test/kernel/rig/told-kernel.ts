/**
 * The kernel that the native backend calls, with what was read from fault queues and written to
 * them put down on the way. A mock device keeps nothing of the answer that it gets
 * (drivers/iommu/iommufd/selftest.c), so what the kernel was told, and whether it knew the group,
 * is the last that can be seen of one.
 */
import type { HandedFd } from '../../../src/backend/backend.js'
import { linuxKernel } from '../../../src/backend/vfio/linux-kernel.js'
import type { CallThread, Kernel, ReadableOnce } from '../../../src/backend/vfio/ports.js'
import {
  decodePageFaults,
  encodePageResponse,
  HWPT_PAGE_RESPONSE,
  type PageFaultRecord,
} from '../../../src/uapi/iommufd-data.js'
import { decode } from '../../../src/uapi/structure.js'

/** One answer that was written. */
export interface Told {
  readonly cookie: number
  /** IOMMUFD_PAGE_RESP_*. */
  readonly code: number
  /** Whether the kernel had such a group. */
  readonly wasTaken: boolean
}

export class ToldKernel implements Kernel {
  /** Page requests that the kernel gave out, in order. */
  readonly faults: PageFaultRecord[] = []
  /** Answers, in order. */
  readonly answers: Told[] = []
  /** Where the newest page request came from. */
  #queue: { readonly thread: CallThread; readonly fd: number } | undefined

  startThread(name: string): CallThread {
    const thread = linuxKernel.startThread(name)
    return {
      ioctl: (call) => thread.ioctl(call),
      close: (fd) => thread.close(fd),
      end: () => thread.end(),
      abandon: (fds, meant) => thread.abandon(fds, meant),
      read: async (fd, bytes) => {
        const end = await thread.read(fd, bytes)
        const found = decodePageFaults(end.data)
        this.faults.push(...found)
        if (found.length > 0) this.#queue = { thread, fd }
        return end
      },
      write: async (fd, bytes) => {
        const end = await thread.write(fd, bytes)
        this.answers.push({ ...decode(HWPT_PAGE_RESPONSE, bytes), wasTaken: end.code > 0 })
        return end
      },
    }
  }

  close(fd: HandedFd): Promise<void> {
    return linuxKernel.close(fd)
  }

  whenReadable(fd: number, readable: () => void): ReadableOnce {
    return linuxKernel.whenReadable(fd, readable)
  }

  adopt(fd: number, what: string): HandedFd {
    return linuxKernel.adopt(fd, what)
  }

  forget(): void {
    this.faults.length = 0
    this.answers.length = 0
  }

  /**
   * Whether the kernel still has the group: then it is answered by this. The fault queue that it
   * came from must still be the backend's.
   */
  async stillWaits(cookie: number): Promise<boolean> {
    if (this.#queue === undefined) throw new Error('no page request has come')
    const { thread, fd } = this.#queue
    const { code } = await thread.write(fd, encodePageResponse(cookie, false))
    return code > 0
  }
}

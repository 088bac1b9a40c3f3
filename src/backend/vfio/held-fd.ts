/**
 * A descriptor in our hands. Holds: once it was let go, to use it is a STOP of whatever is still
 * under way, and never another file that got the number.
 */

import { BackendFault, type HandedFd } from '../backend.js'
import type { Kernel } from './ports.js'

export class HeldFd implements HandedFd {
  #fd: HandedFd | undefined
  readonly #what: string

  /** `what`: for people. */
  constructor(fd: HandedFd, what: string) {
    this.#fd = fd
    this.#what = what
  }

  get isOpen(): boolean {
    return this.#fd !== undefined
  }

  /** @throws BackendFault STOP when it was let go */
  get number(): number {
    if (this.#fd === undefined) throw new BackendFault(`${this.#what} was let go`, 'STOP')
    return this.#fd.number
  }

  release(): number {
    const fd = this.#fd
    if (fd === undefined) throw new BackendFault(`${this.#what} was let go`, 'STOP')
    this.#fd = undefined
    return fd.release()
  }

  close(): void {
    const fd = this.#fd
    this.#fd = undefined
    fd?.close()
  }
}

/**
 * Closes each on a thread that does nothing else: the last close of an iommufd unpins a guest's
 * memory, that of a device resets it. Those that were let go already are passed over. Resolves when
 * all are closed.
 */
export async function closeApart(kernel: Kernel, fds: readonly HandedFd[]): Promise<void> {
  await Promise.all(
    fds.map(async (fd) => {
      if (fd instanceof HeldFd && !fd.isOpen) return
      let thread
      try {
        thread = kernel.startThread('pasidd-close')
      } catch (fault) {
        if (!(fault instanceof BackendFault)) throw fault
        // Better late than never: without a thread its owner's way of closing it must do.
        fd.close()
        return
      }
      try {
        await thread.close(fd)
      } finally {
        thread.end()
      }
    }),
  )
}

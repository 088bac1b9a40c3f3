/**
 * A descriptor in our hands. Holds: once it was let go, to use it is a STOP of whatever is still
 * under way, and never another file that got the number; one that calls under way mean is closed
 * after them, or its number stays taken.
 */

import { BackendFault, type HandedFd } from '../backend.js'
import type { Kernel } from './ports.js'

export class HeldFd implements HandedFd {
  #fd: HandedFd | undefined
  readonly #what: string
  readonly #uses = new Set<Promise<unknown>>()

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

  /**
   * A call that means its number, and may wait for its turn. @throws BackendFault STOP as number
   */
  async use<T>(call: (number: number) => Promise<T>): Promise<T> {
    const use = call(this.number)
    this.#uses.add(use)
    try {
      return await use
    } finally {
      this.#uses.delete(use)
    }
  }

  /** Resolves when none of those calls is under way or waits. */
  async unused(): Promise<void> {
    while (this.#uses.size > 0) await Promise.allSettled(this.#uses)
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
 * Closes each on a thread that does nothing else, when no call means its number any more: the last
 * close of an iommufd unpins a guest's memory, that of a device resets it. Those that were let go
 * already, or meanwhile, are passed over. Resolves when all are closed.
 */
export async function closeApart(kernel: Kernel, fds: readonly HandedFd[]): Promise<void> {
  await Promise.all(
    fds.map(async (fd) => {
      if (fd instanceof HeldFd) {
        await fd.unused()
        if (!fd.isOpen) return
      }
      await kernel.close(fd)
    }),
  )
}

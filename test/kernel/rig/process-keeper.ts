/** A keeper of descriptors in this process, for backends that follow one another. */
import type { HandedFd } from '../../../src/backend/backend.js'
import type { FdKeeper } from '../../../src/backend/vfio/ports.js'
import { OwnedFd } from '../../../src/linux/owned-fd.js'
import { duplicate } from './iommufd-user.js'
import { SharedMemory } from './shared-memory.js'

const MEMORY_BYTES = 4096

export class ProcessKeeper implements FdKeeper {
  readonly #kept = new Map<string, OwnedFd>()

  /** How many are kept. */
  get size(): number {
    return this.#kept.size
  }

  takeKept(): ReadonlyMap<string, HandedFd> {
    return new Map([...this.#kept].map(([name, fd]) => [name, duplicate(fd)]))
  }

  keep(name: string, fd: HandedFd): void {
    this.drop(name)
    this.#kept.set(name, duplicate(fd))
  }

  drop(name: string): void {
    this.#kept.get(name)?.close()
    this.#kept.delete(name)
  }

  createMemory(name: string): HandedFd {
    return new OwnedFd(new SharedMemory(MEMORY_BYTES).fd, name)
  }

  close(): void {
    for (const name of [...this.#kept.keys()]) this.drop(name)
  }
}

/**
 * What a VMM does with its own /dev/iommu, and tests with what they look at: system calls on a
 * thread, each by its table in src/uapi/. A call that the kernel refuses is thrown with its errno.
 */
import fs from 'node:fs'
import { failureOf, SyscallFailure } from '../../../src/linux/errno.js'
import { LinuxCallThread } from '../../../src/linux/call-thread.js'
import { boxed, unboxed } from '../../../src/linux/fd-box.js'
import { OwnedFd } from '../../../src/linux/owned-fd.js'
import {
  DESTROY,
  GET_HW_INFO,
  HWPT_ALLOC,
  IOAS_ALLOC,
  IOAS_MAP_FILE,
  IOAS_UNMAP,
  IOMMUFD,
} from '../../../src/uapi/iommufd.js'
import { decode, encode, type Request, type ValuesOf } from '../../../src/uapi/structure.js'
import type { SharedMemory } from './shared-memory.js'

export class KernelSaid extends Error {
  constructor(
    readonly call: string,
    readonly errno: string,
  ) {
    super(`${call}: ${errno}`)
  }
}

/** Opens a device's file anew. */
export function openDevice(path: string): OwnedFd {
  return new OwnedFd(fs.openSync(path, fs.constants.O_RDWR), path)
}

/** One more descriptor of the same open file. */
export function duplicate({ number }: { readonly number: number }): OwnedFd {
  const box = boxed(number)
  if (box instanceof SyscallFailure) throw new Error(box.toString())
  const content = unboxed(box)
  box.close()
  if (content === undefined) throw new Error('a descriptor was lost on its way')
  return content
}

type Fields = Request['structure']['fields']

export interface Attempt<F extends Fields> {
  /** Undefined: it was done. */
  readonly errno: string | undefined
  readonly left: ValuesOf<F>
}

/** System calls on one thread. */
export class Caller {
  readonly #thread: LinuxCallThread

  constructor() {
    const thread = LinuxCallThread.start('test')
    if (thread instanceof SyscallFailure) throw new Error(thread.toString())
    this.#thread = thread
  }

  /**
   * What the kernel said, and the structure as it left it. `data`: what its pointer points to.
   */
  async attempt<F extends Fields>(
    fd: number,
    { name, request, structure }: Request<F>,
    values: Partial<ValuesOf<F>>,
    data?: Uint8Array,
  ): Promise<Attempt<F>> {
    const at = structure.pointer?.at
    const pointer = at === undefined || data === undefined ? undefined : { at, data }
    const bytes = encode(structure, values)
    const end = await this.#thread.ioctl({ fd, request, bytes, pointer })
    const errno = end.code < 0 ? failureOf(name, end.code).errno : undefined
    return { errno, left: decode(structure, end.bytes) }
  }

  /** As attempt(); a refusal is thrown. */
  async ask<F extends Fields>(
    fd: number,
    request: Request<F>,
    values: Partial<ValuesOf<F>>,
    data?: Uint8Array,
  ): Promise<ValuesOf<F>> {
    const { errno, left } = await this.attempt(fd, request, values, data)
    if (errno !== undefined) throw new KernelSaid(request.name, errno)
    return left
  }

  end(): void {
    this.#thread.end()
  }
}

const { IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_PASID } = IOMMUFD
export const PARENT_FLAGS = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID

/** One open /dev/iommu. */
export class IommufdUser {
  readonly fd: OwnedFd
  readonly #caller = new Caller()

  constructor(fd = openDevice('/dev/iommu')) {
    this.fd = fd
  }

  ask<F extends Fields>(
    request: Request<F>,
    values: Partial<ValuesOf<F>>,
    data?: Uint8Array,
  ): Promise<ValuesOf<F>> {
    return this.#caller.ask(this.fd.number, request, values, data)
  }

  attempt<F extends Fields>(
    request: Request<F>,
    values: Partial<ValuesOf<F>>,
    data?: Uint8Array,
  ): Promise<Attempt<F>> {
    return this.#caller.attempt(this.fd.number, request, values, data)
  }

  async allocIoas(): Promise<number> {
    return (await this.ask(IOAS_ALLOC, {})).outIoasId
  }

  /** All of the memory, readable and writable. */
  async map(ioasId: number, { fd, bytes }: SharedMemory, iova: number): Promise<void> {
    const { IOMMU_IOAS_MAP_FIXED_IOVA, IOMMU_IOAS_MAP_READABLE, IOMMU_IOAS_MAP_WRITEABLE } = IOMMUFD
    const rights = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE
    await this.ask(IOAS_MAP_FILE, {
      flags: rights | IOMMU_IOAS_MAP_FIXED_IOVA,
      ioasId,
      fd,
      length: BigInt(bytes),
      iova: BigInt(iova),
    })
  }

  async unmap(ioasId: number, { bytes }: SharedMemory, iova: number): Promise<void> {
    await this.ask(IOAS_UNMAP, { ioasId, iova: BigInt(iova), length: BigInt(bytes) })
  }

  async allocHwpt(devId: number, ptId: number, flags: number): Promise<number> {
    return (await this.ask(HWPT_ALLOC, { devId, ptId, flags })).outHwptId
  }

  async maxPasidLog2(devId: number): Promise<number> {
    return (await this.ask(GET_HW_INFO, { devId })).outMaxPasidLog2
  }

  async destroy(id: number): Promise<void> {
    await this.ask(DESTROY, { id })
  }

  close(): void {
    this.#caller.end()
    if (this.fd.isOpen) this.fd.close()
  }
}

/**
 * The calls on a VMM's iommufd that the native backend makes, typed. Each is one system call on the
 * device's thread, refused as a KernelRefusal and never repeated.
 */

import { failureOf } from '../../linux/errno.js'
import {
  DESTROY,
  FAULT_QUEUE_ALLOC,
  GET_HW_INFO,
  HWPT_ALLOC,
  HWPT_INVALIDATE,
  IOMMUFD,
} from '../../uapi/iommufd.js'
import { decode, encode, type Request } from '../../uapi/structure.js'
import type { HandedFd } from '../backend.js'
import { KernelRefusal, type CallEnd, type Calls, type HwInfo, type IoctlEnd } from './ports.js'

/** The largest answer of any IOMMU known: 40 bytes. The kernel fills what is over with zeros. */
const HW_INFO_BYTES = 64

/** @throws KernelRefusal when the call failed */
export function succeeded<End extends CallEnd>(call: string, end: End): End {
  if (end.code < 0) throw new KernelRefusal(call, failureOf(call, end.code).errno)
  return end
}

export interface NestedTable {
  readonly devId: number
  readonly parent: number
  readonly dataType: number
  readonly data: Uint8Array
  readonly faultId: number | undefined
}

export interface Invalidation {
  readonly hwpt: number
  readonly dataType: number
  readonly entryBytes: number
  readonly count: number
  readonly entries: Uint8Array
}

export class Iommufd {
  readonly #fd: HandedFd
  readonly #calls: Calls

  constructor(fd: HandedFd, calls: Calls) {
    this.#fd = fd
    this.#calls = calls
  }

  async hwInfo(devId: number): Promise<HwInfo> {
    const room = new Uint8Array(HW_INFO_BYTES)
    const bytes = encode(GET_HW_INFO.structure, { devId, dataLen: room.length })
    const end = await this.#make(GET_HW_INFO, bytes, room)
    const info = decode(GET_HW_INFO.structure, end.bytes)
    return {
      dataType: info.outDataType,
      data: end.data.slice(0, Math.min(info.dataLen, room.length)),
      maxPasidLog2: info.outMaxPasidLog2,
      capabilities: info.outCapabilities,
    }
  }

  /** A second stage on an IOAS that PASIDs can be attached to; `nests`: and tables be nested on. */
  async allocParent(
    devId: number,
    ioas: number,
    { nests, dirtyTracking }: { readonly nests: boolean; readonly dirtyTracking: boolean },
  ): Promise<number> {
    const flags =
      IOMMUFD.IOMMU_HWPT_ALLOC_PASID |
      (nests ? IOMMUFD.IOMMU_HWPT_ALLOC_NEST_PARENT : 0) |
      (dirtyTracking ? IOMMUFD.IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0)
    const bytes = encode(HWPT_ALLOC.structure, { flags, devId, ptId: ioas })
    const end = await this.#make(HWPT_ALLOC, bytes)
    return decode(HWPT_ALLOC.structure, end.bytes).outHwptId
  }

  async allocNested({ devId, parent, dataType, data, faultId }: NestedTable): Promise<number> {
    const { IOMMU_HWPT_ALLOC_PASID, IOMMU_HWPT_FAULT_ID_VALID } = IOMMUFD
    const bytes = encode(HWPT_ALLOC.structure, {
      flags: IOMMU_HWPT_ALLOC_PASID | (faultId === undefined ? 0 : IOMMU_HWPT_FAULT_ID_VALID),
      devId,
      ptId: parent,
      dataType,
      dataLen: data.length,
      faultId: faultId ?? 0,
    })
    const end = await this.#make(HWPT_ALLOC, bytes, data)
    return decode(HWPT_ALLOC.structure, end.bytes).outHwptId
  }

  /** How many entries were carried out, and why not the next one. */
  async invalidate({ hwpt, dataType, entryBytes, count, entries }: Invalidation): Promise<{
    readonly done: number
    readonly refusal: KernelRefusal | undefined
  }> {
    const layout = HWPT_INVALIDATE.structure
    const bytes = encode(layout, {
      hwptId: hwpt,
      dataType,
      entryLen: entryBytes,
      entryNum: count,
    })
    const end = await this.#ioctl(HWPT_INVALIDATE, bytes, entries)
    if (end.code >= 0) return { done: count, refusal: undefined }
    const { name } = HWPT_INVALIDATE
    const { errno } = failureOf(name, end.code)
    // Before the driver is asked the kernel may leave the number as it was.
    const told = decode(layout, end.bytes).entryNum
    return { done: told < count ? told : 0, refusal: new KernelRefusal(name, errno) }
  }

  /** The descriptor is ours, and nobody's yet: to be adopted in the same turn. */
  async allocFaultQueue(): Promise<{ readonly id: number; readonly fd: number }> {
    const end = await this.#make(FAULT_QUEUE_ALLOC, encode(FAULT_QUEUE_ALLOC.structure, {}))
    const { outFaultId, outFaultFd } = decode(FAULT_QUEUE_ALLOC.structure, end.bytes)
    return { id: outFaultId, fd: outFaultFd }
  }

  async destroy(id: number): Promise<void> {
    await this.#make(DESTROY, encode(DESTROY.structure, { id }))
  }

  async #make(request: Request, bytes: Uint8Array, data?: Uint8Array): Promise<IoctlEnd> {
    return succeeded(request.name, await this.#ioctl(request, bytes, data))
  }

  #ioctl({ request, structure }: Request, bytes: Uint8Array, data?: Uint8Array): Promise<IoctlEnd> {
    const at = structure.pointer?.at
    const pointer = at === undefined || data === undefined ? undefined : { at, data }
    return this.#calls.ioctl({ fd: this.#fd.number, request, bytes, pointer })
  }
}

/**
 * Entries of IOMMU_HWPT_INVALIDATE for a nested VT-d page table (include/uapi/linux/iommufd.h
 * struct iommu_hwpt_vtd_s1_invalidate), with the checks of drivers/iommu/intel/nested.c
 * intel_nested_cache_invalidate_user() in its order, and two that it lacks: no pages at all, and
 * pages beyond 2^64. Entries before a bad one stand: they are carried out.
 */

import { ERRNO, fault, invalid, type UapiError } from './errno.js'
import { IOMMUFD } from './iommufd.js'
import { IOMMUFD_DATA, VTD_S1_INVALIDATE } from './iommufd-data.js'
import { decode } from './structure.js'

const DATA_VTD_S1 = IOMMUFD.IOMMU_HWPT_INVALIDATE_DATA_VTD_S1
export const VTD_S1_ENTRY_BYTES = VTD_S1_INVALIDATE.bytes
const FLAG_LEAF = IOMMUFD_DATA.IOMMU_VTD_INV_FLAGS_LEAF
const RESERVED_OFFSET = 20
const PAGE_SHIFT = 12n
const ADDRESSES = 1n << 64n
const ALL_PAGES = ADDRESSES - 1n

export interface VtdS1Request {
  readonly dataType: number
  readonly entryLen: number
  readonly entryNum: number
  /** What follows the last entry is not looked at. */
  readonly entries: Uint8Array
}

export interface VtdS1Entry {
  /** Undefined: the whole table. */
  readonly range:
    | {
        /** A multiple of 4096. */
        readonly address: bigint
        /** Pages of 4 KiB, at least 1; address + pages * 4096 is at most 2^64. */
        readonly pages: bigint
        /** Only leaf entries changed. */
        readonly leaf: boolean
      }
    | undefined
}

export interface VtdS1Entries {
  /** Those before the first bad one. */
  readonly entries: readonly VtdS1Entry[]
  readonly stopped: UapiError | undefined
}

/** entry_num 0 asks only whether the data type is known: entry_len is not looked at then. */
export function decodeVtdS1(request: VtdS1Request): VtdS1Entries {
  const { dataType, entryLen, entryNum, entries: bytes } = request
  if (entryNum !== 0 && entryLen === 0) {
    return { entries: [], stopped: invalid('entry_len is 0 with entries') }
  }
  if (dataType !== DATA_VTD_S1) {
    return { entries: [], stopped: invalid(`data_type ${dataType}; the table takes VTD_S1 0`) }
  }
  const entries: VtdS1Entry[] = []
  for (let i = 0; i < entryNum; i += 1) {
    const entry = decodeEntry(bytes, i, entryLen)
    if ('errno' in entry) return { entries, stopped: entry }
    entries.push(entry)
  }
  return { entries, stopped: undefined }
}

function decodeEntry(bytes: Uint8Array, i: number, entryLen: number): VtdS1Entry | UapiError {
  const name = `entries[${i}]`
  if (entryLen !== VTD_S1_ENTRY_BYTES) {
    return invalid(`entry_len ${entryLen}; an entry has ${VTD_S1_ENTRY_BYTES} bytes`)
  }
  const at = i * VTD_S1_ENTRY_BYTES
  const there = bytes.length - at
  if (there < VTD_S1_ENTRY_BYTES) {
    return fault(`${name}: ${Math.max(0, there)} of ${VTD_S1_ENTRY_BYTES} bytes are there`)
  }
  const { flags, addr: address, npages: pages } = decode(VTD_S1_INVALIDATE, bytes, at)
  if ((flags & ~FLAG_LEAF) !== 0) {
    return unsupported(`${name}.flags 0x${flags.toString(16)}; LEAF 1 is the only one`)
  }
  if (bytes.subarray(at + RESERVED_OFFSET, at + VTD_S1_ENTRY_BYTES).some((byte) => byte !== 0)) {
    return unsupported(`${name}.__reserved is not 0`)
  }
  if ((address & 0xfffn) !== 0n) {
    return invalid(`${name}.addr 0x${address.toString(16)}; a multiple of 4096`)
  }
  if (pages === ALL_PAGES) {
    if (address === 0n) return { range: undefined }
    return invalid(`${name}.addr 0x${address.toString(16)} with npages 2^64-1; must be 0`)
  }
  if (pages === 0n) return invalid(`${name}.npages is 0; at least 1`)
  if (address + (pages << PAGE_SHIFT) > ADDRESSES) {
    return invalid(`${name}: addr + npages * 4096 is beyond 2^64`)
  }
  return { range: { address, pages, leaf: (flags & FLAG_LEAF) !== 0 } }
}

function unsupported(problem: string): UapiError {
  return { errno: ERRNO.EOPNOTSUPP, problem }
}

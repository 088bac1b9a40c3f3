/**
 * VFIO_IOMMU_GET_INFO of a container: struct vfio_iommu_type1_info with its chain of capabilities,
 * written as vfio_iommu_type1_get_info() of Linux 5.9 and v7 of the 2020 series wrote it. A caller
 * whose `argsz` has no room for the chain is told how much it needs, and gets no chain.
 */

import { fault, invalid, type UapiError } from './errno.js'

/** argsz@0 flags@4 iova_pgsizes@8/8; then cap_offset@16, for callers that know of it. */
const INFO_FIXED = 16
const INFO_WITH_CAPS = 20
/** sizeof(struct vfio_iommu_type1_info): where the chain begins. */
export const INFO_BYTES = 24
const CAP_OFFSET = 16

const FLAG_PGSIZES = 1
const FLAG_CAPS = 2
/** Every size from 4 KiB on: the second stage takes what is a multiple of it. */
const PAGE_SIZES = 0xffff_ffff_ffff_f000n

export const CAP_IOVA_RANGE = 1
export const CAP_NESTING = 3
const CAP_VERSION = 1
/** struct vfio_info_cap_header: id@0/2 version@2/2 next@4/4. */
const CAP_HEADER_BYTES = 8

/** Guest-physical addresses that a device reaches: 48 bits but for the interrupt range (MSI). */
const IOVA_RANGES: readonly (readonly [bigint, bigint])[] = [
  [0n, 0xfedf_ffffn],
  [0xfef0_0000n, (1n << 48n) - 1n],
]

export interface InfoRequest {
  readonly argsz: number
  readonly bytes: Uint8Array
}

export function decodeInfoRequest(bytes: Uint8Array): InfoRequest | UapiError {
  const name = 'vfio_iommu_type1_info'
  if (bytes.length < INFO_FIXED) {
    return fault(`${name}: ${bytes.length} bytes are there, ${INFO_FIXED} are read`)
  }
  const argsz = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  if (argsz < INFO_FIXED) return invalid(`${name}.argsz ${argsz}; at least ${INFO_FIXED}`)
  return { argsz, bytes }
}

/**
 * What is written back, from the start of the structure on.
 * @param nestingInfo struct iommu_nesting_info; undefined: the container nests nothing
 */
export function encodeInfo(
  { argsz, bytes }: InfoRequest,
  nestingInfo: Uint8Array | undefined,
): Uint8Array {
  const chain = capabilities(nestingInfo)
  const needed = INFO_BYTES + chain.length
  const whole = new Uint8Array(needed)
  // Bytes that the kernel does not write stay as they are.
  whole.set(bytes.subarray(0, Math.min(bytes.length, INFO_BYTES)))
  const view = new DataView(whole.buffer)
  const fits = argsz >= needed
  view.setUint32(0, fits ? argsz : needed, true)
  view.setUint32(4, FLAG_PGSIZES | FLAG_CAPS, true)
  view.setBigUint64(8, PAGE_SIZES, true)
  if (argsz < INFO_WITH_CAPS) return whole.subarray(0, INFO_FIXED)
  view.setUint32(CAP_OFFSET, fits ? INFO_BYTES : 0, true)
  if (!fits) return whole.subarray(0, INFO_WITH_CAPS)
  whole.set(chain, INFO_BYTES)
  return whole
}

/** VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, then VFIO_IOMMU_TYPE1_INFO_CAP_NESTING. */
function capabilities(nestingInfo: Uint8Array | undefined): Uint8Array {
  const rangeBytes = CAP_HEADER_BYTES + 8 + 16 * IOVA_RANGES.length
  const nestingBytes = nestingInfo === undefined ? 0 : CAP_HEADER_BYTES + nestingInfo.length
  const chain = new Uint8Array(rangeBytes + nestingBytes)
  const view = new DataView(chain.buffer)
  const header = (at: number, id: number, next: number): void => {
    view.setUint16(at, id, true)
    view.setUint16(at + 2, CAP_VERSION, true)
    view.setUint32(at + 4, next, true)
  }
  header(0, CAP_IOVA_RANGE, nestingInfo === undefined ? 0 : INFO_BYTES + rangeBytes)
  view.setUint32(CAP_HEADER_BYTES, IOVA_RANGES.length, true)
  for (const [i, [first, last]] of IOVA_RANGES.entries()) {
    view.setBigUint64(16 + 16 * i, first, true)
    view.setBigUint64(24 + 16 * i, last, true)
  }
  if (nestingInfo !== undefined) {
    header(rangeBytes, CAP_NESTING, 0)
    chain.set(nestingInfo, rangeBytes + CAP_HEADER_BYTES)
  }
  return chain
}

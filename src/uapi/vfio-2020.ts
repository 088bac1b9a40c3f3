/**
 * The ioctls of a container, /dev/vfio/vfio, as the 2020 series "vfio: expose virtual Shared
 * Virtual Addressing to VMs" (Yi Liu) had them: request numbers, and what
 * drivers/vfio/vfio_iommu_type1.c checks of each structure, in its order. v1 is the posting of
 * March 2020, v7 that of September. Structures inside the `data[]` of these are in iommu-2020.ts.
 * Used by the service VfioUapi.
 */

import { ERRNO, fault, invalid, isUapiError, type UapiError } from './errno.js'

/** _IO(';', 100 + n). */
export const VFIO_REQUEST = {
  GET_API_VERSION: 0x3b64,
  CHECK_EXTENSION: 0x3b65,
  SET_IOMMU: 0x3b66,
  IOMMU_GET_INFO: 0x3b70,
  /** v7. */
  PASID_REQUEST: 0x3b76,
  NESTING_OP: 0x3b77,
  /** v1. */
  V1_PASID_REQUEST: 0x3b7a,
  V1_BIND: 0x3b7b,
  V1_CACHE_INVALIDATE: 0x3b7c,
} as const

export const VFIO_API_VERSION = 0

/** VFIO_TYPE1_IOMMU and the like: for CHECK_EXTENSION and SET_IOMMU. */
export const VFIO_TYPE1 = 1
export const VFIO_TYPE1_V2 = 3
export const VFIO_TYPE1_NESTING = 6

/** VFIO_DEFAULT_PASID_QUOTA: PASIDs that a container (then: a VM) holds at once. */
export const VFIO_PASID_QUOTA = 1000

/** argsz@0 flags@4: every structure here begins with it. */
const HEADER_BYTES = 8

export interface PasidRequest {
  /** Undefined: both flags, or none. */
  readonly operation: 'ALLOC' | 'FREE' | undefined
  /** Both inside; 31 bits. */
  readonly min: number
  readonly max: number
}

/** v7 struct vfio_iommu_type1_pasid_request: argsz@0 flags@4 range { min@8 max@12 }. */
export const PASID_REQUEST_BYTES = 16
/** VFIO_IOMMU_PASID_BITS: a PASID is the positive value of an int. */
const PASID_REQUEST_BITS = 31

/** v7: that both flags, or none, are set is found only after the container was looked at. */
export function decodePasidRequest(bytes: Uint8Array): PasidRequest | UapiError {
  const name = 'vfio_iommu_type1_pasid_request'
  if (bytes.length < PASID_REQUEST_BYTES) return cutShort(name, bytes, PASID_REQUEST_BYTES)
  const view = viewOf(bytes)
  const argsz = view.getUint32(0, true)
  if (argsz < PASID_REQUEST_BYTES) return tooSmall(name, argsz, PASID_REQUEST_BYTES)
  const flags = view.getUint32(4, true)
  if (flags > 3) return unknownFlags(name, flags, 3)
  const min = view.getUint32(8, true)
  const max = view.getUint32(12, true)
  if (min > max) return invalid(`${name}.range.min ${min} is above max ${max}`)
  // The posting let 2^31 itself pass; its review asked for this.
  if (max >= 2 ** PASID_REQUEST_BITS) {
    return invalid(`${name}.range.max ${max}; below 2^${PASID_REQUEST_BITS}`)
  }
  return { operation: OPERATIONS[flags], min, max }
}

/** By flags: VFIO_IOMMU_FLAG_ALLOC_PASID 1, VFIO_IOMMU_FLAG_FREE_PASID 2. */
const OPERATIONS = [undefined, 'ALLOC', 'FREE', undefined] as const

/** v1: where the answer to an allocation is written. */
export const V1_RESULT_OFFSET = 16
export const V1_ALLOC_BYTES = 20
export const V1_FREE_BYTES = 12

export type V1PasidRequest =
  | { readonly operation: 'ALLOC'; readonly min: number; readonly max: number }
  | { readonly operation: 'FREE'; readonly pasid: number }

/**
 * v1 struct vfio_iommu_type1_pasid_request: argsz@0 flags@4, then a union at 8: alloc_pasid { min@8
 * max@12 result@16 } or free_pasid@8. `argsz` must hold the part that the flags select.
 */
export function decodeV1PasidRequest(bytes: Uint8Array): V1PasidRequest | UapiError {
  const name = 'vfio_iommu_type1_pasid_request'
  if (bytes.length < HEADER_BYTES) return cutShort(name, bytes, HEADER_BYTES)
  const view = viewOf(bytes)
  const argsz = view.getUint32(0, true)
  if (argsz < HEADER_BYTES) return tooSmall(name, argsz, HEADER_BYTES)
  const flags = view.getUint32(4, true)
  if (flags > 3) return unknownFlags(name, flags, 3)
  const operation = OPERATIONS[flags]
  if (operation === undefined) return invalid(`${name}.flags ${flags}; ALLOC 1 or FREE 2, not both`)
  const size = operation === 'ALLOC' ? V1_ALLOC_BYTES : V1_FREE_BYTES
  if (argsz < size) return tooSmall(name, argsz, size)
  if (bytes.length < size) return cutShort(name, bytes, size)
  const first = view.getUint32(8, true)
  if (operation === 'FREE') return { operation, pasid: first }
  return { operation, min: first, max: view.getUint32(12, true) }
}

export type NestingOperation = 'BIND' | 'UNBIND' | 'CACHE_INVALIDATE'

export interface NestingOp {
  readonly operation: NestingOperation
  /** What is there of `data[]`, and the bytes that `argsz` says it has. */
  readonly data: Uint8Array
  readonly room: number
}

/** VFIO_IOMMU_NESTING_OP_BIND_PGTBL 0, UNBIND_PGTBL 1, CACHE_INVLD 2: bits 15:0 of flags. */
const NESTING_OPERATIONS: readonly NestingOperation[] = ['BIND', 'UNBIND', 'CACHE_INVALIDATE']
const NESTING_OPERATION_MASK = 0xffff

/** v7 struct vfio_iommu_type1_nesting_op: argsz@0 flags@4 data[]@8. */
export function decodeNestingOp(bytes: Uint8Array): NestingOp | UapiError {
  const name = 'vfio_iommu_type1_nesting_op'
  if (bytes.length < HEADER_BYTES) return cutShort(name, bytes, HEADER_BYTES)
  const view = viewOf(bytes)
  const argsz = view.getUint32(0, true)
  if (argsz < HEADER_BYTES) return tooSmall(name, argsz, HEADER_BYTES)
  const flags = view.getUint32(4, true)
  if (flags > NESTING_OPERATION_MASK) return unknownFlags(name, flags, NESTING_OPERATION_MASK)
  const operation = NESTING_OPERATIONS[flags]
  if (operation === undefined) {
    return invalid(
      `${name}.flags: operation ${flags}; BIND 0, UNBIND 1 and CACHE_INVLD 2 are known`,
    )
  }
  return { operation, data: bytes.subarray(HEADER_BYTES), room: argsz - HEADER_BYTES }
}

/**
 * Decodes what is in `data[]`. The posting read it whatever the header's `argsz` said; its review
 * asked that argsz be honoured: what does not fit is EINVAL, what is not there is EFAULT.
 */
export function decodeInside<T extends object>(
  { data, room }: NestingOp,
  decode: (bytes: Uint8Array) => T | UapiError,
): T | UapiError {
  const decoded = decode(data.subarray(0, room))
  if (!isUapiError(decoded) || decoded.errno !== ERRNO.EFAULT || data.length < room) return decoded
  return invalid(`argsz leaves ${room} bytes for data[]; ${decoded.problem}`)
}

/** v1 struct vfio_iommu_type1_bind: argsz@0 flags@4 (BIND 1, UNBIND 2) data[]@8. */
export function decodeV1Bind(bytes: Uint8Array): NestingOp | UapiError {
  const name = 'vfio_iommu_type1_bind'
  if (bytes.length < HEADER_BYTES) return cutShort(name, bytes, HEADER_BYTES)
  const view = viewOf(bytes)
  const argsz = view.getUint32(0, true)
  if (argsz < HEADER_BYTES) return tooSmall(name, argsz, HEADER_BYTES)
  const flags = view.getUint32(4, true)
  if (flags !== 1 && flags !== 2) {
    return invalid(`${name}.flags 0x${flags.toString(16)}; BIND_GUEST_PGTBL 1 or UNBIND 2`)
  }
  const operation = flags === 1 ? 'BIND' : 'UNBIND'
  return inV1(operation, bytes, V1_BIND_DATA_BYTES, bindDataOfV1)
}

/** v1 struct vfio_iommu_type1_cache_invalidate: argsz@0 flags@4 (0) cache_info@8. */
export function decodeV1CacheInvalidate(bytes: Uint8Array): NestingOp | UapiError {
  const name = 'vfio_iommu_type1_cache_invalidate'
  if (bytes.length < HEADER_BYTES) return cutShort(name, bytes, HEADER_BYTES)
  const view = viewOf(bytes)
  const argsz = view.getUint32(0, true)
  if (argsz < HEADER_BYTES) return tooSmall(name, argsz, HEADER_BYTES)
  const flags = view.getUint32(4, true)
  if (flags !== 0) return unknownFlags(name, flags, 0)
  return inV1('CACHE_INVALIDATE', bytes, V1_CACHE_INFO_BYTES, cacheInfoOfV1)
}

/** Sizes that version 1 of the structures had before Linux 5.10 gave them `argsz`. */
export const V1_BIND_DATA_BYTES = 72
export const V1_CACHE_INFO_BYTES = 48
const V1_VERSION = 1

/**
 * With its `data[]` in the layout of Linux 5.10. The structures of v1 begin with `version`, those
 * of 5.10 with `argsz`, which is never 1: the first word tells. The version says the size, and only
 * then is that held against what the caller says it has.
 */
function inV1(
  operation: NestingOperation,
  bytes: Uint8Array,
  size: number,
  convert: (old: Uint8Array) => Uint8Array,
): NestingOp | UapiError {
  const data = bytes.subarray(HEADER_BYTES)
  const room = viewOf(bytes).getUint32(0, true) - HEADER_BYTES
  if (data.length < 4) return cutShort('version', data, 4)
  if (viewOf(data).getUint32(0, true) !== V1_VERSION) return { operation, data, room }
  if (room < size) return tooSmall('data of version 1', room, size)
  if (data.length < size) return cutShort('data of version 1', data, size)
  const converted = convert(data)
  return { operation, data: converted, room: converted.length }
}

/** version@0 format@4 flags@8 gpgd@16 hpasid@24 gpasid@32 addr_width@40 padding[12]@44 vtd@56. */
function bindDataOfV1(old: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(V1_BIND_DATA_BYTES)
  const [from, to] = [viewOf(old), viewOf(bytes)]
  to.setUint32(0, V1_BIND_DATA_BYTES, true)
  bytes.set(old.subarray(0, 8), 4)
  to.setUint32(12, from.getUint32(40, true), true)
  bytes.set(old.subarray(8, 40), 16)
  bytes.set(old.subarray(44, 52), 48)
  // Four bytes more of padding than there is place for: none may be anything but 0.
  if (from.getUint32(52, true) !== 0) bytes[48] = 0xff
  bytes.set(old.subarray(56, V1_BIND_DATA_BYTES), 56)
  return bytes
}

/** version@0 cache@4 granularity@5 padding[2]@6 and the union of 40 bytes at 8. */
function cacheInfoOfV1(old: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(V1_CACHE_INFO_BYTES + 8)
  viewOf(bytes).setUint32(0, bytes.length, true)
  bytes.set(old.subarray(0, 8), 4)
  bytes.set(old.subarray(8, V1_CACHE_INFO_BYTES), 16)
  return bytes
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function cutShort(name: string, bytes: Uint8Array, most: number): UapiError {
  return fault(`${name}: ${bytes.length} bytes are there, ${most} are read`)
}

function tooSmall(name: string, argsz: number, least: number): UapiError {
  return invalid(`${name}: argsz has ${argsz} bytes for it; at least ${least}`)
}

function unknownFlags(name: string, flags: number, known: number): UapiError {
  return invalid(`${name}.flags 0x${flags.toString(16)}; known: 0x${known.toString(16)}`)
}

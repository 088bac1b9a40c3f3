/**
 * Structures of include/uapi/linux/iommu.h of Linux 5.10, little endian, with the checks that
 * iommu_uapi_cache_invalidate() and iommu_sva_prepare_bind_data() made of them, in their order: the
 * fixed part is read, `argsz` is held against it, the version says how large the rest may be, and
 * only then is the rest read. A longer `argsz` than is known is a newer caller, and no error.
 */

import type { InvalidationCache } from '../core/commands.js'
import { PASID_LAST } from '../core/ids.js'
import { fault, invalid, isUapiError, type UapiError } from './errno.js'

/** struct iommu_cache_invalidate_info: 56 bytes, of which the fixed part is this. */
export const CACHE_INVALIDATE_FIXED = 16
export const CACHE_INVALIDATE_BYTES = 56
const CACHE_INVALIDATE_VERSION = 1
const CACHE_INVALIDATE_PADDING = { first: 10, after: 16 } as const
/** offsetofend() of granu.pasid_info and granu.addr_info. */
const PASID_INFO_END = 32
const ADDR_INFO_END = 56

/** IOMMU_CACHE_INV_TYPE_*. */
const CACHE_BITS: readonly (readonly [number, InvalidationCache])[] = [
  [1, 'IOTLB'],
  [2, 'DEVICE_TLB'],
  [4, 'PASID_CACHE'],
]
const CACHE_DEVICE_TLB = 2
const CACHE_PASID = 4
/** IOMMU_INV_ADDR_FLAGS_*; those of a PASID are the same without LEAF. */
const FLAG_PASID = 1
const FLAG_ARCHID = 2
const FLAG_LEAF = 4

const PAGE = 4096n
const ADDRESSES = 1n << 64n

/** Whose entries: `pasid` the host's, 1 to 1048575; `archid` means nothing on VT-d. */
export interface InvalidatedSpace {
  readonly pasid: number | undefined
  readonly archid: number | undefined
}

/** struct iommu_cache_invalidate_info, valid. No PASID and no ARCHID: all of the domain. */
export interface CacheInvalidation {
  /** May be empty: then nothing happens. */
  readonly caches: readonly InvalidationCache[]
  readonly granularity:
    | { readonly kind: 'DOMAIN' }
    | ({ readonly kind: 'PASID' } & InvalidatedSpace)
    | ({
        readonly kind: 'ADDRESS'
        /** Byte address, rounded down to a page of 4 KiB. */
        readonly address: bigint
        /** Pages of 4 KiB, at least 1; address + pages * 4096 is at most 2^64. */
        readonly pages: bigint
        readonly leaf: boolean
      } & InvalidatedSpace)
}

/** `bytes` may be longer than the structure: what follows it is not looked at. */
export function decodeCacheInvalidate(bytes: Uint8Array): CacheInvalidation | UapiError {
  const name = 'iommu_cache_invalidate_info'
  if (bytes.length < CACHE_INVALIDATE_FIXED) return cutShort(name, bytes, CACHE_INVALIDATE_FIXED)
  const view = viewOf(bytes)
  const argsz = view.getUint32(0, true)
  if (argsz < CACHE_INVALIDATE_FIXED) return tooSmall(name, argsz, CACHE_INVALIDATE_FIXED)
  const version = view.getUint32(4, true)
  if (version !== CACHE_INVALIDATE_VERSION) return badVersion(name, version)
  const cache = view.getUint8(8)
  const granularity = view.getUint8(9)
  const end = [CACHE_INVALIDATE_FIXED, PASID_INFO_END, ADDR_INFO_END][granularity]
  if (end === undefined) {
    return invalid(`${name}.granularity ${granularity}; DOMAIN 0, PASID 1 and ADDR 2 are known`)
  }
  if (argsz < end) return tooSmall(name, argsz, end)
  const read = Math.min(argsz, CACHE_INVALIDATE_BYTES)
  if (bytes.length < read) return cutShort(name, bytes, read)
  const wrong = checkCaches(name, cache, granularity) ?? checkPadding(name, bytes)
  if (wrong !== undefined) return wrong
  const found = GRANULARITIES[granularity]?.(view) ?? { kind: 'DOMAIN' }
  if (isUapiError(found)) return found
  const caches: InvalidationCache[] = []
  for (const [bit, one] of CACHE_BITS) if ((cache & bit) !== 0) caches.push(one)
  return { caches, granularity: found }
}

type Granularity = CacheInvalidation['granularity']

/** By value of the field. */
const GRANULARITIES: readonly ((view: DataView) => Granularity | UapiError)[] = [
  () => ({ kind: 'DOMAIN' }),
  decodePasidInfo,
  decodeAddrInfo,
]

/** Granularity × cache: when several caches are named, all must take the granularity. */
function checkCaches(name: string, cache: number, granularity: number): UapiError | undefined {
  const odd = cache & ~0b111
  if (odd !== 0) return invalid(`${name}.cache has unknown bits 0x${odd.toString(16)}; known: 0x7`)
  if (granularity === 0 && (cache & CACHE_DEVICE_TLB) !== 0) {
    return invalid(`${name}.cache names the device-TLB, which has no domain granularity`)
  }
  if (granularity === 2 && (cache & CACHE_PASID) !== 0) {
    return invalid(`${name}.cache names the PASID cache, which has no address granularity`)
  }
  return undefined
}

function checkPadding(name: string, bytes: Uint8Array): UapiError | undefined {
  const { first, after } = CACHE_INVALIDATE_PADDING
  const odd = bytes.subarray(first, after).findIndex((byte) => byte !== 0)
  return odd === -1 ? undefined : invalid(`${name}.padding[${odd}] is not 0`)
}

/** struct iommu_inv_pasid_info at 16: flags@0 archid@4 pasid@8. */
function decodePasidInfo(view: DataView): Granularity | UapiError {
  const space = decodeSpace(view, 'iommu_inv_pasid_info', FLAG_PASID | FLAG_ARCHID)
  if (isUapiError(space)) return space
  if (space.pasid === undefined && space.archid === undefined) {
    return invalid('iommu_inv_pasid_info.flags 0; PASID 1, ARCHID 2 or both must be set')
  }
  return { kind: 'PASID', ...space }
}

/** struct iommu_inv_addr_info at 16: …, addr@16 granule_size@24 nb_granules@32. */
function decodeAddrInfo(view: DataView): Granularity | UapiError {
  const name = 'iommu_inv_addr_info'
  const space = decodeSpace(view, name, FLAG_PASID | FLAG_ARCHID | FLAG_LEAF)
  if (isUapiError(space)) return space
  const addr = view.getBigUint64(32, true)
  const size = view.getBigUint64(40, true)
  const count = view.getBigUint64(48, true)
  if (size === 0n) return invalid(`${name}.granule_size is 0`)
  if (count === 0n) return invalid(`${name}.nb_granules is 0`)
  const end = addr + size * count
  if (end > ADDRESSES) return invalid(`${name}: addr + granule_size * nb_granules is beyond 2^64`)
  const address = (addr / PAGE) * PAGE
  const pages = (end - address + PAGE - 1n) / PAGE
  const leaf = (view.getUint32(16, true) & FLAG_LEAF) !== 0
  return { kind: 'ADDRESS', ...space, address, pages, leaf }
}

/** Flags, archid and pasid lie alike in both; a field without its flag is not looked at. */
function decodeSpace(view: DataView, name: string, known: number): InvalidatedSpace | UapiError {
  const flags = view.getUint32(16, true)
  const odd = (flags & ~known) >>> 0
  if (odd !== 0) {
    return invalid(`${name}.flags has unknown bits 0x${odd.toString(16)}; known: 0x${known}`)
  }
  const archid = (flags & FLAG_ARCHID) === 0 ? undefined : view.getUint32(20, true)
  if ((flags & FLAG_PASID) === 0) return { pasid: undefined, archid }
  const pasid = view.getBigUint64(24, true)
  if (pasid < 1n || pasid > BigInt(PASID_LAST)) {
    return invalid(`${name}.pasid ${pasid}; a PASID is 1 to ${PASID_LAST}`)
  }
  return { pasid: Number(pasid), archid }
}

/** struct iommu_gpasid_bind_data: 72 bytes; the fixed part ends where `vendor` begins. */
export const GPASID_BIND_FIXED = 56
export const GPASID_BIND_BYTES = 72
const GPASID_BIND_VERSION = 1
/** IOMMU_PASID_FORMAT_INTEL_VTD; IOMMU_PASID_FORMAT_LAST is the next. */
const FORMAT_INTEL_VTD = 1
const FORMAT_LAST = 2
/** IOMMU_SVA_GPASID_VAL: `gpasid` is a number. */
const FLAG_GPASID = 1n

/** IOMMU_SVA_VTD_GPASID_* of Linux 5.10. */
const VTD_FLAGS = { SRE: 1n, EAFE: 2n, PCD: 4n, PWT: 8n, EMTE: 16n, CD: 32n } as const
const VTD_FLAGS_ALL = 0x3fn
/** Memory types: of IOMMUs with ECAP.MTS, which a virtual one has no use for. */
const VTD_FLAGS_MEMORY_TYPE = VTD_FLAGS.PCD | VTD_FLAGS.PWT | VTD_FLAGS.EMTE | VTD_FLAGS.CD

/** struct iommu_gpasid_bind_data; what binding and unbinding both check of it holds. */
export interface GpasidBind {
  readonly format: number
  readonly addrWidth: number
  /** Guest-physical address of the first-stage table. */
  readonly gpgd: bigint
  readonly hpasid: bigint
  /** Undefined: IOMMU_SVA_GPASID_VAL is clear. */
  readonly gpasid: bigint | undefined
  /** struct iommu_gpasid_bind_data_vtd: zeros as far as `argsz` does not reach. */
  readonly vtd: { readonly flags: bigint; readonly pat: number; readonly emt: number }
}

/** Of both BIND_PGTBL and UNBIND_PGTBL. What the vendor's driver checks is vtdBindOf(). */
export function decodeGpasidBind(bytes: Uint8Array): GpasidBind | UapiError {
  const name = 'iommu_gpasid_bind_data'
  if (bytes.length < GPASID_BIND_FIXED) return cutShort(name, bytes, GPASID_BIND_FIXED)
  const view = viewOf(bytes)
  const argsz = view.getUint32(0, true)
  if (argsz < GPASID_BIND_FIXED) return tooSmall(name, argsz, GPASID_BIND_FIXED)
  const version = view.getUint32(4, true)
  if (version !== GPASID_BIND_VERSION) return badVersion(name, version)
  const read = Math.min(argsz, GPASID_BIND_BYTES)
  if (bytes.length < read) return cutShort(name, bytes, read)
  const format = view.getUint32(8, true)
  if (format >= FORMAT_LAST) return invalid(`${name}.format ${format}; INTEL_VTD 1 is the last`)
  const flags = view.getBigUint64(16, true)
  if ((flags & ~FLAG_GPASID) !== 0n) {
    return invalid(`${name}.flags 0x${flags.toString(16)}; GPASID_VAL 1 is the only one`)
  }
  const odd = bytes.subarray(48, GPASID_BIND_FIXED).findIndex((byte) => byte !== 0)
  if (odd !== -1) return invalid(`${name}.padding[${odd}] is not 0`)
  const whole = new Uint8Array(GPASID_BIND_BYTES)
  whole.set(bytes.subarray(0, read))
  const vendor = viewOf(whole)
  return {
    format,
    addrWidth: view.getUint32(12, true),
    gpgd: view.getBigUint64(24, true),
    hpasid: view.getBigUint64(32, true),
    gpasid: (flags & FLAG_GPASID) === 0n ? undefined : view.getBigUint64(40, true),
    vtd: {
      flags: vendor.getBigUint64(56, true),
      pat: vendor.getUint32(64, true),
      emt: vendor.getUint32(68, true),
    },
  }
}

/** What a VT-d first-stage binding takes of it. */
export interface VtdGpasidBind {
  /** 4 KiB aligned, below 2^52. */
  readonly address: number
  readonly width: 48 | 57
  /** The host's PASID: 1 to 1048575. */
  readonly pasid: number
  /** 1 to 1048575; undefined: the caller knows of none. */
  readonly guestPasid: number | undefined
  readonly supervisor: boolean
  readonly extendedAccessed: boolean
}

/** The checks of intel_svm_bind_gpasid() and intel_pasid_setup_nested() that need no device. */
export function vtdBindOf(bind: GpasidBind): VtdGpasidBind | UapiError {
  const name = 'iommu_gpasid_bind_data'
  if (bind.format !== FORMAT_INTEL_VTD) {
    return invalid(`${name}.format ${bind.format}; the IOMMU takes INTEL_VTD 1`)
  }
  const { hpasid, gpasid, gpgd, addrWidth, vtd } = bind
  if (!isPasid(hpasid)) return invalid(`${name}.hpasid ${hpasid}; a PASID is 1 to ${PASID_LAST}`)
  if (gpasid !== undefined && !isPasid(gpasid)) {
    return invalid(`${name}.gpasid ${gpasid}; a PASID is 1 to ${PASID_LAST}`)
  }
  if (addrWidth !== 48 && addrWidth !== 57) {
    return invalid(`${name}.addr_width ${addrWidth}; first-stage tables have 48 or 57`)
  }
  if (gpgd % PAGE !== 0n || gpgd >= 1n << 52n) {
    return invalid(`${name}.gpgd 0x${gpgd.toString(16)}; a multiple of 4096 below 2^52`)
  }
  const flags = vtd.flags.toString(16)
  if ((vtd.flags & ~VTD_FLAGS_ALL) !== 0n) {
    return invalid(`${name}.vendor.vtd.flags 0x${flags}; known: 0x${VTD_FLAGS_ALL.toString(16)}`)
  }
  if ((vtd.flags & VTD_FLAGS_MEMORY_TYPE) !== 0n) {
    return invalid(`${name}.vendor.vtd.flags 0x${flags} sets memory types: no ECAP.MTS here`)
  }
  return {
    address: Number(gpgd),
    width: addrWidth,
    pasid: Number(hpasid),
    guestPasid: gpasid === undefined ? undefined : Number(gpasid),
    supervisor: (vtd.flags & VTD_FLAGS.SRE) !== 0n,
    extendedAccessed: (vtd.flags & VTD_FLAGS.EAFE) !== 0n,
  }
}

function isPasid(value: bigint): boolean {
  return value >= 1n && value <= BigInt(PASID_LAST)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function cutShort(name: string, bytes: Uint8Array, most: number): UapiError {
  return fault(`${name}: ${bytes.length} bytes are there, ${most} are read`)
}

function tooSmall(name: string, argsz: number, least: number): UapiError {
  return invalid(`${name}.argsz ${argsz}; at least ${least} here`)
}

function badVersion(name: string, version: number): UapiError {
  return invalid(`${name}.version ${version}; 1 is the only one`)
}

/**
 * Structures of the 2020 series as bytes, field by field after their offsets: written beside the
 * decoders and not with them, so that a wrong offset shows. For the tests of VfioUapi.
 */

export const REQUEST = {
  GET_API_VERSION: 0x3b64,
  CHECK_EXTENSION: 0x3b65,
  SET_IOMMU: 0x3b66,
  MAP_DMA: 0x3b71,
  GET_INFO: 0x3b70,
  PASID_REQUEST: 0x3b76,
  NESTING_OP: 0x3b77,
  V1_PASID_REQUEST: 0x3b7a,
  V1_BIND: 0x3b7b,
  V1_CACHE_INVALIDATE: 0x3b7c,
} as const

export const ERRNO = {
  ENOENT: 2,
  EFAULT: 14,
  EBUSY: 16,
  ENODEV: 19,
  EINVAL: 22,
  ENOTTY: 25,
  ENOSPC: 28,
  EOPNOTSUPP: 95,
} as const

export const ALLOC = 1
export const FREE = 2
export const BIND_PGTBL = 0
export const UNBIND_PGTBL = 1
export const CACHE_INVLD = 2

/** Bytes: `[offset, width in bytes, value]` each. */
type Field = readonly [offset: number, width: 1 | 2 | 4 | 8, value: number | bigint]

export function bytesOf(size: number, fields: readonly Field[]): Buffer {
  const bytes = Buffer.alloc(size)
  for (const [offset, width, value] of fields) {
    if (width === 8) bytes.writeBigUInt64LE(BigInt(value), offset)
    else bytes.writeUIntLE(Number(value), offset, width)
  }
  return bytes
}

export function pasidRequest(flags: number, min: number, max: number, argsz = 16): Buffer {
  return bytesOf(16, [
    [0, 4, argsz],
    [4, 4, flags],
    [8, 4, min],
    [12, 4, max],
  ])
}

/** `word` at 8: min or free_pasid; `max` at 12; result at 16 as it was before. */
export function v1PasidRequest(flags: number, word: number, max = 0, argsz = 20): Buffer {
  return bytesOf(20, [
    [0, 4, argsz],
    [4, 4, flags],
    [8, 4, word],
    [12, 4, max],
    [16, 4, 0xdeadbeef],
  ])
}

export interface BindFields {
  readonly argsz?: number
  readonly version?: number
  readonly format?: number
  readonly width?: number
  readonly flags?: bigint
  readonly gpgd?: bigint
  readonly hpasid?: number | bigint
  readonly gpasid?: bigint
  readonly vtdFlags?: bigint
}

/** struct iommu_gpasid_bind_data of Linux 5.10. */
export function bindData(fields: BindFields = {}): Buffer {
  return bytesOf(72, [
    [0, 4, fields.argsz ?? 72],
    [4, 4, fields.version ?? 1],
    [8, 4, fields.format ?? 1],
    [12, 4, fields.width ?? 48],
    [16, 8, fields.flags ?? 0n],
    [24, 8, fields.gpgd ?? 0x1000n],
    [32, 8, fields.hpasid ?? 1],
    [40, 8, fields.gpasid ?? 0n],
    [56, 8, fields.vtdFlags ?? 0n],
  ])
}

/** The same of March 2020: no argsz, addr_width behind gpasid. */
export function v1BindData(fields: BindFields = {}): Buffer {
  return bytesOf(72, [
    [0, 4, fields.version ?? 1],
    [4, 4, fields.format ?? 1],
    [8, 8, fields.flags ?? 0n],
    [16, 8, fields.gpgd ?? 0x1000n],
    [24, 8, fields.hpasid ?? 1],
    [32, 8, fields.gpasid ?? 0n],
    [40, 4, fields.width ?? 48],
    [56, 8, fields.vtdFlags ?? 0n],
  ])
}

export interface CacheFields {
  readonly cache?: number
  readonly granularity?: number
  readonly flags?: number
  readonly pasid?: number
  readonly addr?: bigint
  readonly granuleSize?: bigint
  readonly granules?: bigint
}

function granuleFields(at: number, fields: CacheFields): readonly Field[] {
  return [
    [at, 4, fields.flags ?? 0],
    [at + 8, 8, fields.pasid ?? 0],
    [at + 16, 8, fields.addr ?? 0n],
    [at + 24, 8, fields.granuleSize ?? 0n],
    [at + 32, 8, fields.granules ?? 0n],
  ]
}

/** struct iommu_cache_invalidate_info of Linux 5.10. */
export function cacheInfo(fields: CacheFields = {}, argsz = 56): Buffer {
  return bytesOf(56, [
    [0, 4, argsz],
    [4, 4, 1],
    [8, 1, fields.cache ?? 1],
    [9, 1, fields.granularity ?? 0],
    ...granuleFields(16, fields),
  ])
}

/** The same of March 2020: no argsz, two bytes of padding. */
export function v1CacheInfo(fields: CacheFields = {}): Buffer {
  return bytesOf(48, [
    [0, 4, 1],
    [4, 1, fields.cache ?? 1],
    [5, 1, fields.granularity ?? 0],
    ...granuleFields(8, fields),
  ])
}

/** argsz and flags before data: nesting_op, v1's bind and cache_invalidate. */
export function withHeader(flags: number, data: Uint8Array, argsz = 8 + data.length): Buffer {
  const header = bytesOf(8, [
    [0, 4, argsz],
    [4, 4, flags],
  ])
  return Buffer.concat([header, data])
}

export function infoRequest(argsz: number, size = argsz): Buffer {
  const bytes = Buffer.alloc(size, 0xaa)
  if (size >= 4) bytes.writeUInt32LE(argsz, 0)
  return bytes
}

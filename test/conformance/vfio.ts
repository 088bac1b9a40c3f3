/** Structures of the 2020 series as a program of that time would fill them. */

import { words } from './world.js'

export const GET_INFO = 0x3b70
export const PASID_REQUEST = 0x3b76
export const NESTING_OP = 0x3b77
export const V1_PASID_REQUEST = 0x3b7a
export const ALLOC = 1
export const FREE = 2
const OPERATIONS = { BIND: 0, UNBIND: 1, INVALIDATE: 2 } as const
/** Where the nested table's structure begins. */
const HEADER = 8

/** struct vfio_iommu_type1_pasid_request of v7. */
export function pasidRequest(flags: number, min: number, max: number, argsz = 16): Buffer {
  return words(argsz, flags, min, max)
}

/** struct vfio_iommu_type1_nesting_op around its data. */
export function nestingOp(operation: keyof typeof OPERATIONS, data: Buffer): Buffer {
  return Buffer.concat([words(HEADER + data.length, OPERATIONS[operation]), data])
}

/** struct iommu_gpasid_bind_data, for VT-d. */
export function bindData(of: { readonly pasid: number; readonly table: number }): Buffer {
  const data = Buffer.alloc(72)
  const head = [data.length, 1, 1, 48]
  for (const [i, value] of head.entries()) data.writeUInt32LE(value, 4 * i)
  // IOMMU_SVA_GPASID_VAL.
  data.writeBigUInt64LE(1n, 16)
  data.writeBigUInt64LE(BigInt(of.table), 24)
  data.writeBigUInt64LE(BigInt(of.pasid), 32)
  data.writeBigUInt64LE(BigInt(of.pasid), 40)
  return data
}

/** struct iommu_cache_invalidate_info: all caches of one PASID. */
export function invalidateInfo(pasid: number): Buffer {
  const info = Buffer.alloc(56)
  info.writeUInt32LE(info.length, 0)
  info.writeUInt32LE(1, 4)
  info.writeUInt8(1 | 2, 8)
  info.writeUInt8(1, 9)
  info.writeUInt32LE(1, 16)
  info.writeBigUInt64LE(BigInt(pasid), 24)
  return info
}

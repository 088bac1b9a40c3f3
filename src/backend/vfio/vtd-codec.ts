/**
 * The language of Intel's nested tables (include/uapi/linux/iommufd.h, VTD_S1). Its invalidations
 * have no cache to choose: the kernel clears IOTLB and device-TLB together.
 */

import type { FirstStageTable } from '../../core/binding.js'
import { IOMMUFD } from '../../uapi/iommufd.js'
import { HWPT_VTD_S1, IOMMUFD_DATA, VTD_S1_INVALIDATE } from '../../uapi/iommufd-data.js'
import { encode } from '../../uapi/structure.js'
import type { InvalidateRequest } from '../backend.js'
import type { NestedCodec } from './ports.js'

const WHOLE_TABLE = { addr: 0n, npages: 2n ** 64n - 1n }

export const VTD_CODEC: NestedCodec = {
  hwptDataType: IOMMUFD.IOMMU_HWPT_DATA_VTD_S1,
  table(table: FirstStageTable): Uint8Array {
    const { IOMMU_VTD_S1_SRE, IOMMU_VTD_S1_EAFE, IOMMU_VTD_S1_WPE } = IOMMUFD_DATA
    const flags =
      (table.supervisor ? IOMMU_VTD_S1_SRE : 0) |
      (table.extendedAccessed ? IOMMU_VTD_S1_EAFE : 0) |
      (table.writeProtect ? IOMMU_VTD_S1_WPE : 0)
    const { address, width } = table
    return encode(HWPT_VTD_S1, {
      flags: BigInt(flags),
      pgtblAddr: BigInt(address),
      addrWidth: width,
    })
  },
  invalidateDataType: IOMMUFD.IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
  entryBytes: VTD_S1_INVALIDATE.bytes,
  entry(range: InvalidateRequest['range']): Uint8Array {
    if (range === undefined) return encode(VTD_S1_INVALIDATE, WHOLE_TABLE)
    const flags = range.leaf ? IOMMUFD_DATA.IOMMU_VTD_INV_FLAGS_LEAF : 0
    return encode(VTD_S1_INVALIDATE, { addr: range.address, npages: range.pages, flags })
  },
}

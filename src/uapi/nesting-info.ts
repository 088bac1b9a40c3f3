/**
 * struct iommu_nesting_info of the 2020 series (v7) with the VT-d part behind it, little endian:
 * argsz@0 flags@4 format@8 features@12 addr_width@16/2 pasid_bits@18/2 padding@20, then of struct
 * iommu_nesting_info_vtd flags@24 padding@28 cap_reg@32/8 ecap_reg@40/8. 48 bytes.
 */

import type { DeviceFacts } from '../core/device.js'
import { leastHwInfo } from './hw-info.js'

export const NESTING_INFO_BYTES = 48
/** IOMMU_PASID_FORMAT_INTEL_VTD. */
const FORMAT_INTEL_VTD = 1
/** IOMMU_NESTING_FEAT_*: PASIDs are given out system-wide; bind and invalidate are taken. */
const FEATURES = { SYSWIDE_PASID: 1, BIND_PGTBL: 2, CACHE_INVLD: 4 } as const
/** What first-stage tables translate to: the width of the second stage. */
const SECOND_STAGE_WIDTH = 48
/** Where the VT-d part has its registers, and where struct iommu_hw_info_vtd has them. */
const REGISTERS_AT = 32
const HW_INFO_REGISTERS_AT = 8

/**
 * Of several devices as one container: the least of them. Undefined when one of them nests no table
 * per PASID, as behind an SMMU or an AMD IOMMU, or when there is none.
 */
export function nestingInfoOf(devices: readonly DeviceFacts[]): Uint8Array | undefined {
  const together = leastHwInfo(devices)
  const nests = devices.every(({ platform, addressWidths }) => {
    return platform === 'INTEL_VTD' && addressWidths.length > 0
  })
  if (together === undefined || !nests) return undefined
  const bytes = new Uint8Array(NESTING_INFO_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, NESTING_INFO_BYTES, true)
  view.setUint32(8, FORMAT_INTEL_VTD, true)
  const { SYSWIDE_PASID, BIND_PGTBL, CACHE_INVLD } = FEATURES
  view.setUint32(12, SYSWIDE_PASID | BIND_PGTBL | CACHE_INVLD, true)
  view.setUint16(16, SECOND_STAGE_WIDTH, true)
  view.setUint16(18, together.maxPasidLog2, true)
  bytes.set(together.data.subarray(HW_INFO_REGISTERS_AT), REGISTERS_AT)
  return bytes
}

/**
 * What pointers of /dev/iommu's ioctls point to, and the records of its fault queue
 * (include/uapi/linux/iommufd.h). VT-d is the one IOMMU whose nested tables can be put on a PASID.
 */

import { decode, encode, structure, u32, u64, type ValuesOf } from './structure.js'

/** Flags and codes, by their names in C. */
export const IOMMUFD_DATA = {
  IOMMU_VTD_S1_SRE: 1,
  IOMMU_VTD_S1_EAFE: 2,
  IOMMU_VTD_S1_WPE: 4,
  IOMMU_VTD_INV_FLAGS_LEAF: 1,
  IOMMU_PGFAULT_FLAGS_PASID_VALID: 1,
  IOMMU_PGFAULT_FLAGS_LAST_PAGE: 2,
  IOMMU_PGFAULT_PERM_READ: 1,
  IOMMU_PGFAULT_PERM_WRITE: 2,
  IOMMU_PGFAULT_PERM_EXEC: 4,
  IOMMU_PGFAULT_PERM_PRIV: 8,
  IOMMUFD_PAGE_RESP_SUCCESS: 0,
  IOMMUFD_PAGE_RESP_INVALID: 1,
} as const

/** Of HWPT_ALLOC with IOMMU_HWPT_DATA_VTD_S1: a guest's first-stage table. */
export const HWPT_VTD_S1 = structure('iommu_hwpt_vtd_s1', 24, {
  fields: {
    /** IOMMU_VTD_S1_*. */
    flags: u64('flags', 0),
    /** Guest-physical. */
    pgtblAddr: u64('pgtbl_addr', 8),
    /** 48 or 57. */
    addrWidth: u32('addr_width', 16),
  },
  reserved: [['__reserved', 20, 4]],
})

/** An entry of HWPT_INVALIDATE with IOMMU_HWPT_INVALIDATE_DATA_VTD_S1. All: 0 and 2^64 - 1. */
export const VTD_S1_INVALIDATE = structure('iommu_hwpt_vtd_s1_invalidate', 24, {
  fields: {
    /** A multiple of 4096. */
    addr: u64('addr', 0),
    /** Pages of 4 KiB. The kernel checks neither 0 nor what is beyond 2^64. */
    npages: u64('npages', 8),
    /** IOMMU_VTD_INV_FLAGS_LEAF. */
    flags: u32('flags', 16),
  },
  reserved: [['__reserved', 20, 4]],
})

/** Of GET_HW_INFO, IOMMU_HW_INFO_TYPE_INTEL_VTD. */
export const HW_INFO_VTD = structure('iommu_hw_info_vtd', 24, {
  fields: {
    /** IOMMU_HW_INFO_VTD_*. */
    flags: u32('flags', 0),
    capReg: u64('cap_reg', 8),
    ecapReg: u64('ecap_reg', 16),
  },
  reserved: [['__reserved', 4, 4]],
})

/** Likewise, IOMMU_HW_INFO_TYPE_ARM_SMMUV3. */
export const HW_INFO_ARM_SMMUV3 = structure('iommu_hw_info_arm_smmuv3', 40, {
  fields: {
    flags: u32('flags', 0),
    idr0: u32('idr[0]', 8),
    idr1: u32('idr[1]', 12),
    idr2: u32('idr[2]', 16),
    idr3: u32('idr[3]', 20),
    idr4: u32('idr[4]', 24),
    idr5: u32('idr[5]', 28),
    iidr: u32('iidr', 32),
    aidr: u32('aidr', 36),
  },
  reserved: [['__reserved', 4, 4]],
})

/** Likewise, IOMMU_HW_INFO_TYPE_AMD. */
export const HW_INFO_AMD = structure('iommu_hw_info_amd', 16, {
  fields: { efr: u64('efr', 0), efr2: u64('efr2', 8) },
})

/** One page of a group; all records of a group carry its cookie. */
export const HWPT_PGFAULT = structure('iommu_hwpt_pgfault', 40, {
  fields: {
    /** IOMMU_PGFAULT_FLAGS_*. */
    flags: u32('flags', 0),
    devId: u32('dev_id', 4),
    /** With PASID_VALID. */
    pasid: u32('pasid', 8),
    grpid: u32('grpid', 12),
    /** IOMMU_PGFAULT_PERM_*. */
    perm: u32('perm', 16),
    addr: u64('addr', 24),
    length: u32('length', 32),
    cookie: u32('cookie', 36),
  },
  reserved: [['__reserved', 20, 4]],
})

export type PageFaultRecord = ValuesOf<typeof HWPT_PGFAULT.fields>

/** Answers the whole group. */
export const HWPT_PAGE_RESPONSE = structure('iommu_hwpt_page_response', 8, {
  fields: {
    cookie: u32('cookie', 0),
    /** IOMMUFD_PAGE_RESP_*. */
    code: u32('code', 4),
  },
})

/** What read(2) of a fault queue's descriptor brought: whole records only, in their order. */
export function decodePageFaults(bytes: Uint8Array): readonly PageFaultRecord[] {
  const records: PageFaultRecord[] = []
  for (let at = 0; at < bytes.length; at += HWPT_PGFAULT.bytes) {
    records.push(decode(HWPT_PGFAULT, bytes, at))
  }
  return records
}

/** For write(2) to a fault queue's descriptor. */
export function encodePageResponse(cookie: number, isSuccess: boolean): Uint8Array {
  const { IOMMUFD_PAGE_RESP_SUCCESS, IOMMUFD_PAGE_RESP_INVALID } = IOMMUFD_DATA
  const code = isSuccess ? IOMMUFD_PAGE_RESP_SUCCESS : IOMMUFD_PAGE_RESP_INVALID
  return encode(HWPT_PAGE_RESPONSE, { cookie, code })
}

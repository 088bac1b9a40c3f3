/**
 * The ioctls of /dev/iommu that the native backend makes (include/uapi/linux/iommufd.h): request
 * numbers, structures, flags. What a structure's pointer points to is in iommufd-data.ts. First
 * kernels are said where they are later than 6.6, the first with VFIO cdevs.
 */

import { type Request, s32, structure, u32, u64, u8 } from './structure.js'

/** Flags, types and options, by their names in C. */
export const IOMMUFD = {
  IOMMU_IOAS_MAP_FIXED_IOVA: 1,
  IOMMU_IOAS_MAP_WRITEABLE: 2,
  IOMMU_IOAS_MAP_READABLE: 4,
  /** 6.7, as DIRTY_TRACKING. */
  IOMMU_HWPT_ALLOC_NEST_PARENT: 1,
  IOMMU_HWPT_ALLOC_DIRTY_TRACKING: 2,
  /** 6.11. */
  IOMMU_HWPT_FAULT_ID_VALID: 4,
  /** 6.14; of use since 6.15. */
  IOMMU_HWPT_ALLOC_PASID: 8,
  IOMMU_HWPT_DATA_VTD_S1: 1,
  IOMMU_HWPT_INVALIDATE_DATA_VTD_S1: 0,
  IOMMU_HWPT_DIRTY_TRACKING_ENABLE: 1,
  IOMMU_HW_INFO_TYPE_NONE: 0,
  IOMMU_HW_INFO_TYPE_INTEL_VTD: 1,
  IOMMU_HW_INFO_TYPE_ARM_SMMUV3: 2,
  IOMMU_HW_INFO_TYPE_AMD: 4,
  IOMMU_HW_CAP_DIRTY_TRACKING: 1,
  IOMMU_HW_CAP_PCI_PASID_EXEC: 2,
  IOMMU_HW_CAP_PCI_PASID_PRIV: 4,
  IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: 8,
} as const

/** Of any object; EBUSY while something else needs it. */
export const DESTROY = {
  name: 'IOMMU_DESTROY',
  request: 0x3b80,
  structure: structure('iommu_destroy', 8, { length: 'size', fields: { id: u32('id', 4) } }),
} satisfies Request

export const IOAS_ALLOC = {
  name: 'IOMMU_IOAS_ALLOC',
  request: 0x3b81,
  structure: structure('iommu_ioas_alloc', 12, {
    length: 'size',
    fields: { flags: u32('flags', 4), outIoasId: u32('out_ioas_id', 8) },
  }),
} satisfies Request

/** 6.13. */
export const IOAS_MAP_FILE = {
  name: 'IOMMU_IOAS_MAP_FILE',
  request: 0x3b8f,
  structure: structure('iommu_ioas_map_file', 40, {
    length: 'size',
    fields: {
      flags: u32('flags', 4),
      ioasId: u32('ioas_id', 8),
      fd: s32('fd', 12),
      start: u64('start', 16),
      length: u64('length', 24),
      iova: u64('iova', 32),
    },
  }),
} satisfies Request

/** Everything: iova 0 and length 2^64 - 1. */
export const IOAS_UNMAP = {
  name: 'IOMMU_IOAS_UNMAP',
  request: 0x3b86,
  structure: structure('iommu_ioas_unmap', 24, {
    length: 'size',
    fields: {
      ioasId: u32('ioas_id', 4),
      iova: u64('iova', 8),
      /** In; out: bytes that were unmapped. */
      length: u64('length', 16),
    },
  }),
} satisfies Request

/** The pointer: a nested table in the IOMMU's language (HWPT_VTD_S1). */
export const HWPT_ALLOC = {
  name: 'IOMMU_HWPT_ALLOC',
  request: 0x3b89,
  structure: structure('iommu_hwpt_alloc', 48, {
    length: 'size',
    pointer: ['data_uptr', 32],
    fields: {
      flags: u32('flags', 4),
      devId: u32('dev_id', 8),
      /** An IOAS, or for a nested one its parent. */
      ptId: u32('pt_id', 12),
      outHwptId: u32('out_hwpt_id', 16),
      /** IOMMU_HWPT_DATA_*. */
      dataType: u32('data_type', 24),
      /** Bytes that the pointer points to; 0 with IOMMU_HWPT_DATA_NONE. */
      dataLen: u32('data_len', 28),
      /** With IOMMU_HWPT_FAULT_ID_VALID. */
      faultId: u32('fault_id', 40),
    },
    reserved: [
      ['__reserved', 20, 4],
      ['__reserved2', 44, 4],
    ],
  }),
} satisfies Request

/** The pointer: room for what the IOMMU says of itself (HW_INFO_VTD and the like). */
export const GET_HW_INFO = {
  name: 'IOMMU_GET_HW_INFO',
  request: 0x3b8a,
  structure: structure('iommu_hw_info', 40, {
    length: 'size',
    pointer: ['data_uptr', 16],
    fields: {
      flags: u32('flags', 4),
      devId: u32('dev_id', 8),
      /** In: bytes of room; more than the kernel has are filled with 0. Out: what it has. */
      dataLen: u32('data_len', 12),
      /** IOMMU_HW_INFO_TYPE_*. */
      outDataType: u32('out_data_type', 24),
      /** 6.15. 0: no PASIDs. */
      outMaxPasidLog2: u8('out_max_pasid_log2', 28),
      /** IOMMU_HW_CAP_*. */
      outCapabilities: u64('out_capabilities', 32),
    },
    reserved: [['__reserved', 29, 3]],
  }),
} satisfies Request

/** 6.7. */
export const HWPT_SET_DIRTY_TRACKING = {
  name: 'IOMMU_HWPT_SET_DIRTY_TRACKING',
  request: 0x3b8b,
  structure: structure('iommu_hwpt_set_dirty_tracking', 16, {
    length: 'size',
    fields: { flags: u32('flags', 4), hwptId: u32('hwpt_id', 8) },
    reserved: [['__reserved', 12, 4]],
  }),
} satisfies Request

/**
 * 6.8. The pointer: entries (VTD_S1_INVALIDATE). No entries, with a null pointer: asks whether the
 * data type is known. entry_num comes back as the number carried out, also after an error.
 */
export const HWPT_INVALIDATE = {
  name: 'IOMMU_HWPT_INVALIDATE',
  request: 0x3b8d,
  structure: structure('iommu_hwpt_invalidate', 32, {
    length: 'size',
    pointer: ['data_uptr', 8],
    fields: {
      hwptId: u32('hwpt_id', 4),
      /** IOMMU_HWPT_INVALIDATE_DATA_*. */
      dataType: u32('data_type', 16),
      /** Bytes of one entry. */
      entryLen: u32('entry_len', 20),
      entryNum: u32('entry_num', 24),
    },
    reserved: [['__reserved', 28, 4]],
  }),
} satisfies Request

/** 6.11. The descriptor reads HWPT_PGFAULT records and takes HWPT_PAGE_RESPONSE records. */
export const FAULT_QUEUE_ALLOC = {
  name: 'IOMMU_FAULT_QUEUE_ALLOC',
  request: 0x3b8e,
  structure: structure('iommu_fault_alloc', 16, {
    length: 'size',
    fields: {
      flags: u32('flags', 4),
      outFaultId: u32('out_fault_id', 8),
      outFaultFd: u32('out_fault_fd', 12),
    },
  }),
} satisfies Request

// The container's part of <linux/vfio.h> and <linux/iommu.h> as the vSVA series of 2020 had them:
// names, numbers and layouts. V1_ is the posting of March 2020 (before Linux 5.10 gave the inner
// structures argsz), the rest that of September (v7).
#pragma once

#include <linux/ioctl.h>
#include <linux/types.h>
#include <stddef.h>

#define VFIO_TYPE (';')
#define VFIO_BASE 100

#define VFIO_API_VERSION 0
#define VFIO_TYPE1_IOMMU 1
#define VFIO_TYPE1v2_IOMMU 3
#define VFIO_TYPE1_NESTING_IOMMU 6

#define VFIO_GET_API_VERSION _IO(VFIO_TYPE, VFIO_BASE + 0)
#define VFIO_CHECK_EXTENSION _IO(VFIO_TYPE, VFIO_BASE + 1)
#define VFIO_SET_IOMMU _IO(VFIO_TYPE, VFIO_BASE + 2)

// --- VFIO_IOMMU_GET_INFO

struct vfio_info_cap_header {
  __u16 id;
  __u16 version;
  __u32 next;
};

struct vfio_iommu_type1_info {
  __u32 argsz;
  __u32 flags;
#define VFIO_IOMMU_INFO_PGSIZES (1 << 0)
#define VFIO_IOMMU_INFO_CAPS (1 << 1)
  __u64 iova_pgsizes;
  __u32 cap_offset;
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1

struct vfio_iova_range {
  __u64 start;
  __u64 end;
};

struct vfio_iommu_type1_info_cap_iova_range {
  struct vfio_info_cap_header header;
  __u32 nr_iovas;
  __u32 reserved;
  struct vfio_iova_range iova_ranges[];
};

struct iommu_nesting_info_vtd {
  __u32 flags;
  __u32 padding;
  __u64 cap_reg;
  __u64 ecap_reg;
};

struct iommu_nesting_info {
  __u32 argsz;
  __u32 flags;
  __u32 format;
#define IOMMU_NESTING_FEAT_SYSWIDE_PASID (1 << 0)
#define IOMMU_NESTING_FEAT_BIND_PGTBL (1 << 1)
#define IOMMU_NESTING_FEAT_CACHE_INVLD (1 << 2)
  __u32 features;
  __u16 addr_width;
  __u16 pasid_bits;
  __u32 padding;
  struct iommu_nesting_info_vtd vtd;
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_NESTING 3

struct vfio_iommu_type1_info_cap_nesting {
  struct vfio_info_cap_header header;
  struct iommu_nesting_info info;
};

#define VFIO_IOMMU_GET_INFO _IO(VFIO_TYPE, VFIO_BASE + 12)

// --- PASIDs

struct vfio_iommu_type1_pasid_request {
  __u32 argsz;
#define VFIO_IOMMU_FLAG_ALLOC_PASID (1 << 0)
#define VFIO_IOMMU_FLAG_FREE_PASID (1 << 1)
  __u32 flags;
  struct {
    __u32 min;
    __u32 max;
  } range;
};

#define VFIO_IOMMU_PASID_REQUEST _IO(VFIO_TYPE, VFIO_BASE + 18)

struct v1_vfio_iommu_type1_pasid_request {
  __u32 argsz;
#define V1_VFIO_IOMMU_PASID_ALLOC (1 << 0)
#define V1_VFIO_IOMMU_PASID_FREE (1 << 1)
  __u32 flags;
  union {
    struct {
      __u32 min;
      __u32 max;
      __u32 result;
    } alloc_pasid;
    __u32 free_pasid;
  };
};

#define V1_VFIO_IOMMU_PASID_REQUEST _IO(VFIO_TYPE, VFIO_BASE + 22)

// --- tables

#define IOMMU_PASID_FORMAT_INTEL_VTD 1
#define IOMMU_GPASID_BIND_VERSION_1 1
#define IOMMU_SVA_GPASID_VAL (1 << 0)

struct iommu_gpasid_bind_data_vtd {
#define IOMMU_SVA_VTD_GPASID_SRE (1 << 0)
#define IOMMU_SVA_VTD_GPASID_EAFE (1 << 1)
#define IOMMU_SVA_VTD_GPASID_PCD (1 << 2)
  __u64 flags;
  __u32 pat;
  __u32 emt;
};

struct iommu_gpasid_bind_data {
  __u32 argsz;
  __u32 version;
  __u32 format;
  __u32 addr_width;
  __u64 flags;
  __u64 gpgd;
  __u64 hpasid;
  __u64 gpasid;
  __u8 padding[8];
  union {
    struct iommu_gpasid_bind_data_vtd vtd;
  } vendor;
};

struct v1_iommu_gpasid_bind_data {
  __u32 version;
  __u32 format;
  __u64 flags;
  __u64 gpgd;
  __u64 hpasid;
  __u64 gpasid;
  __u32 addr_width;
  __u8 padding[12];
  union {
    struct iommu_gpasid_bind_data_vtd vtd;
  };
};

struct vfio_iommu_type1_nesting_op {
  __u32 argsz;
  __u32 flags;
  __u8 data[];
};

#define VFIO_IOMMU_NESTING_OP_BIND_PGTBL 0
#define VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL 1
#define VFIO_IOMMU_NESTING_OP_CACHE_INVLD 2
#define VFIO_IOMMU_NESTING_OP _IO(VFIO_TYPE, VFIO_BASE + 19)

struct v1_vfio_iommu_type1_bind {
  __u32 argsz;
  __u32 flags;
#define V1_VFIO_IOMMU_BIND_GUEST_PGTBL (1 << 0)
#define V1_VFIO_IOMMU_UNBIND_GUEST_PGTBL (1 << 1)
  __u8 data[];
};

#define V1_VFIO_IOMMU_BIND _IO(VFIO_TYPE, VFIO_BASE + 23)

// --- invalidation

struct iommu_inv_addr_info {
#define IOMMU_INV_ADDR_FLAGS_PASID (1 << 0)
#define IOMMU_INV_ADDR_FLAGS_ARCHID (1 << 1)
#define IOMMU_INV_ADDR_FLAGS_LEAF (1 << 2)
  __u32 flags;
  __u32 archid;
  __u64 pasid;
  __u64 addr;
  __u64 granule_size;
  __u64 nb_granules;
};

struct iommu_inv_pasid_info {
#define IOMMU_INV_PASID_FLAGS_PASID (1 << 0)
  __u32 flags;
  __u32 archid;
  __u64 pasid;
};

#define IOMMU_CACHE_INVALIDATE_INFO_VERSION_1 1
#define IOMMU_CACHE_INV_TYPE_IOTLB (1 << 0)
#define IOMMU_CACHE_INV_TYPE_DEV_IOTLB (1 << 1)
#define IOMMU_CACHE_INV_TYPE_PASID (1 << 2)
#define IOMMU_INV_GRANU_DOMAIN 0
#define IOMMU_INV_GRANU_PASID 1
#define IOMMU_INV_GRANU_ADDR 2

struct iommu_cache_invalidate_info {
  __u32 argsz;
  __u32 version;
  __u8 cache;
  __u8 granularity;
  __u8 padding[6];
  union {
    struct iommu_inv_pasid_info pasid_info;
    struct iommu_inv_addr_info addr_info;
  } granu;
};

struct v1_iommu_cache_invalidate_info {
  __u32 version;
  __u8 cache;
  __u8 granularity;
  __u8 padding[2];
  union {
    struct iommu_inv_pasid_info pasid_info;
    struct iommu_inv_addr_info addr_info;
  };
};

struct v1_vfio_iommu_type1_cache_invalidate {
  __u32 argsz;
  __u32 flags;
  struct v1_iommu_cache_invalidate_info cache_info;
};

#define V1_VFIO_IOMMU_CACHE_INVALIDATE _IO(VFIO_TYPE, VFIO_BASE + 24)

// The sizes and offsets that were on the wire.
_Static_assert(sizeof(struct vfio_iommu_type1_info) == 24, "vfio_iommu_type1_info");
_Static_assert(sizeof(struct iommu_nesting_info) == 48, "iommu_nesting_info");
_Static_assert(sizeof(struct vfio_iommu_type1_pasid_request) == 16, "pasid_request");
_Static_assert(sizeof(struct v1_vfio_iommu_type1_pasid_request) == 20, "v1 pasid_request");
_Static_assert(offsetof(struct v1_vfio_iommu_type1_pasid_request, alloc_pasid.result) == 16, "");
_Static_assert(sizeof(struct iommu_gpasid_bind_data) == 72, "gpasid_bind_data");
_Static_assert(offsetof(struct iommu_gpasid_bind_data, vendor) == 56, "vendor");
_Static_assert(sizeof(struct v1_iommu_gpasid_bind_data) == 72, "v1 gpasid_bind_data");
_Static_assert(sizeof(struct iommu_cache_invalidate_info) == 56, "cache_invalidate_info");
_Static_assert(sizeof(struct v1_iommu_cache_invalidate_info) == 48, "v1 cache_invalidate_info");
_Static_assert(VFIO_IOMMU_PASID_REQUEST == 0x3b76 && VFIO_IOMMU_NESTING_OP == 0x3b77, "v7");
_Static_assert(V1_VFIO_IOMMU_PASID_REQUEST == 0x3b7a && V1_VFIO_IOMMU_BIND == 0x3b7b, "v1");

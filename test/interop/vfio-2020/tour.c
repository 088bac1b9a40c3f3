// Everything once through, as it is meant to go: v7, then v1.
#include "program.h"

static void check_nesting(const struct vfio_iommu_type1_info_cap_nesting *cap) {
  const uint32_t all = IOMMU_NESTING_FEAT_SYSWIDE_PASID | IOMMU_NESTING_FEAT_BIND_PGTBL |
                       IOMMU_NESTING_FEAT_CACHE_INVLD;
  CHECK(cap->header.version == 1);
  CHECK(cap->info.argsz == sizeof cap->info && cap->info.flags == 0);
  CHECK(cap->info.format == IOMMU_PASID_FORMAT_INTEL_VTD && cap->info.features == all);
  CHECK(cap->info.addr_width == 48 && cap->info.pasid_bits == 20);
}

static void check_ranges(const struct vfio_iommu_type1_info_cap_iova_range *cap) {
  CHECK(cap->header.version == 1 && cap->nr_iovas == 2);
  CHECK(cap->iova_ranges[0].start == 0 && cap->iova_ranges[0].end == 0xfedfffff);
  CHECK(cap->iova_ranges[1].start == 0xfef00000 && cap->iova_ranges[1].end == 0xffffffffffff);
}

// Asks how large the answer is, then for all of it, and walks the chain.
static void walk_info(int fd) {
  struct vfio_iommu_type1_info small = {.argsz = sizeof small};
  CHECK(ioctl(fd, VFIO_IOMMU_GET_INFO, &small) == 0);
  CHECK(small.argsz > sizeof small && small.cap_offset == 0);
  CHECK(small.flags == (VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS));
  CHECK((small.iova_pgsizes & 4096) != 0);
  struct vfio_iommu_type1_info *info = calloc(1, small.argsz);
  info->argsz = small.argsz;
  CHECK(ioctl(fd, VFIO_IOMMU_GET_INFO, info) == 0);
  CHECK(info->argsz == small.argsz && info->cap_offset == sizeof *info);
  int nesting = 0;
  int ranges = 0;
  for (uint32_t at = info->cap_offset; at != 0;) {
    CHECK(at + sizeof(struct vfio_info_cap_header) <= info->argsz);
    void *cap = (uint8_t *)info + at;
    const struct vfio_info_cap_header *header = cap;
    if (header->id == VFIO_IOMMU_TYPE1_INFO_CAP_NESTING) check_nesting(cap), nesting++;
    if (header->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) check_ranges(cap), ranges++;
    CHECK(header->next == 0 || header->next > at);
    at = header->next;
  }
  CHECK(nesting == 1 && ranges == 1);
  free(info);
}

static int invalidate(int fd, struct iommu_cache_invalidate_info info) {
  info.argsz = sizeof info;
  info.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1;
  return nesting_op(fd, VFIO_IOMMU_NESTING_OP_CACHE_INVLD, &info, sizeof info);
}

// All granularities with the caches that they go with.
static void invalidate_all(int fd, uint64_t pasid) {
  for (uint8_t cache = 0; cache < 8; cache++) {
    struct iommu_cache_invalidate_info domain = {.cache = cache};
    int allowed = (cache & IOMMU_CACHE_INV_TYPE_DEV_IOTLB) == 0;
    CHECK(invalidate(fd, domain) == (allowed ? 0 : -1));
    struct iommu_cache_invalidate_info whole = {
        .cache = cache,
        .granularity = IOMMU_INV_GRANU_PASID,
        .granu.pasid_info = {.flags = IOMMU_INV_PASID_FLAGS_PASID, .pasid = pasid}};
    CHECK(invalidate(fd, whole) == 0);
    struct iommu_cache_invalidate_info pages = {
        .cache = cache,
        .granularity = IOMMU_INV_GRANU_ADDR,
        .granu.addr_info = {.flags = IOMMU_INV_ADDR_FLAGS_PASID | IOMMU_INV_ADDR_FLAGS_LEAF,
                            .pasid = pasid,
                            .addr = 0x7f0000000000,
                            .granule_size = 4096,
                            .nb_granules = 512}};
    allowed = (cache & IOMMU_CACHE_INV_TYPE_PASID) == 0;
    CHECK(invalidate(fd, pages) == (allowed ? 0 : -1));
  }
  // Of all address spaces of the domain.
  struct iommu_cache_invalidate_info everywhere = {
      .cache = IOMMU_CACHE_INV_TYPE_IOTLB,
      .granularity = IOMMU_INV_GRANU_ADDR,
      .granu.addr_info = {.addr = 0x1000, .granule_size = 4096, .nb_granules = 1}};
  CHECK(invalidate(fd, everywhere) == 0);
}

void tour_v7(void) {
  int fd = open(CONTAINER, O_RDWR | O_CLOEXEC);
  CHECK(fd >= 0);
  CHECK(ioctl(fd, VFIO_GET_API_VERSION) == VFIO_API_VERSION);
  CHECK(ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_NESTING_IOMMU) == 1);
  CHECK(ioctl(fd, VFIO_CHECK_EXTENSION, 99) == 0);
  CHECK(ioctl(fd, VFIO_SET_IOMMU, VFIO_TYPE1_NESTING_IOMMU) == 0);
  walk_info(fd);
  say("info");
  int pasid = allocate(fd);
  int exact = pasid_request(fd, VFIO_IOMMU_FLAG_ALLOC_PASID, 7000, 7000);
  CHECK(exact == 7000);
  say("allocate");
  CHECK(bind_table(fd, table_of(pasid)) == 0);
  struct iommu_gpasid_bind_data five_levels = table_of(exact);
  five_levels.gpgd = 0x2000;
  five_levels.gpasid = 1;
  CHECK(bind_table(fd, five_levels) == 0);
  say("bind");
  invalidate_all(fd, (uint64_t)pasid);
  say("invalidate");
  CHECK(unbind_table(fd, table_of(pasid)) == 0);
  CHECK(unbind_table(fd, table_of(pasid)) == 0);
  say("unbind");
  // The second one is still bound.
  CHECK(pasid_request(fd, VFIO_IOMMU_FLAG_FREE_PASID, 1, 0x7fffffff) == 0);
  CHECK(unbind_table(fd, five_levels) == 0);
  say("free");
  CHECK(close(fd) == 0);
  say("close");
}

static int v1_bind(int fd, uint32_t flags, uint64_t pasid) {
  struct {
    struct v1_vfio_iommu_type1_bind header;
    struct v1_iommu_gpasid_bind_data data;
  } call = {
      .header = {.argsz = sizeof call, .flags = flags},
      .data = {.version = IOMMU_GPASID_BIND_VERSION_1,
               .format = IOMMU_PASID_FORMAT_INTEL_VTD,
               .gpgd = 0x3000,
               .hpasid = pasid,
               .addr_width = 48},
  };
  return ioctl(fd, V1_VFIO_IOMMU_BIND, &call);
}

static int v1_free(int fd, uint32_t pasid) {
  struct v1_vfio_iommu_type1_pasid_request request = {
      .argsz = sizeof request, .flags = V1_VFIO_IOMMU_PASID_FREE, .free_pasid = pasid};
  return ioctl(fd, V1_VFIO_IOMMU_PASID_REQUEST, &request);
}

void tour_v1(void) {
  int fd = open_container();
  struct v1_vfio_iommu_type1_pasid_request request = {
      .argsz = sizeof request,
      .flags = V1_VFIO_IOMMU_PASID_ALLOC,
      .alloc_pasid = {.min = 5000, .max = 6000, .result = 0xffffffff}};
  CHECK(ioctl(fd, V1_VFIO_IOMMU_PASID_REQUEST, &request) == 0);
  uint32_t pasid = request.alloc_pasid.result;
  CHECK(pasid >= 5000 && pasid <= 6000);
  CHECK(request.argsz == sizeof request && request.flags == V1_VFIO_IOMMU_PASID_ALLOC);
  CHECK(request.alloc_pasid.min == 5000 && request.alloc_pasid.max == 6000);
  say("allocate");
  CHECK(v1_bind(fd, V1_VFIO_IOMMU_BIND_GUEST_PGTBL, pasid) == 0);
  CHECK_ERRNO(v1_bind(fd, V1_VFIO_IOMMU_BIND_GUEST_PGTBL, pasid), EINVAL);
  say("bind");
  struct v1_vfio_iommu_type1_cache_invalidate invalidate = {
      .argsz = sizeof invalidate,
      .cache_info = {.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1,
                     .cache = IOMMU_CACHE_INV_TYPE_IOTLB,
                     .granularity = IOMMU_INV_GRANU_PASID,
                     .pasid_info = {.flags = IOMMU_INV_PASID_FLAGS_PASID, .pasid = pasid}}};
  CHECK(ioctl(fd, V1_VFIO_IOMMU_CACHE_INVALIDATE, &invalidate) == 0);
  invalidate.cache_info.granularity = IOMMU_INV_GRANU_DOMAIN;
  CHECK(ioctl(fd, V1_VFIO_IOMMU_CACHE_INVALIDATE, &invalidate) == 0);
  invalidate.flags = 1;
  CHECK_ERRNO(ioctl(fd, V1_VFIO_IOMMU_CACHE_INVALIDATE, &invalidate), EINVAL);
  say("invalidate");
  CHECK(v1_bind(fd, V1_VFIO_IOMMU_UNBIND_GUEST_PGTBL, pasid) == 0);
  CHECK_ERRNO(v1_bind(fd, V1_VFIO_IOMMU_UNBIND_GUEST_PGTBL, pasid), EINVAL);
  say("unbind");
  CHECK(v1_free(fd, pasid) == 0);
  CHECK_ERRNO(v1_free(fd, pasid), ENOENT);
  CHECK_ERRNO(v1_bind(fd, V1_VFIO_IOMMU_UNBIND_GUEST_PGTBL, pasid), ENOENT);
  say("free");
  CHECK(close(fd) == 0);
  say("close");
}

// What the parts of the program share: a container, and checks that say what was expected.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux-2020.h"

#define CONTAINER "/dev/vfio/vfio"

// Ends the program with what was wrong.
#define CHECK(expression)                                                                    \
  do {                                                                                       \
    if (!(expression)) {                                                                     \
      fprintf(stderr, "%s:%d: %s (errno %d, %s)\n", __FILE__, __LINE__, #expression, errno, \
              strerror(errno));                                                              \
      exit(1);                                                                               \
    }                                                                                        \
  } while (0)

// The call fails with that errno.
#define CHECK_ERRNO(call, expected)             \
  do {                                          \
    errno = 0;                                  \
    int result = (call);                        \
    CHECK(result == -1 && errno == (expected)); \
  } while (0)

// One line of JSON a step.
static inline void say(const char *step) {
  printf("{\"step\":\"%s\"}\n", step);
  fflush(stdout);
}

// A container that nests.
static inline int open_container(void) {
  int fd = open(CONTAINER, O_RDWR);
  CHECK(fd >= 0);
  CHECK(ioctl(fd, VFIO_SET_IOMMU, VFIO_TYPE1_NESTING_IOMMU) == 0);
  return fd;
}

static inline int pasid_request(int fd, uint32_t flags, uint32_t min, uint32_t max) {
  struct vfio_iommu_type1_pasid_request request = {
      .argsz = sizeof request, .flags = flags, .range = {.min = min, .max = max}};
  return ioctl(fd, VFIO_IOMMU_PASID_REQUEST, &request);
}

static inline int allocate(int fd) {
  int pasid = pasid_request(fd, VFIO_IOMMU_FLAG_ALLOC_PASID, 256, 0xfffff);
  CHECK(pasid >= 256 && pasid <= 0xfffff);
  return pasid;
}

static inline int nesting_op(int fd, uint32_t op, const void *data, size_t size) {
  struct {
    struct vfio_iommu_type1_nesting_op header;
    uint8_t data[128];
  } call = {.header = {.argsz = (uint32_t)(sizeof call.header + size), .flags = op}};
  CHECK(size <= sizeof call.data);
  memcpy(call.data, data, size);
  return ioctl(fd, VFIO_IOMMU_NESTING_OP, &call);
}

static inline struct iommu_gpasid_bind_data table_of(int pasid) {
  return (struct iommu_gpasid_bind_data){
      .argsz = sizeof(struct iommu_gpasid_bind_data),
      .version = IOMMU_GPASID_BIND_VERSION_1,
      .format = IOMMU_PASID_FORMAT_INTEL_VTD,
      .addr_width = 48,
      .flags = IOMMU_SVA_GPASID_VAL,
      .gpgd = 0x1000,
      .hpasid = (uint64_t)pasid,
      .gpasid = (uint64_t)pasid,
  };
}

static inline int bind_table(int fd, struct iommu_gpasid_bind_data table) {
  return nesting_op(fd, VFIO_IOMMU_NESTING_OP_BIND_PGTBL, &table, sizeof table);
}

static inline int unbind_table(int fd, struct iommu_gpasid_bind_data table) {
  return nesting_op(fd, VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL, &table, sizeof table);
}

void tour_v7(void);
void tour_v1(void);
void provoke(void);
void other_files(void);
void lives(void);
void threads(void);

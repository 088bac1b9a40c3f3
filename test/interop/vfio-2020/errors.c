// Each errno of the series, provoked; and what the program's other files get.
#include "program.h"

#include <sys/eventfd.h>
#include <sys/syscall.h>

// Two pages, of which the second is not there; the end of the first.
static uint8_t *edge(void) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED);
  CHECK(munmap(pages + page, page) == 0);
  return pages + page;
}

static void memory(int fd) {
  CHECK_ERRNO(ioctl(fd, VFIO_IOMMU_PASID_REQUEST, NULL), EFAULT);
  CHECK_ERRNO(ioctl(fd, VFIO_IOMMU_PASID_REQUEST, (void *)1), EFAULT);
  CHECK_ERRNO(ioctl(fd, VFIO_IOMMU_GET_INFO, (void *)-4096L), EFAULT);
  uint8_t *end = edge();
  struct vfio_iommu_type1_pasid_request request = {
      .argsz = sizeof request, .flags = VFIO_IOMMU_FLAG_ALLOC_PASID, .range = {256, 999}};
  for (size_t there = 0; there < sizeof request; there++) {
    memcpy(end - there, &request, there);
    CHECK_ERRNO(ioctl(fd, VFIO_IOMMU_PASID_REQUEST, end - there), EFAULT);
  }
  memcpy(end - sizeof request, &request, sizeof request);
  CHECK(ioctl(fd, VFIO_IOMMU_PASID_REQUEST, end - sizeof request) > 0);
  // More is said to be there than is: what is needed is.
  request.argsz = 1 << 20;
  memcpy(end - sizeof request, &request, sizeof request);
  CHECK(ioctl(fd, VFIO_IOMMU_PASID_REQUEST, end - sizeof request) > 0);
  say("memory");
}

// What is written back does not fit where it is read from.
static void read_only(int fd) {
  static const struct v1_vfio_iommu_type1_pasid_request fixed = {
      .argsz = sizeof fixed, .flags = V1_VFIO_IOMMU_PASID_ALLOC, .alloc_pasid = {300, 400, 0}};
  CHECK_ERRNO(ioctl(fd, V1_VFIO_IOMMU_PASID_REQUEST, &fixed), EFAULT);
  say("read-only");
}

static void arguments(int fd) {
  struct vfio_iommu_type1_pasid_request request = {
      .flags = VFIO_IOMMU_FLAG_ALLOC_PASID, .range = {256, 999}};
  for (request.argsz = 0; request.argsz < sizeof request; request.argsz++) {
    CHECK_ERRNO(ioctl(fd, VFIO_IOMMU_PASID_REQUEST, &request), EINVAL);
  }
  CHECK_ERRNO(pasid_request(fd, 0, 1, 9), EINVAL);
  CHECK_ERRNO(pasid_request(fd, 3, 1, 9), EINVAL);
  CHECK_ERRNO(pasid_request(fd, 4, 1, 9), EINVAL);
  CHECK_ERRNO(pasid_request(fd, VFIO_IOMMU_FLAG_ALLOC_PASID, 9, 1), EINVAL);
  CHECK_ERRNO(pasid_request(fd, VFIO_IOMMU_FLAG_ALLOC_PASID, 1, 0x80000000), EINVAL);
  CHECK_ERRNO(pasid_request(fd, VFIO_IOMMU_FLAG_ALLOC_PASID, 0, 0), ENOSPC);
  CHECK_ERRNO(pasid_request(fd, VFIO_IOMMU_FLAG_ALLOC_PASID, 0x100000, 0x7fffffff), ENOSPC);
  CHECK_ERRNO(ioctl(fd, _IO(VFIO_TYPE, VFIO_BASE + 77), &request), ENOTTY);
  CHECK_ERRNO(ioctl(fd, VFIO_SET_IOMMU, VFIO_TYPE1_NESTING_IOMMU), EINVAL);
  say("arguments");
}

static void tables(int fd) {
  int pasid = allocate(fd);
  struct iommu_gpasid_bind_data table = table_of(pasid);
  CHECK_ERRNO(nesting_op(fd, 3, &table, sizeof table), EINVAL);
  CHECK_ERRNO(nesting_op(fd, 1 << 16, &table, sizeof table), EINVAL);
  CHECK_ERRNO(nesting_op(fd, VFIO_IOMMU_NESTING_OP_BIND_PGTBL, &table, 55), EINVAL);
#define WRONG(change, error)                        \
  do {                                              \
    struct iommu_gpasid_bind_data wrong = table;    \
    wrong.change;                                   \
    CHECK_ERRNO(bind_table(fd, wrong), error);      \
  } while (0)
  WRONG(version = 2, EINVAL);
  WRONG(format = 2, EINVAL);
  WRONG(argsz = 55, EINVAL);
  WRONG(addr_width = 39, EINVAL);
  WRONG(flags = 2, EINVAL);
  WRONG(hpasid = 0, EINVAL);
  WRONG(hpasid = 0x100000, EINVAL);
  WRONG(hpasid = 0xfffff, ENOENT);
  WRONG(padding[7] = 1, EINVAL);
  WRONG(gpgd = 1, EINVAL);
  WRONG(vendor.vtd.flags = IOMMU_SVA_VTD_GPASID_PCD, EINVAL);
  WRONG(vendor.vtd.flags = 1 << 6, EINVAL);
#undef WRONG
  CHECK(bind_table(fd, table) == 0);
  CHECK_ERRNO(bind_table(fd, table), EINVAL);
  CHECK(unbind_table(fd, table) == 0);
  say("tables");
}

void provoke(void) {
  int fd = open(CONTAINER, O_RDWR);
  CHECK(fd >= 0);
  CHECK_ERRNO(pasid_request(fd, VFIO_IOMMU_FLAG_ALLOC_PASID, 256, 999), EINVAL);
  CHECK_ERRNO(ioctl(fd, VFIO_SET_IOMMU, 2), ENODEV);
  CHECK(ioctl(fd, VFIO_SET_IOMMU, VFIO_TYPE1_NESTING_IOMMU) == 0);
  memory(fd);
  read_only(fd);
  arguments(fd);
  tables(fd);
  CHECK(close(fd) == 0);
  // A container that does not nest.
  fd = open(CONTAINER, O_RDWR);
  CHECK(fd >= 0 && ioctl(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) == 0);
  CHECK_ERRNO(pasid_request(fd, VFIO_IOMMU_FLAG_ALLOC_PASID, 256, 999), EOPNOTSUPP);
  struct iommu_gpasid_bind_data table = table_of(256);
  CHECK_ERRNO(bind_table(fd, table), EOPNOTSUPP);
  CHECK(close(fd) == 0);
  say("no-nesting");
}

// The same numbers on other files are the kernel's business.
void other_files(void) {
  int container = open_container();
  int ends[2];
  CHECK(pipe(ends) == 0);
  int null = open("/dev/null", O_RDWR);
  int event = eventfd(0, 0);
  int files[] = {ends[0], ends[1], null, event};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    CHECK(files[i] >= 0);
    CHECK_ERRNO(ioctl(files[i], VFIO_GET_API_VERSION), ENOTTY);
    CHECK_ERRNO(pasid_request(files[i], VFIO_IOMMU_FLAG_ALLOC_PASID, 256, 999), ENOTTY);
    CHECK_ERRNO(ioctl(files[i], VFIO_IOMMU_NESTING_OP, NULL), ENOTTY);
  }
  CHECK_ERRNO(ioctl(-1, VFIO_IOMMU_PASID_REQUEST, NULL), EBADF);
  // Nor is another path the container's.
  CHECK(open("/dev/vfio/vfio/", O_RDWR) == -1);
  // The container's number, when it has gone to another file.
  CHECK(dup2(ends[0], container) == container);
  CHECK_ERRNO(pasid_request(container, VFIO_IOMMU_FLAG_ALLOC_PASID, 256, 999), ENOTTY);
  // And when it was closed in a way that nobody saw.
  int again = open_container();
  CHECK(syscall(SYS_close, again) == 0);
  CHECK(dup(null) == again);
  CHECK_ERRNO(pasid_request(again, VFIO_IOMMU_FLAG_ALLOC_PASID, 256, 999), ENOTTY);
  say("others");
}

// Duplicates are the container; a forked child has the descriptor, and may not use it.
void lives(void) {
  int fd = open_container();
  int pasid = allocate(fd);
  int second = dup(fd);
  int third = fcntl(fd, F_DUPFD_CLOEXEC, 100);
  CHECK(second >= 0 && third >= 100);
  CHECK(close(fd) == 0);
  CHECK(bind_table(second, table_of(pasid)) == 0);
  CHECK(dup2(third, 200) == 200 && close(second) == 0 && close(third) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK_ERRNO(pasid_request(200, VFIO_IOMMU_FLAG_ALLOC_PASID, 256, 999), EPERM);
    CHECK(close(200) == 0);
    // One of its own.
    int own = open_container();
    CHECK(allocate(own) != pasid);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(unbind_table(200, table_of(pasid)) == 0);
  CHECK(close_range(200, 200, 0) == 0);
  CHECK_ERRNO(ioctl(200, VFIO_GET_API_VERSION), EBADF);
  say("lives");
}

// A program of 2020: it knows /dev/vfio/vfio and the headers of the vSVA series, and nothing of
// pasidd. One scenario a run; each step says its name when it is done.
#include "program.h"

// Counts on the quota of the series: 1000 and no more, and again what was freed.
static void quota(void) {
  int fd = open_container();
  int first = allocate(fd);
  for (int i = 1; i < 1000; i++) allocate(fd);
  CHECK_ERRNO(pasid_request(fd, VFIO_IOMMU_FLAG_ALLOC_PASID, 256, 0xfffff), ENOSPC);
  CHECK(pasid_request(fd, VFIO_IOMMU_FLAG_FREE_PASID, (uint32_t)first, (uint32_t)first) == 0);
  allocate(fd);
  CHECK_ERRNO(pasid_request(fd, VFIO_IOMMU_FLAG_ALLOC_PASID, 256, 0xfffff), ENOSPC);
  CHECK(close(fd) == 0);
  say("quota");
}

// Holds numbers and tables until its input ends, and leaves them to the kernel's cleaning up.
static void hold(void) {
  int fd = open_container();
  for (int i = 0; i < 8; i++) CHECK(bind_table(fd, table_of(allocate(fd))) == 0);
  say("hold");
  while (getchar() != EOF) continue;
}

// Goes on after a pause, whatever became of the other side meanwhile.
static void pause_between(void) {
  int fd = open_container();
  int pasid = allocate(fd);
  CHECK(bind_table(fd, table_of(pasid)) == 0);
  say("pause");
  while (getchar() != EOF) continue;
  CHECK(unbind_table(fd, table_of(pasid)) == 0);
  CHECK(bind_table(fd, table_of(pasid)) == 0);
  CHECK(allocate(fd) != pasid);
  CHECK(close(fd) == 0);
  say("close");
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } scenarios[] = {
      {"v7", tour_v7},       {"v1", tour_v1}, {"provoke", provoke}, {"others", other_files},
      {"lives", lives},      {"quota", quota}, {"hold", hold},
      {"pause", pause_between}, {"threads", threads},
  };
  CHECK(argc == 2);
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
    if (strcmp(argv[1], scenarios[i].name) != 0) continue;
    scenarios[i].run();
    return 0;
  }
  fprintf(stderr, "no scenario %s\n", argv[1]);
  return 2;
}

// A VMM has many threads: they use one container at once, and open, duplicate and close others.
#include "program.h"

#include <pthread.h>

enum { kThreads = 8, kRounds = 25 };

static int shared;
static int numbers[kThreads][kRounds];

static void *use(void *which) {
  int *mine = which;
  for (int i = 0; i < kRounds; i++) {
    mine[i] = allocate(shared);
    CHECK(bind_table(shared, table_of(mine[i])) == 0);
    int copy = dup(shared);
    CHECK(copy >= 0 && unbind_table(copy, table_of(mine[i])) == 0);
    CHECK(close(copy) == 0);
    // Files come and go with numbers that were a container's.
    int null = open("/dev/null", O_RDWR);
    CHECK(null >= 0);
    CHECK_ERRNO(ioctl(null, VFIO_GET_API_VERSION), ENOTTY);
    CHECK(close(null) == 0);
  }
  int own = open_container();
  allocate(own);
  CHECK(close(own) == 0);
  return NULL;
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

void threads(void) {
  shared = open_container();
  pthread_t started[kThreads];
  for (int i = 0; i < kThreads; i++) {
    CHECK(pthread_create(&started[i], NULL, use, numbers[i]) == 0);
  }
  for (int i = 0; i < kThreads; i++) CHECK(pthread_join(started[i], NULL) == 0);
  int *all = &numbers[0][0];
  qsort(all, kThreads * kRounds, sizeof *all, by_number);
  for (int i = 1; i < kThreads * kRounds; i++) CHECK(all[i - 1] != all[i]);
  CHECK(pasid_request(shared, VFIO_IOMMU_FLAG_FREE_PASID, 0, 0x7fffffff) == 0);
  CHECK(close(shared) == 0);
  say("threads");
}

// Each is looked up when it is first needed: a program may call before any constructor has run.
#define _GNU_SOURCE
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

// The function `name` of the next library, as the type of `pointer`; null where there is none.
#define FIND(pointer, name)                                                            \
  do {                                                                                 \
    void *found = __atomic_load_n((void **)&(pointer), __ATOMIC_RELAXED);              \
    if (found == NULL) {                                                               \
      found = dlsym(RTLD_NEXT, name);                                                  \
      __atomic_store_n((void **)&(pointer), found, __ATOMIC_RELAXED);                  \
    }                                                                                  \
  } while (0)

#define CALL(name, type, ...)        \
  static type next;                  \
  FIND(next, name);                  \
  if (next == NULL) {                \
    errno = ENOSYS;                  \
    return -1;                       \
  }                                  \
  return next(__VA_ARGS__)

typedef int (*Open)(const char *, int, ...);
typedef int (*OpenAt)(int, const char *, int, ...);
typedef int (*OfOne)(int);
typedef int (*OfTwo)(int, int);
typedef int (*OfThree)(int, int, int);
typedef int (*Range)(unsigned, unsigned, int);
typedef int (*Control)(int, int, ...);
typedef int (*Ioctl)(int, unsigned long, ...);

int real_open(const char *path, int flags, mode_t mode) {
  CALL("open", Open, path, flags, mode);
}

int real_open64(const char *path, int flags, mode_t mode) {
  CALL("open64", Open, path, flags, mode);
}

int real_openat(int folder, const char *path, int flags, mode_t mode) {
  CALL("openat", OpenAt, folder, path, flags, mode);
}

int real_openat64(int folder, const char *path, int flags, mode_t mode) {
  CALL("openat64", OpenAt, folder, path, flags, mode);
}

int real_close(int fd) { CALL("close", OfOne, fd); }

int real_close_range(unsigned first, unsigned last, int flags) {
  CALL("close_range", Range, first, last, flags);
}

int real_dup(int fd) { CALL("dup", OfOne, fd); }

int real_dup2(int fd, int other) { CALL("dup2", OfTwo, fd, other); }

int real_dup3(int fd, int other, int flags) { CALL("dup3", OfThree, fd, other, flags); }

int real_fcntl(int fd, int command, void *argument) {
  CALL("fcntl", Control, fd, command, argument);
}

int real_fcntl64(int fd, int command, void *argument) {
  CALL("fcntl64", Control, fd, command, argument);
}

int real_ioctl(int fd, unsigned long request, void *argument) {
  CALL("ioctl", Ioctl, fd, request, argument);
}

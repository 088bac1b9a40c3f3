// LD_PRELOAD=libvfio-shim.so: a program that uses /dev/vfio/vfio as the vSVA series of 2020 had it
// runs against pasidd. Holds: only descriptors that were seen opened as /dev/vfio/vfio, and their
// duplicates, are treated so, and only while they still are the file that was made for them; every
// other call goes where it would have gone, whatever its number.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "memory.h"
#include "real.h"
#include "rpc.h"

#define EXPORT __attribute__((visibility("default")))

static const char kPath[] = "/dev/vfio/vfio";

// An open container: the file stands for it, so that a number that has gone to another file in a
// way that the shim does not see is not taken for it.
struct open_container {
  struct container container;
  dev_t device;
  ino_t inode;
  // Its owner: a forked child has the descriptor, and not the container.
  pid_t owner;
  // Descriptors, and calls under way.
  unsigned references;
};

struct descriptor {
  int fd;
  struct open_container *open;
  struct descriptor *next;
};

// Of the list and the references. Taken alone, or before `calls`.
static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;
// One call of the daemon at a time, as a container's lock had it.
static pthread_mutex_t calls = PTHREAD_MUTEX_INITIALIZER;
static struct descriptor *descriptors;
// Without any, nothing is looked at: a program that has no container is not slowed down.
static _Atomic unsigned tracked;

static const char *socket_path(void) { return getenv("PASIDD_SOCKET"); }

// --- the table

static struct descriptor **place_of(int fd) {
  struct descriptor **at = &descriptors;
  while (*at != NULL && (*at)->fd != fd) at = &(*at)->next;
  return at;
}

static bool is_file_of(int fd, const struct open_container *open) {
  struct stat file;
  return fstat(fd, &file) == 0 && file.st_dev == open->device && file.st_ino == open->inode;
}

// Gives a reference back; the last one closes the container. `table` is not held.
static void put_open(struct open_container *open) {
  pthread_mutex_lock(&table);
  bool last = --open->references == 0;
  pthread_mutex_unlock(&table);
  if (!last) return;
  if (open->owner == getpid()) {
    int before = errno;
    pthread_mutex_lock(&calls);
    container_close(socket_path(), &open->container);
    pthread_mutex_unlock(&calls);
    errno = before;
  }
  free(open);
}

// Forgets the descriptor; the container that it was of, with its reference, or null.
static struct open_container *take_descriptor(int fd) {
  if (tracked == 0) return NULL;
  struct open_container *open = NULL;
  pthread_mutex_lock(&table);
  struct descriptor **at = place_of(fd);
  // Between vfork(2) and exec the table is the parent's, and the descriptors are the child's own.
  if (*at != NULL && (*at)->open->owner == getpid()) {
    struct descriptor *gone = *at;
    open = gone->open;
    *at = gone->next;
    tracked--;
    free(gone);
  }
  pthread_mutex_unlock(&table);
  return open;
}

// The container of the descriptor, with a reference of the caller's; null: it is another file's.
static struct open_container *get_open(int fd) {
  if (tracked == 0) return NULL;
  pthread_mutex_lock(&table);
  struct descriptor *found = *place_of(fd);
  struct open_container *open = found == NULL ? NULL : found->open;
  if (open != NULL) open->references++;
  pthread_mutex_unlock(&table);
  if (open == NULL || is_file_of(fd, open)) return open;
  // Closed behind the shim's back, and the number is another file's now.
  struct open_container *gone = take_descriptor(fd);
  if (gone != NULL) put_open(gone);
  put_open(open);
  return NULL;
}

// Takes over the reference, if there is memory for it.
static bool add_descriptor(int fd, struct open_container *open) {
  struct descriptor *fresh = malloc(sizeof *fresh);
  if (fresh == NULL) return false;
  pthread_mutex_lock(&table);
  *fresh = (struct descriptor){fd, open, descriptors};
  descriptors = fresh;
  tracked++;
  pthread_mutex_unlock(&table);
  return true;
}

// --- fork: the child has no container, and must not speak on its parent's connection

static void before_fork(void) {
  pthread_mutex_lock(&table);
  pthread_mutex_lock(&calls);
}

static void after_fork(void) {
  pthread_mutex_unlock(&calls);
  pthread_mutex_unlock(&table);
}

static void in_child(void) {
  rpc_forget();
  after_fork();
}

__attribute__((constructor)) static void start(void) {
  pthread_atfork(before_fork, after_fork, in_child);
}

// --- opening

static bool is_container(const char *path, int flags) {
  char name[sizeof kPath];
  if (path == NULL || (flags & O_PATH) != 0 || socket_path() == NULL) return false;
  if (memory_read(name, path, sizeof name) != sizeof name) return false;
  return memcmp(name, kPath, sizeof name) == 0;
}

// A file of its own stands for the container: it is known by its inode.
static int placeholder(struct open_container *open, int flags) {
  int fd = memfd_create("vfio-container", (flags & O_CLOEXEC) != 0 ? MFD_CLOEXEC : 0);
  struct stat file;
  if (fd < 0) return -1;
  if (fstat(fd, &file) != 0) {
    real_close(fd);
    return -1;
  }
  open->device = file.st_dev;
  open->inode = file.st_ino;
  return fd;
}

static int open_container(int flags) {
  struct open_container *open = calloc(1, sizeof *open);
  if (open == NULL) return errno = ENOMEM, -1;
  const char *devices = getenv("PASIDD_DEVICES");
  open->owner = getpid();
  open->references = 1;
  int fd = placeholder(open, flags);
  if (fd < 0) {
    free(open);
    return -1;
  }
  pthread_mutex_lock(&calls);
  int problem = container_open(socket_path(), devices == NULL ? "" : devices, &open->container);
  pthread_mutex_unlock(&calls);
  if (problem == 0 && add_descriptor(fd, open)) return fd;
  if (problem == 0) put_open(open);
  else free(open);
  real_close(fd);
  errno = problem == 0 ? ENOMEM : problem;
  return -1;
}

// The third argument is there only for files that may be made.
#define MODE(last)                                         \
  mode_t mode = 0;                                         \
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) { \
    va_list rest;                                          \
    va_start(rest, last);                                  \
    mode = va_arg(rest, mode_t);                           \
    va_end(rest);                                          \
  }

EXPORT int open(const char *path, int flags, ...) {
  MODE(flags)
  return is_container(path, flags) ? open_container(flags) : real_open(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...) {
  MODE(flags)
  return is_container(path, flags) ? open_container(flags) : real_open64(path, flags, mode);
}

EXPORT int openat(int folder, const char *path, int flags, ...) {
  MODE(flags)
  return is_container(path, flags) ? open_container(flags) : real_openat(folder, path, flags, mode);
}

EXPORT int openat64(int folder, const char *path, int flags, ...) {
  MODE(flags)
  if (is_container(path, flags)) return open_container(flags);
  return real_openat64(folder, path, flags, mode);
}

// What _FORTIFY_SOURCE makes of calls without a mode.
EXPORT int __open_2(const char *path, int flags) { return open(path, flags, 0); }
EXPORT int __open64_2(const char *path, int flags) { return open64(path, flags, 0); }
EXPORT int __openat_2(int folder, const char *path, int flags) {
  return openat(folder, path, flags, 0);
}
EXPORT int __openat64_2(int folder, const char *path, int flags) {
  return openat64(folder, path, flags, 0);
}

// --- ioctl

EXPORT int ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  // Those that every descriptor has, as FIOCLEX, are not VFIO's.
  struct open_container *open = _IOC_TYPE(request) == ';' ? get_open(fd) : NULL;
  if (open == NULL) return real_ioctl(fd, request, argument);
  int result = -EPERM;
  if (open->owner == getpid()) {
    pthread_mutex_lock(&calls);
    result = container_ioctl(socket_path(), &open->container, (uint32_t)request, argument);
    pthread_mutex_unlock(&calls);
  }
  put_open(open);
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

// --- closing and duplicating

EXPORT int close(int fd) {
  // Before the number is free for others.
  struct open_container *open = take_descriptor(fd);
  int result = real_close(fd);
  if (open != NULL) put_open(open);
  return result;
}

EXPORT int close_range(unsigned first, unsigned last, int flags) {
  bool closes = (flags & CLOSE_RANGE_CLOEXEC) == 0;
  for (bool found = closes && tracked > 0; found;) {
    found = false;
    int fd = -1;
    pthread_mutex_lock(&table);
    for (struct descriptor *at = descriptors; at != NULL && fd < 0; at = at->next) {
      bool inside = (unsigned)at->fd >= first && (unsigned)at->fd <= last;
      if (inside && at->open->owner == getpid()) fd = at->fd;
    }
    pthread_mutex_unlock(&table);
    struct open_container *open = fd < 0 ? NULL : take_descriptor(fd);
    if (open == NULL) break;
    real_close(fd);
    put_open(open);
    found = true;
  }
  return real_close_range(first, last, flags);
}

EXPORT void closefrom(int first) { close_range((unsigned)first, ~0U, 0); }

// `result` is a duplicate of what `open` is the container of, or an error.
static int duplicated(int result, struct open_container *open) {
  if (open == NULL) return result;
  if (result >= 0 && open->owner == getpid() && add_descriptor(result, open)) return result;
  put_open(open);
  return result;
}

EXPORT int dup(int fd) {
  struct open_container *open = get_open(fd);
  return duplicated(real_dup(fd), open);
}

// What `other` was before is closed by the call.
static int replaced(int fd, int other, int result, struct open_container *open) {
  if (result < 0 || fd == other) {
    if (open != NULL) put_open(open);
    return result;
  }
  struct open_container *gone = take_descriptor(other);
  if (gone != NULL) put_open(gone);
  return duplicated(result, open);
}

EXPORT int dup2(int fd, int other) {
  struct open_container *open = get_open(fd);
  return replaced(fd, other, real_dup2(fd, other), open);
}

EXPORT int dup3(int fd, int other, int flags) {
  struct open_container *open = get_open(fd);
  return replaced(fd, other, real_dup3(fd, other, flags), open);
}

#define FCNTL(next)                                                         \
  va_list rest;                                                             \
  va_start(rest, command);                                                  \
  void *argument = va_arg(rest, void *);                                    \
  va_end(rest);                                                             \
  bool duplicates = command == F_DUPFD || command == F_DUPFD_CLOEXEC;       \
  struct open_container *open = duplicates ? get_open(fd) : NULL;           \
  return duplicated(next(fd, command, argument), open)

EXPORT int fcntl(int fd, int command, ...) { FCNTL(real_fcntl); }
EXPORT int fcntl64(int fd, int command, ...) { FCNTL(real_fcntl64); }

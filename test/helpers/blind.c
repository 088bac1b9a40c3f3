/*
 * Preloaded before libc: a kernel that does not find a process again by its inode (file handles of
 * pidfs, Linux >= 6.14). What is left to a daemon are inferences.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>

int name_to_handle_at(int dir, const char *path, struct file_handle *handle, int *mount,
                      int flags) {
  (void)dir, (void)path, (void)handle, (void)mount, (void)flags;
  errno = ENOSYS;
  return -1;
}

int open_by_handle_at(int mount, struct file_handle *handle, int flags) {
  (void)mount, (void)handle, (void)flags;
  errno = ENOSYS;
  return -1;
}

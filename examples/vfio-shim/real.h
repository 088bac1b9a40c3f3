// What would have been called without the shim: the next library's functions of the same names.
#pragma once

#include <sys/types.h>

int real_open(const char *path, int flags, mode_t mode);
int real_open64(const char *path, int flags, mode_t mode);
int real_openat(int folder, const char *path, int flags, mode_t mode);
int real_openat64(int folder, const char *path, int flags, mode_t mode);
int real_close(int fd);
int real_close_range(unsigned first, unsigned last, int flags);
int real_dup(int fd);
int real_dup2(int fd, int other);
int real_dup3(int fd, int other, int flags);
int real_fcntl(int fd, int command, void *argument);
int real_fcntl64(int fd, int command, void *argument);
int real_ioctl(int fd, unsigned long request, void *argument);

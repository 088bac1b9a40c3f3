// A container of the 2020 series: a session of pasidd, by the service VfioUapi
// (proto/pasid/v1/vfio_uapi.proto).
#pragma once

#include <stddef.h>
#include <stdint.h>

struct container {
  char session[128];
  char token[128];
};

// `devices`: names with commas between, may be empty. 0, or an errno.
int container_open(const char *socket, const char *devices, struct container *container);

// ioctl(2): 0 or more, or minus errno.
int container_ioctl(const char *socket, const struct container *container, uint32_t request,
                    void *argument);

// The daemon takes everything back.
void container_close(const char *socket, const struct container *container);

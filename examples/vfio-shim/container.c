// The messages are few and small: they are written and read here, field by field, after
// https://protobuf.dev/programming-guides/encoding.
#define _GNU_SOURCE
#include "container.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory.h"
#include "rpc.h"

#define SERVICE "/pasid.v1.VfioUapi/"

// The ioctls whose third argument is a number, or is none. All others point to a structure that
// begins with its size in bytes (argsz).
enum { kGetApiVersion = 0x3b64, kCheckExtension = 0x3b65, kSetIommu = 0x3b66 };
enum { kGetInfo = 0x3b70, kPasidRequest = 0x3b76 };

enum { kDataMax = 4096, kMessageMax = kDataMax + 512 };

enum { kVarint = 0, kBytes = 2, kFixed64 = 1, kFixed32 = 5 };

// --- writing

struct message {
  uint8_t bytes[kMessageMax];
  size_t size;
  bool too_long;
};

static void put(struct message *message, const void *bytes, size_t size) {
  if (size > kMessageMax - message->size) {
    message->too_long = true;
    return;
  }
  memcpy(message->bytes + message->size, bytes, size);
  message->size += size;
}

static void put_varint(struct message *message, uint64_t value) {
  do {
    uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    put(message, &byte, 1);
    value >>= 7;
  } while (value != 0);
}

static void put_number(struct message *message, unsigned field, uint64_t value) {
  if (value == 0) return;
  put_varint(message, field << 3 | kVarint);
  put_varint(message, value);
}

static void put_bytes(struct message *message, unsigned field, const void *bytes, size_t size) {
  if (size == 0) return;
  put_varint(message, field << 3 | kBytes);
  put_varint(message, size);
  put(message, bytes, size);
}

// --- reading

struct field {
  unsigned number;
  uint64_t value;
  // Of bytes, strings and messages; else null.
  const uint8_t *bytes;
  size_t size;
};

struct reader {
  const uint8_t *at;
  const uint8_t *end;
};

static bool take_varint(struct reader *reader, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
    uint8_t byte = *reader->at++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// The next field; false at the end, and where it is broken.
static bool take_field(struct reader *reader, struct field *field) {
  uint64_t key;
  if (reader->at == reader->end || !take_varint(reader, &key)) return false;
  *field = (struct field){.number = (unsigned)(key >> 3)};
  uint64_t size = 0;
  switch (key & 7) {
    case kVarint:
      return take_varint(reader, &field->value);
    case kBytes:
      if (!take_varint(reader, &size)) return false;
      break;
    case kFixed64:
      size = 8;
      break;
    case kFixed32:
      size = 4;
      break;
    default:
      return false;
  }
  if (size > (uint64_t)(reader->end - reader->at)) return false;
  field->bytes = reader->at;
  field->size = (size_t)size;
  reader->at += size;
  return true;
}

static bool copy_text(char *to, size_t room, const struct field *field) {
  if (field->bytes == NULL || field->size >= room) return false;
  memcpy(to, field->bytes, field->size);
  to[field->size] = '\0';
  return true;
}

// --- calls

// What the daemon said instead of an answer, as an errno.
static int errno_of(const struct rpc_answer *answer) {
  if (getenv("PASIDD_SHIM_DEBUG") != NULL) {
    fprintf(stderr, "vfio-shim: %s\n",
            answer->status < 0 ? strerror(answer->problem) : answer->message);
  }
  switch (answer->status) {
    case -1:
      return answer->problem;
    case 3:  // INVALID_ARGUMENT
      return EINVAL;
    case 5:  // NOT_FOUND
      return ENODEV;
    case 7:   // PERMISSION_DENIED
    case 16:  // UNAUTHENTICATED
      return EACCES;
    case 9:  // FAILED_PRECONDITION
      return EBUSY;
    case 8:   // RESOURCE_EXHAUSTED
    case 14:  // UNAVAILABLE
      return EAGAIN;
    default:
      return EIO;
  }
}

// Refusals that pass (a rate, a daemon that is starting) are waited for, for a second or so. 0, or
// an errno.
static int call(const char *socket, const char *method, const char *token,
                const struct message *message, struct rpc_answer *answer) {
  if (message->too_long) return EINVAL;
  for (long wait_ms = 8;; wait_ms *= 2) {
    rpc_call(socket, method, token, message->bytes, message->size, answer);
    bool passes = answer->status == 8 || answer->status == 14;
    if (answer->status == 0) return 0;
    if (!passes || wait_ms > 512) return errno_of(answer);
    struct timespec pause = {.tv_nsec = wait_ms * 1000000};
    nanosleep(&pause, NULL);
  }
}

static void put_devices(struct message *message, const char *devices) {
  for (const char *at = devices; *at != '\0';) {
    size_t size = strcspn(at, ",");
    char name[128];
    bool has_prefix = strncmp(at, "devices/", 8) == 0;
    int written =
        snprintf(name, sizeof name, "%s%.*s", has_prefix ? "" : "devices/", (int)size, at);
    if (size > 0) put_bytes(message, 2, name, strnlen(name, (size_t)written));
    at += size + (at[size] == ',');
  }
}

int container_open(const char *socket, const char *devices, struct container *container) {
  struct message message = {0};
  put_devices(&message, devices);
  struct rpc_answer answer;
  int problem = call(socket, SERVICE "OpenContainer", NULL, &message, &answer);
  if (problem != 0) return problem;
  bool named = false;
  bool has_token = false;
  struct reader reader = {answer.bytes, answer.bytes + answer.size};
  for (struct field field; take_field(&reader, &field);) {
    if (field.number == 2) has_token = copy_text(container->token, sizeof container->token, &field);
    if (field.number != 1 || field.bytes == NULL) continue;
    struct reader session = {field.bytes, field.bytes + field.size};
    for (struct field inner; take_field(&session, &inner);) {
      if (inner.number != 1) continue;
      named = copy_text(container->session, sizeof container->session, &inner);
    }
  }
  return named && has_token ? 0 : EIO;
}

// What the structure at `argument` says it has, as far as it can be read. Its fixed part is read
// before anything is known of argsz, as a kernel did.
static size_t read_structure(uint32_t request, const void *argument, uint8_t *data) {
  uint32_t argsz = 0;
  size_t size = request == kGetInfo || request == kPasidRequest ? 16 : 8;
  if (memory_read(&argsz, argument, sizeof argsz) == sizeof argsz && argsz > size) size = argsz;
  return memory_read(data, argument, size < kDataMax ? size : kDataMax);
}

int container_ioctl(const char *socket, const struct container *container, uint32_t request,
                    void *argument) {
  struct message message = {0};
  put_bytes(&message, 1, container->session, strlen(container->session));
  put_number(&message, 2, request);
  if (request == kCheckExtension || request == kSetIommu) {
    put_number(&message, 3, (uint64_t)(uintptr_t)argument);
  } else if (request != kGetApiVersion) {
    uint8_t data[kDataMax];
    size_t size = read_structure(request, argument, data);
    put_bytes(&message, 4, data, size);
  }
  struct rpc_answer answer;
  int problem = call(socket, SERVICE "Ioctl", container->token, &message, &answer);
  if (problem != 0) return -problem;
  int result = 0;
  int error = 0;
  struct reader reader = {answer.bytes, answer.bytes + answer.size};
  struct field written = {0};
  for (struct field field; take_field(&reader, &field);) {
    if (field.number == 1) result = (int)(int64_t)field.value;
    if (field.number == 2) error = (int)field.value;
    if (field.number == 3 && field.bytes != NULL) written = field;
  }
  if (result < 0) return error > 0 ? -error : -EIO;
  if (memory_write(argument, written.bytes, written.size) != written.size) return -EFAULT;
  return result;
}

void container_close(const char *socket, const struct container *container) {
  struct message message = {0};
  put_bytes(&message, 1, container->session, strlen(container->session));
  struct rpc_answer answer;
  call(socket, SERVICE "CloseContainer", container->token, &message, &answer);
}

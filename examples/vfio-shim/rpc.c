// HTTP/2 is libnghttp2's; what is gRPC of it is five bytes before a message and a status behind it.
// The connection is kept between calls: who calls is what the kernel says of who made it.
#define _GNU_SOURCE
#include "rpc.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "real.h"

enum { kPrefix = 5, kTimeoutMs = 30000, kNoStatus = -1 };

// The one connection, and the one call on it.
static struct {
  int fd;
  // Of the socket: a program that closes all descriptors closes this one, too.
  dev_t device;
  ino_t inode;
  nghttp2_session *session;
  int32_t stream;
  bool done;
  const uint8_t *request;
  size_t size;
  size_t sent;
  uint8_t prefix[kPrefix];
  struct rpc_answer *answer;
  // What came of the response: the prefix first.
  size_t received;
  bool too_long;
} connection = {.fd = -1};

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// --- what nghttp2 asks and tells

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *data) {
  (void)session, (void)stream, (void)source, (void)data;
  size_t given = 0;
  while (given < room && connection.sent < kPrefix) {
    to[given++] = connection.prefix[connection.sent++];
  }
  size_t from = connection.sent - kPrefix;
  if (connection.sent >= kPrefix && from < connection.size) {
    size_t part = connection.size - from;
    if (part > room - given) part = room - given;
    memcpy(to + given, connection.request + from, part);
    connection.sent += part;
    given += part;
  }
  if (connection.sent == kPrefix + connection.size) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)given;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t size, void *data) {
  (void)session, (void)flags, (void)data;
  if (stream != connection.stream || connection.answer == NULL) return 0;
  for (size_t i = 0; i < size; i++, connection.received++) {
    if (connection.received < kPrefix) continue;
    if (connection.answer->size == kRpcBytesMax) {
      connection.too_long = true;
      continue;
    }
    connection.answer->bytes[connection.answer->size++] = bytes[i];
  }
  return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t size, uint8_t flags,
                     void *data) {
  (void)session, (void)name_size, (void)flags, (void)data;
  if (frame->hd.stream_id != connection.stream || connection.answer == NULL) return 0;
  if (strcmp((const char *)name, "grpc-status") == 0) {
    connection.answer->status = atoi((const char *)value);
  } else if (strcmp((const char *)name, "grpc-message") == 0) {
    size_t most = sizeof connection.answer->message - 1;
    if (size > most) size = most;
    memcpy(connection.answer->message, value, size);
    connection.answer->message[size] = '\0';
  }
  return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *data) {
  (void)session, (void)error, (void)data;
  if (stream == connection.stream) connection.done = true;
  return 0;
}

// --- the connection

// Whether the number still is the socket that was made here.
static bool is_ours(void) {
  struct stat file;
  return connection.fd >= 0 && fstat(connection.fd, &file) == 0 &&
         file.st_dev == connection.device && file.st_ino == connection.inode;
}

static void disconnect(void) {
  if (connection.session != NULL) nghttp2_session_del(connection.session);
  connection.session = NULL;
  if (is_ours()) real_close(connection.fd);
  connection.fd = -1;
}

void rpc_forget(void) { disconnect(); }

static int start_session(void) {
  nghttp2_session_callbacks *callbacks;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) return ENOMEM;
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  int made = nghttp2_session_client_new(&connection.session, callbacks, NULL);
  nghttp2_session_callbacks_del(callbacks);
  if (made != 0) return ENOMEM;
  return nghttp2_submit_settings(connection.session, NGHTTP2_FLAG_NONE, NULL, 0) == 0 ? 0 : ENOMEM;
}

// 0, or an errno.
static int connect_to(const char *socket_path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(socket_path) >= sizeof address.sun_path) return ENAMETOOLONG;
  strcpy(address.sun_path, socket_path);
  connection.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection.fd < 0) return errno;
  struct stat file;
  int problem = fstat(connection.fd, &file) == 0 ? 0 : errno;
  connection.device = file.st_dev;
  connection.inode = file.st_ino;
  if (problem == 0 && connect(connection.fd, (struct sockaddr *)&address, sizeof address) != 0) {
    problem = errno;
  }
  if (problem == 0) problem = start_session();
  if (problem != 0) disconnect();
  return problem;
}

static bool send_all(void) {
  for (;;) {
    const uint8_t *bytes;
    ssize_t size = nghttp2_session_mem_send(connection.session, &bytes);
    if (size <= 0) return size == 0;
    while (size > 0) {
      ssize_t sent = send(connection.fd, bytes, (size_t)size, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return false;
      bytes += sent;
      size -= sent;
    }
  }
}

// Takes what is there: 1, nothing now: 0, the connection is of no use any more: -1.
static int receive(int flags) {
  uint8_t bytes[16384];
  ssize_t size = recv(connection.fd, bytes, sizeof bytes, flags);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (size <= 0) return -1;
  return nghttp2_session_mem_recv(connection.session, bytes, (size_t)size) == size ? 1 : -1;
}

// Answers what the daemon asked since the last call; whether another can be made.
static bool is_usable(void) {
  if (!is_ours()) return false;
  int state;
  while ((state = receive(MSG_DONTWAIT)) == 1) continue;
  return state == 0 && send_all() && nghttp2_session_check_request_allowed(connection.session);
}

// 0, or an errno.
static int submit(const char *path, const char *token) {
#define HEADER(key, text, length) \
  {(uint8_t *)(key), (uint8_t *)(text), sizeof(key) - 1, length, NGHTTP2_NV_FLAG_NONE}
  nghttp2_nv headers[] = {
      HEADER(":method", "POST", 4),
      HEADER(":scheme", "http", 4),
      HEADER(":path", path, strlen(path)),
      HEADER(":authority", "localhost", 9),
      HEADER("te", "trailers", 8),
      HEADER("content-type", "application/grpc", 16),
      HEADER("pasid-session-token", token == NULL ? "" : token, token == NULL ? 0 : strlen(token)),
  };
#undef HEADER
  size_t count = sizeof headers / sizeof *headers - (token == NULL ? 1 : 0);
  nghttp2_data_provider provider = {.read_callback = read_request};
  connection.stream =
      nghttp2_submit_request(connection.session, NULL, headers, count, &provider, NULL);
  return connection.stream < 0 ? EIO : 0;
}

// Until the stream has closed: 0, or an errno.
static int finish(void) {
  long until = now_ms() + kTimeoutMs;
  while (!connection.done) {
    if (!send_all()) return EIO;
    long left = until - now_ms();
    if (left <= 0) return ETIMEDOUT;
    struct pollfd waiting = {.fd = connection.fd, .events = POLLIN};
    if (poll(&waiting, 1, (int)left) < 0 && errno != EINTR) return EIO;
    if (receive(MSG_DONTWAIT) < 0 && !connection.done) return EIO;
  }
  return connection.too_long ? EIO : 0;
}

void rpc_call(const char *socket, const char *path, const char *token, const uint8_t *request,
              size_t size, struct rpc_answer *answer) {
  memset(answer, 0, sizeof *answer);
  answer->status = kNoStatus;
  connection.answer = NULL;
  if (!is_usable()) {
    disconnect();
    answer->problem = connect_to(socket);
    if (answer->problem != 0) return;
  }
  connection.answer = answer;
  connection.request = request;
  connection.size = size;
  connection.sent = connection.received = 0;
  connection.done = connection.too_long = false;
  // Not compressed; then the length, most significant byte first.
  connection.prefix[0] = 0;
  for (int i = 0; i < 4; i++) connection.prefix[1 + i] = (uint8_t)(size >> (24 - 8 * i));
  answer->problem = submit(path, token);
  if (answer->problem == 0) answer->problem = finish();
  if (answer->problem == 0 && answer->status == kNoStatus) answer->problem = EIO;
  connection.answer = NULL;
  // A broken call leaves nothing to go on with.
  if (answer->problem != 0) {
    answer->status = kNoStatus;
    disconnect();
  }
}

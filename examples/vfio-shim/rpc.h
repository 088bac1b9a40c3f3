// One unary gRPC call at a time over a Unix socket.
#pragma once

#include <stddef.h>
#include <stdint.h>

// A response may carry a page and its frame.
enum { kRpcBytesMax = 8192 };

struct rpc_answer {
  // Status of gRPC: 0 is OK. -1: there was no answer, and whether the call was carried out is not
  // known; `problem` is then an errno.
  int status;
  int problem;
  char message[256];
  uint8_t bytes[kRpcBytesMax];
  size_t size;
};

// Calls `path` (`/package.Service/Method`) with `request`; `token` may be null. Connects when there
// is no connection of this process, or it has ended. Not to be called by two threads at once.
void rpc_call(const char *socket, const char *path, const char *token, const uint8_t *request,
              size_t size, struct rpc_answer *answer);

// In a forked child: the connection is its parent's, and says so to the daemon.
void rpc_forget(void);

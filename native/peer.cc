// Who is at the other end of a connected Unix socket. The kernel took all of it at connect() (for
// the side that connects) or listen() (for the side that accepts): unix(7).
#include "addon.h"

#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

// Linux 6.5, include/uapi/asm-generic/socket.h; C libraries learn of it later.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

namespace pasidd {
namespace {

// An option whose length only the kernel knows: ERANGE comes with the length it takes.
template <typename Element>
int Option(int fd, int name, std::vector<Element>* value) {
  for (;;) {
    socklen_t size = static_cast<socklen_t>(value->size() * sizeof(Element));
    // SAFETY: the buffer has `size` bytes, the kernel writes at most that, and sets `size`.
    if (getsockopt(fd, SOL_SOCKET, name, value->data(), &size) == 0) {
      value->resize(size / sizeof(Element));
      return 0;
    }
    if (errno != ERANGE || size <= value->size() * sizeof(Element)) return errno;
    value->resize(size / sizeof(Element));
  }
}

}  // namespace

// peerCredentials(fd) -> { pid, uid, gid } or -errno
Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  struct ucred peer{};
  socklen_t size = sizeof peer;
  // SAFETY: the kernel writes at most `size` bytes, which is the struct.
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == -1) return Failure(info.Env());
  Napi::Object credentials = Napi::Object::New(info.Env());
  credentials.Set("pid", Napi::Number::New(info.Env(), peer.pid));
  credentials.Set("uid", Napi::Number::New(info.Env(), peer.uid));
  credentials.Set("gid", Napi::Number::New(info.Env(), peer.gid));
  return credentials;
}

// peerGroups(fd) -> the supplementary group ids, or -errno
Napi::Value PeerGroups(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  std::vector<gid_t> groups(32);
  const int error = Option(fd, SO_PEERGROUPS, &groups);
  if (error != 0) return Failure(info.Env(), error);
  Napi::Array answer = Napi::Array::New(info.Env(), groups.size());
  for (uint32_t i = 0; i < groups.size(); i++) {
    answer.Set(i, Napi::Number::New(info.Env(), groups[i]));
  }
  return answer;
}

// peerLabel(fd) -> the security label, or -errno (ENOPROTOOPT: no security module gives one)
Napi::Value PeerLabel(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  std::vector<char> label(256);
  const int error = Option(fd, SO_PEERSEC, &label);
  if (error != 0) return Failure(info.Env(), error);
  // Some modules count the final NUL, others do not.
  while (!label.empty() && label.back() == '\0') label.pop_back();
  return Napi::String::New(info.Env(), label.data(), label.size());
}

// peerPidfd(fd) -> a new descriptor, or -errno (ENOPROTOOPT before Linux 6.5)
Napi::Value PeerPidfd(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  // SAFETY: the kernel writes one int. The descriptor in it is new, ours, and CLOEXEC (the kernel
  // makes every pidfd so); the caller closes it.
  if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == -1) return Failure(info.Env());
  return Napi::Number::New(info.Env(), pidfd);
}

}  // namespace pasidd

// Unix sockets that Node does not have: SEQPACKET (messages, and descriptors with them), and the
// datagram of sd_notify(3).
#include "addon.h"
#include "rights.h"

#include <cstddef>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace pasidd {
namespace {

constexpr int kSeqpacket = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;

struct Address {
  sockaddr_un value{};
  socklen_t size = 0;
};

// A path, or an abstract name when it begins with NUL. Never cut off, as Node 20 does.
int AddressOf(const std::string& name, Address* address) {
  const bool abstract = !name.empty() && name[0] == '\0';
  // A path takes a final NUL; an abstract name is exactly as long as it is.
  if (name.empty() || name.size() + (abstract ? 0 : 1) > sizeof address->value.sun_path) {
    return ENAMETOOLONG;
  }
  if (!abstract && name.find('\0') != std::string::npos) return EINVAL;
  address->value.sun_family = AF_UNIX;
  std::memcpy(address->value.sun_path, name.data(), name.size());
  const size_t size = offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1);
  address->size = static_cast<socklen_t>(size);
  return 0;
}

const sockaddr* Generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address.value);
}

// Minus errno, after giving up a descriptor that nobody has seen yet.
Napi::Value FailureOf(Napi::Env env, int fd) {
  const int error = errno;
  // SAFETY: made by our caller a moment ago, and known to nobody else.
  close(fd);
  return Failure(env, error);
}

}  // namespace

// seqpacketListen(path, backlog) -> a new descriptor, or -errno. The umask decides on the mode.
Napi::Value SeqpacketListen(const Napi::CallbackInfo& info) {
  std::string path;
  int backlog;
  if (!Text(info, 0, &path) || !Int(info, 1, &backlog)) return info.Env().Undefined();
  Address address;
  const int error = AddressOf(path, &address);
  if (error != 0) return Failure(info.Env(), error);
  // SAFETY: no pointers; CLOEXEC from the first moment.
  const int fd = socket(AF_UNIX, kSeqpacket, 0);
  if (fd == -1) return Failure(info.Env());
  // SAFETY: the address has `size` bytes, set by AddressOf.
  if (bind(fd, Generic(address), address.size) == -1) return FailureOf(info.Env(), fd);
  // SAFETY: no pointers. A socket file that nobody listens on is left to the caller, by its name.
  if (listen(fd, backlog) == -1) return FailureOf(info.Env(), fd);
  return Napi::Number::New(info.Env(), fd);
}

// seqpacketConnect(path) -> a new descriptor, or -errno (EAGAIN: the listener's queue is full)
Napi::Value SeqpacketConnect(const Napi::CallbackInfo& info) {
  std::string path;
  if (!Text(info, 0, &path)) return info.Env().Undefined();
  Address address;
  const int error = AddressOf(path, &address);
  if (error != 0) return Failure(info.Env(), error);
  // SAFETY: no pointers; CLOEXEC from the first moment.
  const int fd = socket(AF_UNIX, kSeqpacket, 0);
  if (fd == -1) return Failure(info.Env());
  // SAFETY: the address has `size` bytes. Unix sockets connect at once or not at all.
  if (connect(fd, Generic(address), address.size) == -1) return FailureOf(info.Env(), fd);
  return Napi::Number::New(info.Env(), fd);
}

// seqpacketPair() -> two new descriptors, connected to each other, or -errno
Napi::Value SeqpacketPair(const Napi::CallbackInfo& info) {
  int fds[2];
  // SAFETY: room for two, CLOEXEC from the first moment; the caller closes both.
  if (socketpair(AF_UNIX, kSeqpacket, 0, fds) == -1) return Failure(info.Env());
  Napi::Array pair = Napi::Array::New(info.Env(), 2);
  for (uint32_t i = 0; i < 2; i++) pair.Set(i, Napi::Number::New(info.Env(), fds[i]));
  return pair;
}

// accept(fd) -> a new descriptor, or -errno (EAGAIN: nobody waits)
Napi::Value Accept(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  int accepted;
  do {
    // SAFETY: no address asked for. The descriptor is CLOEXEC; the caller closes it.
    accepted = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  } while (accepted == -1 && (errno == EINTR || errno == ECONNABORTED));
  return Result(info.Env(), accepted);
}

// sendDatagram(name, text, fds) -> bytes sent, or -errno. Never waits: a full queue is EAGAIN. The
// descriptors stay the caller's.
Napi::Value SendDatagram(const Napi::CallbackInfo& info) {
  std::string name;
  std::string text;
  std::vector<int> fds;
  if (!Text(info, 0, &name) || !Text(info, 1, &text)) return info.Env().Undefined();
  if (!Fds(info[2], &fds)) return Failure(info.Env(), EINVAL);
  Address address;
  const int error = AddressOf(name, &address);
  if (error != 0) return Failure(info.Env(), error);
  // SAFETY: no pointers; the descriptor lives until the close below and is known to nobody else.
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd == -1) return Failure(info.Env());
  Control control{};
  iovec data = {text.data(), text.size()};
  msghdr header{};
  header.msg_name = &address.value;
  header.msg_namelen = address.size;
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  Attach(fds, &control, &header);
  // SAFETY: text, address and control have the lengths given, and the kernel copies all.
  const ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == -1) return FailureOf(info.Env(), fd);
  // SAFETY: ours alone, see above.
  close(fd);
  return Napi::Number::New(info.Env(), static_cast<double>(sent));
}

}  // namespace pasidd

// Messages with descriptors on a SEQPACKET socket: recvmsg(2), sendmsg(2), SCM_RIGHTS of unix(7).
#include "addon.h"
#include "rights.h"

#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

namespace pasidd {
namespace {

constexpr int kTextBytesMax = 1 << 20;

void AppendFds(const cmsghdr* part, std::vector<int>* fds) {
  if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) return;
  const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  const size_t before = fds->size();
  fds->resize(before + count);
  std::memcpy(fds->data() + before, CMSG_DATA(part), count * sizeof(int));
}

Napi::Value MessageOf(Napi::Env env, const std::vector<char>& text, size_t size,
                      const std::vector<int>& fds, int flags) {
  Napi::Object message = Napi::Object::New(env);
  Napi::Array numbers = Napi::Array::New(env, fds.size());
  for (uint32_t i = 0; i < fds.size(); i++) numbers.Set(i, Napi::Number::New(env, fds[i]));
  message.Set("bytes", Napi::Buffer<char>::Copy(env, text.data(), size));
  message.Set("fds", numbers);
  message.Set("textCut", Napi::Boolean::New(env, (flags & MSG_TRUNC) != 0));
  message.Set("fdsCut", Napi::Boolean::New(env, (flags & MSG_CTRUNC) != 0));
  return message;
}

}  // namespace

// receiveMessage(fd, textBytesMax, fdsMax, stays) -> { bytes, fds, textCut, fdsCut } or -errno. No
// bytes: the other side has closed (or sent an empty message, which looks the same). Every
// descriptor that arrived is in `fds`, also when something was cut; those beyond fdsMax the kernel
// never installed. `stays`: the message is looked at, and is there again for the next who asks; the
// descriptors are duplicates then.
Napi::Value ReceiveMessage(const Napi::CallbackInfo& info) {
  const int stays = info[3].IsBoolean() && info[3].As<Napi::Boolean>().Value() ? MSG_PEEK : 0;
  int fd;
  int textBytesMax;
  int fdsMax;
  if (!Int(info, 0, &fd) || !Int(info, 1, &textBytesMax) || !Int(info, 2, &fdsMax)) {
    return info.Env().Undefined();
  }
  if (textBytesMax < 1 || textBytesMax > kTextBytesMax || fdsMax < 0 || fdsMax > kFdsMax) {
    return Failure(info.Env(), EINVAL);
  }
  std::vector<char> text(static_cast<size_t>(textBytesMax));
  Control control{};
  iovec data = {text.data(), text.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.space;
  // CMSG_LEN, not CMSG_SPACE: its padding would be room for one more.
  header.msg_controllen = CMSG_LEN(static_cast<size_t>(fdsMax) * sizeof(int));
  ssize_t size;
  do {
    // SAFETY: one buffer of the length given, and control room of at least msg_controllen. Every
    // descriptor that it installs is CLOEXEC (MSG_CMSG_CLOEXEC) and is collected below.
    size = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | stays);
  } while (size == -1 && errno == EINTR);
  if (size == -1) return Failure(info.Env());
  std::vector<int> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    AppendFds(part, &fds);
  }
  Napi::Value message =
      MessageOf(info.Env(), text, static_cast<size_t>(size), fds, header.msg_flags);
  if (info.Env().IsExceptionPending()) {
    // SAFETY: JavaScript is being torn down and never saw these; nobody else has them.
    for (const int received : fds) close(received);
  }
  return message;
}

// sendMessage(fd, bytes, fds) -> bytes sent, or -errno (EAGAIN: the other side's queue is full)
Napi::Value SendMessage(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  std::vector<int> fds;
  if (!info[1].IsBuffer() || !Fds(info[2], &fds)) return Failure(info.Env(), EINVAL);
  auto bytes = info[1].As<Napi::Buffer<char>>();
  Control control{};
  iovec data = {bytes.Data(), bytes.Length()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  Attach(fds, &control, &header);
  ssize_t size;
  do {
    // SAFETY: buffer and control have the lengths given.
    size = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (size == -1 && errno == EINTR);
  return Result(info.Env(), size);
}

}  // namespace pasidd

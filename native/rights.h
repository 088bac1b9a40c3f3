// Descriptors in a message: the control part of sendmsg(2) and recvmsg(2), SCM_RIGHTS of unix(7).
#pragma once

#include <cstring>
#include <napi.h>
#include <sys/socket.h>
#include <vector>

namespace pasidd {

// SCM_MAX_FD, include/net/scm.h: the kernel takes no more in one message.
constexpr int kFdsMax = 253;

// Room for control messages, aligned as the macros need it.
struct Control {
  alignas(cmsghdr) unsigned char space[CMSG_SPACE(kFdsMax * sizeof(int))];
};

// The numbers in an array; false when it is none of descriptors, or of too many.
inline bool Fds(const Napi::Value& value, std::vector<int>* fds) {
  if (!value.IsArray()) return false;
  const auto numbers = value.As<Napi::Array>();
  if (numbers.Length() > static_cast<uint32_t>(kFdsMax)) return false;
  for (uint32_t i = 0; i < numbers.Length(); i++) {
    const Napi::Value number = numbers.Get(i);
    if (!number.IsNumber()) return false;
    fds->push_back(number.As<Napi::Number>().Int32Value());
  }
  return true;
}

// Makes the message carry them, at most kFdsMax. `control` is its own until it is sent; the
// descriptors stay the caller's: the kernel sends duplicates.
inline void Attach(const std::vector<int>& fds, Control* control, msghdr* header) {
  if (fds.empty()) return;
  header->msg_control = control->space;
  header->msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  cmsghdr* part = CMSG_FIRSTHDR(header);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(part), fds.data(), fds.size() * sizeof(int));
}

}  // namespace pasidd

// Processes by descriptor: pidfd_open(2), PIDFD_GET_INFO, and whether the process has ended.
#include "addon.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace pasidd {
namespace {

// struct pidfd_info as of PIDFD_INFO_SIZE_VER0, include/uapi/linux/pidfd.h of Linux 6.13: its size
// is part of the request's number, and a newer kernel takes the older size.
struct ProcessInfo {
  uint64_t mask;
  uint64_t cgroupid;
  uint32_t pid;
  uint32_t tgid;
  uint32_t ppid;
  uint32_t ids[8];
  int32_t exit_code;  // spare before Linux 6.15
};
static_assert(sizeof(ProcessInfo) == 64);
constexpr unsigned long kGetInfo = _IOWR(0xFF, 11, ProcessInfo);
constexpr uint64_t kInfoPid = 1;
constexpr uint64_t kInfoExit = 8;

}  // namespace

// pidfdOpen(pid) -> a new descriptor, or -errno (ESRCH: no such process; EINVAL: a thread's id)
Napi::Value PidfdOpen(const Napi::CallbackInfo& info) {
  int pid;
  if (!Int(info, 0, &pid)) return info.Env().Undefined();
  // SAFETY: no pointers. The descriptor is CLOEXEC by the call's definition; the caller closes it.
  return Result(info.Env(), syscall(SYS_pidfd_open, pid, 0));
}

// pidfdEnded(fd) -> 1 when every thread of the process has ended (a zombie has), 0, or -errno
Napi::Value PidfdEnded(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  struct pollfd entry = {fd, POLLIN, 0};
  int count;
  do {
    // SAFETY: one entry on our stack; a timeout of 0 never waits.
    count = poll(&entry, 1, 0);
  } while (count == -1 && errno == EINTR);
  if (count == -1) return Failure(info.Env());
  if ((entry.revents & POLLNVAL) != 0) return Failure(info.Env(), EBADF);
  return Napi::Number::New(info.Env(), count);
}

// pidfdInfo(fd) -> { pid, exitStatus }, each undefined where the kernel does not tell, or -errno.
// ENOTTY before Linux 6.13; ESRCH for a reaped process before 6.15.
Napi::Value PidfdInfo(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  ProcessInfo process{};
  process.mask = kInfoPid | kInfoExit;
  // SAFETY: the request's number carries the struct's size; the kernel copies no more than that.
  if (ioctl(fd, kGetInfo, &process) == -1) return Failure(info.Env());
  Napi::Object answer = Napi::Object::New(info.Env());
  if ((process.mask & kInfoPid) != 0) {
    answer.Set("pid", Napi::Number::New(info.Env(), process.pid));
  }
  if ((process.mask & kInfoExit) != 0) {
    answer.Set("exitStatus", Napi::Number::New(info.Env(), process.exit_code));
  }
  return answer;
}

}  // namespace pasidd

// Any descriptor: close it, say what file is behind it, and keep it from other programs. And one of
// memory.
#include "addon.h"

#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace pasidd {
namespace {

// MFD_NOEXEC_SEAL, include/uapi/linux/memfd.h of Linux >= 6.3: it is never to be executed.
constexpr unsigned int kNoExecSeal = 0x8;

}  // namespace

// close(fd) -> 0 or -errno
Napi::Value Close(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  // SAFETY: the caller owns fd and gives it up. Never repeated on EINTR: Linux has released the
  // number by then, and another thread may have it.
  return Result(info.Env(), close(fd));
}

// fileFacts(fd) -> { inode, mode, filesystem } or -errno
Napi::Value FileFacts(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  struct stat file{};
  struct statfs filesystem{};
  // SAFETY: both fill a struct of their own type on our stack, and keep no pointer.
  if (fstat(fd, &file) == -1 || fstatfs(fd, &filesystem) == -1) return Failure(info.Env());
  Napi::Object facts = Napi::Object::New(info.Env());
  facts.Set("inode", Napi::BigInt::New(info.Env(), static_cast<uint64_t>(file.st_ino)));
  facts.Set("mode", Napi::Number::New(info.Env(), file.st_mode));
  facts.Set("filesystem", Napi::Number::New(info.Env(), static_cast<uint32_t>(filesystem.f_type)));
  return facts;
}

// deviceFacts(fd) -> { mode, flags, major, minor }, or -errno. Waits for nobody: of a file on FUSE
// only what is known already is answered.
Napi::Value DeviceFacts(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  // SAFETY: takes no pointer.
  const int flags = fcntl(fd, F_GETFL);
  if (flags == -1) return Failure(info.Env());
  struct statx file{};
  // SAFETY: fills a struct of its own type on our stack. AT_STATX_DONT_SYNC: no server is asked.
  if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &file) == -1) {
    return Failure(info.Env());
  }
  Napi::Object facts = Napi::Object::New(info.Env());
  facts.Set("mode", Napi::Number::New(info.Env(), file.stx_mode));
  facts.Set("flags", Napi::Number::New(info.Env(), flags));
  facts.Set("major", Napi::Number::New(info.Env(), file.stx_rdev_major));
  facts.Set("minor", Napi::Number::New(info.Env(), file.stx_rdev_minor));
  return facts;
}

// closeOnExec(fd) -> 0, or -errno (EBADF: there is no such descriptor)
Napi::Value CloseOnExec(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  // SAFETY: takes no pointer.
  return Result(info.Env(), fcntl(fd, F_SETFD, FD_CLOEXEC));
}

// memfdCreate(name) -> a new descriptor, or -errno
Napi::Value MemfdCreate(const Napi::CallbackInfo& info) {
  std::string name;
  if (!Text(info, 0, &name)) return info.Env().Undefined();
  // SAFETY: the name ends with NUL; CLOEXEC from the first moment, the caller closes it. Without
  // the seal newer kernels complain or refuse (vm.memfd_noexec); older ones do not know it.
  int fd = memfd_create(name.c_str(), MFD_CLOEXEC | kNoExecSeal);
  if (fd == -1 && errno == EINVAL) fd = memfd_create(name.c_str(), MFD_CLOEXEC);
  return Result(info.Env(), fd);
}

}  // namespace pasidd

// Any descriptor: close it, and say what file is behind it.
#include "addon.h"

#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace pasidd {

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

}  // namespace pasidd

// File handles on pidfs (Linux >= 6.14): a process found again by its inode, held by nobody.
// Through libc's wrappers, so that a test can take this proof away with a preloaded library.
#include "addon.h"

#include <cstring>
#include <fcntl.h>

namespace pasidd {
namespace {

// A struct file_handle with room for the largest handle there is.
struct Handle {
  alignas(file_handle) unsigned char space[sizeof(file_handle) + MAX_HANDLE_SZ];
  file_handle* get() { return reinterpret_cast<file_handle*>(space); }
};

}  // namespace

// nameToHandle(fd) -> { type, bytes } or -errno (EOPNOTSUPP before Linux 6.14)
Napi::Value NameToHandle(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  Handle handle{};
  handle.get()->handle_bytes = MAX_HANDLE_SZ;
  int mount;
  // SAFETY: handle_bytes says how much room follows the header; the kernel sets what it used.
  if (name_to_handle_at(fd, "", handle.get(), &mount, AT_EMPTY_PATH) == -1) {
    return Failure(info.Env());
  }
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("type", Napi::Number::New(info.Env(), handle.get()->handle_type));
  answer.Set("bytes", Napi::Buffer<unsigned char>::Copy(info.Env(), handle.get()->f_handle,
                                                        handle.get()->handle_bytes));
  return answer;
}

// openByHandle(mountFd, type, bytes) -> a new descriptor, or -errno (ESTALE: there is none such)
Napi::Value OpenByHandle(const Napi::CallbackInfo& info) {
  int mount;
  int type;
  if (!Int(info, 0, &mount) || !Int(info, 1, &type)) return info.Env().Undefined();
  if (!info[2].IsBuffer()) return Failure(info.Env(), EINVAL);
  const auto bytes = info[2].As<Napi::Buffer<unsigned char>>();
  if (bytes.Length() > MAX_HANDLE_SZ) return Failure(info.Env(), EINVAL);
  Handle handle{};
  handle.get()->handle_bytes = static_cast<unsigned int>(bytes.Length());
  handle.get()->handle_type = type;
  std::memcpy(handle.get()->f_handle, bytes.Data(), bytes.Length());
  // SAFETY: the kernel reads handle_bytes bytes after the header, all within `handle`. The
  // descriptor is new and CLOEXEC; the caller closes it.
  return Result(info.Env(), open_by_handle_at(mount, handle.get(), O_CLOEXEC));
}

}  // namespace pasidd

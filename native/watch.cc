// Descriptors watched in the event loop: a function is called while one is readable (uv_poll_t,
// level-triggered). For a pidfd, readable means that the process has ended.
// Holds: a watch is closed exactly once, by unwatch() or at the end of the environment; its memory
// goes in uv_close's callback, never earlier; after unwatch() its function is not called again.
#include "addon.h"

#include <memory>
#include <unordered_map>
#include <uv.h>

namespace pasidd {
namespace {
struct Entry;
}

// All watches of one environment (a worker thread has its own).
class Watches {
 public:
  explicit Watches(Napi::Env env) : env_(env), context_(env, "pasidd:watch") {
    // Before the environment's loop is closed, every handle on it must be.
    napi_add_async_cleanup_hook(env, &Watches::OnTeardown, this, &teardown_);
  }

  Napi::Value Start(int fd, Napi::Function callback, bool holdsLoop);
  bool Stop(uint32_t id);

 private:
  void Call(Entry* entry, int status);
  void Closed(Entry* entry);
  static void OnReadable(uv_poll_t* handle, int status, int events);
  static void OnTeardown(napi_async_cleanup_hook_handle handle, void* self);
  void CloseHandle(std::unique_ptr<Entry> entry);
  void FinishTeardown();

  Napi::Env env_;
  Napi::AsyncContext context_;
  napi_async_cleanup_hook_handle teardown_ = nullptr;
  bool ending_ = false;
  uint32_t last_ = 0;
  size_t closing_ = 0;
  std::unordered_map<uint32_t, std::unique_ptr<Entry>> open_;
};

namespace {

struct Entry {
  uv_poll_t handle{};
  uint32_t id = 0;
  Watches* watches = nullptr;
  Napi::FunctionReference callback;
};

Entry* EntryOf(void* handle) {
  return static_cast<Entry*>(static_cast<uv_handle_t*>(handle)->data);
}

}  // namespace

Napi::Value Watches::Start(int fd, Napi::Function callback, bool holdsLoop) {
  uv_loop_t* loop = nullptr;
  if (ending_ || napi_get_uv_event_loop(env_, &loop) != napi_ok) return Failure(env_, ECANCELED);
  auto entry = std::make_unique<Entry>();
  // SAFETY: fd stays open while it is watched (the owner unwatches first), and is watched once:
  // libuv answers EEXIST otherwise. A handle whose init failed is not on the loop.
  const int made = uv_poll_init(loop, &entry->handle, fd);
  if (made != 0) return Napi::Number::New(env_, made);
  do last_++;
  while (last_ == 0 || last_ > INT32_MAX || open_.contains(last_));
  entry->id = last_;
  entry->watches = this;
  entry->handle.data = entry.get();
  const int started = uv_poll_start(&entry->handle, UV_READABLE, &Watches::OnReadable);
  if (started != 0) {
    CloseHandle(std::move(entry));
    return Napi::Number::New(env_, started);
  }
  if (!holdsLoop) uv_unref(reinterpret_cast<uv_handle_t*>(&entry->handle));
  entry->callback = Napi::Persistent(callback);
  const uint32_t id = entry->id;
  open_.emplace(id, std::move(entry));
  return Napi::Number::New(env_, id);
}

bool Watches::Stop(uint32_t id) {
  const auto found = open_.find(id);
  if (found == open_.end()) return false;
  std::unique_ptr<Entry> entry = std::move(found->second);
  open_.erase(found);
  CloseHandle(std::move(entry));
  return true;
}

void Watches::OnReadable(uv_poll_t* handle, int status, int) {
  Entry* entry = EntryOf(handle);
  // libuv stops on an error of the socket, although messages may still wait in it.
  if (status < 0) uv_poll_start(handle, UV_READABLE, &Watches::OnReadable);
  entry->watches->Call(entry, status);
}

void Watches::Call(Entry* entry, int status) {
  Napi::HandleScope scope(env_);
  // The function may unwatch itself: nothing of `entry` is touched after the call.
  CallBack(env_, context_, entry->callback.Value(), {Napi::Number::New(env_, status)});
}

void Watches::CloseHandle(std::unique_ptr<Entry> entry) {
  entry->callback.Reset();
  closing_++;
  // SAFETY: uv_close stops the poll now, so that fd may be closed at once, and calls back later;
  // the entry is libuv's until then.
  uv_close(reinterpret_cast<uv_handle_t*>(&entry.release()->handle), [](uv_handle_t* handle) {
    Entry* self = EntryOf(handle);
    self->watches->Closed(self);
  });
}

void Watches::Closed(Entry* entry) {
  delete entry;
  closing_--;
  FinishTeardown();
}

void Watches::OnTeardown(napi_async_cleanup_hook_handle, void* self) {
  auto* watches = static_cast<Watches*>(self);
  watches->ending_ = true;
  while (!watches->open_.empty()) watches->Stop(watches->open_.begin()->first);
  watches->FinishTeardown();
}

// The last step: removing the hook may end the environment, and this object with it.
void Watches::FinishTeardown() {
  if (ending_ && closing_ == 0 && teardown_ != nullptr) {
    napi_async_cleanup_hook_handle handle = teardown_;
    teardown_ = nullptr;
    napi_remove_async_cleanup_hook(handle);
  }
}

std::shared_ptr<Watches> MakeWatches(Napi::Env env) { return std::make_shared<Watches>(env); }

namespace {

Watches* WatchesOf(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<Instance>()->watches.get();
}

}  // namespace

// watch(fd, (status) => void, holdsLoop) -> an id, or -errno. The status is 0, or the poll's -errno.
Napi::Value Watch(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  if (!info[1].IsFunction()) return Failure(info.Env(), EINVAL);
  const bool holdsLoop = info[2].ToBoolean().Value();
  return WatchesOf(info)->Start(fd, info[1].As<Napi::Function>(), holdsLoop);
}

// unwatch(id) -> whether there was such a watch
Napi::Value Unwatch(const Napi::CallbackInfo& info) {
  int id;
  if (!Int(info, 0, &id)) return info.Env().Undefined();
  const bool stopped = WatchesOf(info)->Stop(static_cast<uint32_t>(id));
  return Napi::Boolean::New(info.Env(), stopped);
}

}  // namespace pasidd

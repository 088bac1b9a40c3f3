// The threads for calls of an environment, and their calls' way from JavaScript and back. What a
// thread is, is in call-thread.h.
// Holds: nobody waits for a thread; one whose call never comes back is left alone, also at the end
// of the environment (the library is never unloaded, see binding.gyp).
#include "addon.h"
#include "call-thread.h"

#include <cstring>
#include <unordered_map>

namespace pasidd {
namespace {

// A Uint8Array with a copy; null when the environment is ending and has no more arrays to give.
napi_value ArrayOf(Napi::Env env, const Bytes& bytes) {
  void* data = nullptr;
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  if (napi_create_arraybuffer(env, bytes.size(), &data, &buffer) != napi_ok) return nullptr;
  // SAFETY: the buffer has this size.
  if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  const napi_status made =
      napi_create_typedarray(env, napi_uint8_array, bytes.size(), buffer, 0, &array);
  return made == napi_ok ? array : nullptr;
}

bool CopyOf(const Napi::Value& value, size_t bytesMax, Bytes* bytes) {
  if (!value.IsTypedArray()) return false;
  const auto array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_uint8_array || array.ByteLength() > bytesMax) return false;
  const auto given = array.As<Napi::Uint8Array>();
  bytes->assign(given.Data(), given.Data() + given.ByteLength());
  return true;
}

}  // namespace

// All threads of one environment. The handle on its loop is there from the first thread on.
class Calls {
 public:
  explicit Calls(Napi::Env env) : env_(env), context_(env, "pasidd:call") {}

  Napi::Value Start(std::string name, Napi::Function callback);
  Napi::Value Queue(uint32_t thread, std::unique_ptr<Call> call);
  Napi::Value Abandon(uint32_t thread);
  bool End(uint32_t thread);

 private:
  struct Thread {
    std::shared_ptr<Inbox> inbox;
    Napi::FunctionReference callback;
    int64_t last = 0;
  };

  int Open();
  void Deliver(Done done);
  static void OnWake(uv_async_t* handle);
  static void OnTeardown(napi_async_cleanup_hook_handle handle, void* self);

  Napi::Env env_;
  Napi::AsyncContext context_;
  napi_async_cleanup_hook_handle teardown_ = nullptr;
  bool ending_ = false;
  uint32_t last_ = 0;
  uv_async_t wake_{};
  std::shared_ptr<Outbox> outbox_;
  std::unordered_map<uint32_t, Thread> threads_;
};

// 0, or errno.
int Calls::Open() {
  if (ending_) return ECANCELED;
  if (outbox_ != nullptr) return 0;
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env_, &loop) != napi_ok) return ECANCELED;
  // SAFETY: the handle is ours until OnTeardown's uv_close has called back.
  const int made = uv_async_init(loop, &wake_, &Calls::OnWake);
  if (made != 0) return -made;
  wake_.data = this;
  // A call under way does not keep the loop alive: it may never come back.
  uv_unref(reinterpret_cast<uv_handle_t*>(&wake_));
  outbox_ = std::make_shared<Outbox>(&wake_);
  napi_add_async_cleanup_hook(env_, &Calls::OnTeardown, this, &teardown_);
  return 0;
}

Napi::Value Calls::Start(std::string name, Napi::Function callback) {
  const int opened = Open();
  if (opened != 0) return Failure(env_, opened);
  do last_++;
  while (last_ == 0 || last_ > INT32_MAX || threads_.contains(last_));
  auto inbox = std::make_shared<Inbox>();
  auto worker = std::make_unique<Worker>(Worker{last_, std::move(name), inbox, outbox_});
  const int started = StartThread(std::move(worker));
  if (started != 0) return Failure(env_, started);
  threads_.emplace(last_, Thread{std::move(inbox), Napi::Persistent(callback)});
  return Napi::Number::New(env_, last_);
}

Napi::Value Calls::Queue(uint32_t thread, std::unique_ptr<Call> call) {
  const auto found = threads_.find(thread);
  if (found == threads_.end()) return Failure(env_, ECANCELED);
  const int64_t id = ++found->second.last;
  call->id = id;
  const int refused = found->second.inbox->Put(std::move(call));
  return refused == 0 ? Napi::Number::New(env_, static_cast<double>(id)) : Failure(env_, refused);
}

Napi::Value Calls::Abandon(uint32_t thread) {
  Napi::Array ids = Napi::Array::New(env_);
  const auto found = threads_.find(thread);
  if (found == threads_.end()) return ids;
  uint32_t count = 0;
  for (const std::unique_ptr<Call>& call : found->second.inbox->Abandon()) {
    ids.Set(count++, Napi::Number::New(env_, static_cast<double>(call->id)));
  }
  return ids;
}

bool Calls::End(uint32_t thread) {
  const auto found = threads_.find(thread);
  if (found == threads_.end()) return false;
  found->second.inbox->End();
  return true;
}

void Calls::OnWake(uv_async_t* handle) {
  auto* calls = static_cast<Calls*>(handle->data);
  for (Done& done : calls->outbox_->TakeAll()) {
    // A function that was called before may have ended the environment.
    if (calls->ending_) return;
    calls->Deliver(std::move(done));
  }
}

void Calls::Deliver(Done done) {
  const auto found = threads_.find(done.thread);
  if (found == threads_.end()) return;
  Napi::HandleScope scope(env_);
  // The function may start threads and so move what `found` points to.
  const Napi::Function function = found->second.callback.Value();
  if (done.call == nullptr) {
    threads_.erase(found);
    CallBack(env_, context_, function, {Napi::Number::New(env_, 0)});
    return;
  }
  const Call& call = *done.call;
  napi_value bytes = ArrayOf(env_, call.bytes);
  napi_value data = ArrayOf(env_, call.data);
  if (bytes == nullptr || data == nullptr) return;
  CallBack(env_, context_, function,
           {Napi::Number::New(env_, static_cast<double>(call.id)),
            Napi::Number::New(env_, static_cast<double>(call.code)), bytes, data});
}

// Calls that wait are still carried out, for nobody; a thread that is stuck is left behind.
void Calls::OnTeardown(napi_async_cleanup_hook_handle, void* self) {
  auto* calls = static_cast<Calls*>(self);
  calls->ending_ = true;
  calls->outbox_->Close();
  for (const auto& [id, thread] : calls->threads_) thread.inbox->End();
  calls->threads_.clear();
  // SAFETY: no thread knows the handle any more. To remove the hook may end the environment, and
  // this object with it: the last step.
  uv_close(reinterpret_cast<uv_handle_t*>(&calls->wake_), [](uv_handle_t* handle) {
    napi_remove_async_cleanup_hook(static_cast<Calls*>(handle->data)->teardown_);
  });
}

std::shared_ptr<Calls> MakeCalls(Napi::Env env) { return std::make_shared<Calls>(env); }

namespace {

Calls* CallsOf(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<Instance>()->calls.get();
}

// A call of this kind on the descriptor at position 1.
std::unique_ptr<Call> CallOn(const Napi::CallbackInfo& info, Kind kind) {
  auto call = std::make_unique<Call>();
  call->kind = kind;
  return Int(info, 1, &call->fd) ? std::move(call) : nullptr;
}

// Hands it to the thread at position 0.
Napi::Value Queue(const Napi::CallbackInfo& info, std::unique_ptr<Call> call) {
  int thread;
  if (call == nullptr || !Int(info, 0, &thread)) return info.Env().Undefined();
  return CallsOf(info)->Queue(static_cast<uint32_t>(thread), std::move(call));
}

Napi::Value Wrong(const Napi::CallbackInfo& info) {
  Napi::RangeError::New(info.Env(), "not what this call takes").ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

}  // namespace

// callStart(name, (call, code, bytes, data) => void) -> a thread, or -errno. Called with the end of
// each call, in order, and at last with 0 alone: the thread is over.
Napi::Value CallStart(const Napi::CallbackInfo& info) {
  std::string name;
  if (!Text(info, 0, &name)) return info.Env().Undefined();
  if (!info[1].IsFunction()) return Wrong(info);
  return CallsOf(info)->Start(std::move(name), info[1].As<Napi::Function>());
}

// callIoctl(thread, fd, request, bytes, pointerAt, data) -> a call, or -errno: -ENOBUFS too many
// wait, -ECANCELED the thread was ended. A pointerAt of -1: the structure points to nothing.
Napi::Value CallIoctl(const Napi::CallbackInfo& info) {
  std::unique_ptr<Call> call = CallOn(info, Kind::kIoctl);
  int request;
  int pointerAt;
  if (call == nullptr || !Int(info, 2, &request) || !Int(info, 4, &pointerAt)) {
    return info.Env().Undefined();
  }
  call->number = static_cast<uint32_t>(request);
  if (!CopyOf(info[3], kStructureBytesMax, &call->bytes)) return Wrong(info);
  if (!CopyOf(info[5], kDataBytesMax, &call->data)) return Wrong(info);
  if (pointerAt >= 0) {
    call->pointing = true;
    call->pointerAt = static_cast<size_t>(pointerAt);
    if (call->pointerAt + sizeof(uint64_t) > call->bytes.size()) return Wrong(info);
  }
  return Queue(info, std::move(call));
}

// callRead(thread, fd, bytes) -> a call, or -errno as above
Napi::Value CallRead(const Napi::CallbackInfo& info) {
  std::unique_ptr<Call> call = CallOn(info, Kind::kRead);
  int bytes;
  if (call == nullptr || !Int(info, 2, &bytes)) return info.Env().Undefined();
  if (bytes < 0 || static_cast<size_t>(bytes) > kDataBytesMax) return Wrong(info);
  call->data.resize(static_cast<size_t>(bytes));
  return Queue(info, std::move(call));
}

// callWrite(thread, fd, bytes) -> a call, or -errno as above
Napi::Value CallWrite(const Napi::CallbackInfo& info) {
  std::unique_ptr<Call> call = CallOn(info, Kind::kWrite);
  if (call == nullptr) return info.Env().Undefined();
  if (!CopyOf(info[2], kDataBytesMax, &call->data)) return Wrong(info);
  return Queue(info, std::move(call));
}

// callClose(thread, fd) -> a call, or -errno as above; then fd is still the caller's
Napi::Value CallClose(const Napi::CallbackInfo& info) {
  return Queue(info, CallOn(info, Kind::kClose));
}

// callReplace(thread, fd, by) -> a call, or -errno as above. Closes the file of fd, whose number
// stands for the file of `by` then.
Napi::Value CallReplace(const Napi::CallbackInfo& info) {
  std::unique_ptr<Call> call = CallOn(info, Kind::kReplace);
  int by;
  if (call == nullptr || !Int(info, 2, &by)) return info.Env().Undefined();
  call->number = static_cast<uint32_t>(by);
  return Queue(info, std::move(call));
}

// callEnd(thread) -> whether there is such a thread. It carries out what waits, and is over.
Napi::Value CallEnd(const Napi::CallbackInfo& info) {
  int thread;
  if (!Int(info, 0, &thread)) return info.Env().Undefined();
  const bool known = CallsOf(info)->End(static_cast<uint32_t>(thread));
  return Napi::Boolean::New(info.Env(), known);
}

// callAbandon(thread) -> the calls that had not begun, and never will: their end is not told
Napi::Value CallAbandon(const Napi::CallbackInfo& info) {
  int thread;
  if (!Int(info, 0, &thread)) return info.Env().Undefined();
  return CallsOf(info)->Abandon(static_cast<uint32_t>(thread));
}

}  // namespace pasidd

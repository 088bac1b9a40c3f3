// What every file of the addon shares: its functions' names, and how arguments come in and
// outcomes go out. The addon holds no policy, and no state but watches, mappings and threads that
// wait for calls: it makes system calls.
// Holds: a function answers with its data, or with minus errno; it throws only a TypeError, for
// arguments that the typed door (src/linux/) never passes; every descriptor it makes is CLOEXEC,
// and one that it cannot hand over it closes.
#pragma once

#include <cerrno>
#include <initializer_list>
#include <memory>
#include <napi.h>
#include <string>

namespace pasidd {

// Minus errno, as a number. Read before anything else can change errno.
inline Napi::Value Failure(Napi::Env env, int error = errno) {
  return Napi::Number::New(env, -error);
}

// The value of a call that answers with -1 and errno.
inline Napi::Value Result(Napi::Env env, long value) {
  return value == -1 ? Failure(env) : Napi::Number::New(env, static_cast<double>(value));
}

// The int at a position. A descriptor that defaulted to 0 would be somebody's, hence the check.
inline bool Int(const Napi::CallbackInfo& info, size_t position, int* value) {
  if (!info[position].IsNumber()) {
    Napi::TypeError::New(info.Env(), "a whole number is missing").ThrowAsJavaScriptException();
    return false;
  }
  *value = info[position].As<Napi::Number>().Int32Value();
  return true;
}

inline bool Text(const Napi::CallbackInfo& info, size_t position, std::string* value) {
  if (!info[position].IsString()) {
    Napi::TypeError::New(info.Env(), "a text is missing").ThrowAsJavaScriptException();
    return false;
  }
  *value = info[position].As<Napi::String>().Utf8Value();
  return true;
}

// Calls a function from the event loop; what it throws is fatal. Does nothing when the environment
// is ending and runs no JavaScript any more: that fails without an exception.
inline void CallBack(Napi::Env env, const Napi::AsyncContext& context, napi_value function,
                     std::initializer_list<napi_value> arguments) {
  napi_make_callback(env, context, env.Global(), function, arguments.size(), arguments.begin(),
                     nullptr);
  bool thrown = false;
  napi_value exception = nullptr;
  if (napi_is_exception_pending(env, &thrown) != napi_ok || !thrown) return;
  if (napi_get_and_clear_last_exception(env, &exception) != napi_ok) return;
  napi_fatal_exception(env, exception);
}

// What one environment has (a worker thread has its own); made when it loads the addon, and gone
// with it.
class Calls;
class Watches;
struct Instance {
  std::shared_ptr<Calls> calls;
  std::shared_ptr<Watches> watches;
};

// call.cc
std::shared_ptr<Calls> MakeCalls(Napi::Env env);
Napi::Value CallStart(const Napi::CallbackInfo& info);
Napi::Value CallIoctl(const Napi::CallbackInfo& info);
Napi::Value CallRead(const Napi::CallbackInfo& info);
Napi::Value CallWrite(const Napi::CallbackInfo& info);
Napi::Value CallClose(const Napi::CallbackInfo& info);
Napi::Value CallReplace(const Napi::CallbackInfo& info);
Napi::Value CallEnd(const Napi::CallbackInfo& info);
Napi::Value CallAbandon(const Napi::CallbackInfo& info);
// fd.cc
Napi::Value Close(const Napi::CallbackInfo& info);
Napi::Value FileFacts(const Napi::CallbackInfo& info);
Napi::Value DeviceFacts(const Napi::CallbackInfo& info);
Napi::Value CloseOnExec(const Napi::CallbackInfo& info);
Napi::Value MemfdCreate(const Napi::CallbackInfo& info);
// memory.cc
Napi::Value MemoryFacts(const Napi::CallbackInfo& info);
Napi::Value MapMemory(const Napi::CallbackInfo& info);
Napi::Value UnmapMemory(const Napi::CallbackInfo& info);
Napi::Value LoadWord(const Napi::CallbackInfo& info);
Napi::Value ExchangeWord(const Napi::CallbackInfo& info);
Napi::Value ReadWord(const Napi::CallbackInfo& info);
Napi::Value WriteWord(const Napi::CallbackInfo& info);
// message.cc
Napi::Value ReceiveMessage(const Napi::CallbackInfo& info);
Napi::Value SendMessage(const Napi::CallbackInfo& info);
// peer.cc
Napi::Value PeerCredentials(const Napi::CallbackInfo& info);
Napi::Value PeerGroups(const Napi::CallbackInfo& info);
Napi::Value PeerLabel(const Napi::CallbackInfo& info);
Napi::Value PeerPidfd(const Napi::CallbackInfo& info);
// pidfd.cc
Napi::Value PidfdOpen(const Napi::CallbackInfo& info);
Napi::Value PidfdEnded(const Napi::CallbackInfo& info);
Napi::Value PidfdInfo(const Napi::CallbackInfo& info);
// pidfs.cc
Napi::Value NameToHandle(const Napi::CallbackInfo& info);
Napi::Value OpenByHandle(const Napi::CallbackInfo& info);
// socket.cc
Napi::Value SeqpacketListen(const Napi::CallbackInfo& info);
Napi::Value SeqpacketConnect(const Napi::CallbackInfo& info);
Napi::Value SeqpacketPair(const Napi::CallbackInfo& info);
Napi::Value Accept(const Napi::CallbackInfo& info);
Napi::Value SendDatagram(const Napi::CallbackInfo& info);
// watch.cc
std::shared_ptr<Watches> MakeWatches(Napi::Env env);
Napi::Value Watch(const Napi::CallbackInfo& info);
Napi::Value Unwatch(const Napi::CallbackInfo& info);

}  // namespace pasidd

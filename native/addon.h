// What every file of the addon shares: its functions' names, and how arguments come in and
// outcomes go out. The addon holds no policy, and no state but watches and mappings: it makes
// system calls.
// Holds: a function answers with its data, or with minus errno; it throws only a TypeError, for
// arguments that the typed door (src/linux/) never passes; every descriptor it makes is CLOEXEC,
// and one that it cannot hand over it closes.
#pragma once

#include <cerrno>
#include <napi.h>

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

// fd.cc
Napi::Value Close(const Napi::CallbackInfo& info);
Napi::Value FileFacts(const Napi::CallbackInfo& info);
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
Napi::Value Accept(const Napi::CallbackInfo& info);
Napi::Value SendDatagram(const Napi::CallbackInfo& info);
// watch.cc
void StartWatches(Napi::Env env);
Napi::Value Watch(const Napi::CallbackInfo& info);
Napi::Value Unwatch(const Napi::CallbackInfo& info);

}  // namespace pasidd

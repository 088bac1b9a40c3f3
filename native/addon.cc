// The addon's table of functions. src/linux/addon.ts has the same one, with types.
#include "addon.h"

namespace pasidd {
namespace {

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void Add(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<function>(exports.Env(), name));
}

Napi::Object Load(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Instance{MakeCalls(env), MakeWatches(env)});
  Add<CallStart>(exports, "callStart");
  Add<CallIoctl>(exports, "callIoctl");
  Add<CallRead>(exports, "callRead");
  Add<CallWrite>(exports, "callWrite");
  Add<CallClose>(exports, "callClose");
  Add<CallReplace>(exports, "callReplace");
  Add<CallEnd>(exports, "callEnd");
  Add<CallAbandon>(exports, "callAbandon");
  Add<Close>(exports, "close");
  Add<FileFacts>(exports, "fileFacts");
  Add<DeviceFacts>(exports, "deviceFacts");
  Add<CloseOnExec>(exports, "closeOnExec");
  Add<MemfdCreate>(exports, "memfdCreate");
  Add<MemoryFacts>(exports, "memoryFacts");
  Add<MapMemory>(exports, "mapMemory");
  Add<UnmapMemory>(exports, "unmapMemory");
  Add<LoadWord>(exports, "loadWord");
  Add<ExchangeWord>(exports, "exchangeWord");
  Add<ReadWord>(exports, "readWord");
  Add<WriteWord>(exports, "writeWord");
  Add<ReceiveMessage>(exports, "receiveMessage");
  Add<SendMessage>(exports, "sendMessage");
  Add<PeerCredentials>(exports, "peerCredentials");
  Add<PeerGroups>(exports, "peerGroups");
  Add<PeerLabel>(exports, "peerLabel");
  Add<PeerPidfd>(exports, "peerPidfd");
  Add<PidfdOpen>(exports, "pidfdOpen");
  Add<PidfdEnded>(exports, "pidfdEnded");
  Add<PidfdInfo>(exports, "pidfdInfo");
  Add<NameToHandle>(exports, "nameToHandle");
  Add<OpenByHandle>(exports, "openByHandle");
  Add<SeqpacketListen>(exports, "seqpacketListen");
  Add<SeqpacketConnect>(exports, "seqpacketConnect");
  Add<SeqpacketPair>(exports, "seqpacketPair");
  Add<Accept>(exports, "accept");
  Add<SendDatagram>(exports, "sendDatagram");
  Add<Watch>(exports, "watch");
  Add<Unwatch>(exports, "unwatch");
  return exports;
}

}  // namespace

NODE_API_MODULE(pasidd, Load)

}  // namespace pasidd

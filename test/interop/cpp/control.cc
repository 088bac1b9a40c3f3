// The fast path: one stream, commands with ids of our own go out, answers come back as they are
// ready.
#include <map>
#include <thread>

#include "client.h"

namespace {

constexpr uint32_t kPipelinedInvalidations = 100;
using Kind = pb::ControlResponse::AnswerCase;

class Control {
 public:
  explicit Control(Session& session)
      : context_(session.token), stream_(session.broker.Control(&context_)) {
    pb::ControlRequest open;
    open.mutable_open()->set_session(session.name);
    send(open);
    pb::ControlResponse answer;
    if (!stream_->Read(&answer)) check(stream_->Finish());
    in_flight_max_ = answer.opened().in_flight_max();
    // Answers are taken while commands are still being sent: the broker stops reading when it has
    // too many under way, and goes on when answers are taken.
    reader_ = std::thread([this] {
      pb::ControlResponse answer;
      while (stream_->Read(&answer)) answers_[answer.id()] = answer;
    });
  }

  // Writes a command and does not wait for its answer; its id counts down from the greatest.
  uint64_t send(pb::ControlRequest& command) {
    command.set_id(next_id_);
    if (!stream_->Write(command)) throw std::runtime_error("the Control stream ended");
    return next_id_--;
  }

  // No more commands; the rest of the answers, by id.
  const std::map<uint64_t, pb::ControlResponse>& close() {
    stream_->WritesDone();
    reader_.join();
    check(stream_->Finish());
    return answers_;
  }

  uint32_t in_flight_max() const { return in_flight_max_; }

 private:
  Context context_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::ControlRequest, pb::ControlResponse>> stream_;
  std::map<uint64_t, pb::ControlResponse> answers_;
  std::thread reader_;
  uint64_t next_id_ = UINT64_MAX;
  uint32_t in_flight_max_ = 0;
};

pb::ControlRequest bind(uint32_t pasid) {
  pb::ControlRequest command;
  pb::BindPasidRequest& bind = *command.mutable_bind_pasid();
  bind.set_pasid(pasid);
  bind.add_devices("devices/emu0");
  *bind.mutable_first_stage() = table(kTableMax, 48);
  bind.set_domain(7);
  return command;
}

pb::ControlRequest invalidate(uint32_t pasid) {
  pb::ControlRequest command;
  pb::InvalidationEntry& entry = *command.mutable_invalidate()->add_entries();
  entry.mutable_pasid()->set_pasid(pasid);
  entry.add_caches(pb::INVALIDATION_CACHE_IOTLB);
  entry.add_caches(pb::INVALIDATION_CACHE_DEVICE_TLB);
  return command;
}

pb::ControlRequest unbind(uint32_t pasid) {
  pb::ControlRequest command;
  command.mutable_unbind_pasids()->mutable_target()->set_pasid(pasid);
  return command;
}

}  // namespace

// Binds a whole block, invalidates it again and again, unbinds it: all without waiting.
void control(Session& session, const pb::PasidRange& block) {
  Control stream(session);
  std::map<uint64_t, Kind> sent;
  const auto send = [&](pb::ControlRequest command, Kind kind) {
    const uint64_t id = stream.send(command);
    sent[id] = kind;
    return id;
  };
  for (uint32_t pasid = block.first(); pasid <= block.last(); pasid++) {
    send(bind(pasid), Kind::kBindPasid);
  }
  for (uint32_t turn = 0; turn < kPipelinedInvalidations; turn++) {
    send(invalidate(block.first() + turn % 16), Kind::kInvalidate);
  }
  for (uint32_t pasid = block.first(); pasid <= block.last(); pasid++) {
    send(unbind(pasid), Kind::kUnbindPasids);
  }
  pb::ControlRequest look;
  look.mutable_get_session();
  send(look, Kind::kGetSession);
  const uint64_t wrong = send(unbind(999999), Kind::kError);

  const auto& answers = stream.close();
  uint32_t matched = 0, done = 0, unbound = 0;
  for (const auto& [id, kind] : sent) {
    const pb::ControlResponse& answer = answers.at(id);
    matched += answer.answer_case() == kind;
    done += answer.invalidate().done();
    unbound += answer.unbind_pasids().unbound();
  }
  // A stream's error has the details as bytes.
  const pb::ControlError& error = answers.at(wrong).error();
  google::rpc::Status details;
  details.ParseFromString(error.status());
  Facts()
      .add("in_flight_max", stream.in_flight_max())
      .add("sent", static_cast<uint32_t>(sent.size()))
      .add("matched", matched)
      .add("done", done)
      .add("unbound", unbound)
      .add("last_id", wrong)
      .add_json("error", facts_of(details).text())
      .add("error_reason", error.reason())
      .say("control");
}

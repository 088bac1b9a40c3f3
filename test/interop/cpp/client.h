// What the parts of the client share: output, calls with their deadline and token, and the session.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>

#include <grpcpp/grpcpp.h>

#include "google/rpc/details.pb.h"
#include "pasid/v1/pasid_broker.grpc.pb.h"

namespace pb = pasid::v1;

constexpr std::chrono::seconds kTimeout{20};
// The greatest that the fields take: a table just below 2^52, the last page below 2^64.
constexpr uint64_t kTableMax = (uint64_t{1} << 52) - 4096;
constexpr uint64_t kLastPage = UINT64_MAX - 4095;

// --- output

std::string quoted(const std::string& text);

inline std::string json(const std::string& text) { return quoted(text); }
inline std::string json(const char* text) { return quoted(text); }
inline std::string json(bool value) { return value ? "true" : "false"; }
inline std::string json(uint32_t value) { return std::to_string(value); }
inline std::string json(int value) { return std::to_string(value); }
// As a string: JSON's numbers are doubles.
inline std::string json(uint64_t value) { return quoted(std::to_string(value)); }

template <typename Rows, typename Of = std::identity>
std::string json_list(const Rows& rows, Of of = {}) {
  std::string text;
  for (const auto& row : rows) text += (text.empty() ? "" : ",") + json(of(row));
  return "[" + text + "]";
}

template <typename Ranges>
std::string spans(const Ranges& ranges) {
  std::string text;
  for (const auto& range : ranges) {
    text += (text.empty() ? "" : ",") + json_list(std::array{range.first(), range.last()});
  }
  return "[" + text + "]";
}

// One JSON object; prints itself as a line.
class Facts {
 public:
  template <typename Value>
  Facts& add(const std::string& name, const Value& value) {
    return add_json(name, json(value));
  }
  Facts& add_json(const std::string& name, const std::string& value) {
    text_ += (text_.empty() ? "" : ",") + quoted(name) + ":" + value;
    return *this;
  }
  std::string text() const { return "{" + text_ + "}"; }
  void say(const std::string& step) {
    add("step", step);
    std::cout << text() << std::endl;
  }

 private:
  std::string text_;
};

// --- calls

// The context of one call: its deadline, and the session's secret if it has one.
class Context : public grpc::ClientContext {
 public:
  explicit Context(const std::string& token = "") {
    set_deadline(std::chrono::system_clock::now() + kTimeout);
    if (!token.empty()) AddMetadata("pasid-session-token", token);
  }
};

inline void check(const grpc::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error_message());
}

inline std::shared_ptr<grpc::Channel> connect(const std::string& socket) {
  return grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials());
}

// --- errors

// What a program decides by: the details, never the text.
Facts facts_of(const google::rpc::Status& status);
// The details of a call that must have been refused: the bytes of a google.rpc.Status.
google::rpc::Status refusal_of(const grpc::Status& status);
std::string reason_of(const google::rpc::Status& status);

// --- the session

using Broker = pb::PasidBroker::Stub;

struct Session {
  Broker& broker;
  std::string name;
  std::string token;
};

// What the later steps need of what was allocated.
struct Grants {
  uint32_t pasid;
  uint64_t generation;
  pb::PasidRange block;
};

inline pb::FirstStageTable table(uint64_t address, uint32_t width) {
  pb::FirstStageTable table;
  table.set_address(address);
  table.set_address_width(width);
  return table;
}

Session open_session(Broker& broker, const std::string& vm);
void attach(Session& session);
Grants allocate(Session& session);
void retry(Session& session);
void bind(Session& session, uint32_t pasid);
void invalidate(Session& session, uint32_t pasid);
void list_pasids(Session& session, const Grants& grants);
void control(Session& session, const pb::PasidRange& block);
void refusals(Session& session);
void get_session(Session& session);
void free_and_close(Session& session);

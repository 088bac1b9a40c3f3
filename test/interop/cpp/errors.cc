// Refusals: from the status of a call to what a program decides by.
#include "client.h"

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') out += '\\';
    out += letter;
  }
  return out + "\"";
}

google::rpc::Status refusal_of(const grpc::Status& status) {
  if (status.ok()) throw std::runtime_error("the call was not refused");
  google::rpc::Status details;
  // The trailer grpc-status-details-bin, as grpc++ hands it over.
  if (!details.ParseFromString(status.error_details())) {
    throw std::runtime_error("no details: " + status.error_message());
  }
  return details;
}

static google::rpc::ErrorInfo info_of(const google::rpc::Status& status) {
  google::rpc::ErrorInfo info;
  for (const auto& detail : status.details()) {
    if (detail.Is<google::rpc::ErrorInfo>()) detail.UnpackTo(&info);
  }
  return info;
}

std::string reason_of(const google::rpc::Status& status) { return info_of(status).reason(); }

Facts facts_of(const google::rpc::Status& status) {
  const google::rpc::ErrorInfo info = info_of(status);
  google::rpc::QuotaFailure quota;
  for (const auto& detail : status.details()) {
    if (detail.Is<google::rpc::QuotaFailure>()) detail.UnpackTo(&quota);
  }
  Facts metadata;
  for (const auto& [key, value] : info.metadata()) metadata.add(key, value);
  Facts facts;
  facts.add("code", status.code()).add("reason", info.reason()).add("domain", info.domain());
  facts.add_json("metadata", metadata.text());
  const auto subject = [](const auto& violation) { return violation.subject(); };
  facts.add_json("quota_subjects", json_list(quota.violations(), subject));
  return facts;
}

// A VMM's client in C++: everything that a session does, once through.
//
// Prints one JSON object a line for each step; 64-bit numbers are strings there, since JSON's
// numbers are doubles. Any surprise ends it. The scenarios:
//
//   tour  open, attach, allocate, bind, invalidate, the Control stream, refusals, free, close
//   hold  open, allocate a block and bind all of it, then stay until stdin ends, and leave it behind
#include <map>

#include <google/protobuf/util/time_util.h>

#include "client.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "pasid/v1/operator.grpc.pb.h"

namespace health = grpc::health::v1;

namespace {

void server(const std::shared_ptr<grpc::Channel>& channel, Broker& broker) {
  Context first, second;
  health::HealthCheckResponse serving;
  check(health::Health::NewStub(channel)->Check(&first, {}, &serving));
  pb::ServerInfo info;
  check(broker.GetServerInfo(&second, {}, &info));
  const pb::Process& caller = info.caller().process();
  const int64_t hold_ms = google::protobuf::util::TimeUtil::DurationToMilliseconds(info.hold());
  Facts()
      .add("health", health::HealthCheckResponse::ServingStatus_Name(serving.status()))
      .add("version", info.version())
      .add("incarnation", info.incarnation())
      .add("backend", info.backend())
      .add("writable", info.writable())
      .add("hold_ms", static_cast<uint32_t>(hold_ms))
      .add("message_bytes", info.limits().message_bytes())
      .add("recovered_revision", info.recovered_revision())
      .add_json("caller", json_list(std::array{caller.pid(), caller.uid(), caller.gid()}))
      .say("server");
}

// What came first after a revision; more would come for as long as we listen.
std::pair<pb::WatchStarted, pb::WatchChange> watch_from(pb::Operator::Stub& stub,
                                                        uint64_t revision) {
  Context context;
  pb::WatchRequest request;
  request.set_from_revision(revision);
  const auto stream = stub.Watch(&context, request);
  pb::WatchResponse first, second;
  if (!stream->Read(&first) || !stream->Read(&second)) check(stream->Finish());
  context.TryCancel();
  return {first.started(), second.change()};
}

// An operator's look at the session: what it holds, and the grant as it was seen to happen.
void operator_look(const std::string& socket, const Session& session, const Grants& grants) {
  const auto channel = connect(socket);
  Context asking, listing;
  health::HealthCheckResponse serving;
  check(health::Health::NewStub(channel)->Check(&asking, {}, &serving));
  const auto stub = pb::Operator::NewStub(channel);
  pb::ListAllocationsRequest request;
  request.set_filter("session = " + session.name);
  pb::ListAllocationsResponse list;
  check(stub->ListAllocations(&listing, request, &list));
  // A generation is the revision of its grant.
  const auto [started, change] = watch_from(*stub, grants.generation - 1);
  for (const pb::Allocation& row : list.allocations()) {
    if (row.pasid() != grants.pasid || !row.device().empty()) continue;
    Facts()
        .add("health", health::HealthCheckResponse::ServingStatus_Name(serving.status()))
        .add("allocations", list.allocations_size())
        .add("same_generation", row.generation() == grants.generation)
        .add("tenant", row.tenant())
        .add("address", row.bindings(0).first_stage().address())
        .add("started", started.revision())
        .add("changed", change.revision())
        .add_json("granted", spans(change.events(0).numbers().ranges()))
        .say("operator");
  }
}

void tour(Broker& broker, const std::string& vm, const std::string& admin_socket) {
  Session session = open_session(broker, vm);
  attach(session);
  const Grants grants = allocate(session);
  retry(session);
  bind(session, grants.pasid);
  invalidate(session, grants.pasid);
  list_pasids(session, grants);
  control(session, grants.block);
  refusals(session);
  get_session(session);
  if (!admin_socket.empty()) operator_look(admin_socket, session, grants);
  free_and_close(session);
}

void hold(Broker& broker, const std::string& vm) {
  Session session = open_session(broker, vm);
  Context attaching(session.token), allocating(session.token);
  pb::AttachDeviceRequest device;
  device.set_session(session.name);
  device.set_device("devices/emu0");
  pb::AttachDeviceResponse attached;
  check(broker.AttachDevice(&attaching, device, &attached));
  pb::AllocatePasidsRequest request;
  request.set_session(session.name);
  request.mutable_block()->set_size(16);
  pb::AllocatePasidsResponse granted;
  check(broker.AllocatePasids(&allocating, request, &granted));
  const pb::PasidRange& block = granted.ranges(0);
  for (uint32_t pasid = block.first(); pasid <= block.last(); pasid++) {
    Context context(session.token);
    pb::BindPasidRequest bind;
    bind.set_session(session.name);
    bind.set_pasid(pasid);
    bind.add_devices("devices/emu0");
    *bind.mutable_first_stage() = table(kTableMax, 48);
    pb::BindPasidResponse bound;
    check(broker.BindPasid(&context, bind, &bound));
  }
  Facts()
      .add("session", session.name)
      .add("first", block.first())
      .add("last", block.last())
      .say("hold");
  while (std::cin.get() != EOF) continue;
}

void run(std::map<std::string, std::string> options) {
  const auto channel = connect(options["--vmm-socket"]);
  const auto broker = pb::PasidBroker::NewStub(channel);
  const std::string vm = options.count("--vm") > 0 ? options["--vm"] : "cpp";
  if (options["--scenario"] == "hold") return hold(*broker, vm);
  server(channel, *broker);
  tour(*broker, vm, options["--admin-socket"]);
}

}  // namespace

// Takes pairs: --vmm-socket PATH, --admin-socket PATH (left out: no operator's steps), --scenario
// tour|hold, --vm NAME.
int main(int count, char** words) {
  std::map<std::string, std::string> options;
  for (int i = 1; i + 1 < count; i += 2) options[words[i]] = words[i + 1];
  try {
    run(options);
  } catch (const std::exception& failure) {
    std::cerr << failure.what() << std::endl;
    return 1;
  }
}

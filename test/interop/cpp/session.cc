// The steps of one VM's session, by unary calls.
#include <fstream>

#include <google/protobuf/util/message_differencer.h>

#include "client.h"

namespace {

std::string new_uuid() {
  std::string uuid;
  std::ifstream("/proc/sys/kernel/random/uuid") >> uuid;
  return uuid;
}

pb::AllocatePasidsResponse grant(Session& session, const std::string& ask,
                                 pb::AllocatePasidsRequest request) {
  Context context(session.token);
  request.set_session(session.name);
  pb::AllocatePasidsResponse answer;
  check(session.broker.AllocatePasids(&context, request, &answer));
  Facts()
      .add("ask", ask)
      .add_json("ranges", spans(answer.ranges()))
      .add("generation", answer.generation())
      .add("headroom", answer.headroom().session())
      .add("tenant_limited", answer.headroom().has_tenant())
      .say("allocate_pasids");
  return answer;
}

void numbers(pb::NumberList& list, std::initializer_list<uint32_t> pasids) {
  for (const uint32_t pasid : pasids) list.add_pasids(pasid);
}

}  // namespace

Session open_session(Broker& broker, const std::string& vm) {
  pb::OpenSessionRequest request;
  request.set_request_id(new_uuid());
  (*request.mutable_labels())["vm"] = vm;
  request.set_max_pasids(512);
  pb::OpenSessionResponse opened, again;
  Context first, second;
  check(broker.OpenSession(&first, request, &opened));
  check(broker.OpenSession(&second, request, &again));
  const pb::Session& session = opened.session();
  const bool same = again.session().name() == session.name() && again.token() == opened.token();
  Facts()
      .add("name", session.name())
      .add("tenant", session.tenant())
      .add("max_pasids", session.max_pasids())
      .add("vm", session.labels().at("vm"))
      .add("token_length", static_cast<uint32_t>(opened.token().size()))
      .add("same_again", same)
      .say("open_session");
  return {broker, session.name(), opened.token()};
}

void attach(Session& session) {
  for (const char* name : {"devices/emu0", "devices/emu1"}) {
    Context context(session.token);
    pb::AttachDeviceRequest request;
    request.set_session(session.name);
    request.set_device(name);
    pb::AttachDeviceResponse answer;
    check(session.broker.AttachDevice(&context, request, &answer));
    const pb::Device& device = answer.device();
    Facts()
        .add("device", device.name())
        .add("scope", pb::Scope_Name(device.scope()))
        .add("pasid_bits", device.pasid_bits())
        .add("translation", pb::PasidTranslation_Name(device.translation()))
        .add_json("address_widths", json_list(device.address_widths()))
        .say("attach_device");
  }
}

// One in a range, a block, exact numbers; and numbers of one device.
Grants allocate(Session& session) {
  pb::AllocatePasidsRequest one, block, exact, own;
  one.mutable_one();
  one.set_min(300000);
  one.set_max(399999);
  block.mutable_block()->set_size(16);
  block.set_min(400000);
  block.set_max(499999);
  numbers(*exact.mutable_exact(), {700005, 700001, 700003});
  own.set_scope(pb::SCOPE_DEVICE);
  own.set_device("devices/emu1");
  numbers(*own.mutable_exact(), {1, 2});

  const auto first = grant(session, "one", one);
  const auto second = grant(session, "block", block);
  grant(session, "exact", exact);
  grant(session, "device", own);
  return {first.ranges(0).first(), first.generation(), second.ranges(0)};
}

// The same request id: the same answer, or a refusal when the call is another one.
void retry(Session& session) {
  pb::AllocatePasidsRequest request;
  request.set_session(session.name);
  request.set_request_id(new_uuid());
  request.mutable_one();
  request.set_min(500000);
  pb::AllocatePasidsResponse first, again, never;
  Context one(session.token), two(session.token), three(session.token);
  check(session.broker.AllocatePasids(&one, request, &first));
  check(session.broker.AllocatePasids(&two, request, &again));
  request.set_min(500001);
  const auto reused = refusal_of(session.broker.AllocatePasids(&three, request, &never));
  Facts()
      .add("same_again", google::protobuf::util::MessageDifferencer::Equals(first, again))
      .add("pasid", first.ranges(0).first())
      .add("reason", reason_of(reused))
      .say("retry");
}

void bind(Session& session, uint32_t pasid) {
  pb::BindPasidRequest request, rid;
  request.set_session(session.name);
  request.set_pasid(pasid);
  request.add_devices("devices/emu0");
  *request.mutable_first_stage() = table(kTableMax, 57);
  request.set_domain(65535);
  request.set_guest_pasid(5);
  rid.set_session(session.name);
  rid.set_rid(true);
  rid.add_devices("devices/emu1");
  rid.mutable_pass_through();
  rid.set_domain(1);
  pb::BindPasidResponse bound, later;
  Context first(session.token), second(session.token);
  check(session.broker.BindPasid(&first, request, &bound));
  check(session.broker.BindPasid(&second, rid, &later));
  Facts()
      .add("revision", bound.revision())
      .add("rid_is_later", later.revision() > bound.revision())
      .say("bind_pasid");
}

void invalidate(Session& session, uint32_t pasid) {
  pb::InvalidateRequest request;
  request.set_session(session.name);
  pb::InvalidationEntry& domain = *request.add_entries();
  domain.mutable_domain()->set_domain(65535);
  domain.add_caches(pb::INVALIDATION_CACHE_IOTLB);
  domain.add_caches(pb::INVALIDATION_CACHE_PASID);
  pb::InvalidationEntry& whole = *request.add_entries();
  whole.mutable_pasid()->set_pasid(pasid);
  whole.add_caches(pb::INVALIDATION_CACHE_IOTLB);
  whole.add_caches(pb::INVALIDATION_CACHE_DEVICE_TLB);
  whole.add_caches(pb::INVALIDATION_CACHE_PASID);
  pb::InvalidationEntry& page = *request.add_entries();
  page.mutable_addresses()->set_pasid(pasid);
  page.mutable_addresses()->set_device("devices/emu0");
  page.mutable_addresses()->set_address(kLastPage);
  page.mutable_addresses()->set_pages(1);
  page.mutable_addresses()->set_leaf(true);
  page.add_caches(pb::INVALIDATION_CACHE_IOTLB);
  page.add_caches(pb::INVALIDATION_CACHE_DEVICE_TLB);
  pb::InvalidateResponse answer;
  Context context(session.token);
  check(session.broker.Invalidate(&context, request, &answer));
  Facts().add("done", answer.done()).add("lost", answer.lost_size()).say("invalidate");
}

// All pages; and the one binding made so far, as the broker has it.
void list_pasids(Session& session, const Grants& grants) {
  pb::ListPasidsRequest request;
  request.set_session(session.name);
  request.set_page_size(7);
  pb::ListPasidsResponse all, page;
  uint32_t pages = 0;
  do {
    Context context(session.token);
    check(session.broker.ListPasids(&context, request, &page));
    all.MergeFrom(page);
    pages++;
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());

  const pb::Allocation* held = nullptr;
  for (const pb::Allocation& row : all.allocations()) {
    if (row.pasid() == grants.pasid && row.device().empty()) held = &row;
  }
  if (held == nullptr) throw std::runtime_error("the PASID is not listed");
  const pb::Binding& binding = held->bindings(0);
  const auto pasid_of = [](const auto& row) { return row.pasid(); };
  const auto device_of = [](const auto& rid) { return rid.device(); };
  Facts()
      .add("pages", pages)
      .add_json("pasids", json_list(all.allocations(), pasid_of))
      .add("same_generation", held->generation() == grants.generation)
      .add("state", pb::AllocationState_Name(held->state()))
      .add("binding_state", pb::BindingState_Name(binding.state()))
      .add("guest_pasid", binding.guest_pasid())
      .add("address", binding.first_stage().address())
      .add_json("rid_devices", json_list(page.rid_bindings(), device_of))
      .add("revision", page.revision())
      .say("list_pasids");
}

void refusals(Session& session) {
  const auto tell = [](const std::string& of, const grpc::Status& status) {
    facts_of(refusal_of(status)).add("of", of).say("refusal");
  };
  pb::FreePasidsRequest late;
  late.set_session(session.name);
  late.mutable_pasids()->add_pasids(999999);
  pb::FreePasidsResponse freed;
  Context first(session.token);
  tell("not_found", session.broker.FreePasids(&first, late, &freed));

  pb::AllocatePasidsRequest much;
  much.set_session(session.name);
  much.mutable_block()->set_size(1024);
  pb::AllocatePasidsResponse granted;
  Context second(session.token);
  tell("quota", session.broker.AllocatePasids(&second, much, &granted));

  pb::BindPasidRequest beyond;
  beyond.set_session(session.name);
  beyond.set_pasid(1);
  beyond.add_devices("devices/emu0");
  *beyond.mutable_first_stage() = table(UINT64_MAX, 48);
  beyond.set_domain(1);
  pb::BindPasidResponse bound;
  Context third(session.token);
  tell("address", session.broker.BindPasid(&third, beyond, &bound));

  pb::GetSessionRequest name;
  name.set_name(session.name);
  pb::Session seen;
  Context no_token;
  tell("token", session.broker.GetSession(&no_token, name, &seen));
}

void get_session(Session& session) {
  pb::GetSessionRequest request;
  request.set_name(session.name);
  pb::Session seen;
  Context context(session.token);
  check(session.broker.GetSession(&context, request, &seen));
  Facts()
      .add("state", pb::SessionState_Name(seen.state()))
      .add("held_pasids", seen.held_pasids())
      .add("bindings", seen.bindings())
      .add("lost_bindings", seen.lost_bindings())
      .add_json("devices", json_list(seen.devices()))
      .say("get_session");
}

void free_and_close(Session& session) {
  const auto free = [&](const std::string& by, const pb::FreePasidsRequest& request) {
    Context context(session.token);
    pb::FreePasidsResponse answer;
    check(session.broker.FreePasids(&context, request, &answer));
    Facts()
        .add("by", by)
        .add("freed", answer.freed())
        .add("durable", answer.durable())
        .say("free_pasids");
  };
  pb::FreePasidsRequest by_number, by_range;
  by_number.set_session(session.name);
  numbers(*by_number.mutable_pasids(), {700001, 700003, 700005});
  by_range.set_session(session.name);
  by_range.mutable_range()->set_first(400000);
  by_range.mutable_range()->set_last(499999);
  free("pasids", by_number);
  free("range", by_range);
  free("range_again", by_range);

  pb::CloseSessionRequest request;
  request.set_name(session.name);
  pb::CloseSessionResponse answer;
  Context closing(session.token), looking(session.token);
  check(session.broker.CloseSession(&closing, request, &answer));
  pb::GetSessionRequest name;
  name.set_name(session.name);
  pb::Session seen;
  const auto gone = refusal_of(session.broker.GetSession(&looking, name, &seen));
  Facts()
      .add("freed", answer.freed())
      .add("durable", answer.durable())
      .add("then", reason_of(gone))
      .say("close_session");
}

"""A VMM's client in Python: everything that a session does, once through.

Prints one JSON object a line for each step; 64-bit numbers are strings there, since JSON's numbers
are doubles. Any surprise ends it with a traceback. The scenarios:

  tour  open, attach, allocate, bind, invalidate, the Control stream, refusals, free, close
  hold  open, allocate a block and bind all of it, then stay until stdin ends, and leave it behind
"""

import argparse
import json
import queue
import sys
import uuid

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from pasid.v1 import operator_pb2, operator_pb2_grpc, pasid_broker_pb2 as pb, pasid_broker_pb2_grpc
from pasid.v1 import types_pb2 as types

TIMEOUT_S = 20
# The greatest that the fields take: a table just below 2^52, the last page below 2^64.
TABLE_MAX = 2**52 - 4096
LAST_PAGE = 2**64 - 4096
ID_MAX = 2**64 - 1
PIPELINED_INVALIDATIONS = 100


def say(step, **facts):
    print(json.dumps({"step": step, **facts}), flush=True)


def connect(socket):
    return grpc.insecure_channel(f"unix:{socket}")


def spans(ranges):
    return [[range.first, range.last] for range in ranges]


# --- errors


def facts_of(status):
    """What a program decides by: the details of a google.rpc.Status, never its text."""
    info, quota = error_details_pb2.ErrorInfo(), error_details_pb2.QuotaFailure()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(quota)
    return {
        "code": status.code,
        "reason": info.reason,
        "domain": info.domain,
        "metadata": dict(info.metadata),
        "quota_subjects": [violation.subject for violation in quota.violations],
    }


def refusal_of(call, *arguments, **options):
    """The refusal that a call must end with."""
    try:
        call(*arguments, **options)
    except grpc.RpcError as error:
        return facts_of(rpc_status.from_call(error))
    raise AssertionError("the call was not refused")


# --- the session


class Session:
    """One VM's session: its name, and its secret as metadata of every call."""

    def __init__(self, broker, vm):
        request = pb.OpenSessionRequest(
            request_id=str(uuid.uuid4()), labels={"vm": vm}, max_pasids=512
        )
        opened = broker.OpenSession(request, timeout=TIMEOUT_S)
        again = broker.OpenSession(request, timeout=TIMEOUT_S)
        self.broker = broker
        self.name = opened.session.name
        self.metadata = [("pasid-session-token", opened.token)]
        say(
            "open_session",
            name=self.name,
            tenant=opened.session.tenant,
            max_pasids=opened.session.max_pasids,
            vm=opened.session.labels["vm"],
            token_length=len(opened.token),
            same_again=(again.session.name, again.token) == (self.name, opened.token),
        )

    def call(self, method, request):
        return method(request, metadata=self.metadata, timeout=TIMEOUT_S)

    def allocate(self, **ask):
        request = pb.AllocatePasidsRequest(session=self.name, **ask)
        return self.call(self.broker.AllocatePasids, request)

    def refused(self, method, request):
        return refusal_of(method, request, metadata=self.metadata, timeout=TIMEOUT_S)


def attach(session):
    for name in ("devices/emu0", "devices/emu1"):
        request = pb.AttachDeviceRequest(session=session.name, device=name)
        device = session.call(session.broker.AttachDevice, request).device
        say(
            "attach_device",
            device=device.name,
            scope=types.Scope.Name(device.scope),
            pasid_bits=device.pasid_bits,
            translation=types.PasidTranslation.Name(device.translation),
            address_widths=list(device.address_widths),
        )


def allocate(session):
    """One in a range, a block, exact numbers; and numbers of one device. Answers what it got."""
    one = session.allocate(one=pb.OneNumber(), min=300000, max=399999)
    block = session.allocate(block=pb.NumberBlock(size=16), min=400000, max=499999)
    exact = session.allocate(exact=pb.NumberList(pasids=[700005, 700001, 700003]))
    own = session.allocate(
        scope=types.SCOPE_DEVICE, device="devices/emu1", exact=pb.NumberList(pasids=[1, 2])
    )
    for ask, grant in (("one", one), ("block", block), ("exact", exact), ("device", own)):
        say(
            "allocate_pasids",
            ask=ask,
            ranges=spans(grant.ranges),
            generation=str(grant.generation),
            headroom=grant.headroom.session,
            tenant_limited=grant.headroom.HasField("tenant"),
        )
    return one.ranges[0].first, block.ranges[0], one.generation


def retry(session):
    """The same request id: the same answer, or a refusal when the call is another one."""
    request = pb.AllocatePasidsRequest(
        session=session.name, request_id=str(uuid.uuid4()), one=pb.OneNumber(), min=500000
    )
    first = session.call(session.broker.AllocatePasids, request)
    again = session.call(session.broker.AllocatePasids, request)
    request.min = 500001
    reused = session.refused(session.broker.AllocatePasids, request)
    say("retry", same_again=first == again, pasid=first.ranges[0].first, reason=reused["reason"])


def bind(session, pasid):
    table = types.FirstStageTable(address=TABLE_MAX, address_width=57)
    request = pb.BindPasidRequest(
        session=session.name,
        pasid=pasid,
        devices=["devices/emu0"],
        first_stage=table,
        domain=65535,
        guest_pasid=5,
    )
    bound = session.call(session.broker.BindPasid, request)
    rid = pb.BindPasidRequest(
        session=session.name,
        rid=True,
        devices=["devices/emu1"],
        pass_through=types.PassThrough(),
        domain=1,
    )
    later = session.call(session.broker.BindPasid, rid)
    say("bind_pasid", revision=str(bound.revision), rid_is_later=later.revision > bound.revision)


def invalidate(session, pasid):
    iotlb, device_tlb, entry = (
        pb.INVALIDATION_CACHE_IOTLB,
        pb.INVALIDATION_CACHE_DEVICE_TLB,
        pb.INVALIDATION_CACHE_PASID,
    )
    request = pb.InvalidateRequest(
        session=session.name,
        entries=[
            pb.InvalidationEntry(
                domain=pb.DomainGranularity(domain=65535), caches=[iotlb, entry]
            ),
            pb.InvalidationEntry(
                pasid=pb.PasidGranularity(pasid=pasid), caches=[iotlb, device_tlb, entry]
            ),
            pb.InvalidationEntry(
                addresses=pb.AddressGranularity(
                    pasid=pasid, device="devices/emu0", address=LAST_PAGE, pages=1, leaf=True
                ),
                caches=[iotlb, device_tlb],
            ),
        ],
    )
    answer = session.call(session.broker.Invalidate, request)
    say("invalidate", done=answer.done, lost=len(answer.lost))


def list_pasids(session, pasid, generation):
    """All pages; and the one binding made so far, as the broker has it."""
    allocations, pages, token = [], 0, ""
    while True:
        request = pb.ListPasidsRequest(session=session.name, page_size=7, page_token=token)
        page = session.call(session.broker.ListPasids, request)
        allocations += page.allocations
        pages, token = pages + 1, page.next_page_token
        if not token:
            break
    held = next(row for row in allocations if row.pasid == pasid and row.device == "")
    (binding,) = held.bindings
    say(
        "list_pasids",
        pages=pages,
        pasids=[row.pasid for row in allocations],
        same_generation=held.generation == generation,
        state=types.AllocationState.Name(held.state),
        binding_state=types.BindingState.Name(binding.state),
        guest_pasid=binding.guest_pasid,
        address=str(binding.first_stage.address),
        rid_devices=[binding.device for binding in page.rid_bindings],
        revision=str(page.revision),
    )


# --- the Control stream


class Control:
    """The fast path: commands with ids of our own go out, answers come back as they are ready."""

    def __init__(self, session):
        self.commands = queue.SimpleQueue()
        self.answers = session.broker.Control(
            iter(self.commands.get, None), metadata=session.metadata, timeout=TIMEOUT_S
        )
        self.next_id = ID_MAX
        self.send(open=pb.ControlOpen(session=session.name))
        self.in_flight_max = next(self.answers).opened.in_flight_max

    def send(self, **command):
        """Writes a command and does not wait; its id, which counts down from the greatest."""
        id, self.next_id = self.next_id, self.next_id - 1
        self.commands.put(pb.ControlRequest(id=id, **command))
        return id

    def close(self):
        """No more commands; the rest of the answers, by id."""
        self.commands.put(None)
        return {answer.id: answer for answer in self.answers}


def control(session, block):
    """Binds the whole block, invalidates it again and again, unbinds it: all without waiting."""
    stream = Control(session)
    sent = {}
    pasids = range(block.first, block.last + 1)
    for pasid in pasids:
        table = types.FirstStageTable(address=TABLE_MAX, address_width=48)
        command = pb.BindPasidRequest(
            pasid=pasid, devices=["devices/emu0"], first_stage=table, domain=7
        )
        sent[stream.send(bind_pasid=command)] = "bind_pasid"
    for turn in range(PIPELINED_INVALIDATIONS):
        entry = pb.InvalidationEntry(
            pasid=pb.PasidGranularity(pasid=block.first + turn % 16),
            caches=[pb.INVALIDATION_CACHE_IOTLB, pb.INVALIDATION_CACHE_DEVICE_TLB],
        )
        sent[stream.send(invalidate=pb.InvalidateRequest(entries=[entry]))] = "invalidate"
    for pasid in pasids:
        command = pb.UnbindPasidsRequest(target=pb.UnbindTarget(pasid=pasid))
        sent[stream.send(unbind_pasids=command)] = "unbind_pasids"
    sent[stream.send(get_session=pb.GetSessionRequest())] = "get_session"
    wrong = pb.UnbindPasidsRequest(target=pb.UnbindTarget(pasid=999999))
    wrong_id = stream.send(unbind_pasids=wrong)
    sent[wrong_id] = "error"

    answers = stream.close()
    error = answers[wrong_id].error
    say(
        "control",
        in_flight_max=stream.in_flight_max,
        sent=len(sent),
        matched=sum(answers[id].WhichOneof("answer") == kind for id, kind in sent.items()),
        done=sum(answers[id].invalidate.done for id in sent),
        unbound=sum(answers[id].unbind_pasids.unbound for id in sent),
        last_id=str(min(sent)),
        # A stream's error has the details as bytes.
        error=facts_of(status_pb2.Status.FromString(error.status)),
        error_reason=error.reason,
    )


# --- refusals, and the end


def refusals(session):
    broker, name = session.broker, session.name
    late = pb.FreePasidsRequest(session=name, pasids=pb.NumberList(pasids=[999999]))
    say("refusal", of="not_found", **session.refused(broker.FreePasids, late))

    much = pb.AllocatePasidsRequest(session=name, block=pb.NumberBlock(size=1024))
    say("refusal", of="quota", **session.refused(broker.AllocatePasids, much))

    table = types.FirstStageTable(address=2**64 - 1, address_width=48)
    beyond = pb.BindPasidRequest(
        session=name, pasid=1, devices=["devices/emu0"], first_stage=table, domain=1
    )
    say("refusal", of="address", **session.refused(broker.BindPasid, beyond))

    secret = refusal_of(broker.GetSession, pb.GetSessionRequest(name=name), timeout=TIMEOUT_S)
    say("refusal", of="token", **secret)


def get_session(session):
    request = pb.GetSessionRequest(name=session.name)
    seen = session.call(session.broker.GetSession, request)
    say(
        "get_session",
        state=types.SessionState.Name(seen.state),
        held_pasids=seen.held_pasids,
        bindings=seen.bindings,
        lost_bindings=seen.lost_bindings,
        devices=list(seen.devices),
    )


def free_and_close(session, block):
    broker = session.broker
    by_number = pb.FreePasidsRequest(
        session=session.name, pasids=pb.NumberList(pasids=[700001, 700003, 700005])
    )
    by_range = pb.FreePasidsRequest(
        session=session.name, range=types.PasidRange(first=400000, last=499999)
    )
    for by, request in (("pasids", by_number), ("range", by_range), ("range_again", by_range)):
        answer = session.call(broker.FreePasids, request)
        say("free_pasids", by=by, freed=answer.freed, durable=answer.durable)
    request = pb.CloseSessionRequest(name=session.name)
    answer = session.call(broker.CloseSession, request)
    gone = session.refused(broker.GetSession, pb.GetSessionRequest(name=session.name))
    say("close_session", freed=answer.freed, durable=answer.durable, then=gone["reason"])


# --- what does not need a session


def server(channel, broker):
    health = health_pb2_grpc.HealthStub(channel)
    status = health.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S).status
    info = broker.GetServerInfo(pb.GetServerInfoRequest(), timeout=TIMEOUT_S)
    caller = info.caller.process
    say(
        "server",
        health=health_pb2.HealthCheckResponse.ServingStatus.Name(status),
        version=info.version,
        incarnation=info.incarnation,
        backend=info.backend,
        writable=info.writable,
        hold_ms=info.hold.ToMilliseconds(),
        message_bytes=info.limits.message_bytes,
        recovered_revision=str(info.recovered_revision),
        caller=[caller.pid, caller.uid, caller.gid],
    )


def watch_from(stub, revision):
    """What came first after a revision; more would come for as long as we listen."""
    request = operator_pb2.WatchRequest(from_revision=revision)
    stream = stub.Watch(request, timeout=TIMEOUT_S)
    started, change = next(stream).started, next(stream).change
    stream.cancel()
    return started, change


def operator(socket, session, pasid, generation):
    """An operator's look at the session: what it holds, and the grant as it was seen to happen."""
    with connect(socket) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        status = health.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S).status
        stub = operator_pb2_grpc.OperatorStub(channel)
        request = operator_pb2.ListAllocationsRequest(filter=f"session = {session.name}")
        rows = stub.ListAllocations(request, timeout=TIMEOUT_S)
        # A generation is the revision of its grant.
        started, change = watch_from(stub, generation - 1)
    held = next(row for row in rows.allocations if row.pasid == pasid and row.device == "")
    say(
        "operator",
        health=health_pb2.HealthCheckResponse.ServingStatus.Name(status),
        allocations=len(rows.allocations),
        same_generation=held.generation == generation,
        tenant=held.tenant,
        address=str(held.bindings[0].first_stage.address),
        started=str(started.revision),
        changed=str(change.revision),
        granted=spans(change.events[0].numbers.ranges),
    )


def tour(options, broker):
    session = Session(broker, options.vm)
    attach(session)
    pasid, block, generation = allocate(session)
    retry(session)
    bind(session, pasid)
    invalidate(session, pasid)
    list_pasids(session, pasid, generation)
    control(session, block)
    refusals(session)
    get_session(session)
    if options.admin_socket:
        operator(options.admin_socket, session, pasid, generation)
    free_and_close(session, block)


def hold(options, broker):
    session = Session(broker, options.vm)
    request = pb.AttachDeviceRequest(session=session.name, device="devices/emu0")
    session.call(broker.AttachDevice, request)
    (block,) = session.allocate(block=pb.NumberBlock(size=16)).ranges
    for pasid in range(block.first, block.last + 1):
        request = pb.BindPasidRequest(
            session=session.name,
            pasid=pasid,
            devices=["devices/emu0"],
            first_stage=types.FirstStageTable(address=TABLE_MAX, address_width=48),
        )
        session.call(broker.BindPasid, request)
    say("hold", session=session.name, first=block.first, last=block.last)
    sys.stdin.read()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vmm-socket", required=True)
    parser.add_argument("--admin-socket", help="left out: no operator's steps")
    parser.add_argument("--scenario", choices=["tour", "hold"], default="tour")
    parser.add_argument("--vm", default="python", help="label of the session")
    options = parser.parse_args()
    with connect(options.vmm_socket) as channel:
        broker = pasid_broker_pb2_grpc.PasidBrokerStub(channel)
        if options.scenario == "hold":
            hold(options, broker)
        else:
            server(channel, broker)
            tour(options, broker)


if __name__ == "__main__":
    main()

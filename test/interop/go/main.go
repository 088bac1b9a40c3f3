// A VMM's client in Go: everything that a session does, once through.
//
// Prints one JSON object a line for each step; 64-bit numbers are strings there, since JSON's
// numbers are doubles. Any surprise ends it. The scenarios:
//
//	tour  open, attach, allocate, bind, invalidate, the Control stream, refusals, free, close
//	hold  open, allocate a block and bind all of it, then stay until stdin ends, and leave it behind
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "pasid-interop/pasid/v1"
)

const (
	timeout = 20 * time.Second
	// The greatest that the fields take: a table just below 2^52, the last page below 2^64.
	tableMax               = uint64(1)<<52 - 4096
	lastPage               = math.MaxUint64 - 4095
	pipelinedInvalidations = 100
)

type facts map[string]any

func say(step string, what facts) {
	what["step"] = step
	line, err := json.Marshal(what)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}

// must gives the answer of a call that is to succeed.
func must[T any](answer T, err error) T {
	check(err)
	return answer
}

func u64(value uint64) string { return fmt.Sprint(value) }

func spans(ranges []*pb.PasidRange) [][]uint32 {
	var all [][]uint32
	for _, one := range ranges {
		all = append(all, []uint32{one.First, one.Last})
	}
	return all
}

func connect(socket string) *grpc.ClientConn {
	insecure := grpc.WithTransportCredentials(insecure.NewCredentials())
	return must(grpc.NewClient("unix:"+socket, insecure))
}

// --- errors

// factsOf gives what a program decides by: the details of a google.rpc.Status, never its text.
func factsOf(refused *status.Status) facts {
	what := facts{"code": refused.Code(), "quota_subjects": []string{}}
	for _, detail := range refused.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			what["reason"], what["domain"] = detail.Reason, detail.Domain
			what["metadata"] = detail.Metadata
		case *errdetails.QuotaFailure:
			var subjects []string
			for _, violation := range detail.Violations {
				subjects = append(subjects, violation.Subject)
			}
			what["quota_subjects"] = subjects
		}
	}
	return what
}

// refusalOf gives the refusal that a call must have ended with.
func refusalOf[T any](_ T, err error) facts {
	if err == nil {
		log.Panic("the call was not refused")
	}
	return factsOf(status.Convert(err))
}

// --- the session

// session is one VM's: its name, and a context that carries its secret as metadata of every call.
type session struct {
	broker pb.PasidBrokerClient
	name   string
	ctx    context.Context
}

func open(ctx context.Context, broker pb.PasidBrokerClient, vm string) *session {
	request := &pb.OpenSessionRequest{
		RequestId: newUUID(), Labels: map[string]string{"vm": vm}, MaxPasids: proto.Uint32(512),
	}
	opened := must(broker.OpenSession(ctx, request))
	again := must(broker.OpenSession(ctx, request))
	say("open_session", facts{
		"name": opened.Session.Name, "tenant": opened.Session.Tenant,
		"max_pasids": opened.Session.MaxPasids, "vm": opened.Session.Labels["vm"],
		"token_length": len(opened.Token),
		"same_again":   again.Session.Name == opened.Session.Name && again.Token == opened.Token,
	})
	ctx = metadata.AppendToOutgoingContext(ctx, "pasid-session-token", opened.Token)
	return &session{broker, opened.Session.Name, ctx}
}

func newUUID() string {
	text := must(os.ReadFile("/proc/sys/kernel/random/uuid"))
	return string(text[:36])
}

func attach(s *session) {
	for _, name := range []string{"devices/emu0", "devices/emu1"} {
		request := &pb.AttachDeviceRequest{Session: s.name, Device: name}
		device := must(s.broker.AttachDevice(s.ctx, request)).Device
		say("attach_device", facts{
			"device": device.Name, "scope": device.Scope.String(), "pasid_bits": device.PasidBits,
			"translation": device.Translation.String(), "address_widths": device.AddressWidths,
		})
	}
}

func exactly(pasids ...uint32) *pb.AllocatePasidsRequest_Exact {
	return &pb.AllocatePasidsRequest_Exact{Exact: &pb.NumberList{Pasids: pasids}}
}

// grants is what the later steps need of what was allocated.
type grants struct {
	pasid      uint32
	generation uint64
	block      *pb.PasidRange
}

// allocate asks for one in a range, a block, exact numbers, and numbers of one device.
func allocate(s *session) grants {
	grant := func(ask string, request *pb.AllocatePasidsRequest) *pb.AllocatePasidsResponse {
		request.Session = s.name
		answer := must(s.broker.AllocatePasids(s.ctx, request))
		say("allocate_pasids", facts{
			"ask": ask, "ranges": spans(answer.Ranges), "generation": u64(answer.Generation),
			"headroom": answer.Headroom.Session, "tenant_limited": answer.Headroom.Tenant != nil,
		})
		return answer
	}
	one := grant("one", &pb.AllocatePasidsRequest{
		Ask: &pb.AllocatePasidsRequest_One{One: &pb.OneNumber{}},
		Min: proto.Uint32(300000), Max: proto.Uint32(399999),
	})
	block := grant("block", &pb.AllocatePasidsRequest{
		Ask: &pb.AllocatePasidsRequest_Block{Block: &pb.NumberBlock{Size: 16}},
		Min: proto.Uint32(400000), Max: proto.Uint32(499999),
	})
	grant("exact", &pb.AllocatePasidsRequest{Ask: exactly(700005, 700001, 700003)})
	grant("device", &pb.AllocatePasidsRequest{
		Scope: pb.Scope_SCOPE_DEVICE, Device: "devices/emu1", Ask: exactly(1, 2),
	})
	return grants{one.Ranges[0].First, one.Generation, block.Ranges[0]}
}

// retry sends one request id again: the same answer, or a refusal when the call is another one.
func retry(s *session) {
	request := &pb.AllocatePasidsRequest{
		Session: s.name, RequestId: newUUID(),
		Ask: &pb.AllocatePasidsRequest_One{One: &pb.OneNumber{}}, Min: proto.Uint32(500000),
	}
	first := must(s.broker.AllocatePasids(s.ctx, request))
	again := must(s.broker.AllocatePasids(s.ctx, request))
	request.Min = proto.Uint32(500001)
	reused := refusalOf(s.broker.AllocatePasids(s.ctx, request))
	say("retry", facts{
		"same_again": proto.Equal(first, again), "pasid": first.Ranges[0].First,
		"reason": reused["reason"],
	})
}

func table(address uint64, width uint32) *pb.BindPasidRequest_FirstStage {
	return &pb.BindPasidRequest_FirstStage{
		FirstStage: &pb.FirstStageTable{Address: address, AddressWidth: width},
	}
}

func bind(s *session, pasid uint32) {
	bound := must(s.broker.BindPasid(s.ctx, &pb.BindPasidRequest{
		Session: s.name, Target: &pb.BindPasidRequest_Pasid{Pasid: pasid},
		Devices: []string{"devices/emu0"}, Table: table(tableMax, 57),
		Domain: 65535, GuestPasid: proto.Uint32(5),
	}))
	later := must(s.broker.BindPasid(s.ctx, &pb.BindPasidRequest{
		Session: s.name, Target: &pb.BindPasidRequest_Rid{Rid: true},
		Devices: []string{"devices/emu1"},
		Table:   &pb.BindPasidRequest_PassThrough{PassThrough: &pb.PassThrough{}}, Domain: 1,
	}))
	say("bind_pasid", facts{
		"revision": u64(bound.Revision), "rid_is_later": later.Revision > bound.Revision,
	})
}

func invalidate(s *session, pasid uint32) {
	const (
		iotlb     = pb.InvalidationCache_INVALIDATION_CACHE_IOTLB
		deviceTLB = pb.InvalidationCache_INVALIDATION_CACHE_DEVICE_TLB
		entry     = pb.InvalidationCache_INVALIDATION_CACHE_PASID
	)
	answer := must(s.broker.Invalidate(s.ctx, &pb.InvalidateRequest{
		Session: s.name,
		Entries: []*pb.InvalidationEntry{{
			Granularity: &pb.InvalidationEntry_Domain{Domain: &pb.DomainGranularity{Domain: 65535}},
			Caches:      []pb.InvalidationCache{iotlb, entry},
		}, {
			Granularity: &pb.InvalidationEntry_Pasid{Pasid: &pb.PasidGranularity{
				Target: &pb.PasidGranularity_Pasid{Pasid: pasid},
			}},
			Caches: []pb.InvalidationCache{iotlb, deviceTLB, entry},
		}, {
			Granularity: &pb.InvalidationEntry_Addresses{Addresses: &pb.AddressGranularity{
				Target: &pb.AddressGranularity_Pasid{Pasid: pasid}, Device: "devices/emu0",
				Address: lastPage, Pages: 1, Leaf: true,
			}},
			Caches: []pb.InvalidationCache{iotlb, deviceTLB},
		}},
	}))
	say("invalidate", facts{"done": answer.Done, "lost": len(answer.Lost)})
}

// listPasids reads all pages; and the one binding made so far, as the broker has it.
func listPasids(s *session, got grants) {
	request := &pb.ListPasidsRequest{Session: s.name, PageSize: 7}
	var pasids []uint32
	var held *pb.Allocation
	for pages := 1; ; pages++ {
		page := must(s.broker.ListPasids(s.ctx, request))
		for _, row := range page.Allocations {
			pasids = append(pasids, row.Pasid)
			if row.Pasid == got.pasid && row.Device == "" {
				held = row
			}
		}
		request.PageToken = page.NextPageToken
		if request.PageToken != "" {
			continue
		}
		var ridDevices []string
		for _, binding := range page.RidBindings {
			ridDevices = append(ridDevices, binding.Device)
		}
		binding := held.Bindings[0]
		say("list_pasids", facts{
			"pages": pages, "pasids": pasids, "same_generation": held.Generation == got.generation,
			"state": held.State.String(), "binding_state": binding.State.String(),
			"guest_pasid": binding.GuestPasid, "address": u64(binding.GetFirstStage().Address),
			"rid_devices": ridDevices, "revision": u64(page.Revision),
		})
		return
	}
}

// --- refusals, and the end

func refusals(s *session) {
	tell := func(of string, refused facts) {
		refused["of"] = of
		say("refusal", refused)
	}
	tell("not_found", refusalOf(s.broker.FreePasids(s.ctx, &pb.FreePasidsRequest{
		Session: s.name,
		What:    &pb.FreePasidsRequest_Pasids{Pasids: &pb.NumberList{Pasids: []uint32{999999}}},
	})))
	tell("quota", refusalOf(s.broker.AllocatePasids(s.ctx, &pb.AllocatePasidsRequest{
		Session: s.name,
		Ask:     &pb.AllocatePasidsRequest_Block{Block: &pb.NumberBlock{Size: 1024}},
	})))
	tell("address", refusalOf(s.broker.BindPasid(s.ctx, &pb.BindPasidRequest{
		Session: s.name, Target: &pb.BindPasidRequest_Pasid{Pasid: 1},
		Devices: []string{"devices/emu0"}, Table: table(math.MaxUint64, 48), Domain: 1,
	})))
	noToken := metadata.NewOutgoingContext(s.ctx, nil)
	request := &pb.GetSessionRequest{Name: s.name}
	tell("token", refusalOf(s.broker.GetSession(noToken, request)))
}

func getSession(s *session) {
	seen := must(s.broker.GetSession(s.ctx, &pb.GetSessionRequest{Name: s.name}))
	say("get_session", facts{
		"state": seen.State.String(), "held_pasids": seen.HeldPasids, "bindings": seen.Bindings,
		"lost_bindings": seen.LostBindings, "devices": seen.Devices,
	})
}

func freeAndClose(s *session) {
	free := func(by string, request *pb.FreePasidsRequest) {
		request.Session = s.name
		answer := must(s.broker.FreePasids(s.ctx, request))
		say("free_pasids", facts{"by": by, "freed": answer.Freed, "durable": answer.Durable})
	}
	byNumber := &pb.NumberList{Pasids: []uint32{700001, 700003, 700005}}
	byRange := &pb.PasidRange{First: 400000, Last: 499999}
	free("pasids", &pb.FreePasidsRequest{What: &pb.FreePasidsRequest_Pasids{Pasids: byNumber}})
	free("range", &pb.FreePasidsRequest{What: &pb.FreePasidsRequest_Range{Range: byRange}})
	free("range_again", &pb.FreePasidsRequest{What: &pb.FreePasidsRequest_Range{Range: byRange}})

	answer := must(s.broker.CloseSession(s.ctx, &pb.CloseSessionRequest{Name: s.name}))
	gone := refusalOf(s.broker.GetSession(s.ctx, &pb.GetSessionRequest{Name: s.name}))
	say("close_session", facts{
		"freed": answer.Freed, "durable": answer.Durable, "then": gone["reason"],
	})
}

// --- what does not need a session

func server(ctx context.Context, channel *grpc.ClientConn, broker pb.PasidBrokerClient) {
	health := grpc_health_v1.NewHealthClient(channel)
	status := must(health.Check(ctx, &grpc_health_v1.HealthCheckRequest{})).Status
	info := must(broker.GetServerInfo(ctx, &pb.GetServerInfoRequest{}))
	caller := info.GetCaller().GetProcess()
	say("server", facts{
		"health": status.String(), "version": info.Version, "incarnation": info.Incarnation,
		"backend": info.Backend, "writable": info.Writable,
		"hold_ms":       info.Hold.AsDuration().Milliseconds(),
		"message_bytes": info.Limits.MessageBytes, "recovered_revision": u64(info.RecoveredRevision),
		"caller": []uint32{caller.GetPid(), caller.GetUid(), caller.GetGid()},
	})
}

// watchFrom gives what came first after a revision; more would come for as long as we listen.
func watchFrom(
	ctx context.Context, client pb.OperatorClient, revision uint64,
) (*pb.WatchStarted, *pb.WatchChange) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := must(client.Watch(ctx, &pb.WatchRequest{FromRevision: &revision}))
	started := must(stream.Recv()).GetStarted()
	return started, must(stream.Recv()).GetChange()
}

// operator is an operator's look at the session: what it holds, and the grant as it was seen to
// happen.
func operator(ctx context.Context, socket string, s *session, got grants) {
	channel := connect(socket)
	defer channel.Close()
	health := grpc_health_v1.NewHealthClient(channel)
	status := must(health.Check(ctx, &grpc_health_v1.HealthCheckRequest{})).Status
	client := pb.NewOperatorClient(channel)
	request := &pb.ListAllocationsRequest{Filter: "session = " + s.name}
	rows := must(client.ListAllocations(ctx, request)).Allocations
	// A generation is the revision of its grant.
	started, change := watchFrom(ctx, client, got.generation-1)
	for _, row := range rows {
		if row.Pasid != got.pasid || row.Device != "" {
			continue
		}
		say("operator", facts{
			"health": status.String(), "allocations": len(rows),
			"same_generation": row.Generation == got.generation, "tenant": row.Tenant,
			"address": u64(row.Bindings[0].GetFirstStage().Address),
			"started": u64(started.Revision), "changed": u64(change.Revision),
			"granted": spans(change.Events[0].GetNumbers().GetRanges()),
		})
	}
}

func tour(ctx context.Context, broker pb.PasidBrokerClient, vm, adminSocket string) {
	s := open(ctx, broker, vm)
	attach(s)
	got := allocate(s)
	retry(s)
	bind(s, got.pasid)
	invalidate(s, got.pasid)
	listPasids(s, got)
	control(s, got.block)
	refusals(s)
	getSession(s)
	if adminSocket != "" {
		operator(ctx, adminSocket, s, got)
	}
	freeAndClose(s)
}

func hold(ctx context.Context, broker pb.PasidBrokerClient, vm string) {
	s := open(ctx, broker, vm)
	device := &pb.AttachDeviceRequest{Session: s.name, Device: "devices/emu0"}
	must(broker.AttachDevice(s.ctx, device))
	ask := &pb.AllocatePasidsRequest_Block{Block: &pb.NumberBlock{Size: 16}}
	request := &pb.AllocatePasidsRequest{Session: s.name, Ask: ask}
	block := must(broker.AllocatePasids(s.ctx, request)).Ranges[0]
	for pasid := block.First; pasid <= block.Last; pasid++ {
		must(broker.BindPasid(s.ctx, &pb.BindPasidRequest{
			Session: s.name, Target: &pb.BindPasidRequest_Pasid{Pasid: pasid},
			Devices: []string{"devices/emu0"}, Table: table(tableMax, 48),
		}))
	}
	say("hold", facts{"session": s.name, "first": block.First, "last": block.Last})
	must(io.ReadAll(os.Stdin))
}

func main() {
	vmmSocket := flag.String("vmm-socket", "", "path of the VMM socket")
	adminSocket := flag.String("admin-socket", "", "left out: no operator's steps")
	scenario := flag.String("scenario", "tour", "tour or hold")
	vm := flag.String("vm", "go", "label of the session")
	flag.Parse()

	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	channel := connect(*vmmSocket)
	defer channel.Close()
	broker := pb.NewPasidBrokerClient(channel)
	switch *scenario {
	case "tour":
		server(ctx, channel, broker)
		tour(ctx, broker, *vm, *adminSocket)
	case "hold":
		hold(ctx, broker, *vm)
	default:
		log.Fatalf("no scenario %q", *scenario)
	}
}

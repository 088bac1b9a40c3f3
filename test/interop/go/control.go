package main

import (
	"fmt"
	"io"
	"math"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "pasid-interop/pasid/v1"
)

// controlStream is the fast path: commands with ids of our own go out, answers come back as they
// are ready.
type controlStream struct {
	stream      pb.PasidBroker_ControlClient
	nextID      uint64
	inFlightMax uint32
	answers     map[uint64]*pb.ControlResponse
	ended       chan error
}

func openControl(s *session) *controlStream {
	c := &controlStream{
		stream: must(s.broker.Control(s.ctx)), nextID: math.MaxUint64,
		answers: map[uint64]*pb.ControlResponse{}, ended: make(chan error, 1),
	}
	c.send(&pb.ControlRequest{Command: &pb.ControlRequest_Open{
		Open: &pb.ControlOpen{Session: s.name},
	}})
	c.inFlightMax = must(c.stream.Recv()).GetOpened().InFlightMax
	go c.receive()
	return c
}

// send writes a command and does not wait; its id counts down from the greatest.
func (c *controlStream) send(command *pb.ControlRequest) uint64 {
	command.Id = c.nextID
	c.nextID--
	check(c.stream.Send(command))
	return command.Id
}

// receive takes answers while commands are still being sent: the broker stops reading when it has
// too many under way, and goes on when answers are taken.
func (c *controlStream) receive() {
	for {
		answer, err := c.stream.Recv()
		if err != nil {
			c.ended <- err
			return
		}
		c.answers[answer.Id] = answer
	}
}

// close says that no more commands come, and waits for the rest of the answers.
func (c *controlStream) close() map[uint64]*pb.ControlResponse {
	check(c.stream.CloseSend())
	if err := <-c.ended; err != io.EOF {
		check(err)
	}
	return c.answers
}

// kindOf names what a command was answered with.
func kindOf(answer *pb.ControlResponse) string {
	switch answer.GetAnswer().(type) {
	case *pb.ControlResponse_BindPasid:
		return "bind_pasid"
	case *pb.ControlResponse_Invalidate:
		return "invalidate"
	case *pb.ControlResponse_UnbindPasids:
		return "unbind_pasids"
	case *pb.ControlResponse_GetSession:
		return "get_session"
	case *pb.ControlResponse_Error:
		return "error"
	}
	return fmt.Sprintf("%T", answer.GetAnswer())
}

func unbind(pasid uint32) *pb.ControlRequest {
	target := &pb.UnbindTarget{Target: &pb.UnbindTarget_Pasid{Pasid: pasid}}
	return &pb.ControlRequest{Command: &pb.ControlRequest_UnbindPasids{
		UnbindPasids: &pb.UnbindPasidsRequest{What: &pb.UnbindPasidsRequest_Target{Target: target}},
	}}
}

// control binds a whole block, invalidates it again and again, unbinds it: all without waiting.
func control(s *session, block *pb.PasidRange) {
	c := openControl(s)
	sent := map[uint64]string{}
	for pasid := block.First; pasid <= block.Last; pasid++ {
		sent[c.send(&pb.ControlRequest{Command: &pb.ControlRequest_BindPasid{
			BindPasid: &pb.BindPasidRequest{
				Target:  &pb.BindPasidRequest_Pasid{Pasid: pasid},
				Devices: []string{"devices/emu0"}, Table: table(tableMax, 48), Domain: 7,
			},
		}})] = "bind_pasid"
	}
	for turn := range uint32(pipelinedInvalidations) {
		target := &pb.PasidGranularity_Pasid{Pasid: block.First + turn%16}
		entry := &pb.InvalidationEntry{
			Granularity: &pb.InvalidationEntry_Pasid{Pasid: &pb.PasidGranularity{Target: target}},
			Caches: []pb.InvalidationCache{
				pb.InvalidationCache_INVALIDATION_CACHE_IOTLB,
				pb.InvalidationCache_INVALIDATION_CACHE_DEVICE_TLB,
			},
		}
		sent[c.send(&pb.ControlRequest{Command: &pb.ControlRequest_Invalidate{
			Invalidate: &pb.InvalidateRequest{Entries: []*pb.InvalidationEntry{entry}},
		}})] = "invalidate"
	}
	for pasid := block.First; pasid <= block.Last; pasid++ {
		sent[c.send(unbind(pasid))] = "unbind_pasids"
	}
	sent[c.send(&pb.ControlRequest{Command: &pb.ControlRequest_GetSession{
		GetSession: &pb.GetSessionRequest{},
	}})] = "get_session"
	wrong := c.send(unbind(999999))
	sent[wrong] = "error"

	answers := c.close()
	var matched, done, unbound uint32
	for id, kind := range sent {
		if kindOf(answers[id]) == kind {
			matched++
		}
		done += answers[id].GetInvalidate().GetDone()
		unbound += answers[id].GetUnbindPasids().GetUnbound()
	}
	// A stream's error has the details as bytes.
	refused := answers[wrong].GetError()
	var details rpcstatus.Status
	check(proto.Unmarshal(refused.Status, &details))
	say("control", facts{
		"in_flight_max": c.inFlightMax, "sent": len(sent), "matched": matched, "done": done,
		"unbound": unbound, "last_id": u64(wrong), "error": factsOf(status.FromProto(&details)),
		"error_reason": refused.Reason,
	})
}

package api

// SyncGroup (key 14)
//
//	v1  throttle time
//	v2  the client throttles itself (KIP-219)
//	v3  group instance id (KIP-345)
//	v4  tagged fields (KIP-482)
//	v5  protocol type and name, mandatory (KIP-559)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
)

// SyncGroup is answered when the leader's own has brought the assignment.
func (g *Groups) SyncGroup(_ *Call, req *kmsg.SyncGroupRequest) Reply {
	if req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) {
		return Done(synced(req, &group.SyncResult{Err: kerr.InconsistentGroupProtocol}))
	}
	sync := group.SyncRequest{
		Group: req.Group, Member: req.MemberID, Instance: req.InstanceID, Generation: req.Generation,
		ProtocolType: req.ProtocolType, Protocol: req.Protocol, Assignments: make(map[string][]byte, len(req.GroupAssignment)),
	}
	for _, a := range req.GroupAssignment {
		sync.Assignments[a.MemberID] = a.MemberAssignment
	}
	answer := g.Coordinator.Sync(sync)
	return Later(func(ctx context.Context) Response {
		r, err := answer.Await(ctx)
		if gone(err) {
			return nil
		}
		if err != nil {
			r = group.SyncResult{Err: refusal(err, kerr.RebalanceInProgress)}
		}
		return synced(req, &r)
	})
}

func synced(req *kmsg.SyncGroupRequest, r *group.SyncResult) Response {
	resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
	resp.ErrorCode = number(r.Err)
	resp.ProtocolType, resp.Protocol, resp.MemberAssignment = r.ProtocolType, r.Protocol, r.Assignment
	return resp
}

package api

// JoinGroup (key 11)
//
//	v1  rebalance timeout apart from the session timeout (KIP-62)
//	v2  throttle time
//	v3  the client throttles itself (KIP-219)
//	v4  MEMBER_ID_REQUIRED (KIP-394)
//	v5  group instance id (KIP-345)
//	v6  tagged fields (KIP-482)
//	v7  protocol type and a nullable protocol name in the answer (KIP-559)
//	v8  reason (KIP-800)
//	v9  skip_assignment (KIP-814)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
)

// JoinGroup is answered when the rebalance is over.
func (g *Groups) JoinGroup(c *Call, req *kmsg.JoinGroupRequest) Reply {
	join := group.JoinRequest{
		Group: req.Group, Member: req.MemberID, Instance: req.InstanceID, Client: group.Client{ID: c.ClientID, Host: c.Host()},
		SessionTimeout: req.SessionTimeoutMillis, RebalanceTimeout: req.RebalanceTimeoutMillis,
		ProtocolType: req.ProtocolType, Protocols: make([]group.Protocol, len(req.Protocols)), Reason: deref(req.Reason),
		NeedID: req.Version >= 4 && req.InstanceID == nil, CanSkip: req.Version >= 9,
	}
	if req.Version == 0 {
		join.RebalanceTimeout = req.SessionTimeoutMillis
	}
	for i, p := range req.Protocols {
		join.Protocols[i] = group.Protocol{Name: p.Name, Metadata: p.Metadata}
	}
	answer := g.Coordinator.Join(join)
	return Later(func(ctx context.Context) Response {
		r, err := answer.Await(ctx)
		if gone(err) {
			return nil
		}
		if err != nil {
			r = group.JoinResult{Err: refusal(err, kerr.CoordinatorNotAvailable), Member: req.MemberID, Generation: -1}
		}
		return joined(req, &r)
	})
}

func joined(req *kmsg.JoinGroupRequest, r *group.JoinResult) Response {
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	resp.ErrorCode = number(r.Err)
	resp.Generation, resp.ProtocolType, resp.Protocol = r.Generation, r.ProtocolType, r.Protocol
	resp.LeaderID, resp.MemberID, resp.SkipAssignment = r.Leader, r.Member, r.SkipAssignment
	if req.Version < 7 && resp.Protocol == nil {
		resp.Protocol = new(string)
	}
	resp.Members = make([]kmsg.JoinGroupResponseMember, len(r.Members))
	for i, m := range r.Members {
		resp.Members[i] = kmsg.JoinGroupResponseMember{MemberID: m.ID, InstanceID: m.Instance, ProtocolMetadata: m.Metadata}
	}
	return resp
}

package api

// LeaveGroup (key 13)
//
//	v1  throttle time
//	v2  the client throttles itself (KIP-219)
//	v3  several members at once, by member id or instance id (KIP-345)
//	v4  tagged fields (KIP-482)
//	v5  reason (KIP-800)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
)

// LeaveGroup removes members. Before v3 there is one, whose error is the response's.
func (g *Groups) LeaveGroup(_ *Call, req *kmsg.LeaveGroupRequest) Reply {
	leaving := []group.Leaving{{Member: req.MemberID}}
	if req.Version >= 3 {
		leaving = make([]group.Leaving, len(req.Members))
		for i, m := range req.Members {
			leaving[i] = group.Leaving{Member: m.MemberID, Instance: m.InstanceID, Reason: deref(m.Reason)}
		}
	}
	answer := g.Coordinator.Leave(req.Group, leaving)
	return Later(func(ctx context.Context) Response {
		errs, err := answer.Await(ctx)
		if gone(err) {
			return nil
		}
		resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
		switch {
		case err != nil:
			resp.ErrorCode = refusal(err, kerr.CoordinatorNotAvailable).Code
		case req.Version < 3:
			resp.ErrorCode = number(errs[0])
		default:
			resp.Members = make([]kmsg.LeaveGroupResponseMember, len(errs))
			for i, l := range leaving {
				resp.Members[i] = kmsg.LeaveGroupResponseMember{MemberID: l.Member, InstanceID: l.Instance, ErrorCode: number(errs[i])}
			}
		}
		return resp
	})
}

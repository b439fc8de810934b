package api

// Heartbeat (key 12)
//
//	v1  throttle time
//	v2  the client throttles itself (KIP-219)
//	v3  group instance id (KIP-345)
//	v4  tagged fields (KIP-482)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
)

// Heartbeat keeps a member's session alive and tells it when to join again.
func (g *Groups) Heartbeat(_ *Call, req *kmsg.HeartbeatRequest) Reply {
	answer := g.Coordinator.Heartbeat(group.HeartbeatRequest{
		Group: req.Group, Member: req.MemberID, Instance: req.InstanceID, Generation: req.Generation,
	})
	return Later(func(ctx context.Context) Response {
		refused, err := answer.Await(ctx)
		if gone(err) {
			return nil
		}
		if err != nil {
			refused = refusal(err, kerr.CoordinatorNotAvailable)
		}
		return &kmsg.HeartbeatResponse{Version: req.Version, ErrorCode: number(refused)}
	})
}

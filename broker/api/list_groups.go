package api

// ListGroups (key 16)
//
//	v1  throttle time
//	v2  the client throttles itself (KIP-219)
//	v3  tagged fields (KIP-482)
//	v4  states, and a filter by them (KIP-518)
//	v5  types, and a filter by them (KIP-848)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListGroups shows the groups that this broker coordinates.
func (g *Groups) ListGroups(c *Call, req *kmsg.ListGroupsRequest) Reply {
	return Later(func(ctx context.Context) Response {
		n, err := g.Coordinator.Size(ctx)
		if err != nil {
			return nil
		}
		leave, err := takeLeave(ctx, n)
		if err != nil {
			return nil
		}
		defer leaves.Release(leave)
		groups, err := g.Coordinator.List(ctx, req.StatesFilter, req.TypesFilter)
		if gone(err) {
			return nil
		}
		size := answerSize{turn: c.turn()}
		defer size.end()
		if !size.add(len(groups)) {
			return nil
		}
		resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
		resp.ErrorCode = code(err)
		resp.Groups = make([]kmsg.ListGroupsResponseGroup, len(groups))
		for i, o := range groups {
			resp.Groups[i] = kmsg.ListGroupsResponseGroup{Group: o.Group, ProtocolType: o.ProtocolType, GroupState: o.State,
				GroupType: o.Type}
		}
		return size.made(resp)
	})
}

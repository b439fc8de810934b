package api

// DescribeGroups (key 15)
//
//	v1  throttle time
//	v2  the client throttles itself (KIP-219)
//	v3  authorized operations (KIP-430)
//	v4  group instance ids (KIP-345)
//	v5  tagged fields (KIP-482)
//	v6  GROUP_ID_NOT_FOUND and an error message (KIP-1043)

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
	"barnabas/coordinator/runtime"
)

// DescribeGroups shows groups. One that does not exist is shown as dead up to v5.
func (g *Groups) DescribeGroups(c *Call, req *kmsg.DescribeGroupsRequest) Reply {
	answers := make([]*runtime.Promise[*group.Description], len(req.Groups))
	asked := map[string]*runtime.Promise[*group.Description]{}
	for i, id := range req.Groups {
		if asked[id] == nil {
			asked[id] = g.Coordinator.Describe(id)
		}
		answers[i] = asked[id]
	}
	return Later(func(ctx context.Context) Response {
		resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
		resp.Groups = make([]kmsg.DescribeGroupsResponseGroup, len(answers))
		total := 0
		for _, answer := range answers {
			d, err := answer.Await(ctx)
			if gone(err) {
				return nil
			}
			total += descriptionSize(d)
		}
		size := answerSize{turn: c.turn()}
		defer size.end()
		if !size.addMore(total) {
			return size.refused()
		}
		for i, answer := range answers {
			d, err := answer.Await(ctx) // which is there
			resp.Groups[i] = described(req, req.Groups[i], d, err)
		}
		return size.made(resp)
	})
}

// descriptionSize is what a group adds to the size of an answer.
func descriptionSize(d *group.Description) int {
	if d == nil {
		return 1
	}
	bytes := 0
	for _, m := range d.Members {
		bytes += len(m.Metadata) + len(m.Assignment)
	}
	return 1 + len(d.Members) + bytes/answerUnit
}

func described(req *kmsg.DescribeGroupsRequest, id string, d *group.Description, err error) kmsg.DescribeGroupsResponseGroup {
	r := kmsg.NewDescribeGroupsResponseGroup()
	r.Group = id
	switch {
	case err != nil:
		r.ErrorCode = refusal(err, kerr.CoordinatorNotAvailable).Code
		return r
	case (d == nil || d.Other) && req.Version >= 6:
		message := fmt.Sprintf("Group %s not found.", id)
		if d != nil {
			message = fmt.Sprintf("Group %s is not a classic group.", id)
		}
		r.State, r.ErrorCode, r.ErrorMessage = group.Dead.String(), kerr.GroupIDNotFound.Code, &message
		return r
	case d == nil:
		d = &group.Description{State: group.Dead.String()}
	}
	if req.IncludeAuthorizedOperations {
		r.AuthorizedOperations = allGroupOperations
	}
	r.State, r.ProtocolType, r.Protocol = d.State, d.ProtocolType, d.Protocol
	r.Members = make([]kmsg.DescribeGroupsResponseGroupMember, len(d.Members))
	for i, m := range d.Members {
		r.Members[i] = kmsg.DescribeGroupsResponseGroupMember{MemberID: m.ID, InstanceID: m.Instance, ClientID: m.Client.ID,
			ClientHost: m.Client.Host, ProtocolMetadata: m.Metadata, MemberAssignment: m.Assignment}
	}
	return r
}

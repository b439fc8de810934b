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
	return Later(func(ctx context.Context) Response {
		found, resp := gather(ctx, c, req.Groups, descriptionSize, func(i, most int) *runtime.Promise[*group.Description] {
			return g.Coordinator.Describe(req.Groups[i], most)
		})
		if found == nil {
			return resp
		}
		defer found.end()
		answer := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
		answer.Groups = make([]kmsg.DescribeGroupsResponseGroup, len(req.Groups))
		for i, a := range found.answers {
			answer.Groups[i] = described(req, req.Groups[i], a.value, a.err)
		}
		return found.size.made(answer)
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

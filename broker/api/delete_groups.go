package api

// DeleteGroups (key 42)
//
//	v1  the client throttles itself (KIP-219)
//	v2  tagged fields (KIP-482)
//	v3  error message

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/runtime"
)

// DeleteGroups removes groups that have no members. A group named twice is answered once.
func (g *Groups) DeleteGroups(_ *Call, req *kmsg.DeleteGroupsRequest) Reply {
	ids := eachOnce(req.Groups)
	answers := make([]*runtime.Promise[*kerr.Error], len(ids))
	for i, id := range ids {
		answers[i] = g.Coordinator.Delete(id)
	}
	return Later(func(ctx context.Context) Response {
		resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
		resp.Groups = make([]kmsg.DeleteGroupsResponseGroup, len(ids))
		for i, answer := range answers {
			refused, err := answer.Await(ctx)
			if gone(err) {
				return nil
			}
			if err != nil {
				refused = refusal(err, kerr.CoordinatorNotAvailable)
			}
			resp.Groups[i] = kmsg.DeleteGroupsResponseGroup{Group: ids[i], ErrorCode: number(refused)}
			if refused != nil {
				resp.Groups[i].ErrorMessage = &refused.Description
			}
		}
		return resp
	})
}

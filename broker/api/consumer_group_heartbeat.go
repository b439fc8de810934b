package api

// ConsumerGroupHeartbeat (key 68) is the consumer protocol of KIP-848.
//
//	v1  a regular expression (KIP-848); members come with an id (KIP-1082)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
	"barnabas/coordinator/group/assign"
)

// ConsumerGroupHeartbeat is answered at once: members learn with one of the next what they get and give up.
func (g *Groups) ConsumerGroupHeartbeat(c *Call, req *kmsg.ConsumerGroupHeartbeatRequest) Reply {
	beat := group.ConsumerHeartbeatRequest{
		Group: req.Group, Member: req.MemberID, Epoch: req.MemberEpoch, Instance: req.InstanceID, Rack: req.RackID,
		Client: group.Client{ID: c.ClientID, Host: c.Host()}, RebalanceTimeout: req.RebalanceTimeoutMillis,
		Topics: req.SubscribedTopicNames, Assignor: req.ServerAssignor, OwnID: req.Version >= 1,
	}
	if req.Version >= 1 {
		beat.Regex = req.SubscribedTopicRegex
	}
	if req.Topics != nil {
		beat.Owned = []assign.Partition{}
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				beat.Owned = append(beat.Owned, assign.Partition{Topic: t.TopicID, ID: p})
			}
		}
	}
	answer := g.Coordinator.ConsumerHeartbeat(beat)
	return Later(func(ctx context.Context) Response {
		r, err := answer.Await(ctx)
		if gone(err) {
			return nil
		}
		resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
		if err != nil {
			r = group.ConsumerHeartbeatResult{Err: refusal(err, kerr.CoordinatorNotAvailable)}
			r.Message = r.Err.Description
		}
		if r.Err != nil {
			resp.ErrorCode, resp.ErrorMessage = r.Err.Code, &r.Message
			return resp
		}
		resp.MemberID, resp.MemberEpoch, resp.HeartbeatIntervalMillis = &r.Member, r.Epoch, r.Interval
		if r.HasAssigned {
			resp.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{}
			for _, ps := range r.Assigned {
				resp.Assignment.Topics = append(resp.Assignment.Topics, kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{
					TopicID: ps[0].Topic, Partitions: partitionIDs(ps)})
			}
		}
		return resp
	})
}

func partitionIDs(ps []assign.Partition) []int32 {
	ids := make([]int32, len(ps))
	for i, p := range ps {
		ids[i] = p.ID
	}
	return ids
}

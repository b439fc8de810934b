package api

// OffsetDelete (key 47) has only v0 (KIP-496).

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
)

// OffsetDelete removes committed offsets of partitions that exist; an error of the group leaves the topics out.
func (g *Groups) OffsetDelete(_ *Call, req *kmsg.OffsetDeleteRequest) Reply {
	img := g.Images.Current()
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	resp.Topics = make([]kmsg.OffsetDeleteResponseTopic, len(req.Topics))
	var wanted []group.TopicPartition
	var places []*kmsg.OffsetDeleteResponseTopicPartition // where the answers go
	for i, t := range req.Topics {
		resp.Topics[i] = kmsg.OffsetDeleteResponseTopic{Topic: t.Topic,
			Partitions: make([]kmsg.OffsetDeleteResponseTopicPartition, len(t.Partitions))}
		for j, p := range t.Partitions {
			place := &resp.Topics[i].Partitions[j]
			place.Partition = p.Partition
			if !exists(img, t.Topic, p.Partition) {
				place.ErrorCode = kerr.UnknownTopicOrPartition.Code
				continue
			}
			wanted, places = append(wanted, group.TopicPartition{Topic: t.Topic, Partition: p.Partition}), append(places, place)
		}
	}
	answer := g.Coordinator.DeleteOffsets(req.Group, wanted)
	return Later(func(ctx context.Context) Response {
		r, err := answer.Await(ctx)
		if gone(err) {
			return nil
		}
		if err != nil {
			r.Err = refusal(err, kerr.CoordinatorNotAvailable)
		}
		if r.Err != nil {
			resp.ErrorCode, resp.Topics = r.Err.Code, nil
			return resp
		}
		for i, place := range places {
			place.ErrorCode = number(r.Errs[i])
		}
		return resp
	})
}

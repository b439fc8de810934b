package api

// CreatePartitions (key 37)
//
//	v1  the client throttles itself (KIP-219)
//	v2  tagged fields
//	v3  THROTTLING_QUOTA_EXCEEDED (KIP-599)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/controller"
	"barnabas/replication/cluster"
)

// awaited is a topic that has been written and whose partitions have no leaders yet.
type awaited struct {
	topic      string
	partitions int32
	at         int // its place in the answer
}

// CreatePartitions raises the number of partitions of topics and answers when the new ones have leaders.
func (t *Topics) CreatePartitions(_ *Call, req *kmsg.CreatePartitionsRequest) Reply {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	count := make(map[string]int, len(req.Topics))
	for i := range req.Topics {
		count[req.Topics[i].Topic]++
	}
	// Topics that stand in the request more than once are answered once.
	topics := make([]*kmsg.CreatePartitionsRequestTopic, 0, len(count))
	for i := range req.Topics {
		name := req.Topics[i].Topic
		if count[name] == 0 {
			continue
		}
		at := kmsg.NewCreatePartitionsResponseTopic()
		at.Topic = name
		if count[name] > 1 {
			at.ErrorCode, at.ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr("Duplicate topic in request.")
		}
		count[name] = 0
		resp.Topics = append(resp.Topics, at)
		topics = append(topics, &req.Topics[i])
	}
	if !t.isController() {
		for i := range resp.Topics {
			resp.Topics[i].ErrorCode, resp.Topics[i].ErrorMessage = kerr.NotController.Code, nil
		}
		return Done(resp)
	}
	return Later(func(ctx context.Context) Response {
		wait, cancel := t.within(ctx, req.TimeoutMillis)
		defer cancel()
		var waits []awaited
		for i, rt := range topics {
			at := &resp.Topics[i]
			if at.ErrorCode != 0 {
				continue
			}
			err := t.Admin.CreatePartitions(ctx, rt.Topic, rt.Count, replicaLists(rt.Assignment), req.ValidateOnly)
			if err != nil {
				failPartitions(at, err)
			} else if !req.ValidateOnly {
				waits = append(waits, awaited{rt.Topic, rt.Count, i})
			}
		}
		for _, w := range waits {
			err := t.Images.Await(wait, func(img *cluster.Image) bool { return led(img, w.topic, w.partitions) })
			if err != nil || req.TimeoutMillis <= 0 {
				failPartitions(&resp.Topics[w.at], &controller.Refusal{Kafka: kerr.RequestTimedOut})
			}
		}
		return resp
	})
}

// replicaLists keeps the difference between null, the broker's choice, and a list.
func replicaLists(assignments []kmsg.CreatePartitionsRequestTopicAssignment) [][]int32 {
	if assignments == nil {
		return nil
	}
	lists := make([][]int32, len(assignments))
	for i := range assignments {
		lists[i] = assignments[i].Replicas
	}
	return lists
}

func failPartitions(at *kmsg.CreatePartitionsResponseTopic, err error) {
	at.ErrorCode, at.ErrorMessage = code(err), refusalText(err)
}

package api

// CreateTopics (key 19)
//
//	v1  validate_only, error messages
//	v2  throttle time
//	v3  the client throttles itself (KIP-219)
//	v4  -1 counts are the broker's defaults (KIP-464); here at every version
//	v5  tagged fields; counts and settings in the answer (KIP-525)
//	v6  THROTTLING_QUOTA_EXCEEDED (KIP-599)
//	v7  topic id in the answer (KIP-516)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/controller"
	"barnabas/replication/cluster"
)

// metadataTopic is the log of KRaft's controllers, which clients may not create.
const metadataTopic = "__cluster_metadata"

// awaited is a topic that has been written and has no leaders yet.
type awaited struct {
	topic      string
	partitions int32
	at         int // its place in the answer
}

// CreateTopics creates topics one by one and answers when all of them have leaders, or the time is up.
func (t *Topics) CreateTopics(_ *Call, req *kmsg.CreateTopicsRequest) Reply {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	resp.Topics = make([]kmsg.CreateTopicsResponseTopic, len(req.Topics))
	count := make(map[string]int, len(req.Topics))
	for i := range req.Topics {
		resp.Topics[i] = kmsg.NewCreateTopicsResponseTopic()
		resp.Topics[i].Topic = req.Topics[i].Topic
		resp.Topics[i].Configs = []kmsg.CreateTopicsResponseTopicConfig{}
		count[req.Topics[i].Topic]++
	}
	if !t.isController() {
		for i := range resp.Topics {
			resp.Topics[i].ErrorCode, resp.Topics[i].ErrorMessage = kerr.NotController.Code, kmsg.StringPtr("")
		}
		return Done(resp)
	}
	return Later(func(ctx context.Context) Response {
		wait, cancel := t.within(ctx, req.TimeoutMillis)
		defer cancel()
		var waits []awaited
		for i := range req.Topics {
			if at := &resp.Topics[i]; !refusedByName(at, count) && t.createTopic(ctx, req, &req.Topics[i], at) {
				waits = append(waits, awaited{at.Topic, at.NumPartitions, i})
			}
		}
		for _, w := range waits {
			err := t.Images.Await(wait, func(img *cluster.Image) bool { return led(img, w.topic, w.partitions) })
			if err != nil || req.TimeoutMillis <= 0 {
				failCreate(&resp.Topics[w.at], &controller.Refusal{Kafka: kerr.RequestTimedOut})
			}
		}
		return resp
	})
}

// refusedByName refuses what can be refused by looking at the names in the request.
func refusedByName(at *kmsg.CreateTopicsResponseTopic, count map[string]int) bool {
	switch {
	case at.Topic == metadataTopic:
		at.ErrorMessage = kmsg.StringPtr("Creation of internal topic " + metadataTopic + " is prohibited.")
	case count[at.Topic] > 1:
		at.ErrorMessage = kmsg.StringPtr("Found multiple entries for this topic.")
	default:
		return false
	}
	at.ErrorCode = kerr.InvalidRequest.Code
	return true
}

// createTopic creates one topic and fills in its answer; true says that it must be waited for.
func (t *Topics) createTopic(ctx context.Context, req *kmsg.CreateTopicsRequest, rt *kmsg.CreateTopicsRequestTopic, at *kmsg.CreateTopicsResponseTopic) bool {
	n := controller.NewTopic{Name: rt.Topic, Partitions: rt.NumPartitions, ReplicationFactor: rt.ReplicationFactor}
	if len(rt.ReplicaAssignment) > 0 {
		n.Assignments = make(map[int32][]int32, len(rt.ReplicaAssignment))
		for _, a := range rt.ReplicaAssignment { // a partition given twice: the last one holds
			n.Assignments[a.Partition] = a.Replicas
		}
	}
	n.Configs = make(map[string]*string, len(rt.Configs))
	for _, c := range rt.Configs {
		if given, twice := n.Configs[c.Name]; twice && given == nil {
			continue // one null value is enough to be refused
		}
		n.Configs[c.Name] = c.Value
	}
	created, err := t.Admin.CreateTopic(ctx, n, req.ValidateOnly)
	if err != nil {
		failCreate(at, err)
		return false
	}
	at.TopicID = created.ID
	at.NumPartitions, at.ReplicationFactor = created.Partitions, created.ReplicationFactor
	for _, row := range t.Settings.DescribeTopic(created.Configs) {
		at.Configs = append(at.Configs, kmsg.CreateTopicsResponseTopicConfig{
			Name: row.Name, Value: row.Value, ReadOnly: row.ReadOnly, Source: int8(row.Source), IsSensitive: row.Sensitive,
		})
	}
	return !req.ValidateOnly
}

// failCreate answers with an error. The id stays: the topic may be there all the same.
func failCreate(at *kmsg.CreateTopicsResponseTopic, err error) {
	at.ErrorCode, at.ErrorMessage = code(err), refusalText(err)
	at.NumPartitions, at.ReplicationFactor = -1, -1
	at.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
}

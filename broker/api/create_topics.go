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

// CreateTopics creates topics and answers when all of them have leaders, or the time is up.
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
		var wanted []controller.NewTopic
		var at []*kmsg.CreateTopicsResponseTopic // of each that is wanted
		for i := range req.Topics {
			if !refusedByName(&resp.Topics[i], count) {
				wanted, at = append(wanted, newTopicOf(&req.Topics[i])), append(at, &resp.Topics[i])
			}
		}
		results := t.Admin.CreateTopics(ctx, wanted, req.ValidateOnly)
		for i, r := range results {
			t.answerCreate(at[i], r)
		}
		for i, r := range results {
			if r.Err != nil || req.ValidateOnly {
				continue
			}
			err := t.Images.Await(wait, func(img *cluster.Image) bool { return led(img, at[i].Topic, r.Partitions) })
			if err != nil || req.TimeoutMillis <= 0 {
				failCreate(at[i], &controller.Refusal{Kafka: kerr.RequestTimedOut})
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

// newTopicOf is a topic as the request wants it.
func newTopicOf(rt *kmsg.CreateTopicsRequestTopic) controller.NewTopic {
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
	return n
}

// answerCreate tells what became of one topic.
func (t *Topics) answerCreate(at *kmsg.CreateTopicsResponseTopic, r controller.CreateResult) {
	if r.Err != nil {
		failCreate(at, r.Err)
		return
	}
	at.TopicID = r.ID
	at.NumPartitions, at.ReplicationFactor = r.Partitions, r.ReplicationFactor
	for _, row := range t.Settings.DescribeTopic(r.Configs) {
		at.Configs = append(at.Configs, kmsg.CreateTopicsResponseTopicConfig{
			Name: row.Name, Value: row.Value, ReadOnly: row.ReadOnly, Source: int8(row.Source), IsSensitive: row.Sensitive,
		})
	}
}

// failCreate answers with an error. The id stays: the topic may be there all the same.
func failCreate(at *kmsg.CreateTopicsResponseTopic, err error) {
	at.ErrorCode, at.ErrorMessage = code(err), refusalText(err)
	at.NumPartitions, at.ReplicationFactor = -1, -1
	at.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
}

package api

// ElectLeaders (key 43)
//
//	v0  preferred leaders only
//	v1  the type of election; top-level error (KIP-460)
//	v2  tagged fields

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/controller"
	"barnabas/replication/cluster"
)

// ElectLeaders has leaders elected and answers when the picture shows them. Without a list of partitions, only those are
// answered where an election took place or failed.
func (t *Topics) ElectLeaders(_ *Call, req *kmsg.ElectLeadersRequest) Reply {
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	kind := controller.PreferredElection
	if req.Version >= 1 {
		kind = controller.ElectionType(req.ElectionType)
	}
	if kind != controller.PreferredElection && kind != controller.UncleanElection {
		// UNKNOWN_SERVER_ERROR is never explained, lest it tell what is nobody's business.
		resp.ErrorCode = kerr.UnknownServerError.Code
		resp.Topics = electionResults(everywhere(partitionsAsked(req), kerr.UnknownServerError))
		return Done(resp)
	}
	if !t.isController() {
		asked := partitionsAsked(req)
		if asked == nil {
			asked = allPartitions(t.Images.Current())
		}
		resp.Topics = electionResults(everywhere(asked, &controller.Refusal{Kafka: kerr.NotController}))
		return Done(resp)
	}
	return Later(func(ctx context.Context) Response {
		asked := partitionsAsked(req)
		wait, cancel := t.within(ctx, req.TimeoutMillis)
		defer cancel()
		results, err := t.Controller.ElectLeaders(ctx, kind, asked)
		if err != nil {
			if asked == nil {
				asked = allPartitions(t.Images.Current())
			}
			results = everywhere(asked, err)
		}
		t.awaitLeaders(wait, results)
		resp.Topics = electionResults(results)
		return resp
	})
}

// awaitLeaders waits until the picture shows the elected leaders; those that it does not show in time are REQUEST_TIMED_OUT.
func (t *Topics) awaitLeaders(ctx context.Context, results map[cluster.TopicPartition]controller.Election) {
	shown := func(img *cluster.Image, tp cluster.TopicPartition, e controller.Election) bool {
		p := img.Partition(tp.Topic, tp.Partition)
		return e.Err != nil || p != nil && p.Leader == e.Leader
	}
	err := t.Images.Await(ctx, func(img *cluster.Image) bool {
		for tp, e := range results {
			if !shown(img, tp, e) {
				return false
			}
		}
		return true
	})
	if err == nil {
		return
	}
	img := t.Images.Current()
	for tp, e := range results {
		if !shown(img, tp, e) {
			results[tp] = controller.Election{Leader: cluster.NoLeader, Err: &controller.Refusal{Kafka: kerr.RequestTimedOut}}
		}
	}
}

// partitionsAsked are the partitions that a request names; nil for all.
func partitionsAsked(req *kmsg.ElectLeadersRequest) []cluster.TopicPartition {
	if req.Topics == nil {
		return nil
	}
	list := []cluster.TopicPartition{}
	for _, rt := range req.Topics {
		for _, p := range rt.Partitions {
			list = append(list, cluster.TopicPartition{Topic: rt.Topic, Partition: p})
		}
	}
	return list
}

func allPartitions(img *cluster.Image) []cluster.TopicPartition {
	var list []cluster.TopicPartition
	for _, name := range img.TopicNames() {
		for id := range img.Topics[name].Partitions {
			list = append(list, cluster.TopicPartition{Topic: name, Partition: int32(id)})
		}
	}
	return list
}

func everywhere(list []cluster.TopicPartition, err error) map[cluster.TopicPartition]controller.Election {
	results := make(map[cluster.TopicPartition]controller.Election, len(list))
	for _, tp := range list {
		results[tp] = controller.Election{Leader: cluster.NoLeader, Err: err}
	}
	return results
}

// electionResults puts results by topic, in order.
func electionResults(results map[cluster.TopicPartition]controller.Election) []kmsg.ElectLeadersResponseTopic {
	byTopic := map[string]*kmsg.ElectLeadersResponseTopic{}
	for tp, e := range results {
		at := byTopic[tp.Topic]
		if at == nil {
			topic := kmsg.NewElectLeadersResponseTopic()
			topic.Topic = tp.Topic
			at = &topic
			byTopic[tp.Topic] = at
		}
		p := kmsg.NewElectLeadersResponseTopicPartition()
		p.Partition, p.ErrorCode, p.ErrorMessage = tp.Partition, code(e.Err), refusalText(e.Err)
		at.Partitions = append(at.Partitions, p)
	}
	list := make([]kmsg.ElectLeadersResponseTopic, 0, len(byTopic))
	for _, at := range byTopic {
		slices.SortFunc(at.Partitions, func(a, b kmsg.ElectLeadersResponseTopicPartition) int { return cmp.Compare(a.Partition, b.Partition) })
		list = append(list, *at)
	}
	slices.SortFunc(list, func(a, b kmsg.ElectLeadersResponseTopic) int { return cmp.Compare(a.Topic, b.Topic) })
	return list
}

package api

// DeleteTopics (key 20)
//
//	v1  throttle time
//	v2  the client throttles itself (KIP-219)
//	v3  TOPIC_DELETION_DISABLED instead of INVALID_REQUEST
//	v4  tagged fields
//	v5  error messages; THROTTLING_QUOTA_EXCEEDED (KIP-599)
//	v6  topics by id (KIP-516)

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication/cluster"
)

// DeleteTopics has topics deleted and answers when they are gone: from the picture, from the disks, and from the store,
// so that a topic of the same name may be created at once.
func (t *Topics) DeleteTopics(_ *Call, req *kmsg.DeleteTopicsRequest) Reply {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	for _, name := range req.TopicNames {
		resp.Topics = append(resp.Topics, deletable(&name, [16]byte{}))
	}
	for _, rt := range req.Topics {
		resp.Topics = append(resp.Topics, deletable(rt.Topic, rt.TopicID))
	}
	if why := t.refuseDeletes(req); why != nil {
		for i := range resp.Topics {
			resp.Topics[i].ErrorCode = why.Code
		}
		return Done(resp)
	}
	img := t.Images.Current()
	doomed := map[string]*cluster.Topic{}
	for i := range resp.Topics {
		if topic := findDeletable(img, &resp.Topics[i]); topic != nil {
			doomed[topic.Name] = topic
		}
	}
	if len(doomed) == 0 {
		return Done(resp)
	}
	return Later(func(ctx context.Context) Response {
		wait, cancel := t.within(ctx, req.TimeoutMillis)
		defer cancel()
		failed := map[string]*kerr.Error{}
		names := slices.Sorted(maps.Keys(doomed))
		for i, err := range t.Admin.DeleteTopics(ctx, names) {
			if err != nil {
				failed[names[i]] = asKafka(err)
				delete(doomed, names[i])
			}
		}
		for name, topic := range doomed {
			if err := t.awaitGone(wait, img, topic); err != nil || req.TimeoutMillis <= 0 {
				failed[name] = kerr.RequestTimedOut
			}
		}
		for i := range resp.Topics {
			if at := &resp.Topics[i]; at.ErrorCode == 0 && at.Topic != nil && failed[*at.Topic] != nil {
				at.ErrorCode = failed[*at.Topic].Code
			}
		}
		return resp
	})
}

func deletable(name *string, id [16]byte) kmsg.DeleteTopicsResponseTopic {
	at := kmsg.NewDeleteTopicsResponseTopic()
	at.Topic, at.TopicID = name, id
	return at
}

// refuseDeletes is what is wrong with a request as a whole.
func (t *Topics) refuseDeletes(req *kmsg.DeleteTopicsRequest) *kerr.Error {
	if !t.isController() {
		return kerr.NotController
	}
	if !t.Settings.Broker().DeleteTopicEnable {
		if req.Version < 3 {
			return kerr.InvalidRequest
		}
		return kerr.TopicDeletionDisabled
	}
	for _, rt := range req.Topics {
		if rt.Topic != nil && rt.TopicID != ([16]byte{}) {
			return kerr.InvalidRequest
		}
	}
	return nil
}

// findDeletable finds the topic that an entry names, and completes or refuses the entry.
func findDeletable(img *cluster.Image, at *kmsg.DeleteTopicsResponseTopic) *cluster.Topic {
	var topic *cluster.Topic
	switch {
	case at.TopicID != [16]byte{}:
		if topic = img.ByID[at.TopicID]; topic == nil {
			at.ErrorCode = kerr.UnknownTopicID.Code
			return nil
		}
		at.Topic = &topic.Name
	case at.Topic == nil: // a topic without a name is one that nobody may see
		at.ErrorCode = kerr.TopicAuthorizationFailed.Code
	default:
		if topic = img.Topics[*at.Topic]; topic == nil {
			at.ErrorCode = kerr.UnknownTopicOrPartition.Code
		}
	}
	return topic
}

// awaitGone waits until the picture does not have the topic any more, and then for the rest of it to go. A topic with a
// replica on a broker that is away is not waited for beyond the picture: that replica goes when its broker returns.
func (t *Topics) awaitGone(ctx context.Context, was *cluster.Image, topic *cluster.Topic) error {
	err := t.Images.Await(ctx, func(img *cluster.Image) bool {
		now := img.Topics[topic.Name]
		return now == nil || now.ID != topic.ID
	})
	if err != nil {
		return err
	}
	for _, p := range topic.Partitions {
		if p == nil {
			continue
		}
		for _, id := range p.Replicas {
			if was.Brokers[id] == nil {
				return nil
			}
		}
		if len(p.Offline) > 0 {
			return nil
		}
	}
	return t.Admin.AwaitDeleted(ctx, topic.Name)
}

package api

// OffsetCommit (key 8)
//
//	v0  into the coordination store, under /consumers
//	v1  into __consumer_offsets, with a timestamp for each partition; generation and member id
//	v2  no timestamps; a retention for all
//	v3  throttle time
//	v4  the client throttles itself (KIP-219)
//	v5  no retention (KIP-211)
//	v6  leader epochs (KIP-320)
//	v7  group instance id (KIP-345)
//	v8  tagged fields (KIP-482)
//	v9  members of KIP-848 groups
//	v10 topic ids (KIP-848)

import (
	"context"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
	"barnabas/replication/cluster"
)

// OffsetCommit stores the offsets of partitions that exist; those of others are refused one by one.
func (g *Groups) OffsetCommit(_ *Call, req *kmsg.OffsetCommitRequest) Reply {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	known := checkCommit(g.Images.Current(), req, resp)
	switch {
	case len(known) == 0:
		return Done(resp)
	case req.Version == 0:
		return Later(func(ctx context.Context) Response { return g.commitLegacy(ctx, req, resp, known) })
	}
	commit := group.CommitRequest{Group: req.Group, Member: req.MemberID, Instance: req.InstanceID, Generation: req.Generation,
		Retention: -1}
	if req.Version >= 2 && req.Version <= 4 {
		commit.Retention = req.RetentionTimeMillis
	}
	for _, k := range known {
		commit.Topics = append(commit.Topics, commitTopic(req, k))
	}
	answer := g.Coordinator.Commit(commit)
	return Later(func(ctx context.Context) Response {
		res, err := answer.Await(ctx)
		if gone(err) {
			return nil
		}
		for i, k := range known {
			for j, at := range k.partitions {
				e := asKafkaOrNil(err)
				if e == nil {
					e = res[i][j]
				}
				resp.Topics[k.topic].Partitions[at].ErrorCode = number(e)
			}
		}
		return resp
	})
}

// knownTopic is a topic of a request and the partitions of it that exist, as indexes into the request.
type knownTopic struct {
	topic      int
	name       string
	partitions []int
}

// checkCommit prepares the response and finds what can be committed.
func checkCommit(img *cluster.Image, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) []knownTopic {
	var known []knownTopic
	resp.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
	for i := range req.Topics {
		t := &req.Topics[i]
		name, ok := topicName(img, t.Topic, t.TopicID, req.Version >= 10)
		k := knownTopic{topic: i, name: name}
		resp.Topics[i] = kmsg.OffsetCommitResponseTopic{Topic: t.Topic, TopicID: t.TopicID,
			Partitions: make([]kmsg.OffsetCommitResponseTopicPartition, len(t.Partitions))}
		for j := range t.Partitions {
			p := &resp.Topics[i].Partitions[j]
			p.Partition = t.Partitions[j].Partition
			switch {
			case !ok:
				p.ErrorCode = kerr.UnknownTopicID.Code
			case !exists(img, name, p.Partition):
				p.ErrorCode = kerr.UnknownTopicOrPartition.Code
			default:
				k.partitions = append(k.partitions, j)
			}
		}
		if len(k.partitions) > 0 {
			known = append(known, k)
		}
	}
	return known
}

func commitTopic(req *kmsg.OffsetCommitRequest, k knownTopic) group.CommitTopic {
	t := group.CommitTopic{Topic: k.name, Partitions: make([]group.CommitPartition, len(k.partitions))}
	for i, at := range k.partitions {
		p := &req.Topics[k.topic].Partitions[at]
		c := group.CommitPartition{Partition: p.Partition, Offset: p.Offset, LeaderEpoch: -1, Timestamp: -1, Metadata: deref(p.Metadata)}
		if req.Version >= 6 {
			c.LeaderEpoch = p.LeaderEpoch
		}
		if req.Version == 1 {
			c.Timestamp = p.Timestamp
		}
		t.Partitions[i] = c
	}
	return t
}

func (g *Groups) commitLegacy(ctx context.Context, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, known []knownTopic) Response {
	for _, k := range known {
		for _, at := range k.partitions {
			p := &req.Topics[k.topic].Partitions[at]
			if len(utf16.Encode([]rune(deref(p.Metadata)))) > g.Coordinator.MaxMetadata() {
				resp.Topics[k.topic].Partitions[at].ErrorCode = kerr.OffsetMetadataTooLarge.Code
				continue
			}
			err := g.Legacy.CommitOffset(ctx, req.Group, k.name, p.Partition, p.Offset)
			if gone(err) {
				return nil
			}
			resp.Topics[k.topic].Partitions[at].ErrorCode = code(err)
		}
	}
	return resp
}

func asKafkaOrNil(err error) *kerr.Error {
	if err == nil {
		return nil
	}
	return asKafka(err)
}

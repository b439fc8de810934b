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
	answers := newCommitAnswers(req)
	known := checkCommit(g.Images.Current(), req, answers)
	switch {
	case len(known) == 0:
		return Done(answers.resp)
	case req.Version == 0:
		return Later(func(ctx context.Context) Response { return g.commitLegacy(ctx, req, answers, known) })
	}
	known = once(known)
	commit := group.CommitRequest{Group: req.Group, Member: req.MemberID, Instance: req.InstanceID, Generation: req.Generation,
		Retention: -1, Epochs: req.Version >= 9}
	if req.Version >= 2 && req.Version <= 4 {
		commit.Retention = req.RetentionTimeMillis
	}
	for _, k := range known {
		commit.Topics = append(commit.Topics, commitTopic(req.Version, k))
	}
	answer := g.Coordinator.Commit(commit)
	return Later(func(ctx context.Context) Response {
		res, err := answer.Await(ctx)
		if gone(err) {
			return nil
		}
		for i, k := range known {
			for j, p := range k.partitions {
				e := asKafkaOrNil(err)
				if e == nil {
					e = res[i][j]
				}
				answers.add(k.commitTopicKey, p.Partition, number(e))
			}
		}
		return answers.resp
	})
}

// commitTopicKey is what a request calls a topic: its name, or from v10 its id.
type commitTopicKey struct {
	topic string
	id    [16]byte
}

// commitAnswers gathers a response. As in Apache Kafka a topic comes once, however often the request has it, and what could not
// be tried stands before what was.
type commitAnswers struct {
	resp *kmsg.OffsetCommitResponse
	at   map[commitTopicKey]int
}

func newCommitAnswers(req *kmsg.OffsetCommitRequest) *commitAnswers {
	return &commitAnswers{resp: req.ResponseKind().(*kmsg.OffsetCommitResponse), at: map[commitTopicKey]int{}}
}

func (a *commitAnswers) topic(k commitTopicKey) *kmsg.OffsetCommitResponseTopic {
	i, ok := a.at[k]
	if !ok {
		i = len(a.resp.Topics)
		a.at[k] = i
		a.resp.Topics = append(a.resp.Topics, kmsg.OffsetCommitResponseTopic{Topic: k.topic, TopicID: k.id})
	}
	return &a.resp.Topics[i]
}

func (a *commitAnswers) add(k commitTopicKey, partition int32, code int16) {
	t := a.topic(k)
	t.Partitions = append(t.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: partition, ErrorCode: code})
}

// knownTopic is a topic of a request and the partitions of it that exist.
type knownTopic struct {
	commitTopicKey
	name       string
	partitions []*kmsg.OffsetCommitRequestTopicPartition
}

// checkCommit answers what cannot be committed and finds what can. A topic that does not exist is answered even without
// partitions, one that does exist is not.
func checkCommit(img *cluster.Image, req *kmsg.OffsetCommitRequest, answers *commitAnswers) []knownTopic {
	var known []knownTopic
	for i := range req.Topics {
		t := &req.Topics[i]
		name, ok := topicName(img, t.Topic, t.TopicID, req.Version >= 10)
		k := knownTopic{commitTopicKey: commitTopicKey{t.Topic, t.TopicID}, name: name}
		if !ok || img.Topics[name] == nil {
			answers.topic(k.commitTopicKey)
		}
		for j := range t.Partitions {
			p := &t.Partitions[j]
			switch {
			case !ok:
				answers.add(k.commitTopicKey, p.Partition, kerr.UnknownTopicID.Code)
			case !exists(img, name, p.Partition):
				answers.add(k.commitTopicKey, p.Partition, kerr.UnknownTopicOrPartition.Code)
			default:
				k.partitions = append(k.partitions, p)
			}
		}
		if len(k.partitions) > 0 {
			known = append(known, k)
		}
	}
	return known
}

// once leaves each partition once, with the last offset that the request has for it.
func once(known []knownTopic) []knownTopic {
	type partition struct {
		commitTopicKey
		id int32
	}
	topics, partitions := map[commitTopicKey]int{}, map[partition]int{}
	var set []knownTopic
	for _, k := range known {
		i, ok := topics[k.commitTopicKey]
		if !ok {
			i = len(set)
			topics[k.commitTopicKey] = i
			set = append(set, knownTopic{commitTopicKey: k.commitTopicKey, name: k.name})
		}
		for _, p := range k.partitions {
			at := partition{k.commitTopicKey, p.Partition}
			if j, ok := partitions[at]; ok {
				set[i].partitions[j] = p
				continue
			}
			partitions[at] = len(set[i].partitions)
			set[i].partitions = append(set[i].partitions, p)
		}
	}
	return set
}

func commitTopic(version int16, k knownTopic) group.CommitTopic {
	t := group.CommitTopic{Topic: k.name, Partitions: make([]group.CommitPartition, len(k.partitions))}
	for i, p := range k.partitions {
		c := group.CommitPartition{Partition: p.Partition, Offset: p.Offset, LeaderEpoch: -1, Timestamp: -1, Metadata: deref(p.Metadata)}
		if version >= 6 {
			c.LeaderEpoch = p.LeaderEpoch
		}
		if version == 1 {
			c.Timestamp = p.Timestamp
		}
		t.Partitions[i] = c
	}
	return t
}

// commitLegacy writes one after the other: a partition that comes twice is written and answered twice.
func (g *Groups) commitLegacy(ctx context.Context, req *kmsg.OffsetCommitRequest, answers *commitAnswers, known []knownTopic) Response {
	for _, k := range known {
		for _, p := range k.partitions {
			err := error(kerr.OffsetMetadataTooLarge)
			if len(utf16.Encode([]rune(deref(p.Metadata)))) <= g.Coordinator.MaxMetadata() {
				err = g.Legacy.CommitOffset(ctx, req.Group, k.name, p.Partition, p.Offset)
			}
			if gone(err) {
				return nil
			}
			answers.add(k.commitTopicKey, p.Partition, code(err))
		}
	}
	return answers.resp
}

func asKafkaOrNil(err error) *kerr.Error {
	if err == nil {
		return nil
	}
	return asKafka(err)
}

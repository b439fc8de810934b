package api

// OffsetFetch (key 9)
//
//	v0  from the coordination store, under /consumers
//	v1  from __consumer_offsets
//	v2  null topics mean all; an error of the group
//	v3  throttle time
//	v4  the client throttles itself (KIP-219)
//	v5  leader epochs (KIP-320)
//	v6  tagged fields (KIP-482)
//	v7  require_stable (KIP-447)
//	v8  several groups (KIP-709)
//	v9  members of KIP-848 groups
//	v10 topic ids (KIP-848)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
	"barnabas/coordinator/runtime"
	"barnabas/replication/cluster"
)

// OffsetFetch gives committed offsets. Up to v7 there is one group, which is brought into the form of v8 and back.
func (g *Groups) OffsetFetch(c *Call, req *kmsg.OffsetFetchRequest) Reply {
	if req.Version == 0 {
		return Later(func(ctx context.Context) Response { return g.fetchLegacy(ctx, req) })
	}
	return Later(func(ctx context.Context) Response {
		img := g.Images.Current()
		groups := fetchGroups(req)
		fetches := make([]offsetFetch, len(groups))
		questions := make([]offsetQuestion, len(groups))
		for i := range groups {
			fetches[i] = newOffsetFetch(img, req.Version, &groups[i])
			questions[i] = fetches[i].question(i)
		}
		found, resp := gather(ctx, c, questions, offsetsSize, func(i, most int) *runtime.Promise[[]group.Offset] {
			return fetches[i].ask(g.Coordinator, req.RequireStable, most)
		})
		if found == nil {
			return resp
		}
		defer found.end()
		answers := make([]kmsg.OffsetFetchResponseGroup, len(fetches))
		for i, a := range found.answers {
			answers[i] = fetches[i].result(img, a.value, a.err)
		}
		return found.size.made(fetched(req, answers))
	})
}

func fetchGroups(req *kmsg.OffsetFetchRequest) []kmsg.OffsetFetchRequestGroup {
	groups := req.Groups
	if req.Version < 8 {
		one := kmsg.OffsetFetchRequestGroup{Group: req.Group}
		if req.Topics != nil || req.Version < 2 {
			one.Topics = make([]kmsg.OffsetFetchRequestGroupTopic, len(req.Topics))
			for i, t := range req.Topics {
				one.Topics[i] = kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions}
			}
		}
		groups = []kmsg.OffsetFetchRequestGroup{one}
	}
	for i := range groups {
		if groups[i].Topics != nil {
			groups[i].Topics = distinct(groups[i].Topics)
		}
	}
	return groups
}

// distinct makes a set of what a client names: Apache Kafka answers a partition once however often it is named, and a topic
// without partitions not at all.
func distinct(topics []kmsg.OffsetFetchRequestGroupTopic) []kmsg.OffsetFetchRequestGroupTopic {
	type topic struct {
		name string
		id   [16]byte
	}
	type partition struct {
		topic
		id int32
	}
	at, seen := map[topic]int{}, map[partition]bool{}
	set := []kmsg.OffsetFetchRequestGroupTopic{}
	for _, t := range topics {
		key := topic{t.Topic, t.TopicID}
		for _, p := range t.Partitions {
			if seen[partition{key, p}] {
				continue
			}
			seen[partition{key, p}] = true
			i, ok := at[key]
			if !ok {
				i = len(set)
				at[key] = i
				set = append(set, kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, TopicID: t.TopicID})
			}
			set[i].Partitions = append(set[i].Partitions, p)
		}
	}
	return set
}

// offsetFetch is what is asked of one group.
type offsetFetch struct {
	version int16
	group   *kmsg.OffsetFetchRequestGroup
	wanted  []group.TopicPartition // nil for all
	unknown []bool                 // by topic of the request: its id is not known
}

func newOffsetFetch(img *cluster.Image, version int16, fg *kmsg.OffsetFetchRequestGroup) offsetFetch {
	f := offsetFetch{version: version, group: fg}
	if fg.Topics != nil {
		f.wanted = []group.TopicPartition{}
		f.unknown = make([]bool, len(fg.Topics))
	}
	for i, t := range fg.Topics {
		name, ok := topicName(img, t.Topic, t.TopicID, version >= 10)
		if f.unknown[i] = !ok; !ok {
			continue
		}
		for _, p := range t.Partitions {
			f.wanted = append(f.wanted, group.TopicPartition{Topic: name, Partition: p})
		}
	}
	return f
}

// offsetQuestion is equal where the same is asked of the same group: all its offsets, by the same member.
type offsetQuestion struct {
	group, member string
	named         bool
	epoch         int32
	only          int // which of the request, where it asks for some partitions; else 0
}

func (f *offsetFetch) question(i int) offsetQuestion {
	q := offsetQuestion{group: f.group.Group, epoch: f.group.MemberEpoch}
	if q.named = f.group.MemberID != nil; q.named {
		q.member = *f.group.MemberID
	}
	if f.group.Topics != nil {
		q.only = i + 1
	}
	return q
}

func (f *offsetFetch) ask(c *group.Coordinator, stable bool, most int) *runtime.Promise[[]group.Offset] {
	if f.version >= 9 {
		return c.FetchAs(f.group.Group, f.group.MemberID, f.group.MemberEpoch, f.wanted, stable, most)
	}
	return c.Fetch(f.group.Group, f.wanted, stable, most)
}

// offsetsSize is what offsets add to the size of an answer.
func offsetsSize(offsets []group.Offset) int {
	bytes := 0
	for _, o := range offsets {
		bytes += len(o.Metadata)
	}
	return len(offsets) + bytes/answerUnit
}

// result puts the offsets into the order of the request; those of all topics come sorted.
func (f *offsetFetch) result(img *cluster.Image, offsets []group.Offset, err error) kmsg.OffsetFetchResponseGroup {
	res := kmsg.OffsetFetchResponseGroup{Group: f.group.Group}
	if err != nil {
		res.ErrorCode = refusal(err, kerr.CoordinatorNotAvailable).Code
		return res
	}
	if f.group.Topics == nil {
		for _, o := range offsets {
			n := len(res.Topics)
			if n == 0 || res.Topics[n-1].Topic != o.Topic {
				t := img.Topics[o.Topic]
				if f.version >= 10 && t == nil {
					continue // deleted meanwhile: it has no id by which to name it
				}
				res.Topics = append(res.Topics, kmsg.OffsetFetchResponseGroupTopic{Topic: o.Topic})
				if n++; t != nil {
					res.Topics[n-1].TopicID = t.ID
				}
			}
			res.Topics[n-1].Partitions = append(res.Topics[n-1].Partitions, offsetPartition(o))
		}
		return res
	}
	res.Topics = make([]kmsg.OffsetFetchResponseGroupTopic, len(f.group.Topics))
	for i, t := range f.group.Topics {
		res.Topics[i] = kmsg.OffsetFetchResponseGroupTopic{Topic: t.Topic, TopicID: t.TopicID,
			Partitions: make([]kmsg.OffsetFetchResponseGroupTopicPartition, len(t.Partitions))}
		for j, p := range t.Partitions {
			if f.unknown[i] {
				res.Topics[i].Partitions[j] = offsetPartition(noOffset(t.Topic, p, kerr.UnknownTopicID))
				continue
			}
			res.Topics[i].Partitions[j] = offsetPartition(offsets[0])
			offsets = offsets[1:]
		}
	}
	return res
}

func noOffset(topic string, partition int32, err *kerr.Error) group.Offset {
	return group.Offset{Topic: topic, Partition: partition, Offset: -1, LeaderEpoch: -1, Err: err}
}

func offsetPartition(o group.Offset) kmsg.OffsetFetchResponseGroupTopicPartition {
	return kmsg.OffsetFetchResponseGroupTopicPartition{Partition: o.Partition, Offset: o.Offset, LeaderEpoch: o.LeaderEpoch,
		Metadata: &o.Metadata, ErrorCode: number(o.Err)}
}

// fetched is the response. v1 has no place for an error of the group, so each partition that was asked for gets it.
func fetched(req *kmsg.OffsetFetchRequest, answers []kmsg.OffsetFetchResponseGroup) Response {
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	if req.Version >= 8 {
		resp.Groups = answers
		return resp
	}
	a := &answers[0]
	if resp.ErrorCode = a.ErrorCode; a.ErrorCode != 0 && req.Version < 2 {
		refused := kerr.TypedErrorForCode(a.ErrorCode)
		for _, t := range fetchGroups(req)[0].Topics {
			topic := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				topic.Partitions = append(topic.Partitions, legacyPartition(offsetPartition(noOffset(t.Topic, p, refused))))
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	}
	for _, t := range a.Topics {
		topic := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, legacyPartition(p))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// legacyPartition is a partition in the form that responses up to v7 have.
func legacyPartition(p kmsg.OffsetFetchResponseGroupTopicPartition) kmsg.OffsetFetchResponseTopicPartition {
	return kmsg.OffsetFetchResponseTopicPartition{Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch,
		Metadata: p.Metadata, ErrorCode: p.ErrorCode}
}

// fetchLegacy reads the store. What is not there is UNKNOWN_TOPIC_OR_PARTITION.
func (g *Groups) fetchLegacy(ctx context.Context, req *kmsg.OffsetFetchRequest) Response {
	img := g.Images.Current()
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	for _, t := range fetchGroups(req)[0].Topics {
		topic := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			o := noOffset(t.Topic, p, kerr.UnknownTopicOrPartition)
			if exists(img, t.Topic, p) {
				at, found, err := g.Legacy.FetchOffset(ctx, req.Group, t.Topic, p)
				switch {
				case gone(err):
					return nil
				case err != nil:
					o.Err = asKafka(err)
				case found:
					o.Offset, o.Err = at, nil
				}
			}
			topic.Partitions = append(topic.Partitions, legacyPartition(offsetPartition(o)))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

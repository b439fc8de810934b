package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/controller"
	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// topicCreator makes topics that nobody has asked CreateTopics for.
type topicCreator struct{ b *Broker }

// AutoCreate makes a topic with the broker's default counts and waits for its leaders.
func (c *topicCreator) AutoCreate(ctx context.Context, topic string) error {
	if cluster.Internal(topic) {
		return c.Ensure(ctx, topic)
	}
	return c.create(ctx, controller.NewTopic{Name: topic, Partitions: -1, ReplicationFactor: -1})
}

// Ensure makes one of Kafka's internal topics, with Kafka's settings for it, and waits for its leaders.
func (c *topicCreator) Ensure(ctx context.Context, topic string) error {
	if ready(c.b.images.Current(), topic) {
		return nil
	}
	s := c.b.settings.Broker()
	n := controller.NewTopic{Name: topic}
	switch topic {
	case cluster.OffsetsTopic:
		n.Partitions, n.ReplicationFactor = s.OffsetsTopicPartitions, s.OffsetsTopicReplication
		n.Configs = texts(map[string]string{
			"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": strconv.Itoa(s.OffsetsTopicSegmentBytes),
		})
	case cluster.TransactionsTopic:
		n.Partitions, n.ReplicationFactor = s.TransactionStateLogPartitions, s.TransactionStateLogReplication
		n.Configs = texts(map[string]string{
			"cleanup.policy": "compact", "compression.type": "uncompressed", "segment.bytes": strconv.Itoa(s.TransactionStateLogSegmentBytes),
			"min.insync.replicas": strconv.Itoa(s.TransactionStateLogMinISR), "unclean.leader.election.enable": "false",
		})
	default:
		return fmt.Errorf("%s is no internal topic: %w", topic, kerr.InvalidTopicException)
	}
	return c.create(ctx, n)
}

func texts(m map[string]string) map[string]*string {
	out := make(map[string]*string, len(m))
	for k, v := range m {
		out[k] = &v
	}
	return out
}

func (c *topicCreator) create(ctx context.Context, n controller.NewTopic) error {
	if _, err := c.b.admin.CreateTopic(ctx, n, false); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	return c.b.images.Await(ctx, func(img *cluster.Image) bool { return ready(img, n.Name) })
}

// ready says whether all partitions of a topic are known with their leaders.
func ready(img *cluster.Image, topic string) bool {
	t := img.Topics[topic]
	if t == nil {
		return false
	}
	for _, p := range t.Partitions {
		if p == nil || p.Leader < 0 {
			return false
		}
	}
	return true
}

// topicConfigs tells of topics' own settings.
type topicConfigs struct{ b *Broker }

// TopicConfig gives a topic's own settings and whether there is such a topic.
func (t topicConfigs) TopicConfig(topic string) (map[string]string, bool) {
	return t.b.topics.Overrides(topic), t.b.images.Current().Topics[topic] != nil
}

// legacyOffsets are committed offsets of clients older than 0.9.
type legacyOffsets struct{ store store.Store }

func (l legacyOffsets) CommitOffset(ctx context.Context, group, topic string, partition int32, offset int64) error {
	path, data := store.ConsumerOffsetPath(group, topic, partition), store.EncodeConsumerOffset(offset)
	_, err := l.store.Set(ctx, path, data, store.AnyVersion)
	if errors.Is(err, store.ErrNoNode) {
		_, err = store.CreateAll(ctx, l.store, path, data, store.Persistent)
		if errors.Is(err, store.ErrNodeExists) {
			_, err = l.store.Set(ctx, path, data, store.AnyVersion)
		}
	}
	return err
}

func (l legacyOffsets) FetchOffset(ctx context.Context, group, topic string, partition int32) (int64, bool, error) {
	data, _, err := l.store.Get(ctx, store.ConsumerOffsetPath(group, topic, partition))
	if errors.Is(err, store.ErrNoNode) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	offset, err := store.DecodeConsumerOffset(data)
	return offset, err == nil, err
}

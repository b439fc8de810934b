package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
	"barnabas/storage"
)

// adoptLogs takes logs in that a broker alone finds in its log dirs and its store knows nothing of: a Kafka broker's
// directory, or one whose store was lost. Their topics enter the store as they would have been created, led by nobody
// yet. The settings that they had are not in the log dirs, so nothing of an adopted topic is ever deleted until somebody
// sets its retention. Logs of a topic that the store knows by another id are set aside: they would keep it out.
func (b *Broker) adoptLogs(ctx context.Context) error {
	found := map[string][]*storage.Log{}
	for l := range b.logs.Logs() {
		found[l.Topic()] = append(found[l.Topic()], l)
	}
	for topic, logs := range found {
		data, _, err := b.store.Get(ctx, store.TopicPath(topic))
		switch {
		case err == nil:
			err = b.setStraysAside(data, logs)
		case errors.Is(err, store.ErrNoNode):
			if why := unlikely(topic, logs); why != "" {
				b.log.Warn("directories that look like a topic's are left alone", zap.String("topic", topic), zap.String("why", why))
				continue
			}
			if err = b.adopt(ctx, topic, logs); err != nil {
				err = fmt.Errorf("taking in topic %s, which is in the log dirs only: %w", topic, err)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setStraysAside puts logs out of the way that are of another topic than the one of their name in the store.
func (b *Broker) setStraysAside(data []byte, logs []*storage.Log) error {
	t, err := store.DecodeTopic(data)
	none := [16]byte{}
	if err != nil || t.ID == none {
		return nil //nolint:nilerr // the controller will say so
	}
	for _, l := range logs {
		if id := l.TopicID(); id != none && id != t.ID && l.Failed() == nil {
			if err := b.logs.SetAside(l.Topic(), l.Partition()); err != nil && !errors.Is(err, kerr.KafkaStorageError) {
				return err
			}
		}
	}
	return nil
}

// mostPartitions is more than any topic has. Somebody's "backup-20240131" reads as the log of a partition as well.
const mostPartitions = 50_000

// unlikely says why logs are hardly those of a topic, "" if they may well be.
func unlikely(topic string, logs []*storage.Log) string {
	written := false
	for _, l := range logs {
		if l.Partition() >= mostPartitions {
			return fmt.Sprintf("partition %d is too large a number", l.Partition())
		}
		written = written || l.End() > 0 || l.TopicID() != [16]byte{}
	}
	switch {
	case !cluster.LegalTopicName(topic):
		return "no topic can have that name"
	case !written:
		return "there is nothing in them"
	}
	return ""
}

func (b *Broker) adopt(ctx context.Context, topic string, logs []*storage.Log) error {
	t := store.Topic{Partitions: map[int32][]int32{}}
	count := int32(0)
	for _, l := range logs {
		if id := l.TopicID(); id != ([16]byte{}) {
			t.ID = id
		}
		count = max(count, l.Partition()+1)
	}
	if topic == cluster.OffsetsTopic {
		count = offsetsCount(logs, count, b.settings.Broker().OffsetsTopicPartitions)
	}
	if t.ID == ([16]byte{}) {
		t.ID = store.NewTopicID()
	}
	for id := range count {
		t.Partitions[id] = []int32{b.self}
	}
	config, err := b.adoptedConfig(topic)
	if err != nil {
		return err
	}
	_, err = b.store.Create(ctx, store.ConfigPath(store.ConfigTopics, topic), store.EncodeConfig(config), store.Persistent)
	if errors.Is(err, store.ErrNodeExists) { // those that an adoption which came to no end has written, or somebody kept
		var data []byte
		if data, _, err = b.store.Get(ctx, store.ConfigPath(store.ConfigTopics, topic)); err == nil {
			config, err = store.DecodeConfig(data)
		}
	}
	if err != nil {
		return err
	}
	ops := []store.Op{
		store.Create(store.TopicPath(topic), store.EncodeTopic(t), store.Persistent),
		store.Create(store.PartitionsPath(topic), nil, store.Persistent),
	}
	for _, l := range logs {
		epoch, _ := l.LatestEpoch()
		ops = append(ops,
			store.Create(store.PartitionPath(topic, l.Partition()), nil, store.Persistent),
			store.Create(store.PartitionStatePath(topic, l.Partition()), store.EncodePartitionState(store.PartitionState{
				Leader: cluster.NoLeader, LeaderEpoch: max(epoch, 0), ISR: []int32{b.self},
			}), store.Persistent))
	}
	if _, err := b.store.Multi(ctx, ops...); err != nil {
		return err
	}
	b.topics.set(topic, config)
	for _, l := range logs {
		l.SetConfig(b.topics.get(topic).Log)
	}
	b.log.Warn("took in a topic that was in the log dirs only; its settings are not known, so its records are kept until retention.ms is set",
		zap.String("topic", topic), zap.Int32("partitions", count), zap.Int("found", len(logs)))
	return nil
}

// adoptedConfig is what an adopted topic begins with.
func (b *Broker) adoptedConfig(topic string) (map[string]string, error) {
	if cluster.Internal(topic) {
		return map[string]string{"cleanup.policy": "compact", "compression.type": "producer"}, nil
	}
	own := map[string]string{"retention.ms": "-1", "retention.bytes": "-1"}
	if policy := b.settings.Broker().TopicDefaults.CleanupPolicy; !slices.Contains(policy, "delete") {
		own["cleanup.policy"] = "delete"
	}
	return own, b.settings.ValidateTopic(own)
}

package api

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/broker/config"
	"barnabas/coordinator/controller"
	"barnabas/replication/cluster"
	"barnabas/storage/clock"
)

// TopicAdmin writes into the coordination store what clients want of topics.
type TopicAdmin interface {
	CreateTopic(ctx context.Context, n controller.NewTopic, validateOnly bool) (controller.Created, error)
	CreatePartitions(ctx context.Context, name string, count int32, assignments [][]int32, validateOnly bool) error
	DeleteTopic(ctx context.Context, name string) error
	AwaitDeleted(ctx context.Context, name string) error
}

// Elector is the controller, if it runs here.
type Elector interface {
	Active() (epoch int32, active bool)
	ElectLeaders(ctx context.Context, kind controller.ElectionType, partitions []cluster.TopicPartition) (map[cluster.TopicPartition]controller.Election, error)
}

// AwaitedImages is the picture of the cluster, which may be waited for.
type AwaitedImages interface {
	Images
	Await(ctx context.Context, cond func(*cluster.Image) bool) error
}

// Topics is the family that creates, grows and deletes topics, and has leaders elected. What it answers is so: a topic
// that was created has its leaders, one that was deleted is gone.
type Topics struct {
	Images     AwaitedImages
	Admin      TopicAdmin
	Controller Elector
	Settings   *config.Settings
	Clock      clock.Clock
}

func (t *Topics) routes() []Route {
	return []Route{
		route(t.CreateTopics),
		route(t.DeleteTopics),
		route(t.CreatePartitions),
		route(t.ElectLeaders),
	}
}

// isController says whether this broker may do what only the controller's broker does.
func (t *Topics) isController() bool {
	_, active := t.Controller.Active()
	return active
}

// within bounds a context by a request's timeout in milliseconds.
func (t *Topics) within(ctx context.Context, millis int32) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := t.Clock.AfterFunc(time.Duration(millis)*time.Millisecond, func() { cancel(context.DeadlineExceeded) })
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}

// led says whether the picture has a topic with so many partitions, each with a leader.
func led(img *cluster.Image, topic string, partitions int32) bool {
	t := img.Topics[topic]
	if t == nil || len(t.Partitions) < int(partitions) {
		return false
	}
	for _, p := range t.Partitions[:partitions] {
		if p == nil || p.Leader == cluster.NoLeader {
			return false
		}
	}
	return true
}

// refusalText is what a client is told besides the code; nil for none.
func refusalText(err error) *string {
	var r *controller.Refusal
	if errors.As(err, &r) && r.Message != "" {
		return &r.Message
	}
	return nil
}

// AutoCreate creates a topic that somebody has asked for, with the broker's default counts, or, if it is one of Kafka's
// own, with that topic's counts and settings. It returns once the picture has its leaders. An existing topic is fine.
func (t *Topics) AutoCreate(ctx context.Context, topic string) error {
	n := controller.NewTopic{Name: topic, Partitions: -1, ReplicationFactor: -1}
	b := t.Settings.Broker()
	switch topic {
	case cluster.OffsetsTopic:
		n.Partitions, n.ReplicationFactor = b.OffsetsTopicPartitions, b.OffsetsTopicReplication
		n.Configs = texts("cleanup.policy", "compact", "compression.type", "producer", "segment.bytes", strconv.Itoa(b.OffsetsTopicSegmentBytes))
	case cluster.TransactionsTopic:
		n.Partitions, n.ReplicationFactor = b.TransactionStateLogPartitions, b.TransactionStateLogReplication
		n.Configs = texts("cleanup.policy", "compact", "compression.type", "uncompressed", "segment.bytes", strconv.Itoa(b.TransactionStateLogSegmentBytes),
			"min.insync.replicas", strconv.Itoa(b.TransactionStateLogMinISR), "unclean.leader.election.enable", "false")
	}
	if cluster.Internal(topic) && b.Alone() {
		n.ReplicationFactor = 1 // the default of 3 is for clusters
	}
	_, err := t.Admin.CreateTopic(ctx, n, false)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	return t.Images.Await(ctx, func(img *cluster.Image) bool {
		known := img.Topics[topic]
		return known != nil && led(img, topic, int32(len(known.Partitions)))
	})
}

// Ensure is AutoCreate under the name by which coordinators ask for their topics.
func (t *Topics) Ensure(ctx context.Context, topic string) error {
	if known := t.Images.Current().Topics[topic]; known != nil {
		return nil
	}
	return t.AutoCreate(ctx, topic)
}

// texts makes settings of names and values that alternate.
func texts(pairs ...string) map[string]*string {
	m := make(map[string]*string, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &pairs[i+1]
	}
	return m
}

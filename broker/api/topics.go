package api

import (
	"context"
	"errors"
	"time"

	"barnabas/broker/config"
	"barnabas/coordinator/controller"
	"barnabas/replication/cluster"
	"barnabas/storage/clock"
)

// TopicAdmin writes into the coordination store what clients want of topics.
type TopicAdmin interface {
	CreateTopics(ctx context.Context, ns []controller.NewTopic, validateOnly bool) []controller.CreateResult
	CreatePartitions(ctx context.Context, name string, count int32, assignments [][]int32, validateOnly bool) error
	DeleteTopics(ctx context.Context, names []string) []error
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

// within bounds a context by a request's timeout in milliseconds. As in Apache Kafka the timeout is for waiting until what
// was done shows, not for doing it: a request with no time at all is done and answered REQUEST_TIMED_OUT.
func (t *Topics) within(ctx context.Context, millis int32) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if millis <= 0 {
		cancel(context.DeadlineExceeded)
	}
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

package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/replication/cluster"
)

// notedPartitions notes what it is told, with what the picture shows at that moment.
type notedPartitions struct {
	images *Images
	notes  []string
	fail   error
}

func (n *notedPartitions) Become(tp cluster.TopicPartition, _ cluster.TopicID, st cluster.PartitionState) error {
	n.notes = append(n.notes, fmt.Sprintf("become %s-%d leader %d, shown %v", tp.Topic, tp.Partition, st.Leader, n.images.Current().Partition(tp.Topic, tp.Partition) != nil))
	return n.fail
}

func (n *notedPartitions) Stop(tp cluster.TopicPartition, remove bool) error {
	n.notes = append(n.notes, fmt.Sprintf("stop %s-%d %v, shown %v", tp.Topic, tp.Partition, remove, n.images.Current().Partition(tp.Topic, tp.Partition) != nil))
	return n.fail
}

func (n *notedPartitions) Learn(_ context.Context, topic string, fresh bool) error {
	n.notes = append(n.notes, fmt.Sprintf("learn %s fresh %v", topic, fresh))
	return nil
}

func (n *notedPartitions) Forget(topic string) { n.notes = append(n.notes, "forget "+topic) }

func newTestImages() (*Images, *notedPartitions) {
	n := &notedPartitions{}
	n.images = NewImages(1, "cluster", func() int64 { return 10 }, n, zap.NewNop())
	n.images.LearnFrom(n)
	return n.images, n
}

func states(topic string, id byte, list ...cluster.PartitionState) []cluster.TopicStates {
	return []cluster.TopicStates{{Topic: topic, ID: cluster.TopicID{id}, Partitions: list}}
}

func ledBy(partition, leader int32) cluster.PartitionState {
	return cluster.PartitionState{ID: partition, Partition: cluster.Partition{Leader: leader, Replicas: []int32{1, 2}, ISR: []int32{1, 2}}}
}

func TestPushOrder(t *testing.T) {
	images, n := newTestImages()
	var changes []Change
	images.Listen(func(c Change) { changes = append(changes, c) })
	fresh := ledBy(0, 1)
	fresh.IsNew = true
	push := cluster.Push{
		ControllerID: 2, ControllerEpoch: 5, BrokerEpoch: 10,
		Roles: states("t", 7, fresh), Brokers: []*cluster.Broker{{ID: 1}, {ID: 2}}, Update: states("t", 7, ledBy(0, 1)),
	}
	if r := images.Push(t.Context(), push); r.Err != nil || r.Roles != nil {
		t.Fatal(r)
	}
	img := images.Current()
	if img.ControllerID != 2 || img.ControllerEpoch != 5 || img.ClusterID != "cluster" || len(img.Brokers) != 2 || img.ByID[cluster.TopicID{7}] == nil {
		t.Errorf("%+v", img)
	}
	gone := ledBy(0, cluster.LeaderDeleted)
	images.Push(t.Context(), cluster.Push{
		ControllerID: 2, ControllerEpoch: 5, BrokerEpoch: 10, Update: states("t", 7, gone),
		Stop: []cluster.StopPartition{{Topic: "t", ID: 0, LeaderEpoch: -2, Delete: true}},
	})
	if len(images.Current().Topics)+len(images.Current().ByID) != 0 {
		t.Error("the topic is still shown")
	}
	want := []string{"learn t fresh true", "become t-0 leader 1, shown false", "stop t-0 true, shown false", "forget t"}
	if !slices.Equal(n.notes, want) {
		t.Errorf("%q", n.notes)
	}
	if len(changes) != 2 || len(changes[0].Roles) != 1 || len(changes[1].Gone) != 1 || len(changes[1].Stopped) != 1 || changes[1].Old != changes[0].New {
		t.Errorf("%+v", changes)
	}
}

func TestPushRefused(t *testing.T) {
	images, n := newTestImages()
	push := func(epoch int32, broker int64) error {
		return images.Push(t.Context(), cluster.Push{ControllerEpoch: epoch, BrokerEpoch: broker}).Err
	}
	if err := push(5, 9); !errors.Is(err, kerr.StaleBrokerEpoch) {
		t.Error(err)
	}
	for _, broker := range []int64{-1, 10, 11} { // unknown, ours, and one that we have not heard of ourselves
		if err := push(5, broker); err != nil {
			t.Error(err)
		}
	}
	if err := push(4, 10); !errors.Is(err, kerr.StaleControllerEpoch) {
		t.Error(err)
	}
	if images.Current().ControllerEpoch != 5 || n.notes != nil {
		t.Errorf("%d %v", images.Current().ControllerEpoch, n.notes)
	}
	// Not ours to have, and one that fails: the push goes on, the failures are told.
	n.fail = kerr.KafkaStorageError
	others := ledBy(1, 2)
	others.Replicas = []int32{2, 3}
	r := images.Push(t.Context(), cluster.Push{
		ControllerEpoch: 5, BrokerEpoch: 10, Roles: states("t", 1, ledBy(0, 1), others), Update: states("t", 1, ledBy(0, 1)),
		Stop: []cluster.StopPartition{{Topic: "x", ID: 3}},
	})
	if r.Err != nil || !errors.Is(r.Roles[cluster.TopicPartition{Topic: "t", Partition: 0}], kerr.KafkaStorageError) ||
		!errors.Is(r.Roles[cluster.TopicPartition{Topic: "t", Partition: 1}], kerr.UnknownTopicOrPartition) ||
		!errors.Is(r.Stop[cluster.TopicPartition{Topic: "x", Partition: 3}], kerr.KafkaStorageError) {
		t.Errorf("%+v", r)
	}
	if images.Current().Partition("t", 0) == nil {
		t.Error("not shown")
	}
}

// TestMerge is how updates of some partitions make a topic.
func TestMerge(t *testing.T) {
	img := cluster.Empty()
	update := func(list []cluster.TopicStates) []*cluster.Topic {
		next, gone := next(img, cluster.Push{Update: list})
		img = next
		return gone
	}
	before := img
	update(states("t", 1, ledBy(2, 1)))
	update(states("t", 1, ledBy(0, 2), ledBy(-1, 1), ledBy(1<<30, 1)))
	if p := img.Topics["t"].Partitions; len(p) != 3 || p[0].Leader != 2 || p[1] != nil || p[2].Leader != 1 {
		t.Errorf("%v", p)
	}
	if len(before.Topics) != 0 {
		t.Error("a published picture was edited")
	}
	update(states("t", 1, ledBy(2, cluster.LeaderDeleted), ledBy(9, cluster.LeaderDeleted)))
	if p := img.Topics["t"].Partitions; len(p) != 1 {
		t.Errorf("%v", p)
	}
	// The same name under another id is another topic.
	if gone := update(states("t", 2, ledBy(1, 1))); len(gone) != 1 || gone[0].ID != (cluster.TopicID{1}) || img.Partition("t", 0) != nil || img.ByID[cluster.TopicID{1}] != nil {
		t.Errorf("%v", gone)
	}
	// An update without an id, from a controller that knows none, does not take it away.
	update(states("t", 0, ledBy(0, 1)))
	if got := img.Topics["t"]; got.ID != (cluster.TopicID{2}) || len(got.Partitions) != 2 {
		t.Errorf("%+v", got)
	}
	if gone := update(states("t", 2, ledBy(0, cluster.LeaderDeleted), ledBy(1, cluster.LeaderDeleted))); len(gone) != 1 || len(img.Topics) != 0 {
		t.Errorf("%v", gone)
	}
	// It was deleted while this broker was away: who keeps something of it hears of that all the same.
	gone := update(states("never", 2, ledBy(1, cluster.LeaderDeleted), ledBy(0, cluster.LeaderDeleted), ledBy(1<<30, cluster.LeaderDeleted)))
	if len(gone) != 1 || gone[0].Name != "never" || len(gone[0].Partitions) != 2 || len(img.Topics) != 0 {
		t.Errorf("%v", gone)
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		images, _ := newTestImages()
		looks := 0
		done := make(chan error, 1)
		go func() {
			done <- images.Await(t.Context(), func(img *cluster.Image) bool { looks++; return img.Topics["t"] != nil })
		}()
		synctest.Wait()
		images.Push(t.Context(), cluster.Push{BrokerEpoch: -1})
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatal("done before it is so", err)
		default:
		}
		images.Push(t.Context(), cluster.Push{BrokerEpoch: -1, Update: states("t", 1, ledBy(0, 1))})
		if err := <-done; err != nil || looks != 3 {
			t.Errorf("%v after %d looks", err, looks)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := images.Await(ctx, func(*cluster.Image) bool { return false }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := images.Await(ctx, func(*cluster.Image) bool { return true }); err != nil {
			t.Error(err)
		}
	})
}

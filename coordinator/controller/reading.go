package controller

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// Reading is in two halves: a look at the store, of which many may be under way, and the taking of what was found into the
// world, which is the loop's.

// readers is how many reads of the store are under way at once when a term begins: Kafka's zookeeper.max.in.flight.requests.
const readers = 10

// gather reads something for each key, side by side, since a ZooKeeper is a round trip away: thousands of topics would
// keep the cluster waiting for its controller. The first error ends it.
func gather[K, V any](keys []K, read func(K) (V, error)) ([]V, error) {
	values, errs := make([]V, len(keys)), make([]error, readers)
	var next atomic.Int64
	var wg sync.WaitGroup
	for r := range min(readers, len(keys)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(keys)); i = next.Add(1) - 1 {
				if values[i], errs[r] = read(keys[i]); errs[r] != nil {
					next.Store(int64(len(keys)))
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return values, nil
}

// topicLook is what was found at the node of a topic, with a watch on it.
type topicLook struct {
	there bool
	data  []byte
	stat  store.Stat
	watch <-chan store.Event
}

// readTopic reads a topic's assignment into the world and leaves a watch on it. nil when there is no such topic any more,
// or none that can be read.
func (t *term) readTopic(name string) (*topic, error) {
	look, err := t.lookAtTopic(name)
	if err != nil {
		return nil, err
	}
	return t.takeTopic(name, look)
}

// lookAtTopic reads the node. It touches nothing of the term.
func (t *term) lookAtTopic(name string) (topicLook, error) {
	data, stat, c, err := t.o.Store.GetW(t.ctx, store.TopicPath(name))
	if errors.Is(err, store.ErrNoNode) {
		return topicLook{}, nil
	}
	return topicLook{err == nil, data, stat, c}, err
}

// takeTopic takes into the world what was found. A topic from before topic ids gets one.
func (t *term) takeTopic(name string, look topicLook) (*topic, error) {
	if !look.there {
		return nil, nil
	}
	assigned, err := store.DecodeTopic(look.data)
	if err == nil && assigned.ID == (cluster.TopicID{}) {
		assigned.ID = store.NewTopicID()
		conflict, err := t.write([]store.Op{store.Set(store.TopicPath(name), store.EncodeTopic(assigned), look.stat.Version)})
		if err != nil {
			return nil, err
		}
		if conflict != nil {
			return t.readTopic(name)
		}
	}
	t.lastID++
	t.watches.add(look.watch, topicChanged{name, t.lastID})
	if err != nil {
		t.log.Error("topic is not readable", zap.Error(fmt.Errorf("%s: %w", name, err)))
		return nil, nil
	}
	topic := t.w.add(name, assigned.ID, assigned)
	topic.watch = t.lastID
	return topic, nil
}

// stateLook is what was found at the node of a partition's state: the state, or which of its folders exist.
type stateLook struct {
	there         bool
	data          []byte
	stat          store.Stat
	folder, above bool
}

// readState reads a partition's leadership and which of its folders exist.
func (t *term) readState(part *partition) error {
	look, err := t.lookAtState(part.tp)
	if err != nil {
		return err
	}
	return t.takeState(part, look)
}

// lookAtState reads the nodes. It touches nothing of the term.
func (t *term) lookAtState(p tp) (look stateLook, err error) {
	look.data, look.stat, err = t.o.Store.Get(t.ctx, store.PartitionStatePath(p.Topic, p.Partition))
	if !errors.Is(err, store.ErrNoNode) {
		look.there, look.folder, look.above = true, true, true
		return look, err
	}
	if _, look.folder, err = t.o.Store.Exists(t.ctx, store.PartitionPath(p.Topic, p.Partition)); err != nil {
		return look, err
	}
	if look.above = look.folder; !look.above {
		_, look.above, err = t.o.Store.Exists(t.ctx, store.PartitionsPath(p.Topic))
	}
	return look, err
}

// takeState takes into the world what was found.
func (t *term) takeState(part *partition, look stateLook) error {
	part.leadership, part.folder = nil, look.folder
	t.w.topics[part.Topic].folder = look.above
	if !look.there {
		return nil
	}
	state, err := store.DecodePartitionState(look.data)
	if err != nil {
		// Kafka treats a state that it cannot read as none. It is not overwritten: the election is refused, and said so.
		t.log.Error("partition state is not readable", zap.String("topic", part.Topic), zap.Int32("partition", part.Partition), zap.Error(err))
		return nil
	}
	if state.ControllerEpoch > t.w.epoch {
		return errFenced
	}
	part.leadership = &leadership{state, look.stat.Version}
	return nil
}

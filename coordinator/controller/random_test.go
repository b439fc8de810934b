package controller

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"barnabas/coordinator/store"
	"barnabas/storage/clock"
)

// TestRandom lets brokers, topics, disks, controllers and connections come and go, and holds what is left when the dust
// has settled to what must be true of every cluster.
func TestRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Hide the deadline, which a bubble does not have.
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			// The clock of a bubble stands still unless everybody waits, and it is by this clock that rapid looks when it has
			// tried for long enough to make a failure shorter: without a wait it would try without end.
			defer func() { <-clock.Real.After(100 * time.Millisecond) }()
			e := newEnv(rt)
			defer e.close()
			h := &history{epochs: map[tp]int32{}, leaders: map[string]int32{}}
			e.register(1, "")
			e.run(1)
			e.run(2)
			e.settle()
			broker := func() int32 { return rapid.Int32Range(1, 3).Draw(rt, "broker") }
			topic := func() string { return rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "topic") }
			rt.Repeat(map[string]func(*rapid.T){
				"register": func(rt *rapid.T) {
					if id := broker(); e.brokers[id] == nil {
						e.register(id, "")
					}
				},
				"kill": func(rt *rapid.T) {
					if id := broker(); e.brokers[id] != nil {
						e.kill(id)
					}
				},
				"bounce": func(rt *rapid.T) {
					if id := broker(); e.brokers[id] != nil {
						e.bounce(id)
					}
				},
				"topic": func(rt *rapid.T) {
					name := topic()
					if _, there, _ := e.outside.Exists(e.ctx(), store.TopicPath(name)); there {
						return
					}
					m := map[int32][]int32{}
					for p := range rapid.Int32Range(1, 3).Draw(rt, "partitions") {
						m[p] = rapid.Permutation([]int32{1, 2, 3}).Draw(rt, "replicas")[:rapid.IntRange(1, 3).Draw(rt, "rf")]
					}
					h.forget(name)
					e.createTopic(name, m)
				},
				"grow": func(rt *rapid.T) {
					name := topic()
					data, stat, err := e.outside.Get(e.ctx(), store.TopicPath(name))
					if err != nil {
						return
					}
					grown, err := store.DecodeTopic(data)
					e.must(err)
					grown.Partitions[int32(len(grown.Partitions))] = []int32{broker()}
					// It may be deleted at this moment.
					_, _ = e.outside.Set(e.ctx(), store.TopicPath(name), store.EncodeTopic(grown), stat.Version)
				},
				"delete": func(rt *rapid.T) {
					_, err := e.outside.Create(e.ctx(), store.DeleteTopicPath(topic()), nil, store.Persistent)
					if err != nil && !errors.Is(err, store.ErrNodeExists) {
						rt.Fatal(err)
					}
				},
				"catch up": func(rt *rapid.T) { e.catchUp(topic(), broker()) },
				"expire":   func(rt *rapid.T) { e.controllers[rapid.Int32Range(1, 2).Draw(rt, "controller")].session.Expire() },
				"usurp": func(rt *rapid.T) {
					e.must(store.DeleteAll(e.ctx(), e.outside, store.ControllerPath))
				},
				"lose": func(rt *rapid.T) {
					e.mu.Lock()
					e.lose, e.loseUndone = true, rapid.Bool().Draw(rt, "undone")
					e.mu.Unlock()
				},
				"prefer": func(rt *rapid.T) {
					e.elect(PreferredElection, []tp{{Topic: topic(), Partition: 0}})
				},
				"settle": func(rt *rapid.T) { e.settle() },
				"": func(rt *rapid.T) {
					if !rapid.Bool().Draw(rt, "look") {
						return
					}
					e.rest()
					h.check(rt, e)
				},
			})
		})
	})
}

// rest lets everything come to rest, pauses after mishaps included.
func (e *env) rest() {
	e.settle()
	e.mu.Lock()
	e.lose = false
	e.mu.Unlock()
	e.clock.Advance(longestPause)
	e.settle()
}

// catchUp adds a live replica to the ISR, as a leader of old times does.
func (e *env) catchUp(topic string, broker int32) {
	path := store.PartitionStatePath(topic, 0)
	data, stat, err := e.outside.Get(e.ctx(), path)
	if err != nil || e.brokers[broker] == nil {
		return
	}
	s, err := store.DecodePartitionState(data)
	e.must(err)
	data, _, err = e.outside.Get(e.ctx(), store.TopicPath(topic))
	if err != nil {
		return
	}
	t, err := store.DecodeTopic(data)
	e.must(err)
	if s.Leader < 0 || slices.Contains(s.ISR, broker) || !slices.Contains(t.Partitions[0], broker) {
		return
	}
	s.ISR = append(s.ISR, broker)
	if _, err = e.outside.Set(e.ctx(), path, store.EncodePartitionState(s), stat.Version); err != nil {
		return
	}
	_, err = e.outside.Create(e.ctx(), store.ISRChangePrefix, store.EncodePartitions([]store.TopicPartition{{Topic: topic}}), store.Sequential)
	e.must(err)
}

// history is what was true before.
type history struct {
	epochs  map[tp]int32     // the highest leader epoch seen
	leaders map[string]int32 // the leader of a partition in an epoch: there is only one
}

func (h *history) forget(topic string) {
	for p := range h.epochs {
		if p.Topic == topic {
			delete(h.epochs, p)
		}
	}
	clear(h.leaders)
}

func (h *history) check(t *rapid.T, e *env) {
	active := 0
	for _, c := range e.controllers {
		if _, on := c.controller.Active(); on {
			active++
		}
	}
	if active != 1 {
		t.Fatalf("%d controllers", active)
	}
	names, _, err := e.outside.Children(e.ctx(), store.TopicsPath)
	e.must(err)
	known, doomed := map[tp]bool{}, map[string]bool{}
	for _, name := range names {
		data, _, err := e.outside.Get(e.ctx(), store.TopicPath(name))
		e.must(err)
		assigned, err := store.DecodeTopic(data)
		e.must(err)
		_, deleting, err := e.outside.Exists(e.ctx(), store.DeleteTopicPath(name))
		e.must(err)
		doomed[name] = deleting
		away := false
		for p, replicas := range assigned.Partitions {
			at := tp{Topic: name, Partition: p}
			away = away || slices.ContainsFunc(replicas, func(b int32) bool { return e.brokers[b] == nil })
			data, stat, err := e.outside.Get(e.ctx(), store.PartitionStatePath(name, p))
			if errors.Is(err, store.ErrNoNode) {
				if !deleting && slices.ContainsFunc(replicas, func(b int32) bool { return e.brokers[b] != nil }) {
					t.Fatalf("%v has a live replica and was never given a leader", at)
				}
				continue
			}
			e.must(err)
			state, err := store.DecodePartitionState(data)
			e.must(err)
			h.checkState(t, e, at, replicas, state, deleting)
			if !deleting {
				known[at] = true
				e.checkBrokers(t, at, replicas, state, stat.Version)
			}
		}
		if deleting && !away {
			t.Fatalf("%s has all its replicas and was not deleted", name)
		}
	}
	for id, b := range e.brokers {
		if !slices.Equal(b.live, sortedKeys(e.brokers)) {
			t.Fatalf("broker %d thinks that %v live; %v do", id, b.live, sortedKeys(e.brokers))
		}
		// Its picture may still show a topic of whose deletion a controller died before it told all; that is so in Kafka.
		// But a broker that had a replica of it was heard to have deleted that.
		for at := range b.roles {
			if !known[at] && !doomed[at.Topic] {
				t.Fatalf("broker %d has a replica of %v, which is no more", id, at)
			}
		}
	}
}

// checkState holds a state in the store to what is always true.
func (h *history) checkState(t *rapid.T, e *env, at tp, replicas []int32, s store.PartitionState, deleting bool) {
	switch {
	case len(s.ISR) == 0:
		t.Fatalf("%v has an empty ISR", at)
	case slices.ContainsFunc(s.ISR, func(b int32) bool { return !slices.Contains(replicas, b) }):
		t.Fatalf("%v has strangers in its ISR %v of %v", at, s.ISR, replicas)
	case s.Leader >= 0 && !slices.Contains(s.ISR, s.Leader):
		t.Fatalf("%v is led by %d, which is not in sync: %v", at, s.Leader, s.ISR)
	case s.LeaderEpoch < h.epochs[at]:
		t.Fatalf("%v went back from leader epoch %d to %d", at, h.epochs[at], s.LeaderEpoch)
	}
	h.epochs[at] = s.LeaderEpoch
	if s.Leader >= 0 {
		key := fmt.Sprint(at, s.LeaderEpoch)
		if before, ok := h.leaders[key]; ok && before != s.Leader {
			t.Fatalf("%v has two leaders in epoch %d: %d and %d", at, s.LeaderEpoch, before, s.Leader)
		}
		h.leaders[key] = s.Leader
	}
	if deleting {
		return
	}
	live := slices.ContainsFunc(s.ISR, func(b int32) bool { return e.brokers[b] != nil })
	if live && e.brokers[s.Leader] == nil {
		t.Fatalf("%v has a live replica in sync (%v) and no leader (%d)", at, s.ISR, s.Leader)
	}
	if !live && e.brokers[s.Leader] != nil {
		t.Fatalf("%v is led by %d without a replica in sync", at, s.Leader)
	}
}

// checkBrokers holds what brokers were told to what is in the store.
func (e *env) checkBrokers(t *rapid.T, at tp, replicas []int32, s store.PartitionState, version int32) {
	for id, b := range e.brokers {
		if told := b.known[at]; told.Leader != s.Leader || told.LeaderEpoch != s.LeaderEpoch || told.PartitionEpoch != version || !slices.Equal(told.ISR, s.ISR) {
			t.Fatalf("broker %d was told %+v of %v; it is %+v, version %d", id, told, at, s, version)
		}
		if role, has := b.roles[at]; slices.Contains(replicas, id) && (!has || role.Leader != s.Leader || role.LeaderEpoch != s.LeaderEpoch) {
			t.Fatalf("broker %d has the role %v %+v in %v; it is %+v", id, has, role, at, s)
		}
	}
}

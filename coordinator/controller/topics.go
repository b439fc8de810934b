package controller

import (
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
)

// topicsChanged: the list of topics has changed.
type topicsChanged struct{}

// topicChanged: the assignment of a topic has changed; watch is the number of the watch that says so.
type topicChanged struct {
	name  string
	watch int64
}

func (t *term) watchTopics() ([]string, error) {
	names, _, c, err := t.o.Store.ChildrenW(t.ctx, store.TopicsPath)
	if err != nil {
		return nil, err
	}
	t.watches.add(c, topicsChanged{})
	return names, nil
}

func (topicsChanged) handle(t *term) error {
	names, err := t.watchTopics()
	if err != nil {
		return err
	}
	return t.takeTopics(names)
}

// takeTopics makes the world's list of topics the one that was read.
func (t *term) takeTopics(names []string) error {
	var fresh []tp
	listed := 0
	for _, name := range names {
		if t.w.topics[name] == nil {
			topic, err := t.readTopic(name)
			if err != nil {
				return err
			}
			if topic == nil {
				continue
			}
			fresh = append(fresh, t.w.of(name, nil)...)
		}
		listed++
	}
	if listed < len(t.w.topics) {
		t.forgetTopics(names)
	}
	return t.partitionsCreated(fresh)
}

// forgetTopics drops the topics that are not listed any more.
func (t *term) forgetTopics(names []string) {
	there := make(map[string]bool, len(names))
	for _, name := range names {
		there[name] = true
	}
	for name := range t.w.topics {
		if !there[name] {
			t.log.Warn("topic was removed from the store by somebody else", zap.String("topic", name))
			t.w.forget(name)
		}
	}
}

// partitionsCreated gives new partitions their first leaders. A partition whose state is in the store already, which an
// earlier controller may have begun, is taken over as it is.
func (t *term) partitionsCreated(list []tp) error {
	if len(list) == 0 {
		return nil
	}
	refused, err := t.transactEach(list, func(d *draft, some []tp) {
		d.createPartitions(some)
		d.bringOnline(some, electOffline, never)
		mine := d.byBroker(some, func(part *partition, b int32) bool { return part.phaseOf(b) == replicaNew })
		for _, broker := range sortedKeys(mine) {
			d.replicaUp(broker, mine[broker])
		}
	})
	if err != nil {
		return err
	}
	t.log.Info("partitions created", zap.Int("count", len(list)-len(refused)), zap.Strings("topics", topicsOf(list)))
	return nil
}

// handle looks for partitions that were added to a topic.
func (e topicChanged) handle(t *term) error {
	known := t.w.topics[e.name]
	if known == nil || known.watch != e.watch {
		return nil
	}
	before := t.w.of(e.name, nil)
	topic, err := t.readTopic(e.name)
	if err != nil || topic == nil {
		return err // a topic that has gone has an event of its own
	}
	added := t.w.of(e.name, func(p *partition) bool { return !slices.Contains(before, p.tp) })
	if len(added) == 0 {
		return nil
	}
	if t.w.deleting(e.name) {
		return t.refusePartitions(topic, added)
	}
	return t.partitionsCreated(added)
}

// refusePartitions puts the assignment of a topic that is being deleted back to what it was before partitions were
// added.
func (t *term) refusePartitions(topic *topic, added []tp) error {
	t.log.Warn("partitions were added to a topic that is being deleted: not so", zap.String("topic", topic.name))
	for _, p := range added {
		delete(topic.partitions, p.Partition)
	}
	was := store.Topic{ID: topic.id, Partitions: map[int32][]int32{}, Adding: map[int32][]int32{}, Removing: map[int32][]int32{}}
	for n, part := range topic.partitions {
		was.Partitions[n] = part.assigned
		if part.reassigned() {
			was.Adding[n], was.Removing[n] = part.adding, part.removing
		}
	}
	_, err := t.write([]store.Op{store.Set(store.TopicPath(topic.name), store.EncodeTopic(was), store.AnyVersion)})
	return err
}

// uncleanAllowed asks for leaderless partitions to be looked at again, because a leader that is not in sync may now be
// elected: in one topic, or everywhere if topic is "".
type uncleanAllowed struct{ topic string }

func (e uncleanAllowed) handle(t *term) error {
	_, err := t.electAmong(slices.DeleteFunc(t.w.waiting(), func(p tp) bool { return e.topic != "" && p.Topic != e.topic }))
	return err
}

// isrChanges: leaders of before inter.broker.protocol.version 2.7 have written ISRs themselves and left notes.
type isrChanges struct{}

func (isrChanges) handle(t *term) error {
	names, _, c, err := t.o.Store.ChildrenW(t.ctx, store.ISRChangesPath)
	if err != nil {
		return err
	}
	t.watches.add(c, isrChanges{})
	if len(names) == 0 {
		return nil
	}
	var changed []tp
	for _, name := range names {
		data, _, err := t.o.Store.Get(t.ctx, store.ISRChangesPath+"/"+name)
		if errors.Is(err, store.ErrNoNode) {
			continue
		}
		if err != nil {
			return err
		}
		list, err := store.DecodePartitions(data)
		if err != nil {
			t.log.Warn("note of changed ISRs is not readable", zap.String("name", name), zap.Error(err))
		}
		for _, p := range list {
			changed = append(changed, tp(p))
		}
	}
	if err := t.reread(changed); err != nil {
		return err
	}
	if _, err := t.transact(func(d *draft) { d.tell(d.w.brokerIDs(), changed...) }); err != nil {
		return err
	}
	return t.deleteEach(store.ISRChangesPath, names)
}

// logDirEvents: brokers have left notes that a log dir of theirs has failed. They are told the roles of all their
// replicas again; the answers say which are affected.
type logDirEvents struct{}

func (logDirEvents) handle(t *term) error {
	names, _, c, err := t.o.Store.ChildrenW(t.ctx, store.LogDirEventsPath)
	if err != nil {
		return err
	}
	t.watches.add(c, logDirEvents{})
	if len(names) == 0 {
		return nil
	}
	brokers := map[int32]bool{}
	for _, name := range names {
		data, _, err := t.o.Store.Get(t.ctx, store.LogDirEventsPath+"/"+name)
		if errors.Is(err, store.ErrNoNode) {
			continue
		}
		if err != nil {
			return err
		}
		broker, err := store.DecodeLogDirEvent(data)
		if err != nil {
			t.log.Warn("note of a failed log dir is not readable", zap.String("name", name), zap.Error(err))
			continue
		}
		brokers[broker] = true
	}
	if err := t.askRoles(sortedKeys(brokers)...); err != nil {
		return err
	}
	return t.deleteEach(store.LogDirEventsPath, names)
}

// logDirFailed: a broker has said itself that a log dir of its has failed.
type logDirFailed struct{ broker int32 }

func (e logDirFailed) handle(t *term) error { return t.askRoles(e.broker) }

// askRoles tells brokers whose log dirs have failed the roles of all their replicas again.
func (t *term) askRoles(brokers ...int32) error {
	t.log.Info("log dirs have failed", zap.Int32s("brokers", brokers))
	_, err := t.transact(func(d *draft) {
		for _, broker := range brokers {
			d.replicaUp(broker, d.w.hosted(broker))
		}
	})
	return err
}

// handle learns from a broker's answer which of its replicas cannot serve, and which are deleted.
func (e answered) handle(t *term) error {
	if b := t.w.brokers[e.broker]; b == nil || b.Epoch != e.epoch {
		return nil
	}
	if e.result.Err != nil {
		t.log.Warn("broker has refused what it was told", zap.Int32("broker", e.broker), zap.Error(e.result.Err))
	} else if len(e.push.Roles) > 0 {
		if err := t.rolesAnswered(e); err != nil {
			return err
		}
	}
	return t.stopsAnswered(e)
}

// rolesAnswered finds the replicas that lie in a failed log dir.
func (t *term) rolesAnswered(e answered) error {
	var lost []tp
	for _, topic := range e.push.Roles {
		for _, s := range topic.Partitions {
			p := tp{Topic: topic.Topic, Partition: s.ID}
			err := e.result.Roles[p]
			switch {
			case err == nil:
				delete(t.w.failed[e.broker], p)
			case errors.Is(err, kerr.KafkaStorageError):
				if t.w.failed[e.broker] == nil {
					t.w.failed[e.broker] = map[tp]bool{}
				}
				if !t.w.failed[e.broker][p] && t.w.partition(p) != nil {
					t.w.failed[e.broker][p] = true
					lost = append(lost, p)
				}
			case errors.Is(err, kerr.StaleControllerEpoch):
				// It has the role already; Kafka's brokers refuse to be told twice.
			default:
				t.log.Warn("broker has refused a role", zap.Int32("broker", e.broker), zap.String("topic", p.Topic),
					zap.Int32("partition", p.Partition), zap.Error(err))
			}
		}
	}
	if len(lost) == 0 {
		return nil
	}
	t.log.Warn("replicas are offline: their log dir has failed", zap.Int32("broker", e.broker), zap.Int("count", len(lost)))
	return t.replicasDown(map[int32][]tp{e.broker: lost})
}

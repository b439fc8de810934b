package controller

import (
	"slices"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// tp names a partition.
type tp = cluster.TopicPartition

// world is what the controller knows in one term. It belongs to the goroutine of the term.
type world struct {
	self  int32 // the controller's own broker id
	epoch int32 // the controller epoch of this term

	// brokers are the registered ones, those that are leaving included.
	brokers map[int32]*cluster.Broker
	// leaving are brokers that have asked to shut down: they may not become leaders.
	leaving map[int32]bool
	// failed are the replicas, by broker, that lie in a log dir that has failed.
	failed map[int32]map[tp]bool

	topics map[string]*topic
	// deletions are the topics that are to go.
	deletions map[string]*deletion
}

// topic is a topic with its partitions; ids need not be consecutive while somebody else edits the node.
type topic struct {
	name       string
	id         cluster.TopicID
	partitions map[int32]*partition
	// watch numbers the outstanding watch on the topic's node, so that one left by an earlier topic of the same name is
	// told apart.
	watch int64
	// folder says that the node that holds the partitions' states exists.
	folder bool
}

// partition is what the controller knows of one partition. It is edited only on a draft's copy.
type partition struct {
	tp
	phase phase
	// assigned are the replicas, the preferred leader first. Slices are replaced, never edited.
	assigned, adding, removing []int32
	// leadership is nil until the first leader was elected.
	leadership *leadership
	// replicas are the phases of the replicas; one that is not listed does not exist.
	replicas []replica
	// folder says that the node that holds the state exists.
	folder bool
}

// leadership is a partition's state as it is in the store, with the version of the node: the partition epoch. It is
// replaced, never edited.
type leadership struct {
	store.PartitionState
	version int32
}

// replica is a replica's phase.
type replica struct {
	broker int32
	phase  replicaPhase
}

// deletion is a topic on its way out.
type deletion struct {
	// begun says that brokers were told to forget the topic.
	begun bool
	// halted says that it waits, for a replica to come back.
	halted bool
}

func newWorld(self, epoch int32) *world {
	return &world{
		self: self, epoch: epoch,
		brokers: map[int32]*cluster.Broker{}, leaving: map[int32]bool{}, failed: map[int32]map[tp]bool{},
		topics: map[string]*topic{}, deletions: map[string]*deletion{},
	}
}

// partition finds one; nil when it is unknown.
func (w *world) partition(p tp) *partition {
	t := w.topics[p.Topic]
	if t == nil {
		return nil
	}
	return t.partitions[p.Partition]
}

// live says whether a broker is there and not leaving.
func (w *world) live(broker int32) bool { return w.brokers[broker] != nil && !w.leaving[broker] }

// online says whether a replica can serve: its broker is live and its log dir has not failed.
func (w *world) online(broker int32, p tp) bool { return w.live(broker) && !w.failed[broker][p] }

// present is online, but brokers that are leaving count.
func (w *world) present(broker int32, p tp) bool {
	return w.brokers[broker] != nil && !w.failed[broker][p]
}

// brokerIDs are the registered brokers in ascending order.
func (w *world) brokerIDs() []int32 { return sortedKeys(w.brokers) }

// all are the partitions that keep says, by topic and number.
func (w *world) all(keep func(*partition) bool) []tp {
	var list []tp
	for _, name := range sortedKeys(w.topics) {
		list = append(list, w.of(name, keep)...)
	}
	return list
}

// of are a topic's partitions that keep says, by number; a nil keep takes them all.
func (w *world) of(name string, keep func(*partition) bool) []tp {
	t := w.topics[name]
	if t == nil {
		return nil
	}
	var list []tp
	for _, id := range sortedKeys(t.partitions) {
		if p := t.partitions[id]; keep == nil || keep(p) {
			list = append(list, p.tp)
		}
	}
	return list
}

// deleting says whether the topic is to go.
func (w *world) deleting(topic string) bool { return w.deletions[topic] != nil }

// add takes a topic into the world as the store has it. Partitions that are known already keep what is known.
func (w *world) add(name string, id cluster.TopicID, assigned store.Topic) *topic {
	t := w.topics[name]
	if t == nil {
		t = &topic{name: name, partitions: map[int32]*partition{}}
		w.topics[name] = t
	}
	t.id = id
	for n, replicas := range assigned.Partitions {
		if t.partitions[n] == nil {
			t.partitions[n] = &partition{
				tp:       tp{Topic: name, Partition: n},
				assigned: replicas, adding: assigned.Adding[n], removing: assigned.Removing[n],
			}
		}
	}
	return t
}

// forget takes a topic out of the world.
func (w *world) forget(name string) {
	delete(w.topics, name)
	delete(w.deletions, name)
	for _, failed := range w.failed {
		for p := range failed {
			if p.Topic == name {
				delete(failed, p)
			}
		}
	}
}

// phaseOf is the phase of the replica on a broker.
func (p *partition) phaseOf(broker int32) replicaPhase {
	for _, r := range p.replicas {
		if r.broker == broker {
			return r.phase
		}
	}
	return replicaNonExistent
}

// leader is the partition's leader, cluster.NoLeader when it has none.
func (p *partition) leader() int32 {
	if p.leadership == nil {
		return cluster.NoLeader
	}
	return p.leadership.Leader
}

// preferred is the replica that should lead; false for a partition without replicas, which a client may create.
func (p *partition) preferred() (int32, bool) {
	if len(p.assigned) == 0 {
		return cluster.NoLeader, false
	}
	return p.assigned[0], true
}

// clone is a copy that may be edited.
func (p *partition) clone() *partition {
	c := *p
	c.replicas = slices.Clone(p.replicas)
	return &c
}

// setPhase sets the phase of the replica on a broker.
func (p *partition) setPhase(broker int32, to replicaPhase) {
	for i := range p.replicas {
		if p.replicas[i].broker == broker {
			if to == replicaNonExistent {
				p.replicas = slices.Delete(p.replicas, i, i+1)
			} else {
				p.replicas[i].phase = to
			}
			return
		}
	}
	if to != replicaNonExistent {
		p.replicas = append(p.replicas, replica{broker, to})
	}
}

func sortedKeys[K int32 | string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

package replication

import (
	"errors"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/replication/cluster"
	"barnabas/storage"
	"barnabas/storage/clock"
)

// Manager holds the partitions of one broker.
type Manager struct {
	self     int32
	logs     *storage.Manager
	clock    clock.Clock
	settings func(topic string) *Settings

	setting sync.Mutex // held while settings are replaced, so that the last ones stay; before mu

	mu     sync.RWMutex // guards topics; a topic's slice grows or is replaced, what it holds is never edited
	topics map[string][]*Partition
}

// Options of NewManager.
type Options struct {
	Self  int32
	Logs  *storage.Manager
	Clock clock.Clock
	// Settings gives the settings in effect for a topic.
	Settings func(topic string) *Settings
}

// NewManager is a manager without partitions.
func NewManager(o Options) *Manager {
	return &Manager{self: o.Self, logs: o.Logs, clock: o.Clock, settings: o.Settings, topics: map[string][]*Partition{}}
}

func (m *Manager) now() int64 { return clock.Millis(m.clock) }

// Get finds a partition of this broker; nil when it has none of that name.
func (m *Manager) Get(topic string, id int32) *Partition {
	m.mu.RLock()
	ps := m.topics[topic]
	m.mu.RUnlock()
	if id < 0 || int(id) >= len(ps) {
		return nil
	}
	return ps[id]
}

// Each calls f for every partition.
func (m *Manager) Each(f func(*Partition)) {
	m.mu.RLock()
	var all []*Partition
	for _, ps := range m.topics {
		all = append(all, ps...)
	}
	m.mu.RUnlock()
	for _, p := range all {
		if p != nil {
			f(p)
		}
	}
}

// Become makes this broker what the controller says for a partition, creating the replica where it is new. Refusals:
// KAFKA_STORAGE_ERROR, INCONSISTENT_TOPIC_ID, STALE_CONTROLLER_EPOCH for an older leader epoch.
func (m *Manager) Become(tp cluster.TopicPartition, id cluster.TopicID, st cluster.PartitionState) error {
	p := m.Get(tp.Topic, tp.Partition)
	if p != nil && st.LeaderEpoch < p.LeaderEpoch() {
		return p.refuse(kerr.StaleControllerEpoch)
	}
	log, err := m.log(tp, id, st.IsNew)
	if err != nil {
		return err
	}
	if p == nil {
		p = m.add(tp, log)
	}
	return p.become(st)
}

// log finds the partition's log, ties it to the topic's id, and makes one where there is none. A replica that is not new
// may lie in a log dir that has failed; it must not begin anew elsewhere. One that is new cannot have the log that another
// topic of that name has left here, of whose deletion this broker was not told: that is set aside, for Kafka would refuse
// the new topic for ever.
func (m *Manager) log(tp cluster.TopicPartition, id cluster.TopicID, isNew bool) (*storage.Log, error) {
	if !isNew && m.logs.Log(tp.Topic, tp.Partition) == nil {
		if err := m.logs.MissingIsLost(); err != nil {
			return nil, err
		}
	}
	log, err := m.logs.Create(tp.Topic, tp.Partition, id, m.settings(tp.Topic).Log)
	if errors.Is(err, kerr.InconsistentTopicID) && isNew && m.Get(tp.Topic, tp.Partition) == nil {
		if err := m.logs.SetAside(tp.Topic, tp.Partition); err != nil {
			return nil, err
		}
		return m.logs.Create(tp.Topic, tp.Partition, id, m.settings(tp.Topic).Log)
	}
	return log, err
}

// add makes a partition over its log.
func (m *Manager) add(tp cluster.TopicPartition, log *storage.Log) *Partition {
	p := &Partition{Topic: tp.Topic, ID: tp.Partition, manager: m, log: log}
	p.settings.Store(m.settings(tp.Topic))
	none := cluster.PartitionState{ID: tp.Partition}
	none.Leader, none.LeaderEpoch = cluster.NoLeader, NoEpoch
	p.role.Store(&role{kind: offline, state: none})
	p.hw.Advance(log.HighWatermark())
	p.stable.Advance(log.LastStable())
	m.put(p)
	// Settings that have changed since were not brought to a partition that nobody found.
	m.setting.Lock()
	defer m.setting.Unlock()
	p.set(m.settings(tp.Topic))
	return p
}

// set replaces the settings, effective at once.
func (p *Partition) set(s *Settings) {
	p.settings.Store(s)
	p.log.SetConfig(s.Log)
}

func (m *Manager) put(p *Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ps := m.topics[p.Topic]
	if n := int(p.ID) + 1; n > len(ps) {
		// Behind the end of a slice that others have, nobody looks: most partitions of a large topic are added in place.
		ps = slices.Grow(ps, n-len(ps))[:n]
	} else {
		ps = slices.Clone(ps)
	}
	ps[p.ID] = p
	m.topics[p.Topic] = ps
}

// Stop takes the role from a partition, and with remove its data too. A replica that is not there is fine: leftovers on
// disk go all the same.
func (m *Manager) Stop(tp cluster.TopicPartition, remove bool) error {
	if p := m.Get(tp.Topic, tp.Partition); p != nil {
		p.retire()
		if remove {
			m.drop(p)
		}
	}
	if !remove {
		return nil
	}
	err := m.logs.Delete(tp.Topic, tp.Partition)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil
	}
	return err
}

func (m *Manager) drop(p *Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := append([]*Partition(nil), m.topics[p.Topic]...)
	next[p.ID] = nil
	for _, q := range next {
		if q != nil {
			m.topics[p.Topic] = next
			return
		}
	}
	delete(m.topics, p.Topic)
}

// SetSettings replaces the settings of a topic's partitions, effective at once.
func (m *Manager) SetSettings(topic string, s *Settings) {
	m.setting.Lock()
	defer m.setting.Unlock()
	m.mu.RLock()
	ps := m.topics[topic]
	m.mu.RUnlock()
	for _, p := range ps {
		if p != nil {
			p.set(s)
		}
	}
}

// DiskFailed wakes whoever waits on a partition whose log has failed: the second look answers KAFKA_STORAGE_ERROR.
func (m *Manager) DiskFailed() {
	m.Each(func(p *Partition) {
		if p.log.Failed() != nil {
			p.ringAll()
		}
	})
}

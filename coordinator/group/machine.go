package group

import (
	"slices"
	"strings"

	"go.uber.org/zap"

	"barnabas/coordinator/runtime"
)

// machine holds the groups of one partition of __consumer_offsets.
type machine struct {
	o    *Options
	host *runtime.Scope
	log  *zap.Logger

	groups map[string]*group
	// open are the groups that a producer's open transaction has committed offsets for, by producer id.
	open map[int64]map[string]*group

	topics     map[string]string // names of topics that offsets are of, each by itself; those of deleted topics are let go
	loaded     bool
	sweepTimer *runtime.Timer
	skipped    map[int16]int // records of later protocols, by key version
	hashes     hashes        // of topics
}

func newMachine(o *Options, host *runtime.Scope) *machine {
	return &machine{o: o, host: host, log: o.Logger, groups: map[string]*group{}, open: map[int64]map[string]*group{},
		topics: map[string]string{}, skipped: map[int16]int{}}
}

func (m *machine) now() int64 { return m.host.Now().UnixMilli() }

// create makes an empty group, or gives the one that is there.
func (m *machine) create(id string) *group {
	g := m.groups[id]
	if g == nil {
		g = newGroup(id, m.now())
		m.groups[id] = g
		if m.loaded {
			m.sweepLater()
		}
	}
	return g
}

// forget lets a group go, with its timers.
func (m *machine) forget(g *group) {
	for len(g.members) > 0 {
		g.remove(g.members[len(g.members)-1])
	}
	for id := range g.pending {
		g.dropPending(id)
	}
	g.rebalance.timer.Stop()
	g.clearUnsynced()
	for pid := range g.pendingTxn {
		m.closeTxn(pid, g)
	}
	if g.consumer != nil {
		g.consumer.end()
		g.consumer = nil
	}
	if m.groups[g.id] == g {
		delete(m.groups, g.id)
	}
}

// dropBare forgets a group of which neither the log nor a client knows.
func (m *machine) dropBare(g *group) {
	if g.bare() && !g.recorded && g.generation == 0 {
		m.forget(g)
	}
}

// byName are the groups in the order of their names.
func (m *machine) byName() []*group {
	gs := make([]*group, 0, len(m.groups))
	for _, g := range m.groups {
		gs = append(gs, g)
	}
	slices.SortFunc(gs, func(a, b *group) int { return strings.Compare(a.id, b.id) })
	return gs
}

// Replay applies one record; see doc.go.
func (m *machine) Replay(e runtime.Entry) {
	version, err := versionOf(e.Key)
	switch {
	case err != nil:
	case version >= 0 && version <= lastOffsetKey:
		err = m.replayOffset(e)
	case version == groupKeyOf:
		err = m.replayGroup(e)
	case ofConsumerGroup(version):
		err = m.replayConsumer(e)
	default:
		if m.skipped[version]++; m.skipped[version] == 1 {
			m.log.Warn("group: the log has records of a later protocol, which are left alone",
				zap.Int32("partition", m.host.Partition()), zap.Int16("key version", version), zap.Int64("offset", e.Offset))
		}
	}
	if err != nil {
		m.log.Error("group: a record makes no sense and is skipped", zap.Int32("partition", m.host.Partition()),
			zap.Int64("offset", e.Offset), zap.Error(err))
	}
}

func (m *machine) replayOffset(e runtime.Entry) error {
	id, tp, err := readOffsetKey(e.Key)
	if err != nil {
		return err
	}
	if e.Value == nil {
		if g := m.groups[id]; g != nil {
			m.replayOffsetGone(g, tp, e)
		}
		return nil
	}
	c, err := readOffsetValue(e.Value, e.Offset)
	if err != nil {
		return err
	}
	g := m.groups[id]
	if g == nil {
		g = m.create(strings.Clone(id))
	}
	tp.Topic = m.topic(tp.Topic)
	if e.Transactional {
		m.openTxn(e.ProducerID, g)[tp] = c
		return nil
	}
	g.offsets[tp] = c
	return nil
}

// topic is the name that offsets of a topic are kept under, the same string for all of them.
func (m *machine) topic(name string) string {
	kept, ok := m.topics[name]
	if !ok {
		kept = strings.Clone(name)
		m.topics[kept] = kept
	}
	return kept
}

func (m *machine) replayOffsetGone(g *group, tp TopicPartition, e runtime.Entry) {
	if !e.Transactional {
		delete(g.offsets, tp)
	} else if offsets := g.pendingTxn[e.ProducerID]; offsets != nil {
		if delete(offsets, tp); len(offsets) == 0 {
			m.closeTxn(e.ProducerID, g)
		}
	}
	m.dropBare(g)
}

func (m *machine) replayGroup(e runtime.Entry) error {
	id, err := readGroupKey(e.Key)
	if err != nil {
		return err
	}
	if e.Value == nil {
		if g := m.groups[id]; g != nil {
			g.clearClassic()
			m.dropBare(g)
		}
		return nil
	}
	v, err := readGroupValue(e.Value)
	if err != nil {
		return err
	}
	g := m.create(id)
	if g.consumer != nil { // a group of both kinds does not exist; the later kind counts
		g.consumer.end()
		g.consumer = nil
	}
	g.adopt(v)
	return nil
}

// openTxn gives the offsets that a producer's open transaction has committed for a group.
func (m *machine) openTxn(pid int64, g *group) map[TopicPartition]committed {
	if g.pendingTxn == nil {
		g.pendingTxn = map[int64]map[TopicPartition]committed{}
	}
	if g.pendingTxn[pid] == nil {
		g.pendingTxn[pid] = map[TopicPartition]committed{}
		if m.open[pid] == nil {
			m.open[pid] = map[string]*group{}
		}
		m.open[pid][g.id] = g
	}
	return g.pendingTxn[pid]
}

func (m *machine) closeTxn(pid int64, g *group) {
	delete(g.pendingTxn, pid)
	if delete(m.open[pid], g.id); len(m.open[pid]) == 0 {
		delete(m.open, pid)
	}
}

// End commits or drops what a transaction has left pending. An offset counts unless a later record has committed the same
// partition; compaction may have removed what lay between.
func (m *machine) End(e runtime.Marker) {
	for _, g := range m.open[e.ProducerID] {
		if e.Commit {
			for tp, c := range g.pendingTxn[e.ProducerID] {
				if now, ok := g.offsets[tp]; !ok || now.at < c.at {
					g.offsets[tp] = c
				}
			}
		}
		m.closeTxn(e.ProducerID, g)
		m.dropBare(g)
	}
}

// Loaded starts the sessions of all members, and a rebalance where a group has more than group.max.size.
func (m *machine) Loaded() {
	m.loaded = true
	for version, n := range m.skipped {
		m.log.Warn("group: records of a later protocol were left alone", zap.Int32("partition", m.host.Partition()),
			zap.Int16("key version", version), zap.Int("records", n))
	}
	for _, g := range m.byName() {
		if g.consumer != nil {
			m.startSessions(g)
		}
		if len(g.members) > m.o.MaxSize {
			m.prepare(g, "more members than group.max.size when loaded")
		}
		for _, mb := range g.members {
			m.expect(g, mb, mb.sessionTimeout)
		}
	}
	m.sweepLater()
}

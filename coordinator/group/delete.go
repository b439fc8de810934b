package group

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/runtime"
)

// delete removes a group without members, with all its offsets.
func (m *machine) delete(id string, p *runtime.Promise[*kerr.Error]) {
	g := m.groups[id]
	switch {
	case g == nil:
		p.Resolve(kerr.GroupIDNotFound)
	case !g.isEmpty():
		p.Resolve(kerr.NonEmptyGroup)
	default:
		m.bury(g, g.allOffsets())
		m.log.Info("group: deleted", zap.String("group", g.id))
		p.Resolve(nil)
	}
}

// allOffsets are the partitions that the group has committed, open transactions included, in order.
func (g *group) allOffsets() []TopicPartition {
	var all []TopicPartition
	for tp := range g.offsets {
		all = append(all, tp)
	}
	return sorted(all)
}

// bury writes tombstones for the offsets and the group's metadata, and forgets the group.
func (m *machine) bury(g *group, offsets []TopicPartition) {
	m.eraseOffsets(g, offsets)
	for pid := range g.pendingTxn {
		m.closeTxn(pid, g)
	}
	if g.generation > 0 || g.recorded {
		m.host.WriteEach(runtime.Plain, runtime.Record{Key: groupKey(g.id)})
	}
	if g.consumer != nil {
		if err := m.emptyConsumer(g); err != nil {
			m.log.Error("group: a consumer group cannot be erased", zap.String("group", g.id), zap.Error(err))
		}
	}
	m.forget(g)
}

// eraseOffsets writes tombstones for offsets of a group.
func (m *machine) eraseOffsets(g *group, offsets []TopicPartition) {
	records := make([]runtime.Record, len(offsets))
	for i, tp := range offsets {
		records[i] = runtime.Record{Key: offsetKey(g.id, tp.Topic, tp.Partition)}
	}
	if err := m.host.WriteEach(runtime.Plain, records...); err != nil {
		m.log.Error("group: offsets cannot be erased", zap.String("group", g.id), zap.Error(err))
	}
}

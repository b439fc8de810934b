package group

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/runtime"
)

// fetch gives the committed offsets of the partitions, or, for nil, of all that the group has committed. Where there is none,
// or no such group, the offset is -1. stable refuses partitions that an open transaction has committed.
func (m *machine) fetch(id string, wanted []TopicPartition, stable bool, most int, p *runtime.Promise[[]Offset]) {
	g := m.groups[id]
	n := len(wanted)
	if wanted == nil && g != nil {
		n = len(g.offsets)
	}
	if err := larger(n, most); err != nil {
		p.Fail(err)
		return
	}
	if wanted == nil && g != nil {
		wanted = make([]TopicPartition, 0, n)
		for tp := range g.offsets {
			wanted = append(wanted, tp)
		}
		slices.SortFunc(wanted, compare)
	}
	res := make([]Offset, len(wanted))
	for i, tp := range wanted {
		o := Offset{Topic: tp.Topic, Partition: tp.Partition, Offset: -1, LeaderEpoch: -1}
		if g != nil {
			if stable && g.unstable(tp) {
				o.Err = kerr.UnstableOffsetCommit
			} else if c, ok := g.offsets[tp]; ok {
				o.Offset, o.LeaderEpoch, o.Metadata = c.offset, c.leaderEpoch, c.metadata
			}
		}
		res[i] = o
	}
	p.Resolve(res)
}

// unstable says that an open transaction has committed the partition.
func (g *group) unstable(tp TopicPartition) bool {
	for _, offsets := range g.pendingTxn {
		if _, ok := offsets[tp]; ok {
			return true
		}
	}
	return false
}

func compare(a, b TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

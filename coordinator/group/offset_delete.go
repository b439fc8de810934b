package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/runtime"
)

// DeletedOffsets answers a deletion of offsets: an error for the group, or one for each partition in the order of the request.
type DeletedOffsets struct {
	Err  *kerr.Error
	Errs []*kerr.Error
}

// deleteOffsets removes committed offsets. A consumer group with members keeps those of the topics that it subscribes to; what
// groups of other types with members need is not known, so they keep all.
func (m *machine) deleteOffsets(id string, partitions []TopicPartition, p *runtime.Promise[DeletedOffsets]) {
	g := m.groups[id]
	switch {
	case g == nil:
		p.Resolve(DeletedOffsets{Err: kerr.GroupIDNotFound})
		return
	case g.consumer == nil && g.state != Empty && g.protocolType != consumerType:
		p.Resolve(DeletedOffsets{Err: kerr.NonEmptyGroup})
		return
	}
	res := DeletedOffsets{Errs: make([]*kerr.Error, len(partitions))}
	var gone []TopicPartition
	for i, tp := range partitions {
		if !g.isEmpty() && g.subscribes(tp.Topic) {
			res.Errs[i] = kerr.GroupSubscribedToTopic
			continue
		}
		gone = append(gone, tp)
	}
	m.drop(g, gone)
	p.Resolve(res)
}

// drop erases some offsets of a group, and the group itself if it is empty and nothing is left of it.
func (m *machine) drop(g *group, gone []TopicPartition) {
	var known []TopicPartition
	for _, tp := range gone {
		if _, ok := g.offsets[tp]; ok {
			known = append(known, tp)
		}
		for pid, offsets := range g.pendingTxn {
			if delete(offsets, tp); len(offsets) == 0 {
				m.closeTxn(pid, g)
			}
		}
	}
	m.eraseOffsets(g, sorted(known))
	if m.groups[g.id] == g && g.deserted() {
		m.bury(g, nil)
	}
}

func sorted(tps []TopicPartition) []TopicPartition {
	slices.SortFunc(tps, compare)
	return slices.Compact(tps)
}

package group

import (
	"maps"
	"slices"

	"go.uber.org/zap"

	"barnabas/coordinator/group/assign"
)

// assign computes the target assignment if the group has come to an epoch that has none.
func (m *machine) assignTarget(d *draft) {
	if d.epoch <= d.targetEpoch {
		return
	}
	name := m.preferredAssignor(d.members)
	ids := slices.Sorted(maps.Keys(d.members))
	members, topics := make([]assign.Member, len(ids)), assign.Topics{}
	for i, id := range ids {
		mb := d.members[id]
		members[i] = assign.Member{ID: id, Instance: mb.instance, Topics: d.topicIDs(mb), Last: d.target[id]}
		for _, t := range members[i].Topics {
			topics[t] = int32(len(d.image.ByID[t].Partitions))
		}
	}
	target := assign.ByName(name)(members, topics)
	for _, id := range ids {
		if last, ok := d.target[id]; !ok || !maps.Equal(last, target[id]) {
			d.setTarget(id, target[id])
		}
	}
	d.targetEpoch = d.epoch
	d.write(targetEpochRecord(d.group, d.targetEpoch, d.now))
	m.log.Info("group: new target assignment", zap.String("group", d.group), zap.Int32("epoch", d.epoch),
		zap.String("assignor", name), zap.Int("members", len(ids)))
}

// preferredAssignor is what most members would like, the first of the settings among equals, or when nobody has a wish.
func (m *machine) preferredAssignor(members map[string]*consumerMember) string {
	wishes := map[string]int{}
	for _, mb := range members {
		if mb.assignor != nil {
			wishes[*mb.assignor]++
		}
	}
	best := m.o.Consumer.Assignors[0]
	for _, name := range m.o.Consumer.Assignors {
		if wishes[name] > wishes[best] {
			best = name
		}
	}
	return best
}

// reconcile brings a member one step nearer to the target assignment.
func (d *draft) reconcile(mb *consumerMember, owned []assign.Partition, changed bool) (*consumerMember, *refused) {
	if !changed && mb.reconciledTo(d.targetEpoch) {
		return mb, nil
	}
	ids := d.topicIDs(mb)
	r := reconciliation{targetEpoch: d.targetEpoch, target: d.target[mb.id], owned: owned, changed: changed,
		subscribes: func(t assign.TopicID) bool { return slices.Contains(ids, t) },
		free:       func(p assign.Partition) bool { return d.free(p, mb.id) }}
	if len(ids) > 16 {
		set := make(map[assign.TopicID]bool, len(ids))
		for _, id := range ids {
			set[id] = true
		}
		r.subscribes = func(t assign.TopicID) bool { return set[t] }
	}
	next, err := r.of(mb)
	if err != nil {
		return nil, err
	}
	if !next.sameAssignment(mb) {
		d.move(next)
	}
	return next, nil
}

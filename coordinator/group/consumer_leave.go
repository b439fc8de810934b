package group

import (
	"slices"

	"go.uber.org/zap"
)

// consumerLeave lets a member go, for good, or for a while if it is static: then it keeps its partitions until it comes back or its
// session ends.
func (m *machine) consumerLeave(r *ConsumerHeartbeatRequest) (ConsumerHeartbeatResult, *refused) {
	g := m.groups[r.Group]
	switch {
	case g == nil:
		return ConsumerHeartbeatResult{}, noSuchGroup(r.Group)
	case g.consumer == nil:
		return ConsumerHeartbeatResult{}, notAConsumerGroup(r.Group)
	}
	mb, err := g.consumer.check(r.Member, r.Instance)
	if err != nil {
		return ConsumerHeartbeatResult{}, err
	}
	m.log.Info("group: a member leaves", zap.String("group", g.id), zap.String("member", mb.id), zap.Int32("epoch", r.Epoch))
	if r.Epoch == leavingForAWhile {
		away := *mb
		away.epoch, away.revoking, away.assigned = leavingForAWhile, nil, make(holding, len(mb.assigned))
		for p := range mb.assigned {
			away.assigned[p] = 0
		}
		d := m.draft(g.id, g.consumer)
		d.move(&away)
		err = m.conclude(g, d)
	} else {
		err = m.fence(g, mb.id)
	}
	if err != nil {
		return ConsumerHeartbeatResult{}, err
	}
	return ConsumerHeartbeatResult{Member: mb.id, Epoch: r.Epoch}, nil
}

// fence takes members out of a consumer group. When only such are left that use the classic protocol, it becomes a classic group,
// if it may.
func (m *machine) fence(g *group, ids ...string) *refused {
	if m.mayDowngrade(g, len(g.consumer.members)-len(ids), ids...) {
		return m.downgrade(g, ids)
	}
	d := m.draft(g.id, g.consumer)
	for _, id := range ids {
		d.remove(id)
	}
	used := map[string]bool{}
	for _, mb := range d.members {
		used[mb.regex] = true
	}
	for _, id := range ids {
		if regex := g.consumer.members[id].regex; regex != "" && !used[regex] {
			used[regex] = true
			if _, known := d.regexes[regex]; known {
				d.dropRegex(regex)
			}
		}
	}
	d.setEpoch(m.draftHash(d))
	return m.conclude(g, d)
}

// leaveConsumer lets members go by LeaveGroup: those that use the classic protocol, and any that an administrator removes.
func (m *machine) leaveConsumer(g *group, leaving []Leaving, errs []*refused) {
	var ids []string
	var at []int
	for i, l := range leaving {
		if l.Instance != nil && l.Member == "" {
			l.Member = g.consumer.static[*l.Instance]
		}
		mb, err := g.consumer.check(l.Member, l.Instance)
		if err != nil {
			errs[i] = err
			continue
		}
		m.log.Info("group: a member leaves", zap.String("group", g.id), zap.String("member", mb.id), zap.String("reason", reason(l.Reason)))
		if !slices.Contains(ids, mb.id) {
			ids = append(ids, mb.id)
		}
		at = append(at, i)
	}
	if len(ids) == 0 {
		return
	}
	if err := m.fence(g, ids...); err != nil {
		for _, i := range at {
			errs[i] = err
		}
	}
}

package group

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime"
)

// Migration says which way groups with members may go over to the other protocol (group.consumer.migration.policy). Groups without
// members always may.
type Migration int8

const (
	MigrationDisabled Migration = iota
	MigrationUpgrade
	MigrationDowngrade
	MigrationBidirectional
)

func (p Migration) upgrades() bool   { return p == MigrationUpgrade || p == MigrationBidirectional }
func (p Migration) downgrades() bool { return p == MigrationDowngrade || p == MigrationBidirectional }

// clientAssignors are those that clients bring with them. What they put beside the partitions is no loss (librdkafka's
// cooperative-sticky does it, and Kafka refuses it for that), as it may be with somebody's own.
var clientAssignors = []string{"range", "roundrobin", "sticky", "cooperative-sticky"}

// upgrade drafts the consumer group that a classic group becomes when somebody of the consumer protocol joins. Its members go on
// with the partitions that their leader has given them, in an epoch that is their generation. Where a rebalance is under way that
// may be nothing yet; then they go on with what they have said that they kept for it.
func (m *machine) upgrade(g *group) (*draft, *refused) {
	no := func(why string) (*draft, *refused) {
		m.log.Info("group: cannot become a consumer group", zap.String("group", g.id), zap.String("why", why))
		return nil, refuse(kerr.GroupIDNotFound, "Cannot upgrade classic group %s to consumer group because %s.", g.id, why)
	}
	switch {
	case !m.o.Consumer.Migration.upgrades():
		return no("online upgrade is disabled")
	case g.protocolType != consumerType:
		return no("the group does not use the consumer embedded protocol")
	case len(g.members) > m.o.Consumer.MaxSize:
		return no("the group size exceeds the consumer group maximum size")
	}
	protocol := g.selectProtocol()
	if g.protocol != nil {
		protocol = *g.protocol
	}
	d := m.draft(g.id, newConsumerGroup())
	base, kept := newConsumerGroup(), map[string][]assign.Partition{}
	for _, old := range g.members {
		said, ok := readSubscription(old.metadata(protocol))
		target, custom, ok2 := readAssignment(d.image, old.assignment)
		switch {
		case !ok || !ok2:
			return no("the embedded consumer protocol is malformed")
		case custom && !slices.Contains(clientAssignors, protocol):
			return no("an unsupported custom assignor is in use")
		}
		mb := newConsumerMember(old.id)
		mb.instance, mb.client, mb.rebalanceTimeout = old.instance, old.client, old.rebalanceTimeout
		if said.Rack != nil && *said.Rack != "" {
			mb.rack = said.Rack
		}
		mb.topics, mb.classic = sortedTopics(said.Topics), &classicHalf{old.sessionTimeout, old.protocols}
		mb.epoch, mb.previous, mb.assigned = g.generation, g.generation, holding{}
		for p := range target {
			if _, twice := base.owners[p]; !twice { // a leader may err
				mb.assigned[p] = g.generation
			}
		}
		base.put(mb)
		kept[mb.id] = ownedPartitions(d.image, said)
	}
	for _, id := range base.ids() {
		mb := *base.members[id]
		if len(mb.assigned) == 0 {
			mb.assigned = holding{}
			for _, p := range kept[id] {
				if _, taken := base.owners[p]; !taken {
					mb.assigned[p] = g.generation
				}
			}
			base.put(&mb)
		}
		base.target[id] = keys(mb.assigned)
	}
	base.epoch, base.targetEpoch = g.generation, g.generation
	base.hash = m.topicsHash(d.image, subscribed(base.members, nil))

	d = m.draft(g.id, base)
	d.write(runtime.Record{Key: groupKey(g.id)})
	ids := base.ids()
	for _, id := range ids {
		d.write(memberRecord(g.id, base.members[id]))
	}
	d.write(epochRecord(g.id, base.epoch, base.hash))
	for _, id := range ids {
		d.write(targetRecord(g.id, id, base.target[id]))
	}
	d.write(targetEpochRecord(g.id, base.targetEpoch, 0))
	for _, id := range ids {
		d.write(currentRecord(g.id, base.members[id]))
	}
	m.log.Info("group: becomes a consumer group", zap.String("group", g.id), zap.Int32("generation", g.generation),
		zap.Int("members", len(ids)))
	return d, nil
}

func keys(h holding) assign.Set {
	s := make(assign.Set, len(h))
	for p := range h {
		s[p] = struct{}{}
	}
	return s
}

// sendAway tells all who wait in a classic group to join again.
func (m *machine) sendAway(g *group) {
	for _, mb := range g.members {
		g.answerJoin(mb, refuseJoin(mb.id, kerr.RebalanceInProgress))
		mb.answerSync(SyncResult{Err: kerr.RebalanceInProgress})
	}
}

// mayDowngrade says whether a consumer group becomes a classic group when the given members go: they are the last of the consumer
// protocol, others stay (as many as stay says), and it is allowed.
func (m *machine) mayDowngrade(g *group, stay int, going ...string) bool {
	return m.o.Consumer.Migration.downgrades() && stay > 0 && stay <= m.o.MaxSize && g.consumer.classicOnly(going...)
}

// downgrade makes a classic group of a consumer group whose last members of the consumer protocol go. The others join again.
func (m *machine) downgrade(g *group, going []string) *refused {
	_, err := m.becomeClassic(g, going, nil, "")
	if err == nil {
		m.prepare(m.groups[g.id], "the group is a classic group again")
	}
	return err
}

// downgradeByJoin is the same when the last member of the consumer protocol, a static one, comes back with the classic protocol. The
// group goes on without a rebalance if everybody has what the target assignment says.
func (m *machine) downgradeByJoin(g *group, d *draft, mb, replaced *consumerMember, r *JoinRequest, p joinPromise) *refused {
	settled := d.epoch == g.consumer.targetEpoch
	for id, other := range g.consumer.members {
		settled = settled && (id == replaced.id || other.reconciledTo(g.consumer.targetEpoch))
	}
	now, err := m.becomeClassic(g, []string{replaced.id}, mb, replaced.id)
	if err != nil {
		return err
	}
	classic := now.byID[mb.id]
	if settled {
		res := now.joinResult(classic, false)
		if now.leader == mb.id {
			res.Leader = "" // it is not to assign anything
		}
		p.Resolve(res)
		return nil
	}
	now.awaitJoin(classic, p)
	m.prepare(now, "the group is a classic group again: "+reason(r.Reason))
	return nil
}

// becomeClassic writes a classic group in place of a consumer group, without those who go, and with a member that takes over what
// another has. The generation is the group's epoch. The assignments are what the members have, not what the target assignment
// gives them (which Kafka records): until they have joined again they go on with it, and if the group becomes a consumer group
// before that, nobody else must get it.
func (m *machine) becomeClassic(g *group, going []string, comes *consumerMember, inPlaceOf string) (*group, *refused) {
	c, image := g.consumer, m.o.image()
	scratch := newGroup(g.id, m.now())
	scratch.generation = c.epoch
	protocols := map[string][]Protocol{}
	held := map[string]holding{}
	add := func(mb *consumerMember, id string) {
		has := maps.Clone(c.members[id].assigned)
		maps.Copy(has, c.members[id].revoking)
		protocols[mb.id], held[mb.id] = mb.classic.protocols, has
		scratch.add(&member{id: mb.id, instance: mb.instance, client: mb.client, rebalanceTimeout: mb.rebalanceTimeout,
			sessionTimeout: mb.classic.sessionTimeout, protocols: mb.classic.protocols}, consumerType)
	}
	for _, id := range c.ids() {
		if !slices.Contains(going, id) {
			add(c.members[id], id)
		}
	}
	if comes != nil {
		add(comes, inPlaceOf)
	}
	protocol := scratch.selectProtocol()
	scratch.protocol = &protocol
	assignments := map[string][]byte{}
	for _, mb := range scratch.members {
		assignments[mb.id] = assignmentBytes(image, held[mb.id].sorted(), mb.metadata(protocol))
	}
	records := append(c.tombstones(g.id), runtime.Record{Key: groupKey(g.id), Value: groupValue(scratch, assignments)})
	if err := m.host.Write(commitKind, records...); err != nil {
		m.log.Error("group: the classic group cannot be recorded", zap.String("group", g.id), zap.Error(err))
		return nil, refuse(kerr.UnknownServerError, "The group's records cannot be written: %v.", err)
	}
	now := m.groups[g.id]
	m.log.Info("group: becomes a classic group", zap.String("group", g.id), zap.Int32("generation", now.generation),
		zap.Int("members", len(now.members)))
	for _, mb := range now.members {
		now.update(mb, protocols[mb.id], mb.rebalanceTimeout, mb.sessionTimeout)
		m.expect(now, mb, mb.sessionTimeout)
	}
	return now, nil
}

// emptyConsumer erases a consumer group without members, so that a classic group may take its place.
func (m *machine) emptyConsumer(g *group) error {
	return m.host.Write(commitKind, g.consumer.tombstones(g.id)...)
}

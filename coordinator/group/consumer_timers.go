package group

import (
	"time"

	"go.uber.org/zap"
)

func milliseconds(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }

// life is what a member of a consumer group waits for; nil if there is no such member.
func (g *group) life(id string) *consumerLife {
	if g == nil || g.consumer == nil || g.consumer.members[id] == nil {
		return nil
	}
	l := g.consumer.lives[id]
	if l == nil {
		l = &consumerLife{}
		g.consumer.lives[id] = l
	}
	return l
}

// sessionOf is how long nothing may be heard of a member, ms.
func (m *machine) sessionOf(g *group, mb *consumerMember) int32 {
	if mb.classic != nil {
		return mb.classic.sessionTimeout
	}
	return m.consumerSession(g.id)
}

// startSessions starts those of all members: the group has just been loaded, or has become a consumer group. Who has partitions to
// give up gets the whole time for it.
func (m *machine) startSessions(g *group) {
	for _, id := range g.consumer.ids() {
		mb := g.consumer.members[id]
		m.expectConsumer(g, id, m.sessionOf(g, mb))
		if mb.classic == nil && mb.state == memberUnrevoked && mb.epoch != leavingForAWhile {
			m.awaitRevocation(g, mb)
		}
	}
}

// expectConsumer pushes the end of a member's session back by ms from now.
func (m *machine) expectConsumer(g *group, id string, ms int32) {
	l := g.life(id)
	if l == nil {
		return
	}
	l.deadline = m.host.Now().Add(milliseconds(ms))
	if l.session == nil || l.deadline.Before(l.due) {
		m.watchConsumer(g, id, l, milliseconds(ms))
	}
}

func (m *machine) watchConsumer(g *group, id string, l *consumerLife, d time.Duration) {
	l.session.Stop()
	l.due = m.host.Now().Add(d)
	l.session = m.host.After(d, func() {
		l.session = nil
		if left := l.deadline.Sub(m.host.Now()); left > 0 {
			m.watchConsumer(g, id, l, left)
			return
		}
		m.expel(g, id, "its session has ended")
	})
}

// watchRevocation starts or ends the time in which a member must have given up partitions, when its assignment has changed.
func (m *machine) watchRevocation(g *group, was, mb *consumerMember) {
	if mb == was || mb.sameAssignment(was) {
		return
	}
	if mb.state == memberUnrevoked {
		m.awaitRevocation(g, mb)
	} else if l := g.life(mb.id); l != nil {
		l.revocation.Stop()
		l.revocation = nil
	}
}

func (m *machine) awaitRevocation(g *group, mb *consumerMember) {
	l := g.life(mb.id)
	if l == nil {
		return
	}
	id, epoch := mb.id, mb.epoch
	l.revocation.Stop()
	l.revocation = m.host.After(milliseconds(mb.rebalanceTimeout), func() {
		l.revocation = nil
		if now := g.consumer.members[id]; now != nil && now.epoch == epoch {
			m.expel(g, id, "it has not given up its partitions in time")
		}
	})
}

// awaitJoin gives a member of the classic protocol its rebalance timeout to join again, from when it is first told.
func (m *machine) awaitConsumerJoin(g *group, mb *consumerMember) {
	l := g.life(mb.id)
	if l == nil || l.joining != nil {
		return
	}
	id := mb.id
	l.joining = m.host.After(milliseconds(mb.rebalanceTimeout), func() {
		l.joining = nil
		m.expel(g, id, "it has not joined again in time")
	})
}

// awaitConsumerSync gives a member of the classic protocol that has joined its rebalance timeout to ask for its assignment.
func (m *machine) awaitConsumerSync(g *group, mb *consumerMember) {
	l := g.life(mb.id)
	if l == nil {
		return
	}
	id := mb.id
	l.syncing.Stop()
	l.syncing = m.host.After(milliseconds(mb.rebalanceTimeout), func() {
		l.syncing = nil
		m.expel(g, id, "it has not synced in time")
	})
}

// expel takes out a member whose time is over.
func (m *machine) expel(g *group, id, reason string) {
	if m.groups[g.id] != g || g.consumer == nil || g.consumer.members[id] == nil {
		return
	}
	m.log.Info("group: removed a member", zap.String("group", g.id), zap.String("member", id), zap.String("reason", reason))
	if err := m.fence(g, id); err != nil {
		// It stays until it can be written down that it is gone.
		m.expectConsumer(g, id, m.sessionOf(g, g.consumer.members[id]))
	}
}

package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/runtime"
)

// newMemberTimeout is how long a member that has never been in a generation may wait in its join: nobody can hear
// heartbeats from it, and its client may be gone.
const newMemberTimeout = 5 * time.Minute

// emptyRoundMin (ms) bounds how often a rebalance that nobody has joined starts its wait anew: a rebalance timeout may be 0, or
// negative.
const emptyRoundMin = 1000

// rebalance is the wait for members to join, while the group prepares a generation.
type rebalance struct {
	timer *runtime.Timer
	// initial is the delay that lets the first members of an empty group come together. It is not cut short when all known
	// members have joined. delay is its present length, left what new members may still prolong it by (both ms).
	initial     bool
	delay, left int32
	// grown says that a member came during the present delay.
	grown bool
}

// prepare begins a rebalance.
func (m *machine) prepare(g *group, reason string) {
	if g.state == CompletingRebalance {
		m.refuseSyncs(g, kerr.RebalanceInProgress)
	}
	g.clearUnsynced()
	wasEmpty := g.state == Empty
	g.moveTo(PreparingRebalance, m.now())
	m.log.Info("group: preparing to rebalance", zap.String("group", g.id), zap.Int32("generation", g.generation),
		zap.Int32("partition", m.host.Partition()), zap.String("reason", reason))
	if wasEmpty {
		delay := m.o.InitialDelay
		g.rebalance = rebalance{initial: true, delay: delay, left: max(g.rebalanceTimeout()-delay, 0)}
		m.awaitFirst(g)
		return
	}
	m.awaitMembers(g, g.rebalanceTimeout())
	m.tryComplete(g)
}

// maybePrepare begins a rebalance unless one is being prepared.
func (m *machine) maybePrepare(g *group, reason string) {
	if g.state != PreparingRebalance && g.state != Dead {
		m.prepare(g, reason)
	}
}

func (m *machine) awaitFirst(g *group) {
	if g.rebalance.delay <= 0 {
		m.complete(g)
		return
	}
	m.arm(g, &g.rebalance.timer, g.rebalance.delay, m.initialDelayOver)
}

// initialDelayOver ends the initial delay, or prolongs it if members came and there is time left.
func (m *machine) initialDelayOver(g *group) {
	r := &g.rebalance
	if !r.grown || r.left == 0 {
		m.complete(g)
		return
	}
	r.grown = false
	was := r.delay
	r.delay = min(m.o.InitialDelay, r.left)
	r.left = max(r.left-was, 0)
	m.awaitFirst(g)
}

func (m *machine) awaitMembers(g *group, ms int32) {
	g.rebalance.timer.Stop()
	g.rebalance = rebalance{}
	m.arm(g, &g.rebalance.timer, ms, m.complete)
}

// arm sets a timer of a group, if the group is still there when it goes off.
func (m *machine) arm(g *group, t **runtime.Timer, ms int32, f func(*group)) {
	*t = m.host.After(time.Duration(ms)*time.Millisecond, func() {
		*t = nil
		if m.groups[g.id] == g {
			f(g)
		}
	})
}

// tryComplete completes the rebalance if nobody is missing.
func (m *machine) tryComplete(g *group) {
	if g.state == PreparingRebalance && !g.rebalance.initial && g.allJoined() {
		m.complete(g)
	}
}

// complete ends the wait for members: who has not joined is out, static members excepted, and a new generation begins.
func (m *machine) complete(g *group) {
	g.rebalance.timer.Stop()
	for i := len(g.members) - 1; i >= 0; i-- {
		if mb := g.members[i]; mb.joining == nil && mb.instance == nil {
			m.log.Info("group: removed a member that has not joined", zap.String("group", g.id), zap.String("member", mb.id))
			g.remove(mb)
		}
	}
	if len(g.members) == 0 {
		m.becomeEmpty(g)
		return
	}
	if !g.electJoined() {
		// Only static members that are away: wait until they come or their sessions end.
		m.awaitMembers(g, max(g.rebalanceTimeout(), emptyRoundMin))
		return
	}
	g.rebalance = rebalance{}
	g.generation = nextGeneration(g.generation)
	protocol := g.selectProtocol()
	g.protocol = &protocol
	g.learnSubscriptions()
	g.moveTo(CompletingRebalance, m.now())
	m.log.Info("group: new generation", zap.String("group", g.id), zap.Int32("generation", g.generation),
		zap.Int32("partition", m.host.Partition()), zap.Int("members", len(g.members)))
	g.unsynced = make(map[string]bool, len(g.members))
	for _, mb := range g.members {
		g.answerJoin(mb, g.joinResult(mb, mb.id == g.leader))
		mb.isNew = false
		m.expect(g, mb, mb.sessionTimeout)
		g.unsynced[mb.id] = true
	}
	m.arm(g, &g.syncTimer, g.rebalanceTimeout(), m.syncOverdue)
}

// nextGeneration counts on without ever becoming negative.
func nextGeneration(g int32) int32 { return (g + 1) & 0x7fffffff }

// becomeEmpty writes down that nobody is left.
func (m *machine) becomeEmpty(g *group) {
	g.rebalance = rebalance{}
	g.generation, g.protocol, g.leader = nextGeneration(g.generation), nil, ""
	g.moveTo(Empty, m.now())
	m.log.Info("group: now empty", zap.String("group", g.id), zap.Int32("generation", g.generation),
		zap.Int32("partition", m.host.Partition()))
	if err := m.record(g, nil); err != nil {
		// Not written: a new coordinator would begin with the last generation that was, whose members will time out.
		m.log.Warn("group: the empty group could not be recorded", zap.String("group", g.id), zap.Error(err))
	}
}

// syncOverdue removes the members that have not asked for their assignment in time, and begins anew.
func (m *machine) syncOverdue(g *group) {
	if g.state != CompletingRebalance && g.state != Stable || len(g.unsynced) == 0 {
		return
	}
	for i := len(g.members) - 1; i >= 0; i-- {
		if mb := g.members[i]; g.unsynced[mb.id] {
			m.log.Info("group: removed a member that has not synced", zap.String("group", g.id), zap.String("member", mb.id))
			g.remove(mb)
		}
	}
	m.prepare(g, "members have not synced in time")
}

// synced takes note that a member has asked for its assignment.
func (g *group) synced(id string) {
	delete(g.unsynced, id)
	if len(g.unsynced) == 0 {
		g.clearUnsynced()
	}
}

func (g *group) clearUnsynced() {
	g.unsynced = nil
	g.syncTimer.Stop()
	g.syncTimer = nil
}

// refuseSyncs drops the assignment in the making and sends those who wait for it away.
func (m *machine) refuseSyncs(g *group, err *kerr.Error) {
	for _, mb := range g.members {
		mb.assignment = nil
		if mb.answerSync(SyncResult{Err: err}) {
			m.expect(g, mb, mb.sessionTimeout)
		}
	}
}

// expect pushes the end of a member's session back by ms from now.
func (m *machine) expect(g *group, mb *member, ms int32) {
	now := m.host.Now()
	d := time.Duration(ms) * time.Millisecond
	mb.deadline = now.Add(d)
	if mb.session == nil || mb.deadline.Before(mb.due) {
		m.watch(g, mb, d)
	}
}

func (m *machine) watch(g *group, mb *member, d time.Duration) {
	mb.session.Stop()
	mb.due = m.host.Now().Add(d)
	mb.session = m.host.After(d, func() { m.sessionDue(g, mb) })
}

// sessionDue looks whether a member's session has ended. One that waits for its group lives, unless it is new; its session
// goes on when it is answered.
func (m *machine) sessionDue(g *group, mb *member) {
	mb.session = nil
	if left := mb.deadline.Sub(m.host.Now()); left > 0 {
		m.watch(g, mb, left)
		return
	}
	if !mb.isNew && (mb.joining != nil || mb.syncing != nil) {
		return
	}
	m.log.Info("group: a member's session has ended", zap.String("group", g.id), zap.String("member", mb.id))
	m.removeMember(g, mb, "session of "+mb.id+" ended")
}

// removeMember takes a member out of the group and sees to the others.
func (m *machine) removeMember(g *group, mb *member, reason string) {
	g.remove(mb)
	switch g.state {
	case Stable, CompletingRebalance:
		m.prepare(g, reason)
	case PreparingRebalance:
		m.tryComplete(g)
	}
}

// removePending forgets an id that was handed out.
func (m *machine) removePending(g *group, id string) {
	g.dropPending(id)
	m.tryComplete(g)
}

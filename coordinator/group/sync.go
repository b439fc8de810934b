package group

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/runtime"
)

// sync answers a member with its assignment, as soon as the leader has brought it.
func (m *machine) sync(r *SyncRequest, p *runtime.Promise[SyncResult]) {
	g := m.groups[r.Group]
	if g == nil {
		p.Resolve(SyncResult{Err: kerr.UnknownMemberID})
		return
	}
	if g.consumer != nil {
		m.syncConsumer(g, r, p)
		return
	}
	mb, err := g.check(r.Member, r.Instance)
	switch {
	case err != nil:
	case r.Generation != g.generation:
		err = kerr.IllegalGeneration
	case r.ProtocolType != nil && *r.ProtocolType != g.protocolType:
		err = kerr.InconsistentGroupProtocol
	case r.Protocol != nil && (g.protocol == nil || *r.Protocol != *g.protocol):
		err = kerr.InconsistentGroupProtocol
	case g.state == Empty:
		err = kerr.UnknownMemberID
	case g.state == PreparingRebalance:
		err = kerr.RebalanceInProgress
	}
	if err != nil {
		p.Resolve(SyncResult{Err: err})
		return
	}
	g.synced(mb.id)
	if g.state == Stable {
		p.Resolve(g.syncResult(mb))
		m.expect(g, mb, mb.sessionTimeout)
		return
	}
	mb.awaitSync(p)
	if mb.id == g.leader {
		m.assign(g, r.Assignments)
	}
}

// assign records what the leader has decided and hands it out. Members that it has forgotten get nothing; what it gives to
// others than the members is dropped.
func (m *machine) assign(g *group, assignments map[string][]byte) {
	missing := 0
	for _, mb := range g.members {
		if _, ok := assignments[mb.id]; !ok {
			missing++
		}
	}
	if missing > 0 {
		m.log.Warn("group: the leader has assigned nothing to some members", zap.String("group", g.id),
			zap.Int32("generation", g.generation), zap.Int("members", missing))
	}
	if err := m.record(g, assignments); err != nil {
		m.log.Error("group: the assignment cannot be recorded", zap.String("group", g.id),
			zap.Int32("generation", g.generation), zap.Error(err))
		m.refuseSyncs(g, kerr.UnknownServerError)
		m.maybePrepare(g, "the assignment could not be recorded")
		return
	}
	for _, mb := range g.members {
		if mb.answerSync(g.syncResult(mb)) {
			m.expect(g, mb, mb.sessionTimeout)
		}
	}
}

func (g *group) syncResult(mb *member) SyncResult {
	return SyncResult{ProtocolType: optional(g.protocolType), Protocol: g.protocol, Assignment: mb.assignment}
}

func (g *group) assignments() map[string][]byte {
	a := make(map[string][]byte, len(g.members))
	for _, m := range g.members {
		a[m.id] = m.assignment
	}
	return a
}

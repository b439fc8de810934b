package group

import (
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/runtime"
)

type joinPromise = *runtime.Promise[JoinResult]

// join lets somebody into a group, or back into it. The answer mostly waits until all members have joined.
func (m *machine) join(r *JoinRequest, p joinPromise) {
	if r.SessionTimeout < m.o.MinSession || r.SessionTimeout > m.o.MaxSession {
		p.Resolve(refuseJoin(r.Member, kerr.InvalidSessionTimeout))
		return
	}
	g := m.groups[r.Group]
	if g != nil && g.consumer != nil {
		if len(g.consumer.members) > 0 {
			m.joinConsumer(g, r, p)
			return
		}
		if r.Member != "" {
			p.Resolve(refuseJoin(r.Member, kerr.UnknownMemberID))
			return
		}
		if err := m.emptyConsumer(g); err != nil {
			p.Resolve(refuseJoin(r.Member, kerr.UnknownServerError))
			return
		}
		g = m.groups[r.Group]
	}
	if g == nil {
		if r.Member != "" {
			p.Resolve(refuseJoin(r.Member, kerr.UnknownMemberID))
			return
		}
		g = m.create(r.Group)
	}
	switch {
	case !m.admits(g, r.Member):
		g.dropPending(r.Member)
		if mb := g.byID[r.Member]; mb != nil {
			g.remove(mb)
		}
		p.Resolve(refuseJoin("", kerr.GroupMaxSizeReached))
	case !g.accepts(r.ProtocolType, r.Protocols):
		p.Resolve(refuseJoin(r.Member, kerr.InconsistentGroupProtocol))
	case r.Member == "":
		m.joinNew(g, r, p)
	default:
		m.joinKnown(g, r, p)
	}
	m.tryComplete(g)
}

// admits says whether the group has room. While it rebalances, those who have joined count, so that a group that is over
// a lowered limit sheds those who come last.
func (m *machine) admits(g *group, id string) bool {
	mb := g.byID[id]
	switch g.state {
	case PreparingRebalance:
		return mb != nil && mb.joining != nil || g.joined < m.o.MaxSize
	case CompletingRebalance, Stable:
		return mb != nil || len(g.members) < m.o.MaxSize
	}
	return true
}

// joinNew is the join of somebody without an id.
func (m *machine) joinNew(g *group, r *JoinRequest, p joinPromise) {
	if r.Instance != nil {
		id := m.o.NewMemberID(*r.Instance)
		if old, known := g.static[*r.Instance]; known {
			m.joinStatic(g, g.byID[old], id, r, p)
		} else {
			m.addMember(g, id, r, p)
		}
		return
	}
	id := m.o.NewMemberID(r.Client.ID)
	if !r.NeedID {
		m.addMember(g, id, r, p)
		return
	}
	if g.pending == nil {
		g.pending = map[string]*runtime.Timer{}
	}
	g.pending[id] = m.host.After(time.Duration(r.SessionTimeout)*time.Millisecond, func() {
		m.log.Info("group: an id that was handed out has not been used", zap.String("group", g.id), zap.String("member", id))
		m.removePending(g, id)
	})
	p.Resolve(refuseJoin(id, kerr.MemberIDRequired))
}

// joinKnown is the join of somebody who names an id.
func (m *machine) joinKnown(g *group, r *JoinRequest, p joinPromise) {
	if _, pending := g.pending[r.Member]; pending {
		if r.Instance != nil { // such ids are only handed out to dynamic members
			p.Resolve(refuseJoin("", kerr.UnknownServerError))
			return
		}
		m.addMember(g, r.Member, r, p)
		return
	}
	mb, err := g.check(r.Member, r.Instance)
	if err != nil {
		p.Resolve(refuseJoin(r.Member, err))
		return
	}
	same := mb.matches(r.Protocols)
	switch g.state {
	case CompletingRebalance:
		if same { // the answer to its first join was lost
			p.Resolve(g.joinResult(mb, mb.id == g.leader))
			return
		}
	case Stable:
		// A leader that joins again wants a rebalance, because of something that the metadata do not show.
		if same && mb.id != g.leader {
			p.Resolve(g.joinResult(mb, false))
			return
		}
	case Empty, Dead:
		p.Resolve(refuseJoin(r.Member, kerr.UnknownMemberID))
		return
	}
	g.update(mb, r.Protocols, r.RebalanceTimeout, r.SessionTimeout)
	g.awaitJoin(mb, p)
	m.maybePrepare(g, "member "+mb.id+" joins again: "+reason(r.Reason))
}

// addMember takes a new member in and begins a rebalance.
func (m *machine) addMember(g *group, id string, r *JoinRequest, p joinPromise) {
	mb := &member{id: id, instance: r.Instance, client: r.Client, rebalanceTimeout: r.RebalanceTimeout,
		sessionTimeout: r.SessionTimeout, protocols: r.Protocols, isNew: true}
	if g.state == PreparingRebalance && g.generation == 0 {
		g.rebalance.grown = true
	}
	g.add(mb, r.ProtocolType)
	g.awaitJoin(mb, p)
	m.expect(g, mb, int32(newMemberTimeout.Milliseconds()))
	m.maybePrepare(g, "new member "+id+": "+reason(r.Reason))
}

// joinStatic gives a static member that has come back without its id a new one. What waits under the old id is fenced. A
// stable group whose choice of protocol is not touched goes on without a rebalance.
func (m *machine) joinStatic(g *group, mb *member, id string, r *JoinRequest, p joinPromise) {
	m.log.Info("group: a static member came back", zap.String("group", g.id), zap.String("instance", *r.Instance),
		zap.String("old", mb.id), zap.String("new", id), zap.Stringer("state", g.state))
	before := *mb
	oldLeader := g.leader
	g.answerJoin(mb, refuseJoin(mb.id, kerr.FencedInstanceID))
	mb.answerSync(SyncResult{Err: kerr.FencedInstanceID})
	g.rename(mb, id)
	g.update(mb, r.Protocols, r.RebalanceTimeout, r.SessionTimeout)
	m.expect(g, mb, before.sessionTimeout)

	switch g.state {
	case Stable:
		if g.protocol == nil || g.selectProtocol() != *g.protocol {
			g.awaitJoin(mb, p)
			m.maybePrepare(g, "static member "+id+" changes the group's protocol: "+reason(r.Reason))
			return
		}
		if err := m.record(g, g.assignments()); err != nil {
			g.update(mb, before.protocols, before.rebalanceTimeout, before.sessionTimeout)
			g.rename(mb, before.id)
			res := g.joinResult(mb, false)
			res.Err, res.Member, res.Leader = kerr.UnknownServerError, "", oldLeader
			p.Resolve(res)
			return
		}
		// A client that can be told to skip the assignment may know that it leads. An older one is told the leader's former id,
		// lest it compute an assignment that a stable group would not hand out.
		leads := id == g.leader
		res := g.joinResult(mb, leads && r.CanSkip)
		res.SkipAssignment = leads && r.CanSkip
		if !r.CanSkip {
			res.Leader = oldLeader
		}
		p.Resolve(res)
	case CompletingRebalance:
		// The leader may have the old id in the assignment that it is making.
		g.awaitJoin(mb, p)
		m.prepare(g, "static member "+id+" came back: "+reason(r.Reason))
	default:
		g.awaitJoin(mb, p)
	}
}

// joinResult is the answer to a member of the present generation.
func (g *group) joinResult(mb *member, withMembers bool) JoinResult {
	r := JoinResult{Member: mb.id, Generation: g.generation, ProtocolType: optional(g.protocolType), Protocol: g.protocol,
		Leader: g.leader}
	if withMembers {
		r.Members = make([]JoinedMember, len(g.members))
		for i, m := range g.members {
			r.Members[i] = JoinedMember{ID: m.id, Instance: m.instance, Metadata: m.metadata(*g.protocol)}
		}
	}
	return r
}

// optional is nil for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func reason(r string) string {
	if r == "" {
		return "no reason given"
	}
	return r
}

// tooLong says that a string does not fit into a record, whose lengths are of 16 bits.
func tooLong(s ...string) bool {
	for _, s := range s {
		if len(s) > math.MaxInt16 {
			return true
		}
	}
	return false
}

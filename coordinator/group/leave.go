package group

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/runtime"
)

// leave removes members, and answers with an error for each of them.
func (m *machine) leave(id string, leaving []Leaving, p *runtime.Promise[[]*kerr.Error]) {
	errs := make([]*kerr.Error, len(leaving))
	g := m.groups[id]
	if g != nil && g.consumer != nil {
		why := make([]*refused, len(leaving))
		m.leaveConsumer(g, leaving, why)
		for i, w := range why {
			if w != nil {
				errs[i] = w.err
			}
		}
		p.Resolve(errs)
		return
	}
	for i, l := range leaving {
		if g == nil {
			errs[i] = kerr.UnknownMemberID
			continue
		}
		errs[i] = m.leaveOne(g, l)
	}
	p.Resolve(errs)
}

func (m *machine) leaveOne(g *group, l Leaving) *kerr.Error {
	if _, pending := g.pending[l.Member]; pending {
		m.removePending(g, l.Member)
		return nil
	}
	if l.Member == "" { // an administrator removes a static member by its instance id
		if l.Instance == nil || g.static[*l.Instance] == "" {
			return kerr.UnknownMemberID
		}
		l.Member = g.static[*l.Instance]
	}
	mb, err := g.check(l.Member, l.Instance)
	if err != nil {
		return err
	}
	m.log.Info("group: a member leaves", zap.String("group", g.id), zap.String("member", mb.id),
		zap.String("reason", reason(l.Reason)))
	m.removeMember(g, mb, "member "+mb.id+" left: "+reason(l.Reason))
	return nil
}

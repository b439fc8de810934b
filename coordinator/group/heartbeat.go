package group

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/runtime"
)

// heartbeat keeps a member's session alive and tells it of a rebalance.
func (m *machine) heartbeat(r *HeartbeatRequest, p *runtime.Promise[*kerr.Error]) {
	p.Resolve(m.beat(r))
}

func (m *machine) beat(r *HeartbeatRequest) *kerr.Error {
	g := m.groups[r.Group]
	if g == nil {
		return kerr.UnknownMemberID
	}
	if g.consumer != nil {
		return m.beatConsumer(g, r)
	}
	mb, err := g.check(r.Member, r.Instance)
	switch {
	case err != nil:
		return err
	case r.Generation != g.generation:
		return kerr.IllegalGeneration
	case g.state == Empty:
		return kerr.UnknownMemberID
	}
	m.expect(g, mb, mb.sessionTimeout)
	if g.state == PreparingRebalance {
		return kerr.RebalanceInProgress
	}
	return nil
}

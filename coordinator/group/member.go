package group

import (
	"bytes"
	"slices"
	"time"

	"barnabas/coordinator/runtime"
)

// Protocol is a way to assign that a member offers (an assignor of a consumer), with its metadata for the leader.
type Protocol struct {
	Name     string
	Metadata []byte
}

// member is one member of a group.
type member struct {
	id       string
	instance *string // group.instance.id of a static member
	client   Client

	rebalanceTimeout, sessionTimeout int32      // ms
	protocols                        []Protocol // in the member's order of preference
	assignment                       []byte

	// isNew until it has been in a generation: until then it can expire while it waits.
	isNew bool
	// joining and syncing are the replies that it waits for.
	joining *runtime.Promise[JoinResult]
	syncing *runtime.Promise[SyncResult]

	deadline time.Time      // when its session ends if nothing is heard of it
	session  *runtime.Timer // looks at the deadline; nil while the member waits beyond it
	due      time.Time      // when session goes off
}

// metadata is what the member said under a protocol.
func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// offers says whether the member named the protocol.
func (m *member) offers(protocol string) bool {
	return slices.ContainsFunc(m.protocols, func(p Protocol) bool { return p.Name == protocol })
}

// matches says whether the protocols are those that the member is known with.
func (m *member) matches(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// answerJoin resolves a waiting join.
func (g *group) answerJoin(m *member, r JoinResult) {
	if m.joining == nil {
		return
	}
	p := m.joining
	m.joining = nil
	g.joined--
	p.Resolve(r)
}

// awaitJoin makes the member wait for the end of the rebalance.
func (g *group) awaitJoin(m *member, p *runtime.Promise[JoinResult]) {
	if m.joining != nil {
		m.joining.Resolve(refuseJoin(m.id, overtaken))
	} else {
		g.joined++
	}
	m.joining = p
}

// answerSync resolves a waiting sync and says whether there was one.
func (m *member) answerSync(r SyncResult) bool {
	if m.syncing == nil {
		return false
	}
	p := m.syncing
	m.syncing = nil
	p.Resolve(r)
	return true
}

// awaitSync makes the member wait for the leader's assignment.
func (m *member) awaitSync(p *runtime.Promise[SyncResult]) {
	if m.syncing != nil {
		m.syncing.Resolve(SyncResult{Err: overtaken})
	}
	m.syncing = p
}

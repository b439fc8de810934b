package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime"
	"barnabas/replication/cluster"
)

// Members of a consumer group may use the classic protocol, so that a group can be upgraded member by member. A join is a
// heartbeat with a subscription: its answer does not wait for others, and has no leader. A sync fetches what the member has by
// then; heartbeats send it to join again when there is something to give up, or to get. Its generation is its epoch.

// joinConsumer is the join of a member of the classic protocol in a consumer group.
func (m *machine) joinConsumer(g *group, r *JoinRequest, p joinPromise) {
	if err := m.joinConsumerOr(g, r, p); err != nil {
		m.log.Info("group: a classic member cannot join", zap.String("group", g.id), zap.String("why", err.message))
		p.Resolve(refuseJoin(r.Member, err.err))
	}
}

func (m *machine) joinConsumerOr(g *group, r *JoinRequest, p joinPromise) *refused {
	c, id := g.consumer, r.Member
	if m.o.Consumer.Migration == MigrationDisabled {
		return refuse(kerr.InconsistentGroupProtocol, "The migration of groups is disabled.")
	}
	if id == "" {
		id = m.o.NewMemberID(r.prefix())
	}
	if len(c.members) >= m.o.Consumer.MaxSize && c.members[id] == nil {
		return refuse(kerr.GroupMaxSizeReached, "The group has %d members.", len(c.members))
	}
	if !c.acceptsClassic(r.ProtocolType, r.Protocols) {
		return refuse(kerr.InconsistentGroupProtocol, "Its protocols are not those of the other members.")
	}
	said, ok := readSubscription(r.Protocols[0].Metadata)
	if !ok {
		return refuse(kerr.InconsistentGroupProtocol, "Its subscription cannot be read.")
	}
	if r.Member == "" && r.NeedID {
		p.Resolve(refuseJoin(id, kerr.MemberIDRequired))
		return nil
	}
	d := m.draft(g.id, c)
	mb, replaced, err := d.admitClassic(r, id)
	if err != nil {
		return err
	}
	was := mb
	next := *mb
	next.client, next.topics, next.regex = r.Client, sortedTopics(said.Topics), ""
	next.classic = &classicHalf{r.SessionTimeout, r.Protocols}
	if r.Instance != nil {
		next.instance = r.Instance
	}
	if said.Rack != nil && *said.Rack != "" {
		next.rack = said.Rack
	}
	if r.RebalanceTimeout != -1 {
		next.rebalanceTimeout = r.RebalanceTimeout
	}
	mb, changed, err := d.changeTo(mb, &next)
	if err != nil {
		return err
	}
	m.refresh(d, changed)
	if replaced != nil && m.mayDowngrade(g, len(c.members), replaced.id) {
		return m.downgradeByJoin(g, d, mb, replaced, r, p)
	}
	m.assignTarget(d)
	mb, err = d.reconcile(mb, ownedPartitions(d.image, said), changed)
	if err != nil {
		return err
	}
	if err := m.conclude(g, d); err != nil {
		return err
	}
	m.watchRevocation(g, was, mb)
	l := g.life(mb.id)
	l.revocation.Stop() // a classic member's time is that of its join and its sync
	l.joining.Stop()
	l.revocation, l.joining = nil, nil
	m.expectConsumer(g, mb.id, r.SessionTimeout)
	m.awaitConsumerSync(g, mb)
	protocolType := consumerType
	p.Resolve(JoinResult{Member: mb.id, Generation: mb.epoch, ProtocolType: &protocolType, Protocol: &mb.classic.protocols[0].Name})
	return nil
}

// admitClassic finds the member of a join, or makes a new one. replaced is the static member whose place it takes.
func (d *draft) admitClassic(r *JoinRequest, id string) (mb, replaced *consumerMember, err *refused) {
	if r.Instance == nil {
		if mb := d.members[id]; mb != nil {
			return mb, nil, nil
		}
		return newConsumerMember(id), nil, nil
	}
	known := d.members[d.base.static[*r.Instance]]
	switch {
	case r.Member != "":
		mb, err := d.base.check(r.Member, r.Instance)
		return mb, nil, err
	case known == nil:
		return newConsumerMember(id), nil, nil
	}
	return d.comeBack(known, id), known, nil
}

// prefix is what the id of a new member begins with.
func (r *JoinRequest) prefix() string {
	if r.Instance != nil {
		return *r.Instance
	}
	return r.Client.ID
}

// acceptsClassic says whether somebody with these protocols may join: one of them must be named by all members of the classic
// protocol.
func (c *consumerGroup) acceptsClassic(protocolType string, protocols []Protocol) bool {
	if protocolType != consumerType || len(protocols) == 0 {
		return false
	}
	return slices.ContainsFunc(protocols, func(p Protocol) bool {
		for _, mb := range c.members {
			if mb.classic != nil && !slices.ContainsFunc(mb.classic.protocols, func(q Protocol) bool { return q.Name == p.Name }) {
				return false
			}
		}
		return true
	})
}

// checkClassic finds the member of a sync or heartbeat, which must use the classic protocol and be of the right generation.
func (c *consumerGroup) checkClassic(id string, instance *string, generation int32) (*consumerMember, *kerr.Error) {
	mb, err := c.check(id, instance)
	switch {
	case err != nil:
		return nil, err.err
	case mb.classic == nil:
		return nil, kerr.UnknownMemberID
	case generation != mb.epoch:
		return nil, kerr.IllegalGeneration
	}
	return mb, nil
}

// syncConsumer answers with what the member has.
func (m *machine) syncConsumer(g *group, r *SyncRequest, p *runtime.Promise[SyncResult]) {
	mb, err := g.consumer.checkClassic(r.Member, r.Instance, r.Generation)
	switch {
	case err != nil:
	case r.ProtocolType != nil && *r.ProtocolType != consumerType:
		err = kerr.InconsistentGroupProtocol
	case r.Protocol != nil && *r.Protocol != mb.classic.protocols[0].Name:
		err = kerr.InconsistentGroupProtocol
	case mb.epoch < g.consumer.epoch && mb.state != memberUnrevoked:
		m.awaitConsumerJoin(g, mb)
		err = kerr.RebalanceInProgress
	}
	if err != nil {
		p.Resolve(SyncResult{Err: err})
		return
	}
	l := g.life(mb.id)
	l.syncing.Stop()
	l.syncing = nil
	m.expectConsumer(g, mb.id, mb.classic.sessionTimeout)
	p.Resolve(SyncResult{ProtocolType: r.ProtocolType, Protocol: r.Protocol,
		Assignment: assignmentBytes(m.o.image(), mb.assigned.sorted(), mb.classic.protocols[0].Metadata)})
}

// beatConsumer keeps a member alive, and sends it to join again if there is something for it.
func (m *machine) beatConsumer(g *group, r *HeartbeatRequest) *kerr.Error {
	c := g.consumer
	mb, err := c.checkClassic(r.Member, r.Instance, r.Generation)
	if err != nil {
		return err
	}
	m.expectConsumer(g, mb.id, mb.classic.sessionTimeout)
	if mb.epoch < c.epoch || mb.state == memberUnrevoked || mb.state == memberUnreleased && !c.waits(mb) {
		m.awaitConsumerJoin(g, mb)
		return kerr.RebalanceInProgress
	}
	return nil
}

// waits says whether others still hold something of what the member is to get.
func (c *consumerGroup) waits(mb *consumerMember) bool {
	for p := range c.target[mb.id] {
		owner, held := c.owners[p]
		if _, has := mb.assigned[p]; !has && held && owner != mb.id {
			return true
		}
	}
	return false
}

// readSubscription reads what a consumer of the classic protocol says of itself.
func readSubscription(metadata []byte) (*kmsg.ConsumerMemberMetadata, bool) {
	if _, ok := subscription(metadata); !ok {
		return nil, false
	}
	s := kmsg.NewConsumerMemberMetadata()
	if err := s.ReadFrom(slices.Clone(metadata)); err != nil {
		return nil, false
	}
	return &s, true
}

// ownedPartitions are those that a subscription says its consumer has.
func ownedPartitions(image *cluster.Image, s *kmsg.ConsumerMemberMetadata) []assign.Partition {
	owned := []assign.Partition{}
	for _, o := range s.OwnedPartitions {
		if t := image.Topics[o.Topic]; t != nil {
			for _, p := range o.Partitions {
				owned = append(owned, assign.Partition{Topic: t.ID, ID: p})
			}
		}
	}
	return owned
}

// assignmentBytes is an assignment as consumers of the classic protocol read it, in the version of their metadata. Topics that are
// gone are left out.
func assignmentBytes(image *cluster.Image, sorted []assign.Partition, metadata []byte) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	if v, err := versionOf(metadata); err == nil {
		a.Version = v
	}
	for _, ps := range byTopic(sorted) {
		t := image.ByID[ps[0].Topic]
		if t == nil {
			continue
		}
		at := kmsg.ConsumerMemberAssignmentTopic{Topic: t.Name}
		for _, p := range ps {
			at.Partitions = append(at.Partitions, p.ID)
		}
		a.Topics = append(a.Topics, at)
	}
	return a.AppendTo(nil)
}

// readAssignment reads what a leader of the classic protocol has given a consumer; custom says that there is more in it than
// partitions, which would be lost.
func readAssignment(image *cluster.Image, b []byte) (h assign.Set, custom, ok bool) {
	h = assign.Set{}
	if len(b) == 0 {
		return h, false, true
	}
	if v, err := versionOf(b); err != nil || v < 0 {
		return nil, false, false
	}
	v0 := slices.Clone(b)
	v0[0], v0[1] = 0, 0
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom(v0); err != nil {
		return nil, false, false
	}
	for _, t := range a.Topics {
		topic := image.Topics[t.Topic]
		if topic == nil {
			continue
		}
		for _, p := range t.Partitions {
			h[assign.Partition{Topic: topic.ID, ID: p}] = struct{}{}
		}
	}
	return h, len(a.UserData) > 0, true
}

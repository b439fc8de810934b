package group

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime"
)

// ConsumerHeartbeatRequest is the one request of members of the consumer protocol (KIP-848): with it they join, live, say what they
// have given up, and leave.
type ConsumerHeartbeatRequest struct {
	Group, Member string
	// Epoch is the member's; 0 joins, -1 leaves, -2 leaves for a while (a static member).
	Epoch          int32
	Instance, Rack *string
	Client         Client

	RebalanceTimeout int32    // ms, -1 as before
	Topics           []string // nil as before
	Regex            *string  // nil as before, "" none
	Assignor         *string  // nil as before
	// Owned is what the member has; nil as before.
	Owned []assign.Partition
	// OwnID says that members must come with an id (version 1).
	OwnID bool
}

// ConsumerHeartbeatResult answers a heartbeat.
type ConsumerHeartbeatResult struct {
	Err     *kerr.Error // nil is none
	Message string
	Member  string
	Epoch   int32
	// Interval is when to send the next one, ms.
	Interval int32
	// Assigned is what the member has from now on, by topic, if HasAssigned; else it is as before.
	Assigned    [][]assign.Partition
	HasAssigned bool
}

// valid says why a request makes no sense.
func (r *ConsumerHeartbeatRequest) valid(assignors []string) *refused {
	blank := func(s *string) bool { return s != nil && strings.TrimSpace(*s) == "" }
	invalid := func(message string) *refused { return refuse(kerr.InvalidRequest, "%s", message) }
	switch {
	case (r.OwnID || r.Epoch > 0 || r.Epoch == leavingEpoch) && blank(&r.Member):
		return invalid("MemberId can't be empty.")
	case blank(&r.Group):
		return invalid("GroupId can't be empty.")
	case blank(r.Instance):
		return invalid("InstanceId can't be empty.")
	case blank(r.Rack):
		return invalid("RackId can't be empty.")
	case r.Epoch == joiningEpoch && r.RebalanceTimeout == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case r.Epoch == joiningEpoch && (r.Owned == nil || len(r.Owned) > 0):
		return invalid("TopicPartitions must be empty when (re-)joining.")
	case r.Epoch == joiningEpoch && r.Topics == nil && r.Regex == nil:
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	case r.Epoch == leavingForAWhile && r.Instance == nil:
		return invalid("InstanceId can't be null.")
	case r.Epoch < leavingForAWhile:
		return invalid("MemberEpoch is invalid.")
	}
	if r.Assignor == nil {
		return nil
	}
	for _, name := range assignors {
		if *r.Assignor == name {
			return nil
		}
	}
	return refuse(kerr.UnsupportedAssignor, "ServerAssignor %s is not supported. Supported assignors: %s.", *r.Assignor,
		strings.Join(assignors, ", "))
}

// storable says whether records could hold what the member says of itself.
func (r *ConsumerHeartbeatRequest) storable() bool {
	return !tooLong(r.Member) && (r.Regex == nil || !tooLong(*r.Regex))
}

// consumerHeartbeat keeps a member alive and brings it, step by step, to its assignment.
func (m *machine) consumerHeartbeat(r *ConsumerHeartbeatRequest, p *runtime.Promise[ConsumerHeartbeatResult]) {
	var res ConsumerHeartbeatResult
	var err *refused
	if r.Epoch < 0 {
		res, err = m.consumerLeave(r)
	} else {
		res, err = m.consumerBeat(r)
	}
	if err != nil {
		res = ConsumerHeartbeatResult{Err: err.err, Message: err.message}
	}
	p.Resolve(res)
}

func (m *machine) consumerBeat(r *ConsumerHeartbeatRequest) (ConsumerHeartbeatResult, *refused) {
	g, d, err := m.enterConsumer(r.Group, r.Epoch == joiningEpoch)
	if err != nil {
		return ConsumerHeartbeatResult{}, err
	}
	if len(d.base.members) >= m.o.Consumer.MaxSize && d.base.members[r.Member] == nil {
		return ConsumerHeartbeatResult{}, refuse(kerr.GroupMaxSizeReached,
			"The consumer group has reached its maximum capacity of %d members.", m.o.Consumer.MaxSize)
	}
	mb, err := d.admit(r)
	if err != nil {
		return ConsumerHeartbeatResult{}, err
	}
	was := mb
	mb, changed, err := d.resubscribe(mb, r)
	if err != nil {
		return ConsumerHeartbeatResult{}, err
	}
	m.refresh(d, changed)
	m.assignTarget(d)
	mb, err = d.reconcile(mb, r.Owned, changed)
	if err != nil {
		return ConsumerHeartbeatResult{}, err
	}
	if err := m.conclude(g, d); err != nil {
		return ConsumerHeartbeatResult{}, err
	}
	g = m.groups[r.Group]
	m.expectConsumer(g, mb.id, m.consumerSession(r.Group))
	m.watchRevocation(g, was, mb)

	session := ConsumerHeartbeatResult{Member: mb.id, Epoch: mb.epoch, Interval: m.consumerInterval(r.Group)}
	full := r.RebalanceTimeout != -1 && (r.Topics != nil || r.Regex != nil) && r.Owned != nil
	if r.Epoch == joiningEpoch || full || !sameKeys(was.assigned, mb.assigned) {
		session.Assigned, session.HasAssigned = byTopic(mb.assigned.sorted()), true
	}
	return session, nil
}

// enterConsumer gives a draft of a consumer group. Who joins makes a group that is not there, and one of the classic protocol a
// consumer group, if it may. g is nil for a group that nobody knows yet.
func (m *machine) enterConsumer(id string, joins bool) (g *group, d *draft, err *refused) {
	g = m.groups[id]
	switch {
	case g == nil && !joins:
		return nil, nil, refuse(kerr.GroupIDNotFound, "Consumer group %s not found.", id)
	case g == nil:
		return nil, m.draft(id, newConsumerGroup()), nil
	case g.consumer != nil:
		return g, m.draft(id, g.consumer), nil
	case !joins:
		return nil, nil, notAConsumerGroup(id)
	case g.state == Empty && len(g.members) == 0:
		d = m.draft(id, newConsumerGroup())
		if g.recorded {
			d.write(runtime.Record{Key: groupKey(id)})
		}
		return g, d, nil
	}
	d, err = m.upgrade(g)
	return g, d, err
}

// conclude writes a draft. Whoever waits in a classic group that becomes a consumer group has to join again.
func (m *machine) conclude(g *group, d *draft) *refused {
	becomes := g != nil && g.consumer == nil
	if becomes {
		m.sendAway(g)
	}
	if err := m.commitDraft(d); err != nil {
		m.log.Error("group: what became of a consumer group cannot be recorded", zap.String("group", d.group),
			zap.Int("records", len(d.records)), zap.Error(err))
		return refuse(kerr.UnknownServerError, "The group's records cannot be written: %v.", err)
	}
	if g = m.groups[d.group]; g != nil {
		m.looked(g, d)
		if becomes && g.consumer != nil {
			m.startSessions(g)
		}
	}
	return nil
}

// admit finds the member of a request, or makes a new one.
func (d *draft) admit(r *ConsumerHeartbeatRequest) (*consumerMember, *refused) {
	if r.Instance == nil {
		mb := d.members[r.Member]
		switch {
		case mb == nil && r.Epoch == joiningEpoch:
			return newConsumerMember(r.Member), nil
		case mb == nil:
			return nil, unknownMember(r.Member)
		}
		return mb, mb.checkEpoch(r.Epoch, r.Owned)
	}
	known := d.members[d.base.static[*r.Instance]]
	switch {
	case r.Epoch != joiningEpoch:
		mb, err := d.base.check(r.Member, r.Instance)
		if err != nil {
			return nil, err
		}
		return mb, mb.checkEpoch(r.Epoch, r.Owned)
	case known == nil:
		if mb := d.members[r.Member]; mb != nil {
			return mb, nil
		}
		return newConsumerMember(r.Member), nil
	case known.classic == nil && known.epoch != leavingForAWhile:
		return nil, refuse(kerr.UnreleasedInstanceID,
			"Static member %s with instance id %s cannot join the group because the instance id is owned by %s member.",
			r.Member, *r.Instance, known.id)
	}
	return d.comeBack(known, r.Member), nil
}

// comeBack gives a static member that was away its new id. It begins anew in what it had.
func (d *draft) comeBack(known *consumerMember, id string) *consumerMember {
	mb := *known
	mb.id, mb.epoch, mb.previous = id, joiningEpoch, joiningEpoch
	d.replace(known, &mb)
	return &mb
}

// checkEpoch holds the epoch of a request against the member's. The one before is let pass if the member has nothing that is not
// its own: the answer that told it of its new epoch may have been lost.
func (mb *consumerMember) checkEpoch(epoch int32, owned []assign.Partition) *refused {
	switch {
	case epoch == joiningEpoch || epoch == mb.epoch:
		return nil
	case epoch > mb.epoch:
		return fencedEpoch("The consumer group member has a greater member epoch (%d) than the one known by the group coordinator (%d). "+
			"The member must abandon all its partitions and rejoin.", epoch, mb.epoch)
	case epoch == mb.previous && owned != nil && within(owned, mb.assigned):
		return nil
	}
	return fencedEpoch("The consumer group member has a smaller member epoch (%d) than the one known by the group coordinator (%d). "+
		"The member must abandon all its partitions and rejoin.", epoch, mb.epoch)
}

// resubscribe takes over what the member says of itself, and says whether it subscribes to other topics than before.
func (d *draft) resubscribe(mb *consumerMember, r *ConsumerHeartbeatRequest) (*consumerMember, bool, *refused) {
	next := *mb
	next.client, next.classic = r.Client, nil
	if r.Instance != nil {
		next.instance = r.Instance
	}
	if r.Rack != nil {
		next.rack = r.Rack
	}
	if r.RebalanceTimeout != -1 {
		next.rebalanceTimeout = r.RebalanceTimeout
	}
	if r.Assignor != nil {
		next.assignor = r.Assignor
	}
	if r.Topics != nil {
		next.topics = sortedTopics(r.Topics)
	}
	if r.Regex != nil {
		next.regex = *r.Regex
	}
	return d.changeTo(mb, &next)
}

// changeTo puts a member with a new subscription, if it is new.
func (d *draft) changeTo(mb, next *consumerMember) (*consumerMember, bool, *refused) {
	if next.regex != mb.regex && next.regex != "" {
		if _, known := d.regexes[next.regex]; !known {
			if _, err := compiled(next.regex); err != nil {
				return nil, false, err
			}
		}
	}
	if d.members[mb.id] != nil && next.sameSubscription(mb) {
		return mb, false, nil
	}
	d.subscribe(next)
	changed := next.regex != mb.regex || len(next.topics) != len(mb.topics)
	for i := 0; !changed && i < len(next.topics); i++ {
		changed = next.topics[i] != mb.topics[i]
	}
	return next, changed, nil
}

func sameKeys(a, b holding) bool {
	if len(a) != len(b) {
		return false
	}
	for p := range a {
		if _, ok := b[p]; !ok {
			return false
		}
	}
	return true
}

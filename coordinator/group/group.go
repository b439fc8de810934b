package group

import (
	"encoding/binary"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/runtime"
)

// consumerType is the protocol type of consumers, whose metadata tell the subscribed topics.
const consumerType = "consumer"

// overtaken is the answer to a waiting request when the same member sends another one.
var overtaken = kerr.RebalanceInProgress

// group is one group. See doc.go for its two halves.
type group struct {
	id string

	// The recorded half.
	recorded     bool // the log has a metadata record of it that is no tombstone
	state        State
	since        int64   // ms since 1970 when state was entered; -1 if the record does not say
	protocolType string  // "" if it has none: offsets are all it is used for
	protocol     *string // selected for this generation
	generation   int32
	leader       string    // member id, "" when there is none
	members      []*member // oldest first
	byID         map[string]*member
	static       map[string]string // instance id -> member id
	offsets      map[TopicPartition]committed
	pendingTxn   map[int64]map[TopicPartition]committed // by producer id

	// consumer is what makes it a group of the consumer protocol. Of the rest of this half it has only the offsets then, and it is
	// Empty as far as the classic protocol goes.
	consumer *consumerGroup

	// The half that lives in memory only.
	supported  map[string]int            // protocol -> how many members offer it
	pending    map[string]*runtime.Timer // ids that were handed out with MEMBER_ID_REQUIRED
	joined     int                       // members that wait in a join
	unsynced   map[string]bool           // members of this generation that have not synced
	subscribed map[string]bool           // topics that the members subscribe to; nil when unknown
	rebalance  rebalance
	syncTimer  *runtime.Timer
}

// TopicPartition names a partition of a topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func newGroup(id string, now int64) *group {
	return &group{id: id, state: Empty, since: now, byID: map[string]*member{}, static: map[string]string{},
		offsets: map[TopicPartition]committed{}, supported: map[string]int{}}
}

// moveTo changes the state.
func (g *group) moveTo(s State, now int64) {
	mustMove(g.id, g.state, s)
	g.state, g.since = s, now
}

// bare says that nothing of the group would be missed: it is deserted, and has no epoch to go on from.
func (g *group) bare() bool {
	return g.consumer == nil && g.deserted()
}

// deserted says that nobody is in it and it holds no offsets.
func (g *group) deserted() bool {
	return g.isEmpty() && len(g.members) == 0 && len(g.pending) == 0 && !g.hasOffsets()
}

// isEmpty says that nobody is in it, of either protocol.
func (g *group) isEmpty() bool {
	return g.state == Empty && (g.consumer == nil || len(g.consumer.members) == 0)
}

func (g *group) hasOffsets() bool { return len(g.offsets) > 0 || len(g.pendingTxn) > 0 }

// rebalanceTimeout is the longest of the members' (ms).
func (g *group) rebalanceTimeout() int32 {
	t := int32(0)
	for _, m := range g.members {
		t = max(t, m.rebalanceTimeout)
	}
	return t
}

// add takes a member in.
func (g *group) add(m *member, protocolType string) {
	if len(g.members) == 0 {
		g.protocolType = protocolType
	}
	if m.instance != nil {
		g.static[*m.instance] = m.id
	}
	if g.leader == "" {
		g.leader = m.id
	}
	g.members = append(g.members, m)
	g.byID[m.id] = m
	g.count(m, 1)
	g.dropPending(m.id)
}

// remove takes a member out. Whoever waits for it is told so; if it led, the oldest member leads.
func (g *group) remove(m *member) {
	g.answerJoin(m, refuseJoin("", kerr.UnknownMemberID))
	m.answerSync(SyncResult{Err: kerr.UnknownMemberID})
	m.session.Stop()
	m.session = nil
	if i := slices.Index(g.members, m); i >= 0 {
		g.members = slices.Delete(g.members, i, i+1)
		g.count(m, -1)
	}
	delete(g.byID, m.id)
	if m.instance != nil {
		delete(g.static, *m.instance)
	}
	if g.leader == m.id {
		g.leader = ""
		if len(g.members) > 0 {
			g.leader = g.members[0].id
		}
	}
	delete(g.unsynced, m.id)
}

func (g *group) dropPending(id string) {
	g.pending[id].Stop()
	delete(g.pending, id)
}

// rename gives a static member its new id.
func (g *group) rename(m *member, id string) {
	delete(g.byID, m.id)
	if g.leader == m.id {
		g.leader = id
	}
	if g.unsynced[m.id] {
		delete(g.unsynced, m.id)
		g.unsynced[id] = true
	}
	m.id = id
	g.byID[id] = m
	g.static[*m.instance] = id
}

// update replaces what a member said when it joined before.
func (g *group) update(m *member, protocols []Protocol, rebalanceTimeout, sessionTimeout int32) {
	g.count(m, -1)
	m.protocols, m.rebalanceTimeout, m.sessionTimeout = protocols, rebalanceTimeout, sessionTimeout
	g.count(m, 1)
}

// count keeps supported up to date. A name that a member gives twice counts once.
func (g *group) count(m *member, by int) {
	counted := make(map[string]bool, len(m.protocols))
	for _, p := range m.protocols {
		if counted[p.Name] {
			continue
		}
		counted[p.Name] = true
		if g.supported[p.Name] += by; g.supported[p.Name] <= 0 {
			delete(g.supported, p.Name)
		}
	}
}

// accepts says whether somebody with these protocols may join: an empty group takes any, others need one that all members
// offer.
func (g *group) accepts(protocolType string, protocols []Protocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	return g.protocolType == protocolType && slices.ContainsFunc(protocols, func(p Protocol) bool {
		return g.supported[p.Name] == len(g.members)
	})
}

// selectProtocol lets each member vote for the first of its protocols that all offer. Most votes win; among equals the one
// that got its first vote first.
func (g *group) selectProtocol() string {
	votes := map[string]int{}
	var order []string
	for _, m := range g.members {
		for _, p := range m.protocols {
			if g.supported[p.Name] == len(g.members) {
				if votes[p.Name]++; votes[p.Name] == 1 {
					order = append(order, p.Name)
				}
				break
			}
		}
	}
	best := ""
	for _, name := range order {
		if votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// allJoined says that nobody is missing in the rebalance.
func (g *group) allJoined() bool { return g.joined == len(g.members) && len(g.pending) == 0 }

// electJoined makes sure that the leader is one who has joined. False when nobody has.
func (g *group) electJoined() bool {
	if l := g.byID[g.leader]; l != nil && l.joining != nil {
		return true
	}
	for _, m := range g.members {
		if m.joining != nil {
			g.leader = m.id
			return true
		}
	}
	return false
}

// check is what every request of a member is held against: an instance id that belongs to another member id is fenced.
func (g *group) check(id string, instance *string) (*member, *kerr.Error) {
	if instance != nil {
		switch owner, known := g.static[*instance]; {
		case !known:
			return nil, kerr.UnknownMemberID
		case owner != id:
			return nil, kerr.FencedInstanceID
		}
	}
	if m := g.byID[id]; m != nil {
		return m, nil
	}
	return nil, kerr.UnknownMemberID
}

// subscribes says whether a member reads the topic; if that is not known, yes.
func (g *group) subscribes(topic string) bool {
	if g.consumer != nil {
		return g.consumer.subscribes(topic)
	}
	return g.subscribed == nil || g.subscribed[topic]
}

// learnSubscriptions finds out which topics the members of a consumer group read. Unknown (nil) if the group is of another
// type, has selected no protocol, or the metadata are not what consumers send.
func (g *group) learnSubscriptions() {
	g.subscribed = nil
	if g.protocolType != consumerType || len(g.members) > 0 && g.protocol == nil {
		return
	}
	topics := map[string]bool{}
	for _, m := range g.members {
		names, ok := subscription(m.metadata(*g.protocol))
		if !ok {
			return
		}
		for _, t := range names {
			topics[t] = true
		}
	}
	g.subscribed = topics
}

// subscription reads the topics out of a consumer's metadata. Every version begins with the fields of version 0, so that is
// what is read.
func subscription(metadata []byte) ([]string, bool) {
	if len(metadata) < 2 || int16(binary.BigEndian.Uint16(metadata)) < 0 {
		return nil, false
	}
	v0 := slices.Clone(metadata)
	v0[0], v0[1] = 0, 0
	var c kmsg.ConsumerMemberMetadata
	if err := c.ReadFrom(v0); err != nil {
		return nil, false
	}
	return c.Topics, true
}

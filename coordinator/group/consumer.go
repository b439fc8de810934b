package group

import (
	"maps"
	"slices"
	"time"

	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime"
	"barnabas/replication/cluster"
)

// consumerGroup is what a group of the consumer protocol (KIP-848) has beside its offsets. Three epochs follow each other: the
// group's, which rises with its members' subscriptions and with their topics; that of the target assignment, which is computed
// for it; and each member's, which has it when the member has given up what the target does not give it.
type consumerGroup struct {
	// The recorded half.
	epoch int32
	// hash sums up the topics that the group subscribes to; when it differs, they have changed.
	hash        int64
	targetEpoch int32
	members     map[string]*consumerMember // values are replaced, never changed
	target      map[string]assign.Set
	regexes     map[string][]string // the topics that a regular expression stands for, sorted
	// topicRecord says that the log has a record of a broker before 4.1 with the topics themselves in place of their hash.
	topicRecord bool

	// What follows from it.
	static map[string]string // instance id -> member id
	owners map[assign.Partition]string

	// The half that lives in memory only.
	lives map[string]*consumerLife
	// seen is the picture of the cluster that hash was last held against, resolved the one that the regular expressions were.
	seen, resolved *cluster.Image
	resolvedAt     time.Time
}

// firstEpoch is a group's before its first member joins, which makes it the next.
const firstEpoch = 1

func newConsumerGroup() *consumerGroup {
	return &consumerGroup{epoch: firstEpoch, members: map[string]*consumerMember{}, target: map[string]assign.Set{}, regexes: map[string][]string{},
		static: map[string]string{}, owners: map[assign.Partition]string{}, lives: map[string]*consumerLife{}}
}

// The states of a consumer group, as clients see them. Which one it is in follows from its members.
const (
	consumerEmpty       = "Empty"
	consumerAssigning   = "Assigning"
	consumerReconciling = "Reconciling"
	consumerStable      = "Stable"
)

func (c *consumerGroup) state() string {
	switch {
	case len(c.members) == 0:
		return consumerEmpty
	case c.epoch > c.targetEpoch:
		return consumerAssigning
	}
	for _, mb := range c.members {
		if !mb.reconciledTo(c.targetEpoch) {
			return consumerReconciling
		}
	}
	return consumerStable
}

// put replaces a member, or adds it.
func (c *consumerGroup) put(mb *consumerMember) {
	if old := c.members[mb.id]; old != nil {
		c.release(old)
	}
	c.members[mb.id] = mb
	for _, h := range []holding{mb.assigned, mb.revoking} {
		for p := range h {
			c.owners[p] = mb.id
		}
	}
	if mb.instance != nil {
		c.static[*mb.instance] = mb.id
	}
}

func (c *consumerGroup) remove(mb *consumerMember) {
	c.release(mb)
	delete(c.members, mb.id)
	if mb.instance != nil && c.static[*mb.instance] == mb.id {
		delete(c.static, *mb.instance)
	}
	c.lives[mb.id].end()
	delete(c.lives, mb.id)
}

func (c *consumerGroup) release(mb *consumerMember) {
	for _, h := range []holding{mb.assigned, mb.revoking} {
		for p := range h {
			if c.owners[p] == mb.id {
				delete(c.owners, p)
			}
		}
	}
}

// end stops everything that waits in the group.
func (c *consumerGroup) end() {
	for _, l := range c.lives {
		l.end()
	}
	clear(c.lives)
}

// ids are the members' in order.
func (c *consumerGroup) ids() []string { return slices.Sorted(maps.Keys(c.members)) }

// check finds the member of a request: by its id, or by its instance, which must not have passed to another id.
func (c *consumerGroup) check(id string, instance *string) (*consumerMember, *refused) {
	if instance == nil {
		if mb := c.members[id]; mb != nil {
			return mb, nil
		}
		return nil, unknownMember(id)
	}
	owner, known := c.static[*instance]
	switch {
	case !known:
		return nil, unknownInstance(*instance)
	case owner != id:
		return nil, fencedInstance(id, *instance, owner)
	}
	return c.members[owner], nil
}

// subscribed are the names of all topics that members subscribe to, by name or by a regular expression.
func subscribed(members map[string]*consumerMember, regexes map[string][]string) map[string]bool {
	topics := map[string]bool{}
	for _, mb := range members {
		for _, t := range mb.topics {
			topics[t] = true
		}
		for _, t := range regexes[mb.regex] {
			topics[t] = true
		}
	}
	return topics
}

func (c *consumerGroup) subscribes(topic string) bool {
	for _, mb := range c.members {
		if slices.Contains(mb.topics, topic) || slices.Contains(c.regexes[mb.regex], topic) {
			return true
		}
	}
	return false
}

// classicOnly says that all members but the given ones use the classic protocol, and that those do not.
func (c *consumerGroup) classicOnly(but ...string) bool {
	for id, mb := range c.members {
		if (mb.classic == nil) != slices.Contains(but, id) {
			return false
		}
	}
	return true
}

// consumerLife is what a member of a consumer group waits for.
type consumerLife struct {
	deadline time.Time      // when its session ends if nothing is heard of it
	session  *runtime.Timer // looks at the deadline
	due      time.Time      // when session goes off

	revocation *runtime.Timer // it must have given up what it has to
	// Of members that use the classic protocol: it must have joined again, it must have asked for its assignment.
	joining, syncing *runtime.Timer
}

func (l *consumerLife) end() {
	if l == nil {
		return
	}
	l.session.Stop()
	l.revocation.Stop()
	l.joining.Stop()
	l.syncing.Stop()
}

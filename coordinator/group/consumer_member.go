package group

import (
	"bytes"
	"maps"
	"slices"

	"barnabas/coordinator/group/assign"
)

// Epochs of a member that have a meaning of their own.
const (
	joiningEpoch     = 0
	leavingEpoch     = -1
	leavingForAWhile = -2 // a static member that will come back
)

// memberState says how far a member has come with the target assignment, by Kafka's numbers.
type memberState int8

const (
	memberStable     memberState = 0
	memberUnrevoked  memberState = 1 // it has not yet given up what it has to
	memberUnreleased memberState = 2 // others have not yet given up what it is to get
	memberUnknown    memberState = 127
)

// holding is partitions in a member's hands, each with the epoch in which the member got it.
type holding map[assign.Partition]int32

// consumerMember is a member of a consumer group as it is recorded. A value is never changed once it is in a group.
type consumerMember struct {
	id               string
	instance, rack   *string
	client           Client
	rebalanceTimeout int32    // ms
	topics           []string // sorted
	regex            string   // "" is none
	assignor         *string  // that it would like
	classic          *classicHalf

	epoch, previous int32
	state           memberState
	assigned        holding
	revoking        holding // taken from it, but not yet given up
}

// classicHalf is what is known of a member that uses the classic protocol in a consumer group.
type classicHalf struct {
	sessionTimeout int32 // ms
	protocols      []Protocol
}

func newConsumerMember(id string) *consumerMember {
	return &consumerMember{id: id, previous: -1, rebalanceTimeout: -1}
}

func (mb *consumerMember) reconciledTo(epoch int32) bool {
	return mb.state == memberStable && mb.epoch == epoch
}

// at moves a member to an epoch.
func (mb *consumerMember) at(epoch int32) { mb.previous, mb.epoch = mb.epoch, epoch }

// sameSubscription compares what the record of a member's subscription holds.
func (mb *consumerMember) sameSubscription(o *consumerMember) bool {
	return sameText(mb.instance, o.instance) && sameText(mb.rack, o.rack) && mb.client == o.client &&
		mb.rebalanceTimeout == o.rebalanceTimeout && slices.Equal(mb.topics, o.topics) && mb.regex == o.regex &&
		sameText(mb.assignor, o.assignor) && mb.classic.same(o.classic)
}

// sameAssignment compares what the record of a member's assignment holds.
func (mb *consumerMember) sameAssignment(o *consumerMember) bool {
	return mb.epoch == o.epoch && mb.previous == o.previous && mb.state == o.state && maps.Equal(mb.assigned, o.assigned) &&
		maps.Equal(mb.revoking, o.revoking)
}

func (c *classicHalf) same(o *classicHalf) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.sessionTimeout == o.sessionTimeout && slices.EqualFunc(c.protocols, o.protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

func sameText(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// within says that all the partitions are in the holding.
func within(owned []assign.Partition, h holding) bool {
	for _, p := range owned {
		if _, ok := h[p]; !ok {
			return false
		}
	}
	return true
}

// sorted are the partitions of a holding in order.
func (h holding) sorted() []assign.Partition {
	return slices.SortedFunc(maps.Keys(h), assign.Partition.Compare)
}

// sortedTopics are names in order and without doubles.
func sortedTopics(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

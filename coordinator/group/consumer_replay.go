package group

import (
	"barnabas/coordinator/runtime"
)

// replayConsumer applies a record of a consumer group. What erases something that is not there is passed over: the log may have
// been compacted.
func (m *machine) replayConsumer(e runtime.Entry) error {
	version, id, name, err := readConsumerKey(e.Key)
	if err != nil {
		return err
	}
	if e.Value == nil {
		if g := m.groups[id]; g != nil && g.consumer != nil {
			g.consumer.erase(version, name)
			if version == consumerGroupKeyOf {
				g.consumer.end()
				g.consumer = nil
				m.dropBare(g)
			}
		}
		return nil
	}
	apply, err := readConsumerRecord(version, name, e.Value)
	if err != nil {
		return err
	}
	g := m.create(id)
	if g.consumer == nil {
		// A group of both kinds does not exist; the later kind counts.
		g.clearClassic()
		g.consumer = newConsumerGroup()
	}
	apply(g.consumer)
	return nil
}

// readConsumerRecord gives what a record does to a group.
func readConsumerRecord(version int16, name string, value []byte) (func(*consumerGroup), error) {
	switch version {
	case consumerGroupKeyOf:
		epoch, hash, err := readEpoch(value)
		return func(c *consumerGroup) { c.epoch, c.hash = epoch, hash }, err
	case consumerTopicsKeyOf:
		return func(c *consumerGroup) { c.topicRecord = true }, nil
	case targetKeyOf:
		epoch, err := readTargetEpoch(value)
		return func(c *consumerGroup) { c.targetEpoch = epoch }, err
	case targetMemberKeyOf:
		target, err := readTarget(value)
		return func(c *consumerGroup) { c.target[name] = target }, err
	case regexKeyOf:
		topics, err := readRegex(value)
		return func(c *consumerGroup) { c.regexes[name] = topics }, err
	}
	var read func([]byte, *consumerMember) error
	if read = readMember; version == currentKeyOf {
		read = readCurrent
	}
	var said consumerMember
	if err := read(value, &said); err != nil {
		return nil, err
	}
	return func(c *consumerGroup) {
		mb := newConsumerMember(name)
		if old := c.members[name]; old != nil {
			*mb = *old
		}
		_ = read(value, mb) // which it has been able to before
		c.put(mb)
	}, nil
}

// erase applies a tombstone.
func (c *consumerGroup) erase(version int16, name string) {
	switch version {
	case consumerTopicsKeyOf:
		c.topicRecord = false
	case targetKeyOf:
		c.targetEpoch = -1
	case targetMemberKeyOf:
		delete(c.target, name)
	case regexKeyOf:
		delete(c.regexes, name)
	case currentKeyOf:
		if old := c.members[name]; old != nil {
			mb := *old
			mb.epoch, mb.previous, mb.assigned, mb.revoking = leavingEpoch, leavingEpoch, nil, nil
			c.put(&mb)
		}
	case consumerMemberKeyOf:
		if mb := c.members[name]; mb != nil {
			c.remove(mb)
		}
	}
}

// clearClassic empties the classic half of a group, of which only its offsets stay.
func (g *group) clearClassic() {
	for len(g.members) > 0 {
		g.remove(g.members[len(g.members)-1])
	}
	for id := range g.pending {
		g.dropPending(id)
	}
	g.rebalance.timer.Stop()
	g.rebalance = rebalance{}
	g.clearUnsynced()
	g.recorded, g.state, g.generation, g.protocolType, g.protocol, g.leader = false, Empty, 0, "", nil, ""
	g.subscribed = nil
}

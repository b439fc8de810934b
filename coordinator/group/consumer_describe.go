package group

import (
	"maps"
	"slices"

	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime"
)

// ConsumerDescription is a consumer group as ConsumerGroupDescribe shows it.
type ConsumerDescription struct {
	State              string
	Epoch, TargetEpoch int32
	Assignor           string
	Members            []ConsumerMemberDescription
}

// ConsumerMemberDescription is a member of a consumer group.
type ConsumerMemberDescription struct {
	ID             string
	Instance, Rack *string
	Client         Client
	Epoch          int32
	Topics         []string
	Regex          string
	// Assigned is what it has, including what it has yet to give up, Target what it is to have, both by topic.
	Assigned, Target [][]assign.Partition
	// Classic says that it uses the classic protocol.
	Classic bool
}

// ConsumerDescriptionResult is a consumer group, or why there is none.
type ConsumerDescriptionResult struct {
	*ConsumerDescription
	refused *refused
}

// Refusal is GROUP_ID_NOT_FOUND, with words, for a group that does not exist or is of the classic protocol; nil for one that is
// described.
func (r ConsumerDescriptionResult) Refusal() (err error, message string) {
	if r.refused == nil {
		return nil, ""
	}
	return r.refused.err, r.refused.message
}

// Size is about how many elements there are, as *Larger counts them.
func (r ConsumerDescriptionResult) Size() int {
	if r.ConsumerDescription == nil {
		return 1
	}
	partitions := 0
	for _, m := range r.Members {
		for _, topics := range [][][]assign.Partition{m.Assigned, m.Target} {
			for _, of := range topics {
				partitions += len(of)
			}
		}
	}
	return 1 + len(r.Members) + partitions/8
}

// describeConsumer shows a consumer group.
func (m *machine) describeConsumer(id string, most int, p *runtime.Promise[ConsumerDescriptionResult]) {
	g := m.groups[id]
	switch {
	case g == nil:
		p.Resolve(ConsumerDescriptionResult{refused: noSuchGroup(id)})
		return
	case g.consumer == nil:
		p.Resolve(ConsumerDescriptionResult{refused: notAConsumerGroup(id)})
		return
	}
	c := g.consumer
	partitions := 0
	for id, mb := range c.members {
		partitions += len(mb.assigned) + len(mb.revoking) + len(c.target[id])
	}
	if err := larger(len(c.members)+partitions/8, most); err != nil {
		p.Fail(err)
		return
	}
	d := &ConsumerDescription{State: c.state(), Epoch: c.epoch, TargetEpoch: c.targetEpoch, Assignor: m.preferredAssignor(c.members)}
	for _, id := range slices.Sorted(maps.Keys(c.members)) {
		mb := c.members[id]
		has := maps.Clone(mb.assigned)
		maps.Copy(has, mb.revoking)
		d.Members = append(d.Members, ConsumerMemberDescription{ID: id, Instance: mb.instance, Rack: mb.rack, Client: mb.client,
			Epoch: mb.epoch, Topics: mb.topics, Regex: mb.regex, Assigned: byTopic(has.sorted()),
			Target: byTopic(c.target[id].Sorted()), Classic: mb.classic != nil})
	}
	p.Resolve(ConsumerDescriptionResult{ConsumerDescription: d})
}

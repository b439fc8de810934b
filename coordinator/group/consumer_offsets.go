package group

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/group/assign"
	"barnabas/replication/cluster"
)

// checkCommit says whether somebody may commit in a consumer group: a member in its epoch, anybody in a group without members. A
// member that does not know its new epoch yet may commit what it has had since before (KIP-1251), all of it or nothing.
func (c *consumerGroup) checkCommit(r *CommitRequest, image *cluster.Image) *kerr.Error {
	if r.Generation < 0 && len(c.members) == 0 {
		return nil
	}
	mb := c.members[r.Member]
	switch {
	case mb == nil:
		return kerr.UnknownMemberID
	case mb.classic == nil && !r.Epochs:
		return kerr.UnsupportedVersion
	case r.Generation == mb.epoch:
		return nil
	case r.Generation > mb.epoch:
		return mb.stale()
	}
	for _, t := range r.Topics {
		topic := image.Topics[t.Topic]
		if topic == nil {
			return mb.stale()
		}
		for _, p := range t.Partitions {
			at := assign.Partition{Topic: topic.ID, ID: p.Partition}
			since, has := mb.assigned[at]
			if !has {
				since, has = mb.revoking[at]
			}
			if !has || r.Generation < since {
				return mb.stale()
			}
		}
	}
	return nil
}

// stale is what a member is told whose epoch is not the one that it says.
func (mb *consumerMember) stale() *kerr.Error {
	if mb.classic != nil {
		return kerr.IllegalGeneration
	}
	return kerr.StaleMemberEpoch
}

// mayFetch says whether somebody may fetch the offsets of a group.
func (m *machine) mayFetch(group string, member *string, epoch int32) error {
	g := m.groups[group]
	if g == nil || g.consumer == nil || member == nil && epoch < 0 {
		return nil
	}
	if member == nil {
		return kerr.UnknownMemberID
	}
	mb := g.consumer.members[*member]
	switch {
	case mb == nil:
		return kerr.UnknownMemberID
	case mb.epoch != epoch:
		return mb.stale()
	}
	return nil
}

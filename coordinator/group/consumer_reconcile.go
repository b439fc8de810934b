package group

import (
	"barnabas/coordinator/group/assign"
)

// reconciliation is what a member's way towards the target assignment depends on.
type reconciliation struct {
	targetEpoch int32
	target      assign.Set
	// subscribes says whether the member subscribes to a topic that exists.
	subscribes func(assign.TopicID) bool
	// free says that nobody else has the partition, or has yet to give it up.
	free func(assign.Partition) bool
	// owned is what the member says that it has; nil when it does not say.
	owned []assign.Partition
	// changed says that the member has just changed its subscription.
	changed bool
}

// of gives the member as it is after one step, which is the member itself when there is nothing to do. Partitions are taken away
// first: the member keeps its epoch until it says that it has them no more. Then it comes to the target's epoch and gets what is
// free, and the rest as it becomes free. FENCED_MEMBER_EPOCH is for a member in a state of a later version, which must begin anew.
func (r *reconciliation) of(mb *consumerMember) (*consumerMember, *refused) {
	switch mb.state {
	case memberStable:
		switch {
		case mb.epoch != r.targetEpoch:
			return r.next(mb, mb.epoch), nil
		case r.changed:
			return r.unsubscribed(mb), nil
		}
		return mb, nil
	case memberUnrevoked:
		if !r.owns(mb.revoking) {
			return r.next(mb, mb.epoch), nil
		}
		if r.changed {
			return r.unsubscribed(mb), nil
		}
		return mb, nil
	case memberUnreleased:
		return r.next(mb, mb.epoch), nil
	}
	if r.owned == nil || len(r.owned) > 0 {
		return nil, fencedEpoch("The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.")
	}
	return r.next(mb, r.targetEpoch), nil
}

// owns says whether the member still has, or may still have, some of the partitions.
func (r *reconciliation) owns(h holding) bool {
	if r.owned == nil {
		return true
	}
	for _, p := range r.owned {
		if _, ok := h[p]; ok {
			return true
		}
	}
	return false
}

// unsubscribed takes away what the member does not subscribe to any more, without waiting for the next target.
func (r *reconciliation) unsubscribed(mb *consumerMember) *consumerMember {
	assigned, revoking := holding{}, holding{}
	for p, epoch := range mb.assigned {
		if r.subscribes(p.Topic) {
			assigned[p] = epoch
		} else {
			revoking[p] = epoch
		}
	}
	if len(revoking) == 0 {
		return mb
	}
	for p, epoch := range mb.revoking {
		revoking[p] = epoch
	}
	next := *mb
	next.assigned = assigned
	next.at(mb.epoch)
	if r.owns(revoking) {
		next.state, next.revoking = memberUnrevoked, revoking
	}
	return &next
}

// next goes on from an epoch.
func (r *reconciliation) next(mb *consumerMember, epoch int32) *consumerMember {
	assigned, revoking := holding{}, holding{}
	for p, since := range mb.assigned {
		if _, ok := r.target[p]; ok && r.subscribes(p.Topic) {
			assigned[p] = since
		} else {
			revoking[p] = since
		}
	}
	n := *mb
	next := &n
	next.assigned, next.revoking = assigned, nil
	if len(revoking) > 0 && r.owns(revoking) {
		next.state, next.revoking = memberUnrevoked, revoking
		next.at(epoch)
		return r.unless(mb, next)
	}
	next.state = memberStable
	for p := range r.target {
		if _, has := assigned[p]; has || !r.subscribes(p.Topic) {
			continue
		}
		if r.free(p) {
			assigned[p] = r.targetEpoch
		} else {
			next.state = memberUnreleased
		}
	}
	next.at(r.targetEpoch)
	return r.unless(mb, next)
}

// unless keeps the member as it is where only the note of its epoch before would be another: it costs a record for nothing, and
// Kafka's own is lost with it.
func (r *reconciliation) unless(mb, next *consumerMember) *consumerMember {
	if mb.epoch != next.epoch {
		return next
	}
	same := *next
	same.previous = mb.previous
	if same.sameAssignment(mb) {
		return mb
	}
	return next
}

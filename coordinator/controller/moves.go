package controller

import (
	"slices"
)

// The moves of partitions and replicas between their phases: pure, on a draft. An illegal move is refused for that
// partition and leaves it alone.

// uncleanly says for which topics a leader that is not in sync may be elected.
type uncleanly func(topic string) bool

func never(string) bool { return false }

// createPartitions moves partitions and their replicas from nowhere to new.
func (d *draft) createPartitions(list []tp) {
	for part := range d.edit(list) {
		if !d.moved(part, created) {
			continue
		}
		for _, b := range part.assigned {
			part.setPhase(b, replicaNew)
		}
	}
}

// moved moves a partition if that is legal.
func (d *draft) moved(part *partition, to phase) bool {
	if !part.phase.may(to) {
		d.refuse(part.tp, "partition %s-%d cannot move from %v to %v", part.Topic, part.Partition, part.phase, to)
		return false
	}
	part.phase = to
	return true
}

// bringOnline gives partitions a leader: the first one to new partitions, an elected one to others.
func (d *draft) bringOnline(list []tp, s strategy, unclean uncleanly) {
	for part := range d.edit(list) {
		switch {
		case !part.phase.may(online):
			d.moved(part, online)
		case part.phase == created:
			d.initialise(part)
		default:
			d.elect(part, s, unclean(part.Topic))
		}
	}
}

// initialise gives a new partition its first leader: the first live replica, with all live ones in sync.
func (d *draft) initialise(part *partition) {
	isr := filter(part.assigned, func(b int32) bool { return d.w.online(b, part.tp) })
	if len(isr) == 0 {
		d.refuse(part.tp, "partition %s-%d gets no leader: none of its replicas %v is live", part.Topic, part.Partition, part.assigned)
		return
	}
	d.lead(part, firstState(isr))
	part.phase = online
	d.assign(part.tp, isr, true)
	d.note(part.tp, "created: leader %d, in-sync replicas %v", isr[0], isr)
}

// elect holds an election in a partition that has had a leader.
func (d *draft) elect(part *partition, s strategy, unclean bool) {
	if part.leadership == nil {
		d.refuse(part.tp, "LeaderAndIsr information doesn't exist for partition %s-%d in %v state", part.Topic, part.Partition, part.phase)
		return
	}
	e, ok := elect(s, candidates{
		assigned: part.assigned,
		target:   filter(part.assigned, func(b int32) bool { return !slices.Contains(part.removing, b) }),
		now:      part.leadership.PartitionState,
		online:   func(b int32) bool { return d.w.online(b, part.tp) },
		present:  func(b int32) bool { return d.w.present(b, part.tp) },
		leaving:  func(b int32) bool { return d.w.leaving[b] },
		unclean:  unclean,
	})
	if !ok {
		d.refuse(part.tp, "Failed to elect leader for partition %s-%d under strategy %s", part.Topic, part.Partition, s.text(unclean))
		return
	}
	d.lead(part, e.state)
	part.phase = online
	d.assign(part.tp, e.recipients, false)
	d.note(part.tp, "elected leader %d, leader epoch %d, in-sync replicas %v", e.state.Leader, e.state.LeaderEpoch, e.state.ISR)
}

// text is the strategy as Kafka prints it into error messages.
func (s strategy) text(unclean bool) string {
	if s != electOffline {
		return s.String()
	}
	if unclean {
		return s.String() + "(true)"
	}
	return s.String() + "(false)"
}

// takeOffline marks partitions as being without a leader. Nothing is written: the election that follows does that.
func (d *draft) takeOffline(list []tp) {
	for part := range d.edit(list) {
		d.moved(part, offline)
	}
}

// replicaUp brings the replicas of a broker to life: it is told the role of each that has a leadership.
func (d *draft) replicaUp(broker int32, list []tp) {
	for part := range d.edit(list) {
		from := part.phaseOf(broker)
		if !d.replicaMoved(part, broker, replicaOnline) {
			continue
		}
		if from != replicaNew && part.leadership != nil {
			d.assign(part.tp, []int32{broker}, false)
		}
	}
}

func (d *draft) replicaMoved(part *partition, broker int32, to replicaPhase) bool {
	from := part.phaseOf(broker)
	if !from.may(to) {
		d.refuse(part.tp, "replica %d of %s-%d cannot move from %v to %v", broker, part.Topic, part.Partition, from, to)
		return false
	}
	part.setPhase(broker, to)
	return true
}

// replicaDown stops the replicas of a broker and takes them out of the ISR.
func (d *draft) replicaDown(broker int32, list []tp) {
	for part := range d.edit(list) {
		if !d.replicaMoved(part, broker, replicaOffline) {
			continue
		}
		d.stop(part.tp, broker, false)
		if part.leadership == nil {
			d.tell(d.w.brokerIDs(), part.tp)
			continue
		}
		if next, ok := without(part.leadership.PartitionState, broker); ok {
			d.lead(part, next)
			d.note(part.tp, "replica %d is offline: leader %d, leader epoch %d, in-sync replicas %v", broker, next.Leader, next.LeaderEpoch, next.ISR)
		}
		if !d.w.deleting(part.Topic) {
			d.assign(part.tp, filter(part.assigned, func(b int32) bool { return b != broker }), false)
		}
	}
}

// replicaDelete has a broker delete replicas that are offline.
func (d *draft) replicaDelete(broker int32, list []tp) {
	for part := range d.edit(list) {
		if d.replicaMoved(part, broker, deletionStarted) {
			d.stop(part.tp, broker, true)
		}
	}
}

// replicaMark moves replicas of a broker without telling anybody.
func (d *draft) replicaMark(broker int32, list []tp, to replicaPhase) {
	for part := range d.edit(list) {
		d.replicaMoved(part, broker, to)
	}
}

// byBroker sorts the replicas of partitions that keep says by broker.
func (d *draft) byBroker(list []tp, keep func(part *partition, broker int32) bool) map[int32][]tp {
	m := map[int32][]tp{}
	for _, p := range list {
		part := d.partition(p)
		if part == nil {
			continue
		}
		for _, b := range part.assigned {
			if keep(part, b) {
				m[b] = append(m[b], p)
			}
		}
	}
	return m
}

// leaderless are the partitions whose leader is not there, those of topics under deletion left out.
func (w *world) leaderless() []tp {
	return w.all(func(p *partition) bool {
		return p.leadership != nil && !w.online(p.leadership.Leader, p.tp) && !w.deleting(p.Topic)
	})
}

// waiting are the partitions that could have a leader if a replica is live, those of topics under deletion left out.
func (w *world) waiting() []tp {
	return w.all(func(p *partition) bool {
		return (p.phase == created || p.phase == offline) && !w.deleting(p.Topic)
	})
}

// electable are the partitions that wait for a leader although a replica in sync is live.
func (w *world) electable() []tp {
	return slices.DeleteFunc(w.waiting(), func(p tp) bool {
		l := w.partition(p).leadership
		return l == nil || !slices.ContainsFunc(l.ISR, func(b int32) bool { return w.online(b, p) })
	})
}

// hosted are the partitions that have a replica on a broker.
func (w *world) hosted(broker int32) []tp {
	return w.all(func(p *partition) bool { return slices.Contains(p.assigned, broker) })
}

// led are the partitions with leadership.
func (w *world) led() []tp { return w.all(func(p *partition) bool { return p.leadership != nil }) }

func topicsOf(list []tp) []string {
	var names []string
	for _, p := range list {
		if n := len(names); n == 0 || names[n-1] != p.Topic {
			names = append(names, p.Topic)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

package controller

import (
	"cmp"
	"slices"

	"barnabas/replication/cluster"
)

// mail collects whom a draft tells what. What exactly is said is read from the draft when it is complete, so that the
// last word on a partition is the only one.
type mail struct {
	// roles are the partitions that a broker must take a role in, and whether its replica is new.
	roles map[int32]map[tp]bool
	// stop are the replicas that a broker must let go, and whether it must delete them.
	stop map[int32]map[tp]bool
	// told are the brokers that get the list of live brokers and the states of the partitions in states.
	told   map[int32]bool
	states map[tp]bool
}

func newMail() mail {
	return mail{roles: map[int32]map[tp]bool{}, stop: map[int32]map[tp]bool{}, told: map[int32]bool{}, states: map[tp]bool{}}
}

// order is a push for one broker, ready to be sent.
type order struct {
	broker int32
	push   cluster.Push
}

// assign tells replicas of a partition's leadership, and every broker of its state.
func (d *draft) assign(p tp, to []int32, isNew bool) {
	for _, b := range to {
		put(d.mail.roles, b, p, isNew)
	}
	d.tell(d.w.brokerIDs(), p)
}

// tell gives brokers the list of live brokers and the states of partitions.
func (d *draft) tell(to []int32, partitions ...tp) {
	for _, b := range to {
		d.mail.told[b] = true
	}
	for _, p := range partitions {
		d.mail.states[p] = true
	}
}

// stop tells a replica to stop, and with remove to delete its data.
func (d *draft) stop(p tp, broker int32, remove bool) { put(d.mail.stop, broker, p, remove) }

// put sets a flag that once set stays.
func put(m map[int32]map[tp]bool, broker int32, p tp, flag bool) {
	if broker < 0 {
		return
	}
	if m[broker] == nil {
		m[broker] = map[tp]bool{}
	}
	m[broker][p] = m[broker][p] || flag
}

// orders are the pushes for the brokers that are there, by broker.
func (d *draft) orders() []order {
	var list []order
	var brokers []*cluster.Broker
	var update []cluster.TopicStates
	if len(d.mail.told) > 0 {
		brokers = make([]*cluster.Broker, 0, len(d.w.brokers))
		for _, id := range d.w.brokerIDs() {
			brokers = append(brokers, d.w.brokers[id])
		}
		update = d.group(d.mail.states, func(part *partition) (cluster.PartitionState, bool) {
			if part.leadership == nil {
				return cluster.PartitionState{}, false // nobody can use it yet
			}
			s := d.state(part)
			if d.w.deleting(part.Topic) {
				s.Leader, s.LeaderEpoch = cluster.LeaderDeleted, cluster.LeaderDeleted
			}
			return s, true
		})
	}
	for _, id := range d.w.brokerIDs() {
		p := cluster.Push{ControllerID: d.w.self, ControllerEpoch: d.w.epoch, BrokerEpoch: d.w.brokers[id].Epoch}
		roles := d.mail.roles[id]
		p.Roles = d.group(roles, func(part *partition) (cluster.PartitionState, bool) {
			s := d.state(part)
			s.IsNew = roles[part.tp]
			return s, true
		})
		if d.mail.told[id] {
			p.Brokers, p.Update = brokers, update
		}
		p.Stop = d.stops(d.mail.stop[id])
		if p.Roles != nil || p.Brokers != nil || p.Stop != nil {
			list = append(list, order{id, p})
		}
	}
	return list
}

// group turns a set of partitions into states by topic, in order.
func (d *draft) group(set map[tp]bool, state func(*partition) (cluster.PartitionState, bool)) []cluster.TopicStates {
	var list []cluster.TopicStates
	for _, p := range sortedPartitions(set) {
		part := d.partition(p)
		if part == nil {
			continue
		}
		s, ok := state(part)
		if !ok {
			continue
		}
		if n := len(list); n == 0 || list[n-1].Topic != p.Topic {
			list = append(list, cluster.TopicStates{Topic: p.Topic, ID: d.w.topics[p.Topic].id})
		}
		at := &list[len(list)-1]
		at.Partitions = append(at.Partitions, s)
	}
	return list
}

func (d *draft) stops(set map[tp]bool) []cluster.StopPartition {
	var list []cluster.StopPartition
	for _, p := range sortedPartitions(set) {
		s := cluster.StopPartition{Topic: p.Topic, ID: p.Partition, LeaderEpoch: -1, Delete: set[p]}
		if part := d.partition(p); d.w.deleting(p.Topic) {
			s.LeaderEpoch = cluster.LeaderDeleted
		} else if part != nil && part.leadership != nil {
			s.LeaderEpoch = part.leadership.LeaderEpoch
		}
		list = append(list, s)
	}
	return list
}

func sortedPartitions[V any](set map[tp]V) []tp {
	list := make([]tp, 0, len(set))
	for p := range set {
		list = append(list, p)
	}
	slices.SortFunc(list, comparePartitions)
	return list
}

func comparePartitions(a, b tp) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

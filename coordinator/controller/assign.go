package controller

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// place is a broker that replicas may be put on.
type place struct {
	id   int32
	rack *string
}

// spread says where the replicas of new partitions go: leaders round-robin from a random broker on, followers with a
// shift that grows with every round, so that the load of a broker that dies is spread over all others. Where brokers
// have racks, brokers of different racks take turns, and a rack gets a second replica only when all have one.
type spread struct {
	// from and shift are where leaders and followers begin.
	from, shift int
	// next is the number of the first partition.
	next int
}

// assign gives the replicas of count new partitions. Places are in ascending order of ids.
func (s spread) assign(places []place, count, replication int) ([][]int32, error) {
	switch {
	case count <= 0:
		return nil, refuse(kerr.InvalidPartitions, "Number of partitions must be larger than 0.")
	case replication <= 0:
		return nil, refuse(kerr.InvalidReplicationFactor, "Replication factor must be larger than 0.")
	case replication > len(places):
		return nil, refuse(kerr.InvalidReplicationFactor, "Replication factor: %d larger than available brokers: %d.", replication, len(places))
	}
	racks := 0
	if slices.ContainsFunc(places, func(p place) bool { return p.rack != nil }) {
		if slices.ContainsFunc(places, func(p place) bool { return p.rack == nil }) {
			return nil, refuse(kerr.UnknownServerError, "Not all brokers have rack information for replica rack aware assignment.")
		}
		places, racks = alternate(places)
	}
	assigned := make([][]int32, 0, count)
	n, shift := len(places), s.shift
	for p := s.next; p < s.next+count; p++ {
		if p > 0 && p%n == 0 {
			shift++
		}
		leader := (p + s.from) % n
		if racks == 0 {
			assigned = append(assigned, followers(places, leader, shift, replication))
		} else {
			assigned = append(assigned, racked(places, racks, leader, shift, replication))
		}
	}
	return assigned, nil
}

// follower is the index of the broker that comes k-th after the leader's, shifted.
func follower(leader, shift, k, n int) int { return (leader + 1 + (shift+k)%(n-1)) % n }

func followers(places []place, leader, shift, replication int) []int32 {
	replicas := []int32{places[leader].id}
	for k := range replication - 1 {
		replicas = append(replicas, places[follower(leader, shift, k, len(places))].id)
	}
	return replicas
}

// racked passes over a broker that has a replica already, and over one whose rack has while another rack has none.
func racked(places []place, racks, leader, shift, replication int) []int32 {
	replicas := []int32{places[leader].id}
	used := map[string]bool{*places[leader].rack: true}
	for k := 0; len(replicas) < replication; k++ {
		b := places[follower(leader, shift*racks, k, len(places))]
		if used[*b.rack] && len(used) < racks || slices.Contains(replicas, b.id) {
			continue
		}
		replicas = append(replicas, b.id)
		used[*b.rack] = true
	}
	return replicas
}

// alternate orders places so that racks take turns, and counts the racks.
func alternate(places []place) (ordered []place, racks int) {
	byRack := map[string][]place{}
	for _, p := range places {
		byRack[*p.rack] = append(byRack[*p.rack], p)
	}
	names := sortedKeys(byRack)
	for i := 0; len(ordered) < len(places); i++ {
		for _, name := range names {
			if list := byRack[name]; i < len(list) {
				ordered = append(ordered, list[i])
			}
		}
	}
	return ordered, len(names)
}

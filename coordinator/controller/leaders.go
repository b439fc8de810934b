package controller

import (
	"slices"

	"barnabas/coordinator/store"
)

// strategy is a way to choose a leader.
type strategy uint8

const (
	// electOffline takes the first assigned replica that is live and in sync, or, where data may be lost, just live.
	electOffline strategy = iota
	// electReassigned takes the first target replica that is live and in sync.
	electReassigned
	// electPreferred takes the first assigned replica if it is live and in sync, and nobody else.
	electPreferred
	// electLeaving takes the first assigned replica that is in sync and not shutting down.
	electLeaving
)

var strategyNames = [...]string{
	"OfflinePartitionLeaderElectionStrategy", "ReassignPartitionLeaderElectionStrategy",
	"PreferredReplicaPartitionLeaderElectionStrategy", "ControlledShutdownPartitionLeaderElectionStrategy",
}

func (s strategy) String() string { return strategyNames[s] }

// candidates is what an election looks at.
type candidates struct {
	// assigned in the order of preference; target is assigned without what a reassignment removes.
	assigned, target []int32
	now              store.PartitionState
	// online: live, not leaving, disk not failed. present: the same, but leaving brokers count. leaving: shutting down.
	online, present, leaving func(broker int32) bool
	// unclean allows a leader that is not in sync if no replica that is in sync is live.
	unclean bool
}

// elected is the outcome of an election: the state to be written but for the controller epoch, and who must be told.
type elected struct {
	state      store.PartitionState
	recipients []int32
}

// elect chooses; false when nobody qualifies. The leader epoch rises with every election that succeeds.
func elect(s strategy, c candidates) (elected, bool) {
	insync := func(b int32) bool { return slices.Contains(c.now.ISR, b) }
	next := c.now
	next.LeaderEpoch++
	to := filter(c.assigned, c.online)
	var leader int32
	var ok bool
	switch s {
	case electOffline:
		leader, ok = first(c.assigned, func(b int32) bool { return c.online(b) && insync(b) })
		next.ISR = filter(c.now.ISR, c.online)
		if !ok && c.unclean {
			leader, ok = first(c.assigned, c.online)
			next.ISR, next.Recovering = []int32{leader}, true
		}
	case electReassigned:
		leader, ok = first(c.target, func(b int32) bool { return c.online(b) && insync(b) })
		to = c.target
	case electPreferred:
		if len(c.assigned) > 0 {
			leader = c.assigned[0]
			ok = c.online(leader) && insync(leader)
		}
		to = c.assigned
	case electLeaving:
		leader, ok = first(c.assigned, func(b int32) bool { return c.present(b) && insync(b) && !c.leaving(b) })
		next.ISR = filter(c.now.ISR, func(b int32) bool { return !c.leaving(b) })
		to = filter(c.assigned, c.present)
	}
	if !ok {
		return elected{}, false
	}
	next.Leader = leader
	return elected{state: next, recipients: to}, true
}

// without is the state after a replica has left the ISR, unless it is the last there; the leader goes if it was that
// one. False when it is not in the ISR.
func without(now store.PartitionState, broker int32) (store.PartitionState, bool) {
	if !slices.Contains(now.ISR, broker) {
		return now, false
	}
	next := now
	next.LeaderEpoch++
	if now.Leader == broker {
		next.Leader = -1
	}
	if len(now.ISR) > 1 {
		next.ISR = filter(now.ISR, func(b int32) bool { return b != broker })
	}
	return next, true
}

func filter(ids []int32, keep func(int32) bool) []int32 {
	kept := make([]int32, 0, len(ids))
	for _, id := range ids {
		if keep(id) {
			kept = append(kept, id)
		}
	}
	return kept
}

func first(ids []int32, want func(int32) bool) (int32, bool) {
	if i := slices.IndexFunc(ids, want); i >= 0 {
		return ids[i], true
	}
	return 0, false
}

// firstState is the state of a partition that never had a leader.
func firstState(isr []int32) store.PartitionState {
	return store.PartitionState{Leader: isr[0], ISR: isr}
}

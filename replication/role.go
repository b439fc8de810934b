package replication

import (
	"slices"

	"barnabas/replication/cluster"
)

// role is what this broker is for a partition, under one leader epoch. It is immutable and replaced by Become.
type role struct {
	kind  roleKind
	state cluster.PartitionState
	// alone says that the ISR is this broker only, so that an append is committed when it is written.
	alone bool
	// begin is the log end at which this leader's epoch began: all before it came from earlier leaders.
	begin int64
	// since is the first of the leader epochs that this broker has led in without a break.
	since int32
}

type roleKind uint8

const (
	// offline is a replica without a part to play: not told yet, stopped, or its disk has failed.
	offline roleKind = iota
	// follower copies from the leader and serves nobody.
	follower
	leader
)

func newRole(self int32, st cluster.PartitionState) *role {
	r := &role{kind: follower, state: st, since: st.LeaderEpoch}
	if st.Leader == self {
		r.kind = leader
		r.alone = len(st.ISR) == 1 && st.ISR[0] == self
	}
	if !slices.Contains(st.Replicas, self) {
		r.kind = offline
	}
	return r
}

// minISR is min.insync.replicas as far as the partition has replicas at all.
func (r *role) minISR(configured int) int { return min(configured, len(r.state.Replicas)) }

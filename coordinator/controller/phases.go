package controller

import "slices"

// phase is where a partition stands. The moves that are legal:
//
//	NonExistent -> New -> Online <-> Offline -> NonExistent
//
// and from New straight to Offline.
type phase uint8

const (
	nonExistent phase = iota
	// created: replicas are assigned, a leader was never elected.
	created
	online
	offline
)

var phaseNames = [...]string{"NonExistentPartition", "NewPartition", "OnlinePartition", "OfflinePartition"}

func (p phase) String() string { return phaseNames[p] }

// may says whether a partition may move from p to another phase.
func (p phase) may(to phase) bool {
	switch to {
	case created:
		return p == nonExistent
	case online, offline:
		return p != nonExistent
	default:
		return p == offline
	}
}

// replicaPhase is where a replica stands. The numbers are Kafka's.
type replicaPhase uint8

const (
	replicaNonExistent replicaPhase = 7
	// replicaNew: created, follower only.
	replicaNew     replicaPhase = 1
	replicaOnline  replicaPhase = 2
	replicaOffline replicaPhase = 3
	// deletionStarted: the broker was told to delete it and has not answered.
	deletionStarted replicaPhase = 4
	deletionDone    replicaPhase = 5
	// deletionFailed: it cannot be deleted now, its broker or disk is away.
	deletionFailed replicaPhase = 6
)

var replicaPhaseNames = map[replicaPhase]string{
	replicaNew: "NewReplica", replicaOnline: "OnlineReplica", replicaOffline: "OfflineReplica",
	deletionStarted: "ReplicaDeletionStarted", deletionDone: "ReplicaDeletionSuccessful",
	deletionFailed: "ReplicaDeletionIneligible", replicaNonExistent: "NonExistentReplica",
}

func (p replicaPhase) String() string { return replicaPhaseNames[p] }

var replicaFrom = map[replicaPhase][]replicaPhase{
	replicaNew:         {replicaNonExistent},
	replicaOnline:      {replicaNew, replicaOnline, replicaOffline, deletionFailed},
	replicaOffline:     {replicaNew, replicaOnline, replicaOffline, deletionFailed},
	deletionStarted:    {replicaOffline},
	deletionDone:       {deletionStarted},
	deletionFailed:     {replicaOffline, deletionStarted},
	replicaNonExistent: {deletionDone},
}

// may says whether a replica may move from p to another phase.
func (p replicaPhase) may(to replicaPhase) bool { return slices.Contains(replicaFrom[to], p) }

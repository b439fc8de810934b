package cluster

// Push is what the controller tells one broker, in the order in which it is to be applied: the roles it must take
// (LeaderAndIsr), what everybody must know (UpdateMetadata), what it must let go (StopReplica). It is the content of
// those RPCs without their encodings, so that a broker may be told in the same process or over the wire.
type Push struct {
	ControllerID    int32
	ControllerEpoch int32
	// BrokerEpoch is the receiver's registration epoch as the controller knows it, -1 to skip that check.
	BrokerEpoch int64

	Roles []TopicStates
	// Brokers, when not nil, is the complete list of live brokers and replaces the receiver's.
	Brokers []*Broker
	// Update is a delta of partition states for the metadata cache. A partition with Leader LeaderDeleted leaves it; a
	// topic without partitions is gone.
	Update []TopicStates
	Stop   []StopPartition
}

// LeaderDeleted is the leader (and epoch) by which the controller says that a partition is being deleted.
const LeaderDeleted int32 = -2

// TopicStates are states of some partitions of one topic.
type TopicStates struct {
	Topic      string
	ID         TopicID
	Partitions []PartitionState
}

// PartitionState is one partition's state within a push. IsNew (roles only) says that the replica never existed, so it
// may be placed freely even while some log dirs are offline.
type PartitionState struct {
	ID int32
	Partition
	IsNew bool
}

// StopPartition tells a broker to stop replicating a partition, and to delete its data if Delete is set. LeaderEpoch is
// -1 when unknown, LeaderDeleted for a topic that is being deleted.
type StopPartition struct {
	Topic       string
	ID          int32
	LeaderEpoch int32
	Delete      bool
}

// PushResult is the receiver's answer. Err refuses the whole push (stale epochs). Roles and Stop hold only the
// partitions that failed.
type PushResult struct {
	Err   error
	Roles map[TopicPartition]error
	Stop  map[TopicPartition]error
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

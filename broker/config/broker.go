package config

import "slices"

// Broker is a typed picture of the broker's settings at one moment. It is immutable; a change makes a new one. The tag
// config names the setting that a field holds, from the settings that it is derived from; together they are the
// settings that have an effect (see Effective), but for those marked inert, which nothing obeys yet. Sizes are bytes;
// times carry their unit in the name.
type Broker struct {
	// Identity. BrokerID is -1 when it is to be generated or found in meta.properties.
	BrokerID                 int32   `config:"broker.id" from:"node.id"`
	BrokerIDGenerationEnable bool    `config:"broker.id.generation.enable"`
	ReservedBrokerMaxID      int32   `config:"reserved.broker.max.id"`
	Rack                     *string `config:"broker.rack"`

	// Listeners. InterBrokerListener is the name of the listener that brokers use among themselves; ControlPlaneListener
	// is "" when there is none of its own; it is checked, but nobody uses it while brokers do not talk to each other.
	Listeners            []Listener `from:"listeners,listener.security.protocol.map"`
	Advertised           []Listener `from:"advertised.listeners"`
	InterBrokerListener  string
	ControlPlaneListener string

	SocketSendBufferBytes    int   `config:"socket.send.buffer.bytes"`    // -1: the system's
	SocketReceiveBufferBytes int   `config:"socket.receive.buffer.bytes"` // -1: the system's
	SocketRequestMaxBytes    int   `config:"socket.request.max.bytes"`
	ConnectionsMaxIdleMs     int64 `config:"connections.max.idle.ms"` // negative: for ever
	MaxConnections           int   `config:"max.connections"`
	MaxConnectionsPerIP      int   `config:"max.connections.per.ip"`
	// MaxConnectionsPerIPOverrides holds host names and addresses as the setting writes them.
	MaxConnectionsPerIPOverrides map[string]int `from:"max.connections.per.ip.overrides"`
	MaxConnectionCreationRate    int            `config:"max.connection.creation.rate"` // connections a second
	// ListenerLimits are those of each listener, by its name: its own, else the broker's.
	ListenerLimits map[string]ListenerLimits
	// The rate of new connections is measured over as many windows of so many seconds.
	QuotaWindowNum          int   `config:"quota.window.num"`
	QuotaWindowSizeSeconds  int64 `config:"quota.window.size.seconds"`
	SocketListenBacklogSize int   `config:"socket.listen.backlog.size"` // connections that wait to be accepted
	QueuedMaxRequestBytes   int64 `config:"queued.max.request.bytes"`   // zero or less: no bound

	// The coordination store. ZooKeeperConnect is "" when the broker is alone.
	ZooKeeperConnect             string `config:"zookeeper.connect"`
	ZooKeeperSessionTimeoutMs    int64  `config:"zookeeper.session.timeout.ms"`
	ZooKeeperConnectionTimeoutMs int64  `from:"zookeeper.connection.timeout.ms"`
	ZooKeeperMaxInFlight         int    `config:"zookeeper.max.in.flight.requests"`

	// Storage. LogDirs are absolute.
	LogDirs                             []string `from:"log.dirs,log.dir"`
	NumRecoveryThreadsPerDataDir        int      `config:"num.recovery.threads.per.data.dir"`
	LogRetentionCheckIntervalMs         int64    `config:"log.retention.check.interval.ms"`
	LogInitialTaskDelayMs               int64    `config:"log.initial.task.delay.ms"`
	LogFlushSchedulerIntervalMs         int64    `config:"log.flush.scheduler.interval.ms"`
	LogFlushOffsetCheckpointMs          int64    `config:"log.flush.offset.checkpoint.interval.ms"`
	LogFlushStartOffsetCheckpointMs     int64    `config:"log.flush.start.offset.checkpoint.interval.ms"`
	ReplicaHighWatermarkCheckpointMs    int64    `config:"replica.high.watermark.checkpoint.interval.ms"`
	ProducerIDExpirationMs              int64    `config:"producer.id.expiration.ms"`
	ProducerIDExpirationCheckIntervalMs int64    `config:"producer.id.expiration.check.interval.ms"`
	LogCleanerEnable                    bool     `config:"log.cleaner.enable"`
	LogCleanerThreads                   int      `config:"log.cleaner.threads"`
	LogCleanerDedupeBufferSize          int64    `config:"log.cleaner.dedupe.buffer.size"` // of all threads together
	LogCleanerDedupeBufferLoadFactor    float64  `config:"log.cleaner.io.buffer.load.factor"`
	LogCleanerIOBufferSize              int      `config:"log.cleaner.io.buffer.size"` // of all threads together
	LogCleanerIOMaxBytesPerSecond       float64  `config:"log.cleaner.io.max.bytes.per.second"`
	LogCleanerBackoffMs                 int64    `config:"log.cleaner.backoff.ms"`

	// Topics and data.
	AutoCreateTopicsEnable           bool  `config:"auto.create.topics.enable"`
	DeleteTopicEnable                bool  `config:"delete.topic.enable"`
	NumPartitions                    int32 `config:"num.partitions"`
	DefaultReplicationFactor         int16 `config:"default.replication.factor"`
	FetchMaxBytes                    int   `config:"fetch.max.bytes"`
	MaxFetchSessions                 int   `config:"max.incremental.fetch.session.cache.slots"`
	MaxRequestPartitionSizeLimit     int   `config:"max.request.partition.size.limit"`
	UncleanLeaderElectionEnable      bool  `config:"unclean.leader.election.enable"`
	ReplicaLagTimeMaxMs              int64 `config:"replica.lag.time.max.ms,inert"`
	AutoLeaderRebalanceEnable        bool  `config:"auto.leader.rebalance.enable"`
	LeaderImbalanceCheckSeconds      int64 `config:"leader.imbalance.check.interval.seconds"`
	LeaderImbalancePercent           int32 `config:"leader.imbalance.per.broker.percentage"`
	ControlledShutdownEnable         bool  `config:"controlled.shutdown.enable,inert"`
	LogDirFailureTimeoutMs           int64 `config:"log.dir.failure.timeout.ms,inert"`
	TransactionMaxTimeoutMs          int64 `config:"transaction.max.timeout.ms"`
	TransactionStateLogPartitions    int32 `config:"transaction.state.log.num.partitions"`
	TransactionStateLogReplication   int16 `config:"transaction.state.log.replication.factor"`
	TransactionStateLogMinISR        int   `config:"transaction.state.log.min.isr"`
	TransactionStateLogSegmentBytes  int   `config:"transaction.state.log.segment.bytes"`
	TransactionalIDExpirationMs      int64 `config:"transactional.id.expiration.ms,inert"`
	TransactionPartitionVerification bool  `config:"transaction.partition.verification.enable,inert"`

	// Groups and committed offsets.
	GroupInitialRebalanceDelayMs    int64 `config:"group.initial.rebalance.delay.ms"`
	GroupMinSessionTimeoutMs        int64 `config:"group.min.session.timeout.ms"`
	GroupMaxSessionTimeoutMs        int64 `config:"group.max.session.timeout.ms"`
	GroupMaxSize                    int   `config:"group.max.size"`
	OffsetMetadataMaxBytes          int   `config:"offset.metadata.max.bytes"`
	OffsetsCommitTimeoutMs          int64 `config:"offsets.commit.timeout.ms"`
	OffsetsRetentionMinutes         int64 `config:"offsets.retention.minutes"`
	OffsetsRetentionCheckIntervalMs int64 `config:"offsets.retention.check.interval.ms"`
	OffsetsTopicPartitions          int32 `config:"offsets.topic.num.partitions"`
	OffsetsTopicReplication         int16 `config:"offsets.topic.replication.factor"`
	OffsetsTopicSegmentBytes        int   `config:"offsets.topic.segment.bytes"`
	OffsetsTopicCompressionCodec    int8  `config:"offsets.topic.compression.codec"` // a codec's number on the wire

	// The consumer protocol (KIP-848): whether it is served, and its settings.
	ConsumerProtocol                 bool     `from:"group.coordinator.rebalance.protocols"`
	GroupConsumerSessionTimeoutMs    int64    `config:"group.consumer.session.timeout.ms" from:"group.consumer.min.session.timeout.ms,group.consumer.max.session.timeout.ms"`
	GroupConsumerHeartbeatIntervalMs int64    `config:"group.consumer.heartbeat.interval.ms" from:"group.consumer.min.heartbeat.interval.ms,group.consumer.max.heartbeat.interval.ms"`
	GroupConsumerMaxSize             int      `config:"group.consumer.max.size"`
	GroupConsumerAssignors           []string `from:"group.consumer.assignors"`        // short names, the default first
	GroupConsumerMigrationPolicy     string   `from:"group.consumer.migration.policy"` // in lower case

	// TopicDefaults are the settings of a topic that has none of its own.
	TopicDefaults Topic
}

// ListenerLimits are the limits that a listener may have of its own, behind the prefix listener.name.<name>.
type ListenerLimits struct {
	MaxConnections            int // max.connections
	MaxConnectionCreationRate int // max.connection.creation.rate, connections a second
}

// Alone says that the broker is a cluster of one with its store embedded.
func (b *Broker) Alone() bool { return b.ZooKeeperConnect == "" }

// Listener finds a listener by its name.
func (b *Broker) Listener(name string) (Listener, bool) {
	i := slices.IndexFunc(b.Listeners, func(l Listener) bool { return l.Name == name })
	if i < 0 {
		return Listener{}, false
	}
	return b.Listeners[i], true
}

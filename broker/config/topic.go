package config

import "math"

// Topic is a typed picture of one topic's settings, the broker's defaults filled in. Immutable. The tags are as in
// Broker; inert says that nothing obeys the setting yet or that it cannot apply here.
type Topic struct {
	Compact, Delete  bool     `from:"cleanup.policy"`
	CleanupPolicy    []string `config:"cleanup.policy"`
	CompressionType  string   `config:"compression.type"` // producer, uncompressed, gzip, snappy, lz4, zstd
	GzipLevel        int      `config:"compression.gzip.level"`
	LZ4Level         int      `config:"compression.lz4.level"`
	ZstdLevel        int      `config:"compression.zstd.level"`
	MaxMessageBytes  int      `config:"max.message.bytes"`
	MinISR           int      `config:"min.insync.replicas"`
	UncleanElections bool     `config:"unclean.leader.election.enable,inert"`
	Downconversion   bool     `config:"message.downconversion.enable"`

	SegmentBytes       int   `config:"segment.bytes"`
	SegmentMs          int64 `config:"segment.ms"`
	SegmentJitterMs    int64 `config:"segment.jitter.ms"`
	SegmentIndexBytes  int   `config:"segment.index.bytes"`
	IndexIntervalBytes int   `config:"index.interval.bytes"`
	Preallocate        bool  `config:"preallocate"`
	FlushMessages      int64 `config:"flush.messages"`
	FlushMs            int64 `config:"flush.ms"`
	FileDeleteDelayMs  int64 `config:"file.delete.delay.ms"`
	RetentionBytes     int64 `config:"retention.bytes"` // -1: no limit
	RetentionMs        int64 `config:"retention.ms"`    // -1: no limit

	TimestampType string `config:"message.timestamp.type"` // CreateTime, LogAppendTime
	// TimestampBeforeMaxMs and TimestampAfterMaxMs are the limits in effect: the deprecated difference.max.ms counts
	// where they have their defaults.
	TimestampBeforeMaxMs     int64 `config:"message.timestamp.before.max.ms"`
	TimestampAfterMaxMs      int64 `config:"message.timestamp.after.max.ms"`
	TimestampDifferenceMaxMs int64 `config:"message.timestamp.difference.max.ms"`

	DeleteRetentionMs         int64    `config:"delete.retention.ms"`
	MinCleanableDirtyRatio    float64  `config:"min.cleanable.dirty.ratio"`
	MinCompactionLagMs        int64    `config:"min.compaction.lag.ms"`
	MaxCompactionLagMs        int64    `config:"max.compaction.lag.ms"`
	MessageFormatVersion      string   `config:"message.format.version,inert"`
	LeaderThrottledReplicas   []string `config:"leader.replication.throttled.replicas,inert"`
	FollowerThrottledReplicas []string `config:"follower.replication.throttled.replicas,inert"`
	LocalRetentionBytes       int64    `config:"local.retention.bytes,inert"`
	LocalRetentionMs          int64    `config:"local.retention.ms,inert"`
	RemoteStorageEnable       bool     `config:"remote.storage.enable,inert"`
	RemoteLogCopyDisable      bool     `config:"remote.log.copy.disable,inert"`
	RemoteLogDeleteOnDisable  bool     `config:"remote.log.delete.on.disable,inert"`
}

// derive fills the fields that are not one setting's value.
func (t *Topic) derive() {
	for _, p := range t.CleanupPolicy {
		switch p {
		case "compact":
			t.Compact = true
		case "delete":
			t.Delete = true
		}
	}
	if t.TimestampBeforeMaxMs == math.MaxInt64 {
		t.TimestampBeforeMaxMs = t.TimestampDifferenceMaxMs
	}
	if t.TimestampAfterMaxMs == math.MaxInt64 {
		t.TimestampAfterMaxMs = t.TimestampDifferenceMaxMs
	}
}

package storage

// Config is the settings of one topic that its logs act upon, in effect and parsed. It is a value: SetConfig replaces it.
type Config struct {
	SegmentBytes    int   // segment.bytes: no segment grows beyond
	SegmentMs       int64 // segment.ms: a segment rolls when its first record is this much older than the incoming one
	SegmentJitterMs int64 // segment.jitter.ms: at most this is taken off SegmentMs, by chance

	IndexBytes         int // segment.index.bytes: limit of each index file; a full one rolls the segment
	IndexIntervalBytes int // index.interval.bytes of log between two index entries

	FlushMessages int64 // flush.messages: Append asks for a Sync when so many records are not synced
	FlushMs       int64 // flush.ms: SyncDue syncs what is older

	RetentionBytes    int64 // retention.bytes, -1 is no limit
	RetentionMs       int64 // retention.ms, -1 is no limit
	FileDeleteDelayMs int64 // file.delete.delay.ms between the rename of a file and its removal

	Compact, Delete bool // cleanup.policy

	MinCleanableRatio  float64 // min.cleanable.dirty.ratio: a log that is less dirty is not cleaned
	MinCompactionLagMs int64   // min.compaction.lag.ms: younger records are not compacted
	MaxCompactionLagMs int64   // max.compaction.lag.ms: older ones are, however clean the log is; compacted logs roll so early
	DeleteRetentionMs  int64   // delete.retention.ms: how long tombstones and markers stay after they were first met

	// Preallocate (preallocate) gives a new .log file the size SegmentBytes at once; it is cut to its content when the
	// segment is sealed or closed. A change counts from the next new file on.
	Preallocate bool

	ProducerExpirationMs int64 // producer.id.expiration.ms
	MaxMessageBytes      int   // max.message.bytes; held by whoever validates, known here for its readers
}

// DefaultConfig is what Kafka 3.9 has when nothing is set.
func DefaultConfig() Config {
	const never = 1<<63 - 1
	return Config{
		SegmentBytes: 1 << 30, SegmentMs: 7 * 24 * 3600 * 1000,
		IndexBytes: 10 << 20, IndexIntervalBytes: 4096,
		FlushMessages: never, FlushMs: never,
		RetentionBytes: -1, RetentionMs: 7 * 24 * 3600 * 1000, FileDeleteDelayMs: 60_000,
		MinCleanableRatio: 0.5, MaxCompactionLagMs: never, DeleteRetentionMs: 24 * 3600 * 1000,
		Delete: true, ProducerExpirationMs: 24 * 3600 * 1000, MaxMessageBytes: 1048588,
	}
}

// rollMs is the age at which a segment rolls: only sealed segments are compacted.
func (c *Config) rollMs() int64 {
	if c.Compact && c.MaxCompactionLagMs > 0 {
		return min(c.SegmentMs, c.MaxCompactionLagMs)
	}
	return c.SegmentMs
}

package broker

import (
	"barnabas/broker/config"
	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"
	"barnabas/replication"
	"barnabas/storage"
)

// partitionSettings says in the terms of replication and storage what a topic's settings ask for.
func partitionSettings(t *config.Topic, producerIDExpirationMs int64) *replication.Settings {
	s := &replication.Settings{
		Log: storage.Config{
			SegmentBytes:         t.SegmentBytes,
			SegmentMs:            t.SegmentMs,
			SegmentJitterMs:      t.SegmentJitterMs,
			IndexBytes:           t.SegmentIndexBytes,
			IndexIntervalBytes:   t.IndexIntervalBytes,
			FlushMessages:        t.FlushMessages,
			FlushMs:              t.FlushMs,
			RetentionBytes:       t.RetentionBytes,
			RetentionMs:          t.RetentionMs,
			FileDeleteDelayMs:    t.FileDeleteDelayMs,
			Compact:              t.Compact,
			Delete:               t.Delete,
			MinCleanableRatio:    t.MinCleanableDirtyRatio,
			MinCompactionLagMs:   t.MinCompactionLagMs,
			MaxCompactionLagMs:   t.MaxCompactionLagMs,
			DeleteRetentionMs:    t.DeleteRetentionMs,
			Preallocate:          t.Preallocate,
			ProducerExpirationMs: producerIDExpirationMs,
			MaxMessageBytes:      t.MaxMessageBytes,
		},
		Rules: record.Rules{
			LogAppendTime: t.TimestampType == "LogAppendTime",
			BeforeMax:     t.TimestampBeforeMaxMs,
			AfterMax:      t.TimestampAfterMaxMs,
			Compacted:     t.Compact,
			MaxBytes:      t.MaxMessageBytes,
		},
		MinISR:      t.MinISR,
		Downconvert: t.Downconversion,
		ZstdOnly:    t.CompressionType == codec.Zstd.String(),
	}
	switch t.CompressionType {
	case "producer":
		s.Rules.KeepCodec = true
	case "uncompressed":
		s.Rules.Target = codec.None
	default:
		s.Rules.Target, _ = codec.Parse(t.CompressionType)
	}
	switch s.Rules.Target {
	case codec.Gzip:
		s.Rules.Level = t.GzipLevel
	case codec.LZ4:
		s.Rules.Level = t.LZ4Level
	case codec.Zstd:
		s.Rules.Level = t.ZstdLevel
	}
	return s
}

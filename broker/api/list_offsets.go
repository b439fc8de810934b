package api

// ListOffsets (key 2)
//
//	v0  up to max_num_offsets segment starts before a time
//	v1  one offset and its timestamp (KIP-79)
//	v2  isolation level (KIP-98)
//	v4  leader epochs (KIP-320)
//	v5  OFFSET_NOT_AVAILABLE (KIP-207)
//	v6  tagged fields (KIP-482)
//	v7  -3, the record with the largest timestamp (KIP-734)
//	v8  -4, the earliest local offset (KIP-405)
//	v9  -5, the latest tiered offset (KIP-1005)
//	v10 timeout of remote look-ups (KIP-1075)
//	v11 -6, the earliest offset that waits to be tiered (KIP-1023)

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication"
)

// Timestamps with a meaning of their own.
const (
	latestOffset        int64 = -1
	earliestOffset      int64 = -2
	maxTimestampOffset  int64 = -3
	earliestLocalOffset int64 = -4
	latestTieredOffset  int64 = -5
	pendingUploadOffset int64 = -6
)

// consumerReplica is the replica id of those that are none.
const consumerReplica int32 = -1

// specialSince is the first version that knows a special timestamp.
var specialSince = map[int64]int16{
	latestOffset: 0, earliestOffset: 0, maxTimestampOffset: 7, earliestLocalOffset: 8, latestTieredOffset: 9, pendingUploadOffset: 11,
}

// ListOffsets finds offsets by time.
func (d *Data) ListOffsets(c *Call, req *kmsg.ListOffsetsRequest) Reply {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	img := d.Images.Current()
	seen := map[fetchKey]int{}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			seen[fetchKey{topic: t.Topic, partition: p.Partition}]++
		}
	}
	resp.Topics = make([]kmsg.ListOffsetsResponseTopic, len(req.Topics))
	for i, t := range req.Topics {
		at := &resp.Topics[i]
		at.Topic = t.Topic
		at.Partitions = make([]kmsg.ListOffsetsResponseTopicPartition, len(t.Partitions))
		for j, rp := range t.Partitions {
			ap := &at.Partitions[j]
			ap.Default()
			ap.Partition = rp.Partition
			ap.Timestamp, ap.Offset, ap.LeaderEpoch = -1, -1, -1
			if seen[fetchKey{topic: t.Topic, partition: rp.Partition}] > 1 && req.Version > 0 {
				ap.ErrorCode = kerr.InvalidRequest.Code
				continue
			}
			if why := refuseListing(req, rp.Timestamp); why != nil {
				ap.ErrorCode = why.Code
				continue
			}
			p, known := d.partition(img, t.Topic, rp.Partition)
			switch {
			case !known:
				ap.ErrorCode = kerr.UnknownTopicOrPartition.Code
			case p == nil:
				ap.ErrorCode = kerr.NotLeaderForPartition.Code
			case req.Version == 0:
				listLegacy(p, req, rp, ap)
			default:
				listOffset(p, req, rp, ap)
			}
		}
	}
	return Done(resp)
}

// refuseListing is what can be said before a partition is looked for.
func refuseListing(req *kmsg.ListOffsetsRequest, timestamp int64) *kerr.Error {
	since, special := specialSince[timestamp]
	switch {
	case timestamp < 0 && (!special || req.Version < since):
		return kerr.UnsupportedVersion
	case req.ReplicaID == consumerReplica && unknownIsolation(req.IsolationLevel):
		return kerr.UnknownServerError
	}
	return nil
}

func listOffset(p *replication.Partition, req *kmsg.ListOffsetsRequest, rp kmsg.ListOffsetsRequestTopicPartition, ap *kmsg.ListOffsetsResponseTopicPartition) {
	known := replication.NoEpoch
	if req.Version >= 4 {
		known = rp.CurrentLeaderEpoch
	}
	if err := p.CheckLeader(known); err != nil {
		ap.ErrorCode = code(err)
		return
	}
	i := isolation(req.IsolationLevel)
	if req.ReplicaID != consumerReplica {
		i = replication.Everything
	}
	log, bound := p.Log(), p.Bound(i)
	// A new leader that does not know yet how much of the log is committed must not tell a consumer of less than what
	// its predecessor told.
	lags := i != replication.Everything && p.Lags()
	switch rp.Timestamp {
	case latestOffset:
		if lags {
			ap.ErrorCode = notAvailable(req.Version)
			return
		}
		ap.Offset, ap.LeaderEpoch = bound, p.LeaderEpoch()
	case earliestOffset, earliestLocalOffset:
		ap.Offset = log.Start()
		ap.LeaderEpoch = log.EpochAt(ap.Offset)
	case latestTieredOffset, pendingUploadOffset:
		// Nothing is tiered: there is no such offset.
	case maxTimestampOffset:
		offset, ts, epoch, err := log.MaxTimestamp()
		fill(ap, offset, ts, epoch, offset >= 0 && offset < bound, err)
		if lags && ap.Offset < 0 && err == nil {
			ap.ErrorCode = notAvailable(req.Version)
		}
	default:
		offset, ts, epoch, found, err := log.OffsetForTime(rp.Timestamp, bound)
		fill(ap, offset, ts, epoch, found, err)
		if lags && !found && err == nil {
			ap.ErrorCode = notAvailable(req.Version)
		}
	}
}

// notAvailable is how a version says that it is too early to tell.
func notAvailable(version int16) int16 {
	if version < 5 {
		return kerr.LeaderNotAvailable.Code
	}
	return kerr.OffsetNotAvailable.Code
}

func fill(ap *kmsg.ListOffsetsResponseTopicPartition, offset, ts int64, epoch int32, found bool, err error) {
	switch {
	case err != nil:
		ap.ErrorCode = code(err)
	case found:
		ap.Offset, ap.Timestamp, ap.LeaderEpoch = offset, ts, epoch
	}
}

// listLegacy answers version 0: the log end and the starts of the segments that are not younger than the time asked
// for, youngest first.
func listLegacy(p *replication.Partition, req *kmsg.ListOffsetsRequest, rp kmsg.ListOffsetsRequestTopicPartition, ap *kmsg.ListOffsetsResponseTopicPartition) {
	if err := p.CheckLeader(replication.NoEpoch); err != nil {
		ap.ErrorCode = code(err)
		return
	}
	if rp.MaxNumOffsets < 0 {
		ap.ErrorCode = kerr.UnknownServerError.Code // what Kafka makes of it
		return
	}
	i := replication.Uncommitted
	if req.ReplicaID != consumerReplica {
		i = replication.Everything
	}
	offsets, err := p.Log().LegacyOffsets(rp.Timestamp, int(rp.MaxNumOffsets))
	if err != nil {
		ap.ErrorCode = code(err)
		return
	}
	bound := p.Bound(i)
	ap.OldStyleOffsets = make([]int64, 0, len(offsets))
	for n, o := range offsets {
		if n == 0 {
			o = min(o, bound)
		}
		if o <= bound {
			ap.OldStyleOffsets = append(ap.OldStyleOffsets, o)
		}
	}
}

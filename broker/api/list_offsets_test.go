package api

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication/cluster"
)

// listed asks for one offset.
func (e *dataEnv) listed(req *kmsg.ListOffsetsRequest) kmsg.ListOffsetsResponseTopicPartition {
	e.t.Helper()
	return answered[*kmsg.ListOffsetsResponse](e.t, e.Data, req).Topics[0].Partitions[0]
}

func TestListOffsetsAtEveryVersion(t *testing.T) {
	e := newData(t)
	e.fill("t", 0, 5, dataTime)
	e.fill("t", 0, 5, dataTime+1000)
	none := int64(-1)
	for _, c := range []struct {
		name         string
		partition    int32
		ts           int64
		since        int16 // before it UNSUPPORTED_VERSION
		code         int16
		offset, when int64
		epoch        int32
	}{
		{"latest", 0, -1, 1, 0, 10, none, 0},
		{"earliest", 0, -2, 1, 0, 0, none, 0},
		{"largest timestamp", 0, -3, 7, 0, 9, dataTime + 1004, 0},
		{"earliest here", 0, -4, 8, 0, 0, none, 0},
		{"latest elsewhere", 0, -5, 9, 0, none, none, -1},
		{"earliest not elsewhere", 0, -6, 11, 0, none, none, -1},
		{"nothing known", 0, -7, 99, 0, none, none, -1},
		{"of no time", 0, 0, 1, 0, 0, dataTime, 0},
		{"within a batch", 0, dataTime + 3, 1, 0, 3, dataTime + 3, 0},
		{"between batches", 0, dataTime + 500, 1, 0, 5, dataTime + 1000, 0},
		{"behind all", 0, dataTime + 1005, 1, 0, none, none, -1},
		{"largest of nothing", 1, -3, 7, 0, none, none, -1},
		{"latest of nothing", 1, -1, 1, 0, 0, none, 0},
		{"elsewhere", 2, -1, 1, kerr.NotLeaderForPartition.Code, none, none, -1},
		{"unknown partition", 3, -1, 1, kerr.UnknownTopicOrPartition.Code, none, none, -1},
		{"negative partition", -1, -1, 1, kerr.UnknownTopicOrPartition.Code, none, none, -1},
		{"unknown partition and timestamp", 3, -9, 99, 0, none, none, -1},
	} {
		for v := int16(1); v <= kmsg.NewPtrListOffsetsRequest().MaxVersion(); v++ {
			got := e.listed(listing(v, c.partition, c.ts))
			want := kmsg.NewListOffsetsResponseTopicPartition()
			want.Partition = c.partition
			want.ErrorCode, want.Offset, want.Timestamp, want.LeaderEpoch = c.code, c.offset, c.when, c.epoch
			if v < c.since {
				want.ErrorCode, want.Offset, want.Timestamp, want.LeaderEpoch = kerr.UnsupportedVersion.Code, -1, -1, -1
			}
			if v < 4 {
				want.LeaderEpoch = -1
			}
			if got.ErrorCode != want.ErrorCode || got.Offset != want.Offset || got.Timestamp != want.Timestamp || got.LeaderEpoch != want.LeaderEpoch {
				t.Errorf("%s, v%d: %+v, want %+v", c.name, v, got, want)
			}
		}
	}
}

func TestListOffsetsOfTheOldStyle(t *testing.T) {
	e := newData(t)
	e.fill("t", 0, 5, dataTime)
	for _, c := range []struct {
		partition int32
		ts        int64
		max       int32
		code      int16
		want      []int64
	}{
		{0, -1, 10, 0, []int64{5, 0}},
		{0, -1, 1, 0, []int64{5}},
		{0, -1, 0, 0, nil},
		{0, -2, 10, 0, []int64{0}},
		{0, 1, 10, 0, nil}, // older than every segment
		{0, -3, 10, kerr.UnsupportedVersion.Code, nil},
		{0, -1, -1, kerr.UnknownServerError.Code, nil},
		{2, -1, 1, kerr.NotLeaderForPartition.Code, nil},
		{9, -1, 1, kerr.UnknownTopicOrPartition.Code, nil},
	} {
		req := listing(0, c.partition, c.ts)
		req.Topics[0].Partitions[0].MaxNumOffsets = c.max
		if got := e.listed(req); got.ErrorCode != c.code || !slices.Equal(got.OldStyleOffsets, c.want) {
			t.Errorf("partition %d, time %d, at most %d: %+v, want %d %v", c.partition, c.ts, c.max, got, c.code, c.want)
		}
	}
}

func TestListOffsetsOfAPartitionTwice(t *testing.T) {
	e := newData(t)
	for v := int16(1); v <= kmsg.NewPtrListOffsetsRequest().MaxVersion(); v++ {
		req := listing(v, 0, -1)
		req.Topics = append(req.Topics, listing(v, 0, -2).Topics...)
		for _, topic := range answered[*kmsg.ListOffsetsResponse](t, e.Data, req).Topics {
			if got := topic.Partitions[0].ErrorCode; got != kerr.InvalidRequest.Code {
				t.Errorf("v%d: %d", v, got)
			}
		}
	}
}

// Kafka stumbles over an isolation level that it does not know, of consumers only, and before it looks for the partition.
func TestListOffsetsWithAnUnknownIsolationLevel(t *testing.T) {
	e := newData(t)
	for _, c := range []struct {
		replica, partition int32
		code               int16
	}{{-1, 0, kerr.UnknownServerError.Code}, {-1, 9, kerr.UnknownServerError.Code}, {-2, 0, 0}, {-2, 9, kerr.UnknownTopicOrPartition.Code}} {
		req := listing(5, c.partition, -1)
		req.ReplicaID, req.IsolationLevel = c.replica, 2
		if got := e.listed(req).ErrorCode; got != c.code {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestListOffsetsChecksTheLeaderEpoch(t *testing.T) {
	e := newData(t)
	e.lead("t", 0, cluster.Partition{Leader: 1, LeaderEpoch: 3, Replicas: []int32{1}, ISR: []int32{1}})
	for v := int16(1); v <= kmsg.NewPtrListOffsetsRequest().MaxVersion(); v++ {
		for epoch, want := range map[int32]int16{-1: 0, 3: 0, 2: kerr.FencedLeaderEpoch.Code, -2: kerr.FencedLeaderEpoch.Code, 4: kerr.UnknownLeaderEpoch.Code} {
			req := listing(v, 0, -1)
			req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
			if v < 4 {
				want = 0
			}
			if got := e.listed(req).ErrorCode; got != want {
				t.Errorf("v%d, epoch %d: %d, want %d", v, epoch, got, want)
			}
		}
	}
}

// A new leader must not tell consumers of less than its predecessor has told: until it knows that all it took over is
// committed, it knows nothing of the end.
func TestListOffsetsOfALeaderThatLags(t *testing.T) {
	e := newData(t)
	both := cluster.Partition{Leader: 1, Replicas: []int32{1, 2}, ISR: []int32{1, 2}}
	e.lead("t", 0, both)
	e.fill("t", 0, 5, dataTime)
	for v := int16(1); v <= kmsg.NewPtrListOffsetsRequest().MaxVersion(); v++ {
		if got := e.listed(listing(v, 0, -1)); got.ErrorCode != 0 || got.Offset != 0 {
			t.Errorf("v%d: in its first epoch nothing came from anybody else: %+v", v, got)
		}
	}
	both.LeaderEpoch = 1
	e.lead("t", 0, both)
	for v := int16(1); v <= kmsg.NewPtrListOffsetsRequest().MaxVersion(); v++ {
		want := kerr.OffsetNotAvailable.Code
		if v < 5 {
			want = kerr.LeaderNotAvailable.Code
		}
		for _, ts := range []int64{-1, dataTime, dataTime + 99} {
			if got := e.listed(listing(v, 0, ts)); got.ErrorCode != want || got.Offset != -1 {
				t.Errorf("v%d, time %d: %+v, want %d", v, ts, got, want)
			}
		}
		if got := e.listed(listing(v, 0, -2)); got.ErrorCode != 0 || got.Offset != 0 {
			t.Errorf("v%d: the start is known: %+v", v, got)
		}
		debugger := listing(v, 0, -1)
		debugger.ReplicaID = -2
		if got := e.listed(debugger); got.ErrorCode != 0 || got.Offset != 5 {
			t.Errorf("v%d: whoever is no consumer sees the log end: %+v", v, got)
		}
	}
	both.ISR, both.LeaderEpoch = []int32{1}, 2
	e.lead("t", 0, both)
	if got := e.listed(listing(5, 0, -1)); got.ErrorCode != 0 || got.Offset != 5 {
		t.Errorf("all is committed by a leader alone in the ISR: %+v", got)
	}
}

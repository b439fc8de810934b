package api

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"
	"barnabas/replication/cluster"
)

const lastFetch = int16(18)

// Where an offset lies decides at every version: records, nothing yet, or out of range.
func TestFetchOffsetsAtEveryVersion(t *testing.T) {
	e := newData(t)
	e.fill("t", 0, 10, dataTime)
	e.fill("t", 0, 10, dataTime)
	if _, err := e.Partitions.Get("t", 0).DeleteRecords(3); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		offset int64
		code   int16
		some   bool
	}{{3, 0, true}, {12, 0, true}, {20, 0, false}, {21, 1, false}, {2, 1, false}, {-1, 1, false}} {
		everyVersion(func() *kmsg.FetchRequest { return fetching(0, c.offset, 0) }, func(v int16, req *kmsg.FetchRequest) {
			got := e.fetched(req)[0]
			want := [3]int64{20, 20, 3}
			if c.code != 0 {
				want = [3]int64{-1, -1, -1}
			}
			if v < 4 {
				want[1] = -1
			}
			if v < 5 {
				want[2] = -1
			}
			if got.ErrorCode != c.code || len(got.RecordBatches) > 0 != c.some || got.RecordBatches == nil ||
				[3]int64{got.HighWatermark, got.LastStableOffset, got.LogStartOffset} != want {
				t.Errorf("v%d, offset %d: %+v", v, c.offset, got)
			}
		})
	}
}

// Errors come in the forms that Kafka's code paths leave: of what is not found an empty list of aborted transactions, of
// what cannot be converted also null records.
func TestFetchErrors(t *testing.T) {
	e := newData(t)
	e.of("z").ZstdOnly = true
	e.make("z", cluster.TopicID{8}, 1)
	e.of("new").Downconvert = false
	e.make("new", cluster.TopicID{9}, 1)
	e.make("zstd", cluster.TopicID{10}, 1)
	for _, topic := range []string{"z", "new"} {
		e.fill(topic, 0, 3, dataTime)
	}
	if _, err := e.Partitions.Get("zstd", 0).Append(records(t, 3, dataTime, codec.Zstd), 9, false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		topic     string
		id        byte
		partition int32
		since, to int16 // versions with the error
		code      int16
		null      bool // records
		aborted   bool // a list of them
	}{
		{"none", 99, 0, 0, 12, kerr.UnknownTopicOrPartition.Code, false, true},
		{"none", 99, 0, 13, lastFetch, kerr.UnknownTopicID.Code, false, true},
		{"t", 7, 9, 0, lastFetch, kerr.UnknownTopicOrPartition.Code, false, true},
		{"t", 7, -1, 0, lastFetch, kerr.UnknownTopicOrPartition.Code, false, true},
		{"t", 7, 2, 0, lastFetch, kerr.NotLeaderForPartition.Code, false, false},
		{"z", 8, 0, 0, 9, kerr.UnsupportedCompressionType.Code, true, true},
		{"new", 9, 0, 0, 3, kerr.UnsupportedVersion.Code, true, true},
		{"zstd", 10, 0, 0, 3, kerr.UnsupportedCompressionType.Code, true, true},
	} {
		everyVersion(func() *kmsg.FetchRequest { return fetching(0, 0, c.partition) }, func(v int16, req *kmsg.FetchRequest) {
			req.Topics[0].Topic, req.Topics[0].TopicID = c.topic, cluster.TopicID{c.id}
			got := e.fetched(req)[0]
			switch {
			case v < c.since || v > c.to:
				if got.ErrorCode == c.code {
					t.Errorf("%s v%d: %+v", c.topic, v, got)
				}
			case got.ErrorCode != c.code || (got.RecordBatches == nil) != c.null || v >= 4 && (got.AbortedTransactions != nil) != c.aborted || got.HighWatermark != -1:
				t.Errorf("%s v%d: %+v", c.topic, v, got)
			}
		})
	}
}

// Who asks with an old epoch, or the wrong broker, is told of the leader since version 16 (KIP-951).
func TestFetchTellsTheLeader(t *testing.T) {
	e := newData(t)
	e.lead("t", 0, cluster.Partition{Leader: 1, LeaderEpoch: 3, Replicas: []int32{1}, ISR: []int32{1}})
	for _, c := range []struct {
		partition, epoch int32
		code             int16
		leader           int32
	}{{0, 2, kerr.FencedLeaderEpoch.Code, 1}, {2, -1, kerr.NotLeaderForPartition.Code, 2}, {0, 4, kerr.UnknownLeaderEpoch.Code, -1}} {
		for v := int16(9); v <= lastFetch; v++ {
			req := fetching(v, 0, c.partition)
			req.Topics[0].Partitions[0].CurrentLeaderEpoch = c.epoch
			resp := answered[*kmsg.FetchResponse](t, e.Data, req)
			got, leader := resp.Topics[0].Partitions[0], c.leader
			if v < 16 {
				leader = -1
			}
			if got.ErrorCode != c.code || got.CurrentLeader.LeaderID != leader || (len(resp.Brokers) == 1) != (leader >= 0) {
				t.Errorf("v%d, %+v: %+v, brokers %+v", v, c, got, resp.Brokers)
			}
		}
	}
	// A negative epoch is none, whatever the number.
	req := fetching(12, 0, 0)
	req.Topics[0].Partitions[0].CurrentLeaderEpoch = -5
	if got := e.fetched(req)[0]; got.ErrorCode != 0 {
		t.Errorf("%+v", got)
	}
}

func TestFetchFindsWhereLogsPart(t *testing.T) {
	e := newData(t)
	e.fill("t", 0, 5, dataTime)
	e.lead("t", 0, cluster.Partition{Leader: 1, LeaderEpoch: 2, Replicas: []int32{1}, ISR: []int32{1}})
	e.fill("t", 0, 5, dataTime)
	for _, c := range []struct {
		offset  int64
		epoch   int32
		code    int16
		diverge [2]int64
	}{
		{5, 0, 0, [2]int64{-1, -1}}, {5, 2, 0, [2]int64{-1, -1}}, {5, -3, 0, [2]int64{-1, -1}},
		{7, 0, 0, [2]int64{0, 5}}, {5, 1, 0, [2]int64{0, 5}}, {5, 3, 1, [2]int64{-1, -1}}, {-1, 1, 1, [2]int64{-1, -1}},
	} {
		req := fetching(12, c.offset, 0)
		req.Topics[0].Partitions[0].LastFetchedEpoch = c.epoch
		got := e.fetched(req)[0]
		if got.ErrorCode != c.code || [2]int64{int64(got.DivergingEpoch.Epoch), got.DivergingEpoch.EndOffset} != c.diverge {
			t.Errorf("offset %d of epoch %d: %+v", c.offset, c.epoch, got)
		}
	}
}

// Of a partition named twice the last counts, and is answered once.
func TestFetchOfAPartitionTwice(t *testing.T) {
	e := newData(t)
	e.fill("t", 0, 5, dataTime)
	e.fill("t", 0, 5, dataTime)
	everyVersion(func() *kmsg.FetchRequest { return fetching(0, 0, 0, 1) }, func(v int16, req *kmsg.FetchRequest) {
		req.Topics = append(req.Topics, fetching(v, 5, 0).Topics...)
		got := e.fetched(req)
		if len(got) != 2 || got[0].Partition != 0 || got[1].Partition != 1 {
			t.Fatalf("v%d: %+v", v, got)
		}
		if b := got[0].RecordBatches; v >= 4 && record.Batch(b).BaseOffset() != 5 {
			t.Errorf("v%d: from %d", v, record.Batch(b).BaseOffset())
		}
	})
}

func TestFetchLimits(t *testing.T) {
	e := newData(t)
	size := len(records(t, 5, dataTime, codec.None))
	for range 3 {
		e.fill("t", 0, 5, dataTime)
		e.fill("t", 1, 5, dataTime)
	}
	for _, c := range []struct {
		name       string
		all, each  int32
		len0, len1 int
		code       int16 // of partition 0
	}{
		{"no limit", 1 << 20, 1 << 20, 3 * size, 3 * size, 0},
		{"first batch whole", 1, 1, size, 0, 0},
		{"room for a part of the second", int32(size) + 10, 1 << 20, size + 10, 0, 0},
		{"room for a part of the other partition's", 3*int32(size) + 10, 1 << 20, 3 * size, 0, 0},
		{"a limit for each", 1 << 20, int32(size), size, size, 0},
		{"nothing for each", 1 << 20, 0, size, 0, 0},
		{"negative for all", -1, 1 << 20, 0, size, kerr.UnknownServerError.Code},
		{"negative for each", 1 << 20, -1, 0, 0, kerr.UnknownServerError.Code},
	} {
		for v := int16(4); v <= lastFetch; v++ {
			req := fetching(v, 0, 0, 1)
			req.MaxBytes = c.all
			for i := range req.Topics[0].Partitions {
				req.Topics[0].Partitions[i].PartitionMaxBytes = c.each
			}
			got := e.fetched(req)
			if len(got[0].RecordBatches) != c.len0 || len(got[1].RecordBatches) != c.len1 || got[0].ErrorCode != c.code {
				t.Errorf("%s, v%d: %d bytes (%d) and %d bytes, want %d and %d", c.name, v, len(got[0].RecordBatches), got[0].ErrorCode, len(got[1].RecordBatches), c.len0, c.len1)
			}
		}
	}
}

// An unknown isolation level fails the request, once there is something to read.
func TestFetchWithAnUnknownIsolationLevel(t *testing.T) {
	e := newData(t)
	for v := int16(4); v <= lastFetch; v++ {
		req := fetching(v, 0, 0, 9)
		req.IsolationLevel, req.SessionID = 2, 0
		resp := answered[*kmsg.FetchResponse](t, e.Data, req)
		if v >= 7 && resp.ErrorCode != -1 || v < 13 && (len(resp.Topics) != 1 || resp.Topics[0].Partitions[1].ErrorCode != -1) || v >= 13 && len(resp.Topics) != 0 {
			t.Errorf("v%d: %+v", v, resp)
		}
		req = fetching(v, 0, 9)
		req.IsolationLevel = 2
		if got := e.fetched(req)[0]; got.ErrorCode != kerr.UnknownTopicOrPartition.Code {
			t.Errorf("v%d: %+v", v, got)
		}
	}
}

func TestFetchIsolation(t *testing.T) {
	e := newData(t)
	p := e.lead("t", 0, cluster.Partition{Leader: 1, LeaderEpoch: 1, Replicas: []int32{1, 2}, ISR: []int32{1, 2}})
	e.fill("t", 0, 5, dataTime) // not committed while broker 2 does not have it
	for replica, some := range map[int32]bool{-1: false, -2: true, -3: true} {
		req := fetching(11, 0, 0)
		req.ReplicaID = replica
		if got := e.fetched(req)[0]; got.ErrorCode != 0 || len(got.RecordBatches) > 0 != some || got.HighWatermark != 0 {
			t.Errorf("replica %d: %+v", replica, got)
		}
	}
	for _, replica := range []int32{0, 1, 2} {
		req := fetching(11, 0, 0)
		req.ReplicaID = replica
		if got := e.fetched(req)[0]; got.ErrorCode != kerr.NotLeaderForPartition.Code {
			t.Errorf("replica %d: %+v", replica, got)
		}
	}
	req := fetching(11, 0, 0)
	req.IsolationLevel = 1
	if got := e.fetched(req)[0]; got.AbortedTransactions == nil || p.LastStable().Get() != 0 {
		t.Errorf("a consumer that reads what is committed must learn that nothing is aborted: %+v", got)
	}
}

// reply is what the handler says at once; got reads what it comes to.
func (e *dataEnv) reply(req kmsg.Request) (reply Reply, got func() *kmsg.FetchResponse) {
	e.t.Helper()
	routes := e.routes()
	i := slices.IndexFunc(routes, func(r Route) bool { return r.Key == req.Key() })
	reply, err := routes[i].Serve(&Call{Key: req.Key(), Version: req.GetVersion(), Listener: "PLAINTEXT"}, req.AppendTo(nil))
	if err != nil {
		e.t.Fatal(err)
	}
	return reply, func() *kmsg.FetchResponse {
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		if err := resp.ReadFrom(reply.Await(e.t.Context()).AppendTo(nil)); err != nil {
			e.t.Error(err)
		}
		return resp
	}
}

// A fetch that waits is answered by the record that comes, or when its time is up.
func TestFetchWaits(t *testing.T) {
	e := newData(t)
	req := fetching(12, 0, 0, 1)
	req.MaxWaitMillis = 500
	reply, got := e.reply(req)
	if _, ready := reply.Ready(); ready {
		t.Fatal("answered with nothing")
	}
	e.fill("t", 1, 3, dataTime)
	if parts := got().Topics[0].Partitions; len(parts[0].RecordBatches) != 0 || len(parts[1].RecordBatches) == 0 {
		t.Fatalf("%+v", parts)
	}

	req = fetching(12, 0, 0)
	req.MaxWaitMillis = 500
	_, got = e.reply(req)
	done := make(chan *kmsg.FetchResponse, 1)
	go func() { done <- got() }()
	for {
		if _, waits := e.clock.Next(); waits {
			e.clock.Advance(500 * time.Millisecond)
		}
		select {
		case resp := <-done:
			if a := resp.Topics[0].Partitions[0]; a.ErrorCode != 0 || len(a.RecordBatches) != 0 {
				t.Fatalf("%+v", a)
			}
			return
		default:
			runtime.Gosched()
		}
	}
}

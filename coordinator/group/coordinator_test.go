package group

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"barnabas/coordinator/runtime"
	"barnabas/coordinator/runtime/runtimetest"
	"barnabas/protocol/record"
	"barnabas/replication/cluster"
)

// appendTo writes records into a log as a broker before this one has.
func appendTo(t *testing.T, l *runtimetest.Log, k runtime.Kind, records ...runtime.Record) {
	t.Helper()
	b := record.NewBuilder(record.BatchSpec{LeaderEpoch: record.None, ProducerID: k.ProducerID, ProducerEpoch: k.ProducerEpoch,
		BaseSequence: k.BaseSequence, Transactional: k.Transactional})
	for _, r := range records {
		b.Append(1, r.Key, r.Value)
	}
	batch, err := b.Build()
	if err == nil {
		_, err = l.Append(batch)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func commitOf(group string, tp TopicPartition, at int64) runtime.Record {
	return runtime.Record{Key: offsetKey(group, tp.Topic, tp.Partition), Value: offsetValue(committed{offset: at, leaderEpoch: -1, expires: -1})}
}

func (s *stage) offset(t *testing.T, group string, tp TopicPartition, stable bool) Offset {
	t.Helper()
	offsets, err := s.c.Fetch(group, []TopicPartition{tp}, stable, math.MaxInt).Await(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return offsets[0]
}

func TestWhileLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Defaults())
		defer func() { s.c.Close() }()
		appendTo(t, s.log, commitKind, commitOf("g", TopicPartition{"t", 0}, 5))
		s.c.Close()
		gate := make(chan struct{})
		s.log.Gate(gate)
		s.start()
		ctx := context.Background()
		if e, err := s.c.Heartbeat(HeartbeatRequest{Group: "g", Member: "m"}).Await(ctx); e != nil || err != nil {
			t.Error("heartbeat:", e, err)
		}
		if _, err := s.c.Sync(SyncRequest{Group: "g", Member: "m"}).Await(ctx); !errors.Is(err, kerr.RebalanceInProgress) {
			t.Error("sync:", err)
		}
		if _, err := s.c.Join(JoinRequest{Group: "g"}).Await(ctx); !errors.Is(err, kerr.CoordinatorLoadInProgress) {
			t.Error("join:", err)
		}
		if _, err := s.c.List(ctx, nil, nil); !errors.Is(err, kerr.CoordinatorLoadInProgress) {
			t.Error("list:", err)
		}
		close(gate)
		synctest.Wait()
		if groups, err := s.c.List(ctx, nil, nil); err != nil || len(groups) != 1 {
			t.Error("list:", groups, err)
		}
	})
}

// TestPartitionsDeletedWhileLoading: what is deleted while a partition cannot take operations is erased when it can, and again when
// the erasure was lost with its machine.
func TestPartitionsDeletedWhileLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Defaults())
		defer func() { s.c.Close() }()
		gone := []cluster.TopicPartition{{Topic: "t", Partition: 0}}
		at := TopicPartition{"t", 0}
		appendTo(t, s.log, commitKind, commitOf("g", at, 5), commitOf("h", TopicPartition{"u", 0}, 6))
		s.c.Close()
		gate := make(chan struct{})
		s.log.Gate(gate)
		s.start()
		s.c.PartitionsDeleted(gone)
		s.log.Refuse(kerr.NotEnoughReplicas)
		close(gate)
		synctest.Wait()
		if o := s.offset(t, "g", at, false); o.Offset != 5 {
			t.Errorf("%+v before the partition can be written", o)
		}
		s.log.Refuse(nil)
		s.log.Fail(kerr.KafkaStorageError)
		s.advance(2 * time.Second)
		s.log.Fail(nil)
		s.advance(5 * time.Second)
		if o := s.offset(t, "g", at, false); o.Offset != -1 {
			t.Errorf("%+v", o)
		}
		s.replay()
		if o := s.offset(t, "g", at, false); o.Offset != -1 {
			t.Errorf("%+v after another load", o)
		}
		if o := s.offset(t, "h", TopicPartition{"u", 0}, false); o.Offset != 6 {
			t.Errorf("%+v", o)
		}
	})
}

// TestTransactionalCommits has offsets in an open transaction, one that commits and one that aborts, and a plain commit that is
// newer than what a transaction brings.
func TestTransactionalCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Defaults())
		defer func() { s.c.Close() }()
		of := func(pid int64) runtime.Kind {
			return runtime.Kind{ProducerID: pid, BaseSequence: 0, Transactional: true}
		}
		a, b, c := TopicPartition{"a", 0}, TopicPartition{"b", 0}, TopicPartition{"c", 0}
		appendTo(t, s.log, commitKind, commitOf("g", a, 1), commitOf("g", b, 1))
		appendTo(t, s.log, of(7), commitOf("g", a, 2), commitOf("g", c, 2), commitOf("only-txn", a, 2))
		appendTo(t, s.log, of(8), commitOf("g", b, 3))
		s.replay()
		for _, want := range []struct {
			tp     TopicPartition
			stable bool
			at     int64
			err    *kerr.Error
		}{{a, false, 1, nil}, {a, true, -1, kerr.UnstableOffsetCommit}, {c, false, -1, nil}, {c, true, -1, kerr.UnstableOffsetCommit}} {
			if o := s.offset(t, "g", want.tp, want.stable); o.Offset != want.at || o.Err != want.err {
				t.Errorf("open, stable %v: %+v", want.stable, o)
			}
		}
		appendTo(t, s.log, commitKind, commitOf("g", c, 9)) // newer than the transaction's
		for pid, commit := range map[int64]bool{7: true, 8: false} {
			if _, err := s.log.Append(record.EndTxnMarker{Commit: commit}.Batch(pid, 0, 1)); err != nil {
				t.Fatal(err)
			}
		}
		s.replay()
		for tp, want := range map[TopicPartition]int64{a: 2, b: 1, c: 9} {
			if o := s.offset(t, "g", tp, true); o.Offset != want || o.Err != nil {
				t.Errorf("ended: %+v, want %d", o, want)
			}
		}
		if o := s.offset(t, "only-txn", a, true); o.Offset != 2 {
			t.Errorf("%+v", o)
		}
	})
}

// TestLaterProtocolsAreLeftAlone has records of KIP-848 and share groups in the log, as a 4.x broker leaves them.
func TestLaterProtocolsAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen, logs := observer.New(zap.WarnLevel)
		s := newStage(Defaults())
		defer func() { s.c.Close() }()
		s.c.Close()
		for version := range byte(24) {
			if version > groupKeyOf {
				appendTo(t, s.log, runtime.Plain, runtime.Record{Key: []byte{0, version, 0, 1, 'g'}, Value: []byte{0, 0, 0, 0, 0, 1}})
			}
		}
		appendTo(t, s.log, commitKind, commitOf("g", TopicPartition{"t", 0}, 5))
		before := len(s.log.Batches())
		o := s.o
		o.Clock, o.Logger, o.Partitions = s.clk, zap.New(seen), func() int32 { return 1 }
		s.c = New(o)
		s.c.Lead(0, 1, s.log)
		synctest.Wait()
		if at := s.offset(t, "g", TopicPartition{"t", 0}, false); at.Offset != 5 {
			t.Errorf("%+v", at)
		}
		if logs.Len() == 0 {
			t.Error("no warning")
		}
		if len(s.log.Batches()) != before {
			t.Error("something was written")
		}
	})
}

func TestAGroupBeyondTheLimitIsRebalancedWhenLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Defaults())
		defer func() { s.c.Close() }()
		protocol := "range"
		g := newGroup("g", 0)
		g.protocol, g.generation = &protocol, 3
		for _, id := range []string{"a", "b", "c"} {
			g.add(&member{id: id, sessionTimeout: 6000, rebalanceTimeout: 6000, protocols: []Protocol{{"range", nil}}}, "consumer")
		}
		appendTo(t, s.log, runtime.Plain, runtime.Record{Key: groupKey("g"), Value: groupValue(g, nil)})
		s.o.MaxSize = 2
		s.replay()
		beat := func(id string) *kerr.Error {
			e, err := s.c.Heartbeat(HeartbeatRequest{Group: "g", Member: id, Generation: 3}).Await(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		if e := beat("a"); e != kerr.RebalanceInProgress {
			t.Fatal(e)
		}
		var last *runtime.Promise[JoinResult]
		for _, id := range []string{"a", "b", "c"} {
			last = s.c.Join(JoinRequest{Group: "g", Member: id, SessionTimeout: 6000, RebalanceTimeout: 6000, ProtocolType: "consumer",
				Protocols: []Protocol{{"range", nil}}})
		}
		if r, err := last.Await(context.Background()); err != nil || r.Err != kerr.GroupMaxSizeReached {
			t.Fatal(r, err)
		}
		if e := beat("c"); e != kerr.UnknownMemberID {
			t.Fatal(e)
		}
	})
}

func TestIDsThatNoRecordCanHold(t *testing.T) {
	s := newStage(Defaults())
	defer s.c.Close()
	long := string(make([]byte, 40000))
	ctx := context.Background()
	if _, err := s.c.Commit(CommitRequest{Group: long, Generation: -1}).Await(ctx); !errors.Is(err, kerr.InvalidGroupID) {
		t.Error(err)
	}
	if _, err := s.c.Join(JoinRequest{Group: "g", SessionTimeout: 6000, ProtocolType: "t", Protocols: []Protocol{{long, nil}}}).Await(ctx); !errors.Is(err, kerr.UnknownServerError) {
		t.Error(err)
	}
}

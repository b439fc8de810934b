package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"barnabas/coordinator/runtime/runtimetest"
	"barnabas/protocol/record"
	"barnabas/storage/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a machine that keeps the last value of each key, and who waits for one.
type shelf struct {
	host  *Scope
	kept  map[string]string
	marks []Marker
	waits map[string]*Promise[string]
}

func newShelf(s *Scope) Machine {
	return &shelf{host: s, kept: map[string]string{}, waits: map[string]*Promise[string]{}}
}

func (s *shelf) Replay(e Entry) { s.kept[string(e.Key)] = string(e.Value) }
func (s *shelf) End(m Marker)   { s.marks = append(s.marks, m) }
func (s *shelf) Loaded()        {}

type bench struct {
	t   *testing.T
	clk *clock.Manual
	rt  *Runtime
	log *runtimetest.Log
}

// within runs a test in a bubble, with one led partition, number 0.
func within(t *testing.T, f func(*bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, clk: clock.NewManual(time.UnixMilli(1700000000000)), log: runtimetest.NewLog()}
		b.rt = New(Options{Topic: "shelves", Clock: b.clk, Logger: zap.NewNop(), New: newShelf, Loads: 2})
		b.rt.Lead(0, 1, b.log)
		defer b.rt.Close()
		f(b)
	})
}

func (b *bench) put(k, v string) *Promise[string] {
	return Do(b.rt, 0, func(s *shelf, p *Promise[string]) {
		if err := s.host.Write(Plain, Record{[]byte(k), []byte(v)}); err != nil {
			p.Fail(err)
			return
		}
		p.Resolve(v)
	})
}

func (b *bench) get(k string) *Promise[string] {
	return Read(b.rt, 0, func(s *shelf, p *Promise[string]) { p.Resolve(s.kept[k]) })
}

// await leaves an answer with the machine until somebody answers.
func (b *bench) await(k string) *Promise[string] {
	return Read(b.rt, 0, func(s *shelf, p *Promise[string]) { s.waits[k] = p })
}

func (b *bench) wants(p *Promise[string], want string) {
	b.t.Helper()
	synctest.Wait()
	select {
	case <-p.Done():
	default:
		b.t.Fatal("no answer yet")
	}
	got, err := p.Await(context.Background())
	if err != nil || got != want {
		b.t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func (b *bench) waits(p *Promise[string]) {
	b.t.Helper()
	synctest.Wait()
	select {
	case <-p.Done():
		v, err := p.Await(context.Background())
		b.t.Fatalf("answered with %q, %v; must wait", v, err)
	default:
	}
}

func (b *bench) fails(p *Promise[string], want error) {
	b.t.Helper()
	synctest.Wait()
	select {
	case <-p.Done():
	default:
		b.t.Fatalf("no answer yet; want %v", want)
	}
	if _, err := p.Await(context.Background()); !errors.Is(err, want) {
		b.t.Fatalf("got %v, want %v", err, want)
	}
}

func TestRepliesWaitForTheWatermark(t *testing.T) {
	within(t, func(b *bench) {
		b.log.Hold()
		before := b.get("a")
		b.wants(before, "") // nothing applied that is not committed
		put, read := b.put("a", "1"), b.get("a")
		b.waits(put)
		b.waits(read)
		second := b.put("a", "2")
		b.waits(second)
		b.log.CommitTo(1)
		b.wants(put, "1")
		b.wants(read, "1")
		b.waits(second)
		b.log.Commit()
		b.wants(second, "2")
	})
}

func TestWhatWaitsIsAppendedTogether(t *testing.T) {
	within(t, func(b *bench) {
		hold, held := make(chan struct{}), make(chan struct{})
		Do(b.rt, 0, func(s *shelf, p *Promise[string]) { close(held); <-hold; p.Resolve("") })
		<-held
		var all []*Promise[string]
		for i := range 10 {
			all = append(all, b.put(fmt.Sprint(i), "x"))
		}
		close(hold)
		for _, p := range all {
			b.wants(p, "x")
		}
		if got := b.log.Batches(); len(got) != 1 || got[0].Count() != 10 {
			t.Fatalf("%d batches", len(got))
		}
	})
}

func TestBatchesEndWhereTheKindChanges(t *testing.T) {
	within(t, func(b *bench) {
		commit := Kind{ProducerID: -1, ProducerEpoch: -1, BaseSequence: 0}
		p := Do(b.rt, 0, func(s *shelf, p *Promise[string]) {
			for i, k := range []Kind{commit, commit, Plain, commit} {
				if err := s.host.Write(k, Record{[]byte{byte(i)}, nil}); err != nil {
					p.Fail(err)
				}
			}
			p.Resolve("")
		})
		b.wants(p, "")
		var got []string
		for _, batch := range b.log.Batches() {
			got = append(got, fmt.Sprintf("%d@%d seq %d", batch.Count(), batch.BaseOffset(), batch.BaseSequence()))
		}
		if s := strings.Join(got, ", "); s != "2@0 seq 0, 1@2 seq -1, 1@3 seq 0" {
			t.Fatal(s)
		}
	})
}

func TestBatchesKeepToTheLimit(t *testing.T) {
	within(t, func(b *bench) {
		b.log.SetMaxBatchBytes(400)
		big := strings.Repeat("v", 150)
		p := Do(b.rt, 0, func(s *shelf, p *Promise[string]) {
			for range 5 {
				if err := s.host.Write(Plain, Record{[]byte("k"), []byte(big)}); err != nil {
					p.Fail(err)
				}
			}
			p.Resolve("")
		})
		b.wants(p, "")
		for _, batch := range b.log.Batches() {
			if len(batch) > 400 {
				t.Fatalf("a batch of %d bytes", len(batch))
			}
		}
		if b.log.End() != 5 {
			t.Fatal(b.log.End())
		}
		// The estimate is generous, what decides is the batch: 400 bytes less header (61) and what a record takes (10 here).
		b.wants(b.put("k", strings.Repeat("w", 329)), strings.Repeat("w", 329))
		b.fails(b.put("k", strings.Repeat("w", 330)), kerr.MessageTooLarge)
		b.wants(b.get("k"), strings.Repeat("w", 329))
	})
}

func TestFailedAppendThrowsTheMachineAway(t *testing.T) {
	within(t, func(b *bench) {
		b.wants(b.put("a", "1"), "1")
		waiting := b.await("a")
		b.waits(waiting)
		b.log.Hold()
		parked := b.put("a", "2")
		b.waits(parked)
		b.log.Fail(kerr.NotLeaderForPartition)
		failed := b.put("a", "3")
		b.fails(failed, kerr.NotCoordinator)
		b.fails(parked, kerr.NotCoordinator) // in the log, but nobody can be told of it
		b.fails(waiting, kerr.NotCoordinator)
		b.log.Fail(nil)
		b.log.Commit()
		b.wants(b.get("a"), "2") // what the log has
	})
}

func TestTooFewReplicasAreRefusedWithoutReplay(t *testing.T) {
	within(t, func(b *bench) {
		b.wants(b.put("a", "1"), "1")
		b.log.Refuse(kerr.NotEnoughReplicas)
		b.fails(b.put("a", "2"), kerr.CoordinatorNotAvailable)
		b.wants(b.get("a"), "1")
		b.log.Refuse(kerr.KafkaStorageError)
		b.fails(b.put("a", "2"), kerr.NotCoordinator)
		if b.log.Reads() != 0 {
			t.Fatal("the log was replayed")
		}
		b.log.Refuse(nil)
		b.wants(b.put("a", "3"), "3")
	})
}

func TestAnotherWriterIsFoundOut(t *testing.T) {
	within(t, func(b *bench) {
		b.wants(b.put("a", "1"), "1")
		foreign := record.NewBuilder(record.BatchSpec{ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1})
		foreign.Append(1, []byte("a"), []byte("foreign"))
		batch, err := foreign.Build()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.log.Append(batch); err != nil {
			t.Fatal(err)
		}
		b.fails(b.put("b", "2"), kerr.NotCoordinator)
		b.wants(b.get("a"), "foreign")
		b.wants(b.get("b"), "2")
	})
}

func TestRepliesDoNotWaitForEver(t *testing.T) {
	within(t, func(b *bench) {
		b.log.Hold()
		first := b.put("a", "1")
		b.waits(first)
		b.clk.Advance(3 * time.Second)
		second := b.put("a", "2")
		b.waits(second)
		b.clk.Advance(2 * time.Second)
		b.fails(first, kerr.RequestTimedOut)
		b.waits(second)
		b.log.Commit()
		b.wants(second, "2")
	})
}

func TestAwaitEndsWithTheContext(t *testing.T) {
	within(t, func(b *bench) {
		p := b.await("a")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := p.Await(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		b.wants(Read(b.rt, 0, func(s *shelf, p *Promise[string]) { s.waits["a"].Resolve("late"); p.Resolve("ok") }), "ok")
		b.wants(p, "late")
	})
}

func TestTimers(t *testing.T) {
	within(t, func(b *bench) {
		var fired []string
		set := func(name string, d time.Duration) *Timer {
			var timer *Timer
			b.wants(Do(b.rt, 0, func(s *shelf, p *Promise[string]) {
				timer = s.host.After(d, func() {
					fired = append(fired, name)
					if err := s.host.Write(Plain, Record{[]byte(name), []byte("fired")}); err != nil {
						t.Error(err)
					}
				})
				p.Resolve("")
			}), "")
			return timer
		}
		set("one", time.Second)
		two := set("two", 2*time.Second)
		set("three", 3*time.Second)
		b.clk.Advance(time.Second)
		synctest.Wait()
		b.wants(Do(b.rt, 0, func(s *shelf, p *Promise[string]) { two.Stop(); two.Stop(); p.Resolve("") }), "")
		b.log.Refuse(kerr.NotEnoughReplicas)
		b.clk.Advance(2 * time.Second)
		synctest.Wait()
		if s := strings.Join(fired, " "); s != "one" {
			t.Fatal(s)
		}
		b.log.Refuse(nil)
		b.clk.Advance(retryAfter)
		synctest.Wait()
		if s := strings.Join(fired, " "); s != "one three" {
			t.Fatal(s)
		}
		b.wants(b.get("three"), "fired")

		set("lost", time.Second)
		b.log.Fail(kerr.KafkaStorageError)
		b.fails(b.put("a", "1"), kerr.NotCoordinator)
		b.log.Fail(nil)
		b.clk.Advance(time.Hour)
		synctest.Wait()
		if s := strings.Join(fired, " "); s != "one three" {
			t.Fatalf("a timer outlived its machine: %s", s)
		}
	})
}

func TestLoadingStallsNobodyElse(t *testing.T) {
	within(t, func(b *bench) {
		b.wants(b.put("a", "1"), "1")
		slow := b.log.Clone()
		gate := make(chan struct{})
		slow.Gate(gate)
		b.rt.Lead(1, 1, slow)
		ask := func() *Promise[string] {
			return Read(b.rt, 1, func(s *shelf, p *Promise[string]) { p.Resolve(s.kept["a"]) })
		}
		b.fails(ask(), kerr.CoordinatorLoadInProgress)
		b.wants(b.put("b", "2"), "2")
		other := b.log.Clone()
		b.rt.Lead(2, 1, other)
		synctest.Wait()
		b.wants(Read(b.rt, 2, func(s *shelf, p *Promise[string]) { p.Resolve(s.kept["b"]) }), "2")
		close(gate)
		synctest.Wait()
		b.wants(ask(), "1")
	})
}

func TestAFailedLoadIsTriedAgain(t *testing.T) {
	within(t, func(b *bench) {
		b.wants(b.put("a", "1"), "1")
		bad := b.log.Clone()
		bad.FailReads(kerr.KafkaStorageError)
		b.rt.Lead(1, 1, bad)
		ask := func() *Promise[string] {
			return Read(b.rt, 1, func(s *shelf, p *Promise[string]) { p.Resolve(s.kept["a"]) })
		}
		b.fails(ask(), kerr.CoordinatorLoadInProgress)
		bad.FailReads(nil)
		b.clk.Advance(retryAfter)
		b.wants(func() *Promise[string] { synctest.Wait(); return ask() }(), "1")
	})
}

// Compaction may leave nothing of the end of a log, when the last records of all keys there were tombstones.
func TestLoadOfACompactedEnd(t *testing.T) {
	within(t, func(b *bench) {
		b.wants(b.put("a", "1"), "1")
		b.wants(b.put("b", "2"), "2")
		kept := b.log.Clone()
		kept.Compact(func(batch record.Batch) bool { return batch.BaseOffset() > 0 })
		b.rt.Lead(1, 1, kept)
		synctest.Wait()
		read := func(key string) *Promise[string] {
			return Read(b.rt, 1, func(s *shelf, p *Promise[string]) { p.Resolve(s.kept[key]) })
		}
		b.wants(read("a"), "1")
		b.wants(read("b"), "")
	})
}

func TestLeadAndResign(t *testing.T) {
	within(t, func(b *bench) {
		b.fails(Read(b.rt, 7, func(*shelf, *Promise[string]) {}), kerr.NotCoordinator)
		b.wants(b.put("a", "1"), "1")
		waiting := b.await("a")
		b.waits(waiting)
		b.rt.Lead(0, 2, b.log) // led on
		b.waits(waiting)
		b.rt.Resign(0, 1) // old news
		b.waits(waiting)
		b.rt.Resign(0, 3)
		b.fails(waiting, kerr.NotCoordinator)
		b.fails(b.get("a"), kerr.NotCoordinator)
		b.rt.Lead(0, 2, b.log) // old news
		b.fails(b.get("a"), kerr.NotCoordinator)
		b.rt.Lead(0, 4, b.log)
		synctest.Wait()
		b.wants(b.get("a"), "1")
		if err := b.rt.Serves(0); err != nil {
			t.Fatal(err)
		}
		// Another log under the same partition is another role: everything begins anew.
		waiting = b.await("a")
		b.waits(waiting)
		b.rt.Lead(0, 5, runtimetest.NewLog())
		b.fails(waiting, kerr.NotCoordinator)
		b.wants(b.get("a"), "")
		b.rt.Resign(0, -1)
		b.fails(b.get("a"), kerr.NotCoordinator)
		if err := b.rt.Serves(0); !errors.Is(err, kerr.NotCoordinator) {
			t.Fatal(err)
		}
	})
}

func TestResignWhileLoading(t *testing.T) {
	within(t, func(b *bench) {
		b.wants(b.put("a", "1"), "1")
		slow := b.log.Clone()
		gate := make(chan struct{})
		slow.Gate(gate)
		b.rt.Lead(1, 1, slow)
		synctest.Wait()
		b.rt.Resign(1, 1)
		close(gate)
		synctest.Wait()
		if err := b.rt.Serves(1); !errors.Is(err, kerr.NotCoordinator) {
			t.Fatal(err)
		}
	})
}

func TestIdleShardsHaveNoGoroutine(t *testing.T) {
	within(t, func(b *bench) {
		b.wants(b.put("a", "1"), "1")
		synctest.Wait()
		s := b.rt.shard(0)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running {
			t.Fatal("running with nothing to do")
		}
	})
}

func TestMarkersAreReplayed(t *testing.T) {
	within(t, func(b *bench) {
		l := runtimetest.NewLog()
		if _, err := l.Append(record.EndTxnMarker{Commit: true}.Batch(9, 3, 1)); err != nil {
			t.Fatal(err)
		}
		b.rt.Lead(1, 1, l)
		synctest.Wait()
		b.wants(Read(b.rt, 1, func(s *shelf, p *Promise[string]) { p.Resolve(fmt.Sprint(s.marks)) }), "[{0 9 3 true}]")
	})
}

func TestAnOverlongBatchDoesNotPoisonItsNeighbours(t *testing.T) {
	within(t, func(b *bench) {
		b.log.SetMaxBatchBytes(200)
		hold, held := make(chan struct{}), make(chan struct{})
		Do(b.rt, 0, func(s *shelf, p *Promise[string]) { close(held); <-hold; p.Resolve("") })
		<-held
		small, large, after := b.put("s", "1"), b.put("l", strings.Repeat("x", 500)), b.put("t", "2")
		close(hold)
		b.wants(small, "1")
		b.fails(large, kerr.MessageTooLarge)
		b.wants(after, "2")
		if b.log.Reads() != 0 {
			t.Fatal("the log was replayed")
		}
	})
}

func TestMessagesOfOldBrokersAreReplayed(t *testing.T) {
	within(t, func(b *bench) {
		for i := range 5 {
			b.wants(b.put(fmt.Sprint(i), "old"), "old")
		}
		for _, magic := range []int8{0, 1} {
			var entries []byte
			for _, batch := range b.log.Batches() {
				old, err := record.Down(batch, magic, 0, 0)
				if err != nil {
					t.Fatal(err)
				}
				entries = append(entries, old...)
			}
			l, err := runtimetest.FromEntries(entries)
			if err != nil {
				t.Fatal(err)
			}
			partition := int32(magic) + 1
			b.rt.Lead(partition, 1, l)
			synctest.Wait()
			b.wants(Read(b.rt, partition, func(s *shelf, p *Promise[string]) { p.Resolve(s.kept["0"] + s.kept["4"]) }), "oldold")
		}
	})
}

// TestErrands: what was posted is done, however long it takes, until the leadership ends.
func TestErrands(t *testing.T) {
	within(t, func(b *bench) {
		runs := 0
		errand := func() {
			Post(b.rt, 0, func(s *shelf) {
				if runs++; s.kept["k"] == "" {
					_ = s.host.Write(Plain, Record{[]byte("k"), []byte("v")})
				}
			})
		}
		b.log.Hold()
		errand()
		synctest.Wait()
		for range 2 { // not committed in time: it is done again after a second, and finds that it was
			b.clk.Advance(5 * time.Second)
			synctest.Wait()
		}
		if runs != 2 || len(b.log.Batches()) != 1 {
			t.Fatal(runs, len(b.log.Batches()))
		}
		b.log.Commit()
		b.wants(b.get("k"), "v")
		b.clk.Advance(time.Minute)
		synctest.Wait()
		if runs != 2 {
			t.Fatal(runs)
		}
		b.log.Refuse(kerr.NotEnoughReplicas)
		errand()
		synctest.Wait()
		b.rt.Resign(0, 2)
		b.log.Refuse(nil)
		b.clk.Advance(time.Minute)
		errand()
		synctest.Wait()
		if runs != 2 {
			t.Fatal("an errand was run on a partition that is not led")
		}
	})
}

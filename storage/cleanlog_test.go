package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"
	"barnabas/storage"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// room is enough for any test.
var room = storage.CleanOptions{DedupeBytes: 1 << 20, LoadFactor: 0.9}

// keyedBatch is a batch of key=value records; "key" alone is a tombstone.
func keyedBatch(spec record.BatchSpec, ts int64, records ...string) record.Batch {
	if spec.ProducerID == 0 {
		spec.ProducerID, spec.ProducerEpoch, spec.BaseSequence = -1, -1, -1
	}
	b := record.NewBuilder(spec)
	for _, r := range records {
		key, value, ok := bytes.Cut([]byte(r), []byte("="))
		if !ok {
			value = nil
		}
		b.Append(ts, key, value)
	}
	batch, err := b.Build()
	if err != nil {
		panic(err)
	}
	return batch
}

func (b *bench) put(records ...string) {
	b.t.Helper()
	_, err := b.append(keyedBatch(record.BatchSpec{}, b.now(), records...))
	must(b.t, err)
}

// compacting is a bench whose log is compacted, in small segments.
func compacting(t failer) *bench {
	b := newBench(t)
	b.config.Compact, b.config.Delete, b.config.SegmentBytes = true, false, 400
	b.config.ProducerExpirationMs = 1 << 50
	return b
}

// emptying writes and commits two keys over and over, so that a pass empties segments.
func emptying(b *bench) {
	for range 12 {
		b.put("k="+string(bytes.Repeat([]byte("x"), 120)), "l=1")
	}
	b.log.SetHighWatermark(b.log.End())
	b.background()
}

// varied writes a bit of everything, with a part in each state that a pass can leave, and commits it.
func varied(b *bench, pass func()) {
	must(b.t, b.log.AssignEpoch(1))
	seq := map[int64]int32{}
	txn := func(id int64, records ...string) {
		spec := record.BatchSpec{ProducerID: id, Transactional: true, BaseSequence: seq[id], Codec: codec.Type(id % 5)}
		seq[id] += int32(len(records))
		_, err := b.append(keyedBatch(spec, b.now(), records...))
		must(b.t, err)
	}
	end := func(id int64, how bool) {
		_, err := b.append(record.EndTxnMarker{Commit: how}.Batch(id, 0, b.now()))
		must(b.t, err)
	}
	for round := range 3 {
		v := func(key string) string { return fmt.Sprintf("%s=value of round %d", key, round) }
		b.epoch = int32(round*2 + 1)
		b.put(v("a"), v("b"), v("c"))
		b.put("a", v("d"), v("d"))
		txn(7, v("aborted"), v("b"))
		txn(8, v("t"), v("u"))
		end(7, false)
		b.put(v("e"), "f", fmt.Sprintf("only %d=x", round))
		txn(8, v("t"))
		end(8, true)
		txn(9, v("gone"))
		end(9, round%2 == 0)
		b.put(v("g"), v("h"), v("g"))
		b.clock.Advance(time.Second)
		b.log.SetHighWatermark(b.log.End())
		if round == 1 {
			pass()
		}
	}
	b.put(string(bytes.Repeat([]byte("z"), 250)) + "=last") // rolls
	b.log.SetHighWatermark(b.log.End())
	b.background()
}

// without is what is the same whether a pass was interrupted or not: all but when markers may go.
var without = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Horizon" }, cmp.Ignore())

// TestCleanCrashEverywhere kills the process, and the machine, before every single change of the disk that a pass makes, and
// lets each of them fail. What is there afterwards is a log with all that should stay, and a pass makes of it what the
// undisturbed one did.
func TestCleanCrashEverywhere(t *testing.T) {
	type instant struct {
		where string
		disk  *vfs.Mem
	}
	var instants []instant
	armed, n, at := false, 0, 0
	run := func(fault error) (b *bench, before, after []kept, err error) {
		b = compacting(t)
		armed, n = false, 0
		b.fs = vfs.WithHook(b.mem, func(op vfs.Op, name string) error {
			if !armed || !op.Changes() && op != vfs.OpModTime {
				return nil
			}
			n++
			if fault != nil {
				if n == at {
					return fault
				}
				return nil
			}
			for i, c := range []vfs.Crash{{Process: true}, {}, {Rand: rand.New(rand.NewPCG(uint64(n), 1))}, {Rand: rand.New(rand.NewPCG(uint64(n), 2))}} {
				instants = append(instants, instant{fmt.Sprintf("change %d, before %s of %s, crash %d", n, op, name, i), b.mem.CrashClone(c)})
			}
			return nil
		})
		b.open(nil)
		varied(b, func() { _, err := b.log.Clean(room); must(t, err) })
		must(t, b.log.Flush())
		before = entries(t, b.log, 0)
		armed = true
		_, err = b.log.Clean(room)
		armed = false
		if err == nil {
			after = entries(t, b.log, 0)
		}
		return b, before, after, err
	}
	b, before, after, err := run(nil)
	must(t, err)
	if n < 100 || len(after) >= len(before) {
		t.Fatalf("%d changes of the disk, %d of %d batches", n, len(after), len(before))
	}
	states, recovery, end := lastBatches(b.log.Producers()), b.log.RecoveryPoint(), b.log.End()
	survives := func(where string, disk *vfs.Mem) {
		t.Helper()
		r := compacting(t)
		r.mem, r.fs = disk, disk
		r.mem.Now = b.clock.Now
		r.clock = b.clock
		r.open(func(o *storage.LogOptions) { o.RecoveryPoint, o.HighWatermark = recovery, 1<<60 })
		defer func() { r.log.Abandon() }()
		if r.log.End() != end {
			t.Errorf("%s: the log ends at %d, not %d", where, r.log.End(), end)
			return
		}
		found := map[int64]keyed{}
		for _, k := range entries(t, r.log, 0) {
			for _, rec := range k.Records {
				found[rec.Offset] = rec
			}
		}
		for _, k := range after {
			for _, rec := range k.Records {
				if found[rec.Offset] != rec {
					t.Errorf("%s: the record at %d is lost", where, rec.Offset)
				}
			}
		}
		if diff := cmp.Diff(states, lastBatches(r.log.Producers())); diff != "" {
			t.Errorf("%s: producers: %s", where, diff)
		}
		if _, err := r.log.Clean(room); err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		if diff := cmp.Diff(after, entries(t, r.log, 0), cmpopts.EquateEmpty(), without); diff != "" {
			t.Errorf("%s: another pass makes something else:\n%s", where, diff)
		}
		for _, k := range after {
			if epoch := r.log.EpochAt(k.First); epoch != k.Leader {
				t.Errorf("%s: offset %d has epoch %d, not %d", where, k.First, epoch, k.Leader)
			}
		}
		if got, want := r.log.Aborted(0, end), b.log.Aborted(0, end); !cmp.Equal(got, want, cmpopts.EquateEmpty()) {
			// What was removed in between may be missing, not more.
			if len(got) > len(want) {
				t.Errorf("%s: aborted transactions %+v, want %+v", where, got, want)
			}
		}
		r.put("a=again")
		must(t, r.log.Close())
		for _, i := range must1(r.mem.ReadDir("/data/t-0"))(t) {
			if ext := filepath.Ext(i.Name); ext == ".cleaned" || ext == ".swap" || ext == ".deleted" {
				t.Errorf("%s: %s is left", where, i.Name)
			}
		}
		if rec := r.open(func(o *storage.LogOptions) { o.Clean = true }); rec.Segments != 0 || r.log.End() != end+1 {
			t.Errorf("%s: after a clean stop: %+v, end %d", where, rec, r.log.End())
		}
	}
	for _, i := range instants {
		survives(i.where, i.disk)
	}
	changes := n
	for at = 1; at <= changes; at++ {
		f, _, _, err := run(syscall.EIO)
		var disk *storage.DiskError
		if !errors.As(err, &disk) || f.log.Failed() == nil || len(f.disk) != 1 {
			t.Errorf("change %d fails, and the pass says %v, the log %v", at, err, f.log.Failed())
		}
		f.log.Abandon()
		survives(fmt.Sprintf("failure of change %d", at), f.mem.CrashClone(vfs.Crash{Process: true}))
	}
}

func must1[T any](v T, err error) func(failer) T {
	return func(t failer) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// TestCleanTombstones tells the life of a tombstone and of a marker: kept, given a time, gone.
func TestCleanTombstones(t *testing.T) {
	b := compacting(t)
	b.config.DeleteRetentionMs = 1000
	b.open(nil)
	spec := record.BatchSpec{ProducerID: 5, Transactional: true}
	for _, batch := range []record.Batch{
		keyedBatch(spec, t0, "a=1", "b=1"),
		record.EndTxnMarker{Commit: true}.Batch(5, 0, t0),
		keyedBatch(record.BatchSpec{}, t0, "a", "b=2"),
		keyedBatch(record.BatchSpec{ProducerID: 5, ProducerEpoch: 1, Codec: codec.Zstd}, t0, "z="+string(bytes.Repeat([]byte("z"), 400))),
	} {
		b.config.SegmentBytes = 1000
		b.log.SetConfig(b.config)
		must1(b.append(batch))(t)
	}
	show := func() (lines []string) {
		for _, k := range entries(t, b.log, 0) {
			line := fmt.Sprintf("%d-%d", k.First, k.Last)
			for _, r := range k.Records {
				if k.Control == 0 {
					line += " " + r.Key[:1]
				} else {
					line += " marker"
				}
			}
			if k.Horizon != undecided {
				line += fmt.Sprintf(" until %d", k.Horizon-t0)
			}
			lines = append(lines, line)
		}
		return lines
	}
	roll := func(to int64) {
		b.config.SegmentBytes = 300
		b.log.SetConfig(b.config)
		b.put("y=" + string(bytes.Repeat([]byte("y"), 150)))
		b.put("y=" + string(bytes.Repeat([]byte("y"), 150)))
		b.log.SetHighWatermark(b.log.End())
		b.background()
		did, err := b.log.Clean(room)
		must(t, err)
		if did.To != to {
			t.Errorf("cleaned %d to %d, want to %d", did.From, did.To, to)
		}
	}
	// The first pass drops what is old, marks the tombstone, and keeps the marker, as it meets records of its transaction.
	roll(7)
	if diff := cmp.Diff([]string{"2-2 marker", "3-4 a b until 1000", "5-5 z", "6-6 y", "7-7 y"}, show()); diff != "" {
		t.Error(diff)
	}
	// The next meets none, and marks it.
	b.clock.Advance(999 * time.Millisecond)
	roll(9)
	if diff := cmp.Diff([]string{"2-2 marker until 1999", "3-4 a b until 1000", "5-5 z", "8-8 y", "9-9 y"}, show()); diff != "" {
		t.Error(diff)
	}
	b.clock.Advance(time.Millisecond)
	roll(11)
	if diff := cmp.Diff([]string{"2-2 marker until 1999", "3-4 b until 1000", "5-5 z", "10-10 y", "11-11 y"}, show()); diff != "" {
		t.Error(diff)
	}
	b.clock.Advance(time.Second)
	roll(13)
	if diff := cmp.Diff([]string{"3-4 b until 1000", "5-5 z", "12-12 y", "13-13 y"}, show()); diff != "" {
		t.Error(diff)
	}
	b.log.Abandon()
}

// TestCleanDamage: a log with a damaged batch, in the dirty part or the clean one, is not compacted, is served as before, and
// stays in service.
func TestCleanDamage(t *testing.T) {
	for _, at := range []string{"00000000000000000000.log", "00000000000000000004.log"} {
		b := compacting(t)
		b.open(nil)
		for i := range 12 {
			b.put("k="+string(bytes.Repeat([]byte{byte('a' + i)}, 120)), "l=1")
		}
		b.log.SetHighWatermark(b.log.End())
		b.background()
		before := entries(t, b.log, 0)
		f := must1(b.mem.OpenExisting("/data/t-0/" + at))(t)
		must1(f.WriteAt([]byte{'X'}, 100))(t)
		must(t, f.Close())
		did, err := b.log.Clean(room)
		if !errors.Is(err, kerr.CorruptMessage) || storage.IsCleanStopped(err) || b.log.Failed() != nil {
			t.Errorf("damage in %s: %+v, %v", at, did, err)
		}
		f = must1(b.mem.OpenExisting("/data/t-0/" + at))(t)
		must1(f.WriteAt([]byte{before[0].Records[0].Value[0]}, 100))(t)
		b.put("still=there")
		if b.log.CleanedTo() != 0 {
			t.Error("it counts as clean")
		}
		b.log.Abandon()
	}
}

// TestCleanTruncated: what a truncation brings back is dirty again, and the checkpoint knows it before the log goes on. A
// pass whose ground is cut away under it ends without a trace.
func TestCleanTruncated(t *testing.T) {
	b := compacting(t)
	b.open(nil)
	emptying(b)
	must1(b.log.Clean(room))(t)
	to := b.log.CleanedTo()
	if to != 20 {
		t.Fatalf("cleaned to %d", to)
	}
	lowered := b.lowered
	must(t, b.log.Truncate(to-1))
	if b.log.CleanedTo() > b.log.End() || b.lowered != lowered+1 {
		t.Errorf("truncated to %d, clean to %d, told %d times", b.log.End(), b.log.CleanedTo(), b.lowered-lowered)
	}
	emptying(b)
	before := entries(t, b.log, 0)
	o := room
	cut := false
	o.Throttle = func(int64, ...<-chan struct{}) {
		if !cut {
			cut = true
			must(t, b.log.Truncate(b.log.End()-1))
		}
	}
	if _, err := b.log.Clean(o); !storage.IsCleanStopped(err) {
		t.Errorf("a pass over what was truncated: %v", err)
	}
	if diff := cmp.Diff(before[:len(before)-1], entries(t, b.log, 0)); diff != "" {
		t.Error(diff)
	}
	must1(b.log.Clean(room))(t)
	b.log.Abandon()
}

// TestCleanReaders has readers go over a log of few open files again and again while it is compacted: none ever meets an
// error, a damaged batch or a key that is missing.
func TestCleanReaders(t *testing.T) {
	cfg := storage.DefaultConfig()
	cfg.Compact, cfg.Delete, cfg.SegmentBytes, cfg.IndexIntervalBytes, cfg.FileDeleteDelayMs = true, false, 4000, 100, 0
	l, _, err := storage.Open(storage.LogOptions{
		FS: vfs.OS, Clock: clock.Real, Logger: zap.NewNop(), Files: storage.NewFileCache(2, 3),
		Dir: filepath.Join(t.TempDir(), "t-0"), Topic: "t", Config: cfg,
	})
	must(t, err)
	defer func() { must(t, l.Close()) }()
	put := func(i int) {
		b := keyedBatch(record.BatchSpec{Codec: codec.Type(i % 5)}, t0, fmt.Sprintf("key %d=%060d", i%10, i))
		must1(l.Append(b, storage.AppendInfo{MaxTimestamp: t0, Now: t0}))(t)
		l.SetHighWatermark(l.End())
	}
	for i := range 500 {
		put(i)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				end := l.HighWatermark()
				keys := map[string]int64{}
				// To the end as it is when the reader comes there: what lies before was perhaps compacted away meanwhile, for
				// something that lies behind the end of before.
				for from := int64(0); from < l.End(); {
					for _, k := range entries(fatal{t}, l, from) {
						for _, r := range k.Records {
							if last, ok := keys[r.Key]; ok && last >= r.Offset {
								t.Errorf("offset %d after %d", r.Offset, last)
							}
							keys[r.Key] = r.Offset
						}
						from = k.Last + 1
					}
				}
				for key, last := range keys {
					if last < end-11 {
						t.Errorf("the last %s is at %d, the log ended at %d", key, last, end)
					}
				}
				if len(keys) != 10 {
					t.Errorf("%d keys of 10", len(keys))
				}
				if _, _, _, _, err := l.OffsetForTime(t0, l.End()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for round := range 20 {
		for i := range 100 {
			put(500 + round*100 + i)
		}
		did := must1(l.Clean(room))(t)
		if did.To <= did.From {
			t.Errorf("round %d cleaned nothing: %+v", round, did)
		}
	}
	close(done)
	wg.Wait()
}

// fatal lets helpers end a goroutine that is not the test's.
type fatal struct{ t *testing.T }

func (f fatal) Helper()                           { f.t.Helper() }
func (f fatal) Fatal(args ...any)                 { f.t.Helper(); panic(fmt.Sprint(args...)) }
func (f fatal) Fatalf(format string, args ...any) { f.t.Helper(); panic(fmt.Sprintf(format, args...)) }

// A log that is compacted rolls in time for max.compaction.lag.ms.
func TestRollForCompaction(t *testing.T) {
	b := compacting(t)
	b.config.MaxCompactionLagMs, b.config.SegmentBytes = 500, 100_000
	b.open(nil)
	b.put("a=1")
	b.clock.Advance(500 * time.Millisecond)
	b.put("a=2")
	if b.log.Segments() != 1 {
		t.Error("rolled too early")
	}
	b.clock.Advance(time.Millisecond)
	b.put("a=3")
	if b.log.Segments() != 2 {
		t.Error("did not roll")
	}
	b.log.SetHighWatermark(3)
	b.clock.Advance(time.Second)
	e := must1(b.log.Cleanable(b.now()))(t)
	if e.OverdueMs != 1001 || !e.Due(1) {
		t.Errorf("%+v", e)
	}
	b.log.Abandon()
}

// Apache Kafka's cleaner has been over this log up to 79. What a pass of ours over all of it leaves is what Kafka serves.
func TestCleanAfterKafka(t *testing.T) {
	g := openGolden(t, "clean")
	for _, e := range readExpected(t, "clean") {
		if e.topic != "compacted" {
			continue
		}
		l, _ := g.open(t, e)
		c := l.Config()
		c.Compact, c.Delete = true, false
		l.SetConfig(c)
		l.SetHighWatermark(l.End())
		segments := l.Segments()
		did, err := l.Clean(room)
		if err != nil || did.From != 0 || did.To != 79 || did.Keyless != 0 || l.Segments() >= segments {
			t.Errorf("%+v %v, %d of %d segments", did, err, l.Segments(), segments)
		}
		if got := sumRecords(t, l, l.HighWatermark(), false); got != e.uncommitted {
			t.Errorf("left is %s, Kafka served %s", got, e.uncommitted)
		}
		must(t, l.Close())
	}
}

// A log that was compacted and is not any more crashes twice, and the snapshots that the first recovery was to write are not
// there. The emptied segments must not be taken for ones that lost their end: all behind them would go.
func TestNotCompactedAnyMore(t *testing.T) {
	b := compacting(t)
	b.open(nil)
	emptying(b)
	must1(b.log.Clean(room))(t)
	before, end, to := entries(t, b.log, 0), b.log.End(), b.log.CleanedTo()
	must(t, b.log.Flush())
	b.log.Abandon()
	for _, i := range must1(b.mem.ReadDir("/data/t-0"))(t) {
		if filepath.Ext(i.Name) == ".snapshot" {
			must(t, b.mem.Remove("/data/t-0/"+i.Name))
		}
	}
	b.config.Compact, b.config.Delete = false, true
	r := b.open(func(o *storage.LogOptions) { o.Cleaned = to })
	if r.Removed > 0 || b.log.End() != end || !cmp.Equal(before, entries(t, b.log, 0)) {
		t.Errorf("recovery did %+v, the log ends at %d of %d", r, b.log.End(), end)
	}
	b.log.Abandon()
}

// A pass over what is clean already, and has emptied segments, comes as far as the first one.
func TestCleanTwice(t *testing.T) {
	b := compacting(t)
	b.open(nil)
	emptying(b)
	first := must1(b.log.Clean(room))(t)
	before := entries(t, b.log, 0)
	must(t, b.log.Close())
	b.open(func(o *storage.LogOptions) { o.Clean, o.HighWatermark = true, 1<<60 })
	second := must1(b.log.Clean(room))(t)
	if second.From != 0 || second.To != first.To || !cmp.Equal(before, entries(t, b.log, 0)) {
		t.Errorf("first %+v, then %+v", first, second)
	}
	b.log.Abandon()
}

// TestCleanBetween lets a whole pass take place right before each single access of a reader to the disk. The reader may get
// what was there before or what is there now, whole.
func TestCleanBetween(t *testing.T) {
	for at, hit := 1, true; hit; at++ {
		b := compacting(t)
		b.files = storage.NewFileCache(1, 1)
		armed, n := false, 0
		hit = false
		b.fs = vfs.WithHook(b.mem, func(op vfs.Op, name string) error {
			if !armed || op == vfs.OpClose {
				return nil
			}
			if n++; n == at {
				armed, hit = false, true
				did, err := b.log.Clean(room)
				if err != nil || did.To <= did.From {
					t.Errorf("pass before access %d, %s of %s: %+v %v", at, op, name, did, err)
				}
				armed = true
			}
			return nil
		})
		b.open(nil)
		for round := range 2 {
			for i := range 12 {
				b.put(fmt.Sprintf("k%d=%0*d", i%5, 20+30*(i%3), i), fmt.Sprintf("l=%d", i))
			}
			b.log.SetHighWatermark(b.log.End())
			b.background()
			if round == 0 {
				must1(b.log.Clean(room))(t)
			}
		}
		live := map[string]keyed{}
		for _, k := range entries(t, b.log, 0) {
			for _, r := range k.Records {
				live[r.Key] = r
			}
		}
		armed = true
		seen := map[string]keyed{}
		last := int64(-1)
		for _, k := range entries(t, b.log, 0) {
			for _, r := range k.Records {
				if r.Offset <= last {
					t.Errorf("pass before access %d: offset %d after %d", at, r.Offset, last)
				}
				seen[r.Key], last = r, r.Offset
			}
		}
		if ts, off, _, found, err := b.log.OffsetForTime(t0, 1<<60); err != nil || !found || off < 0 {
			t.Errorf("pass before access %d: %d %d %v %v", at, ts, off, found, err)
		}
		armed = false
		if diff := cmp.Diff(live, seen); diff != "" {
			t.Errorf("pass before access %d: %s", at, diff)
		}
		b.log.Abandon()
	}
}

// The power goes between the roll of a compacted log and the sync of what was sealed; the name of the next segment is quicker on
// disk than the bytes before it. What lies behind goes, as in a log that is not compacted: else there was a log with
// offsets 5 and 8 of which nobody knows that 6 and 7 had been written, and reads at 6 gave nothing.
func TestCompactedLogLosesAnEnd(t *testing.T) {
	b := compacting(t)
	b.open(nil)
	b.put("a=1", "b=1")
	must(t, b.log.Flush())
	for i := range 4 {
		b.put(fmt.Sprintf("a=%0200d", i))
	}
	if b.log.Segments() < 3 {
		t.Fatalf("%d segments", b.log.Segments())
	}
	must(t, b.mem.SyncDir("/data/t-0"))
	b.mem = b.mem.CrashClone(vfs.Crash{})
	b.fs = b.mem
	b.log.Abandon()
	b.work = nil
	r := b.open(func(o *storage.LogOptions) { o.RecoveryPoint = 2 })
	if r.Removed < 2 || b.log.End() != 2 || len(entries(t, b.log, 0)) != 1 {
		t.Errorf("recovery did %+v, the log ends at %d", r, b.log.End())
	}
	b.put("a=2")
	b.log.Abandon()
}

// A pass empties the ends of segments; before the cleaner's checkpoint is written the process dies, and while the next start
// has not flushed yet, again. The snapshots say that nothing is lost there, so a recovery must not take them away before it
// has others in their place.
func TestCompactedLogCrashesTwice(t *testing.T) {
	b := compacting(t)
	b.open(nil)
	emptying(b)
	must1(b.log.Clean(room))(t)
	before, end := entries(t, b.log, 0), b.log.End()
	for crash := range 3 {
		b.mem = b.mem.CrashClone(vfs.Crash{Process: true})
		b.fs = b.mem
		b.log.Abandon()
		b.work = nil
		b.config.Compact = crash != 2
		if r := b.open(nil); r.Removed > 0 || r.Segments == 0 || b.log.End() != end || !cmp.Equal(before, entries(t, b.log, 0)) {
			t.Fatalf("crash %d: recovery did %+v, the log ends at %d of %d", crash, r, b.log.End(), end)
		}
	}
	b.log.Abandon()
}

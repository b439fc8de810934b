package storage_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"
	"barnabas/storage"
)

// times is a batch of one-field records with these timestamps.
func times(t failer, c codec.Type, appendTime bool, ts ...int64) record.Batch {
	t.Helper()
	spec := record.BatchSpec{Codec: c, ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None, LogAppendTime: appendTime}
	if appendTime {
		spec.MaxTimestamp = ts[0]
	}
	b := record.NewBuilder(spec)
	for _, at := range ts {
		b.Append(at, nil, []byte("some value that makes the record a bit longer"))
	}
	batch, err := b.Build()
	must(t, err)
	return batch
}

// Against a slice of timestamps: the first record at or behind the start that is late enough, if it is below bound.
func TestOffsetForTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(rt)
		b.config.IndexIntervalBytes = rapid.IntRange(1, 1000).Draw(rt, "index.interval.bytes")
		b.epoch = 4
		b.open(nil)
		defer b.log.Abandon()
		var stamps []int64
		now := int64(t0)
		for range rapid.IntRange(0, 15).Draw(rt, "batches") {
			ts := make([]int64, rapid.IntRange(1, 5).Draw(rt, "records"))
			appendTime := rapid.Bool().Draw(rt, "append time")
			for i := range ts {
				now += rapid.Int64Range(-20, 30).Draw(rt, "ms")
				ts[i] = now
				if appendTime {
					ts[i] = ts[0]
				}
			}
			_, err := b.append(times(rt, codec.Type(rapid.IntRange(0, 4).Draw(rt, "codec")), appendTime, ts...))
			must(rt, err)
			stamps = append(stamps, ts...)
			if rapid.Bool().Draw(rt, "background") {
				b.background()
			}
		}
		end := int64(len(stamps))
		b.log.SetHighWatermark(end)
		start := rapid.Int64Range(0, end).Draw(rt, "start")
		must(rt, b.log.SetStart(start))
		if rapid.Bool().Draw(rt, "restart") {
			must(rt, b.log.Close())
			b.open(func(o *storage.LogOptions) { o.Clean, o.LogStart = true, start })
		}
		bound := rapid.Int64Range(start, end).Draw(rt, "bound")
		for range 6 {
			ts := now + rapid.Int64Range(-300, 30).Draw(rt, "ts")
			want, found := int64(-1), false
			for i := start; i < end && !found; i++ {
				if stamps[i] >= ts {
					want, found = i, i < bound
				}
			}
			offset, at, epoch, ok, err := b.log.OffsetForTime(ts, bound)
			must(rt, err)
			if ok != found || ok && (offset != want || at != stamps[want] || epoch != 4) {
				rt.Fatalf("time %d: offset %d ts %d epoch %d %v, want %d %v; start %d bound %d", ts-t0, offset, at-t0, epoch, ok, want, found, start, bound)
			}
		}
		offset, ts, _, err := b.log.MaxTimestamp()
		must(rt, err)
		want, largest := int64(-1), int64(-1)
		for i, at := range stamps {
			if at > largest {
				want, largest = int64(i), at
			}
		}
		if offset != want || ts != largest {
			rt.Fatalf("largest timestamp %d at %d, want %d at %d", ts-t0, offset, largest-t0, want)
		}
	})
}

func TestLegacyOffsets(t *testing.T) {
	b := newBench(t)
	b.open(nil)
	check := func(ts int64, limit int, want ...int64) {
		t.Helper()
		got, err := b.log.LegacyOffsets(ts, limit)
		must(t, err)
		if !reflect.DeepEqual(append([]int64{}, got...), append([]int64{}, want...)) {
			t.Errorf("offsets at %d, at most %d: %v, want %v", ts, limit, got, want)
		}
	}
	check(-1, 5, 0)
	check(-2, 5, 0)
	for range 6 { // two to a segment, a minute apart
		_, err := b.append(plain(1, 500, t0))
		must(t, err)
		b.clock.Advance(time.Minute)
	}
	b.background()
	check(-1, 10, 6, 4, 2, 0)
	check(-1, 2, 6, 4)
	check(-2, 10, 0)
	check(t0+3*60_000, 10, 2, 0)
	check(t0, 10)
	check(t0+3600_000, 1, 6)
}

// Size never says less than there is, and is right at the log's end.
func TestSize(t *testing.T) {
	b := newBench(t)
	b.config.SegmentBytes, b.config.IndexIntervalBytes = 1<<20, 1000
	b.open(nil)
	for range 40 {
		_, err := b.append(plain(2, 100, t0))
		must(t, err)
	}
	for from := int64(0); from < 80; from++ {
		for bound := (from + 1) / 2 * 2; bound <= 80; bound += 2 {
			got, exact := b.log.Size(from, bound, 1<<20), int((bound-from/2*2)/2*100)
			switch {
			case from >= bound:
				if got != 0 {
					t.Fatalf("size from %d to %d is %d", from, bound, got)
				}
			case got < exact || from >= 50 && got != exact || got > exact+2*1100:
				t.Fatalf("size from %d to %d is %d, want %d", from, bound, got, exact)
			}
		}
	}
	if got := b.log.Size(0, 80, 250); got != 250 {
		t.Errorf("limited to 250: %d", got)
	}
	must(t, b.log.Close())
	b.open(func(o *storage.LogOptions) { o.Clean = true })
	if got := b.log.Size(76, 80, 1<<20); got != 200 {
		t.Errorf("after a restart: %d", got)
	}
	b.log.Abandon()
}

// A slice says below which offset it is: that of the next segment, or the reader's bound. What a reader is told of aborted
// transactions is about that range.
func TestSlicesAreBounded(t *testing.T) {
	b := newBench(t)
	b.open(nil)
	for i := range 8 { // three to a segment
		_, err := b.append(plain(2, 300, t0+int64(i)))
		must(t, err)
	}
	for _, want := range []struct{ from, bound, below int64 }{
		{0, 16, 6}, {5, 16, 6}, {6, 16, 12}, {12, 16, 16}, {12, 14, 14}, {0, 4, 4}, {3, 6, 6}, {16, 16, 0},
	} {
		s, err := b.log.Read(want.from, 10_000, want.bound, true)
		must(t, err)
		if s.Below != want.below {
			t.Errorf("read from %d, bounded by %d: below %d, want %d", want.from, want.bound, s.Below, want.below)
		}
		s.Release()
	}
	b.log.Abandon()
}

// Aborted transactions of both segments are found for any range that they touch.
func TestAborted(t *testing.T) {
	b := newBench(t)
	b.open(nil)
	data := func(id int64, seq int32, size int) int64 {
		a, err := b.append(makeBatch(batchSpec{count: 1, size: size, ts: t0, producer: id, seq: seq, txn: true}))
		must(t, err)
		return a.First
	}
	end := func(id int64, how int) int64 {
		a, err := b.append(makeBatch(batchSpec{ts: t0, producer: id, marker: how}))
		must(t, err)
		return a.First
	}
	data(1, 0, 300) // 0
	data(2, 0, 300) // 1
	end(1, abort)   // 2
	data(1, 1, 500) // 3, in a new segment
	end(1, commit)  // 4
	data(3, 0, 100) // 5
	end(2, abort)   // 6
	b.background()
	check := func(from, upTo int64, want string) {
		t.Helper()
		got := ""
		for _, a := range b.log.Aborted(from, upTo) {
			got += fmt.Sprintf(" %d:%d-%d<%d", a.ProducerID, a.First, a.Last, a.LastStable)
		}
		if got != want {
			t.Errorf("aborted in [%d, %d):%s, want%s", from, upTo, got, want)
		}
	}
	for range 2 {
		check(0, 7, " 1:0-2<1 2:1-6<5")
		check(0, 1, " 1:0-2<1")
		check(3, 4, " 2:1-6<5")
		check(7, 8, "")
		if b.log.FirstUnstable() != 0 {
			t.Error("unstable before the watermark has passed the markers:", b.log.FirstUnstable())
		}
		b.log.SetHighWatermark(3)
		if got := b.log.LastStable(); got != 1 {
			t.Error("last stable offset", got)
		}
		b.log.SetHighWatermark(7)
		if got := b.log.LastStable(); got != 5 {
			t.Error("last stable offset", got)
		}
		// The same after a crash, from the batches alone.
		b.log.Abandon()
		b.open(nil)
	}
	b.log.Abandon()
}

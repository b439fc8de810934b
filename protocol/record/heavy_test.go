package record

import (
	"errors"
	"runtime"
	"slices"
	"testing"

	"barnabas/protocol/record/codec"
)

// bomb is a batch within any frame's limit that inflates to megabytes.
func bomb(t *testing.T, c codec.Type, megabytes int) Batch {
	t.Helper()
	b := NewBuilder(BatchSpec{Codec: c, ProducerID: None, ProducerEpoch: None, BaseSequence: None})
	zeros := make([]byte, 1<<20)
	for i := range megabytes {
		b.Append(1000+int64(i*i), []byte("key"), zeros, Header{Key: "h", Value: []byte{byte(i)}})
	}
	built, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return built
}

type instant struct {
	delta int32
	ts    int64
}

func times(t *testing.T, b Batch) (all []instant) {
	t.Helper()
	if err := b.EachTime(maxInflated, func(delta int32, ts int64) error {
		all = append(all, instant{delta, ts})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// A search by time once inflated the whole batch: three clients that asked for offsets of a topic with a bomb in it took 200 MB,
// three hundred would have ended the broker.
func TestTimesOfAHeavyBatchAreReadInPieces(t *testing.T) {
	for _, c := range []codec.Type{codec.None, codec.Gzip, codec.Snappy, codec.LZ4, codec.Zstd} {
		for _, megabytes := range []int{1, 32} {
			b := bomb(t, c, megabytes)
			var want []instant
			if err := b.Each(maxInflated, func(r Record) error {
				want = append(want, instant{r.OffsetDelta, r.TimestampDelta})
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			times(t, b) // what is taken once
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := times(t, b)
			runtime.ReadMemStats(&after)
			if !slices.Equal(got, want) {
				t.Errorf("%v: %v, want %v", c, got, want)
			}
			if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 16 {
				t.Errorf("%v: looking into %d MB costs %d MB", c, megabytes, n)
			}
		}
	}
}

// What is wrong with a heavy batch is found, and the search ends where the caller wants.
func TestTimesOfADamagedHeavyBatch(t *testing.T) {
	count := func(b Batch, limit int, stop int) (n int, err error) {
		err = b.EachTime(limit, func(int32, int64) error {
			if n++; n == stop {
				return errStopped
			}
			return nil
		})
		return n, err
	}
	good := bomb(t, codec.LZ4, 8)
	if n, err := count(good, maxInflated, 3); n != 3 || err != errStopped {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := count(good, 6<<20, 0); n != 5 || !errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("%d, %v", n, err)
	}
	more := slices.Clone(good)
	more[offCount+3]++
	if n, err := count(more, maxInflated, 0); n != 8 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("%d, %v", n, err)
	}
	fewer := slices.Clone(good)
	fewer[offCount+3]--
	if n, err := count(fewer, maxInflated, 0); n != 7 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("%d, %v", n, err)
	}
	short := slices.Clone(good)[:len(good)-100]
	if n, err := count(short, maxInflated, 0); n >= 8 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("%d, %v", n, err)
	}
}

var errStopped = errors.New("stopped")

// Only one heavy batch is in work at a time, and only such wait for each other.
func TestHeavyBatchesAreOneAtATime(t *testing.T) {
	for _, c := range []codec.Type{codec.Gzip, codec.Snappy, codec.LZ4, codec.Zstd} {
		for _, megabytes := range []int{1, 8} {
			b := bomb(t, c, megabytes)
			alone := func() bool {
				if heavy.TryLock() {
					heavy.Unlock()
					return false
				}
				return true
			}
			want := megabytes == 8
			if err := b.Each(maxRebuilt, func(Record) error {
				if alone() != want {
					t.Errorf("%v of %d MB: alone is %v", c, megabytes, !want)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := b.EachTime(maxRebuilt, func(int32, int64) error {
				if alone() != want {
					t.Errorf("times, %v of %d MB: alone is %v", c, megabytes, !want)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if alone() {
				t.Fatal("the lock is still held")
			}
		}
	}
}

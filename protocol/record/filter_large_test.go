package record

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barnabas/protocol/record/codec"
)

var compressing = []codec.Type{codec.Gzip, codec.Snappy, codec.LZ4, codec.Zstd}

// What stays of a batch that inflates to much is what stays of the same records uncompressed.
func TestFilterLargeBatches(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		spec := BatchSpec{
			BaseOffset: 1 << 40, LeaderEpoch: 3, ProducerID: 5, ProducerEpoch: 1, BaseSequence: 77,
			Transactional: rng.IntN(2) == 0, LogAppendTime: rng.IntN(4) == 0, MaxTimestamp: 5_000_000,
		}
		spec.Codec = compressing[seed%4]
		build := func() Batch {
			rng := rand.New(rand.NewPCG(seed, 2))
			b := NewBuilder(spec)
			for i := range 12 + rng.IntN(30) {
				key, value := fmt.Appendf(nil, "key %d", i), make([]byte, rng.IntN(1<<20))
				switch rng.IntN(6) {
				case 0:
					key = nil
				case 1:
					value = nil
				case 2:
					key = []byte{}
				}
				b.AppendAt(b.last+1+int32(rng.IntN(3)), int64(1_000_000+rng.IntN(1<<20)-rng.IntN(1<<20)), key, value, Header{Key: "h", Value: key})
			}
			b.AppendAt(b.last+1, 9, []byte("z"), make([]byte, wholeInflated))
			batch, err := b.Build()
			if err != nil {
				t.Fatal(err)
			}
			return batch
		}
		packed := build()
		spec.Codec = codec.None
		plain := build()
		var f, g Filter
		for pass := range 3 {
			r := Retention{KeepEmpty: rng.IntN(2) == 0, Horizon: int64(2_000_000 + pass), Stamp: rng.IntN(3) == 0}
			most := []int{10, 9, 0}[pass]
			thin := func(f *Filter, b Batch) (Batch, Filtered, []string) {
				rng := rand.New(rand.NewPCG(seed, uint64(10+pass)))
				var asked []string
				r.Keep = func(offset int64, rec Record) bool {
					asked = append(asked, fmt.Sprintf("%d %q %v %v %d", offset, rec.Key, rec.Key == nil, rec.Value == nil, rec.TimestampDelta))
					return rng.IntN(10) < most
				}
				out, n, err := f.Append(nil, b, r)
				if err != nil {
					t.Fatalf("seed %d, pass %d: %v", seed, pass, err)
				}
				return out, n, asked
			}
			a, n, asked := thin(&f, packed)
			b, m, askedPlain := thin(&g, plain)
			if diff := cmp.Diff(askedPlain, asked); diff != "" || n != m {
				t.Fatalf("seed %d, pass %d: %+v and %+v\n%s", seed, pass, n, m, diff)
			}
			if (a == nil) != (b == nil) {
				t.Fatalf("seed %d, pass %d: %d and %d bytes", seed, pass, len(a), len(b))
			}
			if a == nil {
				break
			}
			if err := a.Check(); err != nil {
				t.Fatal(err)
			}
			at, decided := a.DeleteHorizon()
			wantAt, wantDecided := b.DeleteHorizon()
			ha, hb := headerOf(a), headerOf(b)
			ha.codec = hb.codec
			if ha != hb || at != wantAt || decided != wantDecided || a.MaxTimestamp() != b.MaxTimestamp() || a.Count() != b.Count() || a.Count() > 0 && a.Codec() != packed.Codec() {
				t.Fatalf("seed %d, pass %d: %+v until %d %v, want %+v until %d %v", seed, pass, ha, at, decided, hb, wantAt, wantDecided)
			}
			var want, got []Record
			collect := func(to *[]Record) func(Record) error {
				return func(r Record) error {
					r.Headers = append([]Header{}, r.Headers...)
					*to = append(*to, r)
					return nil
				}
			}
			if err := errors.Join(a.Each(maxInflated, collect(&got)), b.Each(maxInflated, collect(&want))); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("seed %d, pass %d: %d of %d records", seed, pass, len(got), len(want))
			}
			packed, plain = a, b
		}
	}
}

// A pass of the cleaner over a bomb took what it inflates to, twice, whatever of it stayed, in each of the cleaner's threads.
func TestFilterMemory(t *testing.T) {
	const megabytes = 100
	for _, c := range compressing {
		b := bomb(t, c, megabytes)
		thin := func(keep func(i int) bool) (out []byte, n Filtered, mb uint64) {
			var f Filter
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			i := -1
			out, n, err := f.Append(nil, b, Retention{Keep: func(int64, Record) bool { i++; return keep(i) }})
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			return out, n, (after.TotalAlloc - before.TotalAlloc) >> 20
		}
		thin(func(int) bool { return false }) // what is taken once
		for name, s := range map[string]struct {
			keep       func(i int) bool
			kept       int
			same       bool
			mostMemory uint64 // MB
		}{
			"nothing":        {func(int) bool { return false }, 0, false, 32},
			"all":            {func(int) bool { return true }, megabytes, true, 32},
			"few":            {func(i int) bool { return i%20 == 0 }, megabytes / 20, false, 80},
			"much, not all":  {func(i int) bool { return i > 0 }, megabytes, true, 32}, // is left as it is
			"as much as may": {func(i int) bool { return i < 63 }, 63, false, 63 + 180},
		} {
			if c != codec.Zstd && name != "few" {
				continue // what else there is to it is the same with each codec
			}
			out, n, mb := thin(s.keep)
			if n.Kept != s.kept || n.Read != megabytes || s.same != (string(out) == string(b)) || (len(out) == 0) != (s.kept == 0) {
				t.Errorf("%v, %s stays: %+v, %d bytes", c, name, n, len(out))
			}
			if mb > s.mostMemory {
				t.Errorf("%v, %s stays: takes %d MB", c, name, mb)
			}
		}
		var f Filter
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := 0
		if err := f.Each(b, func(_ int64, r Record) error { n += len(r.Key); return nil }); err != nil || n != 3*megabytes {
			t.Errorf("%v: %d bytes of keys, %v", c, n, err)
		}
		runtime.ReadMemStats(&after)
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 32 {
			t.Errorf("%v: the keys of %d MB take %d MB", c, megabytes, mb)
		}
	}
}

// A key that is too long to be held is not mapped, and its record stays.
func TestFilterLongKeys(t *testing.T) {
	b := NewBuilder(BatchSpec{Codec: codec.Zstd, ProducerID: None, ProducerEpoch: None, BaseSequence: None})
	b.Append(1, make([]byte, maxThinned+1), nil)
	b.Append(2, []byte("k"), []byte("v"))
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	var f Filter
	var keys []string
	if err := f.Each(batch, func(_ int64, r Record) error {
		keys = append(keys, fmt.Sprintf("%q %v", r.Key, r.Key == nil))
		return nil
	}); err != nil || !cmp.Equal(keys, []string{`"" true`, `"k" false`}) {
		t.Errorf("%v %v", keys, err)
	}
	out, n, err := f.Append(nil, batch, Retention{Keep: func(int64, Record) bool { return false }})
	if err != nil || n != (Filtered{Read: 2, Kept: 2}) || string(out) != string(batch) {
		t.Errorf("%+v, %d bytes, %v", n, len(out), err)
	}
}

// Damage is found wherever it lies, and leaves nothing locked.
func TestFilterDamagedLargeBatch(t *testing.T) {
	for _, c := range compressing {
		for _, count := range []int32{31, 33} {
			b := Batch(append([]byte{}, bomb(t, c, 32)...))
			b[offCount+3] = byte(count)
			var f Filter
			_, _, err := f.Append(nil, b, Retention{Keep: func(int64, Record) bool { return true }})
			if !errors.Is(err, ErrCorrupt) && !errors.As(err, new(*damage)) {
				t.Errorf("%v, %d records of 32: %v", c, count, err)
			}
			stop := errors.New("stop")
			if err := f.Each(bomb(t, c, 8), func(int64, Record) error { return stop }); err != stop {
				t.Errorf("%v: %v", c, err)
			}
		}
	}
}

package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/storage"
	"barnabas/storage/index"
	"barnabas/storage/vfs"
)

const billion = 1_000_000_000

// overflowed is a directory with a segment that a cleaner of old has merged: its offsets span more than an index can hold. It
// has the marker of a transaction that was aborted in the part behind.
func overflowed(t *testing.T, middle bool) (*bench, []record.Batch) {
	b := newBench(t)
	b.config.Compact, b.config.Delete = true, false
	b.config.IndexIntervalBytes = 100
	var batches []record.Batch
	put := func(name string, offsets ...int64) {
		var file []byte
		for _, at := range offsets {
			batch := keyedBatch(record.BatchSpec{BaseOffset: at}, t0+at%1000, fmt.Sprintf("k%d=%d", at, at), "l=1")
			batches, file = append(batches, batch), append(file, batch...)
		}
		durable(t, b.mem, "/data/t-0/"+name, file)
	}
	must(t, b.mem.MkdirAll("/data/t-0"))
	must(t, b.mem.SyncDir("/data"))
	if middle {
		put("00000000000000000000.log", 0, 10)
		put("00000000000000000100.log", 200, 300, 2*billion, 3*billion, 3*billion+10, 4*billion, 7*billion, 8*billion)
		put("00000000008000000100.log", 8*billion+100)
	} else {
		put("00000000000000000000.log", 5, 10, 3*billion, 3*billion+10)
	}
	x := index.NewTxn(0)
	must(t, x.Append(index.AbortedTxn{ProducerID: 4, First: 300, Last: 3*billion + 10, LastStable: 3*billion + 10}))
	base := "00000000000000000100"
	if !middle {
		base = "00000000000000000000"
	}
	durable(t, b.mem, "/data/t-0/"+base+".txnindex", x.Bytes())
	must(t, b.mem.SyncDir("/data/t-0"))
	b.fs = b.mem
	return b, batches
}

func durable(t *testing.T, fsys vfs.FS, name string, data []byte) {
	t.Helper()
	f := must1(fsys.Create(name))(t)
	must1(f.WriteAt(data, 0))(t)
	must(t, f.Sync())
	must(t, f.Close())
}

// holds wants the batches, each found at its offset, and no trace of the split.
func (b *bench) holds(t *testing.T, where string, want []record.Batch) {
	t.Helper()
	got, err := readAll(b.log, 0)
	if err != nil || !slices.EqualFunc(got, want, func(x, y record.Batch) bool { return bytes.Equal(x, y) }) {
		t.Errorf("%s: %d of %d batches, %v", where, len(got), len(want), err)
	}
	for _, w := range want {
		for at := w.BaseOffset(); at <= w.LastOffset(); at++ {
			s, err := b.log.Read(at, 1, b.log.End(), true)
			if err != nil || s.First != w.BaseOffset() {
				t.Errorf("%s: a read at %d gives the batch at %d: %v", where, at, s.First, err)
			}
			s.Release()
		}
	}
	last := want[len(want)-1]
	if b.log.End() != last.LastOffset()+1 {
		t.Errorf("%s: it ends at %d", where, b.log.End())
	}
	if a := b.log.Aborted(0, math.MaxInt64); len(a) != 1 || a[0].Last != 3*billion+10 || a[0].First != 300 {
		t.Errorf("%s: aborted are %+v", where, a)
	}
	for _, i := range must1(b.mem.ReadDir("/data/t-0"))(t) {
		if ext := filepath.Ext(i.Name); ext == ".cleaned" || ext == ".swap" || ext == ".deleted" {
			t.Errorf("%s: %s is left", where, i.Name)
		}
	}
}

// An overflowed segment, in the midst of a log or its last, is split when the log is opened, after a clean stop or a crash. It is
// compacted then like any other. (It was cut where an index could not hold it any more, after a crash, and all behind it went;
// after a clean stop its log could not be compacted.)
func TestOverflowedSegment(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for _, middle := range []bool{true, false} {
			where := fmt.Sprintf("clean %v, in the middle %v", clean, middle)
			b, batches := overflowed(t, middle)
			written := must1(b.mem.Stat("/data/t-0/00000000000000000000.log"))(t).ModTime
			b.clock.Advance(1e9)
			edit := func(o *storage.LogOptions) {
				o.Clean, o.HighWatermark = clean, 1<<60
				if clean && middle {
					o.RecoveryPoint = 8*billion + 102
				}
			}
			r := b.open(edit)
			if r.Cut != 0 || r.Removed != 0 {
				t.Errorf("%s: %+v", where, r)
			}
			if clean && middle { // a scan makes the transaction index anew, and there is no such marker
				b.holds(t, where, batches)
			}
			if got, err := readAll(b.log, 0); err != nil || len(got) != len(batches) {
				t.Errorf("%s: %d of %d batches, %v", where, len(got), len(batches), err)
			}
			if want := map[bool]int{true: 5, false: 2}[middle]; b.log.Segments() != want {
				t.Errorf("%s: %d segments", where, b.log.Segments())
			}
			if at := must1(b.mem.Stat("/data/t-0/00000000000000000000.log"))(t).ModTime; !at.Equal(written) {
				t.Errorf("%s: written %v, was %v", where, at, written)
			}
			b.put("l=2")
			b.config.SegmentBytes = 200
			b.log.SetConfig(b.config)
			b.put("m=1")
			b.put("m=2")
			b.log.SetHighWatermark(b.log.End())
			b.background()
			did, err := b.log.Clean(room)
			if err != nil || did.To <= batches[len(batches)-1].BaseOffset() || did.Kept != len(batches)+1 {
				t.Errorf("%s: cleaned %+v, %v", where, did, err)
			}
			must(t, b.log.Close())
			if r := b.open(func(o *storage.LogOptions) { o.Clean = true }); r.Segments != 0 {
				t.Errorf("%s: after a clean stop: %+v", where, r)
			}
			b.log.Abandon()
		}
	}
}

// TestSplitCrashEverywhere kills the process, and the machine, before every change of the disk that a split makes, and lets each
// of them fail.
func TestSplitCrashEverywhere(t *testing.T) {
	type instant struct {
		where string
		disk  *vfs.Mem
	}
	var instants []instant
	b, batches := overflowed(t, true)
	n := 0
	b.fs = vfs.WithHook(b.mem, func(op vfs.Op, name string) error {
		if op.Changes() || op == vfs.OpModTime {
			n++
			for i, c := range []vfs.Crash{{Process: true}, {}, {Rand: rand.New(rand.NewPCG(uint64(n), 1))}, {Rand: rand.New(rand.NewPCG(uint64(n), 2))}} {
				instants = append(instants, instant{fmt.Sprintf("change %d, before %s of %s, crash %d", n, op, name, i), b.mem.CrashClone(c)})
			}
		}
		return nil
	})
	durably := func(o *storage.LogOptions) { o.Clean, o.RecoveryPoint, o.HighWatermark = true, 8*billion+102, 1<<60 }
	b.open(durably)
	b.holds(t, "undisturbed", batches)
	b.log.Abandon()
	if n < 40 {
		t.Fatalf("%d changes of the disk", n)
	}
	for _, at := range instants {
		r := newBench(t)
		r.config, r.mem, r.fs = b.config, at.disk, at.disk
		r.open(durably)
		r.holds(t, at.where, batches)
		r.log.Abandon()
	}
	for at := 1; at <= n; at++ {
		f, batches := overflowed(t, true)
		i := 0
		f.fs = vfs.WithHook(f.mem, func(op vfs.Op, name string) error {
			if op.Changes() || op == vfs.OpModTime {
				if i++; i == at {
					return syscall.ENOSPC
				}
			}
			return nil
		})
		o := f.options()
		durably(&o)
		if _, _, err := storage.Open(o); !errors.Is(err, kerr.KafkaStorageError) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("change %d fails, and the start says %v", at, err)
		}
		f.fs = f.mem
		f.open(durably)
		f.holds(t, fmt.Sprintf("failure of change %d", at), batches)
		f.log.Abandon()
	}
}

// TestPieces: what an index cannot hold begins another piece, be it for its offset or for its position.
func TestPieces(t *testing.T) {
	const most = math.MaxInt32
	for name, c := range map[string]struct {
		entries [][3]int64
		want    [][2]int64
	}{
		"one that fits":            {[][3]int64{{7, 7 + 10, 100}, {7 + 20, 7 + most, 100}}, [][2]int64{{7, 0}}},
		"an offset too far":        {[][3]int64{{7, 7, 100}, {9, 7 + most + 1, 50}, {7 + most + 2, 7 + most + 2, 50}}, [][2]int64{{7, 0}, {9, 100}}},
		"the first batch too far":  {[][3]int64{{3 * billion, 3 * billion, 100}}, [][2]int64{{7, 0}, {3 * billion, 0}}},
		"more than 2 GB":           {[][3]int64{{7, 7, billion}, {8, 8, billion}, {9, 9, billion}, {10, 10, billion}}, [][2]int64{{7, 0}, {9, 2 * billion}}},
		"several, and a last":      {[][3]int64{{7, 7, 1}, {3 * billion, 3 * billion, 1}, {6 * billion, 6 * billion, 1}}, [][2]int64{{7, 0}, {3 * billion, 1}, {6 * billion, 2}}},
		"exactly as far as it may": {[][3]int64{{7, 7 + most, most}}, [][2]int64{{7, 0}}},
	} {
		if diff := cmp.Diff(c.want, storage.Pieces(7, most, c.entries)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

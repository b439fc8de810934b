package index

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func golden(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The files of a Java broker: appending what kafka-dump-log prints of them gives their bytes.
func TestOffsetsOfJava(t *testing.T) {
	file := golden(t, "segments-0.index")
	entries := []OffsetEntry{{7, 570}, {13, 1142}, {19, 1718}, {25, 2294}, {31, 2870}, {37, 3446}}
	x := NewOffset(0, 10<<20)
	for _, e := range entries {
		if err := x.Append(e.Offset, e.Position); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(x.Bytes(), file) {
		t.Fatalf("bytes differ: %x, want %x", x.Bytes(), file)
	}
	loaded, err := LoadOffset(0, 10<<20, file)
	if err != nil {
		t.Fatal(err)
	}
	v := loaded.View()
	for offset, want := range map[int64]OffsetEntry{
		-1: {0, 0}, 0: {0, 0}, 6: {0, 0}, 7: {7, 570}, 12: {7, 570}, 13: {13, 1142}, 36: {31, 2870}, 37: {37, 3446}, 1 << 40: {37, 3446},
	} {
		if got := v.Lookup(offset); got != want {
			t.Errorf("Lookup(%d) = %v, want %v", offset, got, want)
		}
	}
	if e, ok := v.AtPosition(571); !ok || e.Offset != 13 {
		t.Errorf("AtPosition(571) = %v %v", e, ok)
	}
	if _, ok := v.AtPosition(3447); ok {
		t.Error("AtPosition behind the last entry found one")
	}
}

func TestTimesOfJava(t *testing.T) {
	file := golden(t, "segments-0.timeindex")
	v := TimeView{Bytes: file}
	if err := v.Check(); err != nil {
		t.Fatal(err)
	}
	x := NewTime(0, 10<<20)
	for i := range v.Len() {
		e := v.Entry(i)
		if err := x.Append(e.Timestamp, e.Offset, false); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(x.Bytes(), file) {
		t.Fatalf("bytes differ: %x, want %x", x.Bytes(), file)
	}
	first := v.Entry(0)
	if first.Offset != 7 || v.Lookup(first.Timestamp) != first || v.Lookup(first.Timestamp-1) != (TimeEntry{NoTimestamp, 0}) {
		t.Errorf("lookups around the first entry %v", first)
	}
	if v.Last().Offset != 41 {
		t.Errorf("the closing entry is %v", v.Last())
	}
}

func TestAbortsOfJava(t *testing.T) {
	x := NewTxn(6)
	if err := x.Append(AbortedTxn{ProducerID: 4, First: 7, Last: 12, LastStable: 13}); err != nil {
		t.Fatal(err)
	}
	if file := golden(t, "txn-06.txnindex"); !bytes.Equal(x.Bytes(), file) {
		t.Fatalf("bytes differ: %x, want %x", x.Bytes(), file)
	}
	y, err := LoadTxn(33, golden(t, "txn-33.txnindex"))
	if err != nil {
		t.Fatal(err)
	}
	want := []AbortedTxn{{ProducerID: 2, First: 28, Last: 33, LastStable: 34}}
	if got, done := y.View().Collect(nil, 20, 34); !cmp.Equal(got, want) || !done {
		t.Errorf("Collect(20, 34) = %v %v", got, done)
	}
	if got, done := y.View().Collect(nil, 34, 100); got != nil || done {
		t.Errorf("Collect behind the marker = %v %v", got, done)
	}
	if got, _ := y.View().Collect(nil, 0, 28); got != nil {
		t.Errorf("Collect before the transaction = %v", got)
	}
}

func TestFull(t *testing.T) {
	x := NewOffset(0, 20) // two entries and a bit
	for i := range int64(2) {
		if x.Full() {
			t.Fatal("full early")
		}
		if err := x.Append(i, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Append(2, 0); !x.Full() || !errors.Is(err, ErrFull) {
		t.Errorf("append to a full index: %v", err)
	}
	y := NewTime(0, 30)
	if err := y.Append(10, 0, false); err != nil || !y.Full() {
		t.Fatalf("one of two slots: %v, full %v", err, y.Full())
	}
	if err := y.Append(11, 1, false); !errors.Is(err, ErrFull) {
		t.Errorf("the slot of the closing entry was given away: %v", err)
	}
	if err := y.Append(11, 1, true); err != nil {
		t.Errorf("the closing entry: %v", err)
	}
}

func TestOrder(t *testing.T) {
	x := NewOffset(100, 1000)
	for _, offset := range []int64{99, 100 + 1<<31} {
		if err := x.Append(offset, 0); !errors.Is(err, ErrOrder) {
			t.Errorf("offset %d: %v", offset, err)
		}
	}
	if err := x.Append(100, 0); err != nil {
		t.Fatal(err)
	}
	if err := x.Append(100, 0); !errors.Is(err, ErrOrder) {
		t.Errorf("the same offset again: %v", err)
	}
	y := NewTime(100, 1000)
	if err := y.Append(5, 110, false); err != nil {
		t.Fatal(err)
	}
	if err := y.Append(5, 109, false); err != nil || y.View().Len() != 1 {
		t.Errorf("no higher timestamp is no entry: %v", err)
	}
	if err := y.Append(6, 109, false); !errors.Is(err, ErrOrder) {
		t.Errorf("a falling offset: %v", err)
	}
	z := NewTxn(0)
	if err := z.Append(AbortedTxn{Last: 3}); err != nil {
		t.Fatal(err)
	}
	if err := z.Append(AbortedTxn{Last: 3}); !errors.Is(err, ErrOrder) {
		t.Errorf("the same marker again: %v", err)
	}
}

func TestCheck(t *testing.T) {
	below := []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0} // relative offset -1
	cases := map[string]interface{ Check() error }{
		"offset length":   OffsetView{Bytes: make([]byte, 9)},
		"offset base":     OffsetView{Base: 5, Bytes: below},
		"time length":     TimeView{Bytes: make([]byte, 13)},
		"time base":       TimeView{Base: 5, Bytes: append(make([]byte, 8), 0xff, 0xff, 0xff, 0xff)},
		"time falls":      TimeView{Bytes: append([]byte{0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0}, make([]byte, 12)...)},
		"txn length":      TxnView{Bytes: make([]byte, 33)},
		"txn base":        TxnView{Base: 5, Bytes: make([]byte, 34)},
		"txn version":     TxnView{Bytes: append([]byte{0, 1}, make([]byte, 32)...)},
		"txn old version": TxnView{Bytes: append([]byte{0xff, 0xff}, make([]byte, 32)...)},
	}
	for name, v := range cases {
		if err := v.Check(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What a killed Java broker leaves is not caught here, see doc.go.
	if err := (OffsetView{Base: 5, Bytes: make([]byte, 80)}).Check(); err != nil {
		t.Errorf("a preallocated file: %v", err)
	}
}

// Random appends, truncations and lookups against plain slices.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Int64Range(0, 1<<40).Draw(t, "base")
		x, y, z := NewOffset(base, 1<<20), NewTime(base, 1<<20), NewTxn(base)
		var xs []OffsetEntry
		var ys []TimeEntry
		var zs []AbortedTxn
		next, ts, position := base, int64(0), int32(0)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "op") {
			default:
				next += rapid.Int64Range(0, 5).Draw(t, "gap")
				ts += rapid.Int64Range(-2, 5).Draw(t, "later")
				position += rapid.Int32Range(1, 5000).Draw(t, "size")
				if x.Append(next, position) == nil {
					xs = append(xs, OffsetEntry{next, position})
				}
				if n := len(ys); ts > NoTimestamp && (n == 0 || ts > ys[n-1].Timestamp) {
					ys = append(ys, TimeEntry{ts, next})
				}
				if err := y.Append(ts, next, false); err != nil {
					t.Fatal(err)
				}
				if a := (AbortedTxn{ProducerID: ts, First: next - 1, Last: next, LastStable: next + 1}); z.Append(a) == nil {
					zs = append(zs, a)
				}
				next++
			case 0:
				to := rapid.Int64Range(base, next).Draw(t, "to")
				x.Truncate(to)
				y.Truncate(to)
				z.Truncate(to)
				xs = keep(xs, func(e OffsetEntry) bool { return e.Offset < to })
				ys = keep(ys, func(e TimeEntry) bool { return e.Offset < to })
				zs = keep(zs, func(a AbortedTxn) bool { return a.Last < to })
				next = to
				ts = NoTimestamp
				if n := len(ys); n > 0 {
					ts = ys[n-1].Timestamp
				}
			}
			wantX, wantY := OffsetEntry{base, 0}, TimeEntry{NoTimestamp, base}
			at := rapid.Int64Range(base-1, next+1).Draw(t, "at")
			for _, e := range xs {
				if e.Offset <= at {
					wantX = e
				}
			}
			for _, e := range ys {
				if e.Timestamp <= ts-1 {
					wantY = e
				}
			}
			if got := x.View().Lookup(at); got != wantX {
				t.Fatalf("offset lookup %d: %v, want %v", at, got, wantX)
			}
			if got := y.View().Lookup(ts - 1); got != wantY {
				t.Fatalf("time lookup %d: %v, want %v", ts-1, got, wantY)
			}
			if x.View().Len() != len(xs) || y.View().Len() != len(ys) || z.View().Len() != len(zs) {
				t.Fatalf("lengths %d %d %d, want %d %d %d", x.View().Len(), y.View().Len(), z.View().Len(), len(xs), len(ys), len(zs))
			}
			for i, a := range zs {
				if z.View().Entry(i) != a {
					t.Fatalf("abort %d: %v, want %v", i, z.View().Entry(i), a)
				}
			}
		}
	})
}

func keep[E any](s []E, f func(E) bool) (out []E) {
	for _, e := range s {
		if f(e) {
			out = append(out, e)
		}
	}
	return out
}

// A reader's view stays what it was while the writer appends and truncates. The race detector watches too.
func TestViewStays(t *testing.T) {
	x := NewOffset(0, 1<<20)
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v := x.View()
				for i := range v.Len() {
					if e := v.Entry(i); e.Offset != int64(i) && e.Offset != int64(i)+1000 {
						t.Errorf("entry %d is %v", i, e)
						return
					}
				}
			}
		})
	}
	for range 50 {
		for i := range int64(40) {
			if err := x.Append(i, 1); err != nil {
				t.Fatal(err)
			}
		}
		x.Truncate(20)
		for i := range int64(20) {
			if err := x.Append(1020+i, 1); err != nil {
				t.Fatal(err)
			}
		}
		x.Reset()
	}
	close(stop)
	readers.Wait()
}

// No bytes make a lookup panic, or leave the file.
func FuzzViews(f *testing.F) {
	for _, name := range []string{"segments-0.index", "segments-0.timeindex", "txn-06.txnindex"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, int64(0), int64(20))
	}
	f.Fuzz(func(t *testing.T, b []byte, base, at int64) {
		o := OffsetView{Base: base, Bytes: b}
		_, _ = o.Check(), o.Last()
		if e := o.Lookup(at); e.Position < 0 {
			t.Fatal("a position before the file")
		}
		o.AtPosition(at)
		tv := TimeView{Base: base, Bytes: b}
		_, _, _ = tv.Check(), tv.Lookup(at), tv.Last()
		x := TxnView{Base: base, Bytes: b}
		if got, _ := x.Collect(nil, at, at+10); len(got) > x.Len() {
			t.Fatal("more than there are")
		}
		if y, err := LoadTxn(base, bytes.Clone(b)); err == nil {
			y.Truncate(at)
		}
		if y, err := LoadOffset(base, len(b), bytes.Clone(b)); err == nil {
			y.Truncate(at)
			_ = y.Append(at, 0)
		}
		if y, err := LoadTime(base, len(b), bytes.Clone(b)); err == nil {
			y.Truncate(at)
			_ = y.Append(at, at, true)
		}
	})
}

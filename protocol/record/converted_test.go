package record

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"barnabas/protocol/record/codec"
)

// largeLog is some megabytes of batches of every codec that can be converted, of which some are large, with a marker now and then.
func largeLog(t testing.TB) (log []byte, records int) {
	codecs := []codec.Type{codec.None, codec.Gzip, codec.Snappy, codec.LZ4}
	for i := range 200 {
		size, base := 1+i%7*300, int64(10*records)
		var list []rec2
		for k := range 1 + i%50 {
			list = append(list, rec2{base + int64(k), now + int64(k), []byte("key"), bytes.Repeat([]byte{byte(i), byte(k)}, size), nil})
		}
		log = append(log, stored(t, BatchSpec{BaseOffset: base, Codec: codecs[i%len(codecs)]}, list...)...)
		records += len(list)
		if i%10 == 0 {
			marker := EndTxnMarker{Commit: true}.Batch(1, 0, now)
			marker.SetBaseOffset(int64(10*records) + 1000)
			log = append(log, marker...)
		}
	}
	return log, records
}

// What is converted piece by piece is what is converted entry by entry, and no more of it is in memory than a piece.
func TestConvertedPieceByPiece(t *testing.T) {
	log, records := largeLog(t)
	var want []byte
	for rest := log; len(rest) > 0; {
		entry, next, err := Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		if want, err = downEntry(want, entry, 1, 0); err != nil {
			t.Fatal(err)
		}
		rest = next
	}
	if n := len(oldConsumer(t, want, 1)); n != records || len(want) < 2<<20 {
		t.Fatalf("%d records in %d bytes", n, len(want))
	}
	for _, forget := range []bool{false, true} {
		c, err := NewConverted(bytes.NewReader(log), len(log), 1, 0, math.MaxInt, nil)
		if err != nil {
			t.Fatal(err)
		}
		if first := c.Holds(); first > 10_000 || first == 0 {
			t.Errorf("the first of %d bytes takes %d", len(log), first)
		}
		if forget {
			if c.Forget(); c.Holds() != 0 {
				t.Errorf("%d bytes are not forgotten", c.Holds())
			}
		}
		got, most := taken(t, c)
		if len(got) != len(log) {
			t.Errorf("%d bytes of %d", len(got), len(log))
		}
		if same := min(len(got), len(want)); !bytes.Equal(got[:same], want[:same]) {
			t.Error("other bytes")
		}
		if most > 1<<20 {
			t.Errorf("%d bytes are held at a time", most)
		}
		if c.Holds() != 0 {
			t.Errorf("%d bytes are held in the end", c.Holds())
		}
	}
}

// taken takes all pieces, and looks at how much is held at most.
func taken(t *testing.T, c *Converted) (all []byte, most int) {
	t.Helper()
	for {
		piece, err := c.Next()
		if err == io.EOF {
			return all, most
		}
		if err != nil || len(piece) == 0 {
			t.Fatalf("%d bytes, %v", len(piece), err)
		}
		all = append(all, piece...)
		most = max(most, c.Holds())
	}
}

// An entry that cannot be converted ends the conversion where it is, also within a piece: what is behind it must not follow what was
// before it.
func TestConversionEndsAtTheFirstThatFails(t *testing.T) {
	one := func(at int64, c codec.Type) []byte {
		return stored(t, BatchSpec{BaseOffset: at, Codec: c}, rec2{at, now, nil, []byte("value"), nil})
	}
	bad := one(3, codec.Gzip)
	bad[75] ^= 0xff
	for name, fails := range map[string][]byte{"zstd": one(3, codec.Zstd), "damaged": bad} {
		in := concat(one(0, 0), one(1, 0), one(2, 0), fails, one(4, 0))
		out, err := Down(in, 1, 0, 5000)
		if err != nil || len(out) != 5000 {
			t.Fatalf("%s: %d bytes, %v", name, len(out), err)
		}
		if got := oldConsumer(t, out, 1); len(got) != 3 || got[2].Offset != 2 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// failing fails behind some bytes.
type failing struct {
	io.ReaderAt
	from int64
}

func (f failing) ReadAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) > f.from {
		return 0, io.ErrClosedPipe
	}
	return f.ReaderAt.ReadAt(b, at)
}

// A disk that fails is told of as it is, before the answer has begun and within it.
func TestConversionOfWhatCannotBeRead(t *testing.T) {
	log, _ := largeLog(t)
	if _, err := NewConverted(failing{bytes.NewReader(log), 100}, len(log), 1, 0, math.MaxInt, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	c, err := NewConverted(failing{bytes.NewReader(log), 500_000}, len(log), 1, 0, math.MaxInt, nil)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := c.Next(); err != nil {
			if !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
			break
		}
	}
	if c.Release(); c.Holds() != 0 {
		t.Errorf("%d bytes are held in the end", c.Holds())
	}
}

// queue has everybody wait for their turn, but the first time.
type queue struct {
	t     *testing.T
	c     *Converted
	turns int
	open  bool // a turn is under way
	over  error
}

func (q *queue) Begin(waits func()) error {
	if q.open {
		q.t.Error("a turn within a turn")
	}
	if q.turns++; q.turns > 1 {
		if waits(); q.c.Holds() != 0 {
			q.t.Errorf("%d bytes are held while it waits", q.c.Holds())
		}
	}
	q.open = q.over == nil
	return q.over
}

func (q *queue) End() { q.open = false }

// Who waits for a turn lets go of what it holds, and goes on where it was.
func TestConversionGoesOnAfterItsTurn(t *testing.T) {
	log, _ := largeLog(t)
	q := &queue{t: t}
	c, err := NewConverted(bytes.NewReader(log), len(log), 1, 0, math.MaxInt, q)
	if q.c = c; err != nil {
		t.Fatal(err)
	}
	got, _ := taken(t, c)
	want, err := Down(log, 1, 0, len(log))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
	}
	if q.turns < 3 || q.open {
		t.Errorf("%d turns, one is open: %v", q.turns, q.open)
	}

	q = &queue{t: t}
	if q.c, err = NewConverted(bytes.NewReader(log), len(log), 1, 0, math.MaxInt, q); err != nil {
		t.Fatal(err)
	}
	q.c.Forget()
	q.over = io.ErrClosedPipe
	if _, err := q.c.Next(); err != io.ErrClosedPipe || q.c.Holds() != 0 {
		t.Errorf("without a turn: %v, %d bytes are held", err, q.c.Holds())
	}
	if _, err := NewConverted(bytes.NewReader(log), len(log), 1, 0, math.MaxInt, q); err != io.ErrClosedPipe {
		t.Errorf("without a turn: %v", err)
	}
}

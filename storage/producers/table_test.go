package producers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"barnabas/protocol/record"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// batch is the header of a v2 batch; the table looks no further into data.
type batch struct {
	id      int64
	epoch   int16
	seq     int32
	offset  int64
	count   int32
	ts      int64
	txn     bool
	marker  string // "commit" or "abort"
	coEpoch int32
}

func (s batch) bytes() record.Batch {
	b := make(record.Batch, record.BatchOverhead)
	put := binary.BigEndian
	b.SetBaseOffset(s.offset)
	b[16] = 2
	count := max(s.count, 1)
	attrs := int16(0)
	if s.txn || s.marker != "" {
		attrs |= record.AttrTransactional
	}
	seq := s.seq
	if s.marker != "" {
		attrs |= record.AttrControl
		seq = None
		kind := byte(record.Abort)
		if s.marker == "commit" {
			kind = byte(record.Commit)
		}
		// length, attributes, timestamp and offset deltas, key, value, no headers
		rec := []byte{0, 0, 0, 4 << 1, 0, 0, 0, kind, 6 << 1, 0, 0, 0, 0, 0, 0, 0}
		put.PutUint32(rec[11:], uint32(s.coEpoch))
		b = append(append(b, byte(len(rec)<<1)), rec...)
	}
	b.SetAttributes(attrs)
	put.PutUint32(b[8:], uint32(len(b)-record.LogOverhead))
	put.PutUint32(b[23:], uint32(count-1))
	put.PutUint64(b[27:], uint64(s.ts))
	b.SetMaxTimestamp(s.ts)
	put.PutUint64(b[43:], uint64(s.id))
	put.PutUint16(b[51:], uint16(s.epoch))
	put.PutUint32(b[53:], uint32(seq))
	put.PutUint32(b[57:], uint32(count))
	b.Seal()
	return b
}

// fataler is a testing.TB or a rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func update(t fataler, table *Table, s batch) (Completed, bool) {
	t.Helper()
	c, ended, err := table.Update(s.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return c, ended
}

func TestSequences(t *testing.T) {
	var table Table
	update(t, &table, batch{id: 1, epoch: 3, seq: 10, count: 5, offset: 100})                // 10..14
	update(t, &table, batch{id: 1, epoch: 3, seq: 15, count: 1, offset: 105})                // 15
	update(t, &table, batch{id: 2, epoch: 0, seq: math.MaxInt32 - 1, count: 2, offset: 106}) // the last two there are
	update(t, &table, batch{id: 3, epoch: 1, seq: 4, txn: true, offset: 108})
	for _, c := range []struct {
		name   string
		batch  batch
		client bool
		dup    int64 // first offset of the stored batch
		err    *kerr.Error
	}{
		{"next", batch{id: 1, epoch: 3, seq: 16}, true, None, nil},
		{"gap", batch{id: 1, epoch: 3, seq: 17}, true, None, kerr.OutOfOrderSequenceNumber},
		{"old", batch{id: 1, epoch: 3, seq: 9}, true, None, kerr.OutOfOrderSequenceNumber},
		{"retry of the last", batch{id: 1, epoch: 3, seq: 15}, true, 105, nil},
		{"retry of an older one", batch{id: 1, epoch: 3, seq: 10, count: 5}, true, 100, nil},
		{"part of an older one", batch{id: 1, epoch: 3, seq: 10, count: 4}, true, None, kerr.OutOfOrderSequenceNumber},
		{"new epoch from 0", batch{id: 1, epoch: 4, seq: 0}, true, None, nil},
		{"new epoch from 1", batch{id: 1, epoch: 4, seq: 1}, true, None, kerr.OutOfOrderSequenceNumber},
		{"old epoch", batch{id: 1, epoch: 2, seq: 16}, true, None, kerr.InvalidProducerEpoch},
		{"wrapped", batch{id: 2, epoch: 0, seq: 0}, true, None, nil},
		{"wrapped too far", batch{id: 2, epoch: 0, seq: 1}, true, None, kerr.OutOfOrderSequenceNumber},
		{"unknown producer, any sequence", batch{id: 9, epoch: 7, seq: 1234}, true, None, nil},
		{"coordinators have no sequences", batch{id: 1, epoch: 3, seq: 500}, false, None, nil},
		{"outside its transaction", batch{id: 3, epoch: 1, seq: 5}, true, None, kerr.InvalidTxnState},
		{"inside", batch{id: 3, epoch: 1, seq: 5, txn: true}, true, None, nil},
		{"marker", batch{id: 3, epoch: 1, marker: "abort"}, false, None, nil},
		{"marker of an old epoch", batch{id: 3, epoch: 0, marker: "abort"}, false, None, kerr.InvalidProducerEpoch},
		{"marker of nobody", batch{id: 77, epoch: 0, marker: "commit"}, false, None, nil},
		{"no producer id", batch{id: None, epoch: None, seq: None}, true, None, nil},
	} {
		stored, dup, err := table.Check(c.batch.bytes(), c.client)
		if dup != (c.dup != None) || dup && stored.FirstOffset() != c.dup {
			t.Errorf("%s: duplicate %v %v", c.name, dup, stored)
		}
		if c.err == nil && err != nil || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
}

// Only the last five batches are told from a gap.
func TestFiveBatches(t *testing.T) {
	var table Table
	for i := range int32(7) {
		update(t, &table, batch{id: 1, seq: i, offset: int64(i)})
	}
	for i := range int32(7) {
		_, dup, err := table.Check(batch{id: 1, seq: i}.bytes(), true)
		if want := i >= 2; dup != want || (err == nil) != want {
			t.Errorf("sequence %d: duplicate %v, %v", i, dup, err)
		}
	}
}

func TestTransactions(t *testing.T) {
	var table Table
	unstable := func(want int64) {
		t.Helper()
		got, ok := table.FirstUnstable()
		if !ok {
			got = None
		}
		if got != want {
			t.Errorf("first unstable offset %d, want %d", got, want)
		}
	}
	unstable(None)
	update(t, &table, batch{id: 1, seq: 0, txn: true, offset: 10})
	update(t, &table, batch{id: 2, seq: 0, txn: true, offset: 12})
	update(t, &table, batch{id: 1, seq: 1, txn: true, offset: 13})
	unstable(10)
	c, ended := update(t, &table, batch{id: 1, marker: "abort", coEpoch: 4, offset: 15, ts: 99})
	if want := (Completed{ProducerID: 1, First: 10, Last: 15, Aborted: true, LastStable: 12}); !ended || c != want {
		t.Errorf("completed %+v %v, want %+v", c, ended, want)
	}
	unstable(10) // the marker is not replicated
	table.Replicated(15)
	unstable(10)
	table.Replicated(16)
	unstable(12)
	c, ended = update(t, &table, batch{id: 2, epoch: 1, marker: "commit", offset: 16})
	if want := (Completed{ProducerID: 2, First: 12, Last: 16, LastStable: 17}); !ended || c != want {
		t.Errorf("completed %+v %v, want %+v", c, ended, want)
	}
	if _, open := table.FirstOpen(); open {
		t.Error("a transaction is still open")
	}
	unstable(12)
	table.Replicated(17)
	unstable(None)

	if _, ended := update(t, &table, batch{id: 1, marker: "commit", coEpoch: 5, offset: 17}); ended {
		t.Error("a marker without a transaction ended one")
	}
	if s := table.Get(1); s.CoordinatorEpoch != 5 || len(s.Batches()) != 2 {
		t.Errorf("a marker of the same epoch leaves the batches: %+v", s)
	}
	if s := table.Get(2); s.Epoch != 1 || len(s.Batches()) != 0 {
		t.Errorf("a marker of a new epoch drops them: %+v", s)
	}
	_, _, err := table.Check(batch{id: 1, marker: "abort", coEpoch: 4}.bytes(), false)
	if !errors.Is(err, kerr.TransactionCoordinatorFenced) {
		t.Errorf("a zombie coordinator: %v", err)
	}
}

// KIP-890: the transaction of the first batch is verified with the coordinator while later batches already knock.
func TestVerification(t *testing.T) {
	var table Table
	given := Guard(0)
	next := func() Guard { given++; return given }
	g := table.Verify(1, 0, 5, 1000, next)
	if g == 0 || table.Verify(1, 0, 7, 1000, next) != g {
		t.Fatal("a second batch joins the verification")
	}
	if table.Verified(1, 0) || !table.Verified(1, g) {
		t.Error("only the guard verifies")
	}
	if _, _, err := table.Check(batch{id: 1, seq: 7, txn: true}.bytes(), true); !errors.Is(err, kerr.OutOfOrderSequenceNumber) {
		t.Errorf("the second batch overtakes: %v", err)
	}
	if _, _, err := table.Check(batch{id: 1, seq: 5, txn: true}.bytes(), true); err != nil {
		t.Errorf("the first batch: %v", err)
	}
	update(t, &table, batch{id: 1, seq: 5, txn: true, offset: 1})
	if !table.Verified(1, 0) || table.Verify(1, 0, 6, 1000, next) != 0 {
		t.Error("an open transaction needs no guard")
	}
	update(t, &table, batch{id: 1, marker: "abort", offset: 2})
	if table.Verified(1, g) {
		t.Error("the guard outlived the transaction")
	}
	// A marker that comes while the coordinator's answer is on its way makes that answer void.
	g = table.Verify(1, 0, 6, 1000, next)
	update(t, &table, batch{id: 1, marker: "abort", offset: 3})
	if table.Verified(1, g) {
		t.Error("the guard outlived a marker")
	}
	g = table.Verify(1, 0, 6, 1000, next)
	table.Expire(2000, 1000)
	if table.Verified(1, g) {
		t.Error("the guard does not expire")
	}
}

func TestExpire(t *testing.T) {
	var table Table
	update(t, &table, batch{id: 1, ts: 1000})
	update(t, &table, batch{id: 2, ts: 1000, txn: true, offset: 1})
	update(t, &table, batch{id: 3, ts: 1001, offset: 2})
	if n := table.Expire(2000, 1000); n != 1 || table.Get(1) != nil {
		t.Errorf("%d expired", n)
	}
	var again Table
	again.Load(table.States(), 2001, 1000)
	if again.Len() != 1 || !again.InTransaction(2) {
		t.Errorf("loaded %v", again.States())
	}
	if first, ok := again.FirstUnstable(); first != 1 || !ok {
		t.Errorf("the open transaction of the snapshot begins at %d %v", first, ok)
	}
}

var unexported = cmp.AllowUnexported(State{})

// Replaying a Java broker's log gives its snapshots: the table at every roll and at the clean stop.
func TestReplayOfJava(t *testing.T) {
	var table Table
	segments := []string{"00", "06", "31", "33", "44"}
	for i, base := range segments[:4] {
		for b := golden(t, "txn-"+base+".log"); len(b) > 0; {
			size := record.LogOverhead + int(binary.BigEndian.Uint32(b[8:]))
			if _, _, err := table.Update(record.Batch(b[:size])); err != nil {
				t.Fatal(err)
			}
			b = b[size:]
		}
		file := golden(t, "txn-"+segments[i+1]+".snapshot")
		want, err := DecodeSnapshot(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeSnapshot(table.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		byID := cmpopts.SortSlices(func(a, b State) bool { return a.ID < b.ID })
		if diff := cmp.Diff(want, got, unexported, byID); diff != "" {
			t.Errorf("at offset %s: -java +barnabas\n%s", segments[i+1], diff)
		}
		if len(file) != len(table.Snapshot()) {
			t.Errorf("at offset %s: %d bytes, Java has %d", segments[i+1], len(table.Snapshot()), len(file))
		}
		if again := EncodeSnapshot(want); string(again) != string(file) {
			t.Errorf("at offset %s: encoding what was decoded changes it", segments[i+1])
		}
	}
}

func TestSnapshotRefused(t *testing.T) {
	good := golden(t, "txn-44.snapshot")
	for name, spoil := range map[string]func(b []byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"short":   func(b []byte) []byte { return b[:len(b)-1] },
		"version": func(b []byte) []byte { b[1] = 2; return b },
		"bit":     func(b []byte) []byte { b[60] ^= 1; return b },
		"header":  func(b []byte) []byte { return b[:9] },
	} {
		if _, err := DecodeSnapshot(spoil(slices.Clone(good))); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b := new(Table).Snapshot(); len(b) != 10 {
		t.Errorf("the empty snapshot has %d bytes", len(b))
	}
}

// The model keeps every batch and marker and answers from the whole history.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table
		var history []batch
		next, replicated := int64(0), int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			b := batch{
				id: rapid.Int64Range(1, 3).Draw(t, "id"), epoch: rapid.Int16Range(0, 2).Draw(t, "epoch"),
				seq: rapid.Int32Range(0, 12).Draw(t, "seq"), count: rapid.Int32Range(1, 3).Draw(t, "count"),
				txn: rapid.Bool().Draw(t, "txn"), offset: next, ts: next,
			}
			if rapid.IntRange(0, 3).Draw(t, "marker") == 0 {
				b.marker, b.count, b.seq = rapid.SampledFrom([]string{"commit", "abort"}).Draw(t, "kind"), 1, 0
			}
			wantDup, wantErr := verdict(history, b)
			stored, dup, err := table.Check(b.bytes(), b.marker == "")
			if dup != (wantDup != nil) || dup && stored.FirstOffset() != wantDup.offset || !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
				t.Fatalf("%+v: %v %v %v, want %v %v", b, stored, dup, err, wantDup, wantErr)
			}
			if err == nil && !dup {
				update(t, &table, b)
				history = append(history, b)
				next += int64(b.count)
			}
			replicated = rapid.Int64Range(replicated, next).Draw(t, "high watermark")
			table.Replicated(replicated)
			got, ok := table.FirstUnstable()
			if !ok {
				got = next
			}
			if want := firstUnstable(history, replicated, next); got != want {
				t.Fatalf("first unstable %d, want %d: %+v", got, want, history)
			}
			// A restart forgets all but the last batch, and nothing that decides over the next one.
			states, err := DecodeSnapshot(table.Snapshot())
			if err != nil || len(states) != table.Len() {
				t.Fatalf("snapshot: %v", err)
			}
			for _, s := range states {
				mine := table.Get(s.ID)
				wantLast, _ := mine.Last()
				gotLast, _ := s.Last()
				// The file has one timestamp a producer: that of its last marker, if one came later.
				wantLast.Timestamp, gotLast.Timestamp = 0, 0
				if s.Epoch != mine.Epoch || s.TxnFirst != mine.TxnFirst || s.CoordinatorEpoch != mine.CoordinatorEpoch || gotLast != wantLast {
					t.Fatalf("snapshot has %+v, the table %+v", s, mine)
				}
			}
		}
	})
}

// verdict decides over a batch from all that was accepted before it.
func verdict(history []batch, b batch) (dup *batch, err error) {
	var epochs []batch // data and markers of the producer
	for _, h := range history {
		if h.id == b.id {
			epochs = append(epochs, h)
		}
	}
	if len(epochs) == 0 {
		return nil, nil
	}
	epoch := epochs[len(epochs)-1].epoch
	var data []batch // of the current epoch
	inTxn := false
	for _, h := range epochs {
		inTxn = h.marker == "" && (inTxn || h.txn)
		if h.epoch == epoch && h.marker == "" {
			data = append(data, h)
		}
	}
	if b.marker == "" && b.epoch == epoch {
		for _, h := range data[max(0, len(data)-5):] {
			if h.seq == b.seq && h.count == b.count {
				return &h, nil
			}
		}
	}
	switch {
	case b.epoch < epoch:
		return nil, kerr.InvalidProducerEpoch
	case b.marker != "":
		return nil, nil
	}
	want := int32(0)
	if b.epoch == epoch && len(data) > 0 {
		want = data[len(data)-1].seq + data[len(data)-1].count
	}
	if b.seq != want {
		return nil, kerr.OutOfOrderSequenceNumber
	}
	if inTxn && !b.txn {
		return nil, kerr.InvalidTxnState
	}
	return nil, nil
}

// firstUnstable is the first offset of the oldest transaction without a marker below the high watermark.
func firstUnstable(history []batch, replicated, end int64) int64 {
	first := end
	for i, h := range history {
		if !h.txn || h.marker != "" {
			continue
		}
		stable := false
		for _, m := range history[i+1:] {
			if m.id == h.id && m.marker != "" {
				stable = m.offset < replicated
				break
			}
		}
		if !stable {
			first = min(first, h.offset)
		}
	}
	return first
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(golden(f, "txn-44.snapshot"))
	f.Add(new(Table).Snapshot())
	f.Fuzz(func(t *testing.T, b []byte) {
		states, err := DecodeSnapshot(b)
		if err != nil {
			return
		}
		again, err := DecodeSnapshot(EncodeSnapshot(states))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(states, again, unexported); diff != "" {
			t.Fatal(diff)
		}
		var table Table
		table.Load(states, 0, math.MaxInt64)
	})
}

func FuzzParseMarker(f *testing.F) {
	f.Add([]byte(batch{marker: "abort"}.bytes()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < record.BatchOverhead {
			return
		}
		_, found, err := ParseMarker(b)
		if err != nil && (found || !errors.Is(err, kerr.CorruptMessage)) {
			t.Fatal(err)
		}
	})
}

func ExampleTable_Check() {
	var table Table
	table.Update(batch{id: 7, seq: 0, count: 3, offset: 40}.bytes())
	stored, dup, _ := table.Check(batch{id: 7, seq: 0, count: 3}.bytes(), true)
	fmt.Println(dup, stored.FirstOffset(), stored.LastOffset)
	// Output: true 40 42
}

package record

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"barnabas/protocol/record/codec"
)

// drawBatch is a batch of magic 2 with the records in it.
func drawBatch(t *rapid.T, tb testing.TB) (Batch, []rec2) {
	base := rapid.Int64Range(0, 1<<40).Draw(t, "base")
	list := drawRecords(t, base, true, true)
	b := Batch(stored(tb, BatchSpec{
		BaseOffset: base, LeaderEpoch: rapid.Int32().Draw(t, "epoch"), Codec: anyCodec.Draw(t, "codec"),
		ProducerID: rapid.Int64().Draw(t, "producer"), ProducerEpoch: rapid.Int16().Draw(t, "producer epoch"),
		BaseSequence: rapid.Int32().Draw(t, "sequence"), Transactional: rapid.Bool().Draw(t, "transactional"),
		Control: rapid.Bool().Draw(t, "control"), LogAppendTime: rapid.Bool().Draw(t, "append time"), MaxTimestamp: 77,
	}, list...))
	if b.IsLogAppendTime() {
		for i := range list {
			list[i].Time = 77
		}
	}
	return b, list
}

// header is what compaction must never change.
type header struct {
	base, last, producer       int64
	leader, sequence           int32
	epoch                      int16
	codec                      int8
	control, txn, appendedTime bool
}

func headerOf(b Batch) header {
	return header{b.BaseOffset(), b.LastOffset(), b.ProducerID(), b.LeaderEpoch(), b.BaseSequence(), b.ProducerEpoch(), b.Codec(),
		b.IsControl(), b.IsTransactional(), b.IsLogAppendTime()}
}

// Whatever stays of a batch is what stays, in a batch of the same header; and a second time as the first.
func TestFilterBatches(t *testing.T) {
	var f Filter
	rapid.Check(t, func(rt *rapid.T) {
		b, list := drawBatch(rt, t)
		for pass := range 3 {
			horizon := rapid.Int64Range(0, 1<<42).Draw(rt, "horizon")
			r := Retention{KeepEmpty: rapid.Bool().Draw(rt, "keep empty"), Horizon: horizon, Stamp: rapid.Bool().Draw(rt, "stamp")}
			var stay []rec2
			tombstone := false
			i := 0
			r.Keep = func(offset int64, rec Record) bool {
				if offset != list[i].Offset || !bytes.Equal(rec.Key, list[i].Key) || (rec.Value == nil) != (list[i].Value == nil) {
					rt.Fatalf("asked about offset %d, key %q: want %+v", offset, rec.Key, list[i])
				}
				keep := rapid.IntRange(0, 3).Draw(rt, "keep") > 0
				if keep {
					stay = append(stay, list[i])
					tombstone = tombstone || rec.Value == nil
				}
				i++
				return keep
			}
			before := bytes.Clone(b)
			front := []byte("front")
			out, n, err := f.Append(front, b, r)
			if err != nil {
				rt.Fatal(err)
			}
			if !bytes.Equal(b, before) || !bytes.HasPrefix(out, front) {
				rt.Fatal("wrote where it should not")
			}
			out = out[len(front):]
			if n.Read != len(list) || n.Kept != len(stay) {
				rt.Fatalf("counted %+v, want %d and %d", n, len(list), len(stay))
			}
			was, had := b.DeleteHorizon()
			next := Batch(out)
			switch {
			case len(stay) == 0 && !r.KeepEmpty:
				if len(out) > 0 {
					rt.Fatalf("%d bytes are left of nothing", len(out))
				}
				return
			case len(stay) == 0:
				want := headerOf(b)
				want.codec = 0
				if err := next.Check(); err != nil || headerOf(next) != want || next.Count() != 0 || len(next) != BatchOverhead ||
					next.MaxTimestamp() != b.MaxTimestamp() || next.BaseTimestamp() != None {
					rt.Fatalf("emptied: %v, %+v of %d records, want %+v", err, headerOf(next), next.Count(), want)
				}
				b, list = bytes.Clone(out), nil
				continue
			case len(stay) == len(list) && (had || !tombstone && !r.Stamp):
				if !bytes.Equal(out, before) {
					rt.Fatal("all stays, and the batch is another")
				}
			}
			if err := next.Check(); err != nil || headerOf(next) != headerOf(b) {
				rt.Fatalf("pass %d: %v, %+v, want %+v", pass, err, headerOf(next), headerOf(b))
			}
			at, has := next.DeleteHorizon()
			switch wants := had || tombstone || r.Stamp; {
			case has != wants:
				rt.Fatalf("delete horizon %v, want %v", has, wants)
			case had && at != was, has && !had && at != horizon:
				rt.Fatalf("delete horizon %d, was %d (%v), asked for %d", at, was, had, horizon)
			}
			newest := int64(None)
			for _, rec := range stay {
				newest = max(newest, rec.Time)
			}
			if len(stay) < len(list) && next.MaxTimestamp() != newest {
				rt.Fatalf("largest timestamp %d, want %d", next.MaxTimestamp(), newest)
			}
			if d := diffRecords(stay, recordsOf(t, next)); d != "" {
				rt.Fatal(d)
			}
			b, list = bytes.Clone(out), stay
		}
	})
}

// The same of what was written before there were batches, alone and in wrappers.
func TestFilterMessages(t *testing.T) {
	var f Filter
	rapid.Check(t, func(rt *rapid.T) {
		magic := int8(rapid.IntRange(0, 1).Draw(rt, "magic"))
		c := oldCodec.Draw(rt, "codec")
		stamped := magic == 1 && rapid.Bool().Draw(rt, "append time")
		list := drawRecords(rt, rapid.Int64Range(1, 1<<40).Draw(rt, "base"), true, false)
		if c == codec.None {
			list = list[:1]
		}
		d := newDowner(nil, magic, c, stamped, 55)
		for i := range list {
			switch {
			case magic == 0:
				list[i].Time = None
			case stamped:
				list[i].Time = 55
			}
			d.add(list[i].Offset, list[i].Time, list[i].Key, list[i].Value)
		}
		entry, err := d.done()
		if err != nil {
			rt.Fatal(err)
		}
		d.close()
		var stay []rec2
		i := 0
		out, n, err := f.Append(nil, entry, Retention{KeepEmpty: true, Stamp: true, Keep: func(offset int64, r Record) bool {
			keep := rapid.IntRange(0, 2).Draw(rt, "keep") > 0
			if offset != list[i].Offset || !bytes.Equal(r.Key, list[i].Key) {
				rt.Fatalf("asked about %d %q, want %+v", offset, r.Key, list[i])
			}
			if keep {
				stay = append(stay, list[i])
			}
			i++
			return keep
		}})
		if err != nil || n.Read != len(list) || n.Kept != len(stay) {
			rt.Fatalf("%+v %v", n, err)
		}
		if len(stay) == len(list) && !bytes.Equal(out, entry) {
			rt.Fatal("all stays, and the entry is another")
		}
		if len(stay) == 0 {
			if len(out) > 0 {
				rt.Fatal("something is left of nothing")
			}
			return
		}
		m := message(out)
		if m.magic() != magic || m.codec() != c || m.crc() != m.sumCRC() || m.offset() != stay[len(stay)-1].Offset {
			rt.Fatalf("left is %v", plain(m))
		}
		// The timestamps too, by the reader that fetches use.
		messages, buf, err := f.messages(m)
		defer buf.giveBack()
		if err != nil || len(messages) != len(stay) {
			rt.Fatalf("%d messages, want %d: %v", len(messages), len(stay), err)
		}
		for i, in := range messages {
			key, value, _ := in.parts()
			if got := (rec2{Offset: in.offset, Time: in.time, Key: key, Value: value}); diffRecords([]rec2{stay[i]}, []rec2{got}) != "" {
				rt.Fatalf("message %d: %+v, want %+v", i, got, stay[i])
			}
		}
	})
}

// A wrapper whose messages are of another magic, which brokers once wrote (KAFKA-4298), is put right.
func TestFilterMendsMixedMagic(t *testing.T) {
	inside := concat(legacy(0, 8, 0, 0, []byte("a"), []byte("1")), legacy(0, 9, 0, 0, []byte("b"), nil))
	entry := wrap(t, 1, 9, 123, codec.Gzip, 0, inside)
	var f Filter
	out, n, err := f.Append(nil, entry, Retention{Keep: func(int64, Record) bool { return true }})
	if err != nil || n.Kept != 2 {
		t.Fatal(n, err)
	}
	list, buf, err := f.messages(message(out))
	defer buf.giveBack()
	if err != nil || len(list) != 2 || list[0].magic() != 1 || list[1].magic() != 1 || list[0].offset+1 != list[1].offset || list[1].offset != 9 {
		t.Fatalf("%v %v", list, err)
	}
}

func TestFilterRefusesDamage(t *testing.T) {
	var f Filter
	keep := Retention{Keep: func(int64, Record) bool { return true }}
	cut := Batch(stored(t, BatchSpec{Codec: codec.Gzip}, rec2{Offset: 0, Value: bytes.Repeat([]byte("x"), 100)}))
	for i := range cut[BatchOverhead:] {
		cut[BatchOverhead+i] = 0xff
	}
	for name, entry := range map[string][]byte{
		"compression":                  cut,
		"a record beyond the batch":    Batch(stored(t, BatchSpec{}, rec2{Value: []byte("x")}))[:BatchOverhead+3],
		"a wrapper without a value":    legacy(1, 3, 4, int8(codec.Gzip), nil, nil),
		"a wrapper of nothing":         wrap(t, 1, 3, 4, codec.Gzip, 0, nil),
		"a wrapper in a wrapper":       wrap(t, 1, 3, 4, codec.Gzip, 0, wrap(t, 1, 3, 4, codec.Gzip, 0, legacy(1, 0, 0, 0, nil, nil))),
		"lengths beyond the message":   append(legacy(1, 3, 4, 0, nil, nil)[:offMessageKeyV1], 0, 0, 1, 0, 0, 0, 0, 0),
		"a codec that magic 1 has not": legacy(1, 3, 4, int8(codec.Zstd), nil, []byte("x")),
	} {
		out, _, err := f.Append([]byte("front"), entry, keep)
		if !errors.Is(err, ErrCorrupt) || string(out) != "front" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		if err := f.Each(entry, func(int64, Record) error { return nil }); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: walked, %v", name, err)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for i, s := range seeds(f) {
		f.Add(s, uint64(i), int64(i)*1000, true, i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, mask uint64, horizon int64, seal, empty bool) {
		b = bytes.Clone(b)
		if seal {
			reseal(b)
		}
		entry, _, err := Next(b)
		if err != nil {
			return
		}
		var x Filter
		i, kept := 0, 0
		r := Retention{Horizon: horizon, KeepEmpty: empty, Keep: func(int64, Record) bool {
			keep := mask>>(i%64)&1 == 1
			i++
			if keep {
				kept++
			}
			return keep
		}}
		out, n, err := x.Append(nil, entry, r)
		if err != nil {
			if len(out) > 0 {
				t.Fatalf("%d bytes and %v", len(out), err)
			}
			return
		}
		if len(out) == 0 {
			if kept > 0 {
				t.Fatalf("%d records are kept and nothing is left", kept)
			}
			return
		}
		next, rest, err := Next(out)
		if err != nil || len(rest) > 0 || next[offMagic] != entry[offMagic] {
			t.Fatalf("left is no entry: %v", err)
		}
		left := 0
		if err := x.Each(next, func(int64, Record) error { left++; return nil }); err != nil || left != n.Kept {
			t.Fatalf("%d records are left, want %d: %v", left, n.Kept, err)
		}
	})
}

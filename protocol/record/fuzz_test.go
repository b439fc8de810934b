package record

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

// seeds are entries of every kind, whole logs, and what the tests refuse.
func seeds(f *testing.F) [][]byte {
	f.Helper()
	var list [][]byte
	for _, name := range goldenLogs {
		b, err := os.ReadFile(filepath.Join("testdata", name+".log"))
		if err != nil {
			f.Fatal(err)
		}
		entry, _, err := Next(b)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, entry)
	}
	one := legacy(1, 0, now, 0, []byte("k"), []byte("v"))
	for _, c := range []codec.Type{codec.None, codec.Gzip, codec.Snappy, codec.LZ4, codec.Zstd} {
		list = append(list, sent(f, c))
		if c != codec.None && c != codec.Zstd {
			list = append(list, wrap(f, 1, 0, now, c, 0, one), wrap(f, 0, 0, 0, c, 0, legacy(0, 0, 0, 0, nil, []byte("v"))))
		}
	}
	return append(list, one, concat(one, one), concat(sent(f, codec.None), one), withFlag(f, codec.LZ4), EndTxnMarker{}.Batch(1, 2, 3),
		withRecords(f, codec.Snappy, 1, bytes.Repeat([]byte{0xff}, 40)), nil)
}

// reseal makes the CRCs of mutated entries right, so that the fuzzer gets behind them.
func reseal(b []byte) {
	for {
		entry, rest, err := Next(b)
		if err != nil {
			return
		}
		if entry[offMagic] == magicV2 {
			Batch(entry).Seal()
		} else {
			sealMessage(entry)
		}
		b = rest
	}
}

func FuzzNext(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		for n := 0; ; n++ {
			entry, rest, err := Next(b)
			if err != nil {
				if (errors.Is(err, ErrShort) == errors.Is(err, ErrCorrupt)) || len(rest) != len(b) || entry != nil {
					t.Fatalf("%v with %d of %d bytes left", err, len(rest), len(b))
				}
				return
			}
			if len(entry)+len(rest) != len(b) || len(entry) < LogOverhead+minEntrySize {
				t.Fatalf("%d and %d of %d bytes", len(entry), len(rest), len(b))
			}
			if entry[offMagic] == magicV2 {
				batch := Batch(entry)
				batch.Seal()
				if err := batch.Check(); err != nil {
					t.Fatal(err)
				}
				_ = batch.LastSequence()
				_ = batch.Each(1<<20, func(r Record) error {
					_, _ = ParseControlKey(r.Key)
					_, _ = ParseEndTxnMarker(r.Key, r.Value)
					return nil
				})
			} else {
				_, _, _ = message(entry).parts()
				_ = plain(entry).String()
			}
			b = rest
		}
	})
}

func FuzzValidate(f *testing.F) {
	for i, s := range seeds(f) {
		f.Add(s, int16(i%12), uint8(i), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, version int16, options uint8, seal bool) {
		b = bytes.Clone(b) // the fuzzer's own
		if seal {
			reseal(b)
		}
		rules := plainRules()
		rules.Version = version
		rules.Target = codec.Type(options % 5)
		rules.KeepCodec = options&8 != 0
		rules.LogAppendTime = options&16 != 0
		rules.Compacted = options&32 != 0
		if options&64 != 0 {
			rules.BeforeMax, rules.AfterMax = 1000, math.MaxInt64
		}
		before := bytes.Clone(b)
		v, err := Validate(b, rules)
		if err != nil {
			var r *Rejected
			var k *kerr.Error
			if !errors.As(err, &r) || !errors.As(err, &k) || r.Err == nil || v.Batch != nil || !bytes.Equal(b, before) {
				t.Fatalf("%v, %+v", err, v)
			}
			return
		}
		if v.Batch == nil {
			if version >= 3 || v.Records != 0 {
				t.Fatalf("nothing: %+v", v)
			}
			return
		}
		if err := v.Batch.Check(); err != nil {
			t.Fatal(err)
		}
		if v.Records != v.Batch.Count() || v.Batch.LastOffsetDelta() != v.Records-1 || v.MaxTimestamp != v.Batch.MaxTimestamp() ||
			v.Batch.BaseOffset() != 0 || len(v.Batch) > rules.MaxBytes || v.Batch.IsControl() || v.Batch.IsLogAppendTime() != rules.LogAppendTime {
			t.Fatalf("%+v", v)
		}
		// What has been accepted is accepted again, and not changed any more, unless LogAppendTime is in it: flagged
		// batches are refused, and one that loses the flag keeps a maximum that is not its records'.
		if again := bytes.Clone(v.Batch); !rules.LogAppendTime && before[offAttributes+1]&byte(AttrLogAppendTime) == 0 {
			rules.Version = 9
			w, err := Validate(again, rules)
			if err != nil || rules.KeepCodec && !bytes.Equal(w.Batch, v.Batch) {
				t.Fatalf("the second time: %v", err)
			}
		}
	})
}

// The walk in one piece and the walk of a stream give the same verdict on the same bytes.
func FuzzPieces(f *testing.F) {
	for _, s := range seeds(f) {
		if len(s) > BatchOverhead {
			f.Add(s[BatchOverhead:], int32(3), int64(5))
		}
	}
	f.Add(rec(0, 0, "k"), int32(1), int64(0))
	f.Fuzz(func(t *testing.T, records []byte, count int32, base int64) {
		if count <= 0 {
			return // refused by the header
		}
		b := append(sent(t, codec.None)[:BatchOverhead:BatchOverhead], records...)
		set32(offCount, count)(b)
		set64(offBaseTimestamp, base)(b)
		rules := plainRules()
		rules.Compacted, rules.BeforeMax = true, 1000
		whole, pieces := newInspection(b, &rules), newInspection(b, &rules)
		err := whole.whole(records, count, false)
		perr := pieces.pieces(b, codec.None)
		if (err == nil) != (perr == nil) {
			t.Fatalf("whole %v, pieces %v", err, perr)
		}
		if err != nil {
			if err.(*Rejected).Err != perr.(*Rejected).Err {
				t.Fatalf("whole %v, pieces %v", err, perr)
			}
			return
		}
		if whole.maxTimestamp != pieces.maxTimestamp || whole.gaps != pieces.gaps || whole.count != pieces.count {
			t.Fatalf("whole %+v, pieces %+v", whole, pieces)
		}
		// What consumers can read is a part of what this takes.
		strict := newInspection(b, &rules)
		readable := strict.whole(records, count, true) == nil
		n := int32(0)
		eachErr := eachRecord(records, count, func(Record) error { n++; return nil })
		if readable != (eachErr == nil) || readable && n != count {
			t.Fatalf("strict %v, each %v", readable, eachErr)
		}
	})
}

func FuzzDown(f *testing.F) {
	for i, s := range seeds(f) {
		f.Add(s, int8(i%2), int64(i), uint16(len(s)), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, magic int8, from int64, size uint16, seal bool) {
		b = bytes.Clone(b)
		if seal {
			reseal(b)
		}
		out, err := Down(b, magic&1, from, int(size))
		if err != nil {
			if out != nil || !errors.Is(err, ErrCorrupt) && !errors.Is(err, codec.ErrTooLarge) && !errors.Is(err, kerr.UnsupportedCompressionType) {
				t.Fatal(err)
			}
			return
		}
		if len(out) != 0 && len(out) != LogOverhead && len(out) < int(size) {
			t.Fatalf("%d bytes, promised %d", len(out), size)
		}
		for len(out) > 0 {
			entry, rest, err := Next(out)
			if errors.Is(err, ErrShort) {
				return
			}
			if err != nil || entry[offMagic] > byte(magic&1) {
				t.Fatalf("%v", err)
			}
			out = rest
		}
	})
}

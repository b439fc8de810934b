package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

const now = 1700000001000

// sent is a small batch of a client, changed by edits; its CRC is right after them.
func sent(t testing.TB, c codec.Type, edits ...func(Batch)) []byte {
	t.Helper()
	b := NewBuilder(BatchSpec{LeaderEpoch: None, Codec: c, ProducerID: None, ProducerEpoch: None, BaseSequence: None})
	b.Append(now-1000, []byte("a"), []byte("one"))
	b.Append(now-500, nil, []byte("two"), Header{"h", nil}, Header{"h", []byte("x")})
	b.Append(now-700, []byte("c"), nil)
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		edit(batch)
	}
	batch.Seal()
	return batch
}

func set16(at int, v int16) func(Batch) {
	return func(b Batch) { binary.BigEndian.PutUint16(b[at:], uint16(v)) }
}
func set32(at int, v int32) func(Batch) {
	return func(b Batch) { binary.BigEndian.PutUint32(b[at:], uint32(v)) }
}
func set64(at int, v int64) func(Batch) {
	return func(b Batch) { binary.BigEndian.PutUint64(b[at:], uint64(v)) }
}
func flag(a int16) func(Batch) { return func(b Batch) { b.SetAttributes(b.Attributes() | a) } }

// withRecords is a batch around records made by hand, compressed with c.
func withRecords(t testing.TB, c codec.Type, count int32, records []byte) []byte {
	t.Helper()
	b := append(sent(t, codec.None)[:BatchOverhead:BatchOverhead], records...)
	if c != codec.None {
		var err error
		if b, err = codec.Compress(b[:BatchOverhead:BatchOverhead], records, c, 0, 2); err != nil {
			t.Fatal(err)
		}
	}
	set32(offLength, int32(len(b)-LogOverhead))(b)
	set32(offCount, count)(b)
	set32(offLastOffsetDelta, count-1)(b)
	Batch(b).SetAttributes(int16(c))
	Batch(b).Seal()
	return b
}

func rec(delta int32, ts int64, key string) []byte {
	r := Record{OffsetDelta: delta, TimestampDelta: ts, Key: []byte(key), Value: []byte("v")}
	return r.appendTo(nil)
}

func TestRefused(t *testing.T) {
	two := append(sent(t, codec.None), sent(t, codec.None)...)
	badMagic := sent(t, codec.None)
	badMagic[offMagic] = 3
	badCRC := sent(t, codec.None)
	badCRC[len(badCRC)-1]++
	lied := rec(0, 0, "k")
	lied[0] += 2 // the length goes on by a byte that is there, but not in the record
	lied = append(lied, 0)
	for _, c := range []struct {
		name string
		in   []byte
		set  func(*Rules)
		err  *kerr.Error
	}{
		{"nothing", nil, nil, kerr.InvalidRecord},
		{"part of a batch", sent(t, codec.None)[:80], nil, kerr.InvalidRecord},
		{"magic 1", appendMessage(nil, 1, 0, now, 0, nil, nil), nil, kerr.InvalidRecord},
		{"two batches", two, nil, kerr.InvalidRecord},
		{"two batches, old request", two, func(r *Rules) { r.Version = 2 }, kerr.InvalidRecord},
		{"magic 3", badMagic, nil, kerr.CorruptMessage},
		{"size 3", append(make([]byte, 11), 3), nil, kerr.CorruptMessage},
		{"no room for the header", sent(t, codec.None, set32(offLength, 40)), nil, kerr.CorruptMessage},
		{"zstd before v7", sent(t, codec.Zstd), func(r *Rules) { r.Version = 6 }, kerr.UnsupportedCompressionType},
		{"base offset", sent(t, codec.None, set64(offBaseOffset, 1)), nil, kerr.InvalidRecord},
		{"too large", sent(t, codec.None), func(r *Rules) { r.MaxBytes = 90 }, kerr.MessageTooLarge},
		{"CRC", badCRC, nil, kerr.CorruptMessage},
		{"codec 5", sent(t, codec.None, set16(offAttributes, 5)), nil, kerr.UnknownServerError},
		{"codec 7 before v7", sent(t, codec.None, set16(offAttributes, 7)), func(r *Rules) { r.Version = 3 }, kerr.UnknownServerError},
		{"codec 7", sent(t, codec.None, set16(offAttributes, 7)), nil, kerr.UnknownServerError},
		{"last offset delta", sent(t, codec.None, set32(offLastOffsetDelta, 3)), nil, kerr.InvalidRecord},
		{"negative last offset delta", sent(t, codec.None, set32(offLastOffsetDelta, -1)), nil, kerr.InvalidRecord},
		{"last offset delta that wraps", sent(t, codec.None, set32(offLastOffsetDelta, math.MaxInt32), set32(offCount, math.MinInt32)), nil, kerr.InvalidRecord},
		{"no records", sent(t, codec.None, set32(offCount, 0)), nil, kerr.InvalidRecord},
		{"control batch", sent(t, codec.None, flag(AttrControl)), nil, kerr.InvalidRecord},
		{"producer without sequence", sent(t, codec.None, set64(offProducerID, 5)), nil, kerr.InvalidRecord},
		{"more records than told", sent(t, codec.None, set32(offCount, 2), set32(offLastOffsetDelta, 1)), nil, kerr.InvalidRecord},
		{"fewer records than told", sent(t, codec.None, set32(offCount, 4), set32(offLastOffsetDelta, 3)), nil, kerr.InvalidRecord},
		{"more than told, compressed", sent(t, codec.LZ4, set32(offCount, 2), set32(offLastOffsetDelta, 1)), nil, kerr.InvalidRecord},
		{"fewer than told, compressed", sent(t, codec.LZ4, set32(offCount, 4), set32(offLastOffsetDelta, 3)), nil, kerr.InvalidRecord},
		{"far fewer than told", sent(t, codec.Zstd, set32(offCount, math.MaxInt32), set32(offLastOffsetDelta, math.MaxInt32-1)), nil, kerr.InvalidRecord},
		{"a record's length", withRecords(t, codec.None, 1, lied), nil, kerr.InvalidRecord},
		{"a record's length, to be recompressed", withRecords(t, codec.Gzip, 1, lied), func(r *Rules) { r.KeepCodec, r.Target = false, codec.Zstd }, kerr.InvalidRecord},
		{"a header without a key", withRecords(t, codec.None, 1, []byte{20, 0, 0, 0, 1, 1, 2, 1, 0, 0, 0}), nil, kerr.InvalidRecord},
		{"a header without a key, compressed", withRecords(t, codec.Snappy, 1, []byte{20, 0, 0, 0, 1, 1, 2, 1, 0, 0, 0}), nil, kerr.InvalidRecord},
		{"-1 headers", withRecords(t, codec.Snappy, 1, []byte{12, 0, 0, 0, 1, 1, 1}), nil, kerr.InvalidRecord},
		{"a varint without end", withRecords(t, codec.Snappy, 1, bytes.Repeat([]byte{0xff}, 40)), nil, kerr.InvalidRecord},
		{"gap, compressed", withRecords(t, codec.Gzip, 2, append(rec(0, 0, "k"), rec(2, 0, "k")...)), nil, kerr.UnknownServerError},
		{"damaged compression", sent(t, codec.Gzip, func(b Batch) { b[len(b)-6] ^= 0xff }), nil, kerr.UnknownServerError},
		{"damaged, to be recompressed", sent(t, codec.Gzip, func(b Batch) { b[len(b)-6] ^= 0xff }), func(r *Rules) { r.KeepCodec = false }, kerr.UnknownServerError},
		{"not compressed at all", sent(t, codec.None, flag(int16(codec.LZ4))), nil, kerr.UnknownServerError},
		{"no bytes of records", withRecords(t, codec.Zstd, 1, nil), nil, kerr.InvalidRecord},
		{"transactional without a producer, rebuilt", sent(t, codec.Gzip, flag(AttrTransactional)), func(r *Rules) { r.KeepCodec = false }, kerr.UnknownServerError},
		{"producer without an epoch, rebuilt", sent(t, codec.Gzip, set64(offProducerID, 5), set32(offBaseSequence, 0)), func(r *Rules) { r.KeepCodec = false }, kerr.UnknownServerError},
		{"timestamp below -1, rebuilt", sent(t, codec.Gzip, set64(offBaseTimestamp, -100_000)), func(r *Rules) { r.KeepCodec = false }, kerr.UnknownServerError},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := plainRules()
			if c.set != nil {
				c.set(&rules)
			}
			v, err := Validate(c.in, rules)
			var got *kerr.Error
			var r *Rejected
			if !errors.As(err, &got) || got != c.err || !errors.As(err, &r) || r.Reason == "" || v.Batch != nil {
				t.Fatalf("%+v, %v", v, err)
			}
		})
	}
	if _, err := Validate(badMagic, plainRules()); err.(*Rejected).Message != "Invalid magic found in record: 3" {
		t.Errorf("%v", err)
	}
	// A batch smaller than its header has a text too, but Kafka finds it where texts are not passed on.
	tooSmall := sent(t, codec.None, set32(offLength, 20))
	if _, err := Validate(tooSmall, plainRules()); !errors.Is(err, kerr.CorruptMessage) || err.(*Rejected).Message != "" {
		t.Errorf("%v", err)
	}
}

// What real producers never send and Kafka takes all the same.
func TestTaken(t *testing.T) {
	lied := rec(0, 0, "k")
	lied[0] += 2
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"junk behind the batch", append(sent(t, codec.None), "junk"...)},
		{"junk that looks like a broken batch", append(sent(t, codec.None), append(make([]byte, 11), 40, 0, 0, 0, 0, 2, 9)...)},
		{"part of another batch behind", append(sent(t, codec.None), sent(t, codec.None)[:70]...)},
		{"a gap, not compressed", withRecords(t, codec.None, 2, append(rec(0, 0, "k"), rec(2, 0, "k")...))},
		{"a record's length, compressed", withRecords(t, codec.Gzip, 1, lied)},
		{"idle attributes", sent(t, codec.None, flag(AttrHasDeleteHorizon|1<<7))},
		{"null as any negative length", withRecords(t, codec.None, 1, []byte{12, 0, 0, 0, 5, 7, 0})},
		{"transactional without a producer", sent(t, codec.None, flag(AttrTransactional))},
		{"a varint with idle bits", withRecords(t, codec.None, 1, []byte{20, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x70, 1, 1, 0})},
	} {
		in := bytes.Clone(c.in)
		rules := plainRules()
		v, err := Validate(in, rules)
		if err != nil || v.Batch.Check() != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestStoredAsItCame(t *testing.T) {
	for _, c := range []codec.Type{codec.None, codec.Gzip, codec.Snappy, codec.LZ4, codec.Zstd} {
		in := sent(t, c)
		want := bytes.Clone(in)
		v, err := Validate(in, plainRules())
		if err != nil {
			t.Fatal(err)
		}
		if &v.Batch[0] != &in[0] || !bytes.Equal(v.Batch, want) {
			t.Errorf("%v: changed", c)
		}
		v.Batch = nil
		if v.MaxTimestamp != now-500 || v.OffsetDeltaOfMax != 2 || v.Records != 3 || v.LogAppendTime != None {
			t.Errorf("%v: %+v", c, v)
		}
	}
}

func TestTimestampsAreRewritten(t *testing.T) {
	for _, c := range []codec.Type{codec.None, codec.Zstd} {
		v, err := Validate(sent(t, c, set64(offMaxTimestamp, 5), flag(1<<7)), plainRules())
		if err != nil || v.Batch.Check() != nil || v.Batch.MaxTimestamp() != now-500 || v.Batch.Attributes() != int16(c) {
			t.Errorf("%v, a wrong maximum: %v", c, err)
		}

		rules := plainRules()
		rules.LogAppendTime, rules.BeforeMax, rules.AfterMax = true, 0, 0
		v, err = Validate(sent(t, c), rules)
		if err != nil || v.Batch.Check() != nil || v.Batch.MaxTimestamp() != now || !v.Batch.IsLogAppendTime() ||
			v.LogAppendTime != now || v.MaxTimestamp != now || v.OffsetDeltaOfMax != 2 {
			t.Errorf("%v, LogAppendTime: %+v %v", c, v, err)
		}

		// Flagged by the client: the records have the batch's time, and the flag goes.
		v, err = Validate(sent(t, c, flag(AttrLogAppendTime), set64(offMaxTimestamp, 77)), plainRules())
		if err != nil || v.Batch.Check() != nil || v.Batch.IsLogAppendTime() || v.MaxTimestamp != 77 {
			t.Errorf("%v, flagged: %+v %v", c, v, err)
		}

		// Timestamps below -1 stay, and count as none.
		v, err = Validate(sent(t, c, set64(offBaseTimestamp, -1_000_000)), plainRules())
		if err != nil || v.Batch.Check() != nil || v.Batch.MaxTimestamp() != None || v.MaxTimestamp != None || v.OffsetDeltaOfMax != None {
			t.Errorf("%v, no time: %+v %v", c, v, err)
		}
	}
}

func TestRecordErrors(t *testing.T) {
	limited := func(r *Rules) { r.BeforeMax, r.AfterMax = 600, 1000 }
	compacted := func(r *Rules) { r.Compacted = true }
	keyError := "Compacted topic cannot accept message without key in topic partition tc-0"
	for _, c := range []struct {
		name    string
		in      []byte
		set     func(*Rules)
		err     *kerr.Error
		message string
		records []RecordError
	}{
		{
			"no key", sent(t, codec.None), compacted, kerr.InvalidRecord,
			"One or more records have been rejected due to 1 record errors in total, and only showing the first three errors at most: [RecordError(batchIndex=1, message='" + keyError + "')]",
			[]RecordError{{1, keyError}},
		},
		{
			"too old", sent(t, codec.LZ4), limited, kerr.InvalidTimestamp,
			"One or more records have been rejected due to invalid timestamp",
			[]RecordError{
				{0, "Timestamp 1700000000000 of message with offset 0 is out of range. The timestamp should be within [1700000000400, 1700000002000]"},
				{2, "Timestamp 1700000000300 of message with offset 2 is out of range. The timestamp should be within [1700000000400, 1700000002000]"},
			},
		},
		{
			"no key and too old", sent(t, codec.None), func(r *Rules) { limited(r); compacted(r) }, kerr.InvalidTimestamp,
			"One or more records have been rejected due to invalid timestamp",
			[]RecordError{
				{0, "Timestamp 1700000000000 of message with offset 0 is out of range. The timestamp should be within [1700000000400, 1700000002000]"},
				{1, keyError},
				{2, "Timestamp 1700000000300 of message with offset 2 is out of range. The timestamp should be within [1700000000400, 1700000002000]"},
			},
		},
		{
			"flagged for LogAppendTime", withFlag(t, codec.None), func(r *Rules) { r.LogAppendTime = true }, kerr.InvalidTimestamp,
			"One or more records have been rejected due to invalid timestamp",
			[]RecordError{{0, "Invalid timestamp type in message DefaultRecord(offset=0, timestamp=1700000000500, key=0 bytes, value=1 bytes). Producer should not set timestamp type to LogAppendTime."}},
		},
		{
			"flagged and compressed", withFlag(t, codec.Gzip), func(r *Rules) { r.LogAppendTime = true }, kerr.InvalidTimestamp,
			"One or more records have been rejected due to invalid timestamp",
			[]RecordError{{0, "Invalid timestamp type in message PartialDefaultRecord(offset=0, timestamp=1700000000500, key=-1 bytes, value=1 bytes). Producer should not set timestamp type to LogAppendTime."}},
		},
	} {
		for _, rebuild := range []bool{false, true} {
			rules := plainRules()
			rules.Topic = "tc"
			c.set(&rules)
			if rebuild {
				if c.name == "flagged and compressed" {
					continue // named otherwise
				}
				rules.KeepCodec, rules.Target = false, codec.Snappy
			}
			_, err := Validate(bytes.Clone(c.in), rules)
			var r *Rejected
			if !errors.As(err, &r) || r.Err != c.err || r.Message != c.message || !r.FromValidator {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if len(r.Records) != len(c.records) {
				t.Errorf("%s: %+v", c.name, r.Records)
				continue
			}
			for i := range r.Records {
				if r.Records[i] != c.records[i] {
					t.Errorf("%s:\n%+v\n%+v", c.name, r.Records[i], c.records[i])
				}
			}
		}
	}
}

func withFlag(t testing.TB, c codec.Type) []byte {
	r := Record{Value: []byte("v")}
	b := Batch(withRecords(t, c, 1, r.appendTo(nil)))
	b.SetAttributes(b.Attributes() | AttrLogAppendTime)
	b.Seal()
	return b
}

// Every record of a large batch may be at fault; the answer stays bounded and the count right.
func TestManyRecordErrors(t *testing.T) {
	const n = maxRecordErrors + 5
	b := NewBuilder(BatchSpec{LeaderEpoch: None, ProducerID: None, ProducerEpoch: None, BaseSequence: None})
	for range n {
		b.Append(0, nil, nil)
	}
	batch, _ := b.Build()
	rules := plainRules()
	rules.Compacted = true
	_, err := Validate(batch, rules)
	var r *Rejected
	if !errors.As(err, &r) || len(r.Records) != maxRecordErrors || !strings.Contains(r.Message, "due to 10005 record errors in total") {
		t.Errorf("%v", err)
	}
}

// A batch that inflates to more than is held at once gets the same verdicts.
func TestLargeInflated(t *testing.T) {
	b := NewBuilder(BatchSpec{LeaderEpoch: None, Codec: codec.Zstd, ProducerID: None, ProducerEpoch: None, BaseSequence: None})
	value := make([]byte, 1<<20)
	for i := range 6 {
		b.Append(now+int64(i), []byte("k"), value, Header{"h", value[:1000]})
	}
	for _, c := range []codec.Type{codec.Gzip, codec.Snappy, codec.LZ4, codec.Zstd} {
		b.spec.Codec = c
		batch, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		rules := plainRules()
		rules.MaxBytes = 0
		v, err := Validate(bytes.Clone(batch), rules)
		if err != nil || v.MaxTimestamp != now+5 || !bytes.Equal(v.Batch, batch) {
			t.Errorf("%v: %v", c, err)
		}
		rules.AfterMax = 2
		var r *Rejected
		if _, err := Validate(bytes.Clone(batch), rules); !errors.As(err, &r) || r.Err != kerr.InvalidTimestamp || len(r.Records) != 3 {
			t.Errorf("%v: %v", c, err)
		}
		rules = plainRules()
		rules.MaxBytes = 0
		for name, edit := range map[string]struct {
			do  func(Batch)
			err *kerr.Error
		}{
			"one told less": {func(b Batch) { set32(offCount, 5)(b); set32(offLastOffsetDelta, 4)(b) }, kerr.InvalidRecord},
			"one told more": {func(b Batch) { set32(offCount, 7)(b); set32(offLastOffsetDelta, 6)(b) }, kerr.InvalidRecord},
			"damage":        {func(b Batch) { b[len(b)-6] ^= 0xff; b[len(b)-20] ^= 0xff }, kerr.UnknownServerError},
		} {
			bad := Batch(bytes.Clone(batch))
			edit.do(bad)
			bad.Seal()
			_, err := Validate(bad, rules)
			if name == "damage" && c == codec.Snappy {
				continue // a value may change without anybody noticing
			}
			if !errors.As(err, &r) || r.Err != edit.err {
				t.Errorf("%v, %s: %v", c, name, err)
			}
		}
	}
}

func TestRebuilt(t *testing.T) {
	for _, from := range []codec.Type{codec.None, codec.Gzip, codec.LZ4} {
		in := sent(t, from, set64(offProducerID, 9), set16(offProducerEpoch, 2), set32(offBaseSequence, 17), flag(AttrTransactional|1<<7|AttrHasDeleteHorizon))
		rules := plainRules()
		rules.KeepCodec, rules.Target, rules.LogAppendTime = false, codec.Zstd, true
		v, err := Validate(in, rules)
		if err != nil {
			t.Fatal(err)
		}
		b := v.Batch
		if b.Check() != nil || b.Attributes() != int16(codec.Zstd)|AttrTransactional|AttrLogAppendTime || b.ProducerID() != 9 ||
			b.ProducerEpoch() != 2 || b.BaseSequence() != 17 || b.Count() != 3 || b.LastOffsetDelta() != 2 ||
			b.BaseTimestamp() != now-1000 || b.MaxTimestamp() != now || b.LeaderEpoch() != None {
			t.Errorf("%v: %+v", from, v)
		}
	}
	rules := plainRules()
	rules.KeepCodec, rules.MaxBytes = false, 100
	b := NewBuilder(BatchSpec{LeaderEpoch: None, Codec: codec.Zstd, ProducerID: None, ProducerEpoch: None, BaseSequence: None})
	b.Append(0, nil, make([]byte, 1000))
	batch, _ := b.Build()
	var r *Rejected
	if _, err := Validate(batch, rules); !errors.As(err, &r) || r.Err != kerr.MessageTooLarge {
		t.Errorf("%v", err)
	}
}

func TestNoAllocations(t *testing.T) {
	in := produced(t, codec.None, 100, 100)
	rules := plainRules()
	rules.BeforeMax = 1 << 40
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Validate(in, rules); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

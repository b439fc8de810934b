package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record/codec"
)

// rec2 is a record as tests compare them: with everything absolute.
type rec2 struct {
	Offset, Time int64
	Key, Value   []byte
	Headers      []Header
}

// diffRecords tells null from empty. Bytes are compared at once: one by one takes most of these tests' time.
func diffRecords(want, got []rec2) string {
	return cmp.Diff(want, got, cmp.Comparer(func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }))
}

func recordsOf(t testing.TB, b Batch) []rec2 {
	t.Helper()
	var list []rec2
	if err := b.Each(1<<24, func(r Record) error {
		h := append([]Header(nil), r.Headers...)
		for i := range h {
			h[i].Value = bytes.Clone(h[i].Value)
		}
		list = append(list, rec2{b.BaseOffset() + int64(r.OffsetDelta), b.Timestamp(r), bytes.Clone(r.Key), bytes.Clone(r.Value), h})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// legacy writes a message as kmsg does, which is not our code.
func legacy(magic int8, offset, ts int64, attrs int8, key, value []byte) []byte {
	var b []byte
	if magic == 0 {
		m := kmsg.MessageV0{Offset: offset, Magic: 0, Attributes: attrs, Key: key, Value: value}
		b = m.AppendTo(nil)
	} else {
		m := kmsg.MessageV1{Offset: offset, Magic: 1, Attributes: attrs, Timestamp: ts, Key: key, Value: value}
		b = m.AppendTo(nil)
	}
	sealMessage(b)
	return b
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func wrap(t testing.TB, magic int8, offset, ts int64, c codec.Type, attrs int8, inside []byte) []byte {
	t.Helper()
	value, err := codec.Compress([]byte{}, inside, c, 0, magic)
	if err != nil {
		t.Fatal(err)
	}
	return legacy(magic, offset, ts, attrs|int8(c), nil, value)
}

func oldRules() Rules {
	r := plainRules()
	r.Version = 2
	return r
}

func TestMessageLayout(t *testing.T) {
	for _, magic := range []int8{0, 1} {
		for _, kv := range [][2][]byte{{nil, nil}, {{}, {}}, {[]byte("k"), []byte("value")}} {
			ours := appendMessage(nil, magic, 5, 6, 0, kv[0], kv[1])
			if theirs := legacy(magic, 5, 6, 0, kv[0], kv[1]); !bytes.Equal(ours, theirs) {
				t.Errorf("magic %d:\n%x\n%x", magic, ours, theirs)
			}
		}
	}
}

func TestUpConversion(t *testing.T) {
	k, v := []byte("k"), []byte("v")
	inner0 := concat(legacy(0, 0, 0, 0, k, v), legacy(0, 1, 0, 0, nil, v), legacy(0, 2, 0, 0, k, nil))
	inner1 := concat(legacy(1, 0, now, 0, k, v), legacy(1, 1, now+2, 0, nil, v), legacy(1, 2, now+1, 0, k, nil))
	absolute := concat(legacy(1, 40, now, 0, k, v), legacy(1, 41, now+2, 0, nil, v), legacy(1, 42, now+1, 0, k, nil))
	want0 := []rec2{{0, None, k, v, nil}, {1, None, nil, v, nil}, {2, None, k, nil, nil}}
	want1 := []rec2{{0, now, k, v, nil}, {1, now + 2, nil, v, nil}, {2, now + 1, k, nil, nil}}
	flagged := []rec2{{0, 99, k, v, nil}, {1, 99, nil, v, nil}, {2, 99, k, nil, nil}}
	for _, c := range []struct {
		name   string
		in     []byte
		want   []rec2
		source codec.Type
	}{
		{"v0", inner0, want0, codec.None},
		{"v1", inner1, want1, codec.None},
		{"v1, a part at the end", append(bytes.Clone(inner1), inner1[:20]...), want1, codec.None},
		{"v0 gzip", wrap(t, 0, 2, 0, codec.Gzip, 0, inner0), want0, codec.Gzip},
		{"v0 lz4", wrap(t, 0, 2, 0, codec.LZ4, 0, inner0), want0, codec.LZ4},
		{"v1 snappy", wrap(t, 1, 2, now+2, codec.Snappy, 0, inner1), want1, codec.Snappy},
		{"v1 lz4, wrapper at 0 as librdkafka leaves it", wrap(t, 1, 0, now+2, codec.LZ4, 0, inner1), want1, codec.LZ4},
		{"v1 gzip, absolute inside", wrap(t, 1, 42, now+2, codec.Gzip, 0, absolute), want1, codec.Gzip},
		{"v1 gzip, all inner offsets 0", wrap(t, 1, 0, now, codec.Gzip, 0, concat(legacy(1, 0, now, 0, k, v), legacy(1, 0, now, 0, k, v))),
			[]rec2{{0, now, k, v, nil}, {1, now, k, v, nil}}, codec.Gzip},
		{"v1 gzip, cut inside", wrap(t, 1, 2, now, codec.Gzip, 0, append(bytes.Clone(inner1), 1, 2, 3)), want1, codec.Gzip},
		{"v1 gzip, wrapper flagged LogAppendTime", wrap(t, 1, 2, 99, codec.Gzip, messageLogAppendTime, inner1), flagged, codec.Gzip},
		{"v1 flagged LogAppendTime", legacy(1, 0, 99, messageLogAppendTime, k, v), flagged[:1], codec.None},
	} {
		for _, target := range []codec.Type{-1, codec.None, codec.Zstd, codec.Gzip} {
			rules := oldRules()
			want := c.source
			if target >= 0 {
				rules.KeepCodec, rules.Target, want = false, target, target
			}
			got, err := Validate(bytes.Clone(c.in), rules)
			if err != nil || got.Batch.Check() != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if d := diffRecords(c.want, recordsOf(t, got.Batch)); d != "" {
				t.Errorf("%s: %s", c.name, d)
			}
			if b := got.Batch; b.Codec() != int8(want) || b.ProducerID() != None || b.BaseSequence() != None || b.ProducerEpoch() != None ||
				b.LeaderEpoch() != None || int(got.Records) != len(c.want) || got.LogAppendTime != None {
				t.Errorf("%s: %+v", c.name, got)
			}
			rules.LogAppendTime = true
			if got, err = Validate(bytes.Clone(c.in), rules); strings.Contains(c.name, "flagged") {
				var r *Rejected
				if !errors.As(err, &r) || r.Err != kerr.InvalidTimestamp {
					t.Errorf("%s: %v", c.name, err)
				}
			} else if err != nil || got.MaxTimestamp != now || got.LogAppendTime != now || got.Batch.MaxTimestamp() != now {
				t.Errorf("%s with LogAppendTime: %+v, %v", c.name, got, err)
			}
		}
	}
	v0, err := Validate(bytes.Clone(inner0), oldRules())
	if err != nil || v0.MaxTimestamp != None || v0.OffsetDeltaOfMax != None || v0.Batch.BaseTimestamp() != None || v0.Batch.MaxTimestamp() != None {
		t.Errorf("v0: %+v, %v", v0, err)
	}
	for _, in := range [][]byte{nil, inner0[:10], inner0[:16], inner0[:25]} {
		if v, err := Validate(in, oldRules()); err != nil || v.Batch != nil || v.Records != 0 {
			t.Errorf("nothing whole: %+v, %v", v, err)
		}
	}
	if v, err := Validate(sent(t, codec.LZ4), oldRules()); err != nil || v.Records != 3 {
		t.Errorf("a v2 batch in an old request: %v", err)
	}
}

func TestUpConversionRefused(t *testing.T) {
	k, v := []byte("k"), []byte("v")
	one := legacy(1, 0, now, 0, k, v)
	edit := func(m []byte, at int, to byte) []byte {
		m = bytes.Clone(m)
		m[at] = to
		sealMessage(m)
		return m
	}
	unsealed := bytes.Clone(one)
	unsealed[len(unsealed)-1]++
	short := bytes.Clone(one)
	binary.BigEndian.PutUint32(short[offLength:], 5)
	for _, c := range []struct {
		name string
		in   []byte
		set  func(*Rules)
		err  *kerr.Error
	}{
		{"CRC", unsealed, nil, kerr.CorruptMessage},
		{"CRC of the second", concat(one, unsealed), nil, kerr.CorruptMessage},
		{"size", short, nil, kerr.CorruptMessage},
		{"size of the second", concat(one, short), nil, kerr.CorruptMessage},
		{"too large", one, func(r *Rules) { r.MaxBytes = len(one) - 1 }, kerr.MessageTooLarge},
		{"too large as a batch", one, func(r *Rules) { r.MaxBytes = len(one) }, kerr.MessageTooLarge},
		{"magics mixed", concat(one, legacy(0, 1, 0, 0, k, v)), nil, kerr.InvalidRecord},
		{"a batch behind", concat(one, sent(t, codec.None)), nil, kerr.InvalidRecord},
		{"too old, and a compressed batch behind", concat(one, sent(t, codec.Zstd)), func(r *Rules) { r.BeforeMax = -1 }, kerr.InvalidRecord},
		{"a batch, and a CRC behind", concat(sent(t, codec.None), unsealed), nil, kerr.CorruptMessage},
		{"a batch, and a codec behind", concat(sent(t, codec.None), edit(one, offMessageAttrs, 6)), nil, kerr.UnknownServerError},
		{"too old, then a length, as it goes", concat(one, edit(one, len(one)-2, 9)), func(r *Rules) { r.BeforeMax = -1 }, kerr.UnknownServerError},
		{"a length, then too old, to be compressed", concat(edit(legacy(1, 0, None, 0, k, v), len(one)-2, 9), one), func(r *Rules) { r.BeforeMax = -1; r.KeepCodec, r.Target = false, codec.LZ4 }, kerr.InvalidTimestamp},
		{"below -1, then another magic, to be compressed", concat(legacy(1, 0, -2, 0, k, v), legacy(0, 0, 0, 0, k, v)), func(r *Rules) { r.KeepCodec, r.Target = false, codec.LZ4 }, kerr.InvalidRecord},
		{"below -1, then another magic, as it goes", concat(legacy(1, 0, -2, 0, k, v), legacy(0, 0, 0, 0, k, v)), nil, kerr.UnknownServerError},
		{"a message behind a batch", concat(sent(t, codec.None), one), nil, kerr.InvalidRecord},
		{"codec 6", edit(one, offMessageAttrs, 6), nil, kerr.UnknownServerError},
		{"zstd", edit(one, offMessageAttrs, 4), nil, kerr.InvalidRecord},
		{"length of the key", edit(one, offMessageKeyV1, 1), nil, kerr.UnknownServerError},
		{"length of the value", edit(one, len(one)-2, 9), nil, kerr.UnknownServerError},
		{"no room for lengths", edit(one[:26], offMagic, 1), nil, kerr.UnknownServerError},
		{"timestamp below -1", legacy(1, 0, -2, 0, k, v), nil, kerr.UnknownServerError},
		{"keyless", legacy(1, 0, now, 0, nil, v), func(r *Rules) { r.Compacted = true }, kerr.InvalidRecord},
		{"too old", one, func(r *Rules) { r.Now += 1000; r.BeforeMax = 999 }, kerr.InvalidTimestamp},
		{"compressed and not alone", concat(wrap(t, 1, 0, now, codec.Gzip, 0, one), one), nil, kerr.InvalidRecord},
		{"nothing inside", wrap(t, 1, 0, now, codec.Gzip, 0, nil), nil, kerr.InvalidRecord},
		{"no value", legacy(1, 0, now, 1, nil, nil), nil, kerr.InvalidRecord},
		{"not compressed", legacy(1, 0, now, 1, nil, []byte("plain, as it happens to be")), nil, kerr.UnknownServerError},
		{"compressed twice", wrap(t, 1, 0, now, codec.Gzip, 0, wrap(t, 1, 0, now, codec.Gzip, 0, one)), nil, kerr.InvalidRecord},
		{"codec 5 inside", wrap(t, 1, 0, now, codec.Gzip, 0, edit(one, offMessageAttrs, 5)), nil, kerr.UnknownServerError},
		{"CRC inside", wrap(t, 1, 0, now, codec.Gzip, 0, unsealed), nil, kerr.CorruptMessage},
		{"size inside", wrap(t, 1, 0, now, codec.Gzip, 0, short), nil, kerr.CorruptMessage},
		{"magic inside", wrap(t, 1, 0, now, codec.Gzip, 0, legacy(0, 0, 0, 0, k, v)), nil, kerr.InvalidRecord},
		{"wrapper below the last", wrap(t, 1, 1, now, codec.Gzip, 0, concat(one, legacy(1, 2, now, 0, k, v))), nil, kerr.InvalidRecord},
		{"keyless inside", wrap(t, 1, 0, now, codec.Gzip, 0, concat(one, legacy(1, 1, now, 0, nil, v))), func(r *Rules) { r.Compacted = true }, kerr.InvalidRecord},
	} {
		rules := oldRules()
		if c.set != nil {
			c.set(&rules)
		}
		_, err := Validate(bytes.Clone(c.in), rules)
		var r *Rejected
		if !errors.As(err, &r) || r.Err != c.err {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	rules := oldRules()
	rules.Topic = "tp"
	inside := legacy(0, 7, 0, 0, k, v)
	_, err := Validate(wrap(t, 1, 7, now, codec.Gzip, 0, inside), rules)
	var r *Rejected
	want := fmt.Sprintf("Record LegacyRecordBatch(offset=7, Record(magic=0, attributes=0, compression=none, crc=%d, key=1 bytes, value=1 bytes))'s magic does not match outer magic 1 in topic partition tp-0", message(inside).crc())
	if !errors.As(err, &r) || len(r.Records) != 1 || r.Records[0].Message != want {
		t.Errorf("%+v", err)
	}
	rules.LogAppendTime = true
	alone := legacy(1, 3, 99, messageLogAppendTime, k, v)
	_, err = Validate(alone, rules)
	want = fmt.Sprintf("Invalid timestamp type in message LegacyRecordBatch(offset=3, Record(magic=1, attributes=8, compression=none, crc=%d, LogAppendTime=99, key=1 bytes, value=1 bytes)). Producer should not set timestamp type to LogAppendTime.", message(alone).crc())
	if !errors.As(err, &r) || len(r.Records) != 1 || r.Records[0].Message != want {
		t.Errorf("%+v", err)
	}
}

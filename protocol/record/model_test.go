package record

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"barnabas/protocol/record/codec"
)

var anyCodec = rapid.SampledFrom([]codec.Type{codec.None, codec.Gzip, codec.Snappy, codec.LZ4, codec.Zstd})
var oldCodec = rapid.SampledFrom([]codec.Type{codec.None, codec.Gzip, codec.Snappy, codec.LZ4})

var anyBytes = rapid.OneOf(
	rapid.Just([]byte(nil)), rapid.Just([]byte{}),
	rapid.SliceOfN(rapid.Byte(), 1, 12),
	rapid.Custom(func(t *rapid.T) []byte {
		return bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.IntRange(100, 5_000).Draw(t, "length"))
	}),
)

var anyTime = rapid.OneOf(rapid.Just(int64(None)), rapid.Int64Range(0, 1<<45))

// drawRecords is a run of records from base on, with gaps if asked for.
func drawRecords(t *rapid.T, base int64, gaps, headers bool) []rec2 {
	list := make([]rec2, rapid.IntRange(1, 8).Draw(t, "records"))
	for i := range list {
		list[i] = rec2{Offset: base, Time: anyTime.Draw(t, "time"), Key: anyBytes.Draw(t, "key"), Value: anyBytes.Draw(t, "value")}
		if headers {
			for range rapid.IntRange(0, 3).Draw(t, "headers") {
				list[i].Headers = append(list[i].Headers, Header{rapid.StringN(0, 10, 40).Draw(t, "name"), anyBytes.Draw(t, "header")})
			}
		}
		base++
		if gaps {
			base += rapid.Int64Range(0, 3).Draw(t, "gap")
		}
	}
	return list
}

// What is built is what is walked, by us and by kmsg, which is not our code.
func TestBuildAndWalk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base := rapid.Int64Range(0, 1<<40).Draw(rt, "base")
		list := drawRecords(rt, base, true, true)
		spec := BatchSpec{
			BaseOffset: base, LeaderEpoch: rapid.Int32().Draw(rt, "epoch"), Codec: anyCodec.Draw(rt, "codec"),
			ProducerID: rapid.Int64().Draw(rt, "producer"), ProducerEpoch: rapid.Int16().Draw(rt, "producer epoch"),
			BaseSequence: rapid.Int32().Draw(rt, "sequence"), Transactional: rapid.Bool().Draw(rt, "transactional"),
			Control: rapid.Bool().Draw(rt, "control"),
		}
		batch := Batch(stored(t, spec, list...))
		if err := batch.Check(); err != nil {
			rt.Fatal(err)
		}
		if d := diffRecords(list, recordsOf(t, batch)); d != "" {
			rt.Fatal(d)
		}
		var theirs kmsg.RecordBatch
		if err := theirs.ReadFrom(batch); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(theirs.AppendTo(nil), batch) || int(theirs.NumRecords) != len(list) || theirs.FirstOffset != base ||
			int64(theirs.LastOffsetDelta) != list[len(list)-1].Offset-base || theirs.ProducerID != spec.ProducerID {
			rt.Fatalf("kmsg reads another header: %+v", theirs)
		}
		if spec.Codec == codec.None {
			b := theirs.Records
			for i := range list {
				var r kmsg.Record
				n, at := varint(b, 0)
				if err := r.ReadFrom(b[:at+int(n)]); err != nil {
					rt.Fatal(err)
				}
				b = b[at+int(n):]
				if !bytes.Equal(r.Key, list[i].Key) || !bytes.Equal(r.Value, list[i].Value) || len(r.Headers) != len(list[i].Headers) {
					rt.Fatalf("kmsg reads another record: %+v", r)
				}
			}
		}
	})
}

// Whatever a producer sends and whatever the topic wants, the log holds the producer's records.
func TestValidateAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		list := drawRecords(rt, 0, false, true)
		rules := plainRules()
		rules.MaxBytes = 0
		rules.KeepCodec = rapid.Bool().Draw(rt, "keep")
		rules.Target = anyCodec.Draw(rt, "target")
		rules.LogAppendTime = rapid.Bool().Draw(rt, "append time")
		spec := BatchSpec{LeaderEpoch: None, Codec: anyCodec.Draw(rt, "codec"), ProducerID: None, ProducerEpoch: None, BaseSequence: None}
		in := stored(t, spec, list...)
		v, err := Validate(in, rules)
		if err != nil {
			rt.Fatal(err)
		}
		checkValid(t, rt, v, rules, spec.Codec, list)
	})
}

func checkValid(t *testing.T, rt *rapid.T, v Valid, rules Rules, source codec.Type, list []rec2) {
	newest := int64(None)
	for i := range list {
		if rules.LogAppendTime {
			list[i].Time = rules.Now
		}
		newest = max(newest, list[i].Time)
	}
	target := rules.Target
	if rules.KeepCodec {
		target = source
	}
	if err := v.Batch.Check(); err != nil {
		rt.Fatal(err)
	}
	if v.Batch.Codec() != int8(target) || v.MaxTimestamp != newest || v.Batch.MaxTimestamp() != newest || int(v.Records) != len(list) ||
		v.Batch.BaseOffset() != 0 || int(v.Batch.LastOffsetDelta()) != len(list)-1 {
		rt.Fatalf("%+v", v)
	}
	if d := diffRecords(list, recordsOf(t, v.Batch)); d != "" {
		rt.Fatal(d)
	}
}

// Old producers up, old consumers down: what went in as messages comes out as messages.
func TestUpAndDownAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		in := rapid.Int8Range(0, 1).Draw(rt, "magic in")
		out := rapid.Int8Range(0, 1).Draw(rt, "magic out")
		source := oldCodec.Draw(rt, "codec")
		list := drawRecords(rt, 0, false, false)
		d := newDowner(nil, in, source, false, None)
		defer d.close()
		for i := range list {
			if in == 0 {
				list[i].Time = None
			}
			d.add(list[i].Offset, list[i].Time, list[i].Key, list[i].Value)
		}
		set, err := d.done()
		if err != nil {
			rt.Fatal(err)
		}
		rules := oldRules()
		rules.MaxBytes = 0
		rules.KeepCodec = rapid.Bool().Draw(rt, "keep")
		rules.Target = oldCodec.Draw(rt, "target")
		v, err := Validate(bytes.Clone(set), rules)
		if err != nil {
			rt.Fatal(err)
		}
		checkValid(t, rt, v, rules, source, list)

		base := rapid.Int64Range(0, 1<<40).Draw(rt, "base")
		from := base + rapid.Int64Range(0, int64(len(list)-1)).Draw(rt, "from")
		v.Batch.SetBaseOffset(base)
		back, err := Down(v.Batch, out, from, 1<<20)
		if err != nil {
			rt.Fatal(err)
		}
		var want []rec2
		for _, r := range list {
			if r.Offset += base; out == 0 {
				r.Time = None
			}
			if v.Batch.Codec() != 0 || r.Offset >= from {
				want = append(want, r)
			}
		}
		if diff := diffRecords(want, oldConsumer(t, back, out)); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// A run of batches, cut anywhere, goes down to exactly the promised size with a prefix of the records.
func TestDownSizeAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var in []byte
		var all []rec2
		next := int64(0)
		for range rapid.IntRange(1, 5).Draw(rt, "batches") {
			list := drawRecords(rt, next, true, true)
			in = append(in, stored(t, BatchSpec{BaseOffset: next, Codec: oldCodec.Draw(rt, "codec")}, list...)...)
			next = list[len(list)-1].Offset + 1
			for _, r := range list {
				r.Headers = nil
				all = append(all, r)
			}
		}
		in = in[:rapid.IntRange(0, len(in)).Draw(rt, "cut")]
		size := rapid.IntRange(0, 2*len(in)+100).Draw(rt, "size")
		out, err := Down(in, 1, 0, size)
		if err != nil {
			rt.Fatal(err)
		}
		first, _, err := Next(in)
		if errors.Is(err, ErrShort) {
			if len(out) != 0 {
				rt.Fatalf("%d bytes of nothing", len(out))
			}
			return
		}
		one, err := downEntry(nil, first, 1, 0)
		if err != nil || len(out) != max(size, len(one)) {
			rt.Fatalf("%d bytes, promised %d, first %d: %v", len(out), size, len(one), err)
		}
		got := oldConsumer(t, out, 1)
		if len(got) == 0 || len(got) > len(all) {
			rt.Fatalf("%d records of %d", len(got), len(all))
		}
		if diff := diffRecords(all[:len(got)], got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

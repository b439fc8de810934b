package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

// oldConsumer reads what an old consumer would: whole messages, inflated, until something does not fit.
func oldConsumer(t testing.TB, b []byte, magic int8) []rec2 {
	t.Helper()
	var list []rec2
	for {
		entry, rest, err := Next(b)
		if err != nil {
			if !errors.Is(err, ErrShort) {
				t.Fatal(err)
			}
			return list
		}
		b = rest
		m := message(entry)
		if m.magic() > magic || m.crc() != m.sumCRC() {
			t.Fatalf("magic %d, CRC %d", m.magic(), m.crc())
		}
		msgs := []inner{plain(m)}
		if m.codec() != codec.None {
			_, packed, ok := m.parts()
			if !ok {
				t.Fatal("wrapper")
			}
			value, err := codec.Decompress(nil, packed, m.codec(), m.magic(), 1<<24)
			if err != nil {
				t.Fatal(err)
			}
			if msgs, err = unwrap(m, value); err != nil {
				t.Fatal(err)
			}
			if last := msgs[len(msgs)-1].offset; last != m.offset() {
				t.Fatalf("wrapper at %d around a last message at %d", m.offset(), last)
			}
		}
		for _, msg := range msgs {
			key, value, ok := msg.parts()
			if !ok || msg.crc() != msg.sumCRC() {
				t.Fatal("message")
			}
			list = append(list, rec2{msg.offset, msg.time, key, value, nil})
		}
	}
}

// stored is a batch as it lies in a log.
func stored(t testing.TB, spec BatchSpec, list ...rec2) []byte {
	t.Helper()
	b := NewBuilder(spec)
	for _, r := range list {
		b.AppendAt(int32(r.Offset-spec.BaseOffset), r.Time, r.Key, r.Value, r.Headers...)
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func TestDown(t *testing.T) {
	list := []rec2{
		{10, now, []byte("k"), []byte("v"), []Header{{"h", []byte("x")}}},
		{11, now + 5, nil, nil, nil},
		{14, now + 1, []byte{}, []byte{}, nil}, // a gap, after compaction
	}
	control := EndTxnMarker{Commit: true}.Batch(1, 0, now)
	control.SetBaseOffset(15)
	for _, magic := range []int8{0, 1} {
		for _, c := range []codec.Type{codec.None, codec.Gzip, codec.Snappy, codec.LZ4} {
			for _, logAppend := range []bool{false, true} {
				in := concat(stored(t, BatchSpec{BaseOffset: 10, Codec: c, LogAppendTime: logAppend, MaxTimestamp: 77}, list...), control)
				out, err := Down(in, magic, 11, 1000)
				if err != nil || len(out) != 1000 {
					t.Fatalf("%v: %d bytes, %v", c, len(out), err)
				}
				var want []rec2
				for _, r := range list {
					if r.Headers = nil; magic == 0 {
						r.Time = None
					} else if logAppend {
						r.Time = 77
					}
					if c != codec.None || r.Offset >= 11 {
						want = append(want, r)
					}
				}
				if d := diffRecords(want, oldConsumer(t, out, magic)); d != "" {
					t.Errorf("magic %d %v: %s", magic, c, d)
				}
				m := message(out)
				if magic == 1 && (m.isLogAppendTime() != logAppend || c != codec.None && !logAppend && m.timestamp() != now+5) {
					t.Errorf("%v: attributes %d, time %d", c, m.attributes(), m.timestamp())
				}
			}
		}
	}
}

func TestDownSize(t *testing.T) {
	big := stored(t, BatchSpec{BaseOffset: 0}, rec2{0, now, nil, make([]byte, 500), nil}, rec2{1, now, nil, make([]byte, 500), nil})
	small := stored(t, BatchSpec{BaseOffset: 2}, rec2{2, now, nil, []byte("v"), nil})
	control := EndTxnMarker{}.Batch(1, 0, now)
	zstd := stored(t, BatchSpec{BaseOffset: 3, Codec: codec.Zstd}, rec2{3, now, nil, []byte("v"), nil})
	firstOf := func(out []byte) int {
		n := 0
		for len(out) > 0 {
			entry, rest, err := Next(out)
			if err != nil {
				break
			}
			n, out = n+len(entry), rest
		}
		return n
	}
	for _, c := range []struct {
		name       string
		in         []byte
		size, want int
		records    int
	}{
		{"no whole entry", big[:100], 100, 0, 0},
		{"nothing", nil, 0, 0, 0},
		{"only control batches", control, len(control), 12, 0},
		{"all below the fetch offset but one", concat(big, small), 2000, 2000, 1},
		{"exactly", small, 12 + 22 + 1, 12 + 22 + 1, 1},
		{"a byte more", small, 12 + 22 + 1 + 1, 12 + 22 + 1 + 1, 1},
		{"the first is larger", small, 5, 12 + 22 + 1, 1},
		{"control first, then larger", concat(control, small), 5, 12 + 22 + 1, 1},
		{"zstd behind", concat(small, zstd, small), 300, 300, 1},
		{"more than the filler's pieces", small, 300_000, 300_000, 1},
		{"cut in the second", concat(small, small), 40, 40, 1},
	} {
		out, err := Down(c.in, 1, 2, c.size)
		if err != nil || len(out) != c.want || len(oldConsumer(t, out, 1)) != c.records {
			t.Errorf("%s: %d bytes, %v", c.name, len(out), err)
			continue
		}
		// The filler tells a size that goes on behind the end, at least that of a batch.
		if fill := out[firstOf(out):]; c.name != "cut in the second" && len(fill) > 0 {
			head := binary.BigEndian.AppendUint32(bytes.Repeat([]byte{0xff}, 8), uint32(max(len(fill)+1, 61)))
			if !bytes.HasPrefix(fill, head[:min(len(fill), 12)]) || len(bytes.TrimRight(fill[min(len(fill), 12):min(len(fill), overflowChunk)], "\x00")) > 0 {
				t.Errorf("%s: filler %x", c.name, fill[:min(len(fill), 20)])
			}
		}
	}
	for _, in := range [][]byte{zstd, concat(control, zstd, small)} {
		if _, err := Down(in, 1, 0, 100); !errors.Is(err, kerr.UnsupportedCompressionType) {
			t.Errorf("zstd first: %v", err)
		}
	}
	bad := stored(t, BatchSpec{Codec: codec.Gzip}, rec2{0, now, nil, []byte("v"), nil})
	bad[75] ^= 0xff
	if _, err := Down(bad, 1, 0, 100); !errors.Is(err, ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
}

// A log that is older than batches: messages of the wanted magic go as they are, newer ones are converted.
func TestDownOfOldLogs(t *testing.T) {
	k, v := []byte("k"), []byte("v")
	v0, v1 := legacy(0, 5, 0, 0, k, v), legacy(1, 6, now, 0, k, v)
	wrapped := wrap(t, 1, 9, now, codec.LZ4, 0, concat(legacy(1, 0, now, 0, k, v), legacy(1, 1, now, 0, nil, v)))
	in := concat(v0, v1, wrapped)
	out, err := Down(in, 1, 0, len(in))
	if err != nil || !bytes.Equal(out, in) {
		t.Errorf("to 1: %v", err)
	}
	out, err = Down(in, 0, 0, len(in)+100)
	if err != nil {
		t.Fatal(err)
	}
	want := []rec2{{5, None, k, v, nil}, {6, None, k, v, nil}, {8, None, k, v, nil}, {9, None, nil, v, nil}}
	if d := diffRecords(want, oldConsumer(t, out, 0)); d != "" {
		t.Error(d)
	}
	if out, err = Down(in, 0, 6, len(in)+100); err != nil {
		t.Fatal(err)
	}
	if d := diffRecords(want, oldConsumer(t, out, 0)); d != "" {
		t.Errorf("from 6 on (what is not converted is sent whole): %s", d)
	}
}

package record

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

func TestNextShortAndCorrupt(t *testing.T) {
	for _, whole := range [][]byte{sent(t, codec.None), legacy(0, 1, 0, 0, nil, nil), legacy(1, 1, 0, 0, nil, []byte("v"))} {
		for n := range whole {
			if _, rest, err := Next(whole[:n]); !errors.Is(err, ErrShort) || !errors.Is(err, io.ErrUnexpectedEOF) || len(rest) != n {
				t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
			}
		}
		entry, rest, err := Next(append(bytes.Clone(whole), 1, 2))
		if err != nil || !bytes.Equal(entry, whole) || len(rest) != 2 || cap(entry) != len(whole) {
			t.Fatalf("%v", err)
		}
	}
	for name, b := range map[string][]byte{
		"negative size": set(sent(t, codec.None), offLength, 0xff),
		"size 0":        make([]byte, 12),
		"magic 3":       set(sent(t, codec.None), offMagic, 3),
		"magic -1":      set(sent(t, codec.None), offMagic, 0xff),
		"no header":     set(legacy(0, 1, 0, 0, nil, nil), offMagic, 2),
	} {
		_, _, err := Next(b)
		var k *kerr.Error
		if !errors.Is(err, ErrCorrupt) || !errors.As(err, &k) || k != kerr.CorruptMessage || errors.Is(err, ErrShort) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func set(b []byte, at int, v byte) []byte {
	b = bytes.Clone(b)
	b[at] = v
	return b
}

func TestCheck(t *testing.T) {
	good := Batch(sent(t, codec.None))
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, b := range map[string]Batch{
		"nothing": nil, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0),
		"a message": legacy(1, 0, now, 0, nil, make([]byte, 60)), "CRC": set(good, 80, good[80]+1),
	} {
		if err := b.Check(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The leader stamps these without a new CRC.
	good.SetBaseOffset(math.MaxInt32)
	good.SetLeaderEpoch(7)
	if err := good.Check(); err != nil || good.LastOffset() != math.MaxInt32+2 {
		t.Error(err)
	}
}

func TestEachEnds(t *testing.T) {
	b := Batch(sent(t, codec.LZ4))
	stop := errors.New("stop")
	n := 0
	if err := b.Each(1000, func(Record) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
	if err := b.Each(10, func(Record) error { return nil }); !errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	set32(offCount, 4)(b)
	n = 0
	if err := b.Each(1000, func(Record) error { n++; return nil }); !errors.Is(err, ErrCorrupt) || n != 3 {
		t.Errorf("%v after %d", err, n)
	}
	set32(offCount, 0)(b)
	if err := b.Each(1000, func(Record) error { return stop }); err != nil {
		t.Errorf("empty: %v", err)
	}
	set32(offCount, -1)(b)
	if err := b.Each(1000, func(Record) error { return stop }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("-1 records: %v", err)
	}
	bad := Batch(sent(t, codec.Gzip))
	bad[len(bad)-6] ^= 0xff
	if err := bad.Each(1000, func(Record) error { return stop }); !errors.Is(err, ErrCorrupt) || !errors.Is(err, codec.ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
}

// Header keys that come again are not allocated again, and must not be mixed up when they do not.
func TestHeadersAreReused(t *testing.T) {
	b := NewBuilder(BatchSpec{})
	keys := [][]string{{"a", "b"}, {"a", "c", "d"}, {}, {"b"}, {"a", "b", "d"}}
	for _, k := range keys {
		var h []Header
		for _, key := range k {
			h = append(h, Header{key, []byte(key)})
		}
		b.Append(0, nil, nil, h...)
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	if err := batch.Each(0, func(r Record) error {
		if len(r.Headers) != len(keys[i]) {
			t.Errorf("record %d: %v", i, r.Headers)
		}
		for j, h := range r.Headers {
			if h.Key != keys[i][j] || string(h.Value) != h.Key {
				t.Errorf("record %d: %v", i, r.Headers)
			}
		}
		i++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestBuilder(t *testing.T) {
	b := NewBuilder(BatchSpec{Codec: codec.Snappy})
	if _, err := b.Build(); !errors.Is(err, ErrEmpty) {
		t.Errorf("empty: %v", err)
	}
	for range 2 {
		b.Reset(BatchSpec{BaseOffset: 3})
		b.Append(5, nil, nil)
		b.AppendAt(7, 4, []byte("k"), nil)
		b.Append(6, nil, []byte("v"))
		size := b.Size()
		batch, err := b.Build()
		if err != nil || batch.Check() != nil || len(batch) != size || b.Count() != 3 || batch.LastOffset() != 3+8 ||
			batch.BaseTimestamp() != 5 || batch.MaxTimestamp() != 6 {
			t.Errorf("%x, %v", batch, err)
		}
	}
	b.Reset(BatchSpec{Codec: 6})
	b.Append(0, nil, nil)
	if _, err := b.Build(); !errors.Is(err, codec.ErrUnknown) {
		t.Errorf("codec 6: %v", err)
	}
}

func TestLastSequenceWraps(t *testing.T) {
	b := Batch(sent(t, codec.None))
	for base, want := range map[int32]int32{-1: -1, 0: 2, math.MaxInt32 - 2: math.MaxInt32, math.MaxInt32 - 1: 0, math.MaxInt32: 1} {
		set32(offBaseSequence, base)(b)
		if got := b.LastSequence(); got != want {
			t.Errorf("%d: %d, want %d", base, got, want)
		}
	}
}

func TestControlRecords(t *testing.T) {
	for _, want := range []EndTxnMarker{{true, 5}, {false, math.MaxInt32}} {
		key, value := want.Key(), want.Value()
		if got, err := ParseEndTxnMarker(key, value); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
		key[1], value[1] = 9, 9 // later versions, with more behind
		if got, err := ParseEndTxnMarker(append(key, 1), append(value, 1)); err != nil || got != want {
			t.Errorf("later: %+v, %v", got, err)
		}
	}
	key, value := EndTxnMarker{}.Key(), EndTxnMarker{}.Value()
	for name, kv := range map[string][2][]byte{
		"short key": {key[:3], value}, "short value": {key, value[:5]}, "null": {nil, nil},
		"negative key version": {set(key, 0, 0x80), value}, "negative value version": {key, set(value, 0, 0x80)},
		"another type": {set(key, 3, byte(LeaderChange)), value},
	} {
		if _, err := ParseEndTxnMarker(kv[0], kv[1]); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if typ, err := ParseControlKey([]byte{0, 0, 0, 99}); err != nil || typ != 99 {
		t.Errorf("an unknown type is the caller's business: %v, %v", typ, err)
	}
}

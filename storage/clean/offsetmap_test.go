package clean

import (
	"encoding/binary"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// The map is a map until it is full, and then all keys that came before are in it.
func TestOffsetMapAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bytes := rapid.Int64Range(0, 3000).Draw(rt, "bytes")
		load := rapid.Float64Range(0, 1.2).Draw(rt, "load")
		m := NewOffsetMap(bytes, load)
		model := map[string]int64{}
		keys := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 2), 0, 300).Draw(rt, "keys")
		for i, k := range keys {
			if !m.Put(k, int64(i)) {
				if i == 0 {
					rt.Fatal("no room for a single key")
				}
				if limit := max(int(float64(bytes/24)*min(load, 1)), 1); len(model) < min(limit, int(bytes/24)-1) {
					rt.Fatalf("full with %d keys of %d", len(model), limit)
				}
				break
			}
			model[string(k)] = int64(i)
			if m.Len() != len(model) {
				rt.Fatalf("%d keys, want %d", m.Len(), len(model))
			}
			if m.Bytes() > max(bytes, 48) {
				rt.Fatalf("%d bytes, at most %d were allowed", m.Bytes(), bytes)
			}
		}
		for _, k := range append(keys, []byte("no such key")) {
			want, ok := model[string(k)]
			if !ok {
				want = -1
			}
			if got := m.Get(k); got != want {
				rt.Fatalf("key %x has %d, want %d", k, got, want)
			}
		}
	})
}

// Memory goes with the keys, not with what is allowed, and many keys go in, in many tables.
func TestOffsetMapGrows(t *testing.T) {
	const allowed = 12 << 20
	m := NewOffsetMap(allowed, 0.9)
	if m.Bytes() != 0 || m.Get([]byte("k")) != -1 {
		t.Errorf("an empty map takes %d bytes", m.Bytes())
	}
	var key [8]byte
	n := int64(0)
	for {
		binary.BigEndian.PutUint64(key[:], uint64(n))
		if !m.Put(key[:], n) {
			break
		}
		n++
		if n == 1000 && m.Bytes() > 20*1000*slotBytes {
			t.Errorf("a thousand keys take %d bytes", m.Bytes())
		}
	}
	if want := int64(allowed / 24 * 9 / 10); n != want || m.Bytes() > allowed || m.Full() != 1 {
		t.Errorf("%d keys in %d bytes, full %f; want %d", n, m.Bytes(), m.Full(), want)
	}
	for i := range n {
		binary.BigEndian.PutUint64(key[:], uint64(i))
		if got := m.Get(key[:]); got != i {
			t.Fatalf("key %d has %d", i, got)
		}
	}
}

func BenchmarkOffsetMap(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		keys := make([][]byte, n)
		for i := range keys {
			keys[i] = fmt.Appendf(nil, "key-%016d", i)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; {
				m := NewOffsetMap(128<<20, 0.9)
				for _, k := range keys {
					m.Put(k, int64(i))
				}
				for _, k := range keys {
					m.Get(k)
				}
				i += n
				b.ReportMetric(float64(m.Bytes())/float64(n), "B/key")
			}
		})
	}
}

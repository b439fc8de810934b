package clean

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

const (
	slotBytes = 24
	// tableSlots is the size of a table, of several. A table that grows is there twice for a moment; of many small ones, a
	// small part is.
	tableSlots = 1 << 16
	maxTables  = 256
	firstSlots = 64
	// growAt is how full, in percent, a table that may still grow gets.
	growAt = 75
)

// OffsetMap holds an offset for each key, in open-address tables that grow with the keys up to a bound. It is for one
// goroutine.
type OffsetMap struct {
	tables []table
	slots  int // of a table, at most
	limit  int // keys, at most
	n      int
	// seeds make it unknown which keys fall into one place: they come from producers.
	seeds [2]uint64
}

// slot is a key's hash and the offset plus one; 0 is an empty slot.
type slot struct {
	hi, lo uint64
	next   int64
}

type table struct {
	slots []slot
	n     int
}

// NewOffsetMap is a map of at most so many bytes, filled to load, which is above 0 and at most 1 (what is outside counts as
// the nearest). It takes memory as keys come. There is always room for a key.
func NewOffsetMap(bytes int64, load float64) *OffsetMap {
	slots := int(max(bytes/slotBytes, 2))
	n := min(max(slots/tableSlots, 1), maxTables)
	if !(load <= 1) {
		load = 1
	}
	return &OffsetMap{
		tables: make([]table, n), slots: max(slots/n, 2), limit: max(int(float64(slots)*load), 1),
		seeds: [2]uint64{rand.Uint64(), rand.Uint64()},
	}
}

// Len is how many keys there are.
func (m *OffsetMap) Len() int { return m.n }

// Bytes is the memory that the tables take.
func (m *OffsetMap) Bytes() int64 {
	n := 0
	for i := range m.tables {
		n += len(m.tables[i].slots)
	}
	return int64(n) * slotBytes
}

// Full is how full the map is, of 1.
func (m *OffsetMap) Full() float64 { return float64(m.n) / float64(m.limit) }

// Put sets a key's offset. It is false, and nothing is changed, when the map is full, for a key that it has too: so that
// what is in the map is all keys up to an offset.
func (m *OffsetMap) Put(key []byte, offset int64) bool {
	hi, lo := hash(key)
	t := m.table(hi)
	if m.n >= m.limit || !t.room(m.slots, m.seeds) {
		return false
	}
	if t.put(slot{hi, lo, offset + 1}, m.seeds) {
		m.n++
	}
	return true
}

// Get is a key's offset, -1 when it has none.
func (m *OffsetMap) Get(key []byte) int64 {
	hi, lo := hash(key)
	t := m.table(hi)
	if len(t.slots) == 0 {
		return -1
	}
	return t.slots[t.find(hi, lo, m.seeds)].next - 1
}

func hash(key []byte) (hi, lo uint64) {
	sum := sha256.Sum256(key)
	return binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])
}

func (m *OffsetMap) table(hi uint64) *table {
	i, _ := bits.Mul64(hi, uint64(len(m.tables)))
	return &m.tables[i]
}

// find is the slot that has the hash, or the empty one where it would go.
func (t *table) find(hi, lo uint64, seeds [2]uint64) int {
	a, b := bits.Mul64(hi^seeds[0], lo^seeds[1])
	at, _ := bits.Mul64(a^b, uint64(len(t.slots)))
	for i := int(at); ; {
		s := &t.slots[i]
		if s.next == 0 || s.lo == lo && s.hi == hi {
			return i
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// put says whether the key is new.
func (t *table) put(s slot, seeds [2]uint64) bool {
	at := &t.slots[t.find(s.hi, s.lo, seeds)]
	fresh := at.next == 0
	*at = s
	if fresh {
		t.n++
	}
	return fresh
}

// room makes room for one more key, growing up to most slots. One slot stays empty, where a search ends.
func (t *table) room(most int, seeds [2]uint64) bool {
	have := len(t.slots)
	switch {
	case have == most:
		return t.n+1 < have
	case (t.n+1)*100 <= have*growAt:
		return true
	}
	next := table{slots: make([]slot, min(max(2*have, firstSlots), most))}
	for _, s := range t.slots {
		if s.next != 0 {
			next.put(s, seeds)
		}
	}
	*t = next
	return t.n+1 < len(t.slots)
}

package index

import (
	"encoding/binary"
	"fmt"
)

// OffsetEntry says that the batches up to Offset begin at Position in the segment's file, or before.
type OffsetEntry struct {
	Offset   int64 // last offset of what was appended with this entry
	Position int32 // bytes from the start of the .log file, at a batch boundary
}

// OffsetView looks up in the bytes of a .index file. A part entry at the end is not seen.
type OffsetView struct {
	Base  int64
	Bytes []byte
}

// Len is the number of entries.
func (v OffsetView) Len() int { return len(v.Bytes) / OffsetEntrySize }

// Entry is the i-th, 0 <= i < Len.
func (v OffsetView) Entry(i int) OffsetEntry {
	b := v.Bytes[i*OffsetEntrySize:]
	return OffsetEntry{
		Offset:   v.Base + int64(int32(binary.BigEndian.Uint32(b))),
		Position: int32(binary.BigEndian.Uint32(b[4:])),
	}
}

// Last is the last entry; (Base, 0) when there is none.
func (v OffsetView) Last() OffsetEntry {
	if n := v.Len(); n > 0 {
		return v.Entry(n - 1)
	}
	return OffsetEntry{Offset: v.Base}
}

// Lookup is where to start the walk for an offset: the largest entry that is not above it, else (Base, 0).
func (v OffsetView) Lookup(offset int64) OffsetEntry {
	if i := floor(v.Len(), func(i int) bool { return v.Entry(i).Offset > offset }); i >= 0 {
		if e := v.Entry(i); e.Position >= 0 { // or the file is corrupt
			return e
		}
	}
	return OffsetEntry{Offset: v.Base}
}

// AtPosition is the first entry at or behind a file position: its Offset bounds from above what lies before the
// position. False when no entry is that far.
func (v OffsetView) AtPosition(position int64) (OffsetEntry, bool) {
	i := floor(v.Len(), func(i int) bool { return int64(v.Entry(i).Position) >= position }) + 1
	if i == v.Len() {
		return OffsetEntry{}, false
	}
	return v.Entry(i), true
}

// Check is the sanity check at load; it costs one entry, not the file.
func (v OffsetView) Check() error {
	if err := checkLength("offset index", len(v.Bytes), OffsetEntrySize); err != nil {
		return err
	}
	if last := v.Last(); last.Offset < v.Base {
		return fmt.Errorf("offset index ends at offset %d, below its base %d: %w", last.Offset, v.Base, ErrCorrupt)
	}
	return nil
}

// Offset is the offset index of the active segment. One writer; View at any time.
type Offset struct {
	base    int64
	max     int
	entries entries
}

// NewOffset is an index for a segment at base, of at most maxBytes (segment.index.bytes).
func NewOffset(base int64, maxBytes int) *Offset { return &Offset{base: base, max: maxBytes} }

// LoadOffset goes on with what a .index file holds. The bytes become the index's own. ErrCorrupt as Check, and when the entries
// do not rise as those of Append do, in their positions too.
func LoadOffset(base int64, maxBytes int, b []byte) (*Offset, error) {
	x, v := NewOffset(base, maxBytes), OffsetView{Base: base, Bytes: b}
	if err := v.Check(); err != nil {
		return nil, err
	}
	last := OffsetEntry{Offset: base - 1, Position: -1}
	for i := range v.Len() {
		e := v.Entry(i)
		if e.Offset <= last.Offset || e.Position <= last.Position {
			return nil, fmt.Errorf("offset index has (%d, %d) behind (%d, %d): %w", e.Offset, e.Position, last.Offset, last.Position, ErrCorrupt)
		}
		last = e
	}
	b = b[:len(b):len(b)]
	x.entries.p.Store(&b)
	return x, nil
}

// View is what the index holds now; it does not change.
func (x *Offset) View() OffsetView { return OffsetView{Base: x.base, Bytes: x.entries.bytes()} }

// Bytes is the content of the .index file; not to be changed.
func (x *Offset) Bytes() []byte { return x.entries.bytes() }

// Full says that the segment must be rolled before the next append.
func (x *Offset) Full() bool { return x.View().Len() >= x.max/OffsetEntrySize }

// Append adds an entry. Offsets rise strictly (ErrOrder); no entry goes into a full index (ErrFull).
func (x *Offset) Append(offset int64, position int32) error {
	v := x.View()
	if x.Full() {
		return fmt.Errorf("offset index with %d entries: %w", v.Len(), ErrFull)
	}
	if last := v.Last(); v.Len() > 0 && offset <= last.Offset {
		return fmt.Errorf("offset index ends at %d, got %d: %w", last.Offset, offset, ErrOrder)
	}
	rel, err := relative(x.base, offset)
	if err != nil {
		return err
	}
	var e [OffsetEntrySize]byte
	binary.BigEndian.PutUint32(e[:], rel)
	binary.BigEndian.PutUint32(e[4:], uint32(position))
	x.entries.append(e[:])
	return nil
}

// Truncate drops the entries at and above an offset.
func (x *Offset) Truncate(to int64) {
	v := x.View()
	x.entries.cut((floor(v.Len(), func(i int) bool { return v.Entry(i).Offset >= to }) + 1) * OffsetEntrySize)
}

// Reset drops all entries.
func (x *Offset) Reset() { x.entries.cut(0) }

package index

import (
	"encoding/binary"
	"fmt"
)

// NoTimestamp is the timestamp of an index without entries.
const NoTimestamp = -1

// TimeEntry says that no record up to Offset in this segment has a timestamp above Timestamp.
type TimeEntry struct {
	Timestamp int64 // ms since 1970: the largest of the segment so far
	Offset    int64 // of the batch (its last offset) that carries it
}

// TimeView looks up in the bytes of a .timeindex file. A part entry at the end is not seen.
type TimeView struct {
	Base  int64
	Bytes []byte
}

// Len is the number of entries.
func (v TimeView) Len() int { return len(v.Bytes) / TimeEntrySize }

// Entry is the i-th, 0 <= i < Len.
func (v TimeView) Entry(i int) TimeEntry {
	b := v.Bytes[i*TimeEntrySize:]
	return TimeEntry{
		Timestamp: int64(binary.BigEndian.Uint64(b)),
		Offset:    v.Base + int64(int32(binary.BigEndian.Uint32(b[8:]))),
	}
}

// Last is the last entry: the largest timestamp of a sealed segment. (NoTimestamp, Base) when there is none.
func (v TimeView) Last() TimeEntry {
	if n := v.Len(); n > 0 {
		return v.Entry(n - 1)
	}
	return TimeEntry{Timestamp: NoTimestamp, Offset: v.Base}
}

// Lookup is where to start the walk for a timestamp: the largest entry not above it, else (NoTimestamp, Base).
func (v TimeView) Lookup(timestamp int64) TimeEntry {
	if i := floor(v.Len(), func(i int) bool { return v.Entry(i).Timestamp > timestamp }); i >= 0 {
		return v.Entry(i)
	}
	return TimeEntry{Timestamp: NoTimestamp, Offset: v.Base}
}

// Check is the sanity check at load; it costs two entries, not the file.
func (v TimeView) Check() error {
	if err := checkLength("time index", len(v.Bytes), TimeEntrySize); err != nil {
		return err
	}
	if v.Len() == 0 {
		return nil
	}
	first, last := v.Entry(0), v.Last()
	if last.Timestamp < first.Timestamp {
		return fmt.Errorf("time index begins at %d and ends at %d: %w", first.Timestamp, last.Timestamp, ErrCorrupt)
	}
	if last.Offset < v.Base {
		return fmt.Errorf("time index ends at offset %d, below its base %d: %w", last.Offset, v.Base, ErrCorrupt)
	}
	return nil
}

// Time is the time index of the active segment. One writer; View at any time.
type Time struct {
	base    int64
	max     int
	entries entries
}

// NewTime is an index for a segment at base, of at most maxBytes (segment.index.bytes).
func NewTime(base int64, maxBytes int) *Time { return &Time{base: base, max: maxBytes} }

// LoadTime goes on with what a .timeindex file holds. The bytes become the index's own. ErrCorrupt as Check, and when the entries do
// not rise as those of Append do.
func LoadTime(base int64, maxBytes int, b []byte) (*Time, error) {
	x, v := NewTime(base, maxBytes), TimeView{Base: base, Bytes: b}
	if err := v.Check(); err != nil {
		return nil, err
	}
	last := TimeEntry{Timestamp: NoTimestamp, Offset: base}
	for i := range v.Len() {
		e := v.Entry(i)
		if e.Timestamp <= last.Timestamp || e.Offset < last.Offset {
			return nil, fmt.Errorf("time index has (%d, %d) behind (%d, %d): %w", e.Timestamp, e.Offset, last.Timestamp, last.Offset, ErrCorrupt)
		}
		last = e
	}
	b = b[:len(b):len(b)]
	x.entries.p.Store(&b)
	return x, nil
}

// View is what the index holds now; it does not change.
func (x *Time) View() TimeView { return TimeView{Base: x.base, Bytes: x.entries.bytes()} }

// Bytes is the content of the .timeindex file; not to be changed.
func (x *Time) Bytes() []byte { return x.entries.bytes() }

// Full says that only the closing entry still has a place.
func (x *Time) Full() bool { return x.View().Len() >= x.max/TimeEntrySize-1 }

// Append adds an entry if its timestamp is above the last one's; otherwise it does nothing. closing takes the slot that is
// kept for the end of the segment. The offset may not fall (ErrOrder); no other entry goes into a full index (ErrFull).
func (x *Time) Append(timestamp, offset int64, closing bool) error {
	v := x.View()
	last := v.Last()
	if timestamp <= last.Timestamp {
		return nil
	}
	if x.Full() && !closing {
		return fmt.Errorf("time index with %d entries: %w", v.Len(), ErrFull)
	}
	if v.Len() > 0 && offset < last.Offset {
		return fmt.Errorf("time index ends at offset %d, got %d: %w", last.Offset, offset, ErrOrder)
	}
	rel, err := relative(x.base, offset)
	if err != nil {
		return err
	}
	var e [TimeEntrySize]byte
	binary.BigEndian.PutUint64(e[:], uint64(timestamp))
	binary.BigEndian.PutUint32(e[8:], rel)
	x.entries.append(e[:])
	return nil
}

// Truncate drops the entries whose offset is at or above to.
func (x *Time) Truncate(to int64) {
	v := x.View()
	x.entries.cut((floor(v.Len(), func(i int) bool { return v.Entry(i).Offset >= to }) + 1) * TimeEntrySize)
}

// Reset drops all entries.
func (x *Time) Reset() { x.entries.cut(0) }

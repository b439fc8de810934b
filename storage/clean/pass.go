package clean

import (
	"errors"

	"barnabas/protocol/record"
)

// magicV2 is the format that has batches, producers and transactions.
const magicV2 = 2

// Mapping fills an OffsetMap with the keys of the dirty part, entry by entry.
type Mapping struct {
	Map   *OffsetMap
	Txns  *Txns
	Start int64 // where the dirty part begins; what lies before, in the batch that holds it, is not mapped
	// Latest is the offset up to which everything is mapped; -1 before anything is.
	Latest int64

	filter record.Filter
}

// NewMapping begins a map of a dirty part.
func NewMapping(m *OffsetMap, start int64) *Mapping {
	return &Mapping{Map: m, Txns: NewTxns(), Start: start, Latest: -1}
}

var errFull = errors.New("map is full")

// Add maps the records of the next entry. full says that the map has no room for one of them, and that Latest is final. An
// error says what is wrong with the entry.
func (m *Mapping) Add(entry []byte) (full bool, err error) {
	b := record.Batch(entry)
	last := b.BaseOffset()
	if b.Magic() >= magicV2 {
		last = b.LastOffset()
		if b.IsControl() {
			if _, err := m.Txns.Control(&m.filter, b); err != nil {
				return false, err
			}
			m.reach(last)
			return false, nil
		}
		if m.Txns.Data(b) {
			m.reach(last)
			return false, nil
		}
	}
	err = m.filter.Each(entry, func(offset int64, r record.Record) error {
		if r.Key == nil || offset < m.Start {
			return nil
		}
		if !m.Map.Put(r.Key, offset) {
			return errFull
		}
		m.Latest = offset
		return nil
	})
	if err == errFull {
		return true, nil
	}
	if err == nil {
		m.reach(last)
	}
	return false, err
}

func (m *Mapping) reach(last int64) {
	if last >= m.Start {
		m.Latest = last
	}
}

// SegmentDone says that the segment which ends before next has been added.
func (m *Mapping) SegmentDone(next int64) { m.Latest = next - 1 }

// LastRecord is where a producer that the log knows stands.
type LastRecord struct {
	Offset int64 // of its last batch's last record, -1 when only its epoch is known
	Epoch  int16
}

// Pass thins out the entries of a log, from its beginning to Latest.
type Pass struct {
	Map    *OffsetMap
	Latest int64
	Txns   *Txns
	// Producers are those that the log knows when the pass comes to a segment.
	Producers map[int64]LastRecord

	Now, DeleteRetentionMs int64 // ms
	// KeepTombstones keeps those of message formats 0 and 1. Their time has come when the segment's file was last written
	// at least delete.retention.ms before the newest file of the part that was clean before.
	KeepTombstones bool

	Keyless int // records that went because they have no key

	filter record.Filter
}

// Append appends what is left of the next entry to dst. An error says what is wrong with the entry.
func (p *Pass) Append(dst, entry []byte) ([]byte, record.Filtered, error) {
	b := record.Batch(entry)
	if b.Magic() < magicV2 {
		return p.filter.Append(dst, entry, record.Retention{Keep: func(offset int64, r record.Record) bool {
			return p.keeps(offset, r, p.KeepTombstones)
		}})
	}
	useless, marker := false, b.IsControl()
	if marker {
		var err error
		if useless, err = p.Txns.Control(&p.filter, b); err != nil {
			return dst, record.Filtered{}, err
		}
	} else {
		useless = p.Txns.Data(b)
	}
	horizon, decided := b.DeleteHorizon()
	due := decided && horizon <= p.Now
	r := record.Retention{
		KeepEmpty: b.ProducerID() >= 0 && p.lastOf(b),
		Horizon:   p.Now + p.DeleteRetentionMs,
		Stamp:     useless && marker,
	}
	switch {
	case useless && (!marker || due):
		r.Keep = func(int64, record.Record) bool { return false }
	case marker:
		r.Keep = func(int64, record.Record) bool { return true }
	default:
		r.Keep = func(offset int64, r record.Record) bool { return p.keeps(offset, r, !due) }
	}
	return p.filter.Append(dst, entry, r)
}

// keeps is about a record that is not aborted.
func (p *Pass) keeps(offset int64, r record.Record, tombstones bool) bool {
	switch {
	case offset > p.Latest:
		return true
	case r.Key == nil:
		p.Keyless++
		return false
	case r.Value == nil && !tombstones:
		return false
	}
	return offset >= p.Map.Get(r.Key)
}

// lastOf says whether the batch is the one that its producer's state is in.
func (p *Pass) lastOf(b record.Batch) bool {
	last, ok := p.Producers[b.ProducerID()]
	switch {
	case !ok:
		return false
	case last.Offset >= 0:
		return b.LastOffset() == last.Offset
	}
	return b.IsControl() && b.ProducerEpoch() == last.Epoch
}

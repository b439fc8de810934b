package record

import (
	"fmt"
	"slices"

	"barnabas/protocol/record/codec"
)

// keptInflated is what a Filter holds on to between entries, in bytes.
const keptInflated = 16 << 20

// Filter reads and thins out entries of a log, of any magic, as compaction does. It keeps memory from one entry to the
// next; the zero value is ready, for one goroutine. Entries must be such as Next cuts off; their checksums are not looked
// at. What a broker takes from a producer can be filtered: no more than the same bound is inflated.
type Filter struct {
	inflated []byte
	keep     []bool
	builder  Builder
}

// Retention says what stays of an entry.
type Retention struct {
	// Keep is asked about each record, in order. In magic 0 and 1 the record's deltas and headers are empty.
	Keep func(offset int64, r Record) bool
	// KeepEmpty leaves of a batch of magic 2 without any record that stays its header, which holds the state of its
	// producer.
	KeepEmpty bool
	// Horizon is the delete horizon, in milliseconds since 1970, that a batch of magic 2 without one gets when a record
	// without a value stays in it, and with Stamp in any case.
	Horizon int64
	Stamp   bool
}

// Filtered counts the records of an entry.
type Filtered struct{ Read, Kept int }

// DeleteHorizon is when the tombstones of the batch, or its marker, may go, in milliseconds since 1970; false when that
// is not decided yet.
func (b Batch) DeleteHorizon() (ms int64, ok bool) {
	if b.Attributes()&AttrHasDeleteHorizon == 0 {
		return 0, false
	}
	return b.BaseTimestamp(), true
}

// Each calls do for every record of an entry with its offset, in order, and returns do's first error as it is. Damage is an
// ErrCorrupt. In magic 0 and 1 the record's deltas and headers are empty. The record's slices are valid only until do
// returns.
func (f *Filter) Each(entry []byte, do func(offset int64, r Record) error) error {
	if entry[offMagic] == magicV2 {
		b := Batch(entry)
		records, err := f.records(b)
		if err != nil {
			return err
		}
		base := b.BaseOffset()
		return eachRecord(records, b.Count(), func(r Record) error { return do(base+int64(r.OffsetDelta), r) })
	}
	list, err := f.messages(message(entry))
	if err != nil {
		return err
	}
	for _, m := range list {
		key, value, ok := m.parts()
		if !ok {
			return corrupt("message at offset %d", m.offset)
		}
		if err := do(m.offset, Record{Key: key, Value: value}); err != nil {
			return err
		}
	}
	return nil
}

// Append appends to dst what is left of an entry: nothing, the entry as it is, or a new one with its codec, its first and
// last offset (magic 2; else those of the messages that stay), and all that says who wrote it.
func (f *Filter) Append(dst, entry []byte, r Retention) ([]byte, Filtered, error) {
	if entry[offMagic] == magicV2 {
		return f.batch(dst, Batch(entry), r)
	}
	return f.message(dst, message(entry), r)
}

// inflate is the uncompressed form of a payload, valid until the next call.
func (f *Filter) inflate(payload []byte, t codec.Type, magic int8) ([]byte, error) {
	if t == codec.None {
		return payload, nil
	}
	if cap(f.inflated) > keptInflated {
		f.inflated = nil
	}
	var err error
	if f.inflated, err = codec.Decompress(f.inflated[:0], payload, t, magic, maxInflated); err != nil {
		return nil, inflation(err)
	}
	return f.inflated, nil
}

func (f *Filter) records(b Batch) ([]byte, error) {
	if b.Count() == 0 {
		return nil, nil // a batch that was emptied before
	}
	records, err := f.inflate(b.Payload(), codec.Type(b.Codec()), magicV2)
	if err != nil {
		return nil, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
	}
	return records, nil
}

func (f *Filter) batch(dst []byte, b Batch, to Retention) ([]byte, Filtered, error) {
	records, err := f.records(b)
	if err != nil {
		return dst, Filtered{}, err
	}
	f.keep = f.keep[:0]
	var n Filtered
	tombstone := false
	base := b.BaseOffset()
	if err := eachRecord(records, b.Count(), func(r Record) error {
		stays := to.Keep(base+int64(r.OffsetDelta), r)
		f.keep = append(f.keep, stays)
		n.Read++
		if stays {
			n.Kept++
			tombstone = tombstone || r.Value == nil
		}
		return nil
	}); err != nil {
		return dst, n, fmt.Errorf("batch at offset %d: %w", base, err)
	}
	horizon, decided := b.DeleteHorizon()
	decide := !decided && (tombstone || to.Stamp)
	switch {
	case n.Kept == 0 && to.KeepEmpty:
		return appendEmptied(dst, b), n, nil
	case n.Kept == 0:
		return dst, n, nil
	case n.Kept == n.Read && !decide:
		return append(dst, b...), n, nil
	case decide:
		horizon, decided = to.Horizon, true
	}
	next, err := f.rebuild(b, records, horizon, decided)
	if err != nil {
		return dst, n, fmt.Errorf("batch at offset %d: %w", base, err)
	}
	return append(dst, next...), n, nil
}

// rebuild makes the batch anew from the records that stay. Where there is a delete horizon it takes the place of the base
// timestamp.
func (f *Filter) rebuild(b Batch, records []byte, horizon int64, decided bool) (Batch, error) {
	n := &f.builder
	n.Reset(BatchSpec{
		BaseOffset: b.BaseOffset(), LeaderEpoch: b.LeaderEpoch(), Codec: codec.Type(b.Codec()),
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(),
		Transactional: b.IsTransactional(), Control: b.IsControl(),
		LogAppendTime: b.IsLogAppendTime(), MaxTimestamp: b.MaxTimestamp(),
	})
	i := -1
	if err := eachRecord(records, b.Count(), func(r Record) error {
		if i++; !f.keep[i] {
			return nil
		}
		ts := b.Timestamp(r)
		switch {
		case n.count > 0:
		case decided:
			n.base = horizon
		default:
			n.base = ts
		}
		n.count++
		n.max = max(n.max, ts)
		r.TimestampDelta = ts - n.base
		n.buf = r.appendTo(n.buf)
		return nil
	}); err != nil {
		return nil, err
	}
	// Sequences are counted from the last offset, so that one stays whatever record had it.
	n.last = b.LastOffsetDelta()
	next, err := n.Build()
	if err == nil && decided {
		next.SetAttributes(next.Attributes() | AttrHasDeleteHorizon)
		next.Seal()
	}
	return next, err
}

// appendEmptied adds the header of a batch whose records are all gone.
func appendEmptied(dst []byte, b Batch) []byte {
	at := len(dst)
	dst = append(dst, b[:BatchOverhead]...)
	n := &Builder{
		spec: BatchSpec{
			BaseOffset: b.BaseOffset(), LeaderEpoch: b.LeaderEpoch(),
			ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(),
			Transactional: b.IsTransactional(), Control: b.IsControl(),
			LogAppendTime: b.IsLogAppendTime(), MaxTimestamp: b.MaxTimestamp(),
		},
		last: b.LastOffsetDelta(), base: None, max: b.MaxTimestamp(),
	}
	n.writeHeader(Batch(dst[at:]))
	return dst
}

// messages are those of an entry of magic 0 or 1: itself, or what it wraps.
func (f *Filter) messages(m message) ([]inner, error) {
	if m.codec() == codec.None {
		return []inner{plain(m)}, nil
	}
	_, packed, ok := m.parts()
	if !ok || packed == nil {
		return nil, corrupt("compressed message at offset %d", m.offset())
	}
	value, err := f.inflate(packed, m.codec(), m.magic())
	if err != nil {
		return nil, fmt.Errorf("message at offset %d: %w", m.offset(), err)
	}
	list, err := unwrap(m, value)
	if err != nil {
		return nil, &damage{text: fmt.Sprintf("compressed message at offset %d", m.offset()), cause: err}
	}
	if slices.ContainsFunc(list, func(in inner) bool { return in.codec() != codec.None }) {
		return nil, corrupt("a compressed message inside the compressed message at offset %d", m.offset())
	}
	return list, nil
}

func (f *Filter) message(dst []byte, m message, to Retention) ([]byte, Filtered, error) {
	list, err := f.messages(m)
	if err != nil {
		return dst, Filtered{}, err
	}
	n := Filtered{Read: len(list)}
	f.keep = f.keep[:0]
	same := true // magic within as without; brokers of old have written wrappers that differ
	for _, in := range list {
		key, value, ok := in.parts()
		if !ok {
			return dst, n, corrupt("message at offset %d", in.offset)
		}
		stays := to.Keep(in.offset, Record{Key: key, Value: value})
		f.keep = append(f.keep, stays)
		if stays {
			n.Kept++
			same = same && in.magic() == m.magic()
		}
	}
	switch {
	case n.Kept == 0:
		return dst, n, nil
	case n.Kept == n.Read && same:
		return append(dst, m...), n, nil
	}
	d := newDowner(dst, m.magic(), m.codec(), m.isLogAppendTime(), m.timestamp())
	defer d.close()
	for i, in := range list {
		if f.keep[i] {
			key, value, _ := in.parts()
			d.add(in.offset, in.time, key, value)
		}
	}
	out, err := d.done()
	return out, n, err
}

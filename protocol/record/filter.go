package record

import (
	"errors"
	"fmt"
	"slices"

	"barnabas/protocol/record/codec"
)

// Filter reads and thins out entries of a log, of any magic, as compaction does. It keeps memory from one entry to the
// next; the zero value is ready, for one goroutine. Entries must be such as Next cuts off; their checksums are not looked
// at. What a broker takes from a producer can be filtered: no more than the same bound is inflated. It takes some 8 MB at most,
// and one of all filters maxThinned more, twice where it is compressed; see filter_large.go.
type Filter struct {
	inflated []byte // at most wholeInflated
	key      []byte
	keep     []bool
	builder  Builder
}

// Retention says what stays of an entry.
type Retention struct {
	// Keep is asked about each record, in order. In magic 0 and 1 the record's deltas and headers are empty. In a batch that
	// inflates to much the headers are missing, and so is what is in a value that is not null. It must not use a filter.
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
// ErrCorrupt. What a record lacks is as with Retention.Keep; a key of more than maxThinned counts as null. The record's slices
// are valid only until do returns, which must not use a filter.
func (f *Filter) Each(entry []byte, do func(offset int64, r Record) error) error {
	if entry[offMagic] == magicV2 {
		b := Batch(entry)
		base := b.BaseOffset()
		records, isLarge, err := f.records(b)
		switch {
		case err != nil:
			return err
		case isLarge:
			return f.eachLarge(b, func(r large) error { return do(base+int64(r.OffsetDelta), r.Record) })
		}
		return eachRecord(records, b.Count(), func(r Record) error { return do(base+int64(r.OffsetDelta), r) })
	}
	list, buf, err := f.messages(message(entry))
	defer buf.giveBack()
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

// records is the uncompressed form of a batch's payload, valid until the next call; isLarge says that there is none, as it is to
// be read piece by piece.
func (f *Filter) records(b Batch) (records []byte, isLarge bool, err error) {
	t := codec.Type(b.Codec())
	switch {
	case b.Count() == 0:
		return nil, false, nil // a batch that was emptied before
	case t == codec.None:
		return b.Payload(), false, nil
	}
	if f.inflated, err = codec.Decompress(f.inflated[:0], b.Payload(), t, magicV2, wholeInflated); errors.Is(err, codec.ErrTooLarge) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), inflation(err))
	}
	return f.inflated, false, nil
}

func (f *Filter) batch(dst []byte, b Batch, to Retention) ([]byte, Filtered, error) {
	records, isLarge, err := f.records(b)
	if err != nil {
		return dst, Filtered{}, err
	}
	f.keep = f.keep[:0]
	var n Filtered
	tombstone := false
	base := b.BaseOffset()
	ask := func(r Record) error {
		stays := to.Keep(base+int64(r.OffsetDelta), r)
		f.keep = append(f.keep, stays)
		n.Read++
		if stays {
			n.Kept++
			tombstone = tombstone || r.Value == nil
		}
		return nil
	}
	bytes := 0 // of a large one's records that stay, and then some
	if isLarge {
		err = f.eachLarge(b, func(r large) error {
			if r.unknown {
				f.keep = append(f.keep, true)
				n.Read, n.Kept = n.Read+1, n.Kept+1
				tombstone = tombstone || r.Value == nil
			} else if err := ask(r.Record); err != nil {
				return err
			}
			if f.keep[len(f.keep)-1] {
				bytes += int(r.bytes) + 5 + 10 // a longer length, a longer time
			}
			return nil
		})
	} else {
		err = eachRecord(records, b.Count(), ask)
	}
	if err != nil {
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
	case bytes > maxThinned:
		n.Kept = n.Read
		return append(dst, b...), n, nil
	case decide:
		horizon, decided = to.Horizon, true
	}
	next, err := f.rebuild(b, func(add func(ts int64) (delta int64)) error {
		if isLarge {
			return f.copyLarge(b, bytes, add)
		}
		return f.copy(b, records, add)
	}, horizon, decided)
	if isLarge {
		f.builder.buf, f.key = nil, nil // not kept
	}
	if err != nil {
		return dst, n, fmt.Errorf("batch at offset %d: %w", base, err)
	}
	return append(dst, next...), n, nil
}

// rebuild makes the batch anew from the records that stay, which copy puts into the builder. Where there is a delete horizon it
// takes the place of the base timestamp.
func (f *Filter) rebuild(b Batch, copy func(add func(ts int64) (delta int64)) error, horizon int64, decided bool) (Batch, error) {
	n := &f.builder
	n.Reset(BatchSpec{
		BaseOffset: b.BaseOffset(), LeaderEpoch: b.LeaderEpoch(), Codec: codec.Type(b.Codec()),
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(),
		Transactional: b.IsTransactional(), Control: b.IsControl(),
		LogAppendTime: b.IsLogAppendTime(), MaxTimestamp: b.MaxTimestamp(),
	})
	if err := copy(func(ts int64) int64 {
		switch {
		case n.count > 0:
		case decided:
			n.base = horizon
		default:
			n.base = ts
		}
		n.count++
		n.max = max(n.max, ts)
		return ts - n.base
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

// copy puts those records into the builder that stay.
func (f *Filter) copy(b Batch, records []byte, add func(ts int64) (delta int64)) error {
	i := -1
	return eachRecord(records, b.Count(), func(r Record) error {
		if i++; f.keep[i] {
			r.TimestampDelta = add(b.Timestamp(r))
			f.builder.buf = r.appendTo(f.builder.buf)
		}
		return nil
	})
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

// messages are those of an entry of magic 0 or 1: itself, or what it wraps. They lie in buf, to be given back.
func (f *Filter) messages(m message) (list []inner, buf *buffer, err error) {
	buf = borrow()
	if m.codec() == codec.None {
		return []inner{plain(m)}, buf, nil
	}
	_, packed, ok := m.parts()
	if !ok || packed == nil {
		return nil, buf, corrupt("compressed message at offset %d", m.offset())
	}
	if err := buf.inflate(packed, m.codec(), m.magic(), maxInflated); err != nil {
		return nil, buf, fmt.Errorf("message at offset %d: %w", m.offset(), inflation(err))
	}
	if list, err = unwrap(m, buf.b); err != nil {
		return nil, buf, &damage{text: fmt.Sprintf("compressed message at offset %d", m.offset()), cause: err}
	}
	if slices.ContainsFunc(list, func(in inner) bool { return in.codec() != codec.None }) {
		return nil, buf, corrupt("a compressed message inside the compressed message at offset %d", m.offset())
	}
	return list, buf, nil
}

func (f *Filter) message(dst []byte, m message, to Retention) ([]byte, Filtered, error) {
	list, buf, err := f.messages(m)
	defer buf.giveBack()
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

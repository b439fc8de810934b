package record

import (
	"errors"
	"fmt"

	"barnabas/protocol/record/codec"
)

// Record is one record of a batch. A nil Key or Value is Kafka's null, which an empty one is not.
type Record struct {
	// OffsetDelta counts from the batch's base offset, TimestampDelta from its base timestamp; see Batch.Timestamp.
	OffsetDelta    int32
	TimestampDelta int64
	Key, Value     []byte
	Headers        []Header
}

// Header is one of a record's headers, in their order; keys may repeat. A nil Value is null.
type Header struct {
	Key   string
	Value []byte
}

// Each calls f for every record of the batch, in order, and returns f's first error as it is. Compressed records are
// inflated, to at most limit bytes: codec.ErrTooLarge past that. A record that cannot be read is an ErrCorrupt; the ones
// before it have been handed out by then. The record's slices, Headers too, are valid only until f returns.
func (b Batch) Each(limit int, f func(Record) error) error {
	count := b.Count()
	if count == 0 {
		return nil // a batch that the cleaner emptied
	}
	records := b.Payload()
	if t := codec.Type(b.Codec()); t != codec.None {
		buf := borrow()
		defer buf.giveBack()
		if err := buf.inflate(records, t, magicV2, limit); err != nil {
			return fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), inflation(err))
		}
		records = buf.b
	}
	return eachRecord(records, count, f)
}

// inflation turns an error of the codec into one of this package; codec.ErrTooLarge stays what it is.
func inflation(err error) error {
	if errors.Is(err, codec.ErrTooLarge) {
		return err
	}
	return &damage{text: "compressed records", cause: err}
}

// eachRecord walks exactly count records that fill b.
func eachRecord(b []byte, count int32, f func(Record) error) error {
	if count < 0 {
		return corrupt("%d records", count)
	}
	var r Record
	var headers []Header
	p := 0
	for i := range count {
		var size int32
		size, p = varint(b, p)
		if size < 0 || int(size) > len(b)-p {
			return corrupt("record %d of %d is cut short", i, count)
		}
		if !r.parse(b[p:p+int(size)], &headers) {
			return corrupt("record %d of %d", i, count)
		}
		if err := f(r); err != nil {
			return err
		}
		p += int(size)
	}
	if p != len(b) {
		return corrupt("%d bytes behind the last record", len(b)-p)
	}
	return nil
}

// parse reads a record's body, all of it. Headers is space for the headers; what it held from the record before saves
// the allocation of keys that come again in the same place.
func (r *Record) parse(b []byte, headers *[]Header) bool {
	p := 1 // attributes, of which none are defined
	r.TimestampDelta, p = varlong(b, p)
	r.OffsetDelta, p = varint(b, p)
	r.Key, p = nullable(b, p)
	r.Value, p = nullable(b, p)
	n, p := varint(b, p)
	if p > len(b) || n < 0 || int(n) > len(b)-p {
		return false
	}
	if n == 0 {
		r.Headers = nil
		return p == len(b)
	}
	known := (*headers)[:cap(*headers)]
	list := (*headers)[:0]
	for i := range int(n) {
		var h Header
		var size int32
		size, p = varint(b, p)
		if size < 0 || p > len(b) || int(size) > len(b)-p {
			return false
		}
		if key := b[p : p+int(size)]; i < len(known) && known[i].Key == string(key) {
			h.Key = known[i].Key
		} else {
			h.Key = string(key)
		}
		h.Value, p = nullable(b, p+int(size))
		if p > len(b) {
			return false
		}
		list = append(list, h)
	}
	*headers, r.Headers = list, list
	return p == len(b)
}

// nullable reads a length and as many bytes; any negative length is null. It fails as varint does.
func nullable(b []byte, p int) ([]byte, int) {
	n, p := varint(b, p)
	if n < 0 {
		return nil, p
	}
	if p > len(b) || int(n) > len(b)-p {
		return nil, len(b) + 1
	}
	end := p + int(n)
	return b[p:end:end], end
}

package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"barnabas/protocol/record/codec"
)

// A batch that inflates to more than wholeInflated is thinned out record by record, twice: to ask which records stay, and to copy
// those. So it takes what stays of it, and one of all at a time (see heavy); and what would take more than maxThinned stays as it
// is: an older value or a tombstone too many does no harm, and a cleaner without memory does.
const maxThinned = 64 << 20

// large is one record of a batch that is read piece by piece. Its Key is valid until the next is read; a Value that is not null
// is empty, and there are no headers.
type large struct {
	Record
	bytes int32 // without the length before them
	// unknown: the key is longer than maxThinned and was not read.
	unknown bool
}

// eachLarge calls do for the records of a batch, with their keys.
func (f *Filter) eachLarge(b Batch, do func(r large) error) error {
	return stream(b, func(s *pieces) error {
		r := large{bytes: s.varint()}
		s.byte() // attributes
		r.TimestampDelta, r.OffsetDelta = s.varlong(), s.varint()
		switch n := s.varint(); {
		case n < 0:
		case n > maxThinned:
			r.unknown = true
			s.skip(n)
		default:
			f.key = s.read(f.key[:0], int(n))
			r.Key = f.key
		}
		n := s.varint()
		if n >= 0 {
			r.Value = []byte{}
		}
		s.skip(n)
		s.headers(s.varint())
		if s.err != nil {
			return nil
		}
		return do(r)
	})
}

// stream has read called for each record of a batch. An error of the stream is that of the batch.
func stream(b Batch, read func(s *pieces) error) error {
	t := codec.Type(b.Codec())
	heavy.Lock()
	defer lighten(windowOf(t))
	r, err := codec.NewReader(b.Payload(), t, magicV2)
	if err != nil {
		return inflation(err)
	}
	defer r.Close()
	s := &pieces{r: bufio.NewReaderSize(&capped{r, maxInflated}, 32<<10)}
	for i := range b.Count() {
		if err := read(s); err != nil {
			return err
		}
		if s.err != nil {
			return fmt.Errorf("record %d: %w", i, inflation(s.err))
		}
	}
	if s.byte(); s.err == nil {
		return corrupt("bytes behind the last record")
	} else if !errors.Is(s.err, errCut) {
		return inflation(s.err)
	}
	return nil
}

// read appends n bytes to dst, with room for what has come only.
func (s *pieces) read(dst []byte, n int) []byte {
	const atOnce = 64 << 10
	if dst == nil {
		dst = make([]byte, 0, min(n, atOnce)) // an empty key is not a null one
	}
	for n > 0 && s.err == nil {
		at := len(dst)
		dst = append(dst, make([]byte, min(n, atOnce))...)
		m, err := io.ReadFull(s.r, dst[at:])
		if err != nil {
			s.fail(noMore(err))
		}
		dst, n = dst[:at+m], n-m
	}
	return dst
}

// noMore is the end that io.ReadFull met, as others tell it.
func noMore(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// copyLarge puts those records into the builder that stay, of so many bytes.
func (f *Filter) copyLarge(b Batch, bytes int, add func(ts int64) (delta int64)) error {
	n := &f.builder
	n.buf = append(make([]byte, 0, BatchOverhead+bytes), n.buf...) // made once
	i := -1
	return stream(b, func(s *pieces) error {
		const most = 1 + 10 // attributes, timestamp
		size := s.varint()
		if i++; s.err != nil {
			return nil
		}
		if !f.keep[i] {
			s.skip(size)
			return nil
		}
		head, err := s.r.Peek(int(min(max(size, 0), most)))
		if err != nil {
			s.fail(err)
			return nil
		}
		old, p := varlong(head, 1)
		if p > len(head) {
			s.err = errors.New("a record without its time")
			return nil
		}
		attributes := head[0]
		s.skip(int32(p))
		delta := add(b.Timestamp(Record{TimestampDelta: old}))
		n.buf = appendVarint(n.buf, size-int32(p)+1+int32(sizeVarlong(delta)))
		n.buf = appendVarlong(append(n.buf, attributes), delta)
		n.buf = s.read(n.buf, int(size)-p)
		return nil
	})
}

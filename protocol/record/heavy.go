package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"barnabas/protocol/record/codec"
)

// heavy is held by whoever works on a batch that inflates to more than wholeInflated, one at a time in the process: a
// megabyte inflates to a gigabyte, a zstd frame of twenty bytes may ask for a window of 128 MiB, and there are as many who
// send, search or convert such as there are connections. It is held over work on bytes only, never while anything is waited
// for; what a walk calls meanwhile must not walk another batch.
var heavy sync.Mutex

// collected is how much, in bytes, heavy work may leave to the garbage collector as it comes.
const collected = 32 << 20

// lighten ends heavy work that took some bytes. What it leaves is collected before the next begins, or the garbage of several
// would be there at a time.
func lighten(took int) {
	if took > collected {
		runtime.GC()
	}
	heavy.Unlock()
}

// inflate is codec.Decompress into the buffer, which is heavy until it is given back where that takes much; it may be used again
// meanwhile. Room for that is made once, when it is known how much it takes.
func (b *buffer) inflate(src []byte, t codec.Type, magic int8, limit int) (err error) {
	b.b, err = codec.Decompress(b.b[:0], src, t, magic, min(limit, wholeInflated))
	if limit <= wholeInflated || !errors.Is(err, codec.ErrTooLarge) {
		return err
	}
	b.b = nil // those who wait must not hold what they have tried with: there may be a thousand of them
	if !b.heavy {
		heavy.Lock()
		b.heavy = true
	}
	size, bad := int64(0), error(nil)
	if err := streamed(src, t, magic, func(r io.Reader) error {
		size, bad = io.Copy(io.Discard, &capped{r, limit + 1})
		return nil
	}); err != nil {
		return err
	}
	if size > int64(limit) {
		return codec.ErrTooLarge
	}
	b.b = make([]byte, size)
	if err := streamed(src, t, magic, func(r io.Reader) error {
		_, err := io.ReadFull(r, b.b)
		return err
	}); err != nil {
		return err
	}
	return bad
}

// streamed has f read what src inflates to.
func streamed(src []byte, t codec.Type, magic int8, f func(io.Reader) error) error {
	stream, err := codec.NewReader(src, t, magic)
	if err != nil {
		return err
	}
	defer stream.Close()
	return f(stream)
}

// windowOf is what a stream may take, in bytes.
func windowOf(t codec.Type) int {
	if t == codec.Zstd {
		return collected + 1 // what the frame asks for
	}
	return 0
}

// EachTime is Each for one who wants nothing but the records' times: what inflates to much is not held, but looked at piece by
// piece.
func (b Batch) EachTime(limit int, f func(offsetDelta int32, timestampDelta int64) error) error {
	t := codec.Type(b.Codec())
	each := func(r Record) error { return f(r.OffsetDelta, r.TimestampDelta) }
	if t == codec.None {
		return b.Each(limit, each)
	}
	if err := b.Each(min(limit, wholeInflated), each); !errors.Is(err, codec.ErrTooLarge) || limit <= wholeInflated {
		return err // nothing has been handed out of what is too large
	}
	heavy.Lock()
	defer lighten(windowOf(t))
	stream, err := codec.NewReader(b.Payload(), t, magicV2)
	if err != nil {
		return fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), inflation(err))
	}
	defer stream.Close()
	s := &pieces{r: bufio.NewReaderSize(&capped{stream, limit}, 32<<10)}
	for i := range b.Count() {
		if err := s.time(f); err != nil {
			return err
		}
		if s.err != nil {
			return fmt.Errorf("batch at offset %d: record %d: %w", b.BaseOffset(), i, inflation(s.err))
		}
	}
	if s.byte(); s.err == nil {
		return corrupt("bytes behind the last record")
	} else if !errors.Is(s.err, errCut) {
		return fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), inflation(s.err))
	}
	return nil
}

// time reads one record and calls f, whose error it gives; its own are the stream's.
func (s *pieces) time(f func(int32, int64) error) error {
	const most = 1 + 10 + 5 // attributes, timestamp, offset
	size := s.varint()
	if s.err != nil {
		return nil
	}
	head, err := s.r.Peek(int(min(max(size, 0), most)))
	if err != nil {
		s.fail(err)
		return nil
	}
	ts, p := varlong(head, 1)
	delta, p := varint(head, p)
	if p > len(head) {
		s.err = errors.New("a record without its time")
		return nil
	}
	s.skip(size)
	if s.err != nil {
		return nil
	}
	return f(delta, ts)
}

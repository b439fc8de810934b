package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

// pieces is compressed for a batch that inflates to more than should be held. It reads as walk does when that is not
// strict, from a stream.
func (in *inspection) pieces(b Batch, t codec.Type) error {
	heavy.Lock()
	defer lighten(windowOf(t))
	stream, err := codec.NewReader(b.Payload(), t, magicV2)
	if err != nil {
		return reject(kerr.UnknownServerError, "%v", err)
	}
	defer stream.Close()
	s := &pieces{r: bufio.NewReaderSize(&capped{stream, maxInflated}, 32<<10)}
	for i := range b.Count() {
		s.varint() // size
		s.byte()   // attributes
		ts := in.base + s.varlong()
		delta := s.varint()
		key := s.varint()
		s.skip(key)
		value := s.varint()
		s.skip(value)
		s.headers(s.varint())
		if s.err != nil {
			return s.rejected()
		}
		if in.flagged {
			ts = in.base
		}
		in.maxTimestamp = max(in.maxTimestamp, ts)
		in.gaps = in.gaps || delta != i
		if key < 0 && in.checkKey || in.refuseType || in.checkTime && ts != None && in.rules.late(ts) {
			in.offend(i, ts, delta, key, value)
		}
	}
	if s.byte(); s.err == nil {
		return reject(kerr.InvalidRecord, "bytes behind the last record")
	} else if !errors.Is(s.err, errCut) {
		return s.rejected()
	}
	return nil
}

// pieces reads fields from a stream; the first error stays and makes all later reads return 0.
type pieces struct {
	r   *bufio.Reader
	err error
}

func (s *pieces) rejected() error {
	var bad *streamError
	switch {
	case errors.Is(s.err, codec.ErrTooLarge):
		return reject(kerr.MessageTooLarge, "inflates to more than %d bytes", maxInflated)
	case errors.As(s.err, &bad):
		return reject(kerr.UnknownServerError, "%v", bad.err)
	}
	return reject(kerr.InvalidRecord, "%v", s.err)
}

// streamError is damage of the compression.
type streamError struct{ err error }

func (e *streamError) Error() string { return e.err.Error() }
func (e *streamError) Unwrap() error { return e.err }

func (s *pieces) fail(err error) {
	switch {
	case s.err != nil:
	case err == io.EOF:
		s.err = errCut
	default:
		s.err = &streamError{err}
	}
}

func (s *pieces) byte() byte {
	if s.err != nil {
		return 0
	}
	c, err := s.r.ReadByte()
	if err != nil {
		s.fail(err)
		return 0
	}
	return c
}

func (s *pieces) varlong() int64 { return s.zigzag(70) }
func (s *pieces) varint() int32  { return int32(s.zigzag32()) }

func (s *pieces) zigzag(bits int) int64 {
	u := s.unsigned(bits)
	return int64(u>>1) ^ -int64(u&1)
}

func (s *pieces) zigzag32() int32 {
	u := uint32(s.unsigned(35))
	return int32(u>>1) ^ -int32(u&1)
}

func (s *pieces) unsigned(bits int) uint64 {
	var u uint64
	for shift := 0; shift < bits; shift += 7 {
		c := s.byte()
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return u
		}
	}
	if s.err == nil {
		s.err = errors.New("a varint without end")
	}
	return 0
}

func (s *pieces) skip(n int32) {
	if n <= 0 || s.err != nil {
		return
	}
	if _, err := s.r.Discard(int(n)); err != nil {
		s.fail(err)
	}
}

func (s *pieces) headers(n int32) {
	if n < 0 && s.err == nil {
		s.err = fmt.Errorf("%d headers", n)
	}
	for ; n > 0 && s.err == nil; n-- {
		size := s.varint()
		if size < 0 && s.err == nil {
			s.err = fmt.Errorf("a header key of %d bytes", size)
		}
		s.skip(size)
		s.skip(s.varint())
	}
}

// capped is a reader that fails with codec.ErrTooLarge behind left bytes.
type capped struct {
	r    io.Reader
	left int
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, codec.ErrTooLarge
	}
	n, err := c.r.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

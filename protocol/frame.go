package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFrameSize is a frame whose size is negative or above the limit, which is also what other protocols' first bytes
// look like.
var ErrFrameSize = errors.New("invalid frame size")

const (
	readBufferSize = 16 << 10
	// keepBufferMax bounds what an idle connection holds on to between large frames.
	keepBufferMax = 1 << 20
)

// FrameReader cuts a stream into frames (i32 size, then that many bytes). It reads ahead into one linear buffer and
// hands out frames in place: a frame is valid until the next call of Next.
type FrameReader struct {
	src   io.Reader
	limit int
	buf   []byte
	r, w  int // unread bytes are buf[r:w]
}

// NewFrameReader reads frames of at most limit bytes (socket.request.max.bytes; the limit itself is allowed).
func NewFrameReader(src io.Reader, limit int) *FrameReader {
	return &FrameReader{src: src, limit: limit}
}

// Next waits for a whole frame. io.EOF says that the stream ended between frames, io.ErrUnexpectedEOF within one.
// A frame's memory grows with what has arrived, not with what its size claims.
func (f *FrameReader) Next() ([]byte, error) {
	f.shrink()
	if err := f.fill(4); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(f.buf[f.r:])))
	if size < 0 || size > f.limit {
		return nil, fmt.Errorf("%w: %d bytes (the limit is %d)", ErrFrameSize, size, f.limit)
	}
	if err := f.fill(4 + size); err != nil {
		return nil, err
	}
	frame := f.buf[f.r+4 : f.r+4+size : f.r+4+size]
	f.r += 4 + size
	return frame, nil
}

// Ready says that a whole frame has arrived already, so that Next will not wait.
func (f *FrameReader) Ready() bool {
	have := f.w - f.r
	if have < 4 {
		return false
	}
	size := int(int32(binary.BigEndian.Uint32(f.buf[f.r:])))
	return size < 0 || size > f.limit || have >= 4+size
}

// fill reads until n unread bytes are there.
func (f *FrameReader) fill(n int) error {
	for f.w-f.r < n {
		if f.r > 0 && (f.r == f.w || f.r+n > len(f.buf)) {
			f.w = copy(f.buf, f.buf[f.r:f.w])
			f.r = 0
		}
		if f.w == len(f.buf) {
			f.grow(n)
		}
		m, err := f.src.Read(f.buf[f.w:])
		f.w += m
		if err != nil && f.w-f.r < n {
			if err == io.EOF && f.w > f.r {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// grow makes room for a frame of n bytes: at once when most of it has come or it is small, else by doubling.
func (f *FrameReader) grow(n int) {
	size := max(readBufferSize, 2*len(f.buf))
	if n <= keepBufferMax || size > n {
		size = max(readBufferSize, n)
	}
	buf := make([]byte, size)
	f.w = copy(buf, f.buf[f.r:f.w])
	f.r = 0
	f.buf = buf
}

// shrink gives a large buffer back once its frame is done with.
func (f *FrameReader) shrink() {
	if len(f.buf) > keepBufferMax && f.w-f.r < readBufferSize {
		buf := make([]byte, readBufferSize)
		f.w = copy(buf, f.buf[f.r:f.w])
		f.r = 0
		f.buf = buf
	}
}

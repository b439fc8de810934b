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

// FrameSizeError is an ErrFrameSize with the bytes that stand where the size should.
type FrameSizeError struct {
	Head  [4]byte
	Limit int // bytes
}

func (e *FrameSizeError) Error() string {
	return fmt.Sprintf("%v: %d bytes (the limit is %d)", ErrFrameSize, int32(binary.BigEndian.Uint32(e.Head[:])), e.Limit)
}

// Unwrap makes errors.Is(err, ErrFrameSize) work.
func (e *FrameSizeError) Unwrap() error { return ErrFrameSize }

// FrameReader cuts a stream into frames (i32 size, then that many bytes). It reads ahead into one linear buffer and
// hands out frames in place: a frame is valid until the next call of Next. Frames that have arrived together cost one
// read. Between frames it holds no buffer while it waits, if the stream is a BorrowingReader.
type FrameReader struct {
	src      io.Reader
	patient  BorrowingReader // src, nil if it is none
	limit    int
	borrowed *buffer // nil when nothing is unread
	buf      []byte  // the borrowed one's
	r, w     int     // unread bytes are buf[r:w]
	// size is what the next buffer shall hold: a client that has sent large frames will send more.
	size   int
	admit  func(n int) error // see Admit
	waited bool              // see Waited
	// stash is the beginning of a frame, while the rest is waited for without a buffer.
	stash []byte

	take, resume func() []byte // borrow and unstash, made once
	give, pause  func()        // drop and putAside, with waited
}

// stashMax is how much of a frame is put aside while the rest is waited for: thousands who have sent a few bytes of one shall
// not hold a buffer each.
const stashMax = 8 << 10

// NewFrameReader reads frames of at most limit bytes (socket.request.max.bytes; the limit itself is allowed).
func NewFrameReader(src io.Reader, limit int) *FrameReader {
	f := &FrameReader{src: src, limit: limit}
	f.patient, _ = src.(BorrowingReader)
	f.take, f.resume = f.borrow, f.unstash
	f.give = func() { f.waited = true; f.drop() }
	f.pause = func() { f.waited = true; f.putAside() }
	return f
}

// AdmitFrom is the size, in bytes, above which a frame must be admitted.
const AdmitFrom = smallestBuffer - 4

// Admit has admit called for each frame above AdmitFrom: with how many bytes there will be room for, size field included, whenever
// there is no more room and before there is, first when as much as AdmitFrom has come, last with the whole size. Its error is
// that of Next. Who claims a large frame and does not send it takes nothing. With it no more is read ahead than the smallest
// buffer holds, so that what is in memory beyond that is what was admitted.
func (f *FrameReader) Admit(admit func(n int) error) { f.admit = admit }

// Next waits for a whole frame. io.EOF says that the stream ended between frames, io.ErrUnexpectedEOF within one.
// A frame's memory grows with what has arrived, not with what its size claims.
func (f *FrameReader) Next() ([]byte, error) {
	if err := f.fill(4); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(f.buf[f.r:])))
	if size < 0 || size > f.limit {
		return nil, &FrameSizeError{Head: [4]byte(f.buf[f.r:]), Limit: f.limit}
	}
	if f.admit != nil && size > AdmitFrom {
		if err := f.fill(smallestBuffer); err != nil {
			return nil, err
		}
	}
	if err := f.fill(4 + size); err != nil {
		return nil, err
	}
	frame := f.buf[f.r+4 : f.r+4+size : f.r+4+size]
	f.r += 4 + size
	if f.admit == nil {
		f.size = min(max(4+size, f.size/2), largestPooled)
	}
	return frame, nil
}

// Free gives the buffer back when nothing in it is unread. The last frame must not be used afterwards.
func (f *FrameReader) Free() {
	if f.r == f.w {
		f.drop()
	}
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

// Waited says whether Next had to wait, if the stream is a BorrowingReader, since it was asked last. For the rest of a frame that is
// larger than the smallest buffer it is not known.
func (f *FrameReader) Waited() bool {
	was := f.waited
	f.waited = false
	return was
}

// fill reads until n unread bytes are there.
func (f *FrameReader) fill(n int) error {
	for f.w-f.r < n {
		m, err := f.read(n)
		f.w += m
		if err != nil && f.w-f.r < n {
			switch {
			case f.w == f.r:
				f.drop()
			case err == io.EOF:
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// read reads once, on the way to n unread bytes.
func (f *FrameReader) read(n int) (int, error) {
	switch {
	case f.r < f.w:
		if err := f.makeRoom(n); err != nil {
			return 0, err
		}
		if f.patient != nil && f.w-f.r <= stashMax && len(f.buf) == smallestBuffer {
			return f.patient.ReadBorrowed(f.resume, f.pause)
		}
		end := len(f.buf)
		if f.admit != nil && end > smallestBuffer {
			end = min(end, f.r+n) // the next frame has not been admitted
		}
		return f.src.Read(f.buf[f.w:end])
	case f.patient != nil:
		f.drop()
		return f.patient.ReadBorrowed(f.take, f.give)
	default:
		f.drop()
		return f.src.Read(f.borrow())
	}
}

// makeRoom moves what is unread to where n bytes fit, or as many as four times what the buffer has held so far. What
// room there is behind it is filled first.
func (f *FrameReader) makeRoom(n int) error {
	if f.r+n <= len(f.buf) || f.r == 0 && f.w < len(f.buf) {
		return nil
	}
	old := f.borrowed
	if n > len(f.buf) {
		room := min(n, 4*len(f.buf))
		if f.admit != nil {
			if err := f.admit(room); err != nil {
				return err
			}
		}
		f.borrowed = borrowBuffer(room)
	}
	f.w = copy(f.borrowed.b, f.buf[f.r:f.w])
	f.r, f.buf = 0, f.borrowed.b
	if old != f.borrowed {
		old.giveBack()
	}
	return nil
}

// borrow gets a buffer where there is none.
func (f *FrameReader) borrow() []byte {
	f.borrowed = borrowBuffer(f.size)
	f.buf = f.borrowed.b
	return f.buf
}

// putAside gives the buffer back, but keeps what is unread.
func (f *FrameReader) putAside() {
	f.stash = append(f.stash[:0], f.buf[f.r:f.w]...)
	f.drop()
}

// unstash gets what room there is behind what is unread, and a buffer if that was put aside.
func (f *FrameReader) unstash() []byte {
	if f.borrowed == nil {
		f.w = copy(f.borrow(), f.stash)
		if cap(f.stash) > 1<<10 {
			f.stash = nil
		}
	}
	return f.buf[f.w:]
}

// drop gives the buffer back when nothing in it is unread.
func (f *FrameReader) drop() {
	if f.borrowed != nil {
		f.borrowed.giveBack()
	}
	f.borrowed, f.buf, f.r, f.w = nil, nil, 0, 0
}

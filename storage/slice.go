package storage

import (
	"io"
	"sync/atomic"
)

// Slice is a stretch of one segment's file: whole batches, but for the last one when a limit cut it. The zero value is
// empty. It holds the file open until Release, also after the segment was deleted. It has what a message's region needs.
type Slice struct {
	log    *Log
	handle *handle
	pos    int64
	size   int
	left   *atomic.Bool // released; shared by the copies

	// First is the first offset of the batch that the slice begins with, at or before the offset asked for.
	First int64
	// Below is above every offset in the slice, and at most what bounds its segment and what the reader may see.
	Below int64
	// Cut says that the first batch goes on behind the slice's end.
	Cut bool
}

func newSlice(l *Log, h *handle, pos int64, size int, first, below int64) Slice {
	return Slice{log: l, handle: h, pos: pos, size: size, First: first, Below: below, left: new(atomic.Bool)}
}

// Len is the size in bytes.
func (s Slice) Len() int { return s.size }

// ReadInto fills dst from the slice's start, with at most Len bytes.
func (s Slice) ReadInto(dst []byte) (int, error) {
	dst = dst[:min(len(dst), s.size)]
	if len(dst) == 0 {
		return 0, nil
	}
	return s.read(dst, s.pos)
}

// read takes the log offline when the disk fails. A file that is shorter now was truncated by a new leader's word.
func (s Slice) read(dst []byte, at int64) (int, error) {
	n, err := readFull(s.handle.file, dst, at)
	if err != nil && !isShort(err) {
		err = s.log.fail("read", err)
	}
	return n, err
}

// ReadAt reads within the slice.
func (s Slice) ReadAt(dst []byte, off int64) (int, error) {
	if off >= int64(s.size) {
		return 0, io.EOF
	}
	n, err := s.read(dst[:min(int64(len(dst)), int64(s.size)-off)], s.pos+off)
	if err == nil && n < len(dst) {
		err = io.EOF
	}
	return n, err
}

// Fd is the descriptor and the offset in it where the slice begins, for sendfile; false when the file has none.
func (s Slice) Fd() (fd uintptr, off int64, ok bool) {
	if s.handle == nil {
		return 0, 0, false
	}
	fd, ok = s.handle.file.Fd()
	return fd, s.pos, ok
}

// Release lets the file go. Further calls, on copies too, do nothing.
func (s Slice) Release() {
	if s.left != nil && !s.left.Swap(true) {
		s.handle.release()
	}
}

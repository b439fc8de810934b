package vfs

import (
	"bytes"
	"io"
	"io/fs"
	"sync/atomic"
)

// memFile is an open file of a Mem.
type memFile struct {
	fs     *Mem
	node   *memNode
	name   string
	write  bool
	closed atomic.Bool
}

func (f *memFile) check(op string, write bool) error {
	if f.closed.Load() {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	}
	if write && !f.write {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrPermission}
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", false); err != nil {
		return 0, err
	}
	f.fs.mu.RLock()
	defer f.fs.mu.RUnlock()
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", true); err != nil {
		return 0, err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.growLocked(off + int64(len(p)))
	copy(f.node.data[off:], p)
	f.node.modTime = f.fs.now()
	return len(p), nil
}

func (f *memFile) growLocked(size int64) {
	if have := int64(len(f.node.data)); size > have {
		f.node.data = append(f.node.data, make([]byte, size-have)...)
	}
}

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate", true); err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if size < int64(len(f.node.data)) {
		// A new array, so that a later write does not bring the cut bytes back.
		f.node.data = bytes.Clone(f.node.data[:size])
	}
	f.growLocked(size)
	f.node.modTime = f.fs.now()
	return nil
}

func (f *memFile) Sync() error {
	if err := f.check("sync", false); err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.durable = bytes.Clone(f.node.data)
	return nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.check("stat", false); err != nil {
		return 0, err
	}
	f.fs.mu.RLock()
	defer f.fs.mu.RUnlock()
	return int64(len(f.node.data)), nil
}

func (f *memFile) Fd() (uintptr, bool) { return 0, false }

// Map gives a copy: as a mapping of a sealed file, which nobody writes any more.
func (f *memFile) Map(length int64, _ bool) (*Mapping, error) {
	if err := f.check("mmap", false); err != nil {
		return nil, err
	}
	f.fs.mu.RLock()
	defer f.fs.mu.RUnlock()
	if length <= 0 || length > int64(len(f.node.data)) {
		return nil, &fs.PathError{Op: "mmap", Path: f.name, Err: fs.ErrInvalid}
	}
	return NewMapping(bytes.Clone(f.node.data[:length]), nil), nil
}

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	return nil
}

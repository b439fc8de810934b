package vfs

import (
	"io"
	"time"
)

// Op is a kind of access, for hooks and fault rules.
type Op string

const (
	OpOpen     Op = "open" // Open, OpenFile and OpenExisting
	OpCreate   Op = "create"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpTruncate Op = "truncate"
	OpSync     Op = "sync"
	OpSize     Op = "size"
	OpMap      Op = "map"
	OpClose    Op = "close"
	OpRemove   Op = "remove" // Remove and RemoveAll
	OpRename   Op = "rename" // told with the old name
	OpMkdir    Op = "mkdir"
	OpReadDir  Op = "readdir"
	OpStat     Op = "stat"
	OpModTime  Op = "modtime"
	OpSyncDir  Op = "syncdir"
	OpLock     Op = "lock"
	OpSpace    Op = "space"
)

// Changes says whether the access changes what is on disk or makes it durable: the points between which a crash
// differs.
func (o Op) Changes() bool {
	switch o {
	case OpCreate, OpWrite, OpTruncate, OpSync, OpRemove, OpRename, OpMkdir, OpSyncDir:
		return true
	}
	return false
}

// ShortWrite is an error for a hook to return from OpWrite when the first N bytes are to reach the file before it fails
// with Err, as on a disk that fills up.
type ShortWrite struct {
	N   int
	Err error
}

func (s *ShortWrite) Error() string { return s.Err.Error() }
func (s *ShortWrite) Unwrap() error { return s.Err }

// WithHook calls hook before every access to fsys; its error is the access's, which then does not take place. The hook
// runs in the goroutine of the access, so it must be safe for concurrent use.
func WithHook(fsys FS, hook func(op Op, name string) error) FS { return hookFS{fsys, hook} }

type hookFS struct {
	fsys FS
	hook func(Op, string) error
}

func (h hookFS) file(op Op, name string, open func(string) (File, error)) (File, error) {
	if err := h.hook(op, name); err != nil {
		return nil, err
	}
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	return hookFile{f, name, h.hook}, nil
}

func (h hookFS) do(op Op, name string, f func() error) error {
	if err := h.hook(op, name); err != nil {
		return err
	}
	return f()
}

func (h hookFS) Open(name string) (File, error)     { return h.file(OpOpen, name, h.fsys.Open) }
func (h hookFS) Create(name string) (File, error)   { return h.file(OpCreate, name, h.fsys.Create) }
func (h hookFS) OpenFile(name string) (File, error) { return h.file(OpOpen, name, h.fsys.OpenFile) }
func (h hookFS) OpenExisting(name string) (File, error) {
	return h.file(OpOpen, name, h.fsys.OpenExisting)
}
func (h hookFS) Remove(name string) error {
	return h.do(OpRemove, name, func() error { return h.fsys.Remove(name) })
}
func (h hookFS) RemoveAll(name string) error {
	return h.do(OpRemove, name, func() error { return h.fsys.RemoveAll(name) })
}
func (h hookFS) Rename(from, to string) error {
	return h.do(OpRename, from, func() error { return h.fsys.Rename(from, to) })
}
func (h hookFS) MkdirAll(dir string) error {
	return h.do(OpMkdir, dir, func() error { return h.fsys.MkdirAll(dir) })
}
func (h hookFS) ReadDir(dir string) (infos []Info, err error) {
	err = h.do(OpReadDir, dir, func() error { infos, err = h.fsys.ReadDir(dir); return err })
	return infos, err
}
func (h hookFS) Stat(name string) (info Info, err error) {
	err = h.do(OpStat, name, func() error { info, err = h.fsys.Stat(name); return err })
	return info, err
}
func (h hookFS) SetModTime(name string, t time.Time) error {
	return h.do(OpModTime, name, func() error { return h.fsys.SetModTime(name, t) })
}
func (h hookFS) SyncDir(dir string) error {
	return h.do(OpSyncDir, dir, func() error { return h.fsys.SyncDir(dir) })
}
func (h hookFS) Lock(name string) (c io.Closer, err error) {
	err = h.do(OpLock, name, func() error { c, err = h.fsys.Lock(name); return err })
	return c, err
}
func (h hookFS) FreeSpace(dir string) (s Space, err error) {
	err = h.do(OpSpace, dir, func() error { s, err = h.fsys.FreeSpace(dir); return err })
	return s, err
}

type hookFile struct {
	file File
	name string
	hook func(Op, string) error
}

func (f hookFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.hook(OpRead, f.name); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, off)
}

func (f hookFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.hook(OpWrite, f.name)
	if err == nil {
		return f.file.WriteAt(p, off)
	}
	short, ok := err.(*ShortWrite)
	if !ok {
		return 0, err
	}
	n, werr := f.file.WriteAt(p[:min(short.N, len(p))], off)
	if werr != nil {
		return n, werr
	}
	return n, err
}

func (f hookFile) Truncate(size int64) error {
	if err := f.hook(OpTruncate, f.name); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f hookFile) Sync() error {
	if err := f.hook(OpSync, f.name); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f hookFile) Size() (int64, error) {
	if err := f.hook(OpSize, f.name); err != nil {
		return 0, err
	}
	return f.file.Size()
}

func (f hookFile) Map(length int64, random bool) (*Mapping, error) {
	if err := f.hook(OpMap, f.name); err != nil {
		return nil, err
	}
	return f.file.Map(length, random)
}

// Close tells the hook, and closes whatever it says: a descriptor is gone even when close fails.
func (f hookFile) Close() error {
	herr := f.hook(OpClose, f.name)
	if err := f.file.Close(); err != nil {
		return err
	}
	return herr
}

func (f hookFile) Fd() (uintptr, bool) { return f.file.Fd() }

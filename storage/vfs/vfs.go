package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

// ErrFault is the error of a View whose bytes could not be had: the file is shorter now, or the disk failed.
var ErrFault = errors.New("fault while reading a mapped file")

// ErrLocked is the error of Lock when another owner holds the lock.
var ErrLocked = errors.New("locked by another process")

// FS is a tree of files. Implementations are safe for concurrent use. Errors for a missing name match fs.ErrNotExist.
type FS interface {
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// Create makes an empty file for reading and writing; an existing one is emptied.
	Create(name string) (File, error)
	// OpenFile opens a file for reading and writing as it is, and makes it when it is missing.
	OpenFile(name string) (File, error)
	// OpenExisting opens a file for reading and writing as it is.
	OpenExisting(name string) (File, error)
	Remove(name string) error
	// RemoveAll removes a file or a tree; a missing one is no error.
	RemoveAll(name string) error
	// Rename replaces to, if it exists, in one step.
	Rename(from, to string) error
	MkdirAll(dir string) error
	// ReadDir lists a directory in the order of the names. Sizes and times are not filled in; Stat has them.
	ReadDir(dir string) ([]Info, error)
	Stat(name string) (Info, error)
	// SetModTime sets the time that Stat tells.
	SetModTime(name string, t time.Time) error
	// SyncDir makes the names in dir durable.
	SyncDir(dir string) error
	// Lock makes the file if need be and takes its exclusive lock until Close; ErrLocked when somebody has it.
	Lock(name string) (io.Closer, error)
	// FreeSpace is the size of the file system that holds dir, in bytes.
	FreeSpace(dir string) (Space, error)
}

// File is an open file. There is no current position: every access says where. Safe for concurrent use.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync makes the bytes and the size durable (fdatasync).
	Sync() error
	Size() (int64, error)
	// Fd is the descriptor for sendfile; false when there is none (Mem).
	Fd() (uintptr, bool)
	// Map maps the first length bytes read-only; the mapping outlives the File. Length must be above 0 and at most the
	// size of the file. Random says that accesses jump about, so that reading ahead would be wasted.
	Map(length int64, random bool) (*Mapping, error)
}

// Info is what a directory knows of a name.
type Info struct {
	Name    string // last element
	Dir     bool
	Size    int64     // bytes
	ModTime time.Time // of the last write
}

// Space is the room on a file system.
type Space struct {
	Total, Usable int64 // bytes
}

// Exists says whether the name is there.
func Exists(fsys FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// ReadFile is the whole content of a file, which must not be above limit bytes.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("file too large")}
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err == io.EOF && n == len(b) {
		err = nil
	}
	return b[:n], err
}

// WriteFile makes or replaces a file, without any care for crashes; the caller syncs.
func WriteFile(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	if len(data) > 0 {
		_, err = f.WriteAt(data, 0)
	}
	return errors.Join(err, f.Close())
}

// TemporarySuffix is that of the file beside another that ReplaceFile writes first; a crash may leave it.
const TemporarySuffix = ".tmp"

// ReplaceFile replaces a file so that a crash leaves the old or the new content, and the new one is durable when it
// returns: a temporary file beside it (name + TemporarySuffix), Sync, Rename, SyncDir.
func ReplaceFile(fsys FS, name string, data []byte) error {
	tmp := name + TemporarySuffix
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	if len(data) > 0 {
		_, err = f.WriteAt(data, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = fsys.Rename(tmp, name); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

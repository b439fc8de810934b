//go:build unix

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OS is the file system of the machine. Files are made with mode 0644, directories with 0755, both less the umask.
var OS FS = osFS{}

type osFS struct{}

func (osFS) Open(name string) (File, error)   { return osOpen(name, os.O_RDONLY) }
func (osFS) Create(name string) (File, error) { return osOpen(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC) }
func (osFS) OpenFile(name string) (File, error) {
	return osOpen(name, os.O_RDWR|os.O_CREATE)
}
func (osFS) OpenExisting(name string) (File, error) { return osOpen(name, os.O_RDWR) }

// osOpen is os.OpenFile without its attempt to have the network poller watch the file, five system calls that always fail
// for regular files.
func osOpen(name string, flag int) (File, error) {
	for {
		fd, err := unix.Open(name, flag|unix.O_CLOEXEC, 0o644)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		default:
			return osFile{os.NewFile(uintptr(fd), name)}, nil
		}
	}
}

func (osFS) Remove(name string) error     { return os.Remove(name) }
func (osFS) RemoveAll(name string) error  { return os.RemoveAll(name) }
func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) MkdirAll(dir string) error    { return os.MkdirAll(dir, 0o755) }

func (osFS) ReadDir(dir string) ([]Info, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	infos := make([]Info, len(entries))
	for i, e := range entries {
		infos[i] = Info{Name: e.Name(), Dir: e.IsDir()}
		if e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		// A partition folder may be a link to another disk; a dangling one is just not a directory.
		if st, err := os.Stat(filepath.Join(dir, e.Name())); err == nil {
			infos[i].Dir = st.IsDir()
		}
	}
	return infos, nil
}

func (osFS) Stat(name string) (Info, error) {
	st, err := os.Stat(name)
	if err != nil {
		return Info{}, err
	}
	return Info{Name: st.Name(), Dir: st.IsDir(), Size: st.Size(), ModTime: st.ModTime()}, nil
}

func (osFS) SetModTime(name string, t time.Time) error { return os.Chtimes(name, time.Time{}, t) }

func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lock(int(f.Fd())); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			err = ErrLocked
		}
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
	return f, nil
}

func (osFS) FreeSpace(dir string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	unit := int64(st.Bsize)
	return Space{Total: int64(st.Blocks) * unit, Usable: int64(st.Bavail) * unit}, nil
}

type osFile struct{ *os.File }

func (f osFile) Fd() (uintptr, bool) { return f.File.Fd(), true }

func (f osFile) Sync() error {
	for {
		err := datasync(int(f.File.Fd()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "sync", Path: f.Name(), Err: err}
		}
		return nil
	}
}

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f osFile) Map(length int64, random bool) (*Mapping, error) {
	data, err := unix.Mmap(int(f.File.Fd()), 0, int(length), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, &fs.PathError{Op: "mmap", Path: f.Name(), Err: err}
	}
	if random {
		// Advice only: without it a lookup works the same, and reads ahead.
		_ = unix.Madvise(data, unix.MADV_RANDOM)
	}
	return NewMapping(data, unix.Munmap), nil
}

func base(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

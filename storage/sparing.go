package storage

import "barnabas/storage/vfs"

// sparing is a file system with a cache that gives way: what cannot be opened because too many files are is tried again
// when the cache has let some go. Otherwise a crowd of connections would take the log dirs offline, for a disk error that
// is none.
type sparing struct {
	vfs.FS
	files *FileCache
}

// shedAtOnce is how many handles go when one more file is wanted.
const shedAtOnce = 16

func spared[T any](s sparing, open func() (T, error)) (T, error) {
	for {
		v, err := open()
		if err == nil || !vfs.OutOfFiles(err) || !s.files.files.shed(shedAtOnce) {
			return v, err
		}
	}
}

func (s sparing) Open(name string) (vfs.File, error) {
	return spared(s, func() (vfs.File, error) { return s.FS.Open(name) })
}

func (s sparing) Create(name string) (vfs.File, error) {
	return spared(s, func() (vfs.File, error) { return s.FS.Create(name) })
}

func (s sparing) OpenFile(name string) (vfs.File, error) {
	return spared(s, func() (vfs.File, error) { return s.FS.OpenFile(name) })
}

func (s sparing) OpenExisting(name string) (vfs.File, error) {
	return spared(s, func() (vfs.File, error) { return s.FS.OpenExisting(name) })
}

func (s sparing) ReadDir(dir string) ([]vfs.Info, error) {
	return spared(s, func() ([]vfs.Info, error) { return s.FS.ReadDir(dir) })
}

func (s sparing) SyncDir(dir string) error {
	_, err := spared(s, func() (struct{}, error) { return struct{}{}, s.FS.SyncDir(dir) })
	return err
}

func (s sparing) RemoveAll(name string) error {
	_, err := spared(s, func() (struct{}, error) { return struct{}{}, s.FS.RemoveAll(name) })
	return err
}

package vfs

import (
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mem is a file system in memory that remembers what was made durable: each file its bytes at the last Sync, each
// directory its names at the last SyncDir. The root exists from the start. Times stand still unless Now is set.
type Mem struct {
	// Now tells the time of writes; set it before use.
	Now func() time.Time

	mu   sync.RWMutex // guards everything below
	root *memNode
}

// memNode is a file or a directory. Its name lies in its parent, so that it lives on under open Files after removal.
type memNode struct {
	dir     bool
	modTime time.Time
	locked  bool

	data, durable []byte // file: as written, and as of the last Sync

	names, durableNames map[string]*memNode // directory: as it is, and as of the last SyncDir
}

// NewMem is an empty file system.
func NewMem() *Mem { return &Mem{root: newMemDir()} }

func newMemDir() *memNode { return &memNode{dir: true, names: map[string]*memNode{}} }

func (m *Mem) now() time.Time {
	if m.Now == nil {
		return time.Unix(0, 0)
	}
	return m.Now()
}

// findLocked is the node of a name, or nil.
func (m *Mem) findLocked(name string) *memNode {
	node := m.root
	for _, part := range parts(name) {
		if node == nil || !node.dir {
			return nil
		}
		node = node.names[part]
	}
	return node
}

func parts(name string) []string {
	clean := strings.Trim(filepath.Clean(name), string(filepath.Separator))
	if clean == "" || clean == "." {
		return nil
	}
	return strings.Split(clean, string(filepath.Separator))
}

func (m *Mem) parentLocked(op, name string) (*memNode, string, error) {
	dir := m.findLocked(filepath.Dir(name))
	if dir == nil || !dir.dir {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return dir, filepath.Base(name), nil
}

func (m *Mem) Open(name string) (File, error) { return m.open(name, memOpen{}) }

func (m *Mem) Create(name string) (File, error) {
	return m.open(name, memOpen{write: true, create: true, empty: true})
}

func (m *Mem) OpenFile(name string) (File, error) {
	return m.open(name, memOpen{write: true, create: true})
}

func (m *Mem) OpenExisting(name string) (File, error) { return m.open(name, memOpen{write: true}) }

type memOpen struct{ write, create, empty bool }

func (m *Mem) open(name string, how memOpen) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, last, err := m.parentLocked("open", name)
	if err != nil {
		return nil, err
	}
	node := dir.names[last]
	switch {
	case node == nil && !how.create:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case node == nil:
		node = &memNode{modTime: m.now()}
		dir.names[last] = node
	case node.dir:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	case how.empty:
		node.data, node.modTime = nil, m.now()
	}
	return &memFile{fs: m, node: node, name: name, write: how.write}, nil
}

func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, last, err := m.parentLocked("remove", name)
	if err != nil {
		return err
	}
	node := dir.names[last]
	if node == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if len(node.names) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrInvalid}
	}
	delete(dir.names, last)
	return nil
}

func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if dir, last, err := m.parentLocked("remove", name); err == nil {
		delete(dir.names, last)
	}
	return nil
}

func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fromDir, fromLast, err := m.parentLocked("rename", from)
	if err != nil {
		return err
	}
	toDir, toLast, err := m.parentLocked("rename", to)
	if err != nil {
		return err
	}
	node := fromDir.names[fromLast]
	if node == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	if old := toDir.names[toLast]; old != nil && (old.dir != node.dir || len(old.names) > 0) {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	delete(fromDir.names, fromLast)
	toDir.names[toLast] = node
	return nil
}

func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.root
	for _, part := range parts(dir) {
		next := node.names[part]
		if next == nil {
			next = newMemDir()
			next.modTime = m.now()
			node.names[part] = next
		}
		if !next.dir {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist}
		}
		node = next
	}
	return nil
}

func (m *Mem) ReadDir(dir string) ([]Info, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	node := m.findLocked(dir)
	if node == nil || !node.dir {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: fs.ErrNotExist}
	}
	var infos []Info
	for _, name := range slices.Sorted(maps.Keys(node.names)) {
		infos = append(infos, Info{Name: name, Dir: node.names[name].dir})
	}
	return infos, nil
}

func (m *Mem) Stat(name string) (Info, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	node := m.findLocked(name)
	if node == nil {
		return Info{}, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return Info{Name: filepath.Base(name), Dir: node.dir, Size: int64(len(node.data)), ModTime: node.modTime}, nil
}

func (m *Mem) SetModTime(name string, t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.findLocked(name)
	if node == nil {
		return &fs.PathError{Op: "chtimes", Path: name, Err: fs.ErrNotExist}
	}
	node.modTime = t
	return nil
}

func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.findLocked(dir)
	if node == nil || !node.dir {
		return &fs.PathError{Op: "sync", Path: dir, Err: fs.ErrNotExist}
	}
	node.durableNames = maps.Clone(node.names)
	return nil
}

func (m *Mem) Lock(name string) (io.Closer, error) {
	f, err := m.OpenFile(name)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	node := f.(*memFile).node
	if node.locked {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: ErrLocked}
	}
	node.locked = true
	return &memLock{m, node}, nil
}

type memLock struct {
	fs   *Mem
	node *memNode
}

func (l *memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	l.node.locked = false
	return nil
}

// FreeSpace is always a terabyte, half of it free.
func (m *Mem) FreeSpace(string) (Space, error) { return Space{Total: 1 << 40, Usable: 1 << 39}, nil }

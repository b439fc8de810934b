package storage

import (
	"sync"
	"sync/atomic"

	"barnabas/storage/vfs"
)

// FileCache bounds how many files are open, and how many mappings exist, over all the logs that share it. A handle that
// is in use is never closed; it is only forgotten, and closed by its last user. So the bounds are exceeded by at most
// what is in use at a time.
type FileCache struct {
	files, maps pool

	shortage shortage
}

// NewFileCache is a cache of at most files descriptors and maps mappings, each at least 1.
func NewFileCache(files, maps int) *FileCache {
	c := &FileCache{}
	c.files.max, c.maps.max = max(files, 1), max(maps, 1)
	return c
}

// Open tells how many files and mappings the cache holds now.
func (c *FileCache) Open() (files, maps int) { return c.files.len(), c.maps.len() }

// pool is one kind of handle with its bound. The coldest goes first, by second chance: the hand passes a handle that
// was used since its last visit.
type pool struct {
	max int

	mu   sync.Mutex // guards ring, hand and every handle.at
	ring []*handle
	hand int
}

// slot is the place where the users of one file find its handle. The zero value is empty.
type slot struct{ handle atomic.Pointer[handle] }

// handle is an open file or a mapping. refs counts the cache and every user; at 0 it is closed and stays so.
type handle struct {
	file    vfs.File
	mapping *vfs.Mapping // nil for the mapping of an empty file

	slot *slot
	refs atomic.Int32
	used atomic.Bool
	at   int // place in the ring, -1 once out
}

// ref takes a reference; false when the handle is closed.
func (h *handle) ref() bool {
	for {
		n := h.refs.Load()
		if n == 0 {
			return false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives a reference back. The error of a close is of no use: what was written is checked by Sync.
func (h *handle) release() {
	if h.refs.Add(-1) > 0 {
		return
	}
	if h.file != nil {
		_ = h.file.Close()
	}
	if h.mapping != nil {
		_ = h.mapping.Close()
	}
}

// get is the handle in the slot with a reference for the caller, nil when there is none. It takes no lock.
func (s *slot) get() *handle {
	h := s.handle.Load()
	if h == nil || !h.ref() {
		return nil
	}
	if !h.used.Load() {
		h.used.Store(true)
	}
	return h
}

// acquire is get, opening the file if need be. Nothing is locked while it opens; of two who open at once one wins.
func (p *pool) acquire(s *slot, open func() (*handle, error)) (*handle, error) {
	if h := s.get(); h != nil {
		return h, nil
	}
	h, err := open()
	if err != nil {
		return nil, err
	}
	return p.put(s, h), nil
}

// put makes a new handle known and gives back the slot's, with a reference for the caller.
func (p *pool) put(s *slot, h *handle) *handle {
	h.slot = s
	h.used.Store(true)
	h.refs.Store(2) // the cache's and the caller's
	p.mu.Lock()
	if other := s.get(); other != nil {
		p.mu.Unlock()
		h.refs.Store(1)
		h.release()
		return other
	}
	s.handle.Store(h)
	h.at = len(p.ring)
	p.ring = append(p.ring, h)
	cold := p.coldLocked()
	p.mu.Unlock()
	if cold != nil {
		cold.release()
	}
	return h
}

// shed forgets up to n handles that nobody uses, and says whether there were any.
func (p *pool) shed(n int) bool {
	var shed []*handle
	p.mu.Lock()
	for i := len(p.ring) - 1; i >= 0 && len(shed) < n; i-- {
		if h := p.ring[i]; h.refs.Load() == 1 {
			p.removeLocked(h)
			shed = append(shed, h)
		}
	}
	p.mu.Unlock()
	for _, h := range shed {
		h.release()
	}
	return len(shed) > 0
}

// coldLocked takes a handle out when there are too many. The caller releases it, without the lock.
func (p *pool) coldLocked() *handle {
	if len(p.ring) <= p.max {
		return nil
	}
	for range 2 * len(p.ring) {
		h := p.ring[p.hand%len(p.ring)]
		if h.refs.Load() == 1 && !h.used.Swap(false) {
			p.removeLocked(h)
			return h
		}
		p.hand = (p.hand + 1) % len(p.ring)
	}
	return nil // all are in use
}

func (p *pool) removeLocked(h *handle) {
	last := len(p.ring) - 1
	p.ring[h.at] = p.ring[last]
	p.ring[h.at].at = h.at
	p.ring[last] = nil
	p.ring = p.ring[:last]
	h.at = -1
	h.slot.handle.CompareAndSwap(h, nil)
}

// drop forgets the slot's handle: its file is going away.
func (p *pool) drop(s *slot) {
	p.mu.Lock()
	h := s.handle.Load()
	if h == nil || h.at < 0 {
		p.mu.Unlock()
		return
	}
	p.removeLocked(h)
	p.mu.Unlock()
	h.release()
}

func (p *pool) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ring)
}

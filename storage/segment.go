package storage

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"barnabas/storage/index"
	"barnabas/storage/vfs"
)

// segment is a stretch of the log in one .log file with its indexes. The last of a log is active and grows; the others
// are sealed and never change. What an active segment loses by truncation it loses by being replaced, so a reader that
// holds a segment sees bytes come, never go, unless the segment is dead.
type segment struct {
	log     *Log
	base    int64
	created int64 // ms; when it was made or opened

	// size is how many bytes of the file are published; the file itself may be longer, see padded. On append it is stored
	// after the bytes are written and before the log's end rises.
	size atomic.Int64

	// live are the indexes in memory: of an active segment from the first append on, and of a sealed one until its index
	// files are written. Without them the index files are what counts.
	live atomic.Pointer[live]
	// txn is nil when no transaction was aborted here.
	txn atomic.Pointer[index.Txn]

	file              slot // descriptor of .log
	data, index, time slot // mappings of .log, .index, .timeindex, once sealed

	// newest is the largest timestamp and the last offset of the batch that carries it; unset until known.
	newest stamp

	durable atomic.Bool // sealed, written and synced with all its indexes; set by flush
	// dead: removed or replaced; its files may be gone, shorter, or a successor's. It is set before they are, so whoever
	// opened one and finds the segment alive has the right one.
	dead atomic.Bool

	// The rest is the writer's, under Log.mu.
	onDisk     bool  // the files exist
	padded     bool  // the file was preallocated: zeros may lie behind size
	sinceIndex int   // bytes since the last index entry
	firstTime  int64 // largest timestamp of the first batch, valid if firstKnown
	firstKnown bool
	jitter     int64 // ms taken off segment.ms
	gaps       bool  // a scan found offsets that no batch has
	stale      bool  // there was an .index file when it was opened, which does not know of what was appended since
}

// live are the indexes of a segment that grows.
type live struct {
	offsets *index.Offset
	times   *index.Time
	tail    tail
}

func newLive(base int64, c *Config) *live {
	return &live{offsets: index.NewOffset(base, c.IndexBytes), times: index.NewTime(base, c.IndexBytes)}
}

func (s *segment) path(suffix string) string {
	return filepath.Join(s.log.dir, fileName(s.base, suffix))
}

// errGone says that the segment was removed or replaced while it was read: look again at the log.
var errGone = errors.New("segment is gone")

// acquire is the descriptor of the .log file, to be released.
func (s *segment) acquire() (*handle, error) {
	if h := s.file.get(); h != nil {
		return h, nil
	}
	h, err := s.log.files.files.acquire(&s.file, func() (*handle, error) {
		f, err := s.log.fs.OpenExisting(s.path(logSuffix))
		if err == nil && s.dead.Load() {
			err = errors.Join(errGone, f.Close())
		}
		return &handle{file: f}, err
	})
	if err != nil && s.dead.Load() {
		return nil, errGone
	}
	return h, err
}

// acquireMap is the mapping of one of a sealed segment's files, to be released; of an empty or missing file it is empty.
func (s *segment) acquireMap(at *slot, suffix string, random bool) (*handle, error) {
	if h := at.get(); h != nil {
		return h, nil
	}
	h, err := s.log.files.maps.acquire(at, func() (*handle, error) {
		f, err := s.log.fs.Open(s.path(suffix))
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && suffix != logSuffix {
				return &handle{}, nil
			}
			return nil, err
		}
		defer f.Close()
		if s.dead.Load() {
			return nil, errGone
		}
		size, err := f.Size()
		if err != nil || size == 0 {
			return &handle{}, err
		}
		m, err := f.Map(size, random)
		for vfs.OutOfMaps(err) && s.log.files.maps.shed(shedAtOnce) {
			m, err = f.Map(size, random)
		}
		return &handle{mapping: m}, err
	})
	if err != nil && s.dead.Load() {
		return nil, errGone
	}
	return h, err
}

func (h *handle) view(f func([]byte) error) error {
	if h.mapping == nil {
		return f(nil)
	}
	return h.mapping.View(f)
}

// offsets calls f with what the offset index holds now. A file that fails the sanity check counts as empty: lookups
// then walk the segment from its start.
func (s *segment) offsets(f func(index.OffsetView)) error {
	if lv := s.live.Load(); lv != nil {
		f(lv.offsets.View())
		return nil
	}
	return s.viewIndex(&s.index, indexSuffix, func(b []byte) {
		v := index.OffsetView{Base: s.base, Bytes: b}
		if v.Check() != nil {
			v.Bytes = nil
		}
		f(v)
	})
}

// times is offsets for the time index.
func (s *segment) times(f func(index.TimeView)) error {
	if lv := s.live.Load(); lv != nil {
		f(lv.times.View())
		return nil
	}
	return s.viewIndex(&s.time, timeIndexSuffix, func(b []byte) {
		v := index.TimeView{Base: s.base, Bytes: b}
		if v.Check() != nil {
			v.Bytes = nil
		}
		f(v)
	})
}

// viewIndex calls f with the content of an index file. Where it cannot be mapped, as too many files are, it is read.
func (s *segment) viewIndex(at *slot, suffix string, f func(b []byte)) error {
	h, err := s.acquireMap(at, suffix, true)
	if vfs.OutOfMaps(err) {
		b, err := vfs.ReadFile(s.log.fs, s.path(suffix), math.MaxInt32)
		if err == nil {
			f(b)
		}
		return s.gone(err)
	}
	if err != nil {
		return err
	}
	defer h.release()
	return h.view(func(b []byte) error { f(b); return nil })
}

// lookup is the position to start the walk for an offset at.
func (s *segment) lookup(offset int64) (pos int64, err error) {
	if offset <= s.base {
		return 0, nil
	}
	err = s.offsets(func(v index.OffsetView) { pos = int64(v.Lookup(offset).Position) })
	if pos > s.size.Load() {
		pos = 0 // an index that has nothing to do with the file
	}
	return pos, err
}

// largest is the largest timestamp in the segment and the last offset of the batch that has it; -1 when no record has
// a timestamp.
func (s *segment) largest() (ts, offset int64, err error) {
	if ts, offset, ok := s.newest.get(); ok {
		return ts, offset, nil
	}
	if err := s.times(func(v index.TimeView) {
		last := v.Last()
		ts, offset = last.Timestamp, last.Offset
	}); err != nil {
		return 0, 0, err
	}
	// An active segment that is being loaded for its first append sets the same; both are right.
	return ts, offset, nil
}

// forget drops the handles of files that are going away.
func (s *segment) forget() {
	s.log.files.files.drop(&s.file)
	s.log.files.maps.drop(&s.data)
	s.log.files.maps.drop(&s.index)
	s.log.files.maps.drop(&s.time)
}

// stamp is a pair that one writer sets and readers see whole.
type stamp struct {
	seq        atomic.Uint32 // odd while it is being set; 0 while it never was
	ts, offset atomic.Int64
}

func (p *stamp) set(ts, offset int64) {
	p.seq.Add(1)
	p.ts.Store(ts)
	p.offset.Store(offset)
	p.seq.Add(1)
}

func (p *stamp) get() (ts, offset int64, ok bool) {
	for {
		seq := p.seq.Load()
		if seq == 0 {
			return 0, 0, false
		}
		if seq&1 == 0 {
			ts, offset = p.ts.Load(), p.offset.Load()
			if p.seq.Load() == seq {
				return ts, offset, true
			}
		}
		runtime.Gosched()
	}
}

// tail remembers where the last batches of an active segment begin, and where the next one will, so that the readers at
// the log's end, who are most, need neither index nor disk.
type tail struct {
	n    atomic.Int64 // entries ever added
	ring [tailSize]struct{ offset, pos atomic.Int64 }
}

const (
	tailSize = 16
	tailBusy = -1 // offset of an entry that is being replaced
)

// add notes that the batch at an offset begins, or will, at a position. One writer; offsets rise.
func (t *tail) add(offset, pos int64) {
	n := t.n.Load()
	e := &t.ring[n%tailSize]
	e.offset.Store(tailBusy)
	e.pos.Store(pos)
	e.offset.Store(offset)
	t.n.Store(n + 1)
}

// find is where the batch with an offset begins, and where the one behind it does (-1 when it is not known). exact says
// that the batch begins with that very offset. False when the offset is older than the tail.
func (t *tail) find(offset int64) (pos, next int64, exact, ok bool) {
	next = -1
	n := t.n.Load()
	for i := n - 1; i >= 0 && i >= n-tailSize; i-- {
		e := &t.ring[i%tailSize]
		at := e.offset.Load()
		pos := e.pos.Load()
		if at == tailBusy || e.offset.Load() != at {
			return 0, 0, false, false // the writer has come round
		}
		if at <= offset {
			return pos, next, at == offset, true
		}
		next = pos
	}
	return 0, 0, false, false
}

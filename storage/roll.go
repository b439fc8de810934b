package storage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"

	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/index"
	"barnabas/storage/vfs"
)

func (l *Log) now() int64 { return clock.Millis(l.clock) }

// String is the log as messages name it: topic-partition.
func (l *Log) String() string { return fmt.Sprintf("%s-%d", l.topic, l.partition) }

// newSegment is an empty segment without files.
func (l *Log) newSegment(base int64) *segment {
	s := &segment{log: l, base: base, created: l.now()}
	if j := l.config.Load().SegmentJitterMs; j > 0 {
		s.jitter = rand.Int64N(j)
	}
	return s
}

// materialise makes the files of the active segment, and the directory around them: at the first append, so that a
// partition nobody writes to costs no inode.
func (l *Log) materialise(s *segment) error {
	if err := l.fs.MkdirAll(l.dir); err != nil {
		return l.fail("mkdir", err)
	}
	if id := l.topicID.Load(); id != nil && !l.metaOnDisk {
		// Not synced: nothing is lost with it before the first flush, which writes it again, durably.
		if err := vfs.WriteFile(l.fs, filepath.Join(l.dir, checkpoint.PartitionMetadata), checkpoint.EncodePartition(*id)); err != nil {
			return l.fail("write of "+checkpoint.PartitionMetadata, err)
		}
		l.metaOnDisk, l.metaDirty = true, true
	}
	return l.createFile(s)
}

// createFile makes an empty .log file for an empty segment, preallocated if the settings say so, and gives it live indexes.
func (l *Log) createFile(s *segment) error {
	c := l.config.Load()
	f, err := l.fs.Create(s.path(logSuffix))
	if err != nil {
		return l.fail("create", err)
	}
	if c.Preallocate {
		// The size only, as in Kafka: blocks come with the writes, so a full disk is noticed by an append.
		if err := f.Truncate(int64(c.SegmentBytes)); err != nil {
			_ = f.Close()
			return l.fail("preallocation", err)
		}
		s.padded = true
	}
	l.files.files.put(&s.file, &handle{file: f}).release()
	s.onDisk = true
	s.newest.set(index.NoTimestamp, s.base)
	lv := newLive(s.base, c)
	lv.tail.add(s.base, 0)
	s.live.Store(lv)
	l.dirDirty = true
	return nil
}

// trimFile cuts a preallocated file to the segment's bytes. It is durable after the segment's next sync.
func (l *Log) trimFile(s *segment) error {
	if !s.padded {
		return nil
	}
	h, err := s.acquire()
	if err != nil {
		return l.fail("open", err)
	}
	err = h.file.Truncate(s.size.Load())
	h.release()
	if err != nil {
		return l.fail("trim", err)
	}
	s.padded = false
	return nil
}

// enliven loads the indexes of an active segment that was opened from disk and is now written to.
func (l *Log) enliven(s *segment, c *Config) error {
	lv := newLive(s.base, c)
	var err error
	load := func(suffix string) []byte {
		if err != nil {
			return nil
		}
		var b []byte
		if b, err = vfs.ReadFile(l.fs, s.path(suffix), math.MaxInt32); isMissing(err) {
			b, err = nil, nil
		}
		return b
	}
	offsets, times := load(indexSuffix), load(timeIndexSuffix)
	if err != nil {
		return l.fail("read of index", err)
	}
	if err := s.goOn(lv, c, offsets, times, l.end.Load()); err != nil {
		return l.fail("rebuild of index", err)
	}
	if _, _, known := s.newest.get(); !known {
		last := lv.times.View().Last()
		s.newest.set(last.Timestamp, last.Offset)
	}
	lv.tail.add(l.end.Load(), s.size.Load())
	s.live.Store(lv)
	l.files.maps.drop(&s.index)
	l.files.maps.drop(&s.time)
	return nil
}

// full says whether the segment must be rolled before n more bytes up to offset last.
func (l *Log) full(s *segment, c *Config, n int, last, newest, now int64) (bool, error) {
	size := s.size.Load()
	lv := s.live.Load()
	if size > int64(c.SegmentBytes)-int64(n) || lv.offsets.Full() || lv.times.Full() || last-s.base > math.MaxInt32 {
		return true, nil
	}
	if size == 0 {
		return false, nil
	}
	if !s.firstKnown {
		if err := s.walk(0, size, func(e entry) bool { s.firstTime = e.newest; return false }); err != nil {
			return false, l.fail("read", err)
		}
		s.firstKnown = true
	}
	waited := now - s.created
	if s.firstTime >= 0 {
		waited = newest - s.firstTime
	}
	return waited > c.rollMs()-s.jitter, nil
}

// roll seals the active segment and puts an empty one behind it. Writing out the indexes and syncing is left to a flush
// in the background; until it has run, recovery would rebuild them.
func (l *Log) roll(base int64) (*segment, error) {
	old := l.list().active()
	base = max(base, l.end.Load())
	if old.base == base && old.size.Load() == 0 {
		old.live.Store(newLive(base, l.config.Load())) // was full for being of no size at all
		old.live.Load().tail.add(base, 0)
		return old, nil
	}
	// Before anything lies behind: recovery takes a segment that ends in zeros for one that has lost its end, and has the
	// next ones removed.
	if err := l.trimFile(old); err != nil {
		return nil, err
	}
	if err := l.dropStale(old); err != nil {
		return nil, err
	}
	s := l.newSegment(base)
	if err := l.createFile(s); err != nil {
		return nil, err
	}
	if lv := old.live.Load(); lv != nil {
		l.closeTimes(old, lv)
	}
	l.takeSnapshot(base)
	l.setList(l.list().with(s))
	l.async(l.flushSealed)
	return s, nil
}

// dropStale removes an old index of a segment that is to be sealed where its end is durable already: a recovery begins behind it
// then, and would believe what index files it has. Without one they are made anew.
func (l *Log) dropStale(s *segment) error {
	if !s.stale || l.recovery.Load() < l.end.Load() {
		return nil
	}
	if err := l.fs.Remove(s.path(indexSuffix)); err != nil && !isMissing(err) {
		return l.fail("removal of index", err)
	}
	if err := l.syncNames(); err != nil {
		return err
	}
	s.stale = false
	return nil
}

// closeTimes adds the entry that closes a time index: the segment's largest timestamp.
func (l *Log) closeTimes(s *segment, lv *live) {
	if ts, at, ok := s.newest.get(); ok {
		_ = lv.times.Append(ts, at, true) // a slot is kept for it, and the order was checked at every append
	}
}

// takeSnapshot notes the state of the producers at the log's end, to be written by the next flush.
func (l *Log) takeSnapshot(at int64) {
	if at <= l.lastSnap {
		return
	}
	l.pending = append(l.pending, snapshot{at, l.producers.Snapshot()})
	l.snapshots = append(l.snapshots, at)
	l.lastSnap = at
}

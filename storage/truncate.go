package storage

import (
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
)

// Truncate cuts the log so that it ends at an offset, or before, at the start of the batch that holds it. Beyond the end
// it only forgets leader epochs that begin there: a leader may have assigned one and never written.
func (l *Log) Truncate(to int64) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	lowered, err := l.truncate(to)
	if lowered && l.onLowered != nil {
		l.onLowered()
	}
	return err
}

func (l *Log) truncate(to int64) (lowered bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return false, err
	}
	if end := l.end.Load(); to >= end {
		if l.epochs.TruncateFromEnd(end) {
			return false, l.writeEpochs()
		}
		return false, nil
	}
	list := l.list()
	if to < list[0].base {
		if err := l.probe(); err != nil {
			return false, err
		}
		return true, l.truncateFully(to)
	}
	i := list.floor(to)
	s := list[i]
	at, err := s.position(to)
	if err != nil {
		return false, l.readError(err)
	}
	l.logger.Info("truncate", zap.Stringer("log", l), zap.Int64("to", to), zap.Int64("end", l.end.Load()))

	// Readers first: from here on they see the shorter log. The end of the log is where the batch begins, which may be
	// before to.
	cut, err := l.cut(s, to, at)
	if err == nil {
		err = l.probe()
	}
	if err != nil {
		return false, err
	}
	end := cut.end
	lowered = max(l.recovery.Load(), l.start.Load(), l.hw.Load(), l.cleaned.Load()) > end
	l.lower(end)
	l.setList(append(slices.Clone(list[:i]), cut.segment))
	s.dead.Store(true)
	s.forget()
	// From the last one backwards, so that a crash leaves no hole.
	for _, gone := range slices.Backward(list[i+1:]) {
		if err := l.discard(gone); err != nil {
			return lowered, err
		}
	}
	// What comes before must not be lost once the name of what is cut is durable.
	for _, before := range list[:i] {
		if !before.durable.Load() {
			if err := l.insist("truncate", func() error { return l.syncSegment(before, true) }); err != nil {
				return lowered, err
			}
		}
	}
	// What lies behind must be gone before the cut is durable: a start would take what is missing between the two for the
	// work of the cleaner.
	if i+1 < len(list) {
		if err := l.insist("truncate", l.syncNames); err != nil {
			return lowered, err
		}
	}
	if err := l.insist("truncate", cut.finish); err != nil {
		return lowered, err
	}
	if l.epochs.TruncateFromEnd(end) {
		if err := l.insist("truncate", l.writeEpochs); err != nil {
			return lowered, err
		}
	}
	if err := l.dropSnapshots(func(at int64) bool { return at > end }); err != nil {
		return lowered, err
	}
	return lowered, l.insist("truncate", func() error { return l.reloadProducers(end) })
}

// probe says whether there is a descriptor for a truncation, before it has changed anything.
func (l *Log) probe() error {
	s := l.list().active()
	if !s.onDisk {
		return nil // there is nothing to cut
	}
	f, err := l.fs.Open(s.path(logSuffix))
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return l.fail("open", err)
	}
	return nil
}

// lower brings down everything that must not be above the new end.
func (l *Log) lower(end int64) {
	l.end.Store(end)
	l.hw.Store(min(l.hw.Load(), end))
	l.start.Store(min(l.start.Load(), end))
	l.recovery.Store(min(l.recovery.Load(), end))
	l.cleaned.Store(min(l.cleaned.Load(), end))
	l.cuts++
}

// cutting is the successor of a segment that loses its end.
type cutting struct {
	segment *segment
	end     int64 // the log's new end
	at      int64 // the file's new size
}

// cut prepares the successor; finish makes the files what it says.
func (l *Log) cut(s *segment, to, at int64) (*cutting, error) {
	c := l.config.Load()
	lv := newLive(s.base, c)
	next := l.newSegment(s.base)
	next.onDisk = s.onDisk
	next.firstTime, next.firstKnown = s.firstTime, s.firstKnown && at > 0
	next.size.Store(at)
	end, err := next.trim(s, lv, c, to)
	if err != nil {
		return nil, l.readError(err)
	}
	if x := s.txn.Load(); x != nil {
		x.Truncate(end)
		if len(x.Bytes()) > 0 {
			next.txn.Store(x)
		}
	}
	lv.tail.add(end, at)
	next.live.Store(lv)
	return &cutting{segment: next, end: end, at: at}, nil
}

func (c *cutting) finish() error {
	s, l := c.segment, c.segment.log
	if !s.onDisk {
		return nil
	}
	h, err := s.acquire()
	if err != nil {
		return l.fail("open", err)
	}
	err = h.file.Truncate(c.at)
	if err == nil {
		err = h.file.Sync()
	}
	h.release()
	if err != nil {
		return l.fail("truncate", err)
	}
	// The index files speak of what is no more. Without them recovery rebuilds; readers of old mappings keep them.
	for _, suffix := range []string{indexSuffix, timeIndexSuffix, txnIndexSuffix} {
		if err := l.fs.Remove(s.path(suffix)); err != nil && !isMissing(err) {
			return l.fail("remove of index", err)
		}
	}
	return l.syncNames()
}

// syncNames makes the renames and removals of a truncation durable. Together with the sync of the cut file it keeps a
// crash from bringing cut batches back behind ones that were written in their place.
func (l *Log) syncNames() error {
	if err := l.fs.SyncDir(l.dir); err != nil {
		return l.fail("sync of directory", err)
	}
	return nil
}

// TruncateFully empties the log and lets it go on at an offset, forgetting epochs and producers.
func (l *Log) TruncateFully(at int64) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	err := func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err := l.writable(); err != nil {
			return err
		}
		if err := l.probe(); err != nil {
			return err
		}
		return l.truncateFully(at)
	}()
	if err == nil && l.onLowered != nil {
		l.onLowered()
	}
	return err
}

func (l *Log) truncateFully(at int64) error {
	l.logger.Info("truncate fully", zap.Stringer("log", l), zap.Int64("at", at), zap.Int64("end", l.end.Load()))
	old := l.list()
	existed := old.active().onDisk
	s := l.newSegment(at)
	l.end.Store(at)
	l.hw.Store(at)
	l.start.Store(at)
	l.recovery.Store(at)
	l.cleaned.Store(min(l.cleaned.Load(), at))
	l.cuts++
	l.setList(segments{s})
	for _, gone := range slices.Backward(old) {
		if err := l.discard(gone); err != nil {
			return err
		}
	}
	if err := l.dropSnapshots(func(int64) bool { return true }); err != nil {
		return err
	}
	l.lastSnap = at
	l.producers.Clear()
	l.lastMarker = -1
	l.settle()
	forgotten := l.epochs.Clear()
	// Only the name of a file says where an empty log is.
	if !existed && at <= 0 {
		return nil
	}
	if err := l.insist("truncate", func() error { return l.materialise(s) }); err != nil {
		return err
	}
	if forgotten {
		if err := l.insist("truncate", l.writeEpochs); err != nil {
			return err
		}
	}
	return l.insist("truncate", l.syncNames)
}

// writeEpochs replaces the leader epoch checkpoint at once: after a truncation its old entries are wrong, not just old.
func (l *Log) writeEpochs() error {
	if !l.list().active().onDisk {
		l.epochsDirty = true
		return nil
	}
	l.epochsDirty = false
	if err := checkpoint.WriteEpochs(l.fs, filepath.Join(l.dir, checkpoint.LeaderEpochs), l.epochs.Entries()); err != nil {
		return l.fail("write of "+checkpoint.LeaderEpochs, err)
	}
	return nil
}

// discard takes a segment's files out of the way: renamed now, removed after file.delete.delay.ms. Readers that hold them
// open go on.
func (l *Log) discard(s *segment) error {
	s.dead.Store(true)
	s.forget()
	if !s.onDisk {
		return nil
	}
	return l.discardFiles(fileName(s.base, logSuffix), fileName(s.base, indexSuffix),
		fileName(s.base, timeIndexSuffix), fileName(s.base, txnIndexSuffix))
}

// discardFiles renames files to .deleted and sets the timer for their removal. A missing one is fine.
func (l *Log) discardFiles(names ...string) error {
	var doomed []string
	for _, name := range names {
		path := filepath.Join(l.dir, name)
		if err := l.fs.Rename(path, path+deletedSuffix); isMissing(err) {
			continue
		} else if err != nil {
			return l.fail("rename of "+name, err)
		}
		doomed = append(doomed, path+deletedSuffix)
	}
	if len(doomed) == 0 {
		return nil
	}
	delay := time.Duration(l.config.Load().FileDeleteDelayMs) * time.Millisecond
	if delay <= 0 {
		l.removeFiles(doomed)
		return nil
	}
	d := &deletion{}
	d.timer = l.clock.AfterFunc(delay, func() {
		l.mu.Lock()
		l.deletions = slices.DeleteFunc(l.deletions, func(x *deletion) bool { return x == d })
		l.mu.Unlock()
		l.removeFiles(doomed)
	})
	l.deletions = append(l.deletions, d)
	return nil
}

// deletion is a removal of files that waits for its time.
type deletion struct{ timer clock.Timer }

func (l *Log) removeFiles(paths []string) {
	if l.usable() != nil {
		return
	}
	for _, path := range paths {
		if err := l.fs.Remove(path); err != nil && !isMissing(err) {
			_ = l.fail("removal of "+filepath.Base(path), err)
			return
		}
	}
}

// removeDeleted removes at a clean stop what still waits for its time.
func (l *Log) removeDeleted() {
	l.mu.Lock()
	pending := len(l.deletions) > 0
	l.mu.Unlock()
	if !pending {
		return
	}
	infos, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return // the next start does it
	}
	for _, info := range infos {
		if filepath.Ext(info.Name) == deletedSuffix {
			_ = l.fs.Remove(filepath.Join(l.dir, info.Name))
		}
	}
}

// dropSnapshots discards the snapshots whose offsets are unwanted.
func (l *Log) dropSnapshots(unwanted func(at int64) bool) error {
	l.pending = slices.DeleteFunc(l.pending, func(p snapshot) bool { return unwanted(p.offset) })
	var doomed []string
	l.snapshots = slices.DeleteFunc(l.snapshots, func(at int64) bool {
		if !unwanted(at) {
			return false
		}
		doomed = append(doomed, fileName(at, snapshotSuffix))
		return true
	})
	return l.discardFiles(doomed...)
}

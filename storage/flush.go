package storage

import (
	"errors"
	"path/filepath"

	"go.uber.org/zap"

	"barnabas/storage/checkpoint"
	"barnabas/storage/vfs"
)

// Sync makes everything up to and including an offset durable. Many callers share one disk sync: they queue for
// flushMu, the first syncs all there is, and the others find their own work done.
func (l *Log) Sync(offset int64) error {
	if l.synced(offset) {
		return l.usable()
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if err := l.usable(); err != nil || l.synced(offset) {
		return err
	}
	return l.flush(true)
}

// Flush makes the whole log durable.
func (l *Log) Flush() error { return l.Sync(l.end.Load()) }

// SyncDue syncs what has been waiting for flush.ms.
func (l *Log) SyncDue(now int64) error {
	if l.synced(l.end.Load()) {
		l.flushed.Store(now)
		return nil
	}
	if now-l.flushed.Load() < l.config.Load().FlushMs {
		return nil
	}
	return l.Flush()
}

func (l *Log) synced(offset int64) bool {
	r := l.recovery.Load()
	return r > offset || r >= l.end.Load()
}

// flushSealed makes the sealed segments durable, in the background after a roll.
func (l *Log) flushSealed() {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if l.usable() == nil {
		_ = l.flush(false) // reported by fail
	}
}

// flush writes the indexes of sealed segments and syncs everything that is not durable; the active segment with active
// only. The caller holds flushMu and not mu: appends go on meanwhile.
//
// The recovery point moves last, and past nothing whose indexes, snapshots, epochs or names might be lost: recovery
// rebuilds only what lies in segments at or behind the recovery point.
func (l *Log) flush(active bool) (err error) {
	l.mu.Lock()
	list, end := l.list(), l.end.Load()
	if !list.active().onDisk {
		l.mu.Unlock()
		return nil // nothing was ever written, and there is no directory
	}
	pending := l.pending
	l.pending = nil
	epochsDirty, dirDirty, metaDirty := l.epochsDirty, l.dirDirty, l.metaDirty
	entries := l.epochs.Entries()
	l.epochsDirty, l.dirDirty, l.metaDirty = false, false, false
	wasDoubtful := l.doubtful
	l.doubtful = l.doubtful && !active
	l.mu.Unlock()
	defer func() {
		if err == nil {
			return
		}
		// The next one has it to do; or none, where the disk has failed.
		l.mu.Lock()
		defer l.mu.Unlock()
		l.pending = append(pending, l.pending...)
		l.epochsDirty, l.dirDirty, l.metaDirty = l.epochsDirty || epochsDirty, l.dirDirty || dirDirty, l.metaDirty || metaDirty
		l.doubtful = wasDoubtful
	}()
	first := len(list)
	for first > 0 && !list[first-1].durable.Load() {
		first--
	}
	for _, s := range list[first:] {
		sealed := s != list.active()
		if !sealed && !active {
			continue
		}
		if err := l.syncSegment(s, sealed); err != nil {
			return err
		}
		dirDirty = dirDirty || sealed // its index files have new names
	}
	for _, p := range pending {
		if err := l.writeDurably(fileName(p.offset, snapshotSuffix), p.data); err != nil {
			return err
		}
	}
	if metaDirty {
		if err := checkpoint.WritePartition(l.fs, filepath.Join(l.dir, checkpoint.PartitionMetadata), *l.topicID.Load()); err != nil {
			return l.fail("write of "+checkpoint.PartitionMetadata, err)
		}
	}
	if epochsDirty {
		if err := checkpoint.WriteEpochs(l.fs, filepath.Join(l.dir, checkpoint.LeaderEpochs), entries); err != nil {
			return l.fail("write of "+checkpoint.LeaderEpochs, err)
		}
	}
	if dirDirty || len(pending) > 0 {
		if err := errors.Join(l.fs.SyncDir(l.dir), l.fs.SyncDir(filepath.Dir(l.dir))); err != nil {
			return l.fail("sync of directory", err)
		}
		l.nameless.Store(false)
	}
	if !active {
		end = list.active().base
	}
	if end > l.recovery.Load() {
		l.recovery.Store(end)
	}
	if active {
		l.flushed.Store(l.now())
	}
	return nil
}

// syncSegment makes one segment durable. The indexes of the active one stay in memory: recovery scans it anyway.
func (l *Log) syncSegment(s *segment, sealed bool) error {
	h, err := s.acquire()
	if err != nil {
		return l.fail("open", err)
	}
	err = h.file.Sync()
	h.release()
	if err != nil {
		return l.fail("sync", err)
	}
	if !sealed {
		return nil
	}
	if err := l.writeIndexes(s); err != nil {
		return err
	}
	// From now on the files are what counts, and they are complete.
	s.durable.Store(true)
	s.live.Store(nil)
	return nil
}

// writeIndexes puts the index files of a segment on disk, durably and cut to their entries.
func (l *Log) writeIndexes(s *segment) error {
	if lv := s.live.Load(); lv != nil {
		l.files.maps.drop(&s.index)
		l.files.maps.drop(&s.time)
	}
	// The transaction index first: with the other two there, nobody looks whether it is.
	if x := s.txn.Load(); x != nil && len(x.Bytes()) > 0 {
		if err := l.replaceDurably(s.path(txnIndexSuffix), x.Bytes()); err != nil {
			return err
		}
	}
	if lv := s.live.Load(); lv != nil {
		if err := l.replaceDurably(s.path(indexSuffix), lv.offsets.Bytes()); err != nil {
			return err
		}
		return l.replaceDurably(s.path(timeIndexSuffix), lv.times.Bytes())
	}
	return nil
}

// replaceDurably makes or replaces a file so that it is whole or the old one, as what is believed once it is there must be. Its
// name is durable after the next SyncDir. Until it has its name it has that of compaction's output, which a start removes.
func (l *Log) replaceDurably(path string, data []byte) error {
	if err := l.writeDurably(filepath.Base(path)+cleanedSuffix, data); err != nil {
		return err
	}
	if err := l.fs.Rename(path+cleanedSuffix, path); err != nil {
		return l.fail("rename of "+filepath.Base(path), err)
	}
	return nil
}

// writeDurably replaces a small file in the replica's directory. Its name is durable after the next SyncDir.
func (l *Log) writeDurably(name string, data []byte) error {
	f, err := l.fs.Create(filepath.Join(l.dir, name))
	if err != nil {
		return l.fail("create of "+name, err)
	}
	if len(data) > 0 {
		_, err = f.WriteAt(data, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return l.fail("write of "+name, err)
	}
	return nil
}

// Close leaves the directory as a clean stop does, so that the next start needs no scan: everything durable, the .log file
// cut to its batches and the index files to their entries, the time index closed, the producers noted at the log's end.
// Appends are refused from its beginning on; readers finish with what they hold. After an error that isPassing it may be tried
// again; Abandon instead gives up.
func (l *Log) Close() error {
	l.cleaning.bar()
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if l.closed.Load() {
		return nil
	}
	l.mu.Lock()
	l.closing = true
	active := l.list().active()
	// What is durable already is not written again: most of many logs have not been touched since they were opened.
	unsynced := active.padded || l.doubtful || !l.synced(l.end.Load())
	err := error(nil)
	if d := l.failure.Load(); d != nil {
		err = d
	} else if active.onDisk {
		err = l.trimFile(active)
		l.takeSnapshot(l.end.Load())
	}
	l.mu.Unlock()
	if err == nil && active.onDisk {
		err = l.closeIndexes(active)
	}
	if err == nil && active.onDisk {
		err = l.flush(unsynced)
	}
	if err == nil {
		l.removeDeleted()
	}
	if !isPassing(err) {
		l.shut()
	}
	return err
}

// closeIndexes puts the active segment's indexes on disk, unless they are there since it was opened; nobody appends any more.
func (l *Log) closeIndexes(s *segment) error {
	if lv := s.live.Load(); lv != nil {
		l.closeTimes(s, lv)
	} else if ok, err := l.hasIndexes(s); ok || err != nil {
		return err
	} else if err := l.enliven(s, l.config.Load()); err != nil {
		return err
	}
	l.mu.Lock()
	l.dirDirty = true
	l.mu.Unlock()
	return l.writeIndexes(s)
}

func (l *Log) hasIndexes(s *segment) (bool, error) {
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		if ok, err := vfs.Exists(l.fs, s.path(suffix)); err != nil {
			return false, l.fail("stat of index", err)
		} else if !ok {
			return false, nil
		}
	}
	return true, nil
}

// Abandon drops the log as it is, writing nothing more: before its directory is deleted, and in place of a crash.
func (l *Log) Abandon() {
	l.cleaning.bar()
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.shut()
}

func (l *Log) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	l.closed.Store(true)
	for _, d := range l.deletions {
		d.timer.Stop()
	}
	l.deletions = nil
	for _, s := range l.list() {
		s.forget()
	}
}

// SetTopicID ties the log to a topic, in partition.metadata once there is a directory.
func (l *Log) SetTopicID(id [16]byte) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	l.topicID.Store(&id)
	if !l.list().active().onDisk {
		l.metaOnDisk = false // a file that a crash has left empty does not count
		return nil
	}
	l.metaDirty = true
	if err := checkpoint.WritePartition(l.fs, filepath.Join(l.dir, checkpoint.PartitionMetadata), id); err != nil {
		return l.fail("write of "+checkpoint.PartitionMetadata, err)
	}
	l.metaOnDisk, l.metaDirty = true, false
	l.logger.Debug("topic id", zap.Stringer("log", l))
	return nil
}

// TopicID is the id of the topic; zero when it is not known.
func (l *Log) TopicID() [16]byte {
	if id := l.topicID.Load(); id != nil {
		return *id
	}
	return [16]byte{}
}

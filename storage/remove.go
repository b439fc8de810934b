package storage

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
)

// Delete takes a partition's log out of service at once and has its files removed after file.delete.delay.ms: the
// directory gets a name that neither we nor a Java broker would serve again. Readers finish with what they hold.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION when there is no such log, KAFKA_STORAGE_ERROR when it lies, or may lie, in a log dir
// that is offline.
func (m *Manager) Delete(topic string, partition int32) error {
	m.changes.Lock()
	defer m.changes.Unlock()
	if m.isClosed() {
		return errManagerClosed
	}
	h, ok := m.find(topic, partition)
	if !ok {
		if err := m.MissingIsLost(); err != nil {
			return err
		}
		return fmt.Errorf("no log of %s-%d: %w", topic, partition, kerr.UnknownTopicOrPartition)
	}
	if e := h.dir.failure.Load(); e != nil {
		return e // it will be there again when the disk is
	}
	h.log.Abandon()
	if err := h.dir.discard(h.log); err != nil {
		// It stays known, and refuses: were it made anew in another log dir, the next start would find it twice.
		return err
	}
	m.forget(topic, partition)
	h.dir.haunt(partitionOf(h.log)) // only now no checkpoint that is written lists it
	return nil
}

// discard renames an abandoned log's directory and notes what is left to do.
func (d *logDir) discard(l *Log) error {
	p := partitionOf(l)
	if err := d.forgetDirty(p); err != nil {
		return err
	}
	to := filepath.Join(d.path, deleteDirName(p))
	err := d.m.o.FS.Rename(l.Dir(), to)
	if isMissing(err) {
		d.m.o.Logger.Info("deleted log without files", zap.Stringer("log", l))
		return nil
	}
	if err == nil {
		err = d.m.o.FS.SyncDir(d.path)
	}
	if err != nil {
		return d.fail("rename of "+p.String(), err)
	}
	d.m.o.Logger.Info("deleted log", zap.Stringer("log", l), zap.String("renamed", to))
	d.janitor.remove(to, time.Duration(l.Config().FileDeleteDelayMs)*time.Millisecond)
	return nil
}

// erase removes the directory of a deleted replica for good.
func (d *logDir) erase(path string) {
	if err := d.m.o.FS.RemoveAll(path); err != nil {
		_ = d.fail("removal of "+filepath.Base(path), err)
		return
	}
	d.m.o.Logger.Info("removed directory of a deleted log", zap.String("dir", path))
}

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
	return m.dismiss(topic, partition, (*logDir).discard)
}

// SetAside takes a log out of service that is of no topic of the cluster, and leaves its files to whoever may want them:
// the directory gets the name that Kafka gives to stray replicas, which no start loads. Errors are those of Delete.
func (m *Manager) SetAside(topic string, partition int32) error {
	return m.dismiss(topic, partition, (*logDir).setAside)
}

// dismiss forgets a log whose directory out has given another name.
func (m *Manager) dismiss(topic string, partition int32, out func(*logDir, *Log) error) error {
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
	if err := out(h.dir, h.log); err != nil {
		// It stays known, and refuses: were it made anew in another log dir, the next start would find it twice.
		return err
	}
	m.forget(topic, partition)
	h.dir.haunt(partitionOf(h.log)) // only now no checkpoint that is written lists it
	_ = h.dir.writeFirstDirty()     // an error has taken the log dir offline
	return nil
}

// discard ends a log, renames its directory and notes what is left to do.
func (d *logDir) discard(l *Log) error {
	l.Abandon()
	to, err := d.rename(l, deleteDirSuffix)
	switch {
	case err != nil:
		return err
	case to == "":
		d.m.o.Logger.Info("deleted log without files", zap.Stringer("log", l))
	default:
		d.m.o.Logger.Info("deleted log", zap.Stringer("log", l), zap.String("renamed", to))
		d.janitor.remove(to, time.Duration(l.Config().FileDeleteDelayMs)*time.Millisecond)
	}
	return nil
}

// setAside closes a log, so that it is whole, and renames its directory.
func (d *logDir) setAside(l *Log) error {
	if err := l.Close(); err != nil {
		return err
	}
	to, err := d.rename(l, strayDirSuffix)
	if err == nil {
		d.m.o.Logger.Warn("log set aside, its topic is gone", zap.Stringer("log", l), zap.String("renamed", to))
	}
	return err
}

// rename gives a log's directory, which nobody uses any more, a name that ends so; "" if there was none.
func (d *logDir) rename(l *Log, suffix string) (to string, err error) {
	p := partitionOf(l)
	to = filepath.Join(d.path, retiredDirName(p, suffix))
	err = d.m.o.FS.Rename(l.Dir(), to)
	if isMissing(err) {
		return "", nil
	}
	if err == nil {
		err = insist(d.m.o.Clock, func() error { return d.m.o.FS.SyncDir(d.path) })
	}
	if err != nil {
		return "", d.fail("rename of "+p.String(), err)
	}
	return to, nil
}

// erase removes the directory of a deleted replica for good.
func (d *logDir) erase(path string) {
	if err := d.m.o.FS.RemoveAll(path); err != nil {
		if err := d.fail("removal of "+filepath.Base(path), err); isPassing(err) {
			d.janitor.remove(path, tellShortage) // another time
		}
		return
	}
	d.m.o.Logger.Info("removed directory of a deleted log", zap.String("dir", path))
}

package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/storage/checkpoint"
	"barnabas/storage/vfs"
)

// lockFile is held by the process that uses a log dir. A clean stop removes it.
const lockFile = ".lock"

// logDir is one entry of log.dirs. Once it has failed it stays so for the life of the process.
type logDir struct {
	m    *Manager
	path string
	lock io.Closer // nil when it could not be had

	failure atomic.Pointer[DiskError]

	clean  bool // it was left by a clean stop; set by Load
	loaded bool // every replica in it is known, so that checkpoints may be replaced; set by Load

	count int // logs in it; guarded by Manager.mu

	janitor janitor
	queue   queue

	mu      sync.Mutex                        // guards what follows, and is held while checkpoints are written
	written map[string][]byte                 // content of the checkpoints as last written
	ghosts  map[checkpoint.Partition]struct{} // deleted replicas that the checkpoints may still list
}

// OpenDirs makes the log dirs that are missing and locks them. One that cannot be used is offline from the start, see
// Dirs; it is an error if none is left, if one is named twice, or if another broker uses one.
func OpenDirs(o Options) (*Manager, error) {
	o.setDefaults()
	m := &Manager{o: o, files: NewFileCache(o.OpenFiles, o.Mappings), logs: map[string]map[int32]hosted{}}
	m.o.FS = sparing{o.FS, m.files}
	m.SetRecoveryThreads(o.RecoveryThreads)
	m.cleaner = newCleaner(m, o.Cleaner)
	if err := m.openDirs(); err != nil {
		m.unlock(false)
		return nil, err
	}
	return m, nil
}

func (m *Manager) openDirs() error {
	seen := map[string]bool{}
	for _, path := range m.o.Dirs {
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if seen[abs] {
			return fmt.Errorf("log dir %s is named twice in log.dirs", abs)
		}
		seen[abs] = true
		d := &logDir{m: m, path: abs, written: map[string][]byte{}, ghosts: map[checkpoint.Partition]struct{}{}}
		d.janitor.dir, d.queue.idle = d, sync.NewCond(&d.queue.mu)
		m.dirs = append(m.dirs, d)
		if err := d.open(); errors.Is(err, vfs.ErrLocked) {
			return fmt.Errorf("log dir %s is used by another broker, which holds %s in it: %w", abs, lockFile, err)
		} else if vfs.OutOfFiles(err) {
			return fmt.Errorf("log dir %s cannot be opened: %w", abs, err)
		} else if err != nil {
			d.failure.Store(&DiskError{Dir: abs, Op: "open", Err: err})
			m.o.Logger.Error("log dir cannot be used", zap.String("dir", abs), zap.Error(err))
		}
	}
	if len(m.dirs) == 0 {
		return errors.New("log.dirs is empty")
	}
	if len(m.live()) == 0 {
		return fmt.Errorf("none of the log dirs can be used: %w", m.dirs[0].failure.Load())
	}
	return nil
}

func (d *logDir) open() (err error) {
	fsys := d.m.o.FS
	if err := d.make(); err != nil {
		return err
	}
	if _, err := fsys.ReadDir(d.path); err != nil {
		return err
	}
	d.lock, err = fsys.Lock(filepath.Join(d.path, lockFile))
	return err
}

// make makes the log dir, with what is missing above it, durably.
func (d *logDir) make() error {
	fsys := d.m.o.FS
	var parents []string // of the directories that are made
	for dir := d.path; ; dir = filepath.Dir(dir) {
		exists, err := vfs.Exists(fsys, dir)
		if err != nil {
			return err
		}
		if exists || dir == filepath.Dir(dir) {
			break
		}
		parents = append(parents, filepath.Dir(dir))
	}
	if len(parents) == 0 {
		return nil
	}
	d.m.o.Logger.Info("making log dir", zap.String("dir", d.path))
	if err := fsys.MkdirAll(d.path); err != nil {
		return err
	}
	for _, p := range parents {
		if err := fsys.SyncDir(p); err != nil {
			return err
		}
	}
	return nil
}

// unlock gives the log dirs back; a clean stop removes the lock files too.
func (m *Manager) unlock(clean bool) {
	for _, d := range m.dirs {
		if d.lock == nil {
			continue
		}
		if clean && d.failure.Load() == nil {
			// While it is still locked: afterwards the file might be the next owner's.
			_ = m.o.FS.Remove(filepath.Join(d.path, lockFile))
		}
		_ = d.lock.Close()
		d.lock = nil
	}
}

// live are the log dirs that have not failed.
func (m *Manager) live() (live []*logDir) {
	for _, d := range m.dirs {
		if d.failure.Load() == nil {
			live = append(live, d)
		}
	}
	return live
}

// fail takes the log dir offline, but for a lack of descriptors, after which the caller must be able to try again. It may be
// called under a log's locks.
func (d *logDir) fail(op string, err error) error {
	e := &DiskError{Dir: d.path, Op: op, Err: err}
	if vfs.OutOfFiles(err) {
		d.m.files.shortage.tell(d.m.o.Logger, d.m.o.Clock, op+" in "+d.path, err)
		return e
	}
	d.failed(e)
	return e
}

// failed is fail for an error that a log has seen.
func (d *logDir) failed(e *DiskError) {
	if e.Passing() {
		return
	}
	if !d.failure.CompareAndSwap(nil, e) {
		return
	}
	m := d.m
	logs := m.in(d)
	for _, h := range logs {
		h.log.Fail(e)
	}
	m.o.Logger.Error("log dir failed", zap.String("dir", d.path), zap.Int("logs", len(logs)), zap.Error(e))
	all := len(m.live()) == 0
	go func() {
		if m.o.OnDirFailed != nil {
			m.o.OnDirFailed(d.path, e)
		}
		if all && m.o.OnAllFailed != nil {
			m.dead.Do(m.o.OnAllFailed)
		}
	}()
}

// DirInfo is the state of a log dir, as DescribeLogDirs wants it.
type DirInfo struct {
	Path          string
	Err           error // why it is offline, nil when it is not
	Total, Usable int64 // bytes of the file system; -1 when they cannot be had
}

// Dirs tells about all log dirs, in the order of log.dirs.
func (m *Manager) Dirs() []DirInfo {
	infos := make([]DirInfo, len(m.dirs))
	for i, d := range m.dirs {
		infos[i] = DirInfo{Path: d.path, Total: -1, Usable: -1}
		if e := d.failure.Load(); e != nil {
			infos[i].Err = e
		} else if s, err := m.o.FS.FreeSpace(d.path); err == nil {
			infos[i].Total, infos[i].Usable = s.Total, s.Usable
		}
	}
	return infos
}

// DirOf is the log dir that a partition's log lies in; "" when there is no such log.
func (m *Manager) DirOf(topic string, partition int32) string {
	if h, ok := m.find(topic, partition); ok {
		return h.dir.path
	}
	return ""
}

// Offline is why a log dir is offline, nil when it is not (or not ours).
func (m *Manager) Offline(dir string) error {
	for _, d := range m.dirs {
		if e := d.failure.Load(); e != nil && d.path == dir {
			return e
		}
	}
	return nil
}

// MissingIsLost says what to answer for a partition that should be here and is not: KAFKA_STORAGE_ERROR while a log dir is
// offline, as its log may lie there, and nil when it can only be new.
func (m *Manager) MissingIsLost() error {
	for _, d := range m.dirs {
		if e := d.failure.Load(); e != nil {
			return fmt.Errorf("the log may be in log dir %s, which is offline: %w", d.path, kerr.KafkaStorageError)
		}
	}
	return nil
}

// Meta is whose log dirs they are, from the meta.properties in them; found is false when there is none in any. Log dirs
// that do not agree, or were written by a KRaft broker, are an error. Rest is left out: it is each log dir's own.
func (m *Manager) Meta() (meta checkpoint.Meta, found bool, err error) {
	var first string
	for _, d := range m.live() {
		name := filepath.Join(d.path, checkpoint.MetaProperties)
		one, ok, err := checkpoint.ReadMeta(m.o.FS, name)
		switch {
		case errors.Is(err, checkpoint.ErrMalformed):
			return checkpoint.Meta{}, false, err
		case err != nil:
			if err := d.fail("read of "+checkpoint.MetaProperties, err); isPassing(err) {
				return checkpoint.Meta{}, false, err
			}
			continue
		case !ok:
			continue
		case one.Version != 0:
			return checkpoint.Meta{}, false, fmt.Errorf("%s has version %d: the log dir belongs to a broker in KRaft mode", name, one.Version)
		}
		one.Rest = nil
		if !found {
			meta, found, first = one, true, name
			continue
		}
		if one.BrokerID != meta.BrokerID {
			return checkpoint.Meta{}, false, fmt.Errorf("%s says broker.id %d but %s says %d: the log dirs belong to different brokers",
				first, meta.BrokerID, name, one.BrokerID)
		}
		if one.ClusterID != meta.ClusterID {
			return checkpoint.Meta{}, false, fmt.Errorf("%s says cluster.id %q but %s says %q: the log dirs belong to different clusters",
				first, meta.ClusterID, name, one.ClusterID)
		}
	}
	return meta, found, nil
}

// WriteMeta makes meta.properties of every live log dir say so; what else a file says is kept, and one that says it
// already is left alone.
func (m *Manager) WriteMeta(meta checkpoint.Meta) error {
	for _, d := range m.live() {
		name := filepath.Join(d.path, checkpoint.MetaProperties)
		have, found, err := checkpoint.ReadMeta(m.o.FS, name)
		if err == nil && found && have.Version == meta.Version && have.BrokerID == meta.BrokerID && have.ClusterID == meta.ClusterID {
			continue
		}
		if err == nil {
			next := meta
			next.Rest = have.Rest
			err = checkpoint.WriteMeta(m.o.FS, name, next, m.o.Clock.Now())
		}
		if errors.Is(err, checkpoint.ErrMalformed) {
			return err
		}
		if err != nil {
			if err := d.fail("write of "+checkpoint.MetaProperties, err); isPassing(err) {
				return err
			}
		}
	}
	if len(m.live()) == 0 {
		return fmt.Errorf("none of the log dirs can be used: %w", m.dirs[0].failure.Load())
	}
	return nil
}

// replace writes a checkpoint if its content has changed.
func (d *logDir) replace(name string, o checkpoint.Offsets) error {
	b := checkpoint.EncodeOffsets(o)
	if last, ok := d.written[name]; ok && bytes.Equal(last, b) {
		return nil
	}
	if err := vfs.ReplaceFile(d.m.o.FS, filepath.Join(d.path, name), b); err != nil {
		return d.fail("write of "+name, err)
	}
	d.written[name] = b
	return nil
}

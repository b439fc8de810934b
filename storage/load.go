package storage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"barnabas/storage/checkpoint"
	"barnabas/storage/vfs"
)

// progressEvery is the time between two lines that tell how far a load is.
const progressEvery = 5 * time.Second

// Load opens every replica in the log dirs, recovering those of log dirs that were not left by a clean stop. config gives
// the settings of a topic, which may no longer exist. It is called once, before Start; from many goroutines it calls config.
//
// A log dir whose disk fails goes offline and is no error while another is left. Errors are what an operator has to put
// right: a directory that is no replica's, a replica that is there twice, or a ctx that ended. What is on disk can be
// loaded again afterwards, see Close.
func (m *Manager) Load(ctx context.Context, config func(topic string) Config) error {
	surveys, err := m.survey()
	if err != nil {
		return err
	}
	errs := make([]error, len(surveys))
	var wg sync.WaitGroup
	for i, s := range surveys {
		wg.Go(func() { errs[i] = s.load(ctx, config) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(m.live()) == 0 {
		return fmt.Errorf("none of the log dirs can be used: %w", m.dirs[0].failure.Load())
	}
	return nil
}

// survey is what the names in a log dir say.
type survey struct {
	*logDir
	replicas []checkpoint.Partition
	doomed   []string // directories that only wait for their removal
	config   func(topic string) Config

	recoveryPoints, logStarts, highWatermarks, firstDirty checkpoint.Offsets

	done     atomic.Int64
	bytes    atomic.Int64 // scanned by recoveries
	reported atomic.Int64 // when progress was last told, ms
}

// survey looks at the names alone, in all log dirs, before anything is changed: what fails a start must not cost the mark
// of a clean stop.
func (m *Manager) survey() ([]*survey, error) {
	home := map[checkpoint.Partition]string{}
	var surveys []*survey
	for _, d := range m.live() {
		infos, err := m.o.FS.ReadDir(d.path)
		if err != nil {
			if err := d.fail("list", err); isPassing(err) {
				return nil, err
			}
			continue
		}
		s := &survey{logDir: d}
		for _, info := range infos {
			if !info.Dir || notReplica(info.Name) {
				continue
			}
			r, err := parseReplicaDir(d.path, info.Name)
			if err != nil {
				return nil, err
			}
			path := filepath.Join(d.path, info.Name)
			switch r.suffix {
			case deleteDirSuffix:
				s.doomed = append(s.doomed, path)
				continue
			case futureDirSuffix, strayDirSuffix:
				m.o.Logger.Warn("directory is left alone", zap.String("dir", path), zap.String("why", strings.TrimPrefix(r.suffix, "-")+" replica"))
				continue
			}
			if err := checkName(r.Topic, r.ID); err != nil {
				// Kafka takes it for a log, and stumbles over the name in its own checkpoints at the next start.
				m.o.Logger.Warn("directory is left alone", zap.String("dir", path), zap.Error(err))
				continue
			}
			if other, twice := home[r.Partition]; twice {
				return nil, fmt.Errorf("the replica %s is in two log dirs, %s and %s: delete one of the two directories, "+
					"that of the log dir that has failed lately if one has", r.Partition, other, d.path)
			}
			home[r.Partition] = d.path
			s.replicas = append(s.replicas, r.Partition)
		}
		surveys = append(surveys, s)
	}
	return surveys, nil
}

// load opens the replicas of one log dir. A failed disk is not its error.
func (s *survey) load(ctx context.Context, config func(topic string) Config) error {
	m, log := s.m, s.m.o.Logger.With(zap.String("dir", s.path))
	s.config = config
	if err := s.checkpoints(); err != nil {
		return unlessFailed(err)
	}
	switch n := zap.Int("logs", len(s.replicas)); {
	case len(s.replicas) == 0:
		log.Info("no logs to load")
	case s.clean:
		log.Info("loading logs after a clean stop", n)
	default:
		log.Info("recovering logs, as there was no clean stop", n)
	}
	began := m.o.Clock.Now()
	s.reported.Store(began.UnixMilli())
	err := each(ctx, max(int(m.threads.Load()), runtime.GOMAXPROCS(0)), s.replicas, s.open)
	if s.failure.Load() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("log dir %s: %w", s.path, err)
	}
	s.loaded = true
	if s.stale() {
		if err := s.writeAll(); err != nil {
			return unlessFailed(err)
		}
	}
	// What it says of logs that are gone, or ended before what was clean, must not be believed after another crash.
	if err := s.writeFirstDirty(); err != nil {
		return unlessFailed(err)
	}
	if len(s.doomed) > 0 {
		// The rename may not be durable yet; what takes the replica's place must not meet it again.
		if err := m.o.FS.SyncDir(s.path); err != nil {
			return unlessFailed(s.fail("sync", err))
		}
	}
	for _, path := range s.doomed {
		s.janitor.remove(path, 0)
	}
	log.Info("loaded logs", zap.Int("logs", len(s.replicas)), zap.Duration("took", m.o.Clock.Now().Sub(began)),
		zap.Int64("scanned", s.bytes.Load()))
	return nil
}

// unlessFailed is what remains of an error that has taken the log dir offline, which is not the start's: nothing. A broker that may
// not open enough files to start must be told, and not serve what is left.
func unlessFailed(err error) error {
	if isPassing(err) {
		return err
	}
	return nil
}

// stale says that the checkpoints speak of a replica that is gone, or promise more of one than is left of it: after another
// crash they would be believed of what is written in the place of that.
func (s *survey) stale() bool {
	for _, o := range []checkpoint.Offsets{s.recoveryPoints, s.logStarts, s.highWatermarks} {
		for p := range o {
			if h, ok := s.m.find(p.Topic, p.ID); !ok || h.dir != s.logDir {
				return true
			}
		}
	}
	return slices.ContainsFunc(s.m.in(s.logDir), func(h hosted) bool {
		p := partitionOf(h.log)
		return h.log.HighWatermark() < s.highWatermarks[p] || h.log.RecoveryPoint() < s.recoveryPoints[p]
	})
}

// checkpoints reads what the last run left, and takes the mark of its clean stop away: from now on a crash is a crash.
func (s *survey) checkpoints() (err error) {
	fsys := s.m.o.FS
	// A lost recovery point costs a longer scan, a lost start some records that come back. A lost high watermark would
	// hide committed records until the leader tells, so that one is not made up.
	lenient := func(name string) checkpoint.Offsets {
		o, bad := checkpoint.ReadOffsets(fsys, filepath.Join(s.path, name))
		if bad != nil && vfs.OutOfFiles(bad) {
			err = s.fail("read of "+name, bad)
			return nil
		}
		if err := bad; err != nil {
			s.m.o.Logger.Warn("checkpoint cannot be read, going on without", zap.String("dir", s.path), zap.String("file", name), zap.Error(err))
			return nil
		}
		return o
	}
	s.recoveryPoints, s.logStarts = lenient(checkpoint.RecoveryPoints), lenient(checkpoint.LogStarts)
	if s.firstDirty = lenient(checkpoint.FirstDirty); s.firstDirty != nil {
		s.written[checkpoint.FirstDirty] = checkpoint.EncodeOffsets(s.firstDirty)
	}
	if err != nil {
		return err
	}
	if s.highWatermarks, err = checkpoint.ReadOffsets(fsys, filepath.Join(s.path, checkpoint.HighWatermarks)); err != nil {
		return s.fail("read of "+checkpoint.HighWatermarks, err)
	}
	if s.clean, err = checkpoint.WroteCleanly(fsys, s.path); err != nil {
		return s.fail("stat of "+checkpoint.CleanShutdown, err)
	}
	if err := checkpoint.MarkInUse(fsys, s.path); err != nil {
		return s.fail("removal of "+checkpoint.CleanShutdown, err)
	}
	return nil
}

// open opens one replica.
func (s *survey) open(p checkpoint.Partition) error {
	if s.failure.Load() != nil {
		return nil // the others are not tried
	}
	o := s.options(p, s.config(p.Topic))
	o.Clean = s.clean
	o.RecoveryPoint, o.LogStart, o.HighWatermark, o.Cleaned = s.recoveryPoints[p], s.logStarts[p], s.highWatermarks[p], s.firstDirty[p]
	l, did, err := Open(o)
	if err != nil {
		var disk *DiskError
		if errors.As(err, &disk) && !disk.Passing() {
			s.failed(disk)
			return nil
		}
		return err
	}
	if err := s.host(l); err != nil {
		return err
	}
	if did.Segments > 0 {
		s.m.o.Logger.Info("recovered log", zap.Stringer("log", l), zap.Int64("start", l.Start()), zap.Int64("end", l.End()),
			zap.Int("segments", did.Segments), zap.Int64("scanned", did.Bytes), zap.Int64("cut", did.Cut), zap.Int("removed", did.Removed))
	}
	s.progress(did.Bytes)
	return nil
}

// progress tells now and then how far the load is.
func (s *survey) progress(bytes int64) {
	done, total := s.done.Add(1), s.bytes.Add(bytes)
	now, last := s.m.o.Clock.Now().UnixMilli(), s.reported.Load()
	if now-last >= progressEvery.Milliseconds() && s.reported.CompareAndSwap(last, now) {
		s.m.o.Logger.Info("loading logs", zap.String("dir", s.path), zap.Int64("done", done), zap.Int("of", len(s.replicas)),
			zap.Int64("scanned", total))
	}
}

// options are those of every log in the log dir.
func (d *logDir) options(p checkpoint.Partition, c Config) LogOptions {
	return LogOptions{
		FS: d.m.o.FS, Clock: d.m.o.Clock, Logger: d.m.o.Logger, Files: d.m.files,
		Dir: filepath.Join(d.path, p.String()), Topic: p.Topic, Partition: p.ID, Config: c,
		Async: d.queue.put, OnDiskError: d.failed,
		OnLowered: d.lowered,
	}
}

// lowered brings the checkpoints down. Until they are nothing may be written behind what was cut; so where it cannot be done the
// log dir goes offline.
func (d *logDir) lowered() {
	if err := insist(d.m.o.Clock, d.writeAll); isPassing(err) {
		_ = d.fail("write of checkpoints", fmt.Errorf("given up after %v: %v", lastTry, err)) //nolint:errorlint // it counts as a failure now
	}
}

// host makes an opened log known. The log dir may have failed since it was opened.
func (d *logDir) host(l *Log) error {
	if other, ok := d.m.put(hosted{l, d}); !ok {
		l.Abandon()
		return fmt.Errorf("the replica %s is in two log dirs, %s and %s", l, other.dir.path, d.path)
	}
	if e := d.failure.Load(); e != nil {
		l.Fail(e)
	}
	return nil
}

// create makes the log of a new partition.
func (d *logDir) create(p checkpoint.Partition, id [16]byte, c Config) (*Log, error) {
	// What a checkpoint says of a deleted replica of this name must not be believed of its successor after a crash.
	if err := d.forgetGhost(p); err != nil {
		return nil, err
	}
	o := d.options(p, c)
	o.TopicID = id
	l, _, err := Open(o)
	if err != nil {
		var disk *DiskError
		if errors.As(err, &disk) {
			d.failed(disk)
		}
		return nil, err
	}
	return l, d.host(l)
}

// each calls f for all items, threads at a time, until one fails or ctx ends.
func each[T any](ctx context.Context, threads int, items []T, f func(T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := atomic.Int64{}
	var wg sync.WaitGroup
	for range min(threads, len(items)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(items) {
					return
				}
				if err := f(items[i]); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// sorted is a copy in the order of the partitions, so that runs are alike.
func sorted(hs []hosted) []hosted {
	return slices.SortedFunc(slices.Values(hs), func(a, b hosted) int {
		return checkpoint.Partition{Topic: a.log.Topic(), ID: a.log.Partition()}.Compare(
			checkpoint.Partition{Topic: b.log.Topic(), ID: b.log.Partition()})
	})
}

package storage

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/index"
	"barnabas/storage/producers"
	"barnabas/storage/vfs"
)

// LogOptions is what a log is opened with. Dir, Topic, Config, FS, Clock, Logger and Files must be set.
type LogOptions struct {
	FS     vfs.FS
	Clock  clock.Clock
	Logger *zap.Logger
	Files  *FileCache

	Dir       string // the replica's directory; it need not exist
	Topic     string
	Partition int32
	TopicID   [16]byte // zero: as partition.metadata says, if it is there
	Config    Config

	// Clean: the log dir was left by a clean stop; nothing is scanned.
	Clean bool
	// What the log dir's checkpoints say, 0 without an entry.
	RecoveryPoint, LogStart, HighWatermark int64

	// Async runs work in the background, soon, without the caller's locks; nil is a goroutine.
	Async func(func())
	// OnDiskError is told the first disk error. It may run under the log's locks, so it must not call the log's methods
	// but Fail, Failed, Dir, Topic and Partition.
	OnDiskError func(*DiskError)
	// OnLowered is called after the recovery point went down: the log dir's checkpoint must follow before the log goes
	// on, or a crash would trust what was written in place of the truncated. It runs under the log's flush lock.
	OnLowered func()
}

// Recovery says what an Open had to do.
type Recovery struct {
	Segments int   // scanned
	Bytes    int64 // scanned
	Cut      int64 // bytes that were cut off, being no valid batches
	Removed  int   // segments that lay behind a cut
}

// Open opens a replica's log: after a clean stop by looking at its files, after a crash by recovering it. Without a
// directory it is an empty log, and the directory comes with the first append.
func Open(o LogOptions) (*Log, Recovery, error) {
	l := &Log{
		fs: o.FS, clock: o.Clock, logger: o.Logger, files: o.Files, async: o.Async,
		dir: o.Dir, topic: o.Topic, partition: o.Partition, lastMarker: -1,
	}
	if l.async == nil {
		l.async = func(f func()) { go f() }
	}
	l.config.Store(&o.Config)
	l.setList(segments{})
	if o.TopicID != ([16]byte{}) {
		l.topicID.Store(&o.TopicID)
	}
	ld := &loader{Log: l, o: &o, c: &o.Config}
	if err := ld.load(); err != nil {
		d := (*DiskError)(nil)
		if !errors.As(err, &d) {
			err = l.fail("load", err)
		}
		l.shut()
		return nil, ld.did, err
	}
	l.onDiskError, l.onLowered = o.OnDiskError, o.OnLowered
	if ld.background {
		l.async(l.flushSealed)
	}
	return l, ld.did, nil
}

// loader is an Open under way. Nobody else knows the log yet.
type loader struct {
	*Log
	o   *LogOptions
	c   *Config
	did Recovery

	found        map[int64]*present
	hadSnapshots []int64 // before any was removed
	rebuilt      bool    // recover has made the producers what they are at the end
	background   bool    // sealed segments were recovered and are to be made durable
}

// present is which files of a segment there are.
type present struct{ log, index, time, txn bool }

func (ld *loader) load() error {
	infos, err := ld.listing()
	if err != nil {
		return err
	}
	if infos == nil {
		ld.begin(ld.o.LogStart, false)
		return nil
	}
	if ld.topicID.Load() == nil {
		id, ok, err := checkpoint.ReadPartition(ld.fs, filepath.Join(ld.dir, checkpoint.PartitionMetadata))
		if err != nil && !errors.Is(err, checkpoint.ErrMalformed) {
			return err
		}
		if ok && err == nil {
			ld.topicID.Store(&id)
		}
	}
	epochsLost, err := ld.loadEpochs()
	if err != nil {
		return err
	}
	list, err := ld.openSegments(infos)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		ld.begin(ld.o.LogStart, true)
		return ld.settleEnd()
	}
	ld.setList(list)
	from := len(list)
	switch {
	case epochsLost:
		from = 0
	case !ld.o.Clean:
		from = max(list.floor(ld.o.RecoveryPoint), 0)
	}
	if err := ld.repair(list[:from]); err != nil {
		return err
	}
	ld.setList(list)
	if from < len(list) {
		if err := ld.recover(from); err != nil {
			return err
		}
	} else if err := ld.trust(); err != nil {
		return err
	}
	return ld.settleEnd()
}

// begin makes the log empty at an offset. With files there is a directory already, and the first segment's file says
// where the log begins.
func (ld *loader) begin(at int64, dir bool) {
	s := ld.newSegment(at)
	ld.setList(segments{s})
	ld.start.Store(at)
	ld.end.Store(at)
	ld.hw.Store(at)
	ld.recovery.Store(at)
	ld.unstable.Store(Stable)
	ld.flushed.Store(ld.now())
	ld.lastSnap = at
	if !dir {
		ld.epochs.Clear()
	}
}

// listing lists the directory, after dealing with what interrupted deletions and compactions left; nil without a directory.
func (ld *loader) listing() ([]vfs.Info, error) {
	infos, err := ld.fs.ReadDir(ld.dir)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	changed, err := ld.tidy(infos)
	if err != nil || !changed {
		return slices.Clip(append([]vfs.Info{}, infos...)), err
	}
	return ld.fs.ReadDir(ld.dir)
}

// tidy removes .deleted and .cleaned files and finishes swaps, as Kafka does: a .swap whose base is not below the
// smallest .cleaned belongs to a split that did not come to its end.
func (ld *loader) tidy(infos []vfs.Info) (changed bool, err error) {
	minCleaned := int64(math.MaxInt64)
	var swaps []string
	for _, info := range infos {
		switch filepath.Ext(info.Name) {
		case deletedSuffix:
			changed = true
			if err := ld.fs.Remove(filepath.Join(ld.dir, info.Name)); err != nil {
				return false, err
			}
		case cleanedSuffix:
			changed = true
			if at, _, ok := parseName(info.Name); ok {
				minCleaned = min(minCleaned, at)
			}
		case swapSuffix:
			changed = true
			swaps = append(swaps, info.Name)
		}
	}
	if !changed {
		return false, nil
	}
	var valid []string
	for _, name := range swaps {
		if at, _, ok := parseName(name); ok && at < minCleaned {
			valid = append(valid, name)
		} else if err := ld.fs.Remove(filepath.Join(ld.dir, name)); err != nil {
			return false, err
		}
	}
	for _, info := range infos {
		if filepath.Ext(info.Name) == cleanedSuffix {
			if err := ld.fs.Remove(filepath.Join(ld.dir, info.Name)); err != nil {
				return false, err
			}
		}
	}
	return true, ld.swapIn(infos, valid)
}

// swapIn removes the originals that complete swap files replace, then gives those their names. A crash in between finds
// the swap files again.
func (ld *loader) swapIn(infos []vfs.Info, swaps []string) error {
	from, upTo := int64(math.MaxInt64), int64(math.MinInt64)
	for _, name := range swaps {
		base, suffix, _ := parseName(name)
		if suffix != logSuffix+swapSuffix {
			continue
		}
		next, err := ld.endOfFile(filepath.Join(ld.dir, name), base)
		if err != nil {
			return err
		}
		from, upTo = min(from, base), max(upTo, next)
	}
	for _, info := range infos {
		at, suffix, ok := parseName(info.Name)
		if !ok || at < from || at >= upTo || strings.HasSuffix(suffix, swapSuffix) {
			continue
		}
		if err := ld.fs.Remove(filepath.Join(ld.dir, info.Name)); err != nil && !isMissing(err) {
			return err
		}
	}
	for _, name := range swaps {
		path := filepath.Join(ld.dir, name)
		if err := ld.fs.Rename(path, strings.TrimSuffix(path, swapSuffix)); err != nil {
			return err
		}
	}
	return nil
}

// endOfFile is the offset behind the last batch of a .log file.
func (ld *loader) endOfFile(path string, base int64) (int64, error) {
	f, err := ld.fs.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size == 0 {
		return base, err
	}
	m, err := f.Map(size, false)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	end := base
	err = m.View(func(b []byte) error {
		_ = walkBytes(b, 0, size, func(e entry, _ []byte) bool { end = e.last + 1; return true })
		return nil
	})
	return end, err
}

// loadEpochs reads the leader epoch checkpoint. One that cannot be understood is made anew from the whole log.
func (ld *loader) loadEpochs() (lost bool, err error) {
	entries, err := checkpoint.ReadEpochs(ld.fs, filepath.Join(ld.dir, checkpoint.LeaderEpochs))
	if errors.Is(err, checkpoint.ErrMalformed) {
		ld.logger.Warn("leader epoch checkpoint is rebuilt from the log", zap.Stringer("log", ld), zap.Error(err))
		ld.epochsDirty = true
		return true, nil
	}
	for _, e := range entries {
		ld.epochs.Assign(e.Epoch, e.Start)
	}
	return false, err
}

// openSegments makes the list from the names in the directory. Index files without a .log go.
func (ld *loader) openSegments(infos []vfs.Info) (segments, error) {
	ld.found = map[int64]*present{}
	for _, info := range infos {
		at, suffix, ok := parseName(info.Name)
		if info.Name == checkpoint.PartitionMetadata {
			ld.metaOnDisk = true
		}
		if !ok || info.Dir {
			continue
		}
		if suffix == snapshotSuffix {
			ld.snapshots = append(ld.snapshots, at)
			continue
		}
		p := ld.found[at]
		if p == nil {
			p = &present{}
			ld.found[at] = p
		}
		switch suffix {
		case logSuffix:
			p.log = true
		case indexSuffix:
			p.index = true
		case timeIndexSuffix:
			p.time = true
		case txnIndexSuffix:
			p.txn = true
		}
	}
	slices.Sort(ld.snapshots)
	ld.hadSnapshots = slices.Clone(ld.snapshots)
	var list segments
	for _, base := range slices.Sorted(maps.Keys(ld.found)) {
		p := ld.found[base]
		s := ld.newSegment(base)
		if !p.log {
			for suffix, there := range map[string]bool{indexSuffix: p.index, timeIndexSuffix: p.time, txnIndexSuffix: p.txn} {
				if there {
					ld.logger.Warn("index file without a log file", zap.String("file", s.path(suffix)))
					if err := ld.fs.Remove(s.path(suffix)); err != nil {
						return nil, err
					}
				}
			}
			continue
		}
		info, err := ld.fs.Stat(s.path(logSuffix))
		if err != nil {
			return nil, err
		}
		s.onDisk = true
		s.size.Store(info.Size)
		if p.txn {
			if err := ld.loadTxn(s, p); err != nil {
				return nil, err
			}
		}
		list = append(list, s)
	}
	return list, nil
}

// loadTxn reads a transaction index; a corrupt one is made anew.
func (ld *loader) loadTxn(s *segment, p *present) error {
	b, err := vfs.ReadFile(ld.fs, s.path(txnIndexSuffix), math.MaxInt32)
	if err != nil {
		return err
	}
	x, err := index.LoadTxn(s.base, b)
	if err != nil {
		ld.logger.Warn("transaction index is rebuilt", zap.String("file", s.path(txnIndexSuffix)), zap.Error(err))
		p.index = false // which has the segment recovered
		return nil
	}
	s.txn.Store(x)
	return nil
}

// trust takes the log as the clean stop left it.
func (ld *loader) trust() error {
	list := ld.Log.list()
	for _, s := range list[:len(list)-1] {
		s.durable.Store(true)
	}
	s := list.active()
	end, err := s.nextOffset()
	if errors.Is(err, errCut) || isCorrupt(err) {
		// Not so clean after all.
		ld.logger.Warn("log ends with what is no batch, recovering it", zap.Stringer("log", ld), zap.Error(err))
		return ld.recover(len(list) - 1)
	}
	if err != nil {
		return err
	}
	ld.end.Store(end)
	ld.recovery.Store(end)
	return nil
}

// nextOffset is the offset behind the segment's last batch, by its index and the batches behind the last entry.
func (s *segment) nextOffset() (int64, error) {
	size := s.size.Load()
	if size == 0 {
		return s.base, nil
	}
	f, err := s.log.fs.Open(s.path(indexSuffix))
	if err != nil && !isMissing(err) {
		return 0, err
	}
	from := int64(0)
	if err == nil {
		from, err = lastPosition(f, s.base)
		if err = errors.Join(err, f.Close()); err != nil {
			return 0, err
		}
	}
	if from >= size {
		from = 0
	}
	end := s.base
	err = s.walk(from, size, func(e entry) bool { end = e.last + 1; return true })
	return end, err
}

// lastPosition is the position that the last entry of an index file names; 0 when it says nothing sensible, or has the
// zeros of a preallocated file.
func lastPosition(f vfs.File, base int64) (int64, error) {
	size, err := f.Size()
	if err != nil || size < index.OffsetEntrySize || size%index.OffsetEntrySize != 0 {
		return 0, err
	}
	var b [index.OffsetEntrySize]byte
	if _, err := f.ReadAt(b[:], size-index.OffsetEntrySize); err != nil {
		return 0, err
	}
	return int64(index.OffsetView{Base: base, Bytes: b[:]}.Last().Position), nil
}

// settleEnd brings the rest in line with where the log ends.
func (ld *loader) settleEnd() error {
	end, start := ld.end.Load(), ld.o.LogStart
	list := ld.Log.list()
	if end < start {
		ld.logger.Warn("log ends before its start, beginning anew there", zap.Stringer("log", ld), zap.Int64("end", end), zap.Int64("start", start))
		return ld.truncateFully(start)
	}
	start = max(start, list[0].base)
	ld.start.Store(start)
	if ld.epochs.TruncateFromEnd(end) {
		ld.epochsDirty = true
	}
	if ld.epochs.TruncateFromStart(start) {
		ld.epochsDirty = true
	}
	ld.hw.Store(min(max(ld.o.HighWatermark, start), end))
	ld.flushed.Store(ld.now())
	if err := ld.straySnapshots(start, end); err != nil {
		return err
	}
	if !ld.rebuilt {
		if err := ld.loadProducers(start, end); err != nil {
			return err
		}
	} else {
		ld.takeSnapshot(end)
	}
	ld.settle()
	return nil
}

// straySnapshots removes the snapshots that are of no use: beyond the end, not above the start, and those at no segment's
// base, of which the newest stays when it lies in the active segment.
func (ld *loader) straySnapshots(start, end int64) error {
	list := ld.Log.list()
	newest := int64(-1)
	for _, at := range ld.snapshots {
		if at <= end && at >= list.active().base {
			newest = max(newest, at)
		}
	}
	var kept []int64
	for _, at := range ld.snapshots {
		pending := slices.ContainsFunc(ld.pending, func(p snapshot) bool { return p.offset == at })
		i := list.floor(at)
		if pending || at <= end && at > start && (at == newest || i >= 0 && list[i].base == at) {
			kept = append(kept, at)
			continue
		}
		if err := ld.fs.Remove(filepath.Join(ld.dir, fileName(at, snapshotSuffix))); err != nil && !isMissing(err) {
			return err
		}
	}
	ld.snapshots = kept
	return nil
}

// loadProducers fills the table after a clean stop.
func (ld *loader) loadProducers(start, end int64) error {
	if len(ld.snapshots) == 0 && ld.o.Clean {
		// Nobody kept producers here, or there was nothing to keep. Snapshots of nothing spare a later start the scan.
		ld.lastSnap = start
		list := ld.Log.list()
		if n := len(list); n > 1 {
			ld.takeSnapshot(list[n-2].base)
		}
		ld.takeSnapshot(list.active().base)
		ld.takeSnapshot(end)
		return nil
	}
	return ld.reloadProducers(end)
}

// newestSnapshot loads the newest usable snapshot not above an offset, removing the corrupt ones, and says where it ends;
// start when there is none.
func (l *Log) newestSnapshot(upTo int64) (states []producers.State, at int64, err error) {
	for i := len(l.snapshots) - 1; i >= 0; i-- {
		at := l.snapshots[i]
		if at > upTo || at <= l.start.Load() {
			continue
		}
		b, err := l.readSnapshot(at)
		if err == nil {
			if states, err = producers.DecodeSnapshot(b); err == nil {
				return states, at, nil
			}
		}
		if !errors.Is(err, producers.ErrSnapshot) && !isMissing(err) {
			return nil, 0, err
		}
		l.logger.Warn("producer snapshot is of no use", zap.Stringer("log", l), zap.Int64("offset", at), zap.Error(err))
		if err := l.fs.Remove(filepath.Join(l.dir, fileName(at, snapshotSuffix))); err != nil && !isMissing(err) {
			return nil, 0, err
		}
		l.snapshots = slices.Delete(l.snapshots, i, i+1)
	}
	return nil, max(l.start.Load(), l.list()[0].base), nil
}

func (l *Log) readSnapshot(at int64) ([]byte, error) {
	for _, p := range l.pending {
		if p.offset == at {
			return p.data, nil
		}
	}
	return vfs.ReadFile(l.fs, filepath.Join(l.dir, fileName(at, snapshotSuffix)), 1<<30)
}

// reloadProducers makes the table what it was when the log ended at an offset: from the newest snapshot and the batches
// behind it.
func (l *Log) reloadProducers(end int64) error {
	states, at, err := l.newestSnapshot(end)
	if err != nil {
		return l.fail("read of snapshot", err)
	}
	l.producers.Load(states, l.now(), l.config.Load().ProducerExpirationMs)
	l.lastSnap = at
	if err := l.replay(at, end); err != nil {
		return err
	}
	l.settle()
	return nil
}

// replay applies the batches in [from, upTo) to the producers.
func (l *Log) replay(from, upTo int64) error {
	list := l.list()
	for i := max(list.floor(from), 0); i < len(list) && list[i].base < upTo; i++ {
		s := list[i]
		pos, err := s.position(from)
		if err != nil {
			return l.readError(err)
		}
		err = s.mapped(func(b []byte) error {
			return walkBytes(b, pos, int64(len(b)), func(e entry, b []byte) bool {
				if e.first >= upTo {
					return false
				}
				if e.magic == 2 {
					l.replayed(b)
				}
				return true
			})
		})
		if err != nil {
			return l.readError(fmt.Errorf("replay of segment %d: %w", s.base, err))
		}
	}
	return nil
}

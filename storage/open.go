package storage

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"go.uber.org/zap"

	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/index"
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
	RecoveryPoint, LogStart, HighWatermark, Cleaned int64

	// Async runs work in the background, soon, without the caller's locks; nil is a goroutine.
	Async func(func())
	// OnDiskError is told the first disk error. It may run under the log's locks, so it must not call the log's methods
	// but Fail, Failed, Dir, Topic and Partition.
	OnDiskError func(*DiskError)
	// OnLowered is called after the recovery point, the start, the high watermark or what is clean went down: the log dir's
	// checkpoints must follow before the log goes on, or a crash would believe them of what was written in place of the
	// truncated. It runs under the log's flush lock.
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
	for {
		l, did, err := open(&o)
		if err != errAgain {
			return l, did, err
		}
	}
}

// errAgain says that the files are not what they were when they were listed.
var errAgain = errors.New("segments have changed, open again")

// open is an Open that ends with errAgain when it has mended what it could not go on with.
func open(o *LogOptions) (*Log, Recovery, error) {
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
	ld := &loader{Log: l, o: o, c: &o.Config}
	if err := ld.load(); err != nil {
		err = ld.mend(err)
		d := (*DiskError)(nil)
		if !errors.As(err, &d) && err != errAgain {
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

// mend does what a load that ended with an error needs to come through next time, which is errAgain; or the error is to stay.
func (ld *loader) mend(err error) error {
	var (
		split  *overflow
		misled *misled
	)
	switch {
	case errors.As(err, &split):
		err = ld.split(split.segment)
	case isCorrupt(err) && errors.As(err, &misled) && ld.found[misled.segment.base].index:
		// Each index that was there goes once. The next time repair finds none, and goes by the batches.
		ld.logger.Warn("index leads to what is no batch, rebuilding it", zap.Stringer("log", ld), zap.Int64("base", misled.segment.base), zap.Error(err))
		err = ld.fs.Remove(misled.segment.path(indexSuffix))
	default:
		return err
	}
	if err == nil {
		return errAgain
	}
	return err
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
	// The run that was killed may not have made the names durable, the directory's own among them. The next flush does.
	ld.dirDirty = !ld.o.Clean
	if ld.topicID.Load() == nil {
		id, ok, err := checkpoint.ReadPartition(ld.fs, filepath.Join(ld.dir, checkpoint.PartitionMetadata))
		if err != nil && !errors.Is(err, checkpoint.ErrMalformed) {
			return err
		}
		switch {
		case err != nil:
			ld.logger.Warn("topic id in the directory cannot be read, it is written anew", zap.Stringer("log", ld), zap.Error(err))
		case ok:
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
		// What a truncation that was cut short has removed must not be back one day.
		if err := ld.fs.SyncDir(ld.dir); err != nil {
			return err
		}
		ld.begin(ld.o.LogStart, true)
		return ld.settleEnd()
	}
	ld.setList(list)
	if err := ld.overflowing(list); err != nil {
		return err
	}
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
	ld.nameless.Store(at > 0)
	if !dir {
		ld.epochs.Clear()
	}
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
		s.onDisk, s.stale = true, p.index
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
	if err == nil && end-1-s.base > math.MaxInt32 {
		return ld.recover(len(list) - 1) // which finds that it has to be split
	}
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

// nextOffset is the offset behind the segment's last batch, by its index and the batches behind the last entry. errCut says also that
// the index is that of another file: it names a position or an offset that does not lie in the segment.
func (s *segment) nextOffset() (int64, error) {
	size := s.size.Load()
	f, err := s.log.fs.Open(s.path(indexSuffix))
	if err != nil && !isMissing(err) {
		return 0, err
	}
	var last index.OffsetEntry
	if err == nil {
		last, err = lastIndexed(f, s.base)
		if err = errors.Join(err, f.Close()); err != nil {
			return 0, err
		}
	}
	from := int64(last.Position)
	if from > 0 && from >= size {
		return s.base, fmt.Errorf("the index names position %d of %d: %w", from, size, errCut)
	}
	end := s.base
	err = s.walk(from, size, func(e entry) bool { end = e.last + 1; return true })
	if err == nil && from > 0 && (last.Offset < s.base || last.Offset >= end) {
		err = fmt.Errorf("the index names offset %d of %d to %d: %w", last.Offset, s.base, end-1, errCut)
	}
	return end, err
}

// lastIndexed is the last entry of an index file; the zero value when it says nothing sensible, or has the zeros of a preallocated
// file.
func lastIndexed(f vfs.File, base int64) (e index.OffsetEntry, err error) {
	size, err := f.Size()
	if err != nil || size < index.OffsetEntrySize || size%index.OffsetEntrySize != 0 {
		return e, err
	}
	var b [index.OffsetEntrySize]byte
	if _, err := f.ReadAt(b[:], size-index.OffsetEntrySize); err != nil {
		return e, err
	}
	return index.OffsetView{Base: base, Bytes: b[:]}.Last(), nil
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
	if ld.o.Cleaned <= end {
		ld.cleaned.Store(ld.o.Cleaned)
	} else {
		ld.logger.Warn("log ends before what is clean, cleaning it from its start", zap.Stringer("log", ld), zap.Int64("end", end), zap.Int64("clean", ld.o.Cleaned))
	}
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

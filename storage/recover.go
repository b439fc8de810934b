package storage

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/protocol/record"
	"barnabas/storage/index"
	"barnabas/storage/producers"
)

func isCorrupt(err error) bool { return errors.Is(err, kerr.CorruptMessage) }

// replayed applies a batch that was accepted once to the producers. It says what transaction it ended.
func (l *Log) replayed(b record.Batch) (done producers.Completed, ended bool) {
	done, ended, err := l.producers.Update(b)
	if err != nil {
		l.logger.Warn("marker that says nothing", zap.Stringer("log", l), zap.Int64("offset", b.BaseOffset()), zap.Error(err))
	}
	if ended {
		l.lastMarker = done.Last
	}
	return done, ended
}

// recover scans the segments from the i-th on, which a crash may have left in any state: batches that are whole and right
// stay, the first that is not ends the log. Indexes, producers, epochs and the snapshots at the segments' bases are made
// anew from what stays.
func (ld *loader) recover(i int) error {
	list := ld.Log.list()
	for _, s := range list[:i] {
		s.durable.Store(true)
	}
	base := list[i].base
	ld.start.Store(max(ld.o.LogStart, list[0].base))
	// Snapshots above speak of batches that may not have survived. They are made anew, and stay on disk until then where the
	// log still comes so far: see hole.
	ld.snapshots = slices.DeleteFunc(ld.snapshots, func(at int64) bool { return at > base })
	states, at, err := ld.newestSnapshot(base)
	if err != nil {
		return err
	}
	ld.producers.Load(states, ld.now(), ld.c.ProducerExpirationMs)
	ld.lastSnap = at
	ld.setList(list[:i+1]) // replay must not go into what is not scanned yet
	if err := ld.replay(at, base); err != nil {
		return err
	}
	// The epochs from here on come from the batches alone: one that was assigned and lost its batches may be used again, earlier.
	epochs, dirty := ld.epochs.Entries(), ld.epochsDirty
	ld.epochs.TruncateFromEnd(base)
	end := base
	for ; i < len(list); i++ {
		s := list[i]
		if s.base < end {
			break // overlaps what was there before
		}
		ld.takeSnapshot(s.base)
		var whole bool
		if end, whole, err = ld.recoverSegment(s); err != nil {
			return err
		}
		if !whole || ld.hole(list, i, end) {
			i++
			break
		}
	}
	for _, s := range slices.Backward(list[i:]) {
		ld.logger.Warn("segment behind a corruption goes", zap.Stringer("log", ld), zap.Int64("base", s.base), zap.Int64("bytes", s.size.Load()))
		ld.did.Removed++
		if err := ld.discard(s); err != nil {
			return err
		}
	}
	doomed, err := ld.dropUnscanned(base, list[:i])
	if err != nil {
		return err
	}
	if i < len(list) || doomed {
		// They must not be back after another crash, behind what is appended now.
		if err := ld.fs.SyncDir(ld.dir); err != nil {
			return err
		}
	}
	ld.setList(slices.Clip(list[:i]))
	ld.background = i > 1 && !list[i-2].durable.Load()
	ld.epochsDirty = dirty || !slices.Equal(epochs, ld.epochs.Entries())
	ld.end.Store(end)
	ld.recovery.Store(min(ld.o.RecoveryPoint, end))
	ld.rebuilt, ld.doubtful = true, true
	return nil
}

// dropUnscanned removes the snapshots above a base at which no segment begins that was scanned and stays.
func (ld *loader) dropUnscanned(base int64, stay segments) (dropped bool, err error) {
	for _, at := range ld.hadSnapshots {
		if at <= base || slices.ContainsFunc(stay, func(s *segment) bool { return s.base == at }) {
			continue
		}
		dropped = true
		if err := ld.fs.Remove(filepath.Join(ld.dir, fileName(at, snapshotSuffix))); err != nil && !isMissing(err) {
			return false, err
		}
	}
	return dropped, nil
}

// hole says that the i-th segment, which ends at an offset, has lost its end: the power went between a roll and the sync
// of what was sealed, and the next segment's name was quicker on disk. What lies behind a hole goes, so that the log is
// again a prefix of what it was, and a follower fetches the rest. Compaction leaves holes that are none; but there the
// next segment has its snapshot, which is written when the sealed bytes are durable, and mostly there are gaps as well; and
// what the cleaner's checkpoint covers was durable before. Nothing behind a hole was ever durable, so no segment there has
// an index file.
func (ld *loader) hole(list segments, i int, end int64) bool {
	if i+1 == len(list) || list[i+1].base <= end || list[i].gaps {
		return false
	}
	if slices.ContainsFunc(list[i+1:], func(s *segment) bool { return ld.found[s.base].index }) {
		return false
	}
	next := list[i+1].base
	return next > max(ld.o.RecoveryPoint, ld.o.Cleaned) && !slices.Contains(ld.hadSnapshots, next)
}

// recoverSegment scans one segment and cuts it at the first bad batch. It says where the segment ends, and whether it was
// whole.
func (ld *loader) recoverSegment(s *segment) (end int64, whole bool, err error) {
	lv := newLive(s.base, ld.c)
	s.txn.Store(nil)
	x := newIndexer(s, lv, ld.c)
	size := s.size.Load()
	valid, end := int64(0), s.base
	s.gaps = false
	var bad error
	err = s.entries(0, func(e entry, b []byte) bool {
		if bad = ld.admit(s, e, b, end); bad != nil {
			return false
		}
		if bad = x.add(e); bad != nil {
			bad = fmt.Errorf("%w: %w", bad, kerr.CorruptMessage)
			return false
		}
		if e.magic == 2 {
			ld.recovered(s, e, b)
		}
		s.gaps = s.gaps || e.first != end
		valid, end = e.pos+e.size, e.last+1
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil && !errors.Is(err, errCut) && !isCorrupt(err) {
		return 0, false, err
	}
	if valid < size {
		log, why := ld.logger.Warn, "corruption in a segment, cutting it"
		if ld.c.Preallocate {
			padded, err := s.padding(valid)
			if err != nil {
				return 0, false, err
			}
			if padded {
				log, why = ld.logger.Info, "cutting a segment to its batches"
			}
		}
		log(why, zap.Stringer("log", ld), zap.Int64("base", s.base), zap.Int64("bytes", size-valid), zap.Int64("end", end), zap.Error(err))
		if err := ld.cutFile(s, valid); err != nil {
			return 0, false, err
		}
		ld.did.Cut += size - valid
	}
	ld.did.Segments++
	ld.did.Bytes += size
	s.size.Store(valid)
	s.newest.set(x.ts, x.tsAt)
	ld.closeTimes(s, lv)
	lv.tail.add(end, valid)
	s.live.Store(lv)
	return end, valid == size, nil
}

// padding says that what lies at a position, before the file's end, may be what a preallocated file has behind its batches: it
// begins with zeros.
func (s *segment) padding(at int64) (bool, error) {
	h, err := s.acquire()
	if err != nil {
		return false, err
	}
	defer h.release()
	b := make([]byte, min(s.size.Load()-at, headerSize))
	if _, err := readFull(h.file, b, at); err != nil {
		return false, err
	}
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }), nil
}

// admit says why a batch cannot stay.
func (ld *loader) admit(s *segment, e entry, b []byte, end int64) error {
	if e.last < end || e.magic == 2 && e.first < end {
		return corrupt(e.pos, "offsets %d to %d where %d is next in segment %d", e.first, e.last, end, s.base)
	}
	if err := checkCRC(e, b); err != nil || e.last-s.base <= math.MaxInt32 {
		return err
	}
	return &overflow{s}
}

// recovered takes from a batch what the crash may have lost.
func (ld *loader) recovered(s *segment, e entry, b record.Batch) {
	if latest, ok := ld.epochs.Latest(); e.epoch >= 0 && (!ok || e.epoch > latest.Epoch) {
		if ld.epochs.Assign(e.epoch, e.first) {
			ld.epochsDirty = true
		}
	}
	if done, ended := ld.replayed(b); ended && done.Aborted {
		s.abort(index.AbortedTxn{ProducerID: done.ProducerID, First: done.First, Last: done.Last, LastStable: done.LastStable})
	}
}

// cutFile cuts a file durably: the segment may be sealed by the next append, with the recovery point at its very end
// already, and a second crash that brought the rubbish back would not look at it any more.
func (ld *loader) cutFile(s *segment, size int64) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	if err := h.file.Truncate(size); err != nil {
		return err
	}
	return h.file.Sync()
}

// repair makes the missing indexes of segments that were durable; their batches are taken as they are, unless they make
// no sense at all.
func (ld *loader) repair(list segments) error {
	for i, s := range list {
		if p := ld.found[s.base]; p.index && p.time {
			continue
		}
		ld.logger.Warn("segment without indexes, rebuilding them", zap.Stringer("log", ld), zap.Int64("base", s.base))
		ld.start.Store(max(ld.o.LogStart, ld.Log.list()[0].base))
		states, at, err := ld.newestSnapshot(s.base)
		if err != nil {
			return err
		}
		ld.producers.Load(states, ld.now(), ld.c.ProducerExpirationMs)
		ld.setList(append(slices.Clone(list[:i]), s))
		if err := ld.replay(at, s.base); err != nil {
			return err
		}
		if _, _, err := ld.recoverSegment(s); err != nil {
			return err
		}
		// The file too: its cut from the preallocated size may not be durable, and with indexes nobody looks at it again.
		if err := ld.syncSegment(s, true); err != nil {
			return err
		}
	}
	return nil
}

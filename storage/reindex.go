package storage

import (
	"bytes"
	"errors"
	"math"

	"go.uber.org/zap"

	"barnabas/storage/index"
	"barnabas/storage/vfs"
)

// indexer makes the index entries that appends one batch at a time make.
type indexer struct {
	lv       *live
	interval int64
	lastAt   int64 // position of the batch with the last entry

	ts, tsAt int64 // largest timestamp and the last offset of its batch
}

func newIndexer(s *segment, lv *live, c *Config) *indexer {
	return &indexer{lv: lv, interval: int64(c.IndexIntervalBytes), ts: index.NoTimestamp, tsAt: s.base}
}

func (x *indexer) add(e entry) error {
	if e.newest > x.ts {
		x.ts, x.tsAt = e.newest, e.last
	}
	if e.pos-x.lastAt <= x.interval {
		return nil
	}
	if x.lv.offsets.Full() || x.lv.times.Full() {
		// Batches that a follower appended together got one entry together. Taken one by one they may need more entries
		// than there is room for; the segment rolls at its next append.
		return nil
	}
	x.lastAt = e.pos
	if err := x.lv.offsets.Append(e.last, int32(e.pos)); err != nil {
		return err
	}
	return x.lv.times.Append(x.ts, x.tsAt, false)
}

// reindex makes the indexes anew from the segment's batches.
func (s *segment) reindex(lv *live, c *Config) error {
	x := newIndexer(s, lv, c)
	var bad error
	err := s.walk(0, s.size.Load(), func(e entry) bool {
		bad = x.add(e)
		return bad == nil
	})
	if err != nil || bad != nil {
		// Half an index is worse than none: lookups would trust that it goes on to the end.
		lv.offsets.Reset()
		lv.times.Reset()
		return firstError(err, bad)
	}
	s.newest.set(x.ts, x.tsAt)
	return nil
}

// goOn gives the segment, which ends at an offset, the entries of index files that are below it; or others, made from its batches,
// where the files make no sense.
func (s *segment) goOn(lv *live, c *Config, offsets, times []byte, end int64) error {
	o, oerr := index.LoadOffset(s.base, c.IndexBytes, offsets)
	t, terr := index.LoadTime(s.base, c.IndexBytes, times)
	if oerr == nil && terr == nil {
		o.Truncate(end)
		t.Truncate(end)
		if v := o.View(); v.Len() == 0 || int64(v.Last().Position) < s.size.Load() {
			lv.offsets, lv.times = o, t
			return nil
		}
	}
	err := s.reindex(lv, c)
	last := index.OffsetView{Base: s.base, Bytes: offsets}.Last()
	if (isCorrupt(err) || errors.Is(err, errCut)) && last.Offset < end && int64(last.Position) < s.size.Load() {
		// The batches in front make no sense either. Those behind the last entry do, or the log would not have been opened at its
		// end, and so shall what is appended.
		s.log.logger.Warn("index cannot be rebuilt, going on behind its last entry", zap.Stringer("log", s.log), zap.Int64("base", s.base), zap.Error(err))
		err = lv.offsets.Append(last.Offset, last.Position)
	}
	return err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// trim gives a segment, the successor of one that is cut at an offset, the indexes that remain. It returns the log's new
// end: to, or the first offset of the batch in which to lies.
func (s *segment) trim(old *segment, lv *live, c *Config, to int64) (end int64, err error) {
	size := s.size.Load()
	end = to
	if err := old.walk(size, old.size.Load(), func(e entry) bool { end = min(end, e.first); return false }); err != nil {
		return 0, err
	}
	offsets, times, err := old.indexBytes()
	if err != nil {
		return 0, err
	}
	if err := s.goOn(lv, c, offsets, times, end); err != nil {
		return 0, err
	}
	last := lv.times.View().Last()
	ts, at := last.Timestamp, last.Offset
	from := int64(lv.offsets.View().Lookup(at).Position)
	if err := old.walk(from, size, func(e entry) bool {
		if e.newest > ts {
			ts, at = e.newest, e.last
		}
		return true
	}); err != nil {
		return 0, err
	}
	s.newest.set(ts, at)
	return end, nil
}

// indexBytes are copies of what the offset and the time index hold.
func (s *segment) indexBytes() (offsets, times []byte, err error) {
	if lv := s.live.Load(); lv != nil {
		return bytes.Clone(lv.offsets.Bytes()), bytes.Clone(lv.times.Bytes()), nil
	}
	if offsets, err = vfs.ReadFile(s.log.fs, s.path(indexSuffix), math.MaxInt32); err != nil && !isMissing(err) {
		return nil, nil, err
	}
	if times, err = vfs.ReadFile(s.log.fs, s.path(timeIndexSuffix), math.MaxInt32); err != nil && !isMissing(err) {
		return nil, nil, err
	}
	return offsets, times, nil
}

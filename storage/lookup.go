package storage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/storage/index"
)

// inflateLimit bounds what one compressed batch that is looked into may inflate to, in bytes: what producers may send.
const inflateLimit = 1 << 30

// OffsetForTime finds the first record at or behind the log start whose timestamp is at least ts (ms since 1970) and whose
// offset is below bound. epoch is the leader epoch of its batch, -1 when the log does not know it.
func (l *Log) OffsetForTime(ts, bound int64) (offset, timestamp int64, epoch int32, found bool, err error) {
	for {
		if err := l.usable(); err != nil {
			return -1, -1, -1, false, err
		}
		hit, err := l.searchTime(l.list(), ts)
		if err == errGone {
			continue
		}
		if err != nil {
			return -1, -1, -1, false, l.readError(err)
		}
		if hit.epoch < 0 {
			hit.epoch = l.EpochAt(hit.offset)
		}
		if hit.offset < 0 || hit.offset >= bound {
			return -1, -1, -1, false, nil
		}
		return hit.offset, hit.ts, hit.epoch, true, nil
	}
}

// moment is a record found by its timestamp; offset -1 is none.
type moment struct {
	offset, ts int64
	epoch      int32
}

var noMoment = moment{-1, -1, -1}

func (l *Log) searchTime(list segments, ts int64) (moment, error) {
	start := l.start.Load()
	for _, s := range list {
		largest, _, err := s.largest()
		if err != nil {
			return noMoment, err
		}
		if largest < ts {
			continue
		}
		m, err := s.searchTime(ts, start)
		if err != nil || m.offset >= 0 {
			return m, err
		}
	}
	return noMoment, nil
}

func (s *segment) searchTime(ts, start int64) (moment, error) {
	var from index.TimeEntry
	if err := s.times(func(v index.TimeView) { from = v.Lookup(ts) }); err != nil {
		return noMoment, err
	}
	pos, err := s.lookup(max(from.Offset, start))
	if err != nil {
		return noMoment, err
	}
	size := s.size.Load()
	for pos < size {
		var hit entry
		if err := s.walk(pos, size, func(e entry) bool {
			if e.newest >= ts && e.last >= start {
				hit = e
				return false
			}
			return true
		}); err != nil {
			return noMoment, err
		}
		if hit.size == 0 {
			break
		}
		m, err := s.inBatch(hit, func(at moment) bool { return at.ts >= ts && at.offset >= start })
		if err != nil || m.offset >= 0 {
			return m, err
		}
		pos = hit.pos + hit.size
	}
	return noMoment, nil
}

// inBatch is the first record of a batch that is wanted. A message of the old formats is taken as a whole: by its last
// offset and its timestamp.
func (s *segment) inBatch(e entry, want func(moment) bool) (moment, error) {
	if e.magic < 2 {
		if m := (moment{e.last, e.newest, -1}); want(m) {
			return m, nil
		}
		return noMoment, nil
	}
	b, err := s.read(e)
	if err != nil {
		return noMoment, err
	}
	batch := record.Batch(b)
	found := noMoment
	err = batch.EachTime(inflateLimit, func(delta int32, ts int64) error {
		at := moment{batch.BaseOffset() + int64(delta), batch.BaseTimestamp() + ts, e.epoch}
		if e.appendTime {
			at.ts = e.newest
		}
		if want(at) {
			found = at
			return errFound
		}
		return nil
	})
	if err != nil && err != errFound {
		// Whatever is wrong with the content, it is not the disk.
		return noMoment, fmt.Errorf("batch at offset %d: %w: %w", e.first, err, kerr.CorruptMessage)
	}
	return found, nil
}

var errFound = errors.New("found")

// MaxTimestamp finds the record with the largest timestamp, the first of several; all -1 when no record has one.
func (l *Log) MaxTimestamp() (offset, ts int64, epoch int32, err error) {
	for {
		if err := l.usable(); err != nil {
			return -1, -1, -1, err
		}
		m, err := l.searchMax(l.list())
		if err == errGone {
			continue
		}
		return m.offset, m.ts, m.epoch, l.readError(err)
	}
}

func (l *Log) searchMax(list segments) (moment, error) {
	var in *segment
	largest, at := int64(-1), int64(-1)
	for _, s := range list {
		ts, offset, err := s.largest()
		if err != nil {
			return noMoment, err
		}
		if ts > largest {
			in, largest, at = s, ts, offset
		}
	}
	if in == nil {
		return noMoment, nil
	}
	pos, err := in.lookup(at)
	if err != nil {
		return noMoment, err
	}
	var hit entry
	if err := in.walk(pos, in.size.Load(), func(e entry) bool {
		if e.newest == largest {
			hit = e
			return false
		}
		return true
	}); err != nil || hit.size == 0 {
		return noMoment, err
	}
	return in.inBatch(hit, func(m moment) bool { return m.ts == largest })
}

// LegacyOffsets is what version 0 of ListOffsets answers: up to limit offsets where segments begin, the newest first, of
// segments last written at or before ts; -1 (latest) begins with the log's end, -2 (earliest) is the first only.
func (l *Log) LegacyOffsets(ts int64, limit int) ([]int64, error) {
	if err := l.usable(); err != nil {
		return nil, err
	}
	end, start, list := l.end.Load(), l.start.Load(), l.list()
	type point struct{ offset, at int64 }
	var points []point
	for _, s := range list {
		p := point{offset: max(s.base, start), at: s.created}
		if s.size.Load() > 0 {
			info, err := l.fs.Stat(s.path(logSuffix))
			if isMissing(err) {
				continue // retention was quicker
			}
			if err != nil {
				return nil, l.fail("stat", err)
			}
			p.at = info.ModTime.UnixMilli()
		}
		points = append(points, p)
	}
	if list.active().size.Load() > 0 {
		points = append(points, point{offset: end, at: l.now()})
	}
	last := len(points) - 1
	switch ts {
	case -1:
	case -2:
		last = 0
	default:
		for last >= 0 && points[last].at > ts {
			last--
		}
	}
	offsets := make([]int64, 0, min(limit, last+1))
	for i := last; i >= 0 && len(offsets) < limit; i-- {
		offsets = append(offsets, points[i].offset)
	}
	slices.SortFunc(offsets, func(a, b int64) int { return cmp.Compare(b, a) })
	return offsets, nil
}

// Aborted are the aborted transactions that have records in [from, upTo), by their markers. There may be some too many,
// never one too few.
func (l *Log) Aborted(from, upTo int64) []index.AbortedTxn {
	list := l.list()
	var txns []index.AbortedTxn
	for _, s := range list[max(list.floor(from), 0):] {
		x := s.txn.Load()
		if x == nil {
			continue
		}
		var done bool
		if txns, done = x.View().Collect(txns, from, upTo); done {
			break
		}
	}
	return txns
}

package storage

import (
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/protocol/record"
	"barnabas/storage/index"
)

// AppendInfo goes with a batch that a leader appends.
type AppendInfo struct {
	LeaderEpoch      int32
	MaxTimestamp     int64 // of the batch's records, ms since 1970, -1 for none
	OffsetDeltaOfMax int32 // of the record that has it; the time index names the batch only
	Client           bool  // a producer's: its sequences are checked
	Now              int64 // ms since 1970
}

// Appended says where a batch went.
type Appended struct {
	First, Last int64
	// Duplicate: the batch was there already, at First to Last; nothing was written.
	Duplicate bool
	// LogAppendTime of a duplicate is the stored batch's largest timestamp, else -1.
	LogAppendTime int64
	LogStart      int64
	// Unsynced: flush.messages is reached; acknowledge after Sync(Last) only.
	Unsynced bool
}

// Append writes one batch at the log's end: it gets its offsets and the leader epoch, in place. The batch must have been
// validated, one of magic 2 with the right checksum; the bytes are the caller's again afterwards.
//
// Refusals leave the log as it was: OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE,
// TRANSACTION_COORDINATOR_FENCED, RECORD_LIST_TOO_LARGE. After a *DiskError the log is offline.
func (l *Log) Append(b record.Batch, o AppendInfo) (Appended, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return Appended{}, err
	}
	c := l.config.Load()
	first := l.end.Load()
	b.SetBaseOffset(first)
	b.SetLeaderEpoch(o.LeaderEpoch)
	stored, dup, err := l.producers.Check(b, o.Client)
	if err != nil {
		return Appended{}, fmt.Errorf("%s: %w", l, err)
	}
	if dup {
		return Appended{
			First: stored.FirstOffset(), Last: stored.LastOffset, Duplicate: true, LogAppendTime: stored.Timestamp,
			LogStart: l.start.Load(), Unsynced: first-l.recovery.Load() >= c.FlushMessages && l.recovery.Load() <= stored.LastOffset,
		}, nil
	}
	last := b.LastOffset()
	s, err := l.room(c, len(b), first, last, o.MaxTimestamp, o.Now)
	if err != nil {
		return Appended{}, err
	}
	if err := l.write(s, c, b, last, o.MaxTimestamp, last); err != nil {
		return Appended{}, err
	}
	if l.epochs.Assign(o.LeaderEpoch, first) {
		l.epochsDirty = true
	}
	l.produced(s, b)
	l.end.Store(last + 1)
	return Appended{
		First: first, Last: last, LogAppendTime: record.None, LogStart: l.start.Load(),
		Unsynced: last+1-l.recovery.Load() >= c.FlushMessages,
	}, nil
}

// AppendFollower writes batches as the leader gave them, offsets and epochs included; bytes behind the last whole batch
// are ignored. It returns the last offset, or the log's last one when there was no whole batch. The offsets must rise and
// begin at the log's end or later; what does not is OFFSET_OUT_OF_RANGE, and a malformed batch CORRUPT_MESSAGE. Nothing is
// written then.
func (l *Log) AppendFollower(entries []byte) (last int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return 0, err
	}
	set, err := l.examine(entries)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", l, err)
	}
	if set.bytes == 0 {
		return l.end.Load() - 1, nil
	}
	c := l.config.Load()
	s, err := l.room(c, set.bytes, set.first, set.last, set.newest, l.now())
	if err != nil {
		return 0, err
	}
	entries = entries[:set.bytes]
	if err := l.write(s, c, entries, set.last, set.newest, set.newestAt); err != nil {
		return 0, err
	}
	_ = walkBytes(entries, 0, int64(len(entries)), func(e entry, b []byte) bool {
		if e.magic < 2 {
			// The epochs of what follows cannot be compared any more.
			l.epochsDirty = l.epochs.Clear() || l.epochsDirty
			return true
		}
		if l.epochs.Assign(e.epoch, e.first) {
			l.epochsDirty = true
		}
		l.produced(s, b)
		return true
	})
	l.end.Store(set.last + 1)
	return set.last, nil
}

// set is a sequence of entries that is appended as one.
type set struct {
	bytes       int
	first, last int64
	newest      int64 // largest timestamp
	newestAt    int64 // last offset of the first batch that has it
}

func (l *Log) examine(entries []byte) (set, error) {
	s := set{newest: record.None}
	next := l.end.Load()
	var bad error
	err := walkBytes(entries, 0, int64(len(entries)), func(e entry, b []byte) bool {
		if e.magic == 2 {
			if bad = checkCRC(e, b); bad != nil {
				return false
			}
		}
		if e.first < next {
			bad = fmt.Errorf("batch at offset %d, the log has come to %d: %w", e.first, next, kerr.OffsetOutOfRange)
			return false
		}
		if s.bytes == 0 {
			s.first, s.newestAt = e.first, e.last
			if e.magic < 2 {
				// Where a compressed message begins is not in its header. A segment that is named by where it ends would lie
				// behind some of its offsets.
				s.first = max(next, e.last-math.MaxInt32)
			}
		}
		if e.newest > s.newest {
			s.newest, s.newestAt = e.newest, e.last
		}
		s.bytes += int(e.size)
		s.last = e.last
		next = e.last + 1
		return true
	})
	if bad == nil && err != errCut {
		bad = err
	}
	return s, bad
}

// writable says why nothing can be appended.
func (l *Log) writable() error {
	if l.closing {
		return errClosed
	}
	return l.usable()
}

// room is the active segment, rolled or made first if need be, that takes n bytes with these offsets.
func (l *Log) room(c *Config, n int, first, last, newest, now int64) (*segment, error) {
	if n > c.SegmentBytes {
		return nil, fmt.Errorf("%s: %d bytes, segment.bytes is %d: %w", l, n, c.SegmentBytes, kerr.RecordListTooLarge)
	}
	s := l.list().active()
	if !s.onDisk {
		if err := l.materialise(s); err != nil {
			return nil, err
		}
	}
	if s.live.Load() == nil {
		if err := l.enliven(s, c); err != nil {
			return nil, err
		}
	}
	full, err := l.full(s, c, n, last, newest, now)
	if err != nil || !full {
		return s, err
	}
	if !c.Compact && last-l.end.Load() <= math.MaxInt32 {
		// Kafka names the segment by the batch. That differs only behind a gap, which a log that is not compacted has
		// from nowhere but its leader; kept inside a segment, it is not taken for a loss by recovery.
		first = l.end.Load()
	}
	return l.roll(first)
}

// write puts bytes behind the segment's end and publishes them, short of raising the log's end. newestAt is the last offset
// of the batch with the largest timestamp.
func (l *Log) write(s *segment, c *Config, b []byte, last, newest, newestAt int64) error {
	h, err := s.acquire()
	if err != nil {
		return l.fail("open", err)
	}
	pos := s.size.Load()
	_, err = h.file.WriteAt(b, pos)
	h.release()
	if err != nil {
		return l.fail("append", err)
	}
	if pos == 0 {
		s.firstTime, s.firstKnown = newest, true
	}
	ts, at, _ := s.newest.get()
	if newest > ts {
		ts, at = newest, newestAt
		s.newest.set(ts, at)
	}
	lv := s.live.Load()
	if s.sinceIndex > c.IndexIntervalBytes {
		// Full indexes and offsets beyond 2^31 have been ruled out by room, so an error is ours; without the entry
		// lookups take longer, and that is all.
		if err := lv.offsets.Append(last, int32(pos)); err == nil {
			err = lv.times.Append(ts, at, false)
		} else {
			l.logger.DPanic("index entry", zap.Stringer("log", l), zap.Error(err))
		}
		s.sinceIndex = 0
	}
	s.sinceIndex += len(b)
	lv.tail.add(last+1, pos+int64(len(b)))
	s.size.Store(pos + int64(len(b)))
	return nil
}

// produced lets a written batch take its effect on the producers, the transaction index and the last stable offset.
func (l *Log) produced(s *segment, b record.Batch) {
	if b.ProducerID() < 0 {
		return
	}
	done, ended, err := l.producers.Update(b)
	if err != nil {
		l.logger.Warn("marker that says nothing", zap.Stringer("log", l), zap.Int64("offset", b.BaseOffset()), zap.Error(err))
	}
	if ended {
		l.lastMarker = done.Last
		if done.Aborted {
			s.abort(index.AbortedTxn{ProducerID: done.ProducerID, First: done.First, Last: done.Last, LastStable: done.LastStable})
		}
	}
	if ended || b.IsTransactional() {
		l.settle()
	}
}

// abort adds to the segment's transaction index. Markers come in the order of the log, so it cannot fail.
func (s *segment) abort(a index.AbortedTxn) {
	x := s.txn.Load()
	if x == nil {
		x = index.NewTxn(s.base)
	}
	if err := x.Append(a); err != nil {
		s.log.logger.DPanic("transaction index", zap.Stringer("log", s.log), zap.Error(err))
	}
	s.txn.Store(x)
}

// AssignEpoch begins a leader epoch at the log's end, as a leader does before its first append.
func (l *Log) AssignEpoch(epoch int32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	if l.epochs.Assign(epoch, l.end.Load()) {
		l.epochsDirty = true
	}
	return nil
}

// LatestEpoch is the newest leader epoch; false when there is none.
func (l *Log) LatestEpoch() (int32, bool) {
	e, ok := l.epochs.Latest()
	return e.Epoch, ok
}

// EpochEnd is the largest leader epoch up to the asked one and where it ends; (-1, -1) when that is not known.
func (l *Log) EpochEnd(epoch int32) (int32, int64) {
	end := l.end.Load()
	return l.epochs.EndOffset(epoch, end)
}

// EpochAt is the leader epoch of an offset; -1 when it is not known.
func (l *Log) EpochAt(offset int64) int32 {
	epoch, ok := l.epochs.EpochAt(offset)
	if !ok {
		return -1
	}
	return epoch
}

package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/protocol/record"
)

// maxInflated bounds what one compressed batch of the log may grow to.
const maxInflated = 256 << 20

// load replays the log into a new machine. Several loads run at once, so that one big partition does not hold up the
// others.
func (s *shard) load() {
	s.rt.loads <- struct{}{}
	defer func() { <-s.rt.loads }()
	if s.isRetired() {
		return
	}
	began := s.rt.o.Clock.Now()
	scope := newScope(s, s.log)
	scope.machine = s.rt.o.New(scope)
	fields := []zap.Field{zap.String("topic", s.rt.o.Topic), zap.Int32("partition", s.partition)}
	if err := s.replay(scope); err != nil {
		s.rt.o.Logger.Error("coordinator: the partition cannot be loaded; trying again", append(fields, zap.Error(err))...)
		scope.end(kerr.NotCoordinator)
		s.retryLater()
		return
	}
	scope.machine.Loaded()
	s.serve(scope)
	took := s.rt.o.Clock.Now().Sub(began)
	level := zap.DebugLevel
	if took > quiet {
		level = zap.InfoLevel
	}
	s.rt.o.Logger.Log(level, "coordinator: loaded", append(fields, zap.Duration("took", took.Round(time.Millisecond)))...)
}

// replay feeds the log from its start to its end to the machine. The end is the log's, not the high watermark: what a
// leader has will be committed, and replies wait for that.
func (s *shard) replay(scope *Scope) error {
	for scope.next = scope.log.Start(); scope.next < scope.log.End(); {
		if s.isRetired() {
			return nil // serve throws the machine away
		}
		end := scope.log.End()
		chunk, err := scope.log.Read(scope.next, s.rt.o.LoadBytes)
		if err != nil {
			return fmt.Errorf("read at %d: %w", scope.next, err)
		}
		if len(chunk) == 0 {
			scope.next = end // compaction has left nothing up to there
			continue
		}
		before := scope.next
		for len(chunk) > 0 {
			entry, rest, err := record.Next(chunk)
			if errors.Is(err, record.ErrShort) {
				break // the end of what was asked for
			}
			if err != nil {
				return fmt.Errorf("entry at %d: %w", scope.next, err)
			}
			if err := scope.replayEntry(entry); err != nil {
				return fmt.Errorf("batch at %d: %w", scope.next, err)
			}
			chunk = rest
		}
		if scope.next == before {
			return fmt.Errorf("nothing to read at %d before the end at %d: %w", before, scope.log.End(), io.ErrUnexpectedEOF)
		}
	}
	return nil
}

func (s *shard) isRetired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == retired
}

// replayEntry applies one batch and moves next behind it.
func (s *Scope) replayEntry(entry []byte) error {
	b := record.Batch(entry)
	if b.Magic() < 2 {
		var err error
		if b, err = upgrade(b); err != nil {
			return err
		}
	}
	if err := b.Check(); err != nil {
		return err
	}
	if b.LastOffset() < s.next {
		return nil // read before: the entry that holds next begins below it
	}
	each := func(r record.Record) error {
		if at := b.BaseOffset() + int64(r.OffsetDelta); at >= s.next {
			s.machine.Replay(Entry{Offset: at, Timestamp: b.BaseTimestamp() + r.TimestampDelta, Key: r.Key, Value: r.Value,
				ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), Transactional: b.IsTransactional()})
		}
		return nil
	}
	if b.IsControl() {
		each = func(r record.Record) error { return s.replayControl(b, r) }
	}
	if err := b.Each(maxInflated, each); err != nil {
		return err
	}
	s.next = b.LastOffset() + 1
	return nil
}

// upgrade makes a batch of a message of magic 0 or 1, as brokers before 0.11 wrote them; the cleaner keeps such as they are. The
// offset of a compressed message is that of its last inner one.
func upgrade(entry record.Batch) (record.Batch, error) {
	last := entry.BaseOffset()
	v, err := record.Validate(bytes.Clone(entry), record.Rules{BeforeMax: math.MaxInt64, AfterMax: math.MaxInt64})
	if err != nil {
		return nil, err
	}
	v.Batch.SetBaseOffset(last - int64(v.Batch.LastOffsetDelta()))
	return v.Batch, nil
}

// replayControl applies a control record that ends a transaction. Those of other types are of no concern.
func (s *Scope) replayControl(b record.Batch, r record.Record) error {
	kind, err := record.ParseControlKey(r.Key)
	if err != nil {
		return err
	}
	if kind == record.Commit || kind == record.Abort {
		s.machine.End(Marker{Offset: b.BaseOffset() + int64(r.OffsetDelta), ProducerID: b.ProducerID(),
			ProducerEpoch: b.ProducerEpoch(), Commit: kind == record.Commit})
	}
	return nil
}

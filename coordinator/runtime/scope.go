package runtime

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/storage/clock"
)

// retryAfter is how long a timer is put off when its partition cannot be written, and how long a failed load waits.
const retryAfter = time.Second

// Scope is what a machine can reach of its shard. It belongs to one machine and ends with it. Only the machine, within
// its shard, calls its methods.
type Scope struct {
	shard   *shard
	log     Log
	machine Machine
	dead    bool

	next    int64 // the offset that the next record gets
	batches []record.Batch
	builder *record.Builder
	base    int64 // first offset in builder
	kind    Kind

	open   map[waiter]struct{} // operations that have ended without an answer yet
	parked []parked            // answers, by ascending mark
	timers map[*Timer]struct{}
}

// parked is an answer that waits for the high watermark.
type parked struct {
	waiter   waiter
	mark     int64
	deadline time.Time
}

func newScope(s *shard, log Log) *Scope {
	return &Scope{shard: s, log: log, next: log.Start(), open: map[waiter]struct{}{}, timers: map[*Timer]struct{}{}}
}

// Partition is the partition that the machine lives in.
func (s *Scope) Partition() int32 { return s.shard.partition }

// Now is the time.
func (s *Scope) Now() time.Time { return s.shard.rt.o.Clock.Now() }

// Write appends records that belong together: they are in one batch, and applied when it returns. It fails, and applies
// nothing, if they are more than a batch holds (MESSAGE_TOO_LARGE).
func (s *Scope) Write(k Kind, records ...Record) error {
	if len(records) == 0 {
		return nil
	}
	now := s.Now().UnixMilli()
	size, limit := 0, s.log.MaxBatchBytes()
	for _, r := range records {
		size += recordBound + len(r.Key) + len(r.Value)
	}
	if record.BatchOverhead+size > limit {
		return s.writeAlone(k, now, limit, records)
	}
	if s.builder != nil && (s.kind != k || s.builder.Size()+size > limit) {
		s.seal()
	}
	if s.builder == nil {
		s.builder, s.kind, s.base = s.build(k), k, s.next
	}
	for _, r := range records {
		s.builder.Append(now, r.Key, r.Value)
	}
	s.apply(k, now, records)
	return nil
}

// recordBound is at least what a record takes beside its key and value: attributes, varints of length, deltas, key and
// value lengths, header count.
const recordBound = 1 + 5 + 10 + 5 + 5 + 5 + 1

// writeAlone makes a batch of what is near or beyond the limit, and measures it.
func (s *Scope) writeAlone(k Kind, now int64, limit int, records []Record) error {
	b := s.build(k)
	for _, r := range records {
		b.Append(now, r.Key, r.Value)
	}
	batch, err := b.Build()
	if err != nil {
		return err
	}
	if len(batch) > limit {
		return kerr.MessageTooLarge
	}
	s.seal()
	s.batches = append(s.batches, batch)
	s.apply(k, now, records)
	return nil
}

// WriteEach appends records that need not stay together, in as many batches as they take.
func (s *Scope) WriteEach(k Kind, records ...Record) error {
	for _, r := range records {
		if err := s.Write(k, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scope) build(k Kind) *record.Builder {
	return record.NewBuilder(record.BatchSpec{
		Codec: s.shard.rt.o.Codec, ProducerID: k.ProducerID, ProducerEpoch: k.ProducerEpoch,
		BaseSequence: k.BaseSequence, Transactional: k.Transactional, LeaderEpoch: record.None,
	})
}

func (s *Scope) apply(k Kind, now int64, records []Record) {
	for _, r := range records {
		at := s.next
		s.next++
		s.machine.Replay(Entry{Offset: at, Timestamp: now, Key: r.Key, Value: r.Value,
			ProducerID: k.ProducerID, ProducerEpoch: k.ProducerEpoch, Transactional: k.Transactional})
	}
}

// seal ends the batch that is being built. A batch that cannot be built fails as an append would.
func (s *Scope) seal() {
	if s.builder == nil {
		return
	}
	batch, err := s.builder.Build()
	s.builder = nil
	if err != nil {
		batch = nil // flush finds it
	}
	s.batches = append(s.batches, batch)
}

// flush appends what has been written since the last flush.
func (s *Scope) flush() error {
	s.seal()
	if len(s.batches) == 0 {
		return nil
	}
	batches := s.batches
	s.batches = nil
	left := int64(0)
	for _, b := range batches {
		if b == nil {
			return errBuild
		}
		left += int64(b.LastOffsetDelta()) + 1
	}
	for _, b := range batches {
		left -= int64(b.LastOffsetDelta()) + 1
		last, err := s.log.Append(b)
		if err != nil {
			return err
		}
		if last+1 != s.next-left {
			return errOtherWriter
		}
	}
	return nil
}

func (s *Scope) park(w waiter) {
	if s.dead {
		w.abandon(kerr.NotCoordinator)
		return
	}
	s.parked = append(s.parked, parked{w, s.next, s.Now().Add(s.shard.rt.o.CommitTimeout)})
}

// release delivers the answers that the high watermark covers, and fails those that have waited for too long. Their
// records stay in the log: they may be committed later, as after any time-out.
func (s *Scope) release() {
	if len(s.parked) == 0 {
		return
	}
	high, n := s.log.HighWatermark().Get(), 0
	for n < len(s.parked) && s.parked[n].mark <= high {
		s.parked[n].waiter.deliver()
		n++
	}
	if n < len(s.parked) {
		for now := s.Now(); n < len(s.parked) && !s.parked[n].deadline.After(now); n++ {
			s.parked[n].waiter.abandon(kerr.RequestTimedOut)
		}
	}
	left := copy(s.parked, s.parked[n:])
	clear(s.parked[left:])
	s.parked = s.parked[:left]
}

// end tells everybody who waits that this machine is gone, and stops its timers.
func (s *Scope) end(err error) {
	s.dead = true
	for _, p := range s.parked {
		p.waiter.abandon(err)
	}
	for w := range s.open {
		w.abandon(err)
	}
	for t := range s.timers {
		t.inner.Stop()
	}
	s.parked, s.open, s.timers, s.batches, s.builder, s.machine = nil, nil, nil, nil, nil, nil
}

// Timer is a function that a machine wants to run later, within its shard.
type Timer struct {
	scope *Scope
	f     func()
	inner clock.Timer
	armed bool
}

// After runs f once d has passed, unless the timer is stopped before or the machine is gone. f may write.
func (s *Scope) After(d time.Duration, f func()) *Timer {
	t := &Timer{scope: s, f: f}
	t.arm(d)
	return t
}

func (t *Timer) arm(d time.Duration) {
	t.armed = true
	t.scope.timers[t] = struct{}{}
	t.inner = t.scope.shard.rt.o.Clock.AfterFunc(d, func() { t.scope.shard.post(t) })
}

// Stop keeps the function from being called. It may be called at any time, also on nil.
func (t *Timer) Stop() {
	if t == nil || !t.armed {
		return
	}
	t.armed = false
	t.inner.Stop()
	delete(t.scope.timers, t)
}

func (t *Timer) run(s *Scope) {
	if t.scope != s || !t.armed {
		return // the machine that set it is gone, or it was stopped after it had gone off
	}
	delete(s.timers, t)
	if s.log.Writable() != nil {
		t.arm(retryAfter)
		return
	}
	t.armed = false
	t.f()
}

func (t *Timer) refuse(error) {}

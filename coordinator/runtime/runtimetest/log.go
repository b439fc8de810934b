// Package runtimetest has a log in memory for the tests of coordinators: its watermark can be held back, its appends and reads
// made to fail, and it can be copied as a crash would leave it.
package runtimetest

import (
	"bytes"
	"errors"
	"slices"
	"sync"

	"barnabas/protocol/record"
	"barnabas/replication/await"
)

// Log implements runtime.Log. The zero value is not usable; NewLog makes one.
type Log struct {
	high await.Level

	mu       sync.Mutex // guards what follows
	batches  []record.Batch
	start    int64
	end      int64
	held     bool
	refuse   error // of Writable
	fail     error // of Append
	failRead error
	gate     chan struct{} // reads wait until it is closed
	max      int
	reads    int
}

// NewLog is an empty log whose watermark follows its end.
func NewLog() *Log { return &Log{max: 1 << 20} }

// Append implements runtime.Log.
func (l *Log) Append(b record.Batch) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return 0, l.fail
	}
	if err := b.Check(); err != nil {
		return 0, err
	}
	if len(b) > l.max {
		return 0, errors.New("a batch beyond the limit")
	}
	c := record.Batch(bytes.Clone(b))
	c.SetBaseOffset(l.end)
	l.batches = append(l.batches, c)
	l.end = c.LastOffset() + 1
	if !l.held {
		l.high.Advance(l.end)
	}
	return c.LastOffset(), nil
}

// HighWatermark implements runtime.Log.
func (l *Log) HighWatermark() *await.Level { return &l.high }

// Writable implements runtime.Log.
func (l *Log) Writable() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refuse
}

// Read implements runtime.Log.
func (l *Log) Read(offset int64, max int) ([]byte, error) {
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.failRead != nil {
		return nil, l.failRead
	}
	var out []byte
	for _, b := range l.batches {
		if lastOf(b) < offset {
			continue
		}
		if len(out) > 0 && len(out)+len(b) > max {
			break
		}
		out = append(out, b...)
	}
	return out, nil
}

// Start implements runtime.Log.
func (l *Log) Start() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.start
}

// End implements runtime.Log.
func (l *Log) End() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

// MaxBatchBytes implements runtime.Log.
func (l *Log) MaxBatchBytes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.max
}

// Hold keeps the watermark where it is; Commit lets it follow again.
func (l *Log) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

// Commit moves the watermark to the end and lets it follow from now on.
func (l *Log) Commit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
	l.high.Advance(l.end)
}

// CommitTo moves a held watermark.
func (l *Log) CommitTo(at int64) { l.high.Advance(at) }

// Fail makes appends fail; nil ends that.
func (l *Log) Fail(err error) { l.set(func() { l.fail = err }) }

// FailReads makes reads fail; nil ends that.
func (l *Log) FailReads(err error) { l.set(func() { l.failRead = err }) }

// Refuse sets what Writable says.
func (l *Log) Refuse(err error) { l.set(func() { l.refuse = err }) }

// SetMaxBatchBytes sets the limit of a batch.
func (l *Log) SetMaxBatchBytes(n int) { l.set(func() { l.max = n }) }

// Gate lets reads wait until the channel is closed.
func (l *Log) Gate(c chan struct{}) { l.set(func() { l.gate = c }) }

func (l *Log) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// Reads is how often the log has been read.
func (l *Log) Reads() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}

// Batches are what has been appended.
func (l *Log) Batches() []record.Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.batches)
}

// Truncate drops what is not committed, as a change of leader would.
func (l *Log) Truncate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.batches) > 0 && l.batches[len(l.batches)-1].LastOffset() >= l.high.Get() {
		l.batches = l.batches[:len(l.batches)-1]
	}
	l.end = l.start
	if n := len(l.batches); n > 0 {
		l.end = l.batches[n-1].LastOffset() + 1
	}
}

// Compact drops batches as the log cleaner does: the offsets stay.
func (l *Log) Compact(drop func(record.Batch) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = slices.DeleteFunc(slices.Clone(l.batches), drop)
}

// Clone is another log with the same content, all of it committed.
func (l *Log) Clone() *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := NewLog()
	c.batches, c.start, c.end, c.max = slices.Clone(l.batches), l.start, l.end, l.max
	c.high.Advance(c.end)
	return c
}

// FromEntries is a log with the content of a segment file. Offsets are kept.
func FromEntries(b []byte) (*Log, error) {
	l := NewLog()
	for len(b) > 0 {
		entry, rest, err := record.Next(b)
		if err != nil {
			return nil, err
		}
		batch := record.Batch(bytes.Clone(entry))
		if len(l.batches) == 0 {
			l.start = batch.BaseOffset()
		}
		l.batches = append(l.batches, batch)
		l.end = lastOf(batch) + 1
		b = rest
	}
	l.high.Advance(l.end)
	return l, nil
}

// lastOf is the last offset of an entry; messages before magic 2 carry it where a batch has its first.
func lastOf(b record.Batch) int64 {
	if b.Magic() < 2 {
		return b.BaseOffset()
	}
	return b.LastOffset()
}

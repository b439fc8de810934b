package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Manual is a Clock that stands still until it is moved. Due functions run inside Advance, one after the other, in the
// order of their times (ties in the order in which they were set), and see Now at their own time; what they set
// themselves and is due within the same Advance runs too.
type Manual struct {
	mu    sync.Mutex // guards now, seq, due
	now   time.Time
	seq   int64
	due   timers
	moved sync.Mutex // held by Advance, so that two movers do not interleave
}

// NewManual is a clock that shows now.
func NewManual(now time.Time) *Manual { return &Manual{now: now} }

func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *Manual) AfterFunc(d time.Duration, f func()) Timer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq++
	t := &manualTimer{clock: m, at: m.now.Add(max(d, 0)), seq: m.seq, f: f}
	heap.Push(&m.due, t)
	return t
}

func (m *Manual) After(d time.Duration) <-chan time.Time {
	c := make(chan time.Time, 1)
	m.AfterFunc(d, func() { c <- m.Now() })
	return c
}

// Advance moves the clock by d and runs what becomes due.
func (m *Manual) Advance(d time.Duration) {
	m.moved.Lock()
	defer m.moved.Unlock()
	m.mu.Lock()
	end := m.now.Add(d)
	for len(m.due) > 0 && !m.due[0].at.After(end) {
		t := heap.Pop(&m.due).(*manualTimer)
		m.now = t.at
		m.mu.Unlock()
		t.f()
		m.mu.Lock()
	}
	m.now = end
	m.mu.Unlock()
}

// Next says how long until the next function is due; false when none is set.
func (m *Manual) Next() (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.due) == 0 {
		return 0, false
	}
	return m.due[0].at.Sub(m.now), true
}

type manualTimer struct {
	clock *Manual
	at    time.Time
	seq   int64
	index int // position in the heap, -1 once out
	f     func()
}

func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.due, t.index)
	return true
}

type timers []*manualTimer

func (h timers) Len() int { return len(h) }
func (h timers) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].seq < h[j].seq
}
func (h timers) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].index, h[j].index = i, j }
func (h *timers) Push(x any)   { t := x.(*manualTimer); t.index = len(*h); *h = append(*h, t) }
func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}

package await

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Bell wakes one waiter, who may hang it on many levels. The zero value is not usable; NewBell makes one.
type Bell struct{ c chan struct{} }

// NewBell is a bell that has not rung.
func NewBell() *Bell { return &Bell{c: make(chan struct{}, 1)} }

// Ring wakes the waiter, now or at its next wait. Rings that nobody heard yet are one ring.
func (b *Bell) Ring() {
	select {
	case b.c <- struct{}{}:
	default:
	}
}

// C receives once a ring; for a select of the waiter's own.
func (b *Bell) C() <-chan struct{} { return b.c }

// Wait sleeps until the bell rings, the deadline channel receives or the context ends; true says that it rang.
func (b *Bell) Wait(ctx context.Context, deadline <-chan time.Time) bool {
	select {
	case <-b.c:
		return true
	case <-deadline:
		return false
	case <-ctx.Done():
		return false
	}
}

// never is the mark when nobody waits: no offset reaches it.
const never = int64(1<<63 - 1)

// Level is an offset that only rises. Get is one atomic load. The zero value is a level at 0.
type Level struct {
	value atomic.Int64
	// lowest is the smallest mark that somebody waits for. A waiter publishes it before it looks at value, an advance
	// stores value before it looks at lowest, so one of the two always sees the other.
	// Zero says that nobody ever waited.
	lowest atomic.Int64

	mu   sync.Mutex // guards hung and every Hook.index
	hung hooks
}

// Get is where the level stands.
func (l *Level) Get() int64 { return l.value.Load() }

// Advance raises the level to at and rings the bells whose marks it reaches; a lower value changes nothing.
// It reports whether the level rose.
func (l *Level) Advance(at int64) bool {
	for {
		now := l.value.Load()
		if at <= now {
			return false
		}
		if l.value.CompareAndSwap(now, at) {
			break
		}
	}
	if mark := l.lowest.Load(); mark != 0 && mark <= at {
		l.ringUpTo(at)
	}
	return true
}

// Reset sets the level, even downwards, and rings everybody: the world has changed (truncation, a new role).
func (l *Level) Reset(at int64) {
	l.value.Store(at)
	l.RingAll()
}

// RingAll rings every bell without raising the level, so that waiters look again and see what else has changed.
func (l *Level) RingAll() { l.ringUpTo(never) }

func (l *Level) ringUpTo(at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.hung) > 0 && l.hung[0].mark <= at {
		h := heap.Pop(&l.hung).(*Hook)
		h.bell.Ring()
	}
	l.publishLowestLocked()
}

func (l *Level) publishLowestLocked() {
	if len(l.hung) == 0 {
		l.lowest.Store(never)
		return
	}
	l.lowest.Store(l.hung[0].mark)
}

// Hook is a bell on a level. It falls off when it rings; Unhook takes it off before. The zero value is off.
type Hook struct {
	level *Level
	bell  *Bell
	mark  int64
	index int // position in level.hung, -1 once off
}

// Hang rings the bell when the level reaches mark; at once if it has.
func (l *Level) Hang(b *Bell, mark int64) *Hook {
	h := new(Hook)
	l.HangOn(h, b, mark)
	return h
}

// HangOn is Hang with a hook of the caller's, which is off: for those who wait on many levels, time and again.
func (l *Level) HangOn(h *Hook, b *Bell, mark int64) {
	*h = Hook{level: l, bell: b, mark: mark, index: -1}
	l.mu.Lock()
	heap.Push(&l.hung, h)
	l.publishLowestLocked()
	l.mu.Unlock()
	if at := l.value.Load(); at >= mark {
		l.ringUpTo(at)
	}
}

// Unhook takes the bell off. It may be called at any time, also twice, also on nil.
func (h *Hook) Unhook() {
	if h == nil || h.level == nil {
		return
	}
	h.level.mu.Lock()
	defer h.level.mu.Unlock()
	if h.index >= 0 {
		heap.Remove(&h.level.hung, h.index)
		h.level.publishLowestLocked()
	}
}

type hooks []*Hook

func (h hooks) Len() int           { return len(h) }
func (h hooks) Less(i, j int) bool { return h[i].mark < h[j].mark }
func (h hooks) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].index, h[j].index = i, j }
func (h *hooks) Push(x any)        { k := x.(*Hook); k.index = len(*h); *h = append(*h, k) }
func (h *hooks) Pop() any {
	old := *h
	k := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	k.index = -1
	return k
}

package broker

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Those who wait get their places in turn.
func TestBacklogTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd, rounds = 20, 30
		b := newBacklog(1)
		done := make(chan struct{})
		var first shift
		b.take(&first, done)
		var order []int // one at a time has a place
		var all sync.WaitGroup
		for i := range crowd {
			all.Go(func() {
				var s shift
				for range rounds {
					b.take(&s, done)
					order = append(order, i)
				}
				b.leave(&s)
			})
			synctest.Wait()
		}
		b.leave(&first)
		all.Wait()
		for n, i := range order {
			if i != n%crowd {
				t.Fatalf("the turns are %v", order)
			}
		}
		if len(order) != crowd*rounds {
			t.Errorf("%d turns", len(order))
		}
		b.empty(t)
	})
}

// empty says that nobody has a place or waits, and that the ticker ends.
func (b *backlog) empty(t *testing.T) {
	t.Helper()
	<-time.After(3 * backlogTick) // of the bubble's clock
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at != 0 || b.queue.Len() != 0 || b.ticker != nil {
		t.Errorf("%d have places, %d wait, ticking: %v", b.at, b.queue.Len(), b.ticker != nil)
	}
}

// Who waits for something else while it has a place keeps nobody from going on, and one that ends leaves the queue.
func TestBacklogGoesOnWithoutThoseWhoWaitElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(2)
		done := make(chan struct{})
		var stuck [2]shift
		for i := range stuck {
			b.take(&stuck[i], done)
		}
		began := time.Now()
		var next, ends shift
		gone := make(chan struct{})
		ended := make(chan struct{})
		b.take(&next, done)
		if waited := time.Since(began); waited < backlogTick || waited > 2*backlogTick {
			t.Errorf("got a place after %v", waited)
		}
		b.take(&stuck[0], done) // which has lost its place, and takes another
		go func() {
			b.take(&ends, gone)
			close(ended)
		}()
		synctest.Wait()
		close(gone)
		<-ended
		if b.queue.Len() != 0 || ends.at != nil {
			t.Error("one that has ended waits on")
		}
		b.leave(&ends)
		b.leave(&stuck[1]) // which has nothing to leave
		if b.at != 2 {
			t.Errorf("%d have places, want 2", b.at)
		}
		b.leave(&stuck[0])
		b.leave(&next)
		b.empty(t)
	})
}

// Nobody is forgotten and no place is lost, whoever takes, leaves, stays or ends; for the race detector.
func TestBacklogAtRandom(t *testing.T) {
	b := newBacklog(3)
	var all sync.WaitGroup
	for i := range uint64(50) {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, i))
			done := make(chan struct{})
			var s shift
			for n := range 300 {
				if n == 250 && i%5 == 0 {
					time.AfterFunc(time.Duration(rng.IntN(1000))*time.Microsecond, func() { close(done) })
				}
				b.take(&s, done)
				b.mu.Lock()
				if b.at < 0 || b.at > b.limit {
					t.Errorf("%d have places", b.at)
				}
				b.mu.Unlock()
				if rng.IntN(3) == 0 {
					b.leave(&s)
				}
			}
			b.leave(&s)
		})
	}
	all.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at != 0 || b.queue.Len() != 0 {
		t.Errorf("%d have places, %d wait", b.at, b.queue.Len())
	}
}

package broker

import (
	"container/list"
	"runtime"
	"sync"
	"time"
)

// backlog shares the processors among connections whose clients have sent more than was answered, and keeps them from standing in
// the way of all others. What is ready to run waits in one queue, Go takes the processor from nobody within ten milliseconds, and looks
// for what has come over the network when it has nothing else to run: behind 500 clients that pipelined another waited for seconds.
// So a connection works for runFor at a time, and of those with a backlog no more do than there are CPUs: the others wait here, and
// the scheduler's queue is short. barnabas serve has a thread more than CPUs (cmd/barnabas/awake.go), which waits for the network.
//
// A place is a hint, not a lock. Who may be about to wait for something leaves it first; who waits all the same holds it for no longer
// than backlogTick.
type backlog struct {
	mu     sync.Mutex // guards all below, and the shifts
	limit  int
	at     int       // how many have a place
	epoch  uint64    // of the places; those of an earlier one do not count. Not 0
	queue  list.List // of *shift: who waits for a place, first come first served
	moved  bool      // a place has been given or left since the last tick
	ticker *time.Timer
}

// shift is a connection's part in a backlog.
type shift struct {
	wake chan struct{} // gets a token with the place
	in   uint64        // the epoch of the place that it has, or has had; 0 for none
	at   *list.Element // nil unless it waits
}

const (
	// runFor is for how long a connection works on what its client has sent before it is others' turn.
	runFor = 100 * time.Microsecond
	// backlogTick is after how long those who have places are taken to wait for something else, if none has moved.
	backlogTick = time.Millisecond
)

// backlogs are those of all connections in the process, as are the CPUs.
var backlogs = newBacklog(runtime.GOMAXPROCS(0))

func newBacklog(limit int) *backlog { return &backlog{limit: limit, epoch: 1} }

// take has a connection that has worked for runFor wait for its turn to go on, or until done.
func (b *backlog) take(s *shift, done <-chan struct{}) {
	b.mu.Lock()
	had := s.in == b.epoch
	if b.queue.Len() == 0 && (had || b.at < b.limit) {
		if !had {
			s.in = b.epoch
			b.at++
		}
		b.mu.Unlock()
		runtime.Gosched()
		return
	}
	b.giveUp(s)
	if s.wake == nil {
		s.wake = make(chan struct{}, 1)
	}
	s.at = b.queue.PushBack(s)
	b.give()
	if b.ticker == nil && b.queue.Len() > 0 {
		b.moved = true
		b.ticker = time.AfterFunc(backlogTick, b.tick)
	}
	b.mu.Unlock()
	select {
	case <-s.wake:
	case <-done:
		b.mu.Lock()
		defer b.mu.Unlock()
		if s.at != nil {
			b.queue.Remove(s.at)
			s.at = nil
		} else {
			<-s.wake
		}
	}
}

// leave gives the place up, if the connection has one.
func (b *backlog) leave(s *shift) {
	if s.in == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.giveUp(s)
	b.give()
}

// giveUp takes a shift's place away; mu is held.
func (b *backlog) giveUp(s *shift) {
	if s.in == b.epoch {
		b.at--
		b.moved = true
	}
	s.in = 0
}

// give gives what places there are; mu is held.
func (b *backlog) give() {
	for b.at < b.limit && b.queue.Len() > 0 {
		s := b.queue.Remove(b.queue.Front()).(*shift)
		s.at, s.in = nil, b.epoch
		b.at++
		b.moved = true
		s.wake <- struct{}{}
	}
}

// tick gives new places where those who have some do not move.
func (b *backlog) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.moved {
		b.epoch++
		b.at = 0
		b.give()
	}
	b.moved = false
	if b.queue.Len() == 0 {
		b.ticker = nil
		return
	}
	b.ticker.Reset(backlogTick)
}

package runtime

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/replication/await"
)

var (
	errOtherWriter = errors.New("somebody else has written to the partition")
	errBuild       = errors.New("a batch could not be built")
)

// operation is what an inbox holds: a call or a timer.
type operation interface {
	run(*Scope)
	refuse(error)
}

type state int8

const (
	loading state = iota // the log is being replayed; operations are refused, timers wait
	active
	retired // no longer led
)

// shard is one led partition. Its goroutine exists while there is something in the inbox or a reply is parked.
type shard struct {
	rt        *Runtime
	partition int32
	log       Log
	wake      *await.Bell // rung by post, by retire and by the high watermark

	mu      sync.Mutex // guards what follows
	state   state
	inbox   []operation
	running bool
	scope   *Scope // the machine's; owned by the goroutine while running is true
}

// enter puts a client's operation into the inbox, or says why not.
func (s *shard) enter(op operation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case loading:
		return kerr.CoordinatorLoadInProgress
	case retired:
		return kerr.NotCoordinator
	}
	s.putLocked(op)
	return nil
}

// post puts a timer into the inbox.
func (s *shard) post(op operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != retired {
		s.putLocked(op)
	}
}

func (s *shard) putLocked(op operation) {
	s.inbox = append(s.inbox, op)
	s.startLocked()
}

// startLocked sees to it that somebody looks at the shard.
func (s *shard) startLocked() {
	switch {
	case s.running:
		s.wake.Ring()
	case s.scope != nil:
		s.running = true
		s.rt.running.Go(s.run)
	}
}

// run works until there is nothing to do. It owns the scope.
func (s *shard) run() {
	scope := s.scope
	var spare []operation
	for {
		s.mu.Lock()
		inbox := s.inbox
		if s.state == retired {
			s.inbox, s.scope, s.running = nil, nil, false
			s.mu.Unlock()
			s.dismiss(scope, inbox)
			return
		}
		if len(inbox) == 0 && len(scope.parked) == 0 {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.inbox = spare
		s.mu.Unlock()

		for i, op := range inbox {
			inbox[i] = nil
			op.run(scope)
		}
		spare = inbox[:0]
		if err := scope.flush(); err != nil {
			s.restart(scope, err)
			return
		}
		scope.release()
		if len(scope.parked) > 0 {
			s.wait(scope)
		}
	}
}

// wait sleeps until the watermark reaches the first parked reply or its time is up, something is in the inbox, or the
// shard is retired. The caller looks again.
func (s *shard) wait(scope *Scope) {
	first := scope.parked[0]
	hook := scope.log.HighWatermark().Hang(s.wake, first.mark)
	timer := s.rt.o.Clock.AfterFunc(first.deadline.Sub(scope.Now()), s.wake.Ring)
	s.wake.Wait(context.Background(), nil)
	timer.Stop()
	hook.Unhook()
}

// dismiss ends a machine for good.
func (s *shard) dismiss(scope *Scope, inbox []operation) {
	scope.end(kerr.NotCoordinator)
	for _, op := range inbox {
		op.refuse(kerr.NotCoordinator)
	}
}

// restart throws the machine away and replays the log, after an append that failed.
func (s *shard) restart(scope *Scope, err error) {
	s.rt.o.Logger.Warn("coordinator: an append failed, the partition is loaded again",
		zap.String("topic", s.rt.o.Topic), zap.Int32("partition", s.partition), zap.Error(err))
	s.mu.Lock()
	inbox, was := s.inbox, s.state
	s.inbox, s.scope, s.running = nil, nil, false
	if was == active {
		s.state = loading
		s.rt.running.Go(s.load)
	}
	s.mu.Unlock()
	s.dismiss(scope, inbox)
}

// retire ends the shard. Whoever waits is told by its goroutine, which is started for that if it does not run.
func (s *shard) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != retired {
		s.state = retired
		s.startLocked()
	}
}

// serve gives the shard its machine, unless it has been retired meanwhile.
func (s *shard) serve(scope *Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == retired {
		scope.end(kerr.NotCoordinator)
		return
	}
	s.scope, s.state = scope, active
	if len(s.inbox) > 0 || scope.builder != nil || len(scope.batches) > 0 {
		s.running = true
		s.rt.running.Go(s.run)
	}
}

// retryLater starts a load that has failed again after a while.
func (s *shard) retryLater() {
	s.rt.o.Clock.AfterFunc(retryAfter, s.startLoad)
}

// startLoad replays the log in the background, unless the shard has been retired.
func (s *shard) startLoad() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == loading {
		s.rt.running.Go(s.load)
	}
}

// quiet is how long the log keeps silent about a load that goes fast.
const quiet = 2 * time.Second

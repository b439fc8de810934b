package runtime

import "context"

// Promise is a reply that a machine gives now or later. The machine resolves it once, inside its shard; whoever waits
// sees it when what the machine had applied by then is committed.
type Promise[R any] struct {
	scope *Scope // of the machine that holds it; nil until it runs

	// Written by the shard before done is closed.
	value   R
	err     error
	settled bool
	open    bool // counted in scope.open: the operation ended without an answer
	done    chan struct{}

	refused bool // made by Refused
}

// Refused is a promise that has failed already.
func Refused[R any](err error) *Promise[R] {
	p := &Promise[R]{err: err, settled: true, refused: true, done: make(chan struct{})}
	close(p.done)
	return p
}

// Refusal is the error with which an operation was turned away at the door; nil if it was let in.
func (p *Promise[R]) Refusal() error {
	if p.refused {
		return p.err
	}
	return nil
}

// Resolve gives the reply. Only the machine calls it, within its shard; a second call changes nothing.
func (p *Promise[R]) Resolve(v R) {
	if p.settled {
		return
	}
	p.value = v
	p.park()
}

// Fail gives an error in place of a reply.
func (p *Promise[R]) Fail(err error) {
	if p.settled {
		return
	}
	p.err = err
	p.park()
}

func (p *Promise[R]) park() {
	p.settled = true
	if p.open {
		p.open = false
		delete(p.scope.open, p)
	}
	p.scope.park(p)
}

// Await waits for the reply. The error is the machine's, NOT_COORDINATOR or the like from the runtime, or the context's.
func (p *Promise[R]) Await(ctx context.Context) (R, error) {
	select {
	case <-p.done:
		return p.value, p.err
	default:
	}
	select {
	case <-p.done:
		return p.value, p.err
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}

// Done is closed when the reply is there.
func (p *Promise[R]) Done() <-chan struct{} { return p.done }

// deliver lets the waiter see the reply.
func (p *Promise[R]) deliver() { close(p.done) }

// abandon replaces the reply, if there is one, by an error.
func (p *Promise[R]) abandon(err error) {
	var none R
	p.value, p.err, p.settled = none, err, true
	close(p.done)
}

// waiter is a promise of any type.
type waiter interface {
	deliver()
	abandon(err error)
}

// call is an operation with the promise of its reply.
type call[M Machine, R any] struct {
	Promise[R]
	writes bool
	f      func(M, *Promise[R])
}

func (c *call[M, R]) run(s *Scope) {
	if c.writes {
		if err := s.log.Writable(); err != nil {
			c.abandon(Refusal(err))
			return
		}
	}
	c.scope = s
	c.f(s.machine.(M), &c.Promise)
	if !c.settled {
		c.open = true
		s.open[&c.Promise] = struct{}{}
	}
}

func (c *call[M, R]) refuse(err error) { c.abandon(err) }

// Answered is a promise of an answer that needed no machine.
func Answered[R any](v R) *Promise[R] {
	p := &Promise[R]{value: v, settled: true, done: make(chan struct{})}
	close(p.done)
	return p
}

package broker

import (
	"errors"
	"os"
	"time"

	"go.uber.org/zap"

	"barnabas/protocol"
)

const (
	// frameStall is how long a client may be silent within a frame that holds memory of all. frameGrace is how long it may take,
	// and a second more for each frameRate bytes, to fill what it has been given of that when others wait for it; overdueLook is
	// how often it is looked whether any do once that is over.
	frameStall  = 30 * time.Second
	frameGrace  = 10 * time.Second
	frameRate   = 1 << 20
	overdueLook = time.Second
)

// admit takes the memory for a part of a large request that is about to be read, at first once all before it are answered: nobody
// may hold memory while answers wait for others, who may need it, or for a client that does not read them.
func (c *conn) admit(n int) error {
	more := int64(n) - c.taken.n
	if c.taken.n == 0 {
		c.settleAndFlush()
	}
	if err := c.server.memory.take(c.ctx, &c.taken, more); err != nil {
		return err
	}
	c.heardAt = c.server.clock.Now()
	c.frameDue = c.heardAt.Add(frameGrace + time.Duration(more)*time.Second/frameRate)
	c.readBy = 0 // the rest has less time
	return nil
}

// giveBack gives back what the request in work has taken, and its frame.
func (c *conn) giveBack() {
	if c.taken.n > 0 {
		c.frames.Free()
		c.server.memory.give(&c.taken)
		if c.server.limits.idle <= 0 && c.readBy == 0 {
			_ = c.socket.SetReadDeadline(time.Time{}) // that of a frame
		}
	}
}

// idleReader reads from the socket and ends a connection that has been idle for too long; one that waits for an answer, or
// has just had one, is not idle.
type idleReader struct {
	c      *conn
	socket *protocol.Receiver
}

func (r idleReader) Read(b []byte) (int, error) {
	for {
		if err := r.renew(); err != nil {
			return 0, err
		}
		if n, err := r.socket.Read(b); !r.waits(n, err) {
			return n, err
		}
	}
}

func (r idleReader) ReadBorrowed(borrow func() []byte, giveBack func()) (int, error) {
	for {
		if err := r.renew(); err != nil {
			return 0, err
		}
		if n, err := r.socket.ReadBorrowed(borrow, giveBack); !r.waits(n, err) {
			return n, err
		}
	}
}

// renew sets the deadline of the next read. The error ends the connection.
func (r idleReader) renew() error {
	if r.c.taken.n > 0 {
		return r.hurry()
	}
	now := r.c.renew(&r.c.readBy, r.c.socket.SetReadDeadline)
	if now-r.c.readAt.Load() >= int64(time.Second) { // to tell the time costs less than to write it down
		r.c.readAt.Store(now)
	}
	return nil
}

var errSlowFrame = errors.New("the rest of a request does not come fast enough")

// hurry is renew within a frame that holds memory of all.
func (r idleReader) hurry() error {
	c, now := r.c, r.c.server.clock.Now()
	next := c.frameDue
	if !now.Before(c.frameDue) {
		if c.server.memory.wanted.Load() {
			c.server.log.Info("connection closed: the rest of a request comes slowly, and it holds memory that others wait for (queued.max.request.bytes)",
				zap.Stringer("client", c.client.Client), zap.Int64("bytes", c.taken.n))
			return errSlowFrame
		}
		next = now.Add(overdueLook)
	}
	if silent := c.heardAt.Add(frameStall); silent.Before(next) {
		next = silent
	}
	_ = c.socket.SetReadDeadline(next)
	return nil
}

// waits says whether a read that has failed for want of time is to be tried again.
func (r idleReader) waits(n int, err error) bool {
	if r.c.taken.n > 0 && n > 0 {
		r.c.heardAt = r.c.server.clock.Now()
	}
	if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	if r.c.taken.n > 0 {
		if r.c.server.clock.Now().Sub(r.c.heardAt) < frameStall {
			return true
		}
		r.c.server.log.Info("connection closed: the rest of a request does not come, and it holds memory (queued.max.request.bytes)",
			zap.Stringer("client", r.c.client.Client), zap.Duration("silent for", frameStall))
		return false
	}
	idle := time.Duration(r.c.server.clock.Now().UnixNano() - r.c.wroteAt.Load())
	if r.c.pending.Load() == 0 && idle >= r.c.server.limits.idle {
		return false
	}
	r.c.readBy = 0
	return true
}

package broker

import (
	"context"

	"go.uber.org/zap"

	"barnabas/broker/api"
	"barnabas/protocol"
)

// encoded is the body of a response.
type encoded []byte

func (e encoded) AppendTo(dst []byte) []byte { return append(dst, e...) }

// encode makes the body of a response that has nothing but bytes. What cannot be encoded is left to respond, which says so.
func encode(resp api.Response) (body encoded, ok bool) {
	if _, regions := resp.(messageResponse); regions {
		return nil, false
	}
	defer func() {
		if recover() != nil {
			body, ok = nil, false
		}
	}()
	return resp.AppendTo(nil), true
}

// write is the writer: it waits for each reply in order. What is gathered leaves before it waits.
func (c *conn) write(ctx context.Context, cancel context.CancelFunc) {
	for o := range c.owed {
		if _, ready := o.reply.Ready(); !ready && c.flush() != nil {
			cancel()
		}
		err := c.answer(ctx, cancel, o)
		c.owe(-o.holds)
		enough := flushAt
		if len(c.owed) == 0 {
			enough = 1
		}
		if err != nil || c.flushFrom(enough) != nil {
			cancel()
		}
		if c.pending.Add(-1) == 0 {
			select {
			case c.settled <- struct{}{}:
			default:
			}
		}
	}
}

// answer waits for a reply and appends it to what goes out next, which nothing else holds then.
func (c *conn) answer(ctx context.Context, cancel context.CancelFunc, o owedReply) error {
	resp := c.await(ctx, cancel, o)
	if resp != nil && ctx.Err() == nil {
		return c.respond(o, resp)
	}
	if r, ok := resp.(releaser); ok {
		r.Release()
	}
	return nil
}

// await waits for a reply. A fault of ours must cost one connection, not the broker.
func (c *conn) await(ctx context.Context, cancel context.CancelFunc, o owedReply) (resp api.Response) {
	defer func() {
		if p := recover(); p != nil {
			c.server.log.Error("a request could not be answered, its connection is closed", zap.Int16("key", o.key), zap.Any("panic", p), zap.Stack("stack"))
			cancel()
		}
	}()
	return o.reply.Await(ctx)
}

// messageResponse is a response that holds file regions.
type messageResponse interface {
	AppendMessage(m *protocol.Message) error
}

type releaser interface{ Release() }

// respond appends a response to what goes out next. It does not write: what the response was made of shall not be held while a
// client is slow. A fault of ours costs the connection here too.
func (c *conn) respond(o owedReply, resp api.Response) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			c.server.log.Error("a response could not be encoded, its connection is closed", zap.Int16("key", o.key), zap.Any("panic", p), zap.Stack("stack"))
			c.broken, err = api.ErrPanic, api.ErrPanic
		}
	}()
	if c.broken != nil {
		if r, ok := resp.(releaser); ok {
			r.Release()
		}
		return c.broken
	}
	mark := c.out.BeginFrame()
	c.out.Buf = protocol.AppendResponseHeader(c.out.Buf, o.key, o.correlationID, o.flexible)
	if m, ok := resp.(messageResponse); ok {
		if err := m.AppendMessage(&c.out); err != nil {
			// The frame is half made: the connection cannot go on.
			c.broken = err
			c.server.log.Warn("a response cannot be written, its connection is closed", zap.Int16("key", o.key), zap.Error(err))
			return err
		}
	} else {
		c.out.Buf = resp.AppendTo(c.out.Buf)
	}
	c.out.EndFrame(mark)
	return nil
}

func (c *conn) flush() error { return c.flushFrom(1) }

// flushFrom writes what goes out next if that has some size, in bytes.
func (c *conn) flushFrom(size int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.Size() < size {
		return c.broken
	}
	return c.flushLocked()
}

func (c *conn) flushLocked() error {
	if c.broken != nil {
		return c.broken
	}
	c.wroteAt.Store(c.renew(&c.writeBy, c.socket.SetWriteDeadline))
	c.broken = c.sender.Send(&c.out)
	c.out.Reset()
	if c.answers.out.Load() > 0 {
		c.answers.out.Store(0)
		c.server.memory.answers.count(&c.answers)
	}
	return c.broken
}

// owe says that the answers that are with the writer hold so many bytes more.
func (c *conn) owe(n int64) {
	if now := c.answers.owes.Add(n); c.server.memory != nil && max(now, now-n) > owedFree {
		c.server.memory.answers.count(&c.answers)
	}
}

// stalled says what is held while the socket takes no more.
func (c *conn) stalled() {
	if n := int64(c.out.Holds()); c.answers.out.Swap(n) != n {
		c.server.memory.answers.count(&c.answers)
	}
}

// deaf ends a connection that holds more than there is room for.
func (c *conn) deaf() {
	c.server.log.Info("connection closed: its client does not read the answers, and they hold memory (queued.max.request.bytes)",
		zap.Stringer("client", c.client.Client))
	c.cancel()
}

package broker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"barnabas/broker/api"
	"barnabas/protocol"
)

const (
	// owedMax bounds the replies of one connection that wait at a time; a client that pipelines more is not read.
	owedMax = 64
	// flushAt is how much of ready responses is gathered before they are written although more requests have arrived. The last of
	// them shall mostly fit into the 64 KB that a message begins with.
	flushAt = 56 << 10
	// countFrom is the size of a request from which its elements are counted before it is decoded; countFromBounded is that
	// where the memory of requests is bounded. In less there is room for little.
	countFrom        = 16 << 10
	countFromBounded = 1 << 10
	// A request that has more elements than aloneElements, or more than aloneBytes that its handler keeps, is answered before
	// the next is read, and after those before it: what is owed at a time does not become owedMax times that. Kafka does so
	// with every request.
	aloneElements = 4000
	aloneBytes    = 1 << 20
	// owesMax bounds, in bytes, what the answers that wait on a connection may hold, and one answer more: a client that asks
	// for all topics again and again behind a fetch that waits must not hold them all. An element of a request whose answer
	// waits holds some owedElement bytes.
	owesMax     = 512 << 10
	owedElement = 100
	// takeFrom is how much memory, in bytes, the elements of a request need to be counted in the bound of all.
	takeFrom = 64 << 10
)

// conn is one client connection. Its reader decodes requests, has them handled and writes responses that are ready; its
// writer, started with the first reply that must wait, writes those that were waited for and all that come behind them.
// Responses leave in the order of the requests. One that waits for its next request holds no buffers. What cannot be
// served ends the connection once the requests before it are answered.
type conn struct {
	id     uint64
	ctx    context.Context // of this connection; cancel ends it, and with it the connection
	cancel context.CancelFunc
	socket net.Conn
	server *server
	client api.Call // what all calls of this connection have in common
	frames *protocol.FrameReader
	owed   chan owedReply // made with the writer
	// pending counts the replies that are with the writer. Only the reader adds; while it is zero, the reader may write.
	pending atomic.Int32
	settled chan struct{} // gets a token when pending is zero again

	// The rest of a request that has taken memory: until when what it has been given must be filled, and when something came last.
	taken             share // of server.memory
	frameDue, heardAt time.Time

	answers holder // what the answers hold, which owes counts in any case; see owesMax

	mu     sync.Mutex // guards out and sender: held to write, or by the reader alone while nothing is pending
	out    protocol.Message
	sender *protocol.Sender
	broken error // why nothing can be written any more

	// readBy and writeBy are the socket's deadlines (Unix nanoseconds), renewed only when some of the idle time has
	// passed since they were set.
	readBy, writeBy int64
	// readAt and wroteAt are when the connection last turned to reading, to the second, and when it wrote (Unix nanoseconds),
	// while it has an idle time.
	readAt, wroteAt atomic.Int64

	retired atomic.Bool // no more is read than has come; set by retire

	runs  time.Time // since when it has been at work without a pause; zero when it has just begun. See yield
	shift shift
}

type owedReply struct {
	reply         api.Reply
	key           int16
	correlationID int32
	flexible      bool
	holds         int64 // about how many bytes while it is with the writer
}

// newConn makes a connection that ends with the context; it must be served or cancelled.
func newConn(ctx context.Context, s *server, socket net.Conn, id uint64) *conn {
	c := &conn{id: id, socket: socket, server: s, sender: protocol.NewSender(socket)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	now := s.clock.Now().UnixNano()
	c.wroteAt.Store(now)
	c.readAt.Store(now)
	c.frames = protocol.NewFrameReader(idleReader{c, protocol.NewReceiver(socket)}, s.limits.requestMaxBytes)
	if s.memory != nil {
		c.frames.Admit(c.admit)
		c.answers.leave = c.deaf
		c.sender.Stalled(c.stalled)
	}
	c.client = api.Call{Listener: s.listener, Principal: "User:ANONYMOUS", ConnectionID: id, Client: remoteAddr(socket), Gone: c.ctx.Done()}
	if s.memory != nil {
		c.client.Room = s.memory.answers.room
	}
	return c
}

func (c *conn) settleAndFlush() {
	c.settle()
	_ = c.flush() // the next write finds out when that fails
}

// settle waits until no reply is with the writer.
func (c *conn) settle() {
	for c.pending.Load() > 0 {
		<-c.settled
	}
}

// weigh looks at what a request will cost before it is decoded, and says whether it must be answered alone. What it counted
// is the number of elements. What must be answered before is answered when it returns.
func (c *conn) weigh(route *api.Route, version int16, body []byte) (elements int, alone bool, err error) {
	from := countFrom
	if c.server.memory != nil {
		from = countFromBounded
	}
	elements, err = route.Weigh(version, body, from)
	if err != nil {
		return 0, false, err
	}
	alone = elements > aloneElements || !route.InPlace && len(body) > aloneBytes || route.Alone(version)
	more := route.Cost(elements)
	takes := c.server.memory != nil && more > max(int64(len(body)), takeFrom)
	if takes || alone || c.answers.owes.Load() > owesMax {
		backlogs.leave(&c.shift)
		c.settleAndFlush()
	}
	if takes {
		if err := c.server.memory.take(c.ctx, &c.taken, more); err != nil {
			return 0, false, err
		}
	}
	return elements, alone, nil
}

// serve runs the connection to its end.
func (c *conn) serve() {
	ctx, cancel := c.ctx, c.cancel
	stop := context.AfterFunc(ctx, func() { c.socket.Close() })
	if c.server.removal != nil {
		defer context.AfterFunc(c.server.removal, c.retire)()
	}
	var writer sync.WaitGroup
	for {
		frame, err := c.frames.Next()
		if err != nil {
			c.giveBack()
			c.logEnd(err)
			if !errors.Is(err, protocol.ErrFrameSize) && !c.retired.Load() || c.flush() != nil {
				cancel()
			}
			break
		}
		reply, waits, alone, ok := c.handle(frame)
		if !ok {
			if c.flush() != nil {
				cancel() // nobody will hear what is still waited for
			}
			break
		}
		if waits {
			backlogs.leave(&c.shift)
			if c.owed == nil {
				c.owed, c.settled = make(chan owedReply, owedMax), make(chan struct{}, 1)
				writer.Go(func() { c.write(ctx, cancel) })
			}
			c.owed <- reply // the writer takes it even when all is over: a reply may have something to finish
			if alone {
				c.settle()
			}
		}
		mine := c.pending.Load() == 0 // out, see mu
		if !c.frames.Ready() || mine && c.out.Size() >= flushAt {
			backlogs.leave(&c.shift) // the client may keep it waiting
			if mine && c.flush() != nil {
				cancel()
				break
			}
		}
		c.yield()
	}
	backlogs.leave(&c.shift)
	if c.owed != nil {
		close(c.owed)
	}
	writer.Wait()
	cancel()
	stop()
	c.socket.Close()
	c.mu.Lock()
	c.out.Reset()
	c.mu.Unlock()
	if c.server.memory != nil {
		c.server.memory.answers.forget(&c.answers)
	}
}

// yield lets others run once this connection has worked for long without waiting for its client.
func (c *conn) yield() {
	if c.frames.Waited() {
		c.runs = time.Time{}
		return
	}
	now := time.Now()
	if c.runs.IsZero() {
		c.runs = now
	} else if now.Sub(c.runs) > runFor {
		backlogs.take(&c.shift, c.ctx.Done())
		c.runs = time.Now()
	}
}

// retire has the connection end once it has written the answers that it owes.
func (c *conn) retire() {
	c.retired.Store(true)
	if tcp, ok := c.socket.(*net.TCPConn); ok {
		_ = tcp.CloseRead()
	}
}

// handle answers one request: at once where it can, else with a reply that waits for the writer; alone says that it must be
// written before anything else is read. ok is false when the connection must end.
func (c *conn) handle(frame []byte) (owed owedReply, waits, alone, ok bool) {
	defer c.giveBack()
	key, version, err := protocol.Peek(frame)
	if err != nil {
		return owed, false, false, c.refuse(frame, err)
	}
	route := c.server.routes.Get(key, version)
	if route == nil && key != protocol.KeyApiVersions {
		return owed, false, false, c.refuse(frame, errUnknownAPI)
	}
	// A version of ApiVersions that is not known yet has the header of the highest one that is.
	flexible := route != nil && route.Flexible(version) || route == nil && version > 0
	h, body, err := protocol.ParseHeader(frame, flexible, c.client.ClientID)
	if err != nil {
		return owed, false, false, c.refuse(frame, err)
	}
	c.client.Key, c.client.Version, c.client.CorrelationID, c.client.ClientID = h.Key, h.Version, h.CorrelationID, h.ClientID
	owed = owedReply{key: key, correlationID: h.CorrelationID, flexible: flexible}
	call := &c.client
	elements := 0
	switch {
	case route == nil:
		owed.reply = api.Done(api.UnknownApiVersions(c.server.routes))
	default:
		if elements, alone, err = c.weigh(route, version, body); err != nil {
			return owed, false, false, c.refuse(frame, err)
		}
		if !route.InPlace {
			copied := c.client
			call, body = &copied, bytes.Clone(body)
			owed.holds = int64(len(body))
		}
		if owed.reply, err = route.Serve(call, body); err != nil {
			return owed, false, false, c.refuse(frame, err)
		}
		c.giveBack() // as Kafka does: a client that does not read its answers must not hold what others need
	}
	if owed.reply.Closes() {
		return owed, false, false, false
	}
	resp, ready := owed.reply.Ready()
	if ready && resp == nil {
		return owed, false, false, true
	}
	if ready && c.pending.Load() == 0 {
		return owedReply{}, false, false, c.respond(owed, resp) == nil
	}
	// What is gathered goes out before the writer's turn, who finds out by itself when that fails.
	if c.pending.Load() == 0 {
		_ = c.flush()
	}
	if route != nil {
		owed.holds += int64(route.Elements(elements, body) * owedElement)
	}
	owed.holds += int64(owed.reply.Holds())
	if ready && route != nil && !route.InPlace {
		// As bytes it is smaller, and its size is known.
		if body, ok := encode(resp); ok {
			owed.reply = api.Done(body)
			owed.holds += int64(len(body))
		} else if large, ok := resp.(interface{ Holds() int }); ok {
			owed.holds += int64(large.Holds())
		}
	}
	c.pending.Add(1)
	c.owe(owed.holds)
	return owed, true, alone, true
}

// renew moves a deadline to the full idle time from now, unless less than a quarter of that has passed since the last
// time: a deadline costs more than a look at the clock. It gives the time.
func (c *conn) renew(by *int64, set func(time.Time) error) int64 {
	idle := c.server.limits.idle
	if idle <= 0 {
		return 0
	}
	now := c.server.clock.Now()
	if *by-now.UnixNano() < int64(idle)*3/4 {
		at := now.Add(idle)
		*by = at.UnixNano()
		_ = set(at)
	}
	return now.UnixNano()
}

// lastUsed is when something last moved here (Unix nanoseconds).
func (c *conn) lastUsed() int64 { return max(c.readAt.Load(), c.wroteAt.Load()) }

var errUnknownAPI = errors.New("unknown API key or version")

// refuse logs what cannot be served; the connection ends, as Kafka does it.
func (c *conn) refuse(frame []byte, why error) bool {
	if errors.Is(why, context.Canceled) {
		return false // the connection ends already
	}
	head := frame[:min(len(frame), 8)]
	level := zap.InfoLevel
	if errors.Is(why, api.ErrPanic) {
		level = zap.ErrorLevel
	}
	c.server.log.Log(level, "request refused, the connection is closed", zap.Stringer("client", c.client.Client),
		zap.Error(why), zap.Binary("header", head))
	return false
}

func (c *conn) logEnd(err error) {
	switch {
	case errors.Is(err, protocol.ErrFrameSize):
		fields := []zap.Field{zap.String("listener", c.server.listener), zap.Stringer("client", c.client.Client), zap.Error(err)}
		var size *protocol.FrameSizeError
		if errors.As(err, &size) {
			if other := lookLike(size.Head); other != "" {
				fields = append(fields, zap.String("looks like", other))
			}
		}
		c.server.log.Warn("not a Kafka request, the connection is closed", fields...)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.server.log.Debug("idle connection closed", zap.Stringer("client", c.client.Client))
	case err == io.EOF, errors.Is(err, net.ErrClosed):
	default:
		c.server.log.Debug("connection ended", zap.Stringer("client", c.client.Client), zap.Error(err))
	}
}

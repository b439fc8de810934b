package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"barnabas/broker/api"
	"barnabas/storage/clock"
)

// limits are the settings that hold for every connection.
type limits struct {
	requestMaxBytes int           // socket.request.max.bytes
	idle            time.Duration // connections.max.idle.ms, 0 for none
	// sendBuffer and receiveBuffer are socket.send.buffer.bytes and its twin, 0 to leave them to the system: a whole fetch
	// then lies in the socket at once, and one task switch serves where 100 KB would need a dozen.
	sendBuffer, receiveBuffer int
}

// size gives a connection's buffers the sizes that are set. What the system refuses stays as it is.
func (l limits) size(c *net.TCPConn) {
	if l.sendBuffer > 0 {
		_ = c.SetWriteBuffer(l.sendBuffer)
	}
	if l.receiveBuffer > 0 {
		_ = c.SetReadBuffer(l.receiveBuffer)
	}
}

// server accepts connections on one listener and runs them.
type server struct {
	listener string // its name, as PLAINTEXT
	routes   *api.Routes
	limits   limits
	crowd    *crowd
	clock    clock.Clock
	log      *zap.Logger

	socket net.Listener
	conns  sync.WaitGroup
}

var connectionIDs atomic.Uint64

// listen binds an address. An empty host is every interface, IPv4 and IPv6.
func listen(host string, port int) (net.Listener, error) {
	socket, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return socket, nil
}

// run accepts until the context ends, then waits for the connections to end.
func (s *server) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { s.socket.Close() })
	defer stop()
	for ctx.Err() == nil {
		socket, err := s.socket.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				break
			}
			// Out of descriptors, most likely: connections that end will free some.
			s.log.Warn("cannot accept a connection", zap.Error(err))
			select {
			case <-s.clock.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		s.accept(ctx, socket)
	}
	s.conns.Wait()
}

func (s *server) accept(ctx context.Context, socket net.Conn) {
	from := remoteAddr(socket)
	if !s.crowd.enter(ctx, from) {
		s.log.Info("connection refused: too many from this address (max.connections.per.ip)", zap.Stringer("client", from))
		socket.Close()
		return
	}
	if tcp, ok := socket.(*net.TCPConn); ok {
		s.limits.size(tcp)
	}
	c := newConn(s, socket, connectionIDs.Add(1))
	s.conns.Go(func() {
		defer s.crowd.leave(from)
		c.serve(ctx)
	})
}

func remoteAddr(socket net.Conn) netip.Addr {
	if a, err := netip.ParseAddrPort(socket.RemoteAddr().String()); err == nil {
		return a.Addr().Unmap()
	}
	return netip.IPv4Unspecified()
}

// crowd counts the connections of a broker, over all listeners.
type crowd struct {
	mu    sync.Mutex // guards all below
	now   int
	max   int
	perIP map[netip.Addr]int
	// maxPerIP and its exceptions are max.connections.per.ip and .overrides.
	maxPerIP  int
	overrides map[netip.Addr]int
	left      chan struct{} // closed and replaced when a connection leaves
}

func newCrowd(maxAll, maxPerIP int, overrides map[netip.Addr]int) *crowd {
	return &crowd{max: maxAll, maxPerIP: maxPerIP, overrides: overrides, perIP: map[netip.Addr]int{}, left: make(chan struct{})}
}

// set changes the limits; connections that are there stay.
func (c *crowd) set(maxAll, maxPerIP int, overrides map[netip.Addr]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.max, c.maxPerIP, c.overrides = maxAll, maxPerIP, overrides
	c.wakeLocked()
}

// enter counts a connection in. It is false when its address has too many; when the broker has too many it waits for
// one to leave, as Kafka's acceptor does.
func (c *crowd) enter(ctx context.Context, from netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit, special := c.overrides[from]
	if !special {
		limit = c.maxPerIP
	}
	if c.perIP[from] >= limit {
		return false
	}
	for c.now >= c.max {
		left := c.left
		c.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done():
		}
		c.mu.Lock()
		if ctx.Err() != nil {
			return false
		}
	}
	c.now++
	c.perIP[from]++
	return true
}

func (c *crowd) leave(from netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
	if c.perIP[from]--; c.perIP[from] <= 0 {
		delete(c.perIP, from)
	}
	c.wakeLocked()
}

func (c *crowd) wakeLocked() {
	if c.now < c.max {
		close(c.left)
		c.left = make(chan struct{})
	}
}

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
	"golang.org/x/sys/unix"

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
	memory   *requestMemory // of all listeners; nil for no bound
	clock    clock.Clock
	log      *zap.Logger

	socket net.Listener
	conns  sync.WaitGroup
}

var connectionIDs atomic.Uint64

// listen binds an address. An empty host is every interface, IPv4 and IPv6. backlog is how many connections may wait to be
// accepted, 0 for as many as the system allows, which is the most in any case.
func listen(host string, port, backlog int) (net.Listener, error) {
	socket, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if backlog > 0 {
		if err := setBacklog(socket.(*net.TCPListener), backlog); err != nil {
			socket.Close()
			return nil, fmt.Errorf("listen: backlog of %d: %w", backlog, err)
		}
	}
	return socket, nil
}

// setBacklog listens anew on a socket that listens already, which changes nothing but its backlog: net has no other way.
func setBacklog(socket *net.TCPListener, backlog int) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), backlog) }); err != nil {
		return err
	}
	return failed
}

// run accepts until the context ends, then waits for the connections to end.
func (s *server) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { s.socket.Close() })
	defer stop()
	var failures acceptFailures // out of descriptors, most likely
	for ctx.Err() == nil {
		socket, err := s.socket.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				break
			}
			failures.failed(s.log, s.listener, s.clock.Now(), err)
			select {
			case <-s.clock.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		failures.over(s.log, s.listener, s.clock.Now())
		s.accept(ctx, socket)
	}
	s.conns.Wait()
}

// accept runs a connection once it may come in; until then no other of the listener is accepted.
func (s *server) accept(ctx context.Context, socket net.Conn) {
	c := newConn(ctx, s, socket, connectionIDs.Add(1))
	g := &guest{listener: s.listener, from: c.client.Client, lastUsed: c.lastUsed, leave: func() {
		s.log.Info("connection closed: too many (max.connections)", zap.String("listener", s.listener), zap.Stringer("client", c.client.Client))
		c.cancel()
	}}
	if err := s.crowd.enter(ctx, g); err != nil {
		if ctx.Err() == nil {
			s.log.Info("connection refused", zap.Stringer("client", g.from), zap.Error(err))
		}
		c.cancel()
		socket.Close()
		return
	}
	if tcp, ok := socket.(*net.TCPConn); ok {
		s.limits.size(tcp)
	}
	s.conns.Go(func() {
		defer s.crowd.exit(g)
		c.serve()
	})
}

func remoteAddr(socket net.Conn) netip.Addr {
	if a, err := netip.ParseAddrPort(socket.RemoteAddr().String()); err == nil {
		return a.Addr().Unmap()
	}
	return netip.IPv4Unspecified()
}

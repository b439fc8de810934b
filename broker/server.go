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
	"barnabas/broker/config"
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
	listener string          // its name, as PLAINTEXT
	at       config.Listener // what the settings say of it; guarded by listeners.mu
	routes   *api.Routes
	limits   limits
	crowd    *crowd
	memory   *requestMemory // of all listeners; nil for no bound
	clock    clock.Clock
	log      *zap.Logger

	conns sync.WaitGroup
	// removal ends when the listener is taken away while the broker goes on; nil for one that never is.
	removal context.Context
	remove  context.CancelFunc

	mu     sync.Mutex // guards what follows
	socket net.Listener
	moving chan struct{} // closed by rebind; nil while the socket is bound
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

// run accepts until the context ends or the listener is removed, then waits for the connections to end.
func (s *server) run(ctx context.Context) {
	accepting, stop := context.WithCancel(ctx)
	defer stop()
	if s.removal != nil {
		defer context.AfterFunc(s.removal, stop)()
	}
	defer context.AfterFunc(accepting, s.close)()
	serving, end := context.WithCancel(ctx)
	defer end()
	var failures acceptFailures // out of descriptors, most likely
	for accepting.Err() == nil {
		listening, moving := s.listening()
		if moving != nil {
			select {
			case <-moving:
			case <-accepting.Done():
			}
			continue
		}
		socket, err := listening.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				if now, moving := s.listening(); moving == nil && now == listening {
					break
				}
				continue
			}
			failures.failed(s.log, s.listener, s.clock.Now(), err)
			select {
			case <-s.clock.After(acceptPause):
			case <-accepting.Done():
			}
			continue
		}
		failures.over(s.log, s.listener, s.clock.Now())
		s.accept(accepting, serving, socket)
	}
	gone := make(chan struct{})
	go func() {
		s.conns.Wait()
		close(gone)
	}()
	if ctx.Err() == nil {
		select {
		case <-gone:
		case <-s.clock.After(removalGrace):
		case <-ctx.Done():
		}
		end()
	}
	<-gone
}

// listening is the socket, or what to wait for where the listener is between two.
func (s *server) listening() (socket net.Listener, moving <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.socket, s.moving
}

// port is the port that is bound, or was last.
func (s *server) port() int {
	socket, _ := s.listening()
	return socket.Addr().(*net.TCPAddr).Port
}

// close lets go of the socket.
func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket.Close()
}

// unbind lets go of the socket until rebind gives another.
func (s *server) unbind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moving = make(chan struct{})
	s.socket.Close()
}

func (s *server) rebind(socket net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket = socket
	close(s.moving)
	s.moving = nil
}

// accept runs a connection once it may come in, for which it waits as long as the first context goes on; until then no other
// of the listener is accepted. The second is that of the connection.
func (s *server) accept(waiting, ctx context.Context, socket net.Conn) {
	c := newConn(ctx, s, socket, connectionIDs.Add(1))
	g := &guest{listener: s.listener, from: c.client.Client, lastUsed: c.lastUsed, leave: func() {
		s.log.Info("connection closed: too many (max.connections)", zap.String("listener", s.listener), zap.Stringer("client", c.client.Client))
		c.cancel()
	}}
	if err := s.crowd.enter(waiting, g); err != nil {
		if waiting.Err() == nil {
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

package zk

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
)

// session is one session with ZooKeeper and the client that keeps it. It ends once, by expiry or by Close.
type session struct {
	log    *zap.Logger
	chroot string
	conn   *zk.Conn

	ready   chan struct{} // closed when conn is set: the client calls back earlier
	dialing context.Context
	stop    context.CancelFunc // ends dialing

	mu       sync.Mutex // guards what follows
	id       int64      // 0 until the first connection
	up       chan struct{}
	down     chan struct{} // closed when the connection breaks
	isUp     bool          // up is closed: operations may be sent
	breaks   int           // how often a connection has broken
	ended    chan struct{}
	reason   error // why it has ended
	watches  watches
	raw      net.Conn // the connection, to cut it
	lastDial error    // why the last attempt to connect failed
}

// begin starts a session's client. It is not connected yet.
func (s *Store) begin() (*session, error) {
	ses := &session{
		log: s.log, chroot: s.chroot, ready: make(chan struct{}), up: make(chan struct{}), down: make(chan struct{}),
		ended: make(chan struct{}), watches: watches{},
	}
	ses.dialing, ses.stop = context.WithCancel(context.Background())
	perServer := max(time.Second, s.sessionTimeout/time.Duration(len(s.servers)))
	// A server that starts takes connections before it serves, and may forget one; its clock of our session runs, though,
	// and there must be time left for another attempt.
	greeting := max(time.Second, min(perServer, s.sessionTimeout/3))
	dial := func(network, address string, _ time.Duration) (net.Conn, error) {
		c, err := ses.dial(network, address, perServer)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c, greeting: greeting, patience: s.sessionTimeout}, nil
	}
	conn, events, err := zk.Connect(s.servers, s.sessionTimeout,
		zk.WithDialer(dial), zk.WithHostProvider(&hosts{}), zk.WithEventCallback(ses.event),
		zk.WithLogger(libraryLog{s.log}), zk.WithLogInfo(false),
		zk.WithMaxBufferSize(maxPacket), zk.WithMaxConnBufferSize(maxPacket))
	if err != nil {
		return nil, fmt.Errorf("zookeeper.connect=%s: %w", s.connect, err)
	}
	ses.conn = conn
	close(ses.ready)
	s.clients.Go(func() {
		for range events { // they came by the callback; the channel tells when the client has stopped
		}
	})
	return ses, nil
}

func (s *session) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	c, err := d.DialContext(s.dialing, network, address)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastDial = err
	if err != nil {
		return nil, err
	}
	if s.reason != nil {
		c.Close()
		return nil, s.reason
	}
	s.raw = c
	return c, nil
}

// event is the library's callback. It must not block: it runs in the goroutine that reads the connection.
func (s *session) event(e zk.Event) {
	<-s.ready
	if e.Type == zk.EventSession {
		switch e.State {
		case zk.StateHasSession:
			s.connected(e.Server)
		case zk.StateDisconnected:
			s.disconnected(e.Server)
		case zk.StateExpired:
			s.log.Warn("ZooKeeper session expired", zap.String("session", hex(s.ID())))
			s.end(store.ErrSession)
			go s.stopClient()
		}
		return
	}
	path := s.relative(e.Path)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Type {
	case zk.EventNodeCreated, zk.EventNodeDataChanged:
		s.watches.fire(change{path: path}, nil)
	case zk.EventNodeDeleted:
		s.watches.fire(change{path: path}, nil)
		s.watches.fire(change{path: path, children: true}, nil)
	case zk.EventNodeChildrenChanged:
		s.watches.fire(change{path: path, children: true}, nil)
	}
}

func (s *session) connected(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != nil || s.isUp {
		return
	}
	if s.id == 0 {
		s.id = s.conn.SessionID()
	}
	s.isUp, s.down = true, make(chan struct{})
	close(s.up)
	s.log.Info("connected to ZooKeeper", zap.String("server", server), zap.String("session", hex(s.id)))
}

func (s *session) disconnected(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isUp {
		return
	}
	s.isUp, s.up = false, make(chan struct{})
	s.breaks++
	close(s.down)
	if s.reason == nil {
		s.log.Warn("connection to ZooKeeper lost", zap.String("server", server), zap.String("session", hex(s.id)))
	}
}

// end ends the session for us: what waits is told, nothing is sent any more, no connection is made. It does not tell the
// server.
func (s *session) end(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != nil {
		return
	}
	s.reason = reason
	s.stop()
	close(s.ended)
	s.watches.end(reason)
}

// stopClient tells the server that the session ends, if it can be reached within a second, and lets the client stop.
func (s *session) stopClient() {
	s.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw != nil {
		s.raw.Close() // the client might wait for bytes that do not come
	}
}

// wait waits until operations may be sent. The number is that of the connection, for waitBroken.
func (s *session) wait(ctx context.Context) (connection int, err error) {
	for {
		s.mu.Lock()
		up, isUp, breaks, reason := s.up, s.isUp, s.breaks, s.reason
		s.mu.Unlock()
		switch {
		case reason != nil:
			return 0, reason
		case isUp:
			return breaks, nil
		}
		select {
		case <-up:
		case <-s.ended:
		case <-ctx.Done():
			return 0, s.unavailable(ctx)
		}
	}
}

// waitBroken waits until the connection that an operation has failed on is known to be broken. The library fails
// operations a little before it says so.
func (s *session) waitBroken(ctx context.Context, connection int) error {
	for {
		s.mu.Lock()
		down, over := s.down, s.breaks > connection || s.reason != nil
		s.mu.Unlock()
		if over {
			return nil
		}
		select {
		case <-down:
		case <-s.ended:
		case <-ctx.Done():
			return s.unavailable(ctx)
		}
	}
}

// unavailable is the error of an operation whose context has ended before a server answered.
func (s *session) unavailable(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastDial != nil {
		return fmt.Errorf("%w: %w: %w", store.ErrUnavailable, ctx.Err(), s.lastDial)
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
}

// ID is the session's id; 0 before the first connection.
func (s *session) ID() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// leave leaves a watch; an ended session has none.
func (s *session) leave(on change) (*watch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != nil {
		return nil, s.reason
	}
	return s.watches.leave(on), nil
}

func (s *session) forget(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches.forget(w)
}

// absolute is where a path of ours lies at the server; relative is the way back.
func (s *session) absolute(path string) string {
	if s.chroot != "" && path == "/" {
		return s.chroot
	}
	return s.chroot + path
}

func (s *session) relative(path string) string {
	if path = strings.TrimPrefix(path, s.chroot); path == "" {
		return "/"
	}
	return path
}

func hex(id int64) string { return fmt.Sprintf("0x%x", uint64(id)) }

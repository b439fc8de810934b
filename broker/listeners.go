package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"barnabas/broker/api"
	"barnabas/broker/config"
)

// listeners are what this broker listens on. They follow the setting of that name while the broker runs: one that is added is
// bound and served, one that is removed lets its connections go, one whose address changes is bound anew and keeps them.
type listeners struct {
	// make gives a server for a listener whose socket is bound.
	make func(l config.Listener, socket net.Listener) *server
	// backlog is socket.listen.backlog.size, 0 to leave it to the system.
	backlog int
	crowd   *crowd
	log     *zap.Logger

	mu      sync.Mutex      // guards all below; before crowd.mu and server.mu
	servers []*server       // in the order of the setting
	routes  *api.Routes     // nil until the table of APIs is made
	serving context.Context // nil until requests are served
	running sync.WaitGroup  // a server each
}

// all are the listeners of this moment, in the order of the setting.
func (l *listeners) all() []*server {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.servers)
}

// port is the port that a listener is bound to, 0 when it is not.
func (l *listeners) port(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.find(name); s != nil {
		return s.port()
	}
	return 0
}

func (l *listeners) find(name string) *server {
	if i := slices.IndexFunc(l.servers, func(s *server) bool { return s.listener == name }); i >= 0 {
		return l.servers[i]
	}
	return nil
}

// bind binds one address. The text is Kafka's.
func (l *listeners) bind(want config.Listener) (net.Listener, error) {
	socket, err := listen(want.Host, want.Port, l.backlog)
	if err != nil {
		why := err
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			why = op.Err
		}
		if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
			why = errors.New(dns.Err) // who was asked is nothing for clients
		}
		return nil, fmt.Errorf("listener %s: Socket server failed to bind to %s:%d: %w", want, want.Host, want.Port, why)
	}
	return socket, nil
}

// stays says whether a server listens already where a listener is to be.
func stays(s *server, want config.Listener) bool {
	return s.at.Host == want.Host && (s.at.Port == want.Port || want.Port == s.port())
}

// check tries whether what is new in a list of listeners can be bound. Apache Kafka takes the setting and finds out later.
func (l *listeners) check(want []config.Listener) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range want {
		if s := l.find(w.Name); s != nil && stays(s, w) {
			continue
		}
		if slices.ContainsFunc(l.servers, func(s *server) bool { return s.port() == w.Port }) {
			continue // ours, of one that moves or goes; that two want one port was looked at
		}
		socket, err := l.bind(w)
		if err != nil {
			return err
		}
		socket.Close()
	}
	return nil
}

// set makes the listeners those of the list. What cannot be bound is told in the error, and tried again at the next call.
func (l *listeners) set(want []config.Listener) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.serving != nil && l.serving.Err() != nil {
		return nil // the broker stops
	}
	there := map[string]*server{}
	var moved []*server
	for _, s := range l.servers {
		i := slices.IndexFunc(want, func(w config.Listener) bool { return w.Name == s.listener })
		if i < 0 {
			l.log.Info("listener removed", zap.Stringer("listener", s.at))
			s.remove()
			s.close() // now: another may want the port
			l.crowd.closeHall(s.listener)
			continue
		}
		there[s.listener] = s
		if !stays(s, want[i]) {
			moved = append(moved, s)
		}
	}
	// All that move let go of their ports before the first takes another: they may trade places.
	for _, s := range moved {
		s.unbind()
	}
	var errs []error
	servers := make([]*server, 0, len(want))
	for _, w := range want {
		s := there[w.Name]
		var err error
		switch {
		case s == nil:
			s, err = l.open(w)
		case slices.Contains(moved, s):
			if err = l.move(s, w); err != nil {
				l.crowd.closeHall(s.listener)
				s.remove()
				s = nil
			}
		default:
			s.at = w
		}
		if err != nil {
			errs = append(errs, err)
		}
		if s != nil {
			servers = append(servers, s)
		}
	}
	l.servers = servers
	return errors.Join(errs...)
}

// open binds a listener and serves it if others are served.
func (l *listeners) open(w config.Listener) (*server, error) {
	if w.Protocol != config.Plaintext {
		return nil, fmt.Errorf("listener %s: security protocol %s is not served, only %s is", w, w.Protocol, config.Plaintext)
	}
	socket, err := l.bind(w)
	if err != nil {
		return nil, err
	}
	s := l.make(w, socket)
	s.routes = l.routes
	l.crowd.openHall(s.listener)
	if l.serving != nil {
		l.log.Info("listener added", zap.Stringer("listener", w), zap.Stringer("address", socket.Addr()))
		l.run(s)
	}
	return s, nil
}

func (l *listeners) run(s *server) {
	ctx := l.serving
	l.running.Go(func() { s.run(ctx) })
}

// move binds a server that has let go of its socket elsewhere. The connections that it has stay.
func (l *listeners) move(s *server, w config.Listener) error {
	socket, err := l.bind(w)
	if err != nil {
		return err
	}
	l.log.Info("listener moved", zap.Stringer("from", s.at), zap.Stringer("to", w), zap.Stringer("address", socket.Addr()))
	s.at = w
	s.rebind(socket)
	return nil
}

// serve gives all listeners, those to come too, the table of APIs.
func (l *listeners) serve(routes *api.Routes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.routes = routes
	for _, s := range l.servers {
		s.routes = routes
	}
}

// start has all listeners accept connections until the context ends.
func (l *listeners) start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serving = ctx
	for _, s := range l.servers {
		l.run(s)
	}
}

// close waits for the listeners to end, whose context has, and lets go of the sockets of those that never ran.
func (l *listeners) close() {
	l.mu.Lock()
	if l.serving == nil {
		l.serving = ended()
	}
	l.mu.Unlock()
	l.running.Wait()
	for _, s := range l.all() {
		s.close()
	}
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// removalGrace is how long connections of a listener that is removed may take to write the answers that they owe, above all
// that to the request that has removed it.
const removalGrace = time.Second

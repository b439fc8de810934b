package zk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
)

// maxPacket is the largest packet that goes either way: a node's content and what comes with it. It is Kafka's
// jute.maxbuffer of 4 MiB and some room; servers have limits of their own.
const maxPacket = store.MaxData + 64<<10

// Store is a session with ZooKeeper, and, after that has expired and Session has been called, the next one.
type Store struct {
	connect        string // zookeeper.connect, for messages
	servers        []string
	chroot         string
	sessionTimeout time.Duration
	log            *zap.Logger
	slots          chan struct{} // one for each operation under way

	clients sync.WaitGroup // those of the library that run

	mu     sync.Mutex // guards what follows
	cur    *session
	closed bool
}

var _ store.Store = (*Store)(nil)

// Connect begins a session and waits for it, for at most ConnectTimeout. It makes the chroot if it is missing.
func Connect(ctx context.Context, o Options) (*Store, error) {
	servers, chroot, err := ParseServers(o.Servers)
	if err != nil {
		return nil, err
	}
	if o.SessionTimeout <= 0 {
		o.SessionTimeout = defaultSessionTimeout
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = o.SessionTimeout
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = defaultMaxInFlight
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	s := &Store{
		connect: o.Servers, servers: servers, chroot: chroot, sessionTimeout: o.SessionTimeout,
		log: o.Logger, slots: make(chan struct{}, o.MaxInFlight),
	}
	if s.cur, err = s.begin(); err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
	defer cancel()
	if _, err = s.cur.wait(wait); err == nil {
		err = s.makeChroot(wait)
	}
	if err != nil {
		s.Close()
		if ctx.Err() == nil && wait.Err() != nil {
			return nil, fmt.Errorf("zookeeper.connect=%s: no ZooKeeper answered within %v (zookeeper.connection.timeout.ms): %w",
				o.Servers, o.ConnectTimeout, err)
		}
		return nil, fmt.Errorf("zookeeper.connect=%s: %w", o.Servers, err)
	}
	return s, nil
}

// makeChroot makes the nodes of the chroot, which lie outside of what Create can name.
func (s *Store) makeChroot(ctx context.Context) error {
	for i := 1; i <= len(s.chroot); i++ {
		if i < len(s.chroot) && s.chroot[i] != '/' {
			continue
		}
		path := s.chroot[:i]
		_, _, err := request(ctx, s, s.cur, again, func(c *zk.Conn) (string, error) {
			return c.Create(path, nil, 0, zk.WorldACL(zk.PermAll))
		})
		if err != nil && !errors.Is(err, store.ErrNodeExists) {
			return fmt.Errorf("chroot %s: %w", path, err)
		}
	}
	return nil
}

// session is the one that operations run in now.
func (s *Store) session() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	return s.cur, nil
}

func (s *Store) Session(ctx context.Context) (int64, <-chan struct{}, error) {
	for {
		ses, err := s.living()
		if err != nil {
			return 0, nil, err
		}
		_, err = ses.wait(ctx)
		if err == nil {
			return ses.ID(), ses.ended, nil
		}
		if ctx.Err() != nil {
			return 0, nil, fmt.Errorf("zookeeper.connect=%s: %w", s.connect, err)
		}
		// It has ended while we waited: the next one, or none if by Close.
	}
}

// living is the current session, or the next if that has ended.
func (s *Store) living() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	select {
	case <-s.cur.ended:
		next, err := s.begin()
		if err != nil {
			return nil, err
		}
		s.cur = next
	default:
	}
	return s.cur, nil
}

// Close ends the session. If the server cannot be reached within a second, the ephemeral nodes stay until it has missed
// the session for long enough.
func (s *Store) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	ses := s.cur
	s.mu.Unlock()
	if !was {
		ses.end(store.ErrClosed)
		ses.stopClient()
	}
	s.clients.Wait()
	return nil
}

func (s *Store) Get(ctx context.Context, path string) ([]byte, store.Stat, error) {
	n, err := read(ctx, s, path, nil, get)
	return n.data, n.stat, err
}

func (s *Store) Children(ctx context.Context, path string) ([]string, store.Stat, error) {
	n, err := read(ctx, s, path, nil, children)
	return n.names, n.stat, err
}

func (s *Store) Exists(ctx context.Context, path string) (store.Stat, bool, error) {
	n, err := read(ctx, s, path, nil, exists)
	return n.stat, n.there, err
}

func (s *Store) GetW(ctx context.Context, path string) ([]byte, store.Stat, <-chan store.Event, error) {
	n, err := read(ctx, s, path, &change{path: path}, getW)
	return n.data, n.stat, n.watch, err
}

func (s *Store) ChildrenW(ctx context.Context, path string) ([]string, store.Stat, <-chan store.Event, error) {
	n, err := read(ctx, s, path, &change{path: path, children: true}, childrenW)
	return n.names, n.stat, n.watch, err
}

func (s *Store) ExistsW(ctx context.Context, path string) (store.Stat, bool, <-chan store.Event, error) {
	n, err := read(ctx, s, path, &change{path: path}, existsW)
	return n.stat, n.there, n.watch, err
}

// node is what a read finds.
type node struct {
	data  []byte
	names []string
	stat  store.Stat
	there bool
	watch <-chan store.Event
}

// The reads of the library. Its own watch channels are not used: see watch.go.

func get(c *zk.Conn, path string) (node, error) {
	data, st, err := c.Get(path)
	return node{data: data, stat: statOf(st)}, err
}

func getW(c *zk.Conn, path string) (node, error) {
	data, st, _, err := c.GetW(path)
	return node{data: data, stat: statOf(st)}, err
}

func children(c *zk.Conn, path string) (node, error) {
	names, st, err := c.Children(path)
	slices.Sort(names)
	return node{names: names, stat: statOf(st)}, err
}

func childrenW(c *zk.Conn, path string) (node, error) {
	names, st, _, err := c.ChildrenW(path)
	slices.Sort(names)
	return node{names: names, stat: statOf(st)}, err
}

func exists(c *zk.Conn, path string) (node, error) {
	there, st, err := c.Exists(path)
	if !there {
		return node{}, err
	}
	return node{there: true, stat: statOf(st)}, err
}

func existsW(c *zk.Conn, path string) (node, error) {
	there, st, _, err := c.ExistsW(path)
	if !there {
		return node{}, err
	}
	return node{there: true, stat: statOf(st)}, err
}

func statOf(st *zk.Stat) store.Stat {
	if st == nil {
		return store.Stat{}
	}
	return store.Stat{
		Czxid: st.Czxid, Mzxid: st.Mzxid, Pzxid: st.Pzxid, Ctime: st.Ctime, Mtime: st.Mtime,
		Version: st.Version, Cversion: st.Cversion, Owner: st.EphemeralOwner, NumChildren: st.NumChildren,
	}
}

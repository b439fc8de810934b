package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"barnabas/coordinator/store"
)

// Store is a session with a DB, and, after that has expired and Session has been called, the next one.
type Store struct {
	db *DB

	mu     sync.Mutex // guards cur and closed
	cur    *session
	closed bool
}

var _ store.Store = (*Store)(nil)

// session is the one that operations run in now.
func (s *Store) session() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || s.db.isClosed():
		return nil, store.ErrClosed
	case !s.cur.alive():
		return nil, store.ErrSession
	}
	return s.cur, nil
}

func (db *DB) isClosed() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.closed
}

func (s *Store) Session(context.Context) (int64, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.db.isClosed() {
		return 0, nil, store.ErrClosed
	}
	if !s.cur.alive() {
		s.cur = s.db.newSession()
	}
	return s.cur.id, s.cur.ended, nil
}

// Expire ends the session as if the store had not heard of it for too long, for tests. Watches get ErrSession.
func (s *Store) Expire() {
	if ses, err := s.session(); err == nil {
		_ = s.db.end(ses, store.ErrSession) // fails only with the file, and then the nodes stay
	}
}

func (s *Store) Close() error {
	s.mu.Lock()
	ses := s.cur
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if was || !ses.alive() {
		return nil
	}
	return s.db.end(ses, store.ErrClosed)
}

func (s *Store) Get(_ context.Context, path string) ([]byte, store.Stat, error) {
	n, err := s.read(path, nil)
	if err != nil {
		return nil, store.Stat{}, err
	}
	return clone(n.data), n.stat(), nil
}

func (s *Store) GetW(_ context.Context, path string) ([]byte, store.Stat, <-chan store.Event, error) {
	w, err := s.leave(change{path: path})
	if err != nil {
		return nil, store.Stat{}, nil, err
	}
	n, err := s.read(path, nil)
	if err != nil {
		s.forget(w)
		return nil, store.Stat{}, nil, err
	}
	return clone(n.data), n.stat(), w.ch, nil
}

func (s *Store) Children(_ context.Context, path string) ([]string, store.Stat, error) {
	names := []string{}
	n, err := s.read(path, &names)
	if err != nil {
		return nil, store.Stat{}, err
	}
	return names, n.stat(), nil
}

func (s *Store) ChildrenW(_ context.Context, path string) ([]string, store.Stat, <-chan store.Event, error) {
	w, err := s.leave(change{path: path, children: true})
	if err != nil {
		return nil, store.Stat{}, nil, err
	}
	names := []string{}
	n, err := s.read(path, &names)
	if err != nil {
		s.forget(w)
		return nil, store.Stat{}, nil, err
	}
	return names, n.stat(), w.ch, nil
}

func (s *Store) Exists(_ context.Context, path string) (store.Stat, bool, error) {
	n, err := s.lookup(path, nil)
	if err != nil || n == nil {
		return store.Stat{}, false, err
	}
	return n.stat(), true, nil
}

func (s *Store) ExistsW(_ context.Context, path string) (store.Stat, bool, <-chan store.Event, error) {
	w, err := s.leave(change{path: path})
	if err != nil {
		return store.Stat{}, false, nil, err
	}
	n, err := s.lookup(path, nil)
	if err != nil {
		s.forget(w)
		return store.Stat{}, false, nil, err
	}
	if n == nil {
		return store.Stat{}, false, w.ch, nil
	}
	return n.stat(), true, w.ch, nil
}

// read is lookup of a node that must be there.
func (s *Store) read(path string, names *[]string) (*node, error) {
	n, err := s.lookup(path, names)
	if err == nil && n == nil {
		err = fmt.Errorf("%s: %w", path, store.ErrNoNode)
	}
	return n, err
}

// lookup finds a node, nil if there is none, and, when asked, the names of its children.
func (s *Store) lookup(path string, names *[]string) (n *node, err error) {
	if _, err := s.session(); err != nil {
		return nil, err
	}
	if err := checkPath(path); err != nil {
		return nil, fmt.Errorf("%.200q: %w", path, err)
	}
	err = s.db.back.read(func(v view) error {
		if n, err = v.node(path); err == nil && n != nil && names != nil {
			*names = append(*names, v.children(path)...)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, store.ErrUnavailable, err)
	}
	return n, nil
}

// leave puts a watch for this session.
func (s *Store) leave(on change) (*watch, error) {
	ses, err := s.session()
	if err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if !ses.alive() { // ended meanwhile; its watches have been set off
		return nil, store.ErrSession
	}
	return s.db.watches.leave(on, ses), nil
}

func (s *Store) forget(w *watch) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	s.db.watches.take(w)
}

func (s *Store) Create(ctx context.Context, path string, data []byte, mode store.Mode) (string, error) {
	return store.CreateBy(ctx, s, path, data, mode)
}

func (s *Store) Set(ctx context.Context, path string, data []byte, version int32) (store.Stat, error) {
	return store.SetBy(ctx, s, path, data, version)
}

func (s *Store) Delete(ctx context.Context, path string, version int32) error {
	return store.DeleteBy(ctx, s, path, version)
}

func (s *Store) Multi(ctx context.Context, ops ...store.Op) ([]store.Result, error) {
	ses, err := s.session()
	if err != nil {
		return nil, err
	}
	if err := checkOps(ops); err != nil {
		return nil, err
	}
	results, err := s.db.do(ctx, &write{session: ses, ops: ops})
	if errors.Is(err, store.ErrSession) {
		if _, now := s.session(); now != nil { // Close and not expiry may have ended it
			err = now
		}
	}
	return results, err
}

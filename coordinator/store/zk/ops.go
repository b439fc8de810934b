package zk

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-zookeeper/zk"

	"barnabas/coordinator/store"
)

// read does a read, with a watch that looks out for on unless that is nil.
func read(ctx context.Context, s *Store, path string, on *change, f func(*zk.Conn, string) (node, error)) (node, error) {
	if err := store.CheckPath(path); err != nil {
		return node{}, fmt.Errorf("%.200q: %w", path, err)
	}
	ses, err := s.session()
	if err != nil {
		return node{}, err
	}
	var w *watch
	if on != nil {
		if w, err = ses.leave(*on); err != nil {
			return node{}, err
		}
	}
	n, _, err := request(ctx, s, ses, again, func(c *zk.Conn) (node, error) { return f(c, ses.absolute(path)) })
	if err != nil {
		if w != nil {
			ses.forget(w)
		}
		return node{}, fmt.Errorf("%s: %w", path, err)
	}
	if w != nil {
		n.watch = w.ch
	}
	return n, nil
}

// repeat says whether a request may be sent again when the connection has broken under it.
type repeat bool

const (
	again repeat = true
	once  repeat = false
)

// request runs f when the session is connected and a slot is free, and again when the connection breaks. The second
// result says that it may have been done before: a connection broke while it was under way.
func request[T any](ctx context.Context, s *Store, ses *session, repeat repeat, f func(*zk.Conn) (T, error)) (T, bool, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	broken := false
	for {
		connection, err := ses.wait(ctx)
		if err != nil {
			return none, broken, err
		}
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return none, broken, ses.unavailable(ctx)
		}
		done := make(chan outcome, 1) // the library knows no contexts: whoever stops waiting leaves the answer here
		go func() {
			v, err := f(ses.conn)
			<-s.slots
			done <- outcome{v, err}
		}()
		var out outcome
		select {
		case out = <-done:
		case <-ctx.Done():
			return none, broken, ses.unavailable(ctx)
		}
		switch {
		case errors.Is(out.err, zk.ErrNoServer): // given up before it was sent
		case connectionBroke(out.err):
			broken = true
			if repeat == once {
				if err := ses.waitBroken(ctx, connection); err != nil {
					return none, broken, err
				}
				return none, broken, ses.interrupted()
			}
		default:
			return out.value, broken, storeError(out.err)
		}
		if err := ses.waitBroken(ctx, connection); err != nil {
			return none, broken, err
		}
	}
}

// interrupted is the error of a request that must not be repeated.
func (s *session) interrupted() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != nil {
		return s.reason
	}
	return fmt.Errorf("%w: the connection broke before the answer came", store.ErrUnavailable)
}

func connectionBroke(err error) bool {
	return errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrClosing) || errors.Is(err, zk.ErrSessionExpired) ||
		errors.Is(err, zk.ErrSessionMoved) || isNetwork(err)
}

// isNetwork tells a failed write to the socket, which the library hands on as it is.
func isNetwork(err error) bool {
	var e interface{ Timeout() bool }
	return errors.As(err, &e)
}

// storeError gives the library's errors the names of package store.
func storeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, zk.ErrNoNode):
		return store.ErrNoNode
	case errors.Is(err, zk.ErrNodeExists):
		return store.ErrNodeExists
	case errors.Is(err, zk.ErrBadVersion):
		return store.ErrBadVersion
	case errors.Is(err, zk.ErrNotEmpty):
		return store.ErrNotEmpty
	case errors.Is(err, zk.ErrNoChildrenForEphemerals):
		return store.ErrNoChildrenForEphemerals
	case errors.Is(err, zk.ErrInvalidPath), errors.Is(err, zk.ErrBadArguments):
		return store.ErrBadPath
	case errors.Is(err, zk.ErrShortBuffer):
		return store.ErrTooLarge
	}
	return err
}

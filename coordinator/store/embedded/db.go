package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"barnabas/coordinator/store"
	"barnabas/storage/clock"
)

// Options say how a tree is opened. The zero value is right for a broker.
type Options struct {
	// Clock stamps the nodes; nil is the machine's.
	Clock clock.Clock
	// Memory keeps the tree in memory, for tests: the path is not looked at, and nothing outlives Close.
	Memory bool
}

// DB is one tree. It is safe for concurrent use.
type DB struct {
	back    backend
	clock   clock.Clock
	opening int64 // how often the file has been opened; the upper half of session ids, so that none returns
	zxid    int64 // of the last write; the writing goroutine's

	writes chan *write
	quit   chan struct{} // closed by Close
	done   chan struct{} // closed when the writing goroutine has ended

	mu       sync.Mutex // guards what follows
	watches  watches
	sessions map[*session]struct{} // the live ones
	lastID   int64
	closed   bool
}

// session is one life of a Store. A session that has ended does not come back.
type session struct {
	id    int64
	ended chan struct{}
	// ephemerals are the paths of its ephemeral nodes. They belong to the writing goroutine.
	ephemerals map[string]struct{}
}

func (s *session) alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// write is a request to the writing goroutine: steps to do, or, with end set, the end of a session.
type write struct {
	session *session
	ops     []store.Op
	end     bool

	results []store.Result
	err     error
	done    chan struct{} // closed when results and err are there
}

// Open opens the tree in a file, which it makes if need be (not its folder), and removes the ephemeral nodes of dead
// processes. A file can be open once only: the error says so if another process has it.
func Open(path string, o Options) (*DB, error) {
	if o.Clock == nil {
		o.Clock = clock.Real
	}
	db := &DB{
		clock: o.Clock, writes: make(chan *write), quit: make(chan struct{}), done: make(chan struct{}),
		watches: watches{}, sessions: map[*session]struct{}{},
	}
	if o.Memory {
		db.back = newMemory()
	} else {
		f, err := openBolt(path)
		if err != nil {
			return nil, ofDisk(err)
		}
		db.back = f
	}
	if err := db.start(); err != nil {
		db.back.close()
		return nil, fmt.Errorf("store %s: %w", path, ofDisk(err))
	}
	go db.run()
	return db, nil
}

// ofDisk makes an ErrDisk of an error that speaks of a disk.
func ofDisk(err error) error {
	for _, of := range []error{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS} {
		if errors.Is(err, of) {
			return fmt.Errorf("%w: %w", store.ErrDisk, err)
		}
	}
	return err
}

func (db *DB) start() error {
	opening, zxid, orphans, err := db.back.start()
	if err != nil {
		return err
	}
	db.opening, db.zxid = opening, zxid
	if len(orphans) == 0 {
		return nil
	}
	ops := make([]store.Op, len(orphans))
	for i, path := range orphans {
		ops[i] = store.Delete(path, store.AnyVersion)
	}
	w := &write{ops: ops, session: &session{}, done: make(chan struct{})}
	db.apply([]*write{w})
	return w.err
}

// NewSession begins a session. It is never nil; of a closed DB it fails at the first use.
func (db *DB) NewSession() *Store { return &Store{db: db, cur: db.newSession()} }

func (db *DB) newSession() *session {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.lastID++
	s := &session{id: db.opening<<32 | db.lastID, ended: make(chan struct{}), ephemerals: map[string]struct{}{}}
	if db.closed {
		close(s.ended)
	} else {
		db.sessions[s] = struct{}{}
	}
	return s
}

// Close ends all sessions and closes the file. What is being written is finished first.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		<-db.done
		return nil
	}
	db.closed = true
	sessions := slices.Collect(maps.Keys(db.sessions))
	db.mu.Unlock()
	var errs []error
	for _, s := range sessions {
		errs = append(errs, db.end(s, store.ErrClosed))
	}
	close(db.quit)
	<-db.done
	return errors.Join(append(errs, db.back.close())...)
}

// end ends a session: its ephemeral nodes go, and then its watches go off with the reason.
func (db *DB) end(s *session, reason error) error {
	_, err := db.do(context.Background(), &write{session: s, end: true})
	if errors.Is(err, store.ErrSession) {
		return nil // somebody else ended it
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.watches.end(s, reason)
	return err
}

// do has a write done and waits for it. A context that ends meanwhile leaves open whether it was done.
func (db *DB) do(ctx context.Context, w *write) ([]store.Result, error) {
	w.done = make(chan struct{})
	select {
	case db.writes <- w:
	case <-db.quit:
		return nil, store.ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
	}
	select {
	case <-w.done:
		return w.results, w.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
	}
}

// run is the writing goroutine.
func (db *DB) run() {
	defer close(db.done)
	for {
		select {
		case w := <-db.writes:
			db.apply(db.waiting(w))
		case <-db.quit:
			return
		}
	}
}

// maxBatch bounds how many writes share a transaction, and so how long the first of them waits for the last.
const maxBatch = 256

// waiting is the first write and those that wait already.
func (db *DB) waiting(first *write) []*write {
	batch := []*write{first}
	for len(batch) < maxBatch {
		select {
		case w := <-db.writes:
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// apply computes the writes one after the other, commits what succeeded, and only then lets anybody see it.
func (db *DB) apply(batch []*write) {
	changes, zxid := map[string]*node{}, db.zxid
	var fired []change
	var ended []*session
	err := db.back.read(func(v view) error {
		under := &overlay{view: v, changes: changes}
		for _, w := range batch {
			t := &tx{under: under, changes: map[string]*node{}, zxid: zxid + 1, now: clock.Millis(db.clock), session: w.session}
			if w.session.ended != nil && !w.session.alive() || slices.Contains(ended, w.session) {
				w.err = store.ErrSession
				continue
			}
			if w.end {
				ended = append(ended, w.session)
				for _, path := range slices.Sorted(maps.Keys(ephemeralsOf(w.session, changes))) {
					w.ops = append(w.ops, store.Delete(path, store.AnyVersion))
				}
			}
			if w.results, w.err = t.run(w.ops); w.err != nil {
				continue
			}
			t.keep()
			fired = append(fired, t.fired...)
			if len(t.changes) > 0 {
				zxid++
			}
		}
		return nil
	})
	if err == nil && len(changes) > 0 {
		if err = db.back.commit(changes, zxid); err != nil {
			err = fmt.Errorf("%w: %w", store.ErrDisk, err)
		}
	}
	if err == nil {
		db.zxid = zxid
		db.publish(changes, fired, ended)
	}
	for _, w := range batch {
		if err != nil && w.err == nil {
			w.results, w.err = nil, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		}
		close(w.done)
	}
}

// ephemeralsOf are a session's ephemeral nodes as they are after the changes, which are not published yet.
func ephemeralsOf(s *session, changes map[string]*node) map[string]struct{} {
	set := maps.Clone(s.ephemerals)
	for path, n := range changes {
		if n == nil || n.owner != s.id {
			delete(set, path)
		} else {
			set[path] = struct{}{}
		}
	}
	return set
}

func (db *DB) publish(changes map[string]*node, fired []change, ended []*session) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for s := range db.sessions {
		for path, n := range changes {
			if n != nil && n.owner == s.id {
				s.ephemerals[path] = struct{}{}
			} else {
				delete(s.ephemerals, path)
			}
		}
	}
	for _, s := range ended {
		delete(db.sessions, s)
		close(s.ended)
	}
	for _, c := range fired {
		db.watches.fire(c)
	}
}

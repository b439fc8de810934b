//go:build integration

package zk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"barnabas/coordinator/store"
	"barnabas/coordinator/store/storetest"
	"barnabas/coordinator/store/zk/zktest"
)

const patience = 60 * time.Second

// line is a session over a proxy of its own.
type line struct {
	*Store
	proxy *zktest.Proxy
}

func connect(t *testing.T, server *zktest.Server, chroot string, timeout time.Duration) line {
	t.Helper()
	p := zktest.NewProxy(t, server.Addr)
	s, err := Connect(t.Context(), Options{Servers: p.Addr + chroot, SessionTimeout: timeout, ConnectTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return line{s, p}
}

type tree struct {
	server *zktest.Server
	chroot string
	mu     sync.Mutex
	lines  map[store.Store]line
}

func (tr *tree) Session(t *testing.T) store.Store {
	l := connect(t, tr.server, tr.chroot, 10*time.Second)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.lines[l.Store] = l
	return l.Store
}

func (tr *tree) Expire(t *testing.T, s store.Store) {
	tr.mu.Lock()
	l := tr.lines[s]
	tr.mu.Unlock()
	expire(t, l)
}

// expire ends the session from outside and waits until its client knows.
func expire(t *testing.T, l line) {
	t.Helper()
	_, expired, err := l.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.proxy.EndSession(t)
	await(t, expired)
}

func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-c:
	case <-ctx.Done():
		t.Fatal("did not happen")
	}
}

func event(t *testing.T, w <-chan store.Event) store.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case e := <-w:
		return e
	case <-ctx.Done():
		t.Fatal("the watch did not go off")
		return store.Event{}
	}
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestContract(t *testing.T) {
	server := zktest.Start(t)
	n := 0
	storetest.Run(t, func(t *testing.T) storetest.Tree {
		n++
		return &tree{server: server, chroot: fmt.Sprintf("/tree/%d", n), lines: map[store.Store]line{}}
	})
}

func TestTheServer(t *testing.T) {
	server := zktest.Start(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *zktest.Server)
	}{
		{"WithoutChroot", withoutChroot},
		{"WatchesSurviveAReconnect", watchesSurviveAReconnect},
		{"LostAnswers", lostAnswers},
		{"LostAnswersOfSequences", lostAnswersOfSequences},
		{"Partition", partition},
		{"ContextEndsWhileAway", contextEndsWhileAway},
		{"CloseWhileAway", closeWhileAway},
		{"TooLargeForTheServer", tooLargeForTheServer},
		{"ManyWatches", manyWatches},
		{"RestartUnderLoad", restartUnderLoad},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, server) })
	}
}

func withoutChroot(t *testing.T, server *zktest.Server) {
	ctx, l := t.Context(), connect(t, server, "", 10*time.Second)
	must(l.Create(ctx, "/plain", []byte("x"), store.Persistent))(t)
	names, _, err := l.Children(ctx, "/")
	if err != nil || !strings.Contains(strings.Join(names, " "), "plain") {
		t.Error(names, err)
	}
	if _, err := l.Create(ctx, "/", nil, store.Persistent); err == nil {
		t.Error("the root was made")
	}
	_, _, w, err := l.ChildrenW(ctx, "/")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Delete(ctx, "/plain", 0); err != nil {
		t.Fatal(err)
	}
	if e := event(t, w); e.Path != "/" || e.Err != nil {
		t.Errorf("%+v", e)
	}
}

// What changes while the line is cut is told when it is back: the session and its watches live on.
func watchesSurviveAReconnect(t *testing.T, server *zktest.Server) {
	ctx := t.Context()
	l, other := connect(t, server, "/reconnect", 30*time.Second), connect(t, server, "/reconnect", 30*time.Second)
	must(l.Create(ctx, "/data", nil, store.Persistent))(t)
	must(l.Create(ctx, "/list", nil, store.Persistent))(t)
	must(l.Create(ctx, "/mine", nil, store.Ephemeral))(t)
	id, expired, err := l.Session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, _, data, err1 := l.GetW(ctx, "/data")
	_, _, list, err2 := l.ChildrenW(ctx, "/list")
	_, _, later, err3 := l.ExistsW(ctx, "/later")
	_, _, quiet, err4 := l.GetW(ctx, "/list")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	l.proxy.Pause()
	must(other.Set(ctx, "/data", []byte("1"), 0))(t)
	must(other.Create(ctx, "/list/x", nil, store.Persistent))(t)
	must(other.Create(ctx, "/later", nil, store.Persistent))(t)
	l.proxy.Resume()
	for _, w := range []<-chan store.Event{data, list, later} {
		if e := event(t, w); e.Err != nil {
			t.Errorf("%+v", e)
		}
	}
	again, _, err := l.Session(ctx)
	if err != nil || again != id {
		t.Errorf("session %x, was %x, %v", again, id, err)
	}
	if _, there, err := other.Exists(ctx, "/mine"); !there || err != nil {
		t.Error("the ephemeral node is gone", err)
	}
	must(other.Set(ctx, "/list", []byte("1"), 0))(t)
	if e := event(t, quiet); e.Path != "/list" || e.Err != nil {
		t.Errorf("%+v", e)
	}
	select {
	case <-expired:
		t.Error("the session has expired")
	default:
	}
}

// A write whose answer was lost has been done: the caller learns so, and it is not done twice.
func lostAnswers(t *testing.T, server *zktest.Server) {
	ctx, l := t.Context(), connect(t, server, "/lost", 30*time.Second)
	must(l.Create(ctx, "/epoch", []byte("0"), store.Persistent))(t)

	l.proxy.SwallowAnswer()
	must(l.Create(ctx, "/a", []byte("content"), store.Persistent))(t)

	l.proxy.SwallowAnswer()
	if st, err := l.Set(ctx, "/a", []byte("more"), 0); err != nil || st.Version != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	l.proxy.SwallowAnswer()
	if data, st, err := l.Get(ctx, "/a"); err != nil || string(data) != "more" || st.Version != 1 {
		t.Errorf("%q, %+v, %v", data, st, err)
	}
	l.proxy.SwallowAnswer()
	if err := l.Delete(ctx, "/a", 1); err != nil {
		t.Error(err)
	}
	l.proxy.SwallowAnswer()
	r, err := l.Multi(ctx, store.Create("/reg", nil, store.Ephemeral), store.Set("/reg", []byte("x"), 0),
		store.Check("/epoch", 0), store.Set("/epoch", []byte("1"), 0))
	if err != nil {
		t.Fatal(err)
	}
	_, reg, err1 := l.Get(ctx, "/reg")
	_, epoch, err2 := l.Get(ctx, "/epoch")
	if err := errors.Join(err1, err2); err != nil || r[0].Path != "/reg" || r[1].Stat != reg || reg.Version != 1 ||
		r[3].Stat != epoch || epoch.Version != 1 {
		t.Errorf("%+v, %+v, %+v, %v", r, reg, epoch, err)
	}
	// What would have been refused the first time is refused.
	l.proxy.SwallowAnswer()
	if _, err := l.Create(ctx, "/epoch", []byte("other"), store.Persistent); !errors.Is(err, store.ErrNodeExists) {
		t.Error(err)
	}
	l.proxy.SwallowAnswer()
	if _, err := l.Set(ctx, "/epoch", []byte("9"), 0); !errors.Is(err, store.ErrBadVersion) {
		t.Error(err)
	}
	// A node without content proves nothing.
	must(l.Create(ctx, "/null", nil, store.Persistent))(t)
	l.proxy.SwallowAnswer()
	if _, err := l.Create(ctx, "/null", nil, store.Persistent); !errors.Is(err, store.ErrNodeExists) {
		t.Error(err)
	}
}

func lostAnswersOfSequences(t *testing.T, server *zktest.Server) {
	ctx, l := t.Context(), connect(t, server, "/sequence", 30*time.Second)
	must(l.Create(ctx, "/s", nil, store.Persistent))(t)
	l.proxy.SwallowAnswer()
	if path, err := l.Create(ctx, "/s/n_", nil, store.Sequential); !errors.Is(err, store.ErrUnavailable) {
		t.Error(path, err)
	}
	if names, _, err := l.Children(ctx, "/s"); err != nil || len(names) != 1 {
		t.Errorf("%q, %v", names, err)
	}
}

// Cut off for longer than the session timeout: others see the node go, and the client learns of it when it is back.
func partition(t *testing.T, server *zktest.Server) {
	ctx := t.Context()
	l, other := connect(t, server, "/partition", 400*time.Millisecond), connect(t, server, "/partition", 30*time.Second)
	must(l.Create(ctx, "/mine", nil, store.Ephemeral))(t)
	must(l.Create(ctx, "/data", nil, store.Persistent))(t)
	id, expired, err := l.Session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, _, own, err1 := l.GetW(ctx, "/data")
	_, _, seen, err2 := other.GetW(ctx, "/mine")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	l.proxy.Pause()
	if e := event(t, seen); e.Err != nil {
		t.Errorf("%+v", e)
	}
	server.Gone(t, id)
	waiting := make(chan error, 1)
	go func() {
		_, err := l.Create(ctx, "/other", nil, store.Ephemeral) // meant for the old session
		waiting <- err
	}()
	l.proxy.Resume()
	await(t, expired)
	if e := event(t, own); !errors.Is(e.Err, store.ErrSession) {
		t.Errorf("%+v", e)
	}
	if err := <-waiting; !errors.Is(err, store.ErrSession) {
		t.Error(err)
	}
	if next, _, err := l.Session(ctx); err != nil || next == id {
		t.Errorf("session %x after %x, %v", next, id, err)
	}
	if _, there, err := l.Exists(ctx, "/other"); there || err != nil {
		t.Error("the new session got what was meant for the old", err)
	}
	must(l.Create(ctx, "/mine", nil, store.Ephemeral))(t)
}

func contextEndsWhileAway(t *testing.T, server *zktest.Server) {
	l := connect(t, server, "/away", 30*time.Second)
	l.proxy.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, f := range []func() error{
		func() error { _, _, err := l.Get(ctx, "/"); return err },
		func() error { _, err := l.Set(ctx, "/", nil, 0); return err },
		func() error { _, _, _, err := l.ExistsW(ctx, "/x"); return err },
		func() error { _, _, err := l.Session(ctx); return err },
	} {
		if err := f(); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	l.proxy.Resume()
	must(l.Set(t.Context(), "/", nil, store.AnyVersion))(t)
}

func closeWhileAway(t *testing.T, server *zktest.Server) {
	ctx, l := t.Context(), connect(t, server, "/closed", 30*time.Second)
	l.proxy.Pause()
	result := make(chan error, 1)
	go func() {
		_, _, err := l.Get(ctx, "/")
		result <- err
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
}

// The server closes the connection on a packet beyond its jute.maxbuffer. The caller is told, and nothing is tried forever.
func tooLargeForTheServer(t *testing.T, server *zktest.Server) {
	ctx, l := t.Context(), connect(t, server, "/large", 30*time.Second)
	_, err := l.Set(ctx, "/", make([]byte, 2<<20), store.AnyVersion)
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "jute.maxbuffer") {
		t.Error(err)
	}
	must(l.Set(ctx, "/", nil, store.AnyVersion))(t)
}

// So many watches that setting them anew takes several packets.
func manyWatches(t *testing.T, server *zktest.Server) {
	const n = 1500
	ctx := t.Context()
	l, other := connect(t, server, "/many", 30*time.Second), connect(t, server, "/many", 30*time.Second)
	var all []<-chan store.Event
	for i := range n {
		_, _, w, err := l.ExistsW(ctx, fmt.Sprintf("/%0200d", i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	l.proxy.Cut()
	for i := range n {
		must(other.Create(ctx, fmt.Sprintf("/%0200d", i), nil, store.Persistent))(t)
	}
	for _, w := range all {
		if e := event(t, w); e.Err != nil {
			t.Fatalf("%+v", e)
		}
	}
}

// The server is killed and restarted while sessions write: each count that was confirmed is there, the sessions live on.
func restartUnderLoad(t *testing.T, server *zktest.Server) {
	const writers, rounds = 4, 3
	ctx := t.Context()
	confirmed := make([]int32, writers)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	started := make(chan struct{}, writers)
	lines := make([]line, writers)
	for i := range lines {
		lines[i] = connect(t, server, "/restart", 30*time.Second)
		must(lines[i].Create(ctx, fmt.Sprintf("/n%d", i), nil, store.Ephemeral))(t)
	}
	for i, l := range lines {
		wg.Go(func() {
			started <- struct{}{}
			for v := int32(0); ; v++ {
				select {
				case <-stop:
					return
				default:
				}
				st, err := l.Set(ctx, fmt.Sprintf("/n%d", i), fmt.Appendf(nil, "%d-%d", i, v), v)
				if err != nil || st.Version != v+1 {
					t.Errorf("writer %d, version %d: %+v, %v", i, v, st, err)
					return
				}
				confirmed[i] = st.Version
			}
		})
	}
	for range writers {
		<-started
	}
	for range rounds {
		server.Kill(t)
		server.Restart(t)
		must(lines[0].Set(ctx, "/", nil, store.AnyVersion))(t) // it serves again
	}
	close(stop)
	wg.Wait()
	for i, l := range lines {
		if _, st, err := l.Get(ctx, fmt.Sprintf("/n%d", i)); err != nil || st.Version != confirmed[i] {
			t.Errorf("writer %d: %d confirmed, %+v, %v", i, confirmed[i], st, err)
		}
	}
}

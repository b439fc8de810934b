package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"barnabas/coordinator/store"
)

// Tree is one empty tree that sessions can be begun with.
type Tree interface {
	// Session begins a session. The tree closes it when the test ends, if the test did not.
	Session(t *testing.T) store.Store
	// Expire lets the store's current session expire, and returns once the store knows.
	Expire(t *testing.T, s store.Store)
}

// Run runs the suite, each test on a tree of its own.
func Run(t *testing.T, tree func(t *testing.T) Tree) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Tree)
	}{
		{"NullIsNotEmpty", nullIsNotEmpty},
		{"CreateRefuses", createRefuses},
		{"BadPaths", badPaths},
		{"Versions", versions},
		{"Stats", stats},
		{"DeleteRefuses", deleteRefuses},
		{"SequentialNames", sequentialNames},
		{"Children", children},
		{"Helpers", helpers},
		{"LargeContent", largeContent},
		{"MultiDoesAll", multiDoesAll},
		{"MultiDoesNothing", multiDoesNothing},
		{"MultiSeesItself", multiSeesItself},
		{"DataWatch", dataWatch},
		{"ExistsWatch", existsWatch},
		{"ChildrenWatch", childrenWatch},
		{"WatchesOfFailedReads", watchesOfFailedReads},
		{"MultiSetsOffWatches", multiSetsOffWatches},
		{"EphemeralsVanishOnClose", ephemeralsVanishOnClose},
		{"Expiry", expiry},
		{"ExpiryWhileOthersLive", expiryWhileOthersLive},
		{"Close", closing},
		{"CompareAndSet", compareAndSet},
		{"Election", election},
		{"Model", model},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, tree(t)) })
	}
}

// patience is how long the suite waits for what must come. It is no measure of anything: only a failure takes that long.
const patience = 60 * time.Second

func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// tester is a session with a test: what must succeed, succeeds.
type tester struct {
	*testing.T
	store.Store
	ctx context.Context
}

func begin(t *testing.T, tree Tree) tester {
	return tester{t, tree.Session(t), background(t)}
}

func (t tester) create(path, data string, mode store.Mode) string {
	t.Helper()
	made, err := t.Store.Create(t.ctx, path, []byte(data), mode)
	if err != nil {
		t.Fatalf("create %s: %v", path, err)
	}
	return made
}

func (t tester) set(path, data string) store.Stat {
	t.Helper()
	st, err := t.Store.Set(t.ctx, path, []byte(data), store.AnyVersion)
	if err != nil {
		t.Fatalf("set %s: %v", path, err)
	}
	return st
}

func (t tester) delete(path string) {
	t.Helper()
	if err := t.Store.Delete(t.ctx, path, store.AnyVersion); err != nil {
		t.Fatalf("delete %s: %v", path, err)
	}
}

func (t tester) get(path string) (string, store.Stat) {
	t.Helper()
	data, st, err := t.Store.Get(t.ctx, path)
	if err != nil {
		t.Fatalf("get %s: %v", path, err)
	}
	return string(data), st
}

func (t tester) exists(path string) bool {
	t.Helper()
	_, ok, err := t.Store.Exists(t.ctx, path)
	if err != nil {
		t.Fatalf("exists %s: %v", path, err)
	}
	return ok
}

func (t tester) getW(path string) <-chan store.Event {
	t.Helper()
	_, _, w, err := t.Store.GetW(t.ctx, path)
	if err != nil {
		t.Fatalf("get %s: %v", path, err)
	}
	return w
}

func (t tester) existsW(path string) <-chan store.Event {
	t.Helper()
	_, _, w, err := t.Store.ExistsW(t.ctx, path)
	if err != nil {
		t.Fatalf("exists %s: %v", path, err)
	}
	return w
}

func (t tester) childrenW(path string) ([]string, <-chan store.Event) {
	t.Helper()
	names, _, w, err := t.Store.ChildrenW(t.ctx, path)
	if err != nil {
		t.Fatalf("children of %s: %v", path, err)
	}
	return names, w
}

// wants checks an error.
func (t tester) wants(got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// goesOff waits for a watch and checks its event and that no other follows.
func (t tester) goesOff(w <-chan store.Event, path string, want error) {
	t.Helper()
	select {
	case e, ok := <-w:
		if !ok || e.Path != path || !errors.Is(e.Err, want) || (want == nil) != (e.Err == nil) {
			t.Fatalf("event %+v (%v), want one for %s with %v", e, ok, path, want)
		}
	case <-t.ctx.Done():
		t.Fatalf("the watch on %s did not go off", path)
	}
	select {
	case e, ok := <-w:
		if ok {
			t.Fatalf("a second event: %+v", e)
		}
	case <-t.ctx.Done():
		t.Fatal("the watch's channel was not closed after its event")
	}
}

// silent checks that a watch has not gone off. What might have set it off must lie before a change that was seen.
func (t tester) silent(w <-chan store.Event) {
	t.Helper()
	select {
	case e := <-w:
		t.Fatalf("an event where none was due: %+v", e)
	default:
	}
}

// await waits until a channel is closed.
func (t tester) await(c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-t.ctx.Done():
		t.Fatalf("%s: did not happen", what)
	}
}

// gone waits until a node is not there.
func (t tester) gone(path string) {
	t.Helper()
	for {
		_, there, w, err := t.Store.ExistsW(t.ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		if !there {
			return
		}
		select {
		case <-w:
		case <-t.ctx.Done():
			t.Fatalf("%s is still there", path)
		}
	}
}

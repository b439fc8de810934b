package storetest

import (
	"errors"
	"sync"
	"testing"

	"barnabas/coordinator/store"
)

func ephemeralsVanishOnClose(tt *testing.T, tree Tree) {
	t, other := begin(tt, tree), begin(tt, tree)
	t.create("/ids", "", store.Persistent)
	t.create("/ids/1", "one", store.Ephemeral)
	t.create("/ids/3", "", store.Ephemeral)
	t.create("/stays", "", store.Persistent)
	t.delete("/ids/3")
	id, _, err := t.Session(t.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if data, st := other.get("/ids/1"); data != "one" || st.Owner != id {
		t.Errorf("%q, %+v, session %x", data, st, id)
	}
	other.create("/ids/2", "", store.Ephemeral)
	node := other.getW("/ids/1")
	names, list := other.childrenW("/ids")
	if len(names) != 2 {
		t.Errorf("%q", names)
	}
	if err := t.Store.Close(); err != nil {
		t.Fatal(err)
	}
	other.goesOff(node, "/ids/1", nil)
	other.goesOff(list, "/ids", nil)
	if names, _ := other.childrenW("/ids"); len(names) != 1 || names[0] != "2" {
		t.Errorf("%q", names)
	}
	if !other.exists("/stays") {
		t.Error("a persistent node went with the session")
	}
}

func expiry(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	t.create("/a", "", store.Persistent)
	t.create("/e", "", store.Ephemeral)
	id, expired, err := t.Session(t.ctx)
	if err != nil {
		t.Fatal(err)
	}
	data, never := t.getW("/a"), t.existsW("/never")
	_, list := t.childrenW("/a")
	tree.Expire(tt, t.Store)
	t.await(expired, "the expiry")
	t.goesOff(data, "/a", store.ErrSession)
	t.goesOff(never, "/never", store.ErrSession)
	t.goesOff(list, "/a", store.ErrSession)
	// Nothing happens until somebody has asked for the new session.
	_, _, err = t.Get(t.ctx, "/a")
	t.wants(err, store.ErrSession)
	_, _, _, err = t.GetW(t.ctx, "/a")
	t.wants(err, store.ErrSession)
	_, err = t.Create(t.ctx, "/e2", nil, store.Ephemeral)
	t.wants(err, store.ErrSession)
	_, err = t.Multi(t.ctx, store.Create("/e2", nil, store.Ephemeral))
	t.wants(err, store.ErrSession)
	next, again, err := t.Session(t.ctx)
	if err != nil || next == id || next == 0 {
		t.Fatalf("session %x after %x, %v", next, id, err)
	}
	select {
	case <-again:
		t.Fatal("the new session has expired too")
	default:
	}
	t.gone("/e")
	if t.exists("/e2") {
		t.Error("/e2 was made in between")
	}
	t.create("/e", "", store.Ephemeral)
	if _, st := t.get("/e"); st.Owner != next {
		t.Errorf("owner %x, session %x", st.Owner, next)
	}
	w := t.getW("/a")
	t.set("/a", "1")
	t.goesOff(w, "/a", nil)
}

func expiryWhileOthersLive(tt *testing.T, tree Tree) {
	t, other := begin(tt, tree), begin(tt, tree)
	t.create("/mine", "", store.Ephemeral)
	other.create("/theirs", "", store.Ephemeral)
	w := other.getW("/mine")
	_, expired, err := other.Session(other.ctx)
	if err != nil {
		t.Fatal(err)
	}
	tree.Expire(tt, t.Store)
	other.goesOff(w, "/mine", nil)
	if !other.exists("/theirs") {
		t.Error("another session's node is gone")
	}
	select {
	case <-expired:
		t.Error("another session has expired too")
	default:
	}
}

func closing(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	t.create("/a", "", store.Persistent)
	w := t.getW("/a")
	_, ended, err := t.Session(t.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := t.Store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.await(ended, "the end of the session")
	t.goesOff(w, "/a", store.ErrClosed)
	_, _, err = t.Get(t.ctx, "/a")
	t.wants(err, store.ErrClosed)
	_, err = t.Create(t.ctx, "/b", nil, store.Persistent)
	t.wants(err, store.ErrClosed)
	_, err = t.Multi(t.ctx, store.Check("/a", 0))
	t.wants(err, store.ErrClosed)
	_, _, _, err = t.ExistsW(t.ctx, "/a")
	t.wants(err, store.ErrClosed)
	_, _, err = t.Session(t.ctx)
	t.wants(err, store.ErrClosed)
}

// Sessions that count together by comparing versions lose no count.
func compareAndSet(tt *testing.T, tree Tree) {
	const sessions, each = 4, 10
	first := begin(tt, tree)
	first.create("/n", "", store.Persistent)
	var wg sync.WaitGroup
	for range sessions {
		t := begin(tt, tree)
		wg.Go(func() {
			for n := 0; n < each; {
				_, st, err := t.Get(t.ctx, "/n")
				if err == nil {
					_, err = t.Set(t.ctx, "/n", nil, st.Version)
				}
				if err == nil {
					n++
				} else if !errors.Is(err, store.ErrBadVersion) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if _, st := first.get("/n"); st.Version != sessions*each {
		first.Errorf("version %d, want %d", st.Version, sessions*each)
	}
}

// Of many that create the same ephemeral node while bumping an epoch, as controllers do, one wins, and its node goes with
// it; then another may.
func election(tt *testing.T, tree Tree) {
	const candidates = 4
	all := make([]tester, candidates)
	for i := range all {
		all[i] = begin(tt, tree)
	}
	all[0].create("/epoch", "0", store.Persistent)
	for round := int32(0); round < 2; round++ {
		won := make([]bool, candidates)
		var wg sync.WaitGroup
		for i, t := range all {
			wg.Go(func() {
				_, err := t.Multi(t.ctx, store.Create("/controller", nil, store.Ephemeral), store.Set("/epoch", nil, round))
				won[i] = err == nil
				if err != nil && !errors.Is(err, store.ErrNodeExists) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		winner, winners := -1, 0
		for i, w := range won {
			if w {
				winner, winners = i, winners+1
			}
		}
		if winners != 1 {
			tt.Fatalf("%d of %d won", winners, candidates)
		}
		looker := all[(winner+1)%candidates]
		if _, st := looker.get("/epoch"); st.Version != round+1 {
			tt.Fatalf("epoch at version %d", st.Version)
		}
		if err := all[winner].Store.Close(); err != nil {
			tt.Fatal(err)
		}
		looker.gone("/controller")
		all[winner] = begin(tt, tree)
	}
}

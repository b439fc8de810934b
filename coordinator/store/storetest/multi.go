package storetest

import (
	"errors"
	"testing"

	"barnabas/coordinator/store"
)

// The write by which a broker registers: the Stat of the second step tells the czxid of the node that the first made.
func multiDoesAll(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	t.create("/fence", "", store.Persistent)
	t.create("/old", "", store.Persistent)
	r, err := t.Multi(t.ctx,
		store.Check("/fence", 0),
		store.Create("/reg", nil, store.Ephemeral),
		store.Set("/reg", []byte("x"), 0),
		store.Delete("/old", 0),
		store.Set("/fence", []byte("1"), 0),
	)
	if err != nil || len(r) != 5 {
		t.Fatal(r, err)
	}
	data, st := t.get("/reg")
	if data != "x" || r[1].Path != "/reg" || r[2].Stat != st || st.Version != 1 || st.Czxid != st.Mzxid {
		t.Errorf("%q, %+v, %+v", data, r, st)
	}
	id, _, err := t.Session(t.ctx)
	if err != nil || id == 0 || st.Owner != id {
		t.Errorf("owner %x, session %x, %v", st.Owner, id, err)
	}
	if _, fence := t.get("/fence"); fence.Version != 1 || r[4].Stat != fence || fence.Mzxid != st.Czxid || t.exists("/old") {
		t.Errorf("%+v", fence)
	}
	if r, err := t.Multi(t.ctx); err != nil || len(r) != 0 {
		t.Errorf("no steps: %v, %v", r, err)
	}
}

func multiDoesNothing(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	t.create("/a", "0", store.Persistent)
	t.create("/a/b", "", store.Persistent)
	t.create("/e", "", store.Ephemeral)
	for _, c := range []struct {
		bad  store.Op
		want error
	}{
		{store.Check("/a", 1), store.ErrBadVersion},
		{store.Check("/no", store.AnyVersion), store.ErrNoNode},
		{store.Check("/no", 3), store.ErrNoNode},
		{store.Set("/a", nil, 7), store.ErrBadVersion},
		{store.Set("/no", nil, store.AnyVersion), store.ErrNoNode},
		{store.Create("/a", nil, store.Persistent), store.ErrNodeExists},
		{store.Create("/no/x", nil, store.Persistent), store.ErrNoNode},
		{store.Create("/e/x", nil, store.Persistent), store.ErrNoChildrenForEphemerals},
		{store.Delete("/a", store.AnyVersion), store.ErrNotEmpty},
		{store.Delete("/no", store.AnyVersion), store.ErrNoNode},
	} {
		before := store.Create("/new", nil, store.Persistent)
		for at, ops := range [][]store.Op{
			{c.bad, before},
			{before, c.bad, store.Set("/new", nil, store.AnyVersion)},
			{before, store.Create("/new/y", nil, store.Sequential), c.bad, store.Check("/no", 0)},
		} {
			r, err := t.Multi(t.ctx, ops...)
			t.wants(err, c.want)
			for i := range r {
				if failed := errors.Is(r[i].Err, c.want); failed != (i == at) || (r[i].Err != nil) != failed {
					t.Errorf("%+v: step %d of %d says %v; only step %d failed", c.bad, i, len(ops), r[i].Err, at)
				}
			}
			if len(r) != len(ops) {
				t.Errorf("%d results for %d steps", len(r), len(ops))
			}
			if t.exists("/new") {
				t.Fatalf("%+v: something was done", c.bad)
			}
		}
	}
	if data, st := t.get("/a"); data != "0" || st.Version != 0 || st.Cversion != 1 {
		t.Errorf("%q, %+v", data, st)
	}
}

func multiSeesItself(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	t.create("/a", "0", store.Ephemeral)
	_, before := t.get("/a")
	r, err := t.Multi(t.ctx,
		store.Delete("/a", 0), // a broker that finds its own registration of an earlier session does this
		store.Create("/a", nil, store.Ephemeral),
		store.Set("/a", []byte("1"), 0),
		store.Set("/a", []byte("2"), 1),
		store.Check("/a", 2),
		store.Create("/p", nil, store.Persistent),
		store.Create("/p/q", nil, store.Persistent),
		store.Delete("/p/q", store.AnyVersion),
	)
	if err != nil {
		t.Fatal(err)
	}
	data, st := t.get("/a")
	if data != "2" || st.Version != 2 || st.Czxid <= before.Czxid || st != r[3].Stat {
		t.Errorf("%q, %+v, %+v", data, st, r)
	}
	if _, p := t.get("/p"); p.NumChildren != 0 || p.Cversion != 2 {
		t.Errorf("%+v", p)
	}
	_, err = t.Multi(t.ctx, store.Delete("/a", 2), store.Check("/a", store.AnyVersion))
	t.wants(err, store.ErrNoNode)
	if !t.exists("/a") {
		t.Error("the delete was done")
	}
}

package storetest

import (
	"testing"

	"barnabas/coordinator/store"
)

func dataWatch(tt *testing.T, tree Tree) {
	t, other := begin(tt, tree), begin(tt, tree)
	t.create("/a", "", store.Persistent)
	t.create("/late", "", store.Persistent)
	w := t.getW("/a")
	late := t.getW("/late")
	other.create("/a/child", "", store.Persistent) // not the data
	other.set("/late", "1")
	t.goesOff(late, "/late", nil)
	t.silent(w)
	other.set("/a", "1")
	t.goesOff(w, "/a", nil)
	if data, _ := t.get("/a"); data != "1" {
		t.Errorf("after the event: %q", data)
	}
	other.delete("/a/child")
	first, second := t.getW("/a"), t.getW("/a") // two watches on one node both go off
	other.delete("/a")
	t.goesOff(first, "/a", nil)
	t.goesOff(second, "/a", nil)
	// What one session changes itself it is told of too.
	own := t.getW("/late")
	t.set("/late", "2")
	t.goesOff(own, "/late", nil)
}

func existsWatch(tt *testing.T, tree Tree) {
	t, other := begin(tt, tree), begin(tt, tree)
	w := t.existsW("/a")
	other.create("/a", "", store.Persistent)
	t.goesOff(w, "/a", nil)
	w = t.existsW("/a")
	other.set("/a", "1")
	t.goesOff(w, "/a", nil)
	w = t.existsW("/a")
	other.create("/a/x", "", store.Persistent)
	other.delete("/a/x")
	t.existsW("/late")
	other.delete("/a")
	t.goesOff(w, "/a", nil)
	w = t.existsW("/no/such/parent")
	late := t.existsW("/late2")
	other.create("/no", "", store.Persistent)
	other.create("/late2", "", store.Persistent)
	t.goesOff(late, "/late2", nil)
	t.silent(w)
}

func childrenWatch(tt *testing.T, tree Tree) {
	t, other := begin(tt, tree), begin(tt, tree)
	t.create("/a", "", store.Persistent)
	names, w := t.childrenW("/a")
	if len(names) != 0 {
		t.Errorf("%q", names)
	}
	other.set("/a", "1") // the data, not the children
	late := t.existsW("/late")
	other.create("/late", "", store.Persistent)
	t.goesOff(late, "/late", nil)
	t.silent(w)
	other.create("/a/x", "", store.Persistent)
	t.goesOff(w, "/a", nil)
	names, w = t.childrenW("/a")
	if len(names) != 1 || names[0] != "x" {
		t.Errorf("%q", names)
	}
	other.set("/a/x", "1")
	other.create("/a/x/deep", "", store.Persistent)
	other.delete("/a/x/deep")
	late = t.getW("/late")
	other.set("/late", "1")
	t.goesOff(late, "/late", nil)
	t.silent(w)
	other.delete("/a/x")
	t.goesOff(w, "/a", nil)
	_, w = t.childrenW("/a")
	other.delete("/a")
	t.goesOff(w, "/a", nil)
	_, w = t.childrenW("/")
	other.create("/top", "", store.Persistent)
	t.goesOff(w, "/", nil)
}

// A read that fails leaves no watch: the node's coming must not be told to a channel that nobody has.
func watchesOfFailedReads(tt *testing.T, tree Tree) {
	t, other := begin(tt, tree), begin(tt, tree)
	_, _, w, err := t.GetW(t.ctx, "/a")
	t.wants(err, store.ErrNoNode)
	_, _, cw, err := t.ChildrenW(t.ctx, "/a")
	t.wants(err, store.ErrNoNode)
	if w != nil || cw != nil {
		t.Error("a failed read has returned a watch")
	}
	other.create("/a", "", store.Persistent)
	one := t.getW("/a")
	other.set("/a", "1")
	t.goesOff(one, "/a", nil)
}

func multiSetsOffWatches(tt *testing.T, tree Tree) {
	t, other := begin(tt, tree), begin(tt, tree)
	t.create("/a", "", store.Persistent)
	t.create("/b", "", store.Persistent)
	a, b, c := t.getW("/a"), t.getW("/b"), t.existsW("/c")
	_, root := t.childrenW("/")
	if _, err := other.Multi(other.ctx, store.Set("/a", nil, 0), store.Check("/b", 9)); err == nil {
		t.Fatal("no error")
	}
	if _, err := other.Multi(other.ctx, store.Set("/a", nil, 0), store.Delete("/b", 0), store.Create("/c", nil, store.Persistent)); err != nil {
		t.Fatal(err)
	}
	t.goesOff(a, "/a", nil)
	t.goesOff(b, "/b", nil)
	t.goesOff(c, "/c", nil)
	t.goesOff(root, "/", nil)
}

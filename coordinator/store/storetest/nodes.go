package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"barnabas/coordinator/store"
)

func nullIsNotEmpty(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	for i, data := range [][]byte{nil, {}, {0}} {
		path := fmt.Sprintf("/n%d", i)
		if _, err := t.Create(t.ctx, path, data, store.Persistent); err != nil {
			t.Fatal(err)
		}
		check := func(want []byte) {
			t.Helper()
			got, _, err := t.Get(t.ctx, path)
			if err != nil || (got == nil) != (want == nil) || !bytes.Equal(got, want) {
				t.Errorf("%#v, %v; want %#v", got, err, want)
			}
		}
		check(data)
		for _, next := range [][]byte{{}, nil, {1, 2}, nil, {}} {
			if _, err := t.Set(t.ctx, path, next, store.AnyVersion); err != nil {
				t.Fatal(err)
			}
			check(next)
			if _, err := t.Multi(t.ctx, store.Set(path, data, store.AnyVersion)); err != nil {
				t.Fatal(err)
			}
			check(data)
		}
	}
}

func createRefuses(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	t.create("/a", "", store.Persistent)
	t.create("/e", "", store.Ephemeral)
	for path, want := range map[string]error{
		"/": store.ErrNodeExists, "/a": store.ErrNodeExists, "/e": store.ErrNodeExists,
		"/no/x": store.ErrNoNode, "/a/no/x": store.ErrNoNode, "/e/x": store.ErrNoChildrenForEphemerals,
	} {
		for _, mode := range []store.Mode{store.Persistent, store.Ephemeral} {
			_, err := t.Create(t.ctx, path, nil, mode)
			if !errors.Is(err, want) {
				t.Errorf("create %s: %v, want %v", path, err, want)
			}
		}
	}
	if made, err := t.Create(t.ctx, "/no/x", nil, store.Sequential); !errors.Is(err, store.ErrNoNode) {
		t.Error(made, err)
	}
}

func badPaths(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	for _, path := range []string{"", "a", "/a/", "//a", "/a//b", "/.", "/a/../b", "/\x00", "/\xff"} {
		_, _, err := t.Get(t.ctx, path)
		t.wants(err, store.ErrBadPath)
		_, _, err = t.Exists(t.ctx, path)
		t.wants(err, store.ErrBadPath)
		_, _, err = t.Children(t.ctx, path)
		t.wants(err, store.ErrBadPath)
		_, err = t.Create(t.ctx, path, nil, store.Persistent)
		t.wants(err, store.ErrBadPath)
		_, err = t.Set(t.ctx, path, nil, store.AnyVersion)
		t.wants(err, store.ErrBadPath)
		t.wants(t.Delete(t.ctx, path, store.AnyVersion), store.ErrBadPath)
		_, err = t.Multi(t.ctx, store.Create("/fine", nil, store.Persistent), store.Check(path, 0))
		t.wants(err, store.ErrBadPath)
		_, _, _, err = t.ExistsW(t.ctx, path)
		t.wants(err, store.ErrBadPath)
	}
	if t.exists("/fine") {
		t.Error("a Multi with a bad path did something")
	}
	t.wants(t.Delete(t.ctx, "/", store.AnyVersion), store.ErrBadPath)
}

func versions(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	t.create("/a", "0", store.Persistent)
	for i := int32(0); i < 3; i++ {
		if st, err := t.Set(t.ctx, "/a", []byte{'0' + byte(i)}, i); err != nil || st.Version != i+1 {
			t.Fatalf("%+v, %v", st, err)
		}
		for _, v := range []int32{i, i + 2, 99} {
			_, err := t.Set(t.ctx, "/a", nil, v)
			t.wants(err, store.ErrBadVersion)
			t.wants(t.Delete(t.ctx, "/a", v), store.ErrBadVersion)
			_, err = t.Multi(t.ctx, store.Check("/a", v))
			t.wants(err, store.ErrBadVersion)
		}
		if _, err := t.Multi(t.ctx, store.Check("/a", i+1), store.Check("/a", store.AnyVersion)); err != nil {
			t.Error(err)
		}
	}
	if data, st := t.get("/a"); data != "2" || st.Version != 3 {
		t.Errorf("%q, %+v", data, st)
	}
	_, err := t.Set(t.ctx, "/no", nil, 0)
	t.wants(err, store.ErrNoNode)
	t.wants(t.Delete(t.ctx, "/no", 0), store.ErrNoNode)
	if err := t.Delete(t.ctx, "/a", 3); err != nil {
		t.Fatal(err)
	}
	t.create("/a", "", store.Persistent)
	if _, st := t.get("/a"); st.Version != 0 {
		t.Errorf("a node that comes again has version %d", st.Version)
	}
}

func stats(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	t.create("/a", "", store.Persistent)
	_, born := t.get("/a")
	if born.Czxid == 0 || born.Mzxid != born.Czxid || born.Pzxid != born.Czxid || born.Ctime == 0 || born.Mtime != born.Ctime ||
		born.Version != 0 || born.Cversion != 0 || born.Owner != 0 || born.NumChildren != 0 {
		t.Errorf("new: %+v", born)
	}
	// The version of the children counts both their comings and their goings.
	t.create("/a/x", "", store.Persistent)
	t.create("/a/y", "", store.Persistent)
	_, two := t.get("/a")
	if two.Cversion != 2 || two.NumChildren != 2 || two.Pzxid <= born.Pzxid || two.Version != 0 || two.Mzxid != born.Mzxid {
		t.Errorf("with two children: %+v", two)
	}
	t.delete("/a/x")
	_, one := t.get("/a")
	if one.Cversion != 3 || one.NumChildren != 1 || one.Pzxid <= two.Pzxid {
		t.Errorf("with one child: %+v", one)
	}
	t.set("/a/y", "1")
	set := t.set("/a", "1")
	if set.Version != 1 || set.Cversion != 3 || set.Mzxid <= one.Pzxid || set.Czxid != born.Czxid || set.Pzxid != one.Pzxid {
		t.Errorf("set: %+v", set)
	}
	if st, ok, err := t.Exists(t.ctx, "/a"); err != nil || !ok || st != set {
		t.Errorf("Exists says %+v, Set said %+v (%v)", st, set, err)
	}
	if _, st, err := t.Children(t.ctx, "/a"); err != nil || st != set {
		t.Errorf("Children says %+v, Set said %+v (%v)", st, set, err)
	}
	t.create("/b", "", store.Persistent)
	if _, later := t.get("/b"); later.Czxid <= set.Mzxid {
		t.Errorf("czxid %d after %d", later.Czxid, set.Mzxid)
	}
}

func deleteRefuses(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	t.create("/a", "", store.Persistent)
	t.create("/a/b", "", store.Persistent)
	t.wants(t.Delete(t.ctx, "/a", store.AnyVersion), store.ErrNotEmpty)
	t.wants(t.Delete(t.ctx, "/a", 0), store.ErrNotEmpty)
	t.wants(t.Delete(t.ctx, "/a", 1), store.ErrBadVersion)
	t.delete("/a/b")
	t.delete("/a")
	t.wants(t.Delete(t.ctx, "/a", store.AnyVersion), store.ErrNoNode)
}

func sequentialNames(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	t.create("/s", "", store.Persistent)
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	want(t.create("/s/n_", "", store.Sequential), "/s/n_0000000000")
	want(t.create("/s/n_", "", store.Sequential|store.Ephemeral), "/s/n_0000000001")
	t.delete("/s/n_0000000001")
	want(t.create("/s/other_", "", store.Sequential), "/s/other_0000000002")
	t.create("/s/plain", "", store.Persistent)
	t.delete("/s/plain")
	want(t.create("/s/n_", "", store.Sequential), "/s/n_0000000004")
	want(t.create("/s/", "", store.Sequential), "/s/0000000005")
	r, err := t.Multi(t.ctx, store.Create("/s/n_", nil, store.Sequential), store.Create("/s/n_", nil, store.Sequential))
	if err != nil {
		t.Fatal(err)
	}
	want(r[0].Path, "/s/n_0000000006")
	want(r[1].Path, "/s/n_0000000007")
}

func children(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	for _, path := range []string{"/a", "/a/z", "/a/b", "/a/b/deep", "/a/B", "/a/b.c", "/ab", "/a/ä", "/a/é"} {
		t.create(path, "", store.Persistent)
	}
	names, st, err := t.Children(t.ctx, "/a")
	if want := []string{"B", "b", "b.c", "z", "ä", "é"}; err != nil || !slices.Equal(names, want) || st.NumChildren != 6 {
		t.Errorf("%q, %+v, %v; want %q", names, st, err, want)
	}
	if names, _, err := t.Children(t.ctx, "/ab"); err != nil || len(names) != 0 {
		t.Errorf("%q, %v", names, err)
	}
	names, _, err = t.Children(t.ctx, "/")
	if err != nil || !slices.Contains(names, "a") || !slices.Contains(names, "ab") || slices.Contains(names, "") {
		t.Errorf("%q, %v", names, err)
	}
	_, _, err = t.Children(t.ctx, "/no")
	t.wants(err, store.ErrNoNode)
	_, _, err = t.Get(t.ctx, "/no")
	t.wants(err, store.ErrNoNode)
	if t.exists("/no") {
		t.Error("/no is there")
	}
}

func helpers(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	for _, path := range append(store.PersistentPaths(), store.PersistentPaths()...) {
		if err := store.MakeSure(t.ctx, t.Store, path); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range append(store.PersistentPaths(), "/brokers", "/config", "/admin") {
		if data, _, err := t.Get(t.ctx, path); err != nil || data != nil {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	path := store.ConsumerOffsetPath("g", "t", 7)
	if made, err := store.CreateAll(t.ctx, t.Store, path, store.EncodeConsumerOffset(42), store.Persistent); err != nil || made != path {
		t.Fatal(made, err)
	}
	if data, _ := t.get(path); data != "42" {
		t.Errorf("%q", data)
	}
	_, err := store.CreateAll(t.ctx, t.Store, path, nil, store.Persistent)
	t.wants(err, store.ErrNodeExists)
	for range 2 {
		if err := store.DeleteAll(t.ctx, t.Store, store.ConsumersPath+"/g"); err != nil {
			t.Fatal(err)
		}
	}
	if names, _, err := t.Children(t.ctx, store.ConsumersPath); err != nil || len(names) != 0 {
		t.Errorf("%q, %v", names, err)
	}
}

func largeContent(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	large := bytes.Repeat([]byte("x"), 1_000_000) // a server takes a little over 1 MB unless told otherwise
	if _, err := t.Create(t.ctx, "/large", large, store.Persistent); err != nil {
		t.Fatal(err)
	}
	if data, _, err := t.Get(t.ctx, "/large"); err != nil || !bytes.Equal(data, large) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	_, err := t.Set(t.ctx, "/large", make([]byte, store.MaxData+1), store.AnyVersion)
	t.wants(err, store.ErrTooLarge)
	if _, err := t.Set(t.ctx, "/large", nil, 0); err != nil {
		t.Error(err)
	}
}

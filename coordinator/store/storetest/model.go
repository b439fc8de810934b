package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"barnabas/coordinator/store"
)

// modelNode is what the model knows of a node.
type modelNode struct {
	data                       string // "-" is null
	version, creates, children int32
	ephemeral                  bool
}

// modelTree is ZooKeeper in the fewest words: a map.
type modelTree map[string]modelNode

func (m modelTree) do(op store.Op) (string, error) {
	parent, above := m[store.Parent(op.Path)], store.Parent(op.Path)
	_, aboveThere := m[above]
	path := op.Path
	if op.Kind == store.OpCreate && op.Mode&store.Sequential != 0 && aboveThere {
		path += fmt.Sprintf("%010d", parent.creates)
	}
	n, there := m[path]
	switch {
	case op.Kind == store.OpCreate:
		switch {
		case !aboveThere:
			return "", store.ErrNoNode
		case there:
			return "", store.ErrNodeExists
		case parent.ephemeral:
			return "", store.ErrNoChildrenForEphemerals
		}
		m[path] = modelNode{data: text(op.Data), ephemeral: op.Mode&store.Ephemeral != 0}
		parent.creates++
		parent.children++
		m[above] = parent
		return path, nil
	case !there:
		return "", store.ErrNoNode
	case op.Version != store.AnyVersion && op.Version != n.version:
		return "", store.ErrBadVersion
	case op.Kind == store.OpSet:
		n.data, n.version = text(op.Data), n.version+1
		m[path] = n
	case op.Kind == store.OpDelete:
		if n.children > 0 {
			return "", store.ErrNotEmpty
		}
		delete(m, path)
		parent.children--
		m[above] = parent
	}
	return path, nil
}

func text(data []byte) string {
	if data == nil {
		return "-"
	}
	return string(data)
}

// model does random steps, alone and in Multi, in the store and in the model, and compares outcomes and trees.
func model(tt *testing.T, tree Tree) {
	t := begin(tt, tree)
	run := 0
	path := rapid.SampledFrom([]string{"/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/d"})
	data := rapid.SampledFrom([][]byte{nil, {}, []byte("1"), []byte("2")})
	version := rapid.SampledFrom([]int32{store.AnyVersion, 0, 1, 2})
	mode := rapid.SampledFrom([]store.Mode{store.Persistent, store.Ephemeral, store.Sequential, store.Ephemeral | store.Sequential})
	step := rapid.Custom(func(r *rapid.T) store.Op {
		switch rapid.IntRange(0, 5).Draw(r, "kind") {
		case 0, 1, 2:
			return store.Create(path.Draw(r, "path"), data.Draw(r, "data"), mode.Draw(r, "mode"))
		case 3:
			return store.Set(path.Draw(r, "path"), data.Draw(r, "data"), version.Draw(r, "version"))
		case 4:
			return store.Delete(path.Draw(r, "path"), version.Draw(r, "version"))
		default:
			return store.Check(path.Draw(r, "path"), version.Draw(r, "version"))
		}
	})
	rapid.Check(tt, func(r *rapid.T) {
		run++
		base := fmt.Sprintf("/run%d", run)
		t.create(base, "", store.Persistent)
		m := modelTree{"/": {}}
		for range rapid.IntRange(1, 12).Draw(r, "writes") {
			ops := rapid.SliceOfN(step, 1, 4).Draw(r, "ops")
			after, want := maps.Clone(m), error(nil)
			paths := make([]string, len(ops))
			based := slices.Clone(ops)
			for i, op := range ops {
				based[i].Path = base + op.Path
				if want == nil {
					paths[i], want = after.do(op)
				}
			}
			got, err := t.Multi(t.ctx, based...)
			if !errors.Is(err, want) || (want == nil) != (err == nil) {
				r.Fatalf("%+v: %v, want %v", ops, err, want)
			}
			if want != nil {
				continue
			}
			m = after
			for i, op := range ops {
				if op.Kind == store.OpCreate && got[i].Path != base+paths[i] {
					r.Fatalf("%+v made %s, want %s", op, got[i].Path, base+paths[i])
				}
			}
		}
		compare(r, t, base, m)
		if err := store.DeleteAll(t.ctx, t.Store, base); err != nil {
			r.Fatal(err)
		}
	})
}

func compare(r *rapid.T, t tester, base string, m modelTree) {
	for path, want := range m {
		at := base + strings.TrimSuffix(path, "/")
		data, st, err := t.Store.Get(t.ctx, at)
		if err != nil {
			r.Fatalf("%s: %v", path, err)
		}
		got := modelNode{data: text(data), version: st.Version, creates: (st.Cversion + st.NumChildren) / 2,
			children: st.NumChildren, ephemeral: st.Owner != 0}
		if path == "/" {
			want.data = "" // the base
		}
		if got != want {
			r.Fatalf("%s: %+v, want %+v", path, got, want)
		}
		var names []string
		for other := range m {
			if other != "/" && store.Parent(other) == path {
				names = append(names, store.Name(other))
			}
		}
		slices.Sort(names)
		there, _, err := t.Store.Children(t.ctx, at)
		if err != nil || !slices.Equal(there, names) {
			r.Fatalf("children of %s: %q, %v; want %q", path, there, err, names)
		}
	}
}

package embedded

import (
	"fmt"
	"maps"

	"barnabas/coordinator/store"
)

// overlay is a state of the tree that is not written yet: changes over a view. A nil node is one that has gone.
type overlay struct {
	view    view
	changes map[string]*node
}

func (o *overlay) node(path string) (*node, error) {
	if n, ok := o.changes[path]; ok {
		return n, nil
	}
	return o.view.node(path)
}

// tx is one write (a Multi) under way. It works on an overlay of its own over the overlay of the writes before it, which
// takes the changes when all steps have succeeded.
type tx struct {
	under   *overlay
	changes map[string]*node
	zxid    int64
	now     int64 // ms
	session *session
	fired   []change
}

// change is something that watches look out for.
type change struct {
	path     string
	children bool // the list of children changed, not the node
}

func (t *tx) node(path string) (*node, error) {
	if n, ok := t.changes[path]; ok {
		return n, nil
	}
	return t.under.node(path)
}

// edit is a copy of a node that this tx may change.
func (t *tx) edit(path string, n *node) *node {
	c := *n
	t.changes[path] = &c
	return &c
}

// run does the steps in order and says which failed why. Nothing has happened then.
func (t *tx) run(ops []store.Op) ([]store.Result, error) {
	results := make([]store.Result, len(ops))
	for i, op := range ops {
		var err error
		switch op.Kind {
		case store.OpCreate:
			results[i].Path, err = t.create(op)
		case store.OpSet:
			results[i].Stat, err = t.set(op)
		case store.OpDelete:
			err = t.delete(op)
		case store.OpCheck:
			_, err = t.existing(op)
		default:
			err = fmt.Errorf("no such operation: %d", op.Kind)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", op.Path, err)
			clear(results)
			results[i].Err = err
			return results, err
		}
	}
	return results, nil
}

// keep hands the changes on to the overlay.
func (t *tx) keep() { maps.Copy(t.under.changes, t.changes) }

func (t *tx) create(op store.Op) (string, error) {
	if op.Path == "/" {
		return "", store.ErrNodeExists
	}
	above := store.Parent(op.Path)
	parent, err := t.node(above)
	if err != nil {
		return "", err
	}
	if parent == nil {
		return "", store.ErrNoNode
	}
	path := op.Path
	if op.Mode&store.Sequential != 0 {
		path += fmt.Sprintf("%010d", parent.creates)
	}
	there, err := t.node(path)
	if err != nil {
		return "", err
	}
	if there != nil {
		return "", store.ErrNodeExists
	}
	if parent.owner != 0 {
		return "", store.ErrNoChildrenForEphemerals
	}
	n := &node{czxid: t.zxid, mzxid: t.zxid, pzxid: t.zxid, ctime: t.now, mtime: t.now, data: clone(op.Data)}
	if op.Mode&store.Ephemeral != 0 {
		n.owner = t.session.id
	}
	t.changes[path] = n
	parent = t.edit(above, parent)
	parent.creates++
	parent.children++
	parent.pzxid = t.zxid
	t.fired = append(t.fired, change{path: path}, change{path: above, children: true})
	return path, nil
}

func (t *tx) set(op store.Op) (store.Stat, error) {
	n, err := t.existing(op)
	if err != nil {
		return store.Stat{}, err
	}
	n = t.edit(op.Path, n)
	n.data = clone(op.Data)
	n.version++
	n.mzxid, n.mtime = t.zxid, t.now
	t.fired = append(t.fired, change{path: op.Path})
	return n.stat(), nil
}

func (t *tx) delete(op store.Op) error {
	n, err := t.existing(op)
	if err != nil {
		return err
	}
	if n.children > 0 {
		return store.ErrNotEmpty
	}
	t.changes[op.Path] = nil
	above := store.Parent(op.Path)
	parent, err := t.node(above)
	if err != nil {
		return err
	}
	parent = t.edit(above, parent)
	parent.children--
	parent.pzxid = t.zxid
	t.fired = append(t.fired, change{path: op.Path}, change{path: op.Path, children: true}, change{path: above, children: true})
	return nil
}

// existing is the node of a step, which must be there in the version that the step names.
func (t *tx) existing(op store.Op) (*node, error) {
	n, err := t.node(op.Path)
	switch {
	case err != nil:
		return nil, err
	case n == nil:
		return nil, store.ErrNoNode
	case op.Version != store.AnyVersion && op.Version != n.version:
		return nil, store.ErrBadVersion
	}
	return n, nil
}

// checkOps refuses steps that no state of the tree could accept.
func checkOps(ops []store.Op) error {
	if err := store.CheckOps(ops); err != nil {
		return err
	}
	for _, op := range ops {
		if len(op.Path) > maxPath-10 { // a sequence may follow
			return fmt.Errorf("%.200q: %w", op.Path, store.ErrBadPath)
		}
	}
	return nil
}

func checkPath(path string) error {
	if len(path) > maxPath {
		return store.ErrBadPath
	}
	return store.CheckPath(path)
}

// clone keeps the difference between null and empty.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

package zk

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/go-zookeeper/zk"

	"barnabas/coordinator/store"
)

// near is the size of content from which on a broken connection may mean that the server takes no packet of that size
// (jute.maxbuffer, by default 1 MB less one byte).
const near = 900_000

func (s *Store) Create(ctx context.Context, path string, data []byte, mode store.Mode) (string, error) {
	return store.CreateBy(ctx, s, path, data, mode)
}

func (s *Store) Set(ctx context.Context, path string, data []byte, version int32) (store.Stat, error) {
	return store.SetBy(ctx, s, path, data, version)
}

func (s *Store) Delete(ctx context.Context, path string, version int32) error {
	return store.DeleteBy(ctx, s, path, version)
}

func (s *Store) Multi(ctx context.Context, ops ...store.Op) ([]store.Result, error) {
	ses, err := s.session()
	if err != nil {
		return nil, err
	}
	if err := store.CheckOps(ops); err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		return []store.Result{}, nil
	}
	size, repeat := 0, again
	for _, op := range ops {
		size += len(op.Data)
		if op.Kind == store.OpCreate && op.Mode&store.Sequential != 0 {
			repeat = once
		}
	}
	if size > near {
		repeat = once
	}
	requests := ses.requests(ops)
	answers, broken, err := request(ctx, s, ses, repeat, func(c *zk.Conn) ([]zk.MultiResponse, error) {
		return c.Multi(requests...)
	})
	switch {
	case err == nil:
		return ses.results(ops, answers), nil
	case broken && refused(err):
		if results, ok := s.done(ctx, ses, ops); ok {
			return results, nil
		}
	case broken && size > near:
		err = fmt.Errorf("%w (%d bytes; the server's jute.maxbuffer may be less)", err, size)
	}
	return failure(ops, answers, err)
}

func (s *session) requests(ops []store.Op) []any {
	requests := make([]any, len(ops))
	for i, op := range ops {
		path := s.absolute(op.Path)
		switch op.Kind {
		case store.OpCreate: // our modes are the library's flags
			requests[i] = &zk.CreateRequest{Path: path, Data: op.Data, Acl: zk.WorldACL(zk.PermAll), Flags: int32(op.Mode)}
		case store.OpSet:
			requests[i] = &zk.SetDataRequest{Path: path, Data: op.Data, Version: op.Version}
		case store.OpDelete:
			requests[i] = &zk.DeleteRequest{Path: path, Version: op.Version}
		case store.OpCheck:
			requests[i] = &zk.CheckVersionRequest{Path: path, Version: op.Version}
		}
	}
	return requests
}

func (s *session) results(ops []store.Op, answers []zk.MultiResponse) []store.Result {
	results := make([]store.Result, len(ops))
	for i := range min(len(ops), len(answers)) {
		if ops[i].Kind == store.OpCreate {
			results[i].Path = s.relative(answers[i].String)
		}
		results[i].Stat = statOf(answers[i].Stat)
	}
	return results
}

// failure finds the step that failed: the first with an error, as the server marks the steps after it too.
func failure(ops []store.Op, answers []zk.MultiResponse, err error) ([]store.Result, error) {
	for i, a := range answers {
		if a.Error != nil && i < len(ops) {
			err = fmt.Errorf("%s: %w", ops[i].Path, storeError(a.Error))
			results := make([]store.Result, len(ops))
			results[i].Err = err
			return results, err
		}
	}
	return nil, fmt.Errorf("%s: %w", ops[0].Path, err)
}

// refused says whether an error is one that a write meets when it has been done before.
func refused(err error) bool {
	return errors.Is(err, store.ErrNodeExists) || errors.Is(err, store.ErrBadVersion) || errors.Is(err, store.ErrNoNode) ||
		errors.Is(err, store.ErrNotEmpty)
}

// outcome is how steps leave a node.
type outcome struct {
	gone      bool
	data      []byte
	version   int32 // unknown: -1
	ephemeral bool
	known     bool // created by these steps, so that its version is
}

// done looks whether steps that were refused when they were repeated had been done the first time: whether the nodes are
// now as they would have left them. At least one node must bear our mark, content or an owner: that a node without content
// exists is no evidence that we made it.
func (s *Store) done(ctx context.Context, ses *session, ops []store.Op) ([]store.Result, bool) {
	left := map[string]outcome{}
	for _, op := range ops {
		was := left[op.Path]
		switch op.Kind {
		case store.OpCreate:
			left[op.Path] = outcome{data: op.Data, ephemeral: op.Mode&store.Ephemeral != 0, known: true}
		case store.OpSet:
			was.data = op.Data
			switch {
			case was.known:
				was.version++
			case op.Version != store.AnyVersion:
				was.version = op.Version + 1
			default:
				was.version = -1
			}
			left[op.Path] = was
		case store.OpDelete:
			left[op.Path] = outcome{gone: true}
		}
	}
	stats, mark := map[string]store.Stat{}, false
	for path, want := range left {
		n, _, err := request(ctx, s, ses, again, func(c *zk.Conn) (node, error) { return get(c, ses.absolute(path)) })
		if want.gone {
			if !errors.Is(err, store.ErrNoNode) {
				return nil, false
			}
			mark = true
			continue
		}
		if err != nil || !bytes.Equal(n.data, want.data) || want.version >= 0 && n.stat.Version != want.version ||
			want.ephemeral && n.stat.Owner != ses.ID() {
			return nil, false
		}
		mark = mark || want.ephemeral || want.data != nil
		stats[path] = n.stat
	}
	if !mark {
		return nil, false
	}
	results := make([]store.Result, len(ops))
	for i, op := range ops {
		switch op.Kind {
		case store.OpCreate:
			results[i].Path = op.Path
		case store.OpSet:
			results[i].Stat = stats[op.Path]
		}
	}
	return results, true
}

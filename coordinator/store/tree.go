package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// CheckPath says whether a path names a node: it starts with a slash, and but for the root itself has no empty name and
// no trailing slash. "." and ".." are no names, as in ZooKeeper; neither are control characters.
func CheckPath(path string) error {
	if path == "/" {
		return nil
	}
	if !strings.HasPrefix(path, "/") {
		return ErrBadPath
	}
	for name := range strings.SplitSeq(path[1:], "/") {
		if name == "" || name == "." || name == ".." || strings.ContainsFunc(name, forbidden) {
			return ErrBadPath
		}
	}
	return nil
}

// forbidden are the characters that ZooKeeper refuses in a path: it looks at UTF-16 units and takes no surrogates, which
// rules out all beyond U+FFFF. What is not UTF-8 comes as U+FFFD and is refused too.
func forbidden(r rune) bool {
	return r < 0x20 || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0
}

// CheckOps refuses, as every store must, steps that no tree could accept: malformed paths, content beyond MaxData, the
// root's deletion.
func CheckOps(ops []Op) error {
	for _, op := range ops {
		path := op.Path
		if op.Kind == OpCreate && op.Mode&Sequential != 0 {
			path += "0" // "/folder/" is well: it makes a name of digits alone
		}
		err := CheckPath(path)
		switch {
		case err != nil:
		case op.Kind < OpCreate || op.Kind > OpCheck:
			err = fmt.Errorf("no such operation: %d", op.Kind)
		case op.Kind == OpDelete && op.Path == "/":
			err = ErrBadPath
		case len(op.Data) > MaxData:
			err = fmt.Errorf("%d bytes: %w", len(op.Data), ErrTooLarge)
		}
		if err != nil {
			return fmt.Errorf("%.200q: %w", op.Path, err)
		}
	}
	return nil
}

// Parent is the path of the node above, "/" for the topmost ones.
func Parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// Name is the last part of a path.
func Name(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// CreateAll is Create after the missing parents have been made, persistent and with null data.
func CreateAll(ctx context.Context, s Store, path string, data []byte, mode Mode) (string, error) {
	made, err := s.Create(ctx, path, data, mode)
	if !errors.Is(err, ErrNoNode) || Parent(path) == "/" {
		return made, err
	}
	if err := MakeSure(ctx, s, Parent(path)); err != nil {
		return "", err
	}
	return s.Create(ctx, path, data, mode)
}

// MakeSure makes a node and its parents, persistent and with null data, unless they are there.
func MakeSure(ctx context.Context, s Store, path string) error {
	_, err := CreateAll(ctx, s, path, nil, Persistent)
	if errors.Is(err, ErrNodeExists) {
		return nil
	}
	return err
}

// DeleteAll deletes a node and everything below it, the deepest first. What is gone already is no error. It is not one
// step: a node that appears below meanwhile makes it fail with ErrNotEmpty.
func DeleteAll(ctx context.Context, s Store, path string) error {
	children, _, err := s.Children(ctx, path)
	if err != nil && !errors.Is(err, ErrNoNode) {
		return err
	}
	for _, name := range children {
		if err := DeleteAll(ctx, s, strings.TrimSuffix(path, "/")+"/"+name); err != nil {
			return err
		}
	}
	if err := s.Delete(ctx, path, AnyVersion); err != nil && !errors.Is(err, ErrNoNode) {
		return err
	}
	return nil
}

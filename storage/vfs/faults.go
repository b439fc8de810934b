package vfs

import (
	"path/filepath"
	"sync"
)

// Rule makes some accesses fail.
type Rule struct {
	Op Op // "" is every kind
	// Glob is matched with the last element of the name, as filepath.Match does; "" is every name.
	Glob string
	// Nth is which of the matching accesses fails, counted from 1; 0 is all of them.
	Nth int
	// Then says that the accesses after the Nth fail too: a broken disk stays broken.
	Then bool
	Err  error
	// Short is how many bytes of a failing write reach the file.
	Short int
}

// WithFaults makes accesses to fsys fail by the first rule that matches.
func WithFaults(fsys FS, rules ...Rule) FS {
	f := &faults{rules: rules, seen: make([]int, len(rules))}
	return WithHook(fsys, f.check)
}

type faults struct {
	mu    sync.Mutex // guards seen
	seen  []int      // accesses that matched, per rule
	rules []Rule
}

func (f *faults) check(op Op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, r := range f.rules {
		if r.Op != "" && r.Op != op {
			continue
		}
		if r.Glob != "" {
			if ok, _ := filepath.Match(r.Glob, filepath.Base(name)); !ok {
				continue
			}
		}
		f.seen[i]++
		if n := f.seen[i]; r.Nth != 0 && n != r.Nth && (!r.Then || n < r.Nth) {
			continue
		}
		if op == OpWrite && r.Short > 0 {
			return &ShortWrite{N: r.Short, Err: r.Err}
		}
		return r.Err
	}
	return nil
}

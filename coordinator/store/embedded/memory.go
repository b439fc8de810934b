package embedded

import (
	"maps"
	"slices"
	"sync"

	"barnabas/coordinator/store"
)

// memory is a backend that forgets.
type memory struct {
	mu    sync.RWMutex // guards both maps
	nodes map[string]*node
	names map[string]map[string]struct{} // the children of a path
}

func newMemory() *memory {
	return &memory{nodes: map[string]*node{"/": {}}, names: map[string]map[string]struct{}{}}
}

func (m *memory) start() (int64, int64, []string, error) { return 1, 0, nil, nil }
func (m *memory) close() error                           { return nil }

func (m *memory) read(f func(view) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return f(m)
}

func (m *memory) node(path string) (*node, error) { return m.nodes[path], nil }

func (m *memory) children(path string) []string {
	return slices.Sorted(maps.Keys(m.names[path]))
}

func (m *memory) commit(changes map[string]*node, _ int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for path, n := range changes {
		parent, name := store.Parent(path), store.Name(path)
		if n == nil {
			delete(m.nodes, path)
			delete(m.names[parent], name)
			continue
		}
		m.nodes[path] = n
		if path == "/" {
			continue
		}
		if m.names[parent] == nil {
			m.names[parent] = map[string]struct{}{}
		}
		m.names[parent][name] = struct{}{}
	}
	return nil
}

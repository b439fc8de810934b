package vfs

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// Crash says what a CrashClone keeps of what was not made durable.
type Crash struct {
	// Process: only the process died, the machine lives; everything written is there.
	Process bool
	// Rand, when the machine died, tears: each file that grew since its last Sync keeps a random part of the growth, one
	// that was cut or written in place has by chance its old or its new size and the new bytes up to a random place, and
	// each directory by chance its newest names or the durable ones. Nil loses all that was not made durable.
	Rand *rand.Rand
}

// CrashClone is an independent file system as it looks after a crash at this instant. Locks are gone.
func (m *Mem) CrashClone(c Crash) *Mem {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return &Mem{Now: m.Now, root: c.clone(m.root)}
}

func (c Crash) clone(n *memNode) *memNode {
	if !n.dir {
		data := c.content(n)
		return &memNode{modTime: n.modTime, data: data, durable: bytes.Clone(data)}
	}
	names := n.names
	if !c.Process && (c.Rand == nil || c.Rand.IntN(2) == 0) {
		names = n.durableNames
	}
	copied := &memNode{dir: true, modTime: n.modTime, names: make(map[string]*memNode, len(names)), durableNames: make(map[string]*memNode, len(names))}
	for _, name := range slices.Sorted(maps.Keys(names)) { // in order, so that a seed means one outcome
		node := c.clone(names[name])
		copied.names[name], copied.durableNames[name] = node, node
	}
	return copied
}

func (c Crash) content(n *memNode) []byte {
	switch {
	case c.Process:
		return bytes.Clone(n.data)
	case c.Rand == nil:
		return bytes.Clone(n.durable)
	case bytes.HasPrefix(n.data, n.durable):
		grown := len(n.data) - len(n.durable)
		return bytes.Clone(n.data[:len(n.durable)+c.Rand.IntN(grown+1)])
	}
	size := len(n.durable)
	if c.Rand.IntN(2) == 0 {
		size = len(n.data)
	}
	torn := make([]byte, size)
	copy(torn, n.durable)
	copy(torn, n.data[:c.Rand.IntN(len(n.data)+1)])
	return torn
}

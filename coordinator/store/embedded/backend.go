package embedded

// backend is where the nodes lie: bolt.go in a file, memory.go for tests. One goroutine writes, any number read.
type backend interface {
	// read calls f with a view that does not change while f runs.
	read(f func(view) error) error
	// commit makes the changes and the new zxid durable, all or nothing. A nil node is one that goes.
	commit(changes map[string]*node, zxid int64) error
	// start is called once, before all else: it counts this opening of the tree and gives that count, with the last
	// zxid and the paths of the ephemeral nodes that the previous process left.
	start() (opening, zxid int64, ephemerals []string, err error)
	close() error
}

// view is a state of the tree.
type view interface {
	node(path string) (*node, error) // nil when there is none
	children(path string) []string   // ascending
}

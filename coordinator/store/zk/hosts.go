package zk

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// hosts tells the library which server to try next. It hands out names, which are resolved by each dial.
type hosts struct {
	mu      sync.Mutex // guards what follows
	servers []string   // in random order, so that the clients of a cluster spread
	next    int
	tried   int // since the last success or pause
}

func (h *hosts) Init(servers []string) error {
	h.servers = slices.Clone(servers)
	rand.Shuffle(len(h.servers), func(i, j int) { h.servers[i], h.servers[j] = h.servers[j], h.servers[i] })
	return nil
}

func (h *hosts) Len() int { return len(h.servers) }

// Next is the server to try. pause says that all have been tried in vain: the library then waits for a second. After a
// connection that has worked the first round begins at once, so that a restart of a server costs no more than it takes.
func (h *hosts) Next() (server string, pause bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tried == len(h.servers) {
		h.tried, pause = 0, true
	}
	h.tried++
	server = h.servers[h.next]
	h.next = (h.next + 1) % len(h.servers)
	return server, pause
}

// Connected says that the last server answered.
func (h *hosts) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tried = 0
}

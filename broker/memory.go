package broker

import (
	"context"
	"slices"
	"sync"
)

// requestMemory bounds the memory of requests that are read and in work, over all connections (queued.max.request.bytes,
// KIP-72). As in Kafka a request of any size is let in while anything is left, so that the most in use is the bound and one
// request more, and none waits for ever because it is large. What it takes is the size of its frame, once the first 64 KB of
// it have come: so much each connection may hold without asking, and a client that claims much and sends little takes nothing
// from others.
//
// A request with many elements takes more once they are counted (takeMore). It holds memory while it waits for that, and so
// may all others: one of them at a time goes on whatever is left, so they do not wait for each other for ever.
type requestMemory struct {
	mu   sync.Mutex // guards all below
	left int64      // negative when more is in use than the bound
	more int        // requests that have taken more
	// waiting are those that want memory, first come first served, but whoever waits for more goes first.
	waiting, waitingMore []*memoryWait
}

type memoryWait struct {
	n       int64
	granted chan struct{} // closed with requestMemory.mu held
}

// newRequestMemory is nil, which bounds nothing, when the bound is not positive.
func newRequestMemory(bound int64) *requestMemory {
	if bound <= 0 {
		return nil
	}
	return &requestMemory{left: bound}
}

// take waits until anything is left and takes n bytes, for give to give back. The error is the context's, and nothing is
// taken then.
func (m *requestMemory) take(ctx context.Context, n int64) error {
	return m.wait(ctx, &m.waiting, n)
}

// takeMore is take for a request that holds memory already; n must be positive.
func (m *requestMemory) takeMore(ctx context.Context, n int64) error {
	return m.wait(ctx, &m.waitingMore, n)
}

func (m *requestMemory) wait(ctx context.Context, queue *[]*memoryWait, n int64) error {
	m.mu.Lock()
	w := &memoryWait{n: n, granted: make(chan struct{})}
	*queue = append(*queue, w)
	m.grant()
	m.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(*queue, w); i >= 0 {
		*queue = slices.Delete(*queue, i, i+1)
		return ctx.Err()
	}
	return nil // it was granted meanwhile
}

// give gives back n bytes, those among them that were taken by takeMore being more.
func (m *requestMemory) give(n, more int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left += n
	if more > 0 {
		m.more--
	}
	m.grant()
}

// grant lets in whoever may come in.
func (m *requestMemory) grant() {
	for len(m.waitingMore) > 0 && (m.left > 0 || m.more == 0) {
		m.more++
		m.pop(&m.waitingMore)
	}
	for len(m.waiting) > 0 && m.left > 0 {
		m.pop(&m.waiting)
	}
}

func (m *requestMemory) pop(queue *[]*memoryWait) {
	w := (*queue)[0]
	*queue = slices.Delete(*queue, 0, 1)
	m.left -= w.n
	close(w.granted)
}

package broker

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// requestMemory bounds the memory of requests that are read and in work, over all connections (queued.max.request.bytes,
// KIP-72). As in Kafka a request is let in while anything is left, whatever it takes, so that the most in use is the bound and
// one request more, and none waits for ever because it is large. A request takes what it needs in steps: nothing for the first
// 64 KB of its frame, which each connection may hold without asking, then room for four times as much whenever the last is
// full. A client that claims much and sends little takes little from others.
//
// A request with many elements takes more once they are counted. Who takes more holds memory while it waits for that, and so
// may all others: one of them at a time goes on whatever is left, so they do not wait for each other for ever.
type requestMemory struct {
	answers *answerMemory // has a bound of its own
	wanted  atomic.Bool   // somebody waits

	mu     sync.Mutex // guards all below, and the shares
	left   int64      // negative when more is in use than the bound
	beyond *share     // the one that has taken more than was left, and goes on whatever is left
	// waiting are those that want memory, first come first served, but whoever has some goes first.
	waiting, waitingMore []*memoryWait
}

// share is what one request has of the memory.
type share struct{ n int64 }

type memoryWait struct {
	share   *share
	n       int64
	granted chan struct{} // closed with requestMemory.mu held
}

// newRequestMemory is nil, which bounds nothing, when the bound is not positive.
func newRequestMemory(bound int64) *requestMemory {
	if bound <= 0 {
		return nil
	}
	return &requestMemory{left: bound, answers: newAnswerMemory(bound)}
}

// take waits until anything is left, or until it is the turn of this share if that has some already, and takes n bytes, which must
// be positive, for give to give back. The error is the context's, and nothing is taken then.
func (m *requestMemory) take(ctx context.Context, s *share, n int64) error {
	w := &memoryWait{share: s, n: n, granted: make(chan struct{})}
	m.mu.Lock()
	queue := &m.waiting
	if s.n > 0 {
		queue = &m.waitingMore
	}
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
		m.grant() // it may have been the one to go on
		return ctx.Err()
	}
	return nil // it was granted meanwhile
}

// give gives back all of a share.
func (m *requestMemory) give(s *share) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left += s.n
	s.n = 0
	if m.beyond == s {
		m.beyond = nil
	}
	m.grant()
}

// grant lets in whoever may come in.
func (m *requestMemory) grant() {
	for len(m.waitingMore) > 0 {
		next := 0
		if m.left <= 0 && m.beyond != nil {
			if next = slices.IndexFunc(m.waitingMore, func(w *memoryWait) bool { return w.share == m.beyond }); next < 0 {
				break
			}
		}
		m.pop(&m.waitingMore, next)
	}
	for len(m.waiting) > 0 && m.left > 0 {
		m.pop(&m.waiting, 0)
	}
	m.wanted.Store(len(m.waiting)+len(m.waitingMore) > 0)
}

func (m *requestMemory) pop(queue *[]*memoryWait, i int) {
	w := (*queue)[i]
	*queue = slices.Delete(*queue, i, i+1)
	if m.left -= w.n; m.left <= 0 && m.beyond == nil {
		m.beyond = w.share
	}
	w.share.n += w.n
	close(w.granted)
}

package broker

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// answerMemory bounds the memory of answers that their clients do not take, over all connections, by as much as the memory of
// requests (queued.max.request.bytes; Kafka has no bound of this). It counts what a connection holds while its socket takes no
// more, and what waits on one behind an answer that is not there yet; an answer on its way to a client that reads is not in it.
//
// Nobody who holds answers waits here: when they come to more than the bound, the connections end that have been at it for longest,
// but for the last. So there is the bound and one connection's more. Until those have let go of theirs no large answer is begun.
type answerMemory struct {
	mu      sync.Mutex    // guards all below, and what the holders say
	left    int64         // negative when more is held than the bound
	holders list.List     // of *holder, the oldest first
	leaving int64         // what those hold, not counted in left any more, who have been told to leave
	roomy   chan struct{} // closed when there is room for large answers; nil while there is
}

// owedFree is how much the answers that wait on a connection may hold, in bytes, before they count.
const owedFree = 64 << 10

// holder is a connection that holds answers.
type holder struct {
	// out is what its socket does not take at present, owes about what the answers hold that are behind it or are waited for. Both
	// are bytes. Whoever changes them calls count.
	out, owes atomic.Int64
	leave     func() // has the connection end; must not wait

	// Guarded by answerMemory.mu.
	n    int64         // what is counted
	at   *list.Element // nil when it holds nothing, or is gone
	gone bool          // has been told to leave, or has left
}

func newAnswerMemory(bound int64) *answerMemory { return &answerMemory{left: bound} }

// count looks at what a connection holds now. Its age counts from when that was nothing.
func (m *answerMemory) count(h *holder) {
	m.mu.Lock()
	n := h.out.Load()
	if owes := h.owes.Load(); owes > owedFree {
		n += owes
	}
	switch {
	case h.gone || n == h.n:
		m.mu.Unlock()
		return
	case n == 0:
		m.drop(h)
		h.n = 0
		m.mu.Unlock()
		return
	case h.at == nil:
		h.at = m.holders.PushBack(h)
	}
	m.left -= n - h.n
	h.n = n
	var leaving []*holder
	for m.left < 0 && m.holders.Len() > 1 {
		oldest := m.holders.Front().Value.(*holder)
		m.drop(oldest)
		oldest.gone = true
		m.leaving += oldest.n
		leaving = append(leaving, oldest)
	}
	m.settle()
	m.mu.Unlock()
	for _, h := range leaving {
		h.leave()
	}
}

// forget ends the count of a connection that has ended, and holds nothing any more.
func (m *answerMemory) forget(h *holder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.at != nil {
		m.drop(h)
	} else if h.gone {
		m.leaving -= h.n
	}
	h.n, h.gone = 0, true
	m.settle()
}

// drop takes a holder out; m.mu is held.
func (m *answerMemory) drop(h *holder) {
	m.left += h.n
	m.holders.Remove(h.at)
	h.at = nil
}

// settle says whether there is room for large answers; m.mu is held.
func (m *answerMemory) settle() {
	crowded := m.leaving > 0 && m.left < m.leaving
	switch {
	case crowded && m.roomy == nil:
		m.roomy = make(chan struct{})
	case !crowded && m.roomy != nil:
		close(m.roomy)
		m.roomy = nil
	}
}

// room is nil unless connections that have been told to leave hold what there is no room for, and then closed when they do not any
// more. Whoever is about to make a large answer looks first.
func (m *answerMemory) room() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roomy
}

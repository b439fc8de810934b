package controller

import (
	"context"
	"sync"
)

// fifo is a queue without bound whose put never blocks, so that the loop and its helpers cannot wait for each other.
// What is in it is bounded by what its writers owe: a watch, a request or a push leaves one entry each.
type fifo[T any] struct {
	mu    sync.Mutex // guards items and shut
	items []T
	shut  bool
	bell  chan struct{} // holds a token while items may be waiting
}

func newFIFO[T any]() *fifo[T] { return &fifo[T]{bell: make(chan struct{}, 1)} }

// put appends; false says that the queue is shut.
func (q *fifo[T]) put(item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.shut {
		return false
	}
	q.items = append(q.items, item)
	select {
	case q.bell <- struct{}{}:
	default:
	}
	return true
}

// take waits for the next item; false says that the context ended.
func (q *fifo[T]) take(ctx context.Context) (item T, ok bool) {
	for ctx.Err() == nil {
		q.mu.Lock()
		if len(q.items) > 0 {
			item, q.items[0] = q.items[0], item
			if q.items = q.items[1:]; len(q.items) == 0 {
				q.items = nil
			}
			q.mu.Unlock()
			return item, true
		}
		q.mu.Unlock()
		select {
		case <-q.bell:
		case <-ctx.Done():
		}
	}
	return item, false
}

// close shuts the queue and gives what was left in it.
func (q *fifo[T]) close() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := q.items
	q.items, q.shut = nil, true
	return left
}

package storage

import "sync"

// queue runs the background work of one log dir, one piece after the other, in a goroutine that lives only while there is
// some: a disk is not helped by many hands, and thousands of logs may roll at once.
type queue struct {
	mu      sync.Mutex // guards what follows
	idle    *sync.Cond // signalled when running becomes false; on mu
	work    []func()
	running bool
	stopped bool
}

// put adds work. After stop it is dropped: what it would have made durable is made so by the close, or by nobody.
func (q *queue) put(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	q.work = append(q.work, f)
	if !q.running {
		q.running = true
		go q.run()
	}
}

func (q *queue) run() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.work) > 0 {
		work := q.work
		q.work = nil
		q.mu.Unlock()
		for _, f := range work {
			f()
		}
		q.mu.Lock()
	}
	q.running = false
	q.idle.Broadcast()
}

// wait returns when no work is left.
func (q *queue) wait() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.running {
		q.idle.Wait()
	}
}

// stop takes no more work, and returns when what there was is done.
func (q *queue) stop() {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	q.wait()
}

package zk

import "barnabas/coordinator/store"

// change is what a watch looks out for: a node, or its list of children.
type change struct {
	path     string
	children bool
}

// watch is one look-out. It goes off once.
type watch struct {
	on change
	ch chan store.Event // holds the one event
}

// watches are those of a session. session.mu guards them.
type watches map[change]map[*watch]struct{}

func (w watches) leave(on change) *watch {
	one := &watch{on: on, ch: make(chan store.Event, 1)}
	if w[on] == nil {
		w[on] = map[*watch]struct{}{}
	}
	w[on][one] = struct{}{}
	return one
}

func (w watches) forget(one *watch) {
	delete(w[one.on], one)
	if len(w[one.on]) == 0 {
		delete(w, one.on)
	}
}

// fire sets off what looks out for a change.
func (w watches) fire(on change, err error) {
	for one := range w[on] {
		one.ch <- store.Event{Path: on.path, Err: err}
		close(one.ch)
	}
	delete(w, on)
}

// end sets off all.
func (w watches) end(err error) {
	for on := range w {
		w.fire(on, err)
	}
}

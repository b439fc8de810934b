package embedded

import "barnabas/coordinator/store"

// watch is one look-out, on a node or on its list of children. It goes off once.
type watch struct {
	on      change
	session *session
	ch      chan store.Event // holds the one event
}

// watches are all look-outs of a tree. DB.mu guards them.
type watches map[change]map[*watch]struct{}

// leave puts a watch.
func (w watches) leave(on change, s *session) *watch {
	one := &watch{on: on, session: s, ch: make(chan store.Event, 1)}
	if w[on] == nil {
		w[on] = map[*watch]struct{}{}
	}
	w[on][one] = struct{}{}
	return one
}

// take removes a watch; false when it has gone off already.
func (w watches) take(one *watch) bool {
	if _, ok := w[one.on][one]; !ok {
		return false
	}
	delete(w[one.on], one)
	if len(w[one.on]) == 0 {
		delete(w, one.on)
	}
	return true
}

// fire sets off what looks out for a change.
func (w watches) fire(on change) {
	for one := range w[on] {
		w.goOff(one, nil)
	}
}

// end sets off all watches of a session, with the reason.
func (w watches) end(s *session, err error) {
	for _, set := range w {
		for one := range set {
			if one.session == s {
				w.goOff(one, err)
			}
		}
	}
}

func (w watches) goOff(one *watch, err error) {
	if w.take(one) {
		one.ch <- store.Event{Path: one.on.path, Err: err}
		close(one.ch)
	}
}

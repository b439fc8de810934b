package controller

import (
	"context"
	"reflect"
	"slices"
	"sync"

	"barnabas/coordinator/store"
)

// watchesPerGroup is how many watches share a goroutine. Waiting costs some 200 bytes a watch, waking up takes time in
// proportion to the group.
const watchesPerGroup = 256

// watches turns store watches into events of the loop. A goroutine for each would cost a stack for each topic.
type watches struct {
	ctx   context.Context
	inbox *fifo[event]
	wg    sync.WaitGroup
	// groups belong to the loop; how full they are is counted by the events that come out of them.
	groups []*watchGroup
}

type watchGroup struct {
	joining chan watching
	size    int // belongs to the loop
}

// watching is a watch with what it means.
type watching struct {
	fired <-chan store.Event
	event event
	group *watchGroup
}

// fired is an event that came out of a watch.
type fired struct {
	event
	from *watchGroup
}

func newWatches(ctx context.Context, inbox *fifo[event]) *watches {
	return &watches{ctx: ctx, inbox: inbox}
}

// add has the event put into the inbox when the watch goes off. It is called by the loop only.
func (w *watches) add(c <-chan store.Event, ev event) {
	at := slices.IndexFunc(w.groups, func(g *watchGroup) bool { return g.size < watchesPerGroup })
	if at < 0 {
		g := &watchGroup{joining: make(chan watching)}
		w.groups = append(w.groups, g)
		at = len(w.groups) - 1
		w.wg.Go(func() { g.run(w.ctx, w.inbox) })
	}
	g := w.groups[at]
	g.size++
	select {
	case g.joining <- watching{c, ev, g}:
	case <-w.ctx.Done():
	}
}

// left counts a watch out of its group. It is called by the loop only.
func (w *watches) left(g *watchGroup) { g.size-- }

// wait returns when every goroutine has ended; the context must have ended before.
func (w *watches) wait() { w.wg.Wait() }

func (g *watchGroup) run(ctx context.Context, inbox *fifo[event]) {
	const fixed = 2 // the cases before those of watches
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(g.joining)},
	}
	var list []watching
	for {
		i, v, ok := reflect.Select(cases)
		switch i {
		case 0:
			return
		case 1:
			joined := v.Interface().(watching)
			list = append(list, joined)
			cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(joined.fired)})
			continue
		}
		at := i - fixed
		gone := list[at]
		list = slices.Delete(list, at, at+1)
		cases = slices.Delete(cases, i, i+1)
		// A watch that goes off with an error says that the session is over, which ends the term by another way.
		if e, _ := v.Interface().(store.Event); ok && e.Err == nil {
			inbox.put(fired{gone.event, g})
		}
	}
}

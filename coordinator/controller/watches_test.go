package controller

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"

	"barnabas/coordinator/store"
)

// TestManyTopics: a term with thousands of topics has few goroutines, and still hears of each.
func TestManyTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const topics = 3000
		e := newEnv(t)
		defer e.close()
		e.register(1, "")
		for i := range topics {
			e.createTopic(fmt.Sprint("t", i), map[int32][]int32{0: {1}})
		}
		e.run(1)
		before := runtime.NumGoroutine()
		e.settle()
		if more := runtime.NumGoroutine() - before; more > 2*topics/watchesPerGroup+10 {
			t.Errorf("%d goroutines for %d topics", more, topics)
		}
		for _, i := range []int{0, 1, topics / 2, topics - 1} {
			for p := int32(1); p < 4; p++ { // each change needs a new watch
				e.grow(fmt.Sprint("t", i), map[int32][]int32{p: {1}})
				e.settle()
				if _, there, err := e.outside.Exists(e.ctx(), store.PartitionStatePath(fmt.Sprint("t", i), p)); err != nil || !there {
					t.Errorf("t%d-%d was not heard of (%v)", i, p, err)
				}
			}
		}
	})
}

// TestWatchesEnd: what is left of a term's watches when it ends is nothing.
func TestWatchesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		inbox := newFIFO[event]()
		w := newWatches(ctx, inbox)
		quiet, failing := make(chan store.Event, 1), make(chan store.Event, 1)
		w.add(quiet, topicsChanged{})
		w.add(failing, topicsChanged{})
		failing <- store.Event{Err: store.ErrSession}
		synctest.Wait()
		if len(inbox.items) != 0 {
			t.Error("a watch that ended with its session became an event")
		}
		cancel()
		w.add(make(chan store.Event), topicsChanged{}) // after the end it is not kept, and nothing hangs
		w.wait()
	})
}

func TestFIFO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFIFO[int]()
		for i := range 3 {
			q.put(i)
		}
		for want := range 3 {
			if got, ok := q.take(t.Context()); !ok || got != want {
				t.Errorf("%d %v", got, ok)
			}
		}
		taken := make(chan int, 1)
		go func() { got, _ := q.take(t.Context()); taken <- got }()
		synctest.Wait()
		q.put(7)
		if got := <-taken; got != 7 {
			t.Error(got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, ok := q.take(ctx); ok {
			t.Error("took from an empty queue")
		}
		q.put(8)
		if left := q.close(); len(left) != 1 || q.put(9) {
			t.Error("a shut queue takes more")
		}
	})
}

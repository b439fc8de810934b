package api

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"

	"barnabas/coordinator/group"
	"barnabas/coordinator/runtime"
)

const (
	// gatherFree is how many elements of coordinators' answers a request may hold without leave, and gatherMost how many all that have
	// leave may hold together. An element takes some hundred bytes.
	gatherFree = 256
	gatherMost = 100_000
)

// leaves are those to hold more than gatherFree. They are held while a coordinator is waited for, so nobody who holds a turn may want
// one.
var leaves = semaphore.NewWeighted(gatherMost)

// gathered are the answers of coordinators to the questions of one request, in their order.
type gathered[R any] struct {
	answers []gatheredAnswer[R]
	leave   int64
}

type gatheredAnswer[R any] struct {
	value R
	err   error
}

// question is one of those that are asked, with how many elements its answer may have.
type question struct{ i, most int }

// gather asks coordinators n questions, each at first for no more than all of them may come to without leave, and then for what is more
// once there is leave: what coordinators give waits in memory until it is an answer, and there are as many who ask as there are
// connections. The questions are asked together. What is gathered must be ended; without it resp is all that there is to say: nothing,
// to a client that is gone.
func gather[R any](ctx context.Context, n int, ask func(i, most int) *runtime.Promise[R]) (g *gathered[R], resp Response) {
	g = &gathered[R]{answers: make([]gatheredAnswer[R], n)}
	open := make([]question, n)
	for i := range open {
		open[i] = question{i, gatherFree / n}
	}
	for {
		var size int
		var err error
		if open, size, err = g.ask(ctx, open, ask); err == nil && len(open) == 0 {
			return g, nil
		}
		g.end() // for some have grown since, and there must be leave for that
		switch {
		case err != nil:
			return nil, nil
		case size > answerMax:
			return nil, tooLarge{}
		}
		if g.leave, err = takeLeave(ctx, size); err != nil {
			return nil, nil
		}
	}
}

// takeLeave waits for leave to hold so many elements, to be released. What is little needs none. The error is the context's.
func takeLeave(ctx context.Context, n int) (leave int64, err error) {
	if n <= gatherFree {
		return 0, nil
	}
	leave = min(int64(n), gatherMost)
	if err := leaves.Acquire(ctx, leave); err != nil {
		return 0, err
	}
	return leave, nil
}

// ask asks questions. It says which are to be asked again, as their answers have more elements, and how many those have.
func (g *gathered[R]) ask(ctx context.Context, questions []question, ask func(i, most int) *runtime.Promise[R]) (again []question, size int, err error) {
	asked := make([]*runtime.Promise[R], len(questions))
	for k, q := range questions {
		asked[k] = ask(q.i, q.most)
	}
	for k, q := range questions {
		a := &g.answers[q.i]
		if a.value, a.err = asked[k].Await(ctx); gone(a.err) {
			return nil, 0, a.err
		}
		var larger *group.Larger
		if errors.As(a.err, &larger) {
			again = append(again, question{q.i, larger.Size + larger.Size/8})
			size += larger.Size
		}
	}
	return again, size, nil
}

// end lets others have leave.
func (g *gathered[R]) end() {
	leaves.Release(g.leave)
	g.leave = 0
}

// firstsOf is where each of the values comes first, and for each of all which of those it is.
func firstsOf[Q comparable](all []Q) (firsts, of []int) {
	at := make(map[Q]int, len(all))
	of = make([]int, len(all))
	for i, q := range all {
		k, there := at[q]
		if !there {
			k = len(firsts)
			at[q] = k
			firsts = append(firsts, i)
		}
		of[i] = k
	}
	return firsts, of
}

package api

import (
	"context"
	"errors"
	"math"

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

// gather asks coordinators n questions, each at first for no more than all of them may come to without leave, and then, once there is
// leave, for what is more: what coordinators give waits in memory until it is an answer, and there are as many who ask as there are
// connections. The questions are asked together. What is gathered must be ended; without it resp is all that there is to say: nothing,
// to a client that is gone.
func gather[R any](ctx context.Context, n int, ask func(i, most int) *runtime.Promise[R]) (g *gathered[R], resp Response) {
	g = &gathered[R]{answers: make([]gatheredAnswer[R], n)}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	larger, size, err := g.ask(ctx, all, gatherFree/max(n, 1), ask)
	switch {
	case err != nil:
		return nil, nil
	case size > answerMax:
		return nil, tooLarge{}
	}
	if g.leave, err = takeLeave(ctx, size); err != nil {
		return nil, nil
	}
	if _, _, err := g.ask(ctx, larger, math.MaxInt, ask); err != nil {
		g.end()
		return nil, nil
	}
	return g, nil
}

// ask asks some of the questions. It says which of them have more elements than most, and how many in all.
func (g *gathered[R]) ask(ctx context.Context, which []int, most int, ask func(i, most int) *runtime.Promise[R]) (larger []int, size int, err error) {
	asked := make([]*runtime.Promise[R], len(which))
	for k, i := range which {
		asked[k] = ask(i, most)
	}
	for k, i := range which {
		a := &g.answers[i]
		if a.value, a.err = asked[k].Await(ctx); gone(a.err) {
			return nil, 0, a.err
		}
		var more *group.Larger
		if errors.As(a.err, &more) {
			larger, size = append(larger, i), size+more.Size
		}
	}
	return larger, size, nil
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

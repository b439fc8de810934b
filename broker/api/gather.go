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

// gathered are the answers of coordinators to the questions of one request, in their order, of which a response is to be made.
type gathered[R any] struct {
	answers []gatheredAnswer[R]
	size    answerSize
	leave   int64
}

type gatheredAnswer[R any] struct {
	value R
	err   error
}

// gather asks coordinators questions, what is asked twice once, each at first for no more than all of them may come to without leave,
// and then, once there is leave, for what is more: what coordinators give waits in memory until it is an answer, and there are as many
// who ask as there are connections. The questions are asked together, by their index. sizeOf is what one adds to the size of the
// response. What is gathered must be ended; without it resp is all that there is to say: nothing, to a client that is gone.
func gather[Q comparable, R any](ctx context.Context, c *Call, questions []Q, sizeOf func(R) int, ask func(i, most int) *runtime.Promise[R]) (g *gathered[R], resp Response) {
	g = &gathered[R]{answers: make([]gatheredAnswer[R], len(questions)), size: answerSize{turn: c.turn()}}
	firsts, of := firstsOf(questions)
	larger, n, err := g.ask(ctx, firsts, gatherFree/max(len(firsts), 1), ask)
	switch {
	case err != nil:
		return nil, nil
	case n > answerMax:
		return nil, tooLarge{}
	}
	if g.leave, err = takeLeave(ctx, n); err != nil {
		return nil, nil
	}
	if _, _, err := g.ask(ctx, larger, math.MaxInt, ask); err != nil {
		g.end()
		return nil, nil
	}
	for i, first := range of {
		g.answers[i] = g.answers[first]
		if !g.size.addMore(sizeOf(g.answers[i].value)) {
			resp = g.size.refused()
			g.end()
			return nil, resp
		}
	}
	return g, nil
}

// ask asks some of the questions. It says which of them have more elements than most, and how many in all.
func (g *gathered[R]) ask(ctx context.Context, which []int, most int, ask func(i, most int) *runtime.Promise[R]) (larger []int, n int, err error) {
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
			larger, n = append(larger, i), n+more.Size
		}
	}
	return larger, n, nil
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

// end lets others have leave, and their turn.
func (g *gathered[R]) end() {
	g.size.end()
	leaves.Release(g.leave)
	g.leave = 0
}

// firstsOf is where each of the values comes first, and for each of all where that was.
func firstsOf[Q comparable](all []Q) (firsts, of []int) {
	at := make(map[Q]int, len(all))
	of = make([]int, len(all))
	for i, q := range all {
		first, there := at[q]
		if !there {
			first = i
			at[q] = i
			firsts = append(firsts, i)
		}
		of[i] = first
	}
	return firsts, of
}

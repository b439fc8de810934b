package api

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"barnabas/coordinator/group"
	"barnabas/coordinator/runtime"
)

// answering gives answers of some sizes, unless they are more than is wanted, and counts how often it was asked for each.
type answering struct {
	sizes []int
	asked []int
}

func (a *answering) ask(i, most int) *runtime.Promise[[]int] {
	a.asked[i]++
	if a.sizes[i] > most {
		return runtime.Refused[[]int](&group.Larger{Size: a.sizes[i]})
	}
	return runtime.Answered(make([]int, a.sizes[i]))
}

func length(list []int) int { return len(list) }

// What coordinators give for one request is little, or there was leave for it. Two hundred clients, each of whom had asked many times for
// the 5000 offsets of a group, took 7 GB.
func TestGather(t *testing.T) {
	free := leaves.TryAcquire(gatherMost)
	leaves.Release(gatherMost)
	if !free {
		t.Fatal("somebody has leave")
	}
	a := &answering{[]int{10, gatherFree/4 + 1, 0, 5000}, make([]int, 4)}
	g, _ := gather(t.Context(), &Call{}, a.sizes, length, a.ask)
	if want := []int{1, 2, 1, 2}; !slices.Equal(a.asked, want) || g.leave != 5000+gatherFree/4+1 {
		t.Errorf("asked %v times, want %v, leave for %d", a.asked, want, g.leave)
	}
	for i, n := range a.sizes {
		if got := g.answers[i]; len(got.value) != n || got.err != nil {
			t.Errorf("answer %d: %d, %v", i, len(got.value), got.err)
		}
	}
	if g.end(); g.leave != 0 {
		t.Error("leave is kept")
	}
	if g, _ := gather(t.Context(), &Call{}, []int{}, length, a.ask); len(g.answers) != 0 {
		t.Error("no questions have answers")
	}
	huge := &answering{[]int{answerMax, 1000}, make([]int, 2)}
	if g, resp := gather(t.Context(), &Call{}, huge.sizes, length, huge.ask); g != nil || resp != (tooLarge{}) {
		t.Errorf("%v", resp)
	}
	why := errors.New("why")
	g, _ = gather(t.Context(), &Call{}, []int{1, 2}, length, func(int, int) *runtime.Promise[[]int] { return runtime.Refused[[]int](why) })
	if g.answers[1].err != why {
		t.Errorf("%+v", g.answers)
	}
	g.end()
	if !leaves.TryAcquire(gatherMost) {
		t.Fatal("leave is lost")
	}
	leaves.Release(gatherMost)
}

// All together have leave for so much, in the order in which they came, and who leaves is not waited for.
func TestGatherWaitsForLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _ := gather(t.Context(), &Call{}, []int{0}, length, (&answering{[]int{2 * gatherMost}, make([]int, 1)}).ask)
		if first.leave != gatherMost {
			t.Fatalf("leave for %d", first.leave)
		}
		impatient, leave := context.WithCancel(t.Context())
		var got []string
		for _, who := range []struct {
			name string
			ctx  context.Context
			size int
		}{{"small", t.Context(), gatherFree}, {"impatient", impatient, gatherMost}, {"large", t.Context(), gatherFree + 1}} {
			go func() {
				g, _ := gather(who.ctx, &Call{}, []int{0}, length, (&answering{[]int{who.size}, make([]int, 1)}).ask)
				if got = append(got, who.name); g != nil {
					g.end()
				}
			}()
			synctest.Wait()
		}
		if want := []string{"small"}; !slices.Equal(got, want) {
			t.Errorf("%v are through, want %v", got, want)
		}
		leave()
		synctest.Wait()
		first.end()
		synctest.Wait()
		if want := []string{"small", "impatient", "large"}; !slices.Equal(got, want) {
			t.Errorf("%v are through, want %v", got, want)
		}
	})
}

package main

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// A process at work naps; the naps end with the context.
func TestAwakeNapsWhileAtWork(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var used atomic.Int64
	naps := 0
	a := awake{
		used: func() time.Duration { return time.Duration(used.Add(int64(time.Second))) },
		nap: func() {
			if naps++; naps == 3 {
				cancel()
			}
		},
		look: time.Millisecond,
	}
	a.run(ctx)
	if naps != 3 {
		t.Fatalf("%d naps, want the 3 until the context was done", naps)
	}
}

// A quiet process looks at its processor time, and never naps.
func TestAwakeLeavesAQuietProcessAlone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	a := awake{
		used: func() time.Duration {
			if looks++; looks == 3 {
				cancel()
			}
			return 0
		},
		nap:  func() { t.Error("a quiet process napped") },
		look: time.Millisecond,
	}
	a.run(ctx)
}

func TestAtWork(t *testing.T) {
	for _, c := range []struct {
		used time.Duration
		want bool
	}{{0, false}, {2 * time.Millisecond, false}, {3 * time.Millisecond, true}, {200 * time.Millisecond, true}} {
		if got := atWork(c.used, 100*time.Millisecond); got != c.want {
			t.Errorf("%v of 100 ms: %v", c.used, got)
		}
	}
}

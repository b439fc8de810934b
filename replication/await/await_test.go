package await

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func rang(b *Bell) bool {
	select {
	case <-b.C():
		return true
	default:
		return false
	}
}

func TestHooksOfTheWaiter(t *testing.T) {
	var a, b Level
	var hooks [3]Hook
	bell := NewBell()
	for range 3 {
		a.HangOn(&hooks[0], bell, a.Get()+1)
		b.HangOn(&hooks[1], bell, b.Get()+1)
		if a.Advance(a.Get() + 1); !rang(bell) {
			t.Fatal("missed an advance")
		}
		for i := range hooks {
			hooks[i].Unhook() // one fell off, one hangs, one never hung
		}
		if b.Advance(b.Get() + 1); rang(bell) {
			t.Fatal("rang although it was taken off")
		}
	}
}

func TestBellRingsWhenReached(t *testing.T) {
	var l Level
	near, far := NewBell(), NewBell()
	l.Hang(near, 5)
	l.Hang(far, 10)
	if l.Advance(4); rang(near) || rang(far) {
		t.Fatal("rang below the mark")
	}
	if l.Advance(5); !rang(near) || rang(far) {
		t.Fatal("at 5: the bell at 5 must ring, the bell at 10 must not")
	}
	if l.Advance(7); rang(near) {
		t.Fatal("a bell falls off when it rings")
	}
	if l.Advance(100); !rang(far) {
		t.Fatal("the bell at 10 missed 100")
	}
}

func TestHangOnWhatIsReachedRingsAtOnce(t *testing.T) {
	var l Level
	l.Advance(3)
	b := NewBell()
	l.Hang(b, 3)
	if !rang(b) {
		t.Fatal("silent")
	}
}

func TestLevelOnlyRises(t *testing.T) {
	var l Level
	l.Advance(9)
	if l.Advance(8) || l.Get() != 9 {
		t.Fatal("fell")
	}
	b := NewBell()
	l.Hang(b, 20)
	l.Reset(2)
	if l.Get() != 2 || !rang(b) {
		t.Fatal("Reset must lower and ring")
	}
}

func TestUnhook(t *testing.T) {
	var l Level
	b := NewBell()
	h := l.Hang(b, 1)
	h.Unhook()
	h.Unhook()
	if l.Advance(1); rang(b) {
		t.Fatal("rang off its hook")
	}
	(*Hook)(nil).Unhook()
}

func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		if NewBell().Wait(ctx, time.After(time.Second)) {
			t.Fatal("nobody rang")
		}
		cancel()
		if NewBell().Wait(ctx, nil) {
			t.Fatal("nobody rang")
		}
	})
}

// TestNoRingIsLost lets one side hang bells and the other advance: whoever waits for a mark that the level passes must
// wake, whatever the interleaving of publishing the lowest mark and loading it.
func TestNoRingIsLost(t *testing.T) {
	var l Level
	const n = 20000
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := int64(1); i <= n; i++ {
			l.Advance(i)
		}
	})
	for range 2 {
		wg.Go(func() {
			for at := int64(1); at <= n; at += 7 {
				b := NewBell()
				h := l.Hang(b, at)
				for l.Get() < at {
					b.Wait(context.Background(), nil)
				}
				h.Unhook()
			}
		})
	}
	wg.Wait()
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Level
		type waiter struct {
			bell *Bell
			hook *Hook
			mark int64
			done bool
		}
		var waiters []*waiter
		level := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"hang": func(t *rapid.T) {
				w := &waiter{bell: NewBell(), mark: rapid.Int64Range(0, 50).Draw(t, "mark")}
				w.hook = l.Hang(w.bell, w.mark)
				waiters = append(waiters, w)
			},
			"advance": func(t *rapid.T) {
				at := rapid.Int64Range(0, 50).Draw(t, "at")
				l.Advance(at)
				level = max(level, at)
			},
			"unhook": func(t *rapid.T) {
				if len(waiters) == 0 {
					t.Skip("none")
				}
				w := waiters[rapid.IntRange(0, len(waiters)-1).Draw(t, "i")]
				w.hook.Unhook()
				if !w.done && w.mark > level {
					w.done = true
				}
			},
			"": func(t *rapid.T) {
				for _, w := range waiters {
					if got, want := rang(w.bell), !w.done && w.mark <= level; got != want {
						t.Fatalf("mark %d at level %d: rang %v", w.mark, level, got)
					} else if got {
						w.done = true
					}
				}
			},
		})
	})
}

func BenchmarkAdvanceWithoutWaiters(b *testing.B) {
	var l Level
	for i := range b.N {
		l.Advance(int64(i))
	}
}

// BenchmarkWait is one waiter on 500 levels, of which one advances.
func BenchmarkWait(b *testing.B) {
	levels, hooks, bell := make([]Level, 500), make([]Hook, 500), NewBell()
	b.ReportAllocs()
	for b.Loop() {
		for i := range levels {
			levels[i].HangOn(&hooks[i], bell, levels[i].Get()+1)
		}
		levels[250].Advance(levels[250].Get() + 1)
		bell.Wait(context.Background(), nil)
		for i := range hooks {
			hooks[i].Unhook()
		}
	}
}

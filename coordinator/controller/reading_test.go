package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"

	"barnabas/coordinator/store"
)

// slowReads is a store whose reads of topics wait.
type slowReads struct {
	store.Store
	waiting atomic.Int32
	gate    chan struct{}
}

func (s *slowReads) GetW(ctx context.Context, path string) ([]byte, store.Stat, <-chan store.Event, error) {
	if strings.HasPrefix(path, store.TopicsPath) {
		s.waiting.Add(1)
		<-s.gate
	}
	return s.Store.GetW(ctx, path)
}

// TestLoadReadsSideBySide: a term does not ask for one topic after the other.
func TestLoadReadsSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		defer e.close()
		e.register(1, "")
		for i := range 3 * readers {
			e.createTopic(fmt.Sprint("t", i), map[int32][]int32{0: {1}})
		}
		session := e.db.NewSession()
		slow := &slowReads{Store: session, gate: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		c := New(Options{Store: slow, Self: 1, Clock: e.clock, Pusher: e, Logger: zap.NewNop()})
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		synctest.Wait()
		if n := slow.waiting.Load(); n != readers {
			t.Errorf("%d reads at once", n)
		}
		close(slow.gate)
		synctest.Wait()
		if _, there, err := e.outside.Exists(t.Context(), store.PartitionStatePath("t29", 0)); err != nil || !there {
			t.Error("no leader", err)
		}
		stop()
		<-done
		e.must(session.Close())
	})
}

func TestGather(t *testing.T) {
	for _, n := range []int{0, 1, readers, 25} {
		keys := make([]int, n)
		for i := range keys {
			keys[i] = i
		}
		values, err := gather(keys, func(k int) (int, error) { return k * k, nil })
		if err != nil || len(values) != n {
			t.Fatal(values, err)
		}
		for i, v := range values {
			if v != i*i {
				t.Fatal(values)
			}
		}
		var reads atomic.Int32
		_, err = gather(keys, func(int) (int, error) { reads.Add(1); return 0, store.ErrSession })
		if n > 0 && !errors.Is(err, store.ErrSession) || reads.Load() > readers {
			t.Fatal(reads.Load(), err)
		}
	}
}

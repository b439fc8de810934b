package controller

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"barnabas/coordinator/store"
)

// fullDisk is a store whose disk is full: what writes it fails, as the embedded store says it.
type fullDisk struct {
	*recorder
	full  atomic.Bool
	small atomic.Bool  // there is room for an election, as there is where old pages are used again
	tries atomic.Int64 // writes that failed
}

func (f *fullDisk) refuse() error {
	f.tries.Add(1)
	return fmt.Errorf("%w: %w: no space left on device", store.ErrUnavailable, store.ErrDisk)
}

func (f *fullDisk) Multi(ctx context.Context, ops ...store.Op) ([]store.Result, error) {
	election := slices.ContainsFunc(ops, func(o store.Op) bool { return o.Path == store.ControllerPath })
	if f.full.Load() && !(election && f.small.Load()) {
		return nil, f.refuse()
	}
	return f.recorder.Multi(ctx, ops...)
}

func (f *fullDisk) Create(ctx context.Context, path string, data []byte, mode store.Mode) (string, error) {
	if f.full.Load() {
		return "", f.refuse()
	}
	return f.recorder.Create(ctx, path, data, mode)
}

// A store that could not be written ended the controller's term, and for as long as it was so the controller tried again ten times
// a second, with a warning each time.
func TestTroubleIsCalm(t *testing.T) {
	t.Run("nothing can be written", func(t *testing.T) { troubled(t, false) })
	t.Run("elections can", func(t *testing.T) { troubled(t, true) })
}

func troubled(t *testing.T, small bool) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		defer e.close()
		core, said := observer.New(zap.InfoLevel)
		disk := &fullDisk{recorder: &recorder{e.db.NewSession(), e}}
		ctx, stop := context.WithCancel(e.ctx())
		c := New(Options{Store: disk, Self: 1, Clock: e.clock, Pusher: e, Logger: zap.New(core)})
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = c.Run(ctx)
		}()
		defer func() { stop(); <-done; e.must(disk.Close()) }()
		e.register(1, "")
		e.settle()
		// pass lets time go by in small steps, each of which comes to rest.
		pass := func(d time.Duration) {
			for range d / (50 * time.Millisecond) {
				e.clock.Advance(50 * time.Millisecond)
				e.settle()
			}
		}
		pass(time.Second)
		if _, active := c.Active(); !active {
			t.Fatal("not elected")
		}

		said.TakeAll()
		disk.small.Store(small)
		disk.full.Store(true)
		e.createTopic("t", map[int32][]int32{0: {1}}) // somebody else can write: the term finds work that it cannot do
		pass(time.Hour)
		if _, active := c.Active(); active {
			t.Error("it reigns without being able to write")
		}
		if lines := said.Len(); lines == 0 || lines > 3 {
			t.Errorf("an hour of a full disk has %d lines in the log: %v", lines, said.All())
		}
		if n := disk.tries.Load(); n < 600 || n > 800 {
			t.Errorf("an hour has %d tries", n)
		}

		said.TakeAll()
		disk.full.Store(false)
		pass(longestPause)
		if _, active := c.Active(); !active {
			t.Errorf("with room again nobody is controller after %v", longestPause)
		}
		if _, there, err := e.outside.Exists(e.ctx(), store.PartitionStatePath("t", 0)); err != nil || !there {
			t.Errorf("the topic has no leader (%v)", err)
		}
		pass(firmAfter)
		if n := said.FilterMessage("the trouble of the controller is over").Len(); n != 1 {
			t.Errorf("the log says %d times that it is over: %v", n, said.All())
		}
		if extra := said.FilterMessage("this broker cannot be the controller, trying again until it can, at most 5 s apart").Len(); extra != 0 {
			t.Errorf("warned of again: %v", said.All())
		}

		disk.full.Store(true)
		e.createTopic("u", map[int32][]int32{0: {1}})
		pass(time.Second)
		disk.full.Store(false)
		pass(200 * time.Millisecond * 10) // the first pauses of new trouble are short
		if _, active := c.Active(); !active {
			t.Error("the pauses of a trouble that was over went on")
		}
	})
}

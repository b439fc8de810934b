package storage_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/goleak"

	"barnabas/storage"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// Everything at once, with a disk that fails in the middle and a stop that interrupts: no deadlock, no race, no goroutine
// left, no error that is not one of Kafka's, and what is left can be loaded.
func TestManagerUnderLoad(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := newHost(t, "/d1", "/d2", "/d3")
	disk := &broken{}
	h.fs = vfs.WithHook(h.mem, disk.hook)
	failed := make(chan string, 3)
	h.edit = func(o *storage.Options) { o.OnDirFailed = func(dir string, _ error) { failed <- dir } }
	h.config.FileDeleteDelayMs = 1000
	h.start()

	stop := make(chan struct{})
	var workers sync.WaitGroup
	for w := range uint64(4) {
		workers.Go(func() {
			var kafka *kerr.Error
			rnd := rand.New(rand.NewPCG(w, 1))
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				p := rnd.Int32N(8)
				now := clock.Millis(h.clock)
				l, err := h.m.Create("t", p, [16]byte{1}, h.config)
				if err == nil {
					_, err = l.Append(plain(1, 300, now), storage.AppendInfo{MaxTimestamp: now, Now: now})
				}
				if err == nil && i%3 == 0 {
					l.SetHighWatermark(l.End())
					err = l.Flush()
				}
				if err == nil && i%5 == 0 {
					err = l.Truncate(max(l.End()-rnd.Int64N(4), 0))
				}
				if i%17 == 0 {
					if derr := h.m.Delete("t", p); derr != nil && !errors.As(derr, &kafka) {
						t.Errorf("delete: %v", derr)
					}
				}
				if err != nil && !errors.As(err, &kafka) {
					t.Errorf("%v", err)
				}
				for _, d := range h.m.Dirs() {
					_ = d.Err
				}
			}
		})
	}
	for i := range 40 {
		h.clock.Advance(time.Second)
		if i == 20 {
			disk.pull("/d2")
			_, _ = h.m.Create("u", 0, [16]byte{}, h.config)
		}
	}
	h.clock.Advance(5 * time.Minute) // the checkpoints of the broken one are due
	if dir := <-failed; dir != "/d2" {
		t.Errorf("%s failed", dir)
	}
	err := h.m.Close(context.Background())
	close(stop)
	workers.Wait()
	must(t, err)
	h.fs = h.mem
	h.start()
	for l := range h.m.Logs() {
		if l.HighWatermark() > l.End() || l.Start() > l.HighWatermark() {
			t.Errorf("%s: start %d, high watermark %d, end %d", l, l.Start(), l.HighWatermark(), l.End())
		}
	}
	h.stop()
}

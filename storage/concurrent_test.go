package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/storage"
	"barnabas/storage/vfs"
)

// Readers, syncers and retention beside a writer that rolls all the time, with hardly any descriptors or mappings to go
// round. Readers must see whole batches in a row, nothing at or above the watermark that they loaded before.
func TestReadersTakeNoLock(t *testing.T) {
	for name, fsys := range map[string]vfs.FS{"mem": nil, "os": vfs.OS} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.files = storage.NewFileCache(2, 2)
			b.config.RetentionBytes = 6000
			b.open(func(o *storage.LogOptions) {
				o.Async = nil
				if fsys != nil {
					o.FS, o.Dir = fsys, t.TempDir()+"/t-0"
				}
			})
			l := b.log
			batches := int64(400)
			if fsys != nil {
				batches = 100 // each roll is a handful of disk syncs
			}
			var writing atomic.Bool
			writing.Store(true)
			var wg sync.WaitGroup
			spawn := func(f func()) {
				wg.Add(1)
				go func() {
					defer wg.Done()
					f()
				}()
			}
			spawn(func() {
				defer writing.Store(false)
				for i := range batches {
					a, err := b.append(plain(3, 150+int(i%100), t0+i))
					if err != nil || a.First != 3*i {
						t.Errorf("append %d: %+v, %v", i, a, err)
						return
					}
					if i%7 == 0 {
						if err := l.Sync(a.Last); err != nil || l.RecoveryPoint() <= a.Last {
							t.Errorf("sync to %d: recovery point %d, %v", a.Last, l.RecoveryPoint(), err)
						}
					}
					l.SetHighWatermark(a.Last + 1)
				}
			})
			spawn(func() {
				for writing.Load() {
					if _, err := l.Retain(t0); err != nil {
						t.Error("retain:", err)
					}
				}
			})
			for range 3 {
				spawn(func() {
					at := int64(0)
					for last := false; ; {
						stop := !writing.Load()
						next, err := follow(t, l, at)
						if errors.Is(err, kerr.OffsetOutOfRange) {
							next, err = l.Start(), nil
						}
						if err != nil {
							t.Error("read:", err)
							return
						}
						if next == at && last {
							break
						}
						at, last = next, stop
						l.Size(at, l.End(), 1<<20)
						if _, _, _, _, err := l.OffsetForTime(t0+5000, l.End()); err != nil {
							t.Error("time:", err)
							return
						}
					}
					if at != 3*batches {
						t.Errorf("reader came to %d of %d", at, 3*batches)
					}
				})
			}
			wg.Wait()
			must(t, l.Close())
		})
	}
}

// follow reads what is there from an offset on and returns the next.
func follow(t failer, l *storage.Log, at int64) (int64, error) {
	hw := l.HighWatermark()
	s, err := l.Read(at, 700, hw, true)
	if err != nil || s.Len() == 0 {
		return at, err
	}
	defer s.Release()
	buf := make([]byte, s.Len())
	if _, err := s.ReadInto(buf); err != nil {
		return at, err
	}
	for _, batch := range splitBatches(t, buf) {
		if batch.BaseOffset() > at || batch.LastOffset() < at {
			return at, fmt.Errorf("batch of %d..%d where %d was next", batch.BaseOffset(), batch.LastOffset(), at)
		}
		if at = batch.LastOffset() + 1; at > hw {
			return at, fmt.Errorf("batch up to %d, the watermark was %d", at, hw)
		}
	}
	return at, nil
}

// Many callers share a sync. None returns before its own offset is durable.
func TestGroupCommit(t *testing.T) {
	b := newBench(t)
	b.config.SegmentBytes = 1 << 20
	b.config.FlushMessages = 1
	var syncs atomic.Int64
	b.fs = vfs.WithHook(b.mem, func(op vfs.Op, name string) error {
		if op == vfs.OpSync {
			syncs.Add(1)
		}
		return nil
	})
	b.open(nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				a, err := b.append(plain(1, 100, t0))
				if err != nil || !a.Unsynced {
					t.Errorf("append %+v: %v", a, err)
				}
				if err := b.log.Sync(a.Last); err != nil || b.log.RecoveryPoint() <= a.Last {
					t.Errorf("sync %d: recovery point %d: %v", i, b.log.RecoveryPoint(), err)
				}
			}
		}()
	}
	wg.Wait()
	before := syncs.Load()
	must(t, b.log.Sync(b.log.End()-1))
	if n := syncs.Load(); n != before || n > 500 {
		t.Errorf("%d syncs for 400 appends, %d after all were synced", before, n-before)
	}
	must(t, b.log.Close())
}

// A slice outlives the segment that it is of.
func TestSliceOutlivesSegment(t *testing.T) {
	b := newBench(t)
	b.config.FileDeleteDelayMs = 0
	b.open(nil)
	batch := plain(1, 600, t0)
	for range 4 {
		_, err := b.append(bytes.Clone(batch))
		must(t, err)
	}
	b.background()
	s, err := b.log.Read(0, 1000, 4, true)
	must(t, err)
	b.log.SetHighWatermark(4)
	c := b.config
	c.RetentionBytes = 0
	b.log.SetConfig(c)
	if n, err := b.log.Retain(t0); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	if ok, _ := vfs.Exists(b.mem, "/data/t-0/00000000000000000000.log"); ok {
		t.Error("the file is still there")
	}
	buf := make([]byte, 600)
	if n, err := s.ReadInto(buf); n != 600 || err != nil || buf[16] != 2 {
		t.Errorf("read %d bytes of a deleted segment: %v", n, err)
	}
	s.Release()
	s.Release()
	if _, err := b.log.Read(0, 1000, 4, true); !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Error("read below the start:", err)
	}
	b.log.Abandon()
	if files, maps := b.files.Open(); files != 0 || maps != 0 {
		t.Errorf("%d descriptors and %d mappings are left", files, maps)
	}
}

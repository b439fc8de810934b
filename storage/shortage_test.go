package storage_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/vfs"
)

// opens says whether an access takes a descriptor.
func opens(op vfs.Op) bool {
	return slices.Contains([]vfs.Op{vfs.OpOpen, vfs.OpCreate, vfs.OpReadDir, vfs.OpSyncDir, vfs.OpLock}, op)
}

// starved is a host that may have no more descriptors while none is set.
func starved(t *testing.T, o func(*storage.Options)) (*host, *atomic.Bool) {
	h, none := newHost(t, "/d"), new(atomic.Bool)
	h.fs = vfs.WithHook(h.mem, func(op vfs.Op, _ string) error {
		if none.Load() && opens(op) {
			return syscall.EMFILE
		}
		return nil
	})
	h.config.Compact, h.config.Delete = true, false
	h.edit = func(opt *storage.Options) {
		opt.Cleaner = cleanerConfig()
		if o != nil {
			o(opt)
		}
	}
	return h, none
}

// Where no descriptor is left, and the cache has none to shed, an append, a roll, a flush, a read, a truncation, a new log and a pass of
// the cleaner are refused with KAFKA_STORAGE_ERROR, which clients take for a reason to ask again; the log dir stays in
// service, one line a minute says why, and with descriptors everything goes on as if nothing had happened.
func TestManagerHasNoDescriptors(t *testing.T) {
	seen, logs := observer.New(zap.WarnLevel)
	h, none := starved(t, func(o *storage.Options) { o.OpenFiles, o.Logger = 1, zap.New(seen) })
	h.start()
	l, other := h.create("t", 0), h.create("t", 1)
	h.soil(l, 30)
	h.soil(other, 10)
	h.m.Settle()
	end, bytes := l.End(), l.Bytes()
	none.Store(true)
	put := func() error {
		now := h.clock.Now().UnixMilli()
		_, err := l.Append(plain(1, 300, now), storage.AppendInfo{MaxTimestamp: now, Now: now})
		return err
	}
	refused := func(what string, err error) {
		t.Helper()
		var d *storage.DiskError
		if !errors.Is(err, kerr.KafkaStorageError) || !errors.As(err, &d) || !d.Passing() {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 5 {
		refused("append", put())
		_, err := l.Read(0, 100, end, true)
		refused("read", err)
		refused("truncate", l.Truncate(end-10))
		refused("empty", l.TruncateFully(3))
		refused("flush", other.Flush())
		fresh := must1(h.m.Create("new", 0, [16]byte{7}, h.config))(t)
		_, err = fresh.Append(plain(1, 300, t0), storage.AppendInfo{MaxTimestamp: t0, Now: t0})
		refused("first append", err)
		_, err = l.Clean(room)
		refused("clean", err)
		must(t, h.m.CleanLog("t", 0, room)) // which leaves it for another time
		h.clock.Advance(30 * time.Second)   // checkpoints, retention and the cleaner's own rounds, too
		h.m.Rest()
	}
	if l.Failed() != nil || l.End() != end || l.CleanedTo() != 0 || h.m.Offline("/d") != nil || len(h.m.Uncleanable()) > 0 {
		t.Errorf("the log ends at %d of %d, failed: %v, log dir: %v", l.End(), end, l.Failed(), h.m.Offline("/d"))
	}
	if n := logs.FilterMessageSnippet("too many open files").Len(); n < 2 || n > 4 || logs.Len() != n {
		t.Errorf("%d lines tell of it, %d lines in 150 seconds:\n%v", n, logs.Len(), logs.All())
	}
	none.Store(false)
	must(t, put())
	must(t, h.m.CleanLog("t", 0, room))
	must(t, other.Flush())
	h.clock.Advance(time.Minute)
	if l.End() != end+1 || l.Bytes() >= bytes/2 || l.CleanedTo() == 0 {
		t.Errorf("the log ends at %d, has %d of %d bytes, is clean to %d", l.End(), l.Bytes(), bytes, l.CleanedTo())
	}
	if r := h.offsets("/d/" + checkpoint.RecoveryPoints); len(r) != 3 || r[checkpoint.Partition{Topic: "t", ID: 1}] != other.End() {
		t.Errorf("the checkpoint has %v", r)
	}
	h.stop()
	h.start()
	if l = h.m.Log("t", 0); l.End() != end+1 {
		t.Errorf("after a restart it ends at %d", l.End())
	}
	h.stop()
}

// A broker that may not open enough files to start says so, and does not take its log dirs for broken or its logs for empty.
func TestNoDescriptorsToStart(t *testing.T) {
	h, _ := starved(t, nil)
	h.start()
	h.soil(h.create("t", 0), 10)
	h.stop()
	for at := 1; ; at++ {
		n, hit, armed := 0, "", true
		h.fs = vfs.WithHook(h.mem.CrashClone(vfs.Crash{Process: true}), func(op vfs.Op, name string) error {
			if !armed || !opens(op) {
				return nil
			}
			if n++; n >= at {
				hit = fmt.Sprintf("%s of %s", op, name)
				return syscall.EMFILE
			}
			return nil
		})
		m, err := h.openDirs()
		if err == nil {
			h.m = m
			err = h.load()
			if armed = false; err == nil && hit == "" {
				break
			}
			m.Kill()
		}
		if !errors.Is(err, syscall.EMFILE) {
			t.Fatalf("no descriptor from the %dth on, %s: %v", at, hit, err)
		}
	}
	h.stop()
}

// TestNoDescriptorsEverywhere lets every access that takes a descriptor find none, once, or a few times. A step that is refused is
// tried again; what comes out is the same life.
func TestNoDescriptorsEverywhere(t *testing.T) {
	for _, times := range []int{1, 3} {
		for at := 1; ; at++ {
			var mu sync.Mutex
			n, hit, armed := 0, "", false
			f := newLife(t, at%2 == 0, func(fsys vfs.FS) vfs.FS {
				return vfs.WithHook(fsys, func(op vfs.Op, name string) error {
					mu.Lock()
					defer mu.Unlock()
					if !armed || !opens(op) {
						return nil
					}
					if n++; n < at || n >= at+times {
						return nil
					}
					hit = fmt.Sprintf("%s of %s", op, name)
					return syscall.ENFILE
				})
			})
			f.files = storage.NewFileCache(1, 1)
			armed = true
			// What must not be left half done waits.
			done := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						if wait, ok := f.clock.Next(); ok {
							f.clock.Advance(wait)
						}
						runtime.Gosched()
					}
				}
			})
			where := func() string { return fmt.Sprintf("access %d, %d times, %s", at, times, hit) }
			for i, step := range f.steps() {
				for tries := 0; ; tries++ {
					err := step()
					if err == nil {
						break
					}
					var d *storage.DiskError
					if !errors.As(err, &d) || !d.Passing() || tries > times {
						t.Fatalf("%s: step %d: %v", where(), i, err)
					}
					if f.log.End() == f.end { // else it is there, and was only not promised
						f.batches = f.batches[:f.acked]
					}
				}
			}
			close(done)
			wg.Wait()
			if f.log.Failed() != nil || len(f.disk) > 0 {
				t.Fatalf("%s: the log is offline: %v", where(), f.log.Failed())
			}
			if hit == "" {
				break
			}
			instant{where: where(), disk: f.mem.CrashClone(vfs.Crash{Process: true}), batches: f.batches, durable: f.end, point: f.checkpoint, complete: true}.recover(t)
		}
	}
}

// Where nothing can be mapped, files are read: a start, searches, fetches and the cleaner do without.
func TestManagerHasNoMaps(t *testing.T) {
	h := cleaningHost(t, "/d")
	var none atomic.Bool
	var mapped atomic.Int64
	h.fs = vfs.WithHook(h.mem, func(op vfs.Op, _ string) error {
		if op == vfs.OpMap {
			if none.Load() {
				return syscall.ENOMEM
			}
			mapped.Add(1)
		}
		return nil
	})
	h.start()
	l := h.create("t", 0)
	h.soil(l, 40)
	h.fill(l, 1)
	h.m.Settle()
	end := l.End()
	none.Store(true)
	h.crash(vfs.Crash{Process: true})
	h.fs = vfs.WithHook(h.mem, func(op vfs.Op, _ string) error {
		if op == vfs.OpMap {
			return syscall.ENOMEM
		}
		return nil
	})
	h.start()
	if l = h.m.Log("t", 0); l.End() != end {
		t.Errorf("recovered to %d of %d", l.End(), end)
	}
	l.SetHighWatermark(end)
	if _, at, _, found, err := l.OffsetForTime(t0, end); err != nil || !found || at != t0 {
		t.Errorf("%d %v %v", at, found, err)
	}
	must(t, h.m.CleanLog("t", 0, room))
	if l.CleanedTo() == 0 {
		t.Error("nothing was cleaned")
	}
	n := 0
	for from := l.Start(); from < l.End(); {
		s := must1(l.Read(from, 1, l.End(), true))(t)
		if s.Len() == 0 {
			break
		}
		from = s.Below
		n++
		s.Release()
	}
	if n < 2 {
		t.Errorf("%d reads", n)
	}
	h.stop()
	if names := strings.Join(h.names("/d/t-0"), " "); strings.Contains(names, ".cleaned") || strings.Contains(names, ".swap") {
		t.Error(names)
	}
}

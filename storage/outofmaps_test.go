package storage_test

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/storage/vfs"
)

// Too many mappings are no fault of a disk: the cache lets some go, and where it has none the files are read.
func TestManagerOutOfMaps(t *testing.T) {
	h := newHost(t, "/d")
	var none atomic.Bool // has room for a mapping
	var failures atomic.Int64
	h.fs = vfs.WithHook(h.mem, func(op vfs.Op, _ string) error {
		if op == vfs.OpMap && (none.Load() || failures.Add(-1) >= 0) {
			return syscall.ENOMEM
		}
		return nil
	})
	h.start()
	for i := range int32(4) {
		h.fill(h.create("t", i), 10)
	}
	h.stop()
	h.start() // the segments but the last are sealed and durable
	search := func(i int32) error {
		l := h.m.Log("t", i)
		_, _, _, _, err := l.OffsetForTime(t0, l.End())
		if errors.Is(err, kerr.CorruptMessage) {
			return nil // the batches have no records within
		}
		return err
	}
	must(t, search(0))
	failures.Store(1)
	must(t, search(1)) // in the place of another
	if failures.Load() >= 0 {
		t.Fatal("nothing was mapped")
	}
	none.Store(true)
	must(t, search(2))
	none.Store(false)
	for i := range int32(4) {
		must(t, search(i))
		h.fill(h.m.Log("t", i), 1)
	}
	h.stop()
}

package storage_test

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/storage"
	"barnabas/storage/vfs"
)

// Whatever a segment and its indexes hold, a log opens, keeps whole batches only after a crash, and answers reads with
// batches or a refusal.
func FuzzOpen(f *testing.F) {
	two := append(plain(3, 100, t0), makeBatch(batchSpec{base: 3, ts: t0, producer: 1, marker: abort})...)
	legacy := append(make([]byte, 12), 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0)
	legacy[11] = byte(len(legacy) - 12)
	f.Add([]byte(two), []byte{}, []byte{}, []byte{}, true)
	f.Add([]byte(two), []byte{0, 0, 0, 3, 0, 0, 0, 100}, make([]byte, 12), make([]byte, 34), false)
	f.Add(append(legacy, two...), make([]byte, 16), []byte{1}, []byte{2}, true)
	f.Add(append([]byte(two), make([]byte, 200)...), []byte{}, []byte{}, []byte{}, false)
	f.Add(append([]byte(two), 0, 0, 0), []byte{0xff}, []byte("rubbish"), []byte{}, true)
	// A position before the file, in an index that a clean stop left: the broker did not start.
	f.Add([]byte("0"), []byte("0000\xb8000"), []byte{}, []byte{}, true)
	f.Add([]byte(two), []byte("\x00\x00\x00\x01\xb8000"), []byte{}, []byte{}, true)
	f.Fuzz(func(t *testing.T, log, idx, times, snap []byte, clean bool) {
		b := newBench(t)
		must(t, b.mem.MkdirAll("/data/t-0"))
		for name, data := range map[string][]byte{
			"00000000000000000000.log": log, "00000000000000000000.index": idx, "00000000000000000000.timeindex": times,
			"00000000000000000000.txnindex": times, "00000000000000000002.snapshot": snap, "leader-epoch-checkpoint": snap,
		} {
			must(t, vfs.WriteFile(b.mem, "/data/t-0/"+name, data))
		}
		b.open(func(o *storage.LogOptions) { o.Clean = clean })
		l := b.log
		for at := l.Start(); at < l.End() && at < 100; at++ {
			s, err := l.Read(at, 200, l.End(), true)
			if err != nil && !errors.Is(err, kerr.CorruptMessage) {
				t.Fatal(err)
			}
			s.Release()
		}
		if _, _, _, _, err := l.OffsetForTime(t0, l.End()); err != nil && !errors.Is(err, kerr.CorruptMessage) {
			t.Fatal(err)
		}
		if _, _, _, err := l.MaxTimestamp(); err != nil && !errors.Is(err, kerr.CorruptMessage) {
			t.Fatal(err)
		}
		end := l.End()
		if end < 1<<62 {
			_, err := b.append(plain(1, 100, t0))
			must(t, err)
		}
		must(t, l.Close())
		if len(b.disk) > 0 {
			t.Fatal(b.disk[0])
		}
		b.open(func(o *storage.LogOptions) { o.Clean = true })
		if b.log.End() < end {
			t.Fatalf("ended at %d, ends at %d", end, b.log.End())
		}
		b.log.Abandon()
	})
}

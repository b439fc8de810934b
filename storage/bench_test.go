package storage_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"barnabas/storage"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

func openOS(b *testing.B) *storage.Log {
	b.Helper()
	c := storage.DefaultConfig()
	c.SegmentBytes, c.RetentionBytes, c.FileDeleteDelayMs = 256<<20, 512<<20, 0
	l, _, err := storage.Open(storage.LogOptions{
		FS: vfs.OS, Clock: clock.Real, Logger: zap.NewNop(), Files: storage.NewFileCache(100, 100),
		Dir: filepath.Join(b.TempDir(), "t-0"), Topic: "t", Config: c,
	})
	must(b, err)
	b.Cleanup(func() { must(b, l.Close()) })
	return l
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			l := openOS(b)
			batch := plain(100, size, t0)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a, err := l.Append(batch, storage.AppendInfo{MaxTimestamp: t0, Client: true, Now: t0})
				if err != nil {
					b.Fatal(err)
				}
				l.SetHighWatermark(a.Last + 1)
				if i%(256<<20/size) == 0 {
					if _, err := l.Retain(t0); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, where := range []string{"tail", "active", "sealed"} {
		b.Run(where, func(b *testing.B) {
			l := openOS(b)
			const batches, records = 2048, 100
			var err error
			c := l.Config()
			c.SegmentBytes = 32 << 20
			if where == "sealed" {
				c.SegmentBytes = 8 << 20
			}
			l.SetConfig(c)
			for range batches {
				_, err = l.Append(plain(records, 16<<10, t0), storage.AppendInfo{MaxTimestamp: t0, Now: t0})
				must(b, err)
			}
			must(b, l.Flush())
			end := l.End()
			b.ReportAllocs()
			for i := int64(0); b.Loop(); i++ {
				from := i * 7919 % 400 * records
				if where == "tail" {
					from = end - (1+i%8)*records
				}
				s, err := l.Read(from, 64<<10, end, true)
				if err != nil || s.Len() == 0 {
					b.Fatal(s.Len(), err)
				}
				s.Release()
			}
		})
	}
}

// The way from a validated batch to the page cache allocates nothing but the growth of the indexes.
func TestAppendDoesNotAllocate(t *testing.T) {
	b := newBench(t)
	b.config = storage.DefaultConfig()
	b.fs = vfs.OS
	b.open(func(o *storage.LogOptions) { o.Dir = filepath.Join(t.TempDir(), "t-0") })
	batch := plain(10, 200, t0)
	seq := int32(0)
	idempotent := makeBatch(batchSpec{count: 10, size: 200, ts: t0, producer: 5, seq: seq})
	_, err := b.append(idempotent)
	must(t, err)
	if n := testing.AllocsPerRun(200, func() {
		if _, err := b.append(batch); err != nil {
			t.Fatal(err)
		}
		b.log.SetHighWatermark(b.log.End())
	}); n > 0.5 {
		t.Errorf("%v allocations an append", n)
	}
	must(t, b.log.Close())
}

package storage_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"barnabas/storage"
)

// However many logs there are, descriptors and mappings stay within their bounds, and what was closed opens again.
func TestFileCacheIsBounded(t *testing.T) {
	b := newBench(t)
	b.files = storage.NewFileCache(3, 2)
	var logs []*storage.Log
	for i := range 10 {
		b.open(func(o *storage.LogOptions) {
			o.Topic = fmt.Sprint(i)
			o.Dir = filepath.Join("/data", o.Topic+"-0")
		})
		logs = append(logs, b.log)
	}
	for round := range 5 {
		for i, l := range logs {
			b.log = l
			a, err := b.append(plain(1, 400, t0))
			must(t, err)
			if a.First != int64(round) {
				t.Fatalf("log %d, round %d: offset %d", i, round, a.First)
			}
			b.background()
			got := readBatches(t, l, 0, l.End())
			if len(got) != round+1 {
				t.Fatalf("log %d, round %d: %d batches", i, round, len(got))
			}
			if files, maps := b.files.Open(); files > 3 || maps > 2 {
				t.Fatalf("%d descriptors and %d mappings", files, maps)
			}
		}
	}
	// What is in use is not closed under its user.
	var held []storage.Slice
	for _, l := range logs {
		s, err := l.Read(0, 400, 5, true)
		must(t, err)
		held = append(held, s)
	}
	for _, s := range held {
		if n, err := s.ReadInto(make([]byte, 400)); n != 400 || err != nil {
			t.Fatal(n, err)
		}
		s.Release()
	}
	for _, l := range logs {
		must(t, l.Close())
	}
	if files, maps := b.files.Open(); files != 0 || maps != 0 {
		t.Errorf("%d descriptors and %d mappings after all logs are closed", files, maps)
	}
}

// A partition that nobody writes to costs about a kilobyte, and nothing on disk.
func TestIdleLogIsSmall(t *testing.T) {
	b := newBench(t)
	const n = 2000
	logs := make([]*storage.Log, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range logs {
		b.open(func(o *storage.LogOptions) { o.Dir = "/data/idle-0" })
		logs[i] = b.log
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%d bytes", each)
	if each > 1536 {
		t.Errorf("an idle log costs %d bytes", each)
	}
	if files, maps := b.files.Open(); files+maps > 0 {
		t.Errorf("%d descriptors, %d mappings", files, maps)
	}
	infos, err := b.mem.ReadDir("/data")
	must(t, err)
	if len(infos) > 0 {
		t.Errorf("on disk: %v", infos)
	}
	runtime.KeepAlive(logs)
}

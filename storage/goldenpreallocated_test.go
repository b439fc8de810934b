package storage_test

import (
	"os"
	"path/filepath"
	"testing"

	"barnabas/storage"
	"barnabas/storage/vfs"
)

// Apache Kafka 3.9.2 with preallocate and segment.bytes 65536 was killed after it had written 90 records, each in a batch of
// its own: it has cut the segment that it sealed, and the active one ends in zeros, as do its indexes.
func TestGoldenPreallocated(t *testing.T) {
	dir := filepath.Join(unpack(t, "preallocated"), "pre-0")
	size := func(base string) int64 {
		t.Helper()
		st, err := os.Stat(filepath.Join(dir, base+".log"))
		must(t, err)
		return st.Size()
	}
	const sealed, active = "00000000000000000000", "00000000000000000061"
	before := size(sealed)
	if size(active) != 65536 {
		t.Fatalf("the active file has %d bytes", size(active))
	}
	b := newBench(t)
	b.fs = vfs.OS
	b.config.SegmentBytes, b.config.Preallocate = 65536, true
	r := b.open(func(o *storage.LogOptions) { o.Dir = dir })
	if r.Segments != 2 || r.Removed != 0 || r.Cut != 65536-size(active) || b.log.End() != 90 || b.log.Segments() != 2 {
		t.Fatalf("%+v, end %d, %d segments", r, b.log.End(), b.log.Segments())
	}
	if n := len(readBatches(t, b.log, 0, 90)); n != 90 {
		t.Errorf("%d batches", n)
	}
	if size(sealed) != before || b.log.Bytes() != before+size(active) {
		t.Errorf("%d bytes, of them %d sealed; the files have %d and %d", b.log.Bytes(), before, size(sealed), size(active))
	}
	must(t, b.log.Close())
	r = b.open(func(o *storage.LogOptions) { o.Dir, o.Clean = dir, true })
	if r != (storage.Recovery{}) || b.log.End() != 90 {
		t.Errorf("after a clean stop: %+v, end %d", r, b.log.End())
	}
	b.log.Abandon()
}

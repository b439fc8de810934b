package storage_test

import (
	"encoding/binary"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"barnabas/protocol/record"
	"barnabas/storage"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// t0 is the time at which test clocks start, and the timestamp of the first records.
const t0 = 1700000000000

// batchSpec is a v2 batch for tests; the records are opaque bytes, but for markers.
type batchSpec struct {
	base        int64
	count       int32
	size        int // of the whole batch, at least 62
	ts          int64
	epoch       int32
	producer    int64
	pepoch      int16
	seq         int32
	txn         bool
	marker      int // 1 abort, 2 commit
	coordinator int32
}

const (
	abort  = 1
	commit = 2
)

func makeBatch(s batchSpec) record.Batch {
	payload := make([]byte, max(s.size-record.BatchOverhead, 1))
	attrs := int16(0)
	if s.txn || s.marker != 0 {
		attrs |= record.AttrTransactional
	}
	if s.marker != 0 {
		attrs |= record.AttrControl
		s.count, s.seq = 1, -1
		// length, attributes, timestamp delta, offset delta, key: version and type, value: version and coordinator epoch
		payload = []byte{2 * 16, 0, 0, 0, 2 * 4, 0, 0, 0, byte(s.marker - 1), 2 * 6, 0, 0}
		payload = binary.BigEndian.AppendUint32(payload, uint32(s.coordinator))
		payload = append(payload, 0)
	}
	b := make(record.Batch, record.BatchOverhead+len(payload))
	copy(b[record.BatchOverhead:], payload)
	b.SetBaseOffset(s.base)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-record.LogOverhead))
	b.SetLeaderEpoch(s.epoch)
	b[16] = 2
	b.SetAttributes(attrs)
	binary.BigEndian.PutUint32(b[23:], uint32(s.count-1))
	binary.BigEndian.PutUint64(b[27:], uint64(s.ts))
	b.SetMaxTimestamp(s.ts)
	binary.BigEndian.PutUint64(b[43:], uint64(s.producer))
	binary.BigEndian.PutUint16(b[51:], uint16(s.pepoch))
	binary.BigEndian.PutUint32(b[53:], uint32(s.seq))
	binary.BigEndian.PutUint32(b[57:], uint32(s.count))
	b.Seal()
	return b
}

// plain is a batch without a producer.
func plain(count int32, size int, ts int64) record.Batch {
	return makeBatch(batchSpec{count: count, size: size, ts: ts, producer: -1, pepoch: -1, seq: -1})
}

// bench is a log over a file system that can crash, with a clock that is moved by hand and background work that runs when
// the test says so.
type bench struct {
	t      failer
	fs     vfs.FS // what the log sees
	mem    *vfs.Mem
	clock  *clock.Manual
	files  *storage.FileCache
	config storage.Config
	epoch  int32
	log    *storage.Log

	mu      sync.Mutex // guards work and disk
	work    []func()
	disk    []*storage.DiskError
	lowered int
}

func newBench(t failer) *bench {
	b := &bench{t: t, mem: vfs.NewMem(), clock: clock.NewManual(time.UnixMilli(t0)), files: storage.NewFileCache(8, 8)}
	b.mem.Now = b.clock.Now
	b.fs = b.mem
	must(t, b.mem.MkdirAll("/data"))
	must(t, b.mem.SyncDir("/"))
	b.config = storage.DefaultConfig()
	b.config.SegmentBytes, b.config.IndexIntervalBytes = 1000, 200
	b.config.RetentionMs = -1
	return b
}

func (b *bench) options() storage.LogOptions {
	return storage.LogOptions{
		FS: b.fs, Clock: b.clock, Logger: zap.NewNop(), Files: b.files,
		Dir: filepath.Join("/data", "t-0"), Topic: "t", Config: b.config,
		Async: func(f func()) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.work = append(b.work, f)
		},
		OnDiskError: func(d *storage.DiskError) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.disk = append(b.disk, d)
		},
		OnLowered: func() { b.lowered++ },
	}
}

// open opens the log; edit may change the options.
func (b *bench) open(edit func(*storage.LogOptions)) storage.Recovery {
	b.t.Helper()
	o := b.options()
	if edit != nil {
		edit(&o)
	}
	l, r, err := storage.Open(o)
	must(b.t, err)
	b.log = l
	return r
}

// background runs the work that the log has put off.
func (b *bench) background() {
	b.mu.Lock()
	work := b.work
	b.work = nil
	b.mu.Unlock()
	for _, f := range work {
		f()
	}
}

func (b *bench) now() int64 { return clock.Millis(b.clock) }

func (b *bench) append(batch record.Batch) (storage.Appended, error) {
	return b.log.Append(batch, storage.AppendInfo{LeaderEpoch: b.epoch, MaxTimestamp: batch.MaxTimestamp(), Client: !batch.IsControl(), Now: b.now()})
}

// failer is what testing.T and rapid.T have in common here.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSmoke(t *testing.T) {
	b := newBench(t)
	b.open(nil)
	if ok, _ := vfs.Exists(b.mem, "/data/t-0"); ok {
		t.Error("an empty log has a directory")
	}
	for i := range 20 {
		a, err := b.append(plain(2, 300, t0+int64(i)))
		must(t, err)
		if a.First != int64(2*i) || a.Last != int64(2*i+1) {
			t.Fatalf("append %d went to %d..%d", i, a.First, a.Last)
		}
	}
	b.background()
	b.log.SetHighWatermark(40)
	for off := int64(0); off < 40; off++ {
		s, err := b.log.Read(off, 1, 40, true)
		must(t, err)
		if s.Len() != 300 || s.First != off/2*2 || s.Cut {
			t.Fatalf("offset %d: %d bytes from %d", off, s.Len(), s.First)
		}
		s.Release()
		s, err = b.log.Read(off, 299, 40, false)
		must(t, err)
		if s.Len() != 299 || !s.Cut {
			t.Fatalf("offset %d: %d of 300 bytes, cut %v", off, s.Len(), s.Cut)
		}
		s.Release()
	}
	must(t, b.log.Close())
	b.open(func(o *storage.LogOptions) { o.Clean = true })
	if b.log.End() != 40 {
		t.Fatalf("end %d after a clean stop", b.log.End())
	}
	b.log.Abandon()
	r := storage.Recovery{}
	r = b.open(nil)
	if b.log.End() != 40 || r.Cut != 0 {
		t.Fatalf("end %d after a crash, %+v", b.log.End(), r)
	}
	b.log.Abandon()
}

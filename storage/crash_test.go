package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/vfs"
)

// life is a log's whole life, for what may happen at any instant of it. It keeps the log dir's checkpoint as the manager
// would, with the slowest pace that is allowed.
type life struct {
	*bench
	batches    []record.Batch // appended or being appended
	acked      int            // of them, how many Append has returned for
	end        int64
	promised   int64 // synced to
	checkpoint int64
	cutting    bool // a truncation is under way, to
	lowest     int64
}

// steps of a life; each returns the log's error.
func (f *life) steps() []func() error {
	app := func(n int32, size int) func() error {
		return func() error { return f.append1(plain(n, size, t0+f.end)) }
	}
	txn := func(id int64, seq int32) func() error {
		return func() error {
			return f.append1(makeBatch(batchSpec{count: 1, size: 150, ts: t0 + f.end, producer: id, seq: seq, txn: true}))
		}
	}
	end := func(id int64, how int) func() error {
		return func() error {
			return f.append1(makeBatch(batchSpec{ts: t0 + f.end, producer: id, marker: how}))
		}
	}
	background := func() error { f.background(); return f.err() }
	sync := func() error {
		at := f.end
		if err := f.log.Sync(at - 1); err != nil {
			return err
		}
		f.promised = at
		return nil
	}
	point := func() error { f.checkpoint = f.log.RecoveryPoint(); return nil }
	watermark := func() error { f.log.SetHighWatermark(f.end); return nil }
	truncate := func(back int64) func() error {
		return func() error {
			to := f.end - back
			f.lowest, f.cutting = to, true
			for _, b := range f.batches {
				if b.BaseOffset() < to && b.LastOffset() >= to {
					f.lowest = b.BaseOffset() // the whole batch goes
				}
			}
			f.promised = min(f.promised, f.lowest)
			if err := f.log.Truncate(to); err != nil {
				return err
			}
			f.cutting = false
			f.end = f.log.End()
			for len(f.batches) > 0 && f.batches[len(f.batches)-1].LastOffset() >= f.end {
				f.batches = f.batches[:len(f.batches)-1]
			}
			f.acked = len(f.batches)
			return nil
		}
	}
	retain := func() error {
		_, err := f.log.Retain(f.now())
		return err
	}
	epoch := func(e int32) func() error {
		return func() error { f.epoch = e; return f.log.AssignEpoch(e) }
	}
	cl := func() error { return f.log.Close() }
	return []func() error{
		epoch(1), app(2, 300), sync, app(3, 300), txn(7, 0), point, app(1, 400), background, txn(8, 0), end(7, abort), point,
		watermark, app(4, 600), epoch(3), txn(7, 1), background, sync, point, end(8, commit), app(1, 700), truncate(1), app(1, 300),
		truncate(4), epoch(5), app(2, 900), app(2, 300), background, watermark, retain, app(1, 500), end(7, abort), sync, cl,
	}
}

func (f *life) append1(b record.Batch) error {
	f.batches = append(f.batches, nil)
	stored := bytes.Clone(b)
	record.Batch(stored).SetBaseOffset(f.end)
	record.Batch(stored).SetLeaderEpoch(f.epoch)
	f.batches[len(f.batches)-1] = stored
	a, err := f.bench.append(b)
	if err != nil {
		return err
	}
	f.acked = len(f.batches)
	f.end = a.Last + 1
	return nil
}

func (f *life) err() error {
	if d := f.log.Failed(); d != nil {
		return d
	}
	return nil
}

func newLife(t failer, preallocate bool, fsys func(vfs.FS) vfs.FS) *life {
	f := &life{bench: newBench(t)}
	f.config.Preallocate = preallocate
	f.config.RetentionBytes = 2500
	f.config.FileDeleteDelayMs = 0
	if fsys != nil {
		f.fs = fsys(f.fs)
	}
	f.open(func(o *storage.LogOptions) {
		o.TopicID = [16]byte{1, 2, 3}
		o.OnLowered = func() { f.checkpoint = min(f.checkpoint, f.log.RecoveryPoint()) }
	})
	return f
}

// instant is a state of the disk with what it must still hold.
type instant struct {
	where    string
	disk     *vfs.Mem
	batches  []record.Batch
	durable  int64 // everything below must be there
	point    int64
	complete bool // only the process died: everything acknowledged must be there, too
}

// TestCrashEverywhere kills the process, and the machine, before every single change of the disk, and recovers.
func TestCrashEverywhere(t *testing.T) {
	for _, preallocate := range []bool{false, true} {
		t.Run(fmt.Sprint("preallocate ", preallocate), func(t *testing.T) { crashEverywhere(t, preallocate) })
	}
}

func crashEverywhere(t *testing.T, preallocate bool) {
	var f *life
	var instants []instant
	n := 0
	note := func(op vfs.Op, name string) error {
		if f == nil || !op.Changes() {
			return nil
		}
		n++
		batches := make([]record.Batch, len(f.batches))
		copy(batches, f.batches)
		at := instant{where: fmt.Sprintf("change %d, before %s of %s", n, op, name), batches: batches, durable: f.promised, point: f.checkpoint}
		acked := int64(0)
		for _, b := range batches[:f.acked] {
			acked = b.LastOffset() + 1
		}
		if f.cutting {
			acked = min(acked, f.lowest)
		}
		where := at.where
		for i, c := range []vfs.Crash{{Process: true}, {}, {Rand: rand.New(rand.NewPCG(uint64(n), 1))}, {Rand: rand.New(rand.NewPCG(uint64(n), 2))}} {
			at.disk, at.complete = f.mem.CrashClone(c), c.Process
			if c.Process {
				at.durable = acked
			} else {
				at.durable = f.promised
			}
			if i > 1 {
				at.where = where + ", torn"
			}
			instants = append(instants, at)
		}
		return nil
	}
	f = newLife(t, preallocate, func(fs vfs.FS) vfs.FS { return vfs.WithHook(fs, note) })
	for i, step := range f.steps() {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	if n < 100 {
		t.Fatalf("only %d changes of the disk", n)
	}
	for _, at := range instants {
		at.recover(t)
	}
}

// recover opens the disk and looks at what is there: a prefix, at least as long as was promised, on which the log goes on.
func (at instant) recover(t *testing.T) {
	t.Helper()
	b := newBench(t)
	b.fs, b.mem = at.disk, at.disk
	b.config.ProducerExpirationMs = 1 << 50
	must(t, at.disk.MkdirAll("/data"))
	b.open(func(o *storage.LogOptions) { o.RecoveryPoint, o.HighWatermark = at.point, 1<<60 })
	l := b.log
	if l.End() < at.durable {
		t.Errorf("%s: the log ends at %d, promised %d", at.where, l.End(), at.durable)
		return
	}
	check := func() {
		t.Helper()
		got := readBatches(t, l, l.Start(), l.End())
		want := at.batches
		for len(want) > 0 && want[0].LastOffset() < l.Start() {
			want = want[1:]
		}
		for i, g := range got {
			if i >= len(want) || !bytes.Equal(g, want[i]) {
				t.Errorf("%s: batch %d at offset %d is not what was written there", at.where, i, g.BaseOffset())
				return
			}
		}
		if last := l.Start(); len(got) > 0 {
			last = got[len(got)-1].LastOffset() + 1
			if last != l.End() {
				t.Errorf("%s: the log ends at %d, its batches at %d", at.where, l.End(), last)
			}
		}
		for _, e := range got {
			if epoch := l.EpochAt(e.BaseOffset()); epoch != e.LeaderEpoch() {
				t.Errorf("%s: offset %d has epoch %d, the cache says %d", at.where, e.BaseOffset(), e.LeaderEpoch(), epoch)
			}
		}
	}
	check()
	// It takes appends, and a clean stop leaves what opens without a scan.
	next := makeBatch(batchSpec{count: 2, size: 200, ts: t0, producer: -1, pepoch: -1, seq: -1})
	b.epoch = 9
	a, err := b.append(next)
	must(t, err)
	at.batches = append(trimTo(at.batches, a.First), next)
	check()
	b.background()
	must(t, l.Close())
	r := b.open(func(o *storage.LogOptions) { o.Clean, o.LogStart = true, l.Start() })
	l = b.log
	if r.Segments != 0 || l.End() != a.Last+1 {
		t.Errorf("%s: after recovery and a clean stop: %d..%d, %+v", at.where, l.Start(), l.End(), r)
	}
	check()
	l.Abandon()
}

func trimTo(batches []record.Batch, end int64) []record.Batch {
	for len(batches) > 0 && batches[len(batches)-1].LastOffset() >= end {
		batches = batches[:len(batches)-1]
	}
	return batches[:len(batches):len(batches)]
}

// TestDiskErrorEverywhere lets every single access to the disk fail, once (the disk seems fine again afterwards, which must
// not be believed). The log must say so, stay offline, and on a good disk have everything that it acknowledged.
func TestDiskErrorEverywhere(t *testing.T) {
	for _, preallocate := range []bool{false, true} {
		t.Run(fmt.Sprint("preallocate ", preallocate), func(t *testing.T) { diskErrorEverywhere(t, preallocate) })
	}
}

func diskErrorEverywhere(t *testing.T, preallocate bool) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		for at := 1; ; at++ {
			var mu sync.Mutex
			n, hit, armed := 0, "", false
			f := newLife(t, preallocate, func(fsys vfs.FS) vfs.FS {
				return vfs.WithHook(fsys, func(op vfs.Op, name string) error {
					mu.Lock()
					defer mu.Unlock()
					if !armed || op == vfs.OpClose || cause == syscall.ENOSPC && op != vfs.OpWrite && op != vfs.OpCreate && op != vfs.OpTruncate {
						return nil
					}
					if n++; n != at {
						return nil
					}
					hit = fmt.Sprintf("%s of %s", op, name)
					if op == vfs.OpWrite {
						return &vfs.ShortWrite{N: 50, Err: cause}
					}
					return cause
				})
			})
			armed = true
			done, failed := f.run()
			if hit == "" {
				if failed != nil {
					t.Fatal(failed)
				}
				break // fewer accesses than that
			}
			f.offline(t, fmt.Sprintf("access %d, %s, %v, in step %d", at, hit, cause, done), failed, cause)
		}
	}
}

func (f *life) run() (step int, err error) {
	for i, step := range f.steps() {
		if err := step(); err != nil {
			return i, err
		}
	}
	return len(f.steps()), nil
}

func (f *life) offline(t *testing.T, where string, failed, cause error) {
	t.Helper()
	if failed == nil {
		// The only accesses that may fail unnoticed: looking for leftovers at the very end.
		t.Errorf("%s: nobody was told", where)
		return
	}
	var d *storage.DiskError
	var ke *kerr.Error
	if !errors.As(failed, &d) || !errors.As(failed, &ke) || ke != kerr.KafkaStorageError || !errors.Is(failed, cause) {
		t.Fatalf("%s: %v (%T)", where, failed, failed)
	}
	if d.Dir != "/data" || len(f.disk) != 1 {
		t.Errorf("%s: dir %s, reported %d times", where, d.Dir, len(f.disk))
	}
	if _, err := f.bench.append(plain(1, 100, t0)); !errors.Is(err, kerr.KafkaStorageError) && !errors.Is(err, kerr.NotLeaderForPartition) {
		t.Errorf("%s: append afterwards: %v", where, err)
	}
	if err := f.log.Sync(0); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("%s: sync afterwards: %v", where, err)
	}
	if _, err := f.log.Read(f.log.Start(), 100, f.log.End(), true); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("%s: read afterwards: %v", where, err)
	}
	_ = f.log.Close()
	acked := int64(0)
	for _, b := range f.batches[:f.acked] {
		acked = b.LastOffset() + 1
	}
	if f.cutting {
		acked = min(acked, f.lowest)
	}
	instant{where: where, disk: f.mem.CrashClone(vfs.Crash{Process: true}), batches: f.batches, durable: acked, point: f.checkpoint, complete: true}.recover(t)
}

// A start that cannot read the disk fails, and does not take what it cannot read for empty.
func TestDiskErrorAtStart(t *testing.T) {
	f := newLife(t, true, nil)
	if step, err := f.run(); err != nil {
		t.Fatal(step, err)
	}
	for _, clean := range []bool{true, false} {
		for at := 1; ; at++ {
			n, hit := 0, ""
			b := newBench(t)
			b.mem = f.mem.CrashClone(vfs.Crash{Process: true})
			b.fs = vfs.WithHook(b.mem, func(op vfs.Op, name string) error {
				if op == vfs.OpClose {
					return nil
				}
				if n++; n == at {
					hit = fmt.Sprintf("%s of %s", op, name)
					return syscall.EIO
				}
				return nil
			})
			o := b.options()
			o.Clean, o.RecoveryPoint = clean, f.checkpoint
			l, _, err := storage.Open(o)
			if hit == "" {
				must(t, err)
				if l.End() != f.end {
					t.Errorf("end %d, want %d", l.End(), f.end)
				}
				break
			}
			if !errors.Is(err, kerr.KafkaStorageError) || !errors.Is(err, syscall.EIO) {
				t.Errorf("clean %v, access %d, %s: %v", clean, at, hit, err)
			}
		}
	}
}

// What a killed predecessor of another make left in the directory is dealt with as Kafka does.
func TestLeftovers(t *testing.T) {
	b := newBench(t)
	b.open(nil)
	for i := range 8 {
		_, err := b.append(plain(1, 400, t0+int64(i)))
		must(t, err)
	}
	must(t, b.log.AssignEpoch(2))
	must(t, b.log.Close())
	read := func(name string) []byte {
		data, err := vfs.ReadFile(b.mem, "/data/t-0/"+name, 1<<20)
		must(t, err)
		return data
	}
	write := func(name string, data []byte) { must(t, vfs.WriteFile(b.mem, "/data/t-0/"+name, data)) }
	// Compaction had merged 0 and 2 into a swap file, complete but for the renames; another was still being written.
	merged := append(read("00000000000000000000.log")[:400:400], read("00000000000000000002.log")...)
	write("00000000000000000000.log.swap", merged)
	write("00000000000000000000.index.swap", nil)
	write("00000000000000000000.timeindex.swap", nil)
	write("00000000000000000004.log.cleaned", []byte("half"))
	write("00000000000000000006.log.swap", []byte("of a split that did not come to its end"))
	write("00000000000000000001.log.deleted", []byte("waits"))
	write("00000000000000000099.index", []byte("no log"))
	write("00000000000000000077.snapshot", []byte("beyond the end"))
	write("00000000000000000006.snapshot", []byte("not a snapshot"))
	// Killed as it wrote the topic's id again, barnabas left this in __consumer_offsets for good.
	write(checkpoint.PartitionMetadata+".tmp", []byte("vers"))
	write(checkpoint.LeaderEpochs+".tmp", nil)
	write("somebody-elses.tmp", []byte("not ours to remove"))
	b.open(func(o *storage.LogOptions) { o.Clean = true })
	var offsets []int64
	for _, batch := range readBatches(t, b.log, 0, b.log.End()) {
		offsets = append(offsets, batch.BaseOffset())
	}
	if got := fmt.Sprint(offsets); got != "[0 2 3 4 5 6 7]" {
		t.Errorf("offsets %s", got)
	}
	infos, err := b.mem.ReadDir("/data/t-0")
	must(t, err)
	for _, info := range infos {
		for _, bad := range []string{".swap", ".cleaned", ".deleted", "00000000000000000099", "00000000000000000077", ".metadata.tmp", "checkpoint.tmp"} {
			if strings.Contains(info.Name, bad) {
				t.Errorf("%s is still there", info.Name)
			}
		}
	}
	if ok, err := vfs.Exists(b.mem, "/data/t-0/somebody-elses.tmp"); err != nil || !ok {
		t.Errorf("a file that is not ours is gone (%v)", err)
	}
	must(t, b.log.Close())

	// Epochs that cannot be read are found in the batches again.
	write(checkpoint.LeaderEpochs, []byte("rubbish"))
	r := b.open(func(o *storage.LogOptions) { o.Clean = true })
	if epoch, ok := b.log.LatestEpoch(); !ok || epoch != 0 || r.Segments != b.log.Segments() {
		t.Errorf("epoch %d %v, %+v", epoch, ok, r)
	}
	must(t, b.log.Close())

	// A missing index of a flushed segment is rebuilt.
	must(t, b.mem.Remove("/data/t-0/00000000000000000004.index"))
	r = b.open(func(o *storage.LogOptions) { o.Clean = true })
	if ok, _ := vfs.Exists(b.mem, "/data/t-0/00000000000000000004.index"); !ok || r.Segments == 0 || b.log.End() != 8 {
		t.Errorf("index rebuilt: %v, %+v, end %d", ok, r, b.log.End())
	}
	b.log.Abandon()
}

// A log is opened after a clean stop, with index files; more is appended, and synced; then it rolls and the process dies before the
// sealed segment's indexes are written. The recovery begins behind the segment, and must not believe the old files: they know nothing
// of the transaction that was aborted since, nor of the newest timestamp.
func TestOldIndexesOfASealedSegment(t *testing.T) {
	b := newBench(t)
	b.config.SegmentBytes = 2000
	b.open(nil)
	must1(b.append(plain(1, 300, t0)))(t)
	must(t, b.log.Close())
	b.open(func(o *storage.LogOptions) { o.Clean = true })
	must1(b.append(makeBatch(batchSpec{count: 1, size: 300, ts: t0 + 50, producer: 7, txn: true})))(t)
	must1(b.append(makeBatch(batchSpec{ts: t0 + 60, producer: 7, marker: abort})))(t)
	must(t, b.log.Flush())
	point := b.log.RecoveryPoint()
	must1(b.append(plain(1, 1900, t0+70)))(t)
	if b.log.Segments() != 2 {
		t.Fatalf("%d segments", b.log.Segments())
	}
	for _, c := range []vfs.Crash{{Process: true}, {}} {
		r := newBench(t)
		r.mem = b.mem.CrashClone(c)
		r.fs, r.config = r.mem, b.config
		r.open(func(o *storage.LogOptions) { o.RecoveryPoint, o.HighWatermark = point, 1<<60 })
		if a := r.log.Aborted(0, 3); len(a) != 1 || a[0].ProducerID != 7 {
			t.Errorf("%+v: aborted are %+v", c, a)
		}
		if s, err := r.log.Read(0, 1, 3, true); err != nil || s.Len() == 0 {
			t.Errorf("%+v: %v", c, err)
		} else {
			s.Release()
		}
		r.log.Abandon()
	}
	b.log.Abandon()
}

// A clean stop, and an index that leads into the midst of a batch, sealed or not. The producers are looked for behind the start through
// it, and the log dir went offline. It is the index that is wrong, so it is made anew; or gone on with rightly, if nobody looks.
func TestIndexLeadsAstray(t *testing.T) {
	for _, base := range []int64{2, 6} {
		b := newBench(t)
		b.open(nil)
		for i := range int64(8) {
			must1(b.append(plain(1, 400, t0+i)))(t)
		}
		must(t, b.log.Close())
		infos, err := b.mem.ReadDir("/data/t-0")
		must(t, err)
		for _, info := range infos {
			if filepath.Ext(info.Name) == ".snapshot" {
				must(t, vfs.WriteFile(b.mem, "/data/t-0/"+info.Name, []byte("rubbish")))
			}
		}
		index := fmt.Sprintf("/data/t-0/%020d.index", base)
		must(t, vfs.WriteFile(b.mem, index, []byte{0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 2, 0, 0, 1, 144}))
		start := func(o *storage.LogOptions) { o.Clean, o.LogStart, o.HighWatermark = true, base+1, 8 }
		for again := range 2 {
			r := b.open(start)
			if n := len(readBatches(t, b.log, base+1, 8)); n != int(7-base) || r.Segments != 1-again || r.Cut > 0 {
				t.Errorf("segment %d, start %d: %d batches, %+v", base, again, n, r)
			}
			must(t, b.log.Close())
		}
	}
}

// An active segment's index is believed from its first append on, when it is read whole. One that names what no batch has took no
// entries any more, with a line for each that it refused, and was kept.
func TestAppendBehindAnIndexOfAnother(t *testing.T) {
	const file = "/data/t-0/00000000000000000000.index"
	right := []byte{0, 0, 0, 1, 0, 0, 1, 144}
	grown := map[string][]byte{}
	for name, index := range map[string][]byte{
		"right":                     right,
		"offsets that no batch has": {0, 0, 0, 1, 0, 0, 1, 144, 0, 0, 0, 9, 0, 0, 2, 0},
		"positions behind the end":  {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 9, 0},
		"positions that fall":       {0, 0, 0, 0, 0, 0, 1, 144, 0, 0, 0, 1, 0, 0, 0, 0},
	} {
		b := newBench(t)
		b.config.SegmentBytes, b.config.IndexIntervalBytes = 1<<20, 100
		b.open(nil)
		for i := range int64(2) {
			must1(b.append(plain(1, 400, t0+i)))(t)
		}
		must(t, b.log.Close())
		if got := must1(vfs.ReadFile(b.mem, file, 1<<20))(t); !bytes.Equal(got, right) {
			t.Fatalf("the index is %x", got)
		}
		must(t, vfs.WriteFile(b.mem, file, index))
		b.open(func(o *storage.LogOptions) { o.Clean = true })
		for i := range int64(8) {
			must1(b.append(plain(1, 400, t0+i)))(t)
		}
		must(t, b.log.Close())
		grown[name] = must1(vfs.ReadFile(b.mem, file, 1<<20))(t)
		if r := b.open(func(o *storage.LogOptions) { o.Clean = true }); r.Segments > 0 || b.log.End() != 10 {
			t.Errorf("%s: ends at %d, %+v", name, b.log.End(), r)
		}
		b.log.Abandon()
	}
	for name, index := range grown {
		if !bytes.Equal(index, grown["right"]) {
			t.Errorf("%s: %x, want %x", name, index, grown["right"])
		}
	}
}

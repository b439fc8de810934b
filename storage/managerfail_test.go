package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/vfs"
)

// broken is a disk that can be pulled out under a log dir.
type broken struct {
	mu  sync.Mutex
	dir []string
}

var errPulled = errors.New("input/output error")

func (b *broken) pull(dir string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dir = append(b.dir, dir+"/")
}

func (b *broken) hook(op vfs.Op, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.dir {
		if strings.HasPrefix(name+"/", d) && op != vfs.OpClose {
			return errPulled
		}
	}
	return nil
}

// Too many open files are no fault of a disk: the cache lets some go.
func TestManagerOutOfFiles(t *testing.T) {
	h := newHost(t, "/d")
	var open, limit, refuse atomic.Int64
	limit.Store(1000)
	h.fs = vfs.WithHook(h.mem, func(op vfs.Op, _ string) error {
		if op == vfs.OpCreate && refuse.Add(-1) >= 0 {
			return syscall.EMFILE
		}
		switch op {
		case vfs.OpOpen, vfs.OpCreate:
			if open.Load() >= limit.Load() {
				return syscall.EMFILE
			}
			open.Add(1)
		case vfs.OpClose:
			open.Add(-1)
		}
		return nil
	})
	h.start()
	for i := range int32(20) {
		h.fill(h.create("t", i), 1)
	}
	limit.Store(open.Load()) // somebody else has all the rest
	for i := range int32(20) {
		h.fill(h.create("u", i), 1)
	}
	for l := range h.m.Logs() {
		if l.Failed() != nil || l.End() != 1 {
			t.Errorf("%s ends at %d: %v", l, l.End(), l.Failed())
		}
	}
	// The stop closed sixteen logs at a time, and was not clean where there were not enough for all of them together.
	limit.Store(1000)
	refuse.Store(20)
	h.stop()
}

func TestManagerDirFails(t *testing.T) {
	h := newHost(t, "/d1", "/d2")
	disk := &broken{}
	h.fs = vfs.WithHook(h.mem, disk.hook)
	failed, all := make(chan string, 10), make(chan bool, 10)
	h.edit = func(o *storage.Options) {
		o.OnDirFailed = func(dir string, err error) {
			if !errors.Is(err, errPulled) {
				t.Errorf("log dir %s failed with %v", dir, err)
			}
			failed <- dir
		}
		o.OnAllFailed = func() { all <- true }
	}
	h.start()
	var logs []*storage.Log
	for i := range int32(4) {
		logs = append(logs, h.create("t", i))
		h.fill(logs[i], 3)
	}
	must(t, h.m.MissingIsLost())
	disk.pull("/d2")
	batch := func(l *storage.Log) error {
		_, err := l.Append(plain(1, 300, t0), storage.AppendInfo{MaxTimestamp: t0, Now: t0})
		return err
	}
	if err := batch(logs[1]); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("append on a broken disk: %v", err)
	}
	if dir := <-failed; dir != "/d2" {
		t.Errorf("%s failed", dir)
	}
	if err := batch(logs[3]); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("append to another log of the log dir: %v", err)
	}
	if _, err := logs[3].Read(0, 100, 3, true); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("read from it: %v", err)
	}
	must(t, batch(logs[0]))
	must(t, batch(logs[2]))
	if err := h.m.Delete("t", 3); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("delete: %v", err)
	}
	if err := h.m.Delete("u", 0); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("delete of what may be there: %v", err)
	}
	if _, err := h.m.Create("t", 3, [16]byte{1}, h.config); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("create: %v", err)
	}
	if err := h.m.MissingIsLost(); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("what is missing may be lost: %v", err)
	}
	for range 2 {
		h.create("u", 1)
		if h.m.DirOf("u", 1) != "/d1" {
			t.Error("a new log in the failed log dir")
		}
	}
	infos := h.m.Dirs()
	if infos[0].Err != nil || infos[0].Total <= 0 || infos[1].Err == nil || infos[1].Total != -1 {
		t.Errorf("%+v", infos)
	}
	if h.m.Offline("/d1") != nil || h.m.Offline("/d2") == nil {
		t.Error("Offline")
	}
	h.clock.Advance(10 * time.Minute) // the chores of the other go on
	if o := h.offsets("/d1/" + checkpoint.HighWatermarks); len(o) != 3 {
		t.Errorf("high watermarks %v", o)
	}
	h.stop()
	if slices.Contains(h.names("/d2"), checkpoint.CleanShutdown) || !slices.Contains(h.names("/d1"), checkpoint.CleanShutdown) {
		t.Error("only what is clean has the mark")
	}

	// The disk is back: everything that was written is there.
	h.fs = h.mem
	h.start()
	if l := h.m.Log("t", 3); l.End() != 3 {
		t.Errorf("%s ends at %d", l, l.End())
	}
	h.stop()

	// Both fail, one of them at the start already.
	disk = &broken{}
	disk.pull("/d1")
	h.fs = vfs.WithHook(h.mem, disk.hook)
	h.start()
	if h.m.Log("t", 0) != nil || h.m.Log("t", 3) == nil {
		t.Error("logs of the wrong log dir")
	}
	disk.pull("/d2")
	h.clock.Advance(5 * time.Second) // the janitor finds out
	if dir := <-failed; dir != "/d2" || !<-all {
		t.Errorf("%s failed", dir)
	}
	h.stop()
	if _, err := h.openDirs(); !errors.Is(err, errPulled) {
		t.Errorf("no disk at all: %v", err)
	}
}

// A log dir whose disk fails while it is loaded does not keep the others from starting.
func TestManagerLoadFails(t *testing.T) {
	h := newHost(t, "/d1", "/d2")
	h.start()
	h.fill(h.create("t", 0), 3)
	h.fill(h.create("t", 1), 3)
	h.m.Kill()
	h.write("/d1/"+checkpoint.RecoveryPoints, "nonsense")
	h.write("/d2/"+checkpoint.HighWatermarks, "nonsense")
	h.start()
	if h.m.Log("t", 0).End() != 3 {
		t.Error("a malformed recovery point checkpoint costs a scan, no data")
	}
	if h.m.Log("t", 1) != nil || h.m.Offline("/d2") == nil {
		t.Error("a high watermark was made up")
	}
	h.m.Kill()
	h.write("/d2/"+checkpoint.HighWatermarks, "")
	h.fs = vfs.WithFaults(h.mem, vfs.Rule{Op: vfs.OpMap, Err: errPulled, Nth: 1})
	h.start()
	if n := len(slices.Collect(h.m.Logs())); n != 1 {
		t.Errorf("%d logs", n)
	}
}

func TestManagerLoadEnds(t *testing.T) {
	h := newHost(t, "/d")
	h.start()
	for i := range int32(8) {
		h.fill(h.create("t", i), 3)
	}
	h.stop()
	marks := h.offsets("/d/" + checkpoint.HighWatermarks)
	m, err := h.openDirs()
	must(t, err)
	h.m = m
	ctx, cancel := context.WithCancel(context.Background())
	err = m.Load(ctx, func(topic string) storage.Config { cancel(); return h.config })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("load ended with %v", err)
	}
	h.stop()
	if diff := cmp.Diff(marks, h.offsets("/d/"+checkpoint.HighWatermarks)); diff != "" {
		t.Errorf("a load that was cut short has changed the checkpoints: %s", diff)
	}
	if !slices.Contains(h.names("/d"), checkpoint.CleanShutdown) {
		t.Error("it has cost the mark of the clean stop")
	}
	h.start()
	for l := range h.m.Logs() {
		if l.HighWatermark() != 3 {
			t.Errorf("%s has high watermark %d", l, l.HighWatermark())
		}
	}
}

// Whatever the manager was about when the machine died, the log dirs load, and what was synced is there. The file system
// is cloned after every change it is told of.
func TestManagerCrashPoints(t *testing.T) {
	h := newHost(t, "/d1", "/d2")
	type point struct {
		fs   *vfs.Mem
		op   string
		acks map[string]int64
	}
	var mu sync.Mutex // guards points: log dirs are closed at the same time
	var points []point
	acks := map[string]int64{} // end of what was synced, of logs that are not deleted
	h.fs = vfs.WithHook(h.mem, func(op vfs.Op, name string) error {
		if op.Changes() {
			mu.Lock()
			defer mu.Unlock()
			copied := map[string]int64{}
			for k, v := range acks {
				copied[k] = v
			}
			points = append(points, point{h.mem.CrashClone(vfs.Crash{}), fmt.Sprint(op, " ", name), copied})
		}
		return nil
	})
	// Background work would make the points depend on chance: nothing rolls by itself here.
	h.config.SegmentBytes = 1 << 20
	ack := func(l *storage.Log) {
		must(t, l.Flush())
		acks[l.String()] = l.End()
	}
	h.start()
	must(t, h.m.WriteMeta(checkpoint.Meta{BrokerID: 1, ClusterID: "c"}))
	for i := range int32(3) {
		l := h.create("t", i)
		h.fill(l, 4)
		ack(l)
	}
	h.clock.Advance(time.Minute)
	acks["t-0"] = 2
	must(t, h.m.Log("t", 0).Truncate(2))
	h.fill(h.m.Log("t", 0), 3)
	ack(h.m.Log("t", 0))
	delete(acks, "t-1")
	must(t, h.m.Delete("t", 1))
	h.fill(h.create("t", 1), 2)
	ack(h.m.Log("t", 1))
	h.clock.Advance(2 * time.Minute)
	h.stop()
	if len(points) < 50 {
		t.Fatalf("only %d changes", len(points))
	}
	for i, p := range points {
		again := newHost(t, h.dirs...)
		again.mem, again.fs, again.config = p.fs, p.fs, h.config
		m, err := again.openDirs()
		must(t, err)
		again.m = m
		if err := again.load(); err != nil {
			t.Fatalf("crash %d, before %s: %v", i, p.op, err)
		}
		for name, end := range p.acks {
			l := m.Log("t", int32(name[2]-'0'))
			if l == nil || l.End() < end {
				t.Errorf("crash %d, before %s: %s should end at %d, is %v", i, p.op, name, end, l)
			}
		}
		must(t, m.Close(context.Background()))
	}
}

// A replica whose deletion failed with its disk must not be made anew in another log dir: the next start would find it
// twice, and refuse.
func TestManagerDeleteFails(t *testing.T) {
	h := newHost(t, "/d1", "/d2")
	h.fs = vfs.WithHook(h.mem, func(op vfs.Op, name string) error {
		if op == vfs.OpRename && name == "/d1/t-0" {
			return errPulled
		}
		return nil
	})
	h.start()
	h.fill(h.create("t", 0), 3)
	if err := h.m.Delete("t", 0); !errors.Is(err, kerr.KafkaStorageError) || !errors.Is(err, errPulled) {
		t.Errorf("delete: %v", err)
	}
	if _, err := h.m.Create("t", 0, [16]byte{1}, h.config); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("create: %v", err)
	}
	h.stop()
	h.start()
	if l := h.m.Log("t", 0); l == nil || l.End() != 3 || h.m.DirOf("t", 0) != "/d1" {
		t.Errorf("the replica is %v, in %q", l, h.m.DirOf("t", 0))
	}
}

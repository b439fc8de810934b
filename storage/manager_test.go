package storage_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/goleak"

	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// host is a broker's log dirs on a file system that can crash, with a clock that is moved by hand.
type host struct {
	t      testing.TB
	mem    *vfs.Mem
	fs     vfs.FS // what the manager sees
	clock  *clock.Manual
	dirs   []string
	config storage.Config
	edit   func(*storage.Options)
	m      *storage.Manager
}

func newHost(t testing.TB, dirs ...string) *host {
	h := &host{t: t, mem: vfs.NewMem(), clock: clock.NewManual(time.UnixMilli(t0)), dirs: dirs}
	h.mem.Now = h.clock.Now
	h.fs = h.mem
	h.config = storage.DefaultConfig()
	h.config.SegmentBytes, h.config.IndexIntervalBytes = 1000, 200
	h.config.RetentionMs = -1
	t.Cleanup(func() {
		if h.m != nil {
			h.m.Kill()
		}
	})
	return h
}

func (h *host) openDirs() (*storage.Manager, error) {
	o := storage.Options{FS: h.fs, Clock: h.clock, Dirs: h.dirs, RecoveryThreads: 2}
	if h.edit != nil {
		h.edit(&o)
	}
	return storage.OpenDirs(o)
}

// start opens, loads and starts.
func (h *host) start() {
	h.t.Helper()
	m, err := h.openDirs()
	must(h.t, err)
	h.m = m
	must(h.t, h.load())
	m.Start()
}

func (h *host) load() error {
	return h.m.Load(context.Background(), func(string) storage.Config { return h.config })
}

func (h *host) stop() {
	h.t.Helper()
	must(h.t, h.m.Close(context.Background()))
}

// crash kills the manager and goes on with what the file system then has.
func (h *host) crash(c vfs.Crash) {
	h.m.Kill()
	h.mem = h.mem.CrashClone(c)
	h.fs = h.mem
}

func (h *host) create(topic string, partition int32) *storage.Log {
	h.t.Helper()
	l, err := h.m.Create(topic, partition, [16]byte{1}, h.config)
	must(h.t, err)
	return l
}

// fill appends batches of one record and 300 bytes, and commits them.
func (h *host) fill(l *storage.Log, n int) {
	h.t.Helper()
	for range n {
		_, err := l.Append(plain(1, 300, clock.Millis(h.clock)), storage.AppendInfo{MaxTimestamp: clock.Millis(h.clock), Client: true, Now: clock.Millis(h.clock)})
		must(h.t, err)
	}
	l.SetHighWatermark(l.End())
}

// names lists a directory.
func (h *host) names(dir string) (names []string) {
	h.t.Helper()
	infos, err := h.mem.ReadDir(dir)
	must(h.t, err)
	for _, i := range infos {
		names = append(names, i.Name)
	}
	return names
}

func (h *host) offsets(name string) checkpoint.Offsets {
	h.t.Helper()
	o, err := checkpoint.ReadOffsets(h.mem, name)
	must(h.t, err)
	return o
}

func (h *host) write(name, text string) {
	h.t.Helper()
	must(h.t, h.mem.MkdirAll(filepath.Dir(name)))
	must(h.t, vfs.WriteFile(h.mem, name, []byte(text)))
}

// eventually waits for work in the background.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.After(10 * time.Second); !ok(); {
		select {
		case <-deadline:
			t.Fatalf("in vain: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestManagerLife(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := newHost(t, "/a/d1", "/a/d2")
	h.start()
	if _, found, err := h.m.Meta(); found || err != nil {
		t.Fatal(found, err)
	}
	must(t, h.m.WriteMeta(checkpoint.Meta{BrokerID: 3, ClusterID: "c"}))
	for i := range int32(4) {
		l := h.create("t", i)
		if want := fmt.Sprintf("/a/d%d", i%2+1); h.m.DirOf("t", i) != want {
			t.Errorf("partition %d lies in %s", i, h.m.DirOf("t", i))
		}
		if i > 0 {
			h.fill(l, int(i)*5)
		}
	}
	again := h.create("t", 1)
	if again != h.m.Log("t", 1) {
		t.Error("a second Create made another log")
	}
	if _, err := h.m.Create("t", 1, [16]byte{2}, h.config); !errors.Is(err, kerr.InconsistentTopicID) {
		t.Errorf("another topic id: %v", err)
	}
	for _, topic := range []string{"", ".", "..", "a/b", "a b", strings.Repeat("x", 250)} {
		if _, err := h.m.Create(topic, 0, [16]byte{}, h.config); !errors.Is(err, kerr.InvalidTopicException) {
			t.Errorf("topic %q: %v", topic, err)
		}
	}
	must(t, h.m.Log("t", 3).SetStart(7))
	h.stop()

	want := []string{checkpoint.CleanShutdown, checkpoint.LogStarts, checkpoint.MetaProperties, checkpoint.RecoveryPoints,
		checkpoint.HighWatermarks, "t-1", "t-3"}
	if diff := cmp.Diff(want, h.names("/a/d2")); diff != "" {
		t.Errorf("after a clean stop: %s", diff)
	}
	if diff := cmp.Diff(checkpoint.Offsets{{Topic: "t", ID: 3}: 7}, h.offsets("/a/d2/"+checkpoint.LogStarts)); diff != "" {
		t.Error(diff)
	}

	h.crash(vfs.Crash{}) // a clean stop is durable
	h.start()
	if m, found, err := h.m.Meta(); !found || err != nil || m.BrokerID != 3 || m.ClusterID != "c" {
		t.Error(m, found, err)
	}
	if h.m.Log("t", 0) != nil {
		t.Error("a partition that nobody wrote to has come back")
	}
	for i := range int32(3) {
		l := h.m.Log("t", i+1)
		if end := int64(i+1) * 5; l.End() != end || l.HighWatermark() != end || l.RecoveryPoint() != end {
			t.Errorf("%s ends at %d, high watermark %d", l, l.End(), l.HighWatermark())
		}
		if l.TopicID() != [16]byte{1} {
			t.Errorf("%s has topic id %v", l, l.TopicID())
		}
	}
	if l := h.m.Log("t", 3); l.Start() != 7 {
		t.Errorf("%s starts at %d", l, l.Start())
	}
	if n := len(slices.Collect(h.m.Logs())); n != 3 {
		t.Errorf("%d logs", n)
	}
	h.stop()
	h.stop() // a second time does nothing
	if _, err := h.m.Create("u", 0, [16]byte{}, h.config); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("Create after Close: %v", err)
	}
}

// A clean stop writes nothing for logs that nobody has written to since the last one: ten thousand of them took twenty seconds, in which
// each was synced three times over.
func TestManagerStopsAtOnceWhenIdle(t *testing.T) {
	h := newHost(t, "/d")
	h.start()
	for i := range int32(3) {
		h.fill(h.create("t", i), 15) // some segments
	}
	h.stop()
	var mu sync.Mutex
	var touched []string
	h.fs = vfs.WithHook(h.mem, func(op vfs.Op, name string) error {
		if op.Changes() && strings.HasPrefix(name, "/d/t-") {
			mu.Lock()
			defer mu.Unlock()
			touched = append(touched, fmt.Sprint(op, " ", name))
		}
		return nil
	})
	h.start()
	h.stop()
	if len(touched) > 0 {
		t.Errorf("%d changes:\n%s", len(touched), strings.Join(touched, "\n"))
	}
	h.crash(vfs.Crash{})
	h.fs = h.mem
	h.start()
	for i := range int32(3) {
		if l := h.m.Log("t", i); l.End() != 15 {
			t.Errorf("%s ends at %d", l, l.End())
		}
	}
}

// After a kill the high watermark and the log start are what the chores wrote down, and the data is what was written.
func TestManagerKilled(t *testing.T) {
	h := newHost(t, "/d")
	h.start()
	l := h.create("t", 0)
	h.fill(l, 10)
	h.clock.Advance(5 * time.Second)
	h.fill(l, 10)
	h.clock.Advance(4 * time.Second)
	h.crash(vfs.Crash{Process: true})
	if names := h.names("/d"); slices.Contains(names, checkpoint.CleanShutdown) || !slices.Contains(names, ".lock") {
		t.Errorf("after a kill: %v", names)
	}
	h.start()
	if l = h.m.Log("t", 0); l.End() != 20 || l.HighWatermark() != 10 {
		t.Errorf("end %d, high watermark %d", l.End(), l.HighWatermark())
	}
	l.SetHighWatermark(20)
	must(t, l.SetStart(13))
	must(t, l.Flush())
	h.clock.Advance(time.Minute)
	if o := h.offsets("/d/" + checkpoint.RecoveryPoints); o[checkpoint.Partition{Topic: "t"}] != 20 {
		t.Errorf("recovery points %v", o)
	}
	h.crash(vfs.Crash{})
	h.start()
	if l = h.m.Log("t", 0); l.Start() != 13 || l.End() != 20 || l.HighWatermark() != 20 {
		t.Errorf("start %d, end %d, high watermark %d", l.Start(), l.End(), l.HighWatermark())
	}
}

func TestManagerRefusesToStart(t *testing.T) {
	cases := map[string]struct {
		make func(h *host)
		says string
	}{
		"foreign directory":   {func(h *host) { h.write("/d1/lost+found/x", "") }, "lost+found"},
		"no partition":        {func(h *host) { h.write("/d1/topic-x/x", "") }, "topic-x"},
		"no unique id":        {func(h *host) { h.write("/d1/t-0.123-delete/x", "") }, "t-0.123-delete"},
		"the same log twice":  {func(h *host) { h.write("/d2/t-0/x", "") }, "in two log dirs, /d1 and /d2"},
		"a negative one":      {func(h *host) { h.write("/d1/topic--1/x", "") }, ""}, // is partition 1 of "topic-"
		"files do not matter": {func(h *host) { h.write("/d1/lost+found", "") }, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "/d1", "/d2")
			h.start()
			h.fill(h.create("t", 0), 1)
			h.stop()
			c.make(h)
			m, err := h.openDirs()
			must(t, err)
			h.m = m
			err = h.load()
			if c.says == "" {
				must(t, err)
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("started, or said: %v", err)
			}
			h.stop()
			for _, d := range h.dirs {
				if !slices.Contains(h.names(d), checkpoint.CleanShutdown) || slices.Contains(h.names(d), ".lock") {
					t.Errorf("the failed start has left %v", h.names(d))
				}
			}
		})
	}
}

func TestManagerPassesOver(t *testing.T) {
	h := newHost(t, "/d")
	hex := strings.Repeat("0f", 16)
	for _, dir := range []string{"remote-log-index-cache", "old stuff-1", "__cluster_metadata-0", "t-1." + hex + "-future", "t-2." + hex + "-stray", "t-3." + hex + "-delete"} {
		h.write("/d/"+dir+"/x", "")
	}
	h.start()
	if n := len(slices.Collect(h.m.Logs())); n != 0 {
		t.Errorf("%d logs", n)
	}
	h.clock.Advance(time.Second)
	names := h.names("/d")
	if slices.Contains(names, "t-3."+hex+"-delete") || !slices.Contains(names, "t-1."+hex+"-future") || !slices.Contains(names, "t-2."+hex+"-stray") {
		t.Errorf("left are %v", names)
	}
}

func TestManagerLocks(t *testing.T) {
	h := newHost(t, "/d1", "/d2")
	h.start()
	other := newHost(t, "/d3", "/d2")
	other.mem, other.fs = h.mem, h.mem
	if _, err := other.openDirs(); !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), "/d2 is used by another broker") {
		t.Errorf("two brokers on a log dir: %v", err)
	}
	h.stop()
	other.dirs = []string{"/d3", "/d1"}
	other.start() // and /d3 was given back
	h.dirs = []string{"/x", "/x/"}
	if _, err := h.openDirs(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a log dir named twice: %v", err)
	}
	h.dirs = nil
	if _, err := h.openDirs(); err == nil {
		t.Error("no log dir at all")
	}
}

func TestManagerMeta(t *testing.T) {
	const head = "version=0\n"
	for name, c := range map[string]struct{ one, two, says string }{
		"brokers":   {head + "broker.id=1\ncluster.id=c", head + "broker.id=2\ncluster.id=c", "different brokers"},
		"clusters":  {head + "broker.id=1\ncluster.id=c", head + "broker.id=1\ncluster.id=d", "different clusters"},
		"KRaft":     {"version=1\nnode.id=1\ncluster.id=c", head, "KRaft"},
		"malformed": {"broker.id=1", head, "malformed"},
	} {
		h := newHost(t, "/d1", "/d2")
		h.write("/d1/meta.properties", c.one)
		h.write("/d2/meta.properties", c.two)
		h.start()
		if _, _, err := h.m.Meta(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h := newHost(t, "/d1", "/d2")
	h.write("/d1/meta.properties", head+"broker.id=1\ncluster.id=c\ndirectory.id=mine\n")
	h.start()
	if m, found, err := h.m.Meta(); !found || err != nil || m.BrokerID != 1 || m.Rest != nil {
		t.Error(m, found, err)
	}
	must(t, h.m.WriteMeta(checkpoint.Meta{BrokerID: 1, ClusterID: "e"}))
	one, _, err := checkpoint.ReadMeta(h.mem, "/d1/meta.properties")
	must(t, err)
	two, _, err := checkpoint.ReadMeta(h.mem, "/d2/meta.properties")
	must(t, err)
	if one.Rest["directory.id"] != "mine" || one.ClusterID != "e" || two.Rest != nil || two.ClusterID != "e" {
		t.Errorf("wrote %+v and %+v", one, two)
	}
}

func TestManagerDelete(t *testing.T) {
	h := newHost(t, "/d")
	h.start()
	p := checkpoint.Partition{Topic: "t"}
	l := h.create("t", 0)
	h.fill(l, 10)
	h.fill(h.create("t", 1), 10)
	h.stop()
	h.write("/d/"+checkpoint.FirstDirty, "0\n2\nt 0 6\nt 1 6\n")
	h.start()
	l = h.m.Log("t", 0)
	must(t, l.Flush())
	h.clock.Advance(time.Minute)
	slice, err := l.Read(0, 300, 10, true)
	must(t, err)
	must(t, h.m.Delete("t", 0))
	if err := h.m.Delete("t", 0); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("a second time: %v", err)
	}
	if h.m.Log("t", 0) != nil {
		t.Error("it is still there")
	}
	if _, err := l.Append(plain(1, 300, t0), storage.AppendInfo{MaxTimestamp: t0, Now: t0}); err == nil {
		t.Error("append to a deleted log")
	}
	if n, err := slice.ReadInto(make([]byte, 300)); n != 300 || err != nil {
		t.Errorf("a reader lost its hold: %d %v", n, err)
	}
	slice.Release()
	doomed := func() (n int) {
		for _, name := range h.names("/d") {
			if strings.HasPrefix(name, "t-0.") && strings.HasSuffix(name, "-delete") {
				n++
			}
		}
		return n
	}
	if doomed() != 1 || slices.Contains(h.names("/d"), "t-0") {
		t.Errorf("left are %v", h.names("/d"))
	}
	if o := h.offsets("/d/" + checkpoint.FirstDirty); len(o) != 1 {
		t.Errorf("the cleaner's checkpoint has %v", o)
	}

	// Its successor has nothing of it, also if the broker dies now.
	l = h.create("t", 0)
	if _, stale := h.offsets("/d/" + checkpoint.HighWatermarks)[p]; stale && h.offsets("/d/" + checkpoint.HighWatermarks)[p] != 0 {
		t.Error("the checkpoint speaks of the deleted log")
	}
	h.fill(l, 2)
	h.crash(vfs.Crash{Process: true})
	h.start()
	if l = h.m.Log("t", 0); l.End() != 2 || l.HighWatermark() != 0 {
		t.Errorf("the new log ends at %d, high watermark %d", l.End(), l.HighWatermark())
	}
	h.clock.Advance(time.Second) // what a crash left of deleted ones goes at once
	if doomed() != 0 {
		t.Errorf("left are %v", h.names("/d"))
	}
	must(t, h.m.Delete("t", 0))
	h.clock.Advance(59 * time.Second)
	if doomed() != 1 {
		t.Error("gone before file.delete.delay.ms")
	}
	h.clock.Advance(time.Second)
	if doomed() != 0 {
		t.Error("still there after file.delete.delay.ms")
	}
	h.create("lazy", 0)
	must(t, h.m.Delete("lazy", 0)) // has no directory
}

// A log of a topic that is gone makes room for its successor, and can be brought back by hand, whole.
func TestManagerSetAside(t *testing.T) {
	h := newHost(t, "/d")
	h.start()
	h.fill(h.create("t", 0), 10)
	must(t, h.m.SetAside("t", 0))
	if h.m.Log("t", 0) != nil {
		t.Error("still there")
	}
	if err := h.m.SetAside("t", 0); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("twice: %v", err)
	}
	if l, err := h.m.Create("t", 0, [16]byte{2}, h.config); err != nil || l.End() != 0 {
		t.Errorf("its successor: %v %v", l, err)
	}
	h.stop()
	h.start()
	i := slices.IndexFunc(h.names("/d"), func(name string) bool { return strings.HasSuffix(name, "-stray") })
	if i < 0 || h.m.Log("t", 0) != nil {
		t.Fatalf("after a restart: %v", h.names("/d"))
	}
	stray := h.names("/d")[i]
	h.stop()
	must(t, h.fs.Rename("/d/"+stray, "/d/t-0"))
	h.start()
	if l := h.m.Log("t", 0); l == nil || l.End() != 10 {
		t.Errorf("brought back: %v", l)
	}
	h.stop()
}

func TestManagerChores(t *testing.T) {
	h := newHost(t, "/d")
	h.start()
	l := h.create("t", 0)
	h.fill(l, 10) // three a segment
	_, err := l.Append(makeBatch(batchSpec{count: 1, size: 300, ts: t0, producer: 7}), storage.AppendInfo{MaxTimestamp: t0, Client: true, Now: t0})
	must(t, err)
	l.SetHighWatermark(l.End())
	eventually(t, "the rolls are flushed", func() bool { return l.RecoveryPoint() == 9 })

	c := h.config
	c.RetentionMs = 60_000
	h.m.SetConfig("t", c)
	h.clock.Advance(30 * time.Second)
	if l.Start() != 0 {
		t.Error("retention before its time")
	}
	if o := h.offsets("/d/" + checkpoint.RecoveryPoints); o[checkpoint.Partition{Topic: "t"}] != 9 {
		t.Errorf("recovery points %v", o)
	}
	h.clock.Advance(5 * time.Minute)
	if l.Start() != 11 || l.Segments() != 1 {
		t.Errorf("retention has left %d segments from %d", l.Segments(), l.Start())
	}
	if len(l.Producers()) != 1 {
		t.Error("the producer is gone")
	}
	h.clock.Advance(24 * time.Hour)
	if len(l.Producers()) != 0 {
		t.Error("the producer has not expired")
	}
	for _, name := range h.names("/d/t-0") {
		if strings.HasSuffix(name, ".deleted") {
			t.Errorf("%s is still there", name)
		}
	}
	h.fill(l, 2)
	must(t, l.SetStart(12))
	h.clock.Advance(time.Minute)
	if o := h.offsets("/d/" + checkpoint.LogStarts); o[checkpoint.Partition{Topic: "t"}] != 12 {
		t.Errorf("log starts %v", o)
	}
}

// flush.ms counts from the scheduler's interval only.
func TestManagerFlushes(t *testing.T) {
	h := newHost(t, "/d")
	h.edit = func(o *storage.Options) { o.FlushCheck = time.Second }
	h.config.FlushMs = 5000
	h.start()
	l := h.create("t", 0)
	h.clock.Advance(30 * time.Second)
	h.fill(l, 1)
	h.clock.Advance(4 * time.Second)
	if l.RecoveryPoint() != 0 {
		t.Error("flushed early")
	}
	h.clock.Advance(2 * time.Second)
	if l.RecoveryPoint() != 1 {
		t.Error("not flushed")
	}
}

// A truncation lowers the recovery point in the checkpoint before it returns: what is written in place of the truncated
// must be scanned after a crash.
func TestManagerTruncation(t *testing.T) {
	h := newHost(t, "/d")
	h.start()
	l := h.create("t", 0)
	h.fill(l, 10)
	must(t, l.Flush())
	h.clock.Advance(time.Minute)
	must(t, l.Truncate(4))
	if o := h.offsets("/d/" + checkpoint.RecoveryPoints); o[checkpoint.Partition{Topic: "t"}] != 4 {
		t.Errorf("recovery points %v", o)
	}
}

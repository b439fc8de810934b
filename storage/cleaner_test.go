package storage_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"barnabas/protocol/record"
	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

const backoff = 15 * time.Second

// cleaningHost is a host whose logs are compacted, by one thread.
func cleaningHost(t testing.TB, dirs ...string) *host {
	h := newHost(t, dirs...)
	h.config.Compact, h.config.Delete = true, false
	h.edit = func(o *storage.Options) { o.Cleaner = cleanerConfig() }
	return h
}

func cleanerConfig() storage.CleanerConfig {
	return storage.CleanerConfig{Threads: 1, DedupeBytes: 1 << 20, LoadFactor: 0.9, BufferBytes: 1 << 19, MaxBytesPerSecond: math.MaxFloat64, Backoff: backoff}
}

// soil appends n batches of one key, and commits them.
func (h *host) soil(l *storage.Log, n int) {
	h.t.Helper()
	for i := range n {
		now := clock.Millis(h.clock)
		b := keyedBatch(record.BatchSpec{}, now, "k="+strings.Repeat("v", 200), fmt.Sprintf("k%d=1", i%3))
		_, err := l.Append(b, storage.AppendInfo{MaxTimestamp: now, Now: now})
		must(h.t, err)
	}
	l.SetHighWatermark(l.End())
}

func (h *host) records(l *storage.Log) (n int) {
	for _, k := range entries(h.t, l, l.Start()) {
		n += len(k.Records)
	}
	return n
}

// TestCleanerLife: what is dirty is cleaned after a back-off, the dirtiest first; where that came to is written down, and
// known after a stop and after a crash; what is not dirty enough waits.
func TestCleanerLife(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := cleaningHost(t, "/d")
	h.start()
	l, other := h.create("t", 0), h.create("u", 0)
	plain := h.config
	plain.Compact, plain.Delete = false, true
	deleted, err := h.m.Create("deleted", 0, [16]byte{2}, plain)
	must(t, err)
	h.soil(deleted, 20)
	h.soil(l, 20)
	h.clock.Advance(backoff - 1)
	if l.CleanedTo() != 0 {
		t.Error("cleaned before its time")
	}
	h.clock.Advance(1)
	name := "/d/" + checkpoint.FirstDirty
	p := checkpoint.Partition{Topic: "t"}
	eventually(t, "the checkpoint", func() bool { return h.offsets(name)[p] > 0 })
	to := l.CleanedTo()
	if h.offsets(name)[p] != to || len(h.offsets(name)) != 1 || h.records(l) >= 20 || h.records(deleted) != 40 || other.CleanedTo() != 0 {
		t.Errorf("clean to %d, %d records, checkpoint %v", to, h.records(l), h.offsets(name))
	}
	h.stop()
	h.start()
	if l = h.m.Log("t", 0); l.CleanedTo() != to {
		t.Errorf("after a stop it is clean to %d", l.CleanedTo())
	}
	if h.offsets(name)[p] != to {
		t.Errorf("the checkpoint has %v", h.offsets(name))
	}
	h.crash(vfs.Crash{})
	h.start()
	if l = h.m.Log("t", 0); l.CleanedTo() != to {
		t.Errorf("after a crash it is clean to %d", l.CleanedTo())
	}
	h.stop()
	// Somebody has put an older log there: what the checkpoint says of it is not believed, now or later.
	h.write(name, "0\n2\nt 0 1000000\nno.such.log 3 7\n")
	h.start()
	if l = h.m.Log("t", 0); l.CleanedTo() != 0 || len(h.offsets(name)) != 0 {
		t.Errorf("it is clean to %d, the checkpoint has %v", l.CleanedTo(), h.offsets(name))
	}
	h.stop()
}

// TestCleanerUncleanable: a log that cannot be compacted is told of, once, and left alone; the others get their turn.
func TestCleanerUncleanable(t *testing.T) {
	seen, logs := observer.New(zap.WarnLevel)
	h := cleaningHost(t, "/d")
	h.edit = func(o *storage.Options) { o.Cleaner = cleanerConfig(); o.Logger = zap.New(seen) }
	h.start()
	bad, good := h.create("bad", 3), h.create("good", 0)
	h.soil(bad, 30)
	h.soil(good, 20)
	f := must1(h.mem.OpenExisting("/d/bad-3/00000000000000000000.log"))(t)
	must1(f.WriteAt([]byte{0xff}, 80))(t)
	h.clock.Advance(backoff)
	eventually(t, "the good log is cleaned", func() bool { return good.CleanedTo() > 0 })
	list := h.m.Uncleanable()
	if len(list) != 1 || list[0].Topic != "bad" || list[0].Partition != 3 || list[0].Dir != "/d" || !errors.Is(list[0].Err, kerr.CorruptMessage) || list[0].Bytes <= 0 {
		t.Errorf("%+v", list)
	}
	h.soil(good, 20)
	was := good.CleanedTo()
	h.clock.Advance(backoff)
	eventually(t, "the good log is cleaned again", func() bool { return good.CleanedTo() > was })
	if n := logs.FilterMessageSnippet("cannot be compacted").Len(); n != 1 {
		t.Errorf("told %d times", n)
	}
	h.soil(bad, 3)
	if bad.Failed() != nil {
		t.Error("it is out of service")
	}
	must(t, h.m.Delete("bad", 3))
	if len(h.m.Uncleanable()) != 0 {
		t.Error("a deleted log is still told of")
	}
}

// TestCleanerThrottle: bytes that are read and written take their time, which a change of the setting ends at once, and so
// does whoever needs the log.
func TestCleanerThrottle(t *testing.T) {
	slow := func(o *storage.Options) { o.Cleaner = cleanerConfig(); o.Cleaner.MaxBytesPerSecond = 1000 }
	t.Run("rate", func(t *testing.T) {
		h := cleaningHost(t, "/d")
		h.edit = slow
		h.start()
		l := h.create("t", 0)
		h.soil(l, 40)
		bytes := l.Bytes()
		h.clock.Advance(backoff)
		began := h.clock.Now()
		eventually(t, "it is cleaned", func() bool {
			h.clock.Advance(50 * time.Millisecond)
			return l.CleanedTo() > 0
		})
		// The sealed part is read twice.
		if took := h.clock.Now().Sub(began); took.Seconds() < 2*float64(bytes-2000)/1000 {
			t.Errorf("%d bytes took %v", bytes, took)
		}
	})
	// waiting is a host whose cleaner waits within a pass.
	waiting := func(t *testing.T) (*host, *storage.Log) {
		h := cleaningHost(t, "/d")
		h.edit = slow
		h.start()
		l := h.create("t", 0)
		h.soil(l, 40)
		h.clock.Advance(backoff)
		eventually(t, "a pass begins", l.Cleaning)
		if _, err := l.Clean(room); !errors.Is(err, storage.ErrCleaning) {
			t.Errorf("a second pass: %v", err)
		}
		return h, l
	}
	t.Run("set", func(t *testing.T) {
		h, l := waiting(t)
		h.m.SetCleaner(cleanerConfig())
		eventually(t, "it is cleaned", func() bool { return l.CleanedTo() > 0 })
	})
	t.Run("delete", func(t *testing.T) {
		h, old := waiting(t)
		must(t, h.m.Delete("t", 0))
		if old.Cleaning() {
			t.Error("the pass goes on over a deleted log")
		}
		l := h.create("t", 0)
		h.soil(l, 2)
		for _, name := range h.names("/d/t-0") {
			if strings.HasSuffix(name, ".cleaned") {
				t.Errorf("the new log has %s", name)
			}
		}
	})
	t.Run("set aside", func(t *testing.T) {
		h, l := waiting(t)
		must(t, h.m.SetAside("t", 0))
		if l.Cleaning() {
			t.Error("the pass goes on over a closed log")
		}
	})
	t.Run("stop", func(t *testing.T) {
		h, l := waiting(t)
		to := l.CleanedTo()
		h.stop()
		h.start()
		if l = h.m.Log("t", 0); l.CleanedTo() != to || h.records(l) < 4 {
			t.Errorf("clean to %d, %d records", l.CleanedTo(), h.records(l))
		}
	})
}

// TestCleanerRetains: compact,delete loses old segments, as delete does; compact alone loses what is before the log start.
func TestCleanerRetains(t *testing.T) {
	h := cleaningHost(t, "/d")
	h.config.Delete, h.config.RetentionMs = true, 60_000
	h.start()
	l := h.create("both", 0)
	c := h.config
	c.Delete = false
	only := must1(h.m.Create("only", 0, [16]byte{3}, c))(t)
	for _, x := range []*storage.Log{l, only} {
		h.soil(x, 20)
	}
	h.clock.Advance(61 * time.Second)
	for _, x := range []*storage.Log{l, only} {
		h.soil(x, 10)
	}
	h.clock.Advance(backoff)
	eventually(t, "old records go", func() bool { return l.Start() >= 36 })
	eventually(t, "it is compacted", func() bool { return only.CleanedTo() > 0 })
	if only.Start() != 0 {
		t.Errorf("compact alone lost its head: starts at %d", only.Start())
	}
	must(t, only.SetStart(only.End()-2))
	segments := only.Segments()
	h.clock.Advance(backoff)
	eventually(t, "what is before the start goes", func() bool { return only.Segments() < segments })
}

// TestCleanerThreads: as many logs at once as there are threads, and none when the cleaner is off.
func TestCleanerThreads(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := cleaningHost(t, "/d")
	h.edit = func(o *storage.Options) { o.Cleaner = storage.CleanerConfig{} }
	h.start()
	var logs []*storage.Log
	for i := range int32(5) {
		logs = append(logs, h.create("t", i))
		h.soil(logs[i], 20)
	}
	h.clock.Advance(time.Hour)
	for _, l := range logs {
		if l.CleanedTo() != 0 {
			t.Fatal("cleaned by nobody")
		}
	}
	c := cleanerConfig()
	c.Threads, c.MaxBytesPerSecond = 3, 1
	h.m.SetCleaner(c)
	h.clock.Advance(backoff)
	busy := func() (n int) {
		for _, l := range logs {
			if l.Cleaning() {
				n++
			}
		}
		return n
	}
	eventually(t, "three are at work", func() bool { return busy() == 3 })
	c.Threads, c.MaxBytesPerSecond = 2, math.MaxFloat64
	h.m.SetCleaner(c)
	eventually(t, "all are clean", func() bool {
		h.clock.Advance(backoff)
		for _, l := range logs {
			if l.CleanedTo() == 0 {
				return false
			}
		}
		return true
	})
	h.stop()
}

// TestCleanerChooses: a topic's own settings say when its logs are cleaned: by how much is dirty, not before min.compaction.lag.ms,
// and whatever the ratio once max.compaction.lag.ms is over.
func TestCleanerChooses(t *testing.T) {
	h := cleaningHost(t, "/d")
	h.start()
	make1 := func(topic string, edit func(*storage.Config)) *storage.Log {
		c := h.config
		c.MinCleanableRatio, c.MaxCompactionLagMs = 0, math.MaxInt64
		edit(&c)
		l := must1(h.m.Create(topic, 0, [16]byte{1}, c))(t)
		h.soil(l, 20)
		return l
	}
	ratio := make1("ratio", func(c *storage.Config) { c.MinCleanableRatio = 0.7 })
	young := make1("young", func(c *storage.Config) { c.MinCompactionLagMs = 100_000 })
	overdue := make1("overdue", func(c *storage.Config) { c.MinCleanableRatio, c.MaxCompactionLagMs = 1, 200_000 })
	never := make1("never", func(c *storage.Config) { c.MinCleanableRatio = 1 })
	any := make1("any", func(*storage.Config) {})
	round := func() {
		t.Helper()
		h.soil(any, 20)
		was := any.CleanedTo()
		h.clock.Advance(backoff)
		eventually(t, "a round of the cleaner", func() bool { return any.CleanedTo() > was })
		h.m.Rest()
	}
	round()
	if ratio.CleanedTo() == 0 || young.CleanedTo() != 0 || overdue.CleanedTo() != 0 || never.CleanedTo() != 0 {
		t.Errorf("clean to: ratio %d, young %d, overdue %d, never %d", ratio.CleanedTo(), young.CleanedTo(), overdue.CleanedTo(), never.CleanedTo())
	}
	// Half of it is dirty, which is too little; then most of it is.
	was, clean := ratio.CleanedTo(), ratio.Bytes()
	for ratio.Bytes() < 2*clean {
		h.soil(ratio, 1)
	}
	round()
	if ratio.CleanedTo() != was {
		t.Errorf("%d bytes were clean of %d, and it was cleaned", clean, ratio.Bytes())
	}
	for ratio.Bytes() < 5*clean {
		h.soil(ratio, 1)
	}
	round()
	if ratio.CleanedTo() == was {
		t.Errorf("%d bytes were clean of %d, and it was not cleaned", clean, ratio.Bytes())
	}
	for young.CleanedTo() == 0 {
		round()
		if now := clock.Millis(h.clock) - t0; young.CleanedTo() != 0 && now < 100_000 || now > 150_000 {
			t.Fatalf("young is clean to %d after %d ms", young.CleanedTo(), now)
		}
	}
	for overdue.CleanedTo() == 0 {
		round()
		if now := clock.Millis(h.clock) - t0; overdue.CleanedTo() != 0 && now < 200_000 || now > 250_000 {
			t.Fatalf("overdue is clean to %d after %d ms", overdue.CleanedTo(), now)
		}
	}
	if never.CleanedTo() != 0 {
		t.Error("what was never to be cleaned was")
	}
}

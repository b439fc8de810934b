package broker_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"barnabas/broker"
	"barnabas/broker/config"
	"barnabas/storage/vfs"
)

// cleaned is what the cleaner tells of a pass, by the names of the fields.
type cleaned map[string]any

func (c cleaned) int(name string) int64 { return c[name].(int64) }

// passes hands out what the cleaner tells, and nothing else that is logged.
type passes chan cleaned

func (p passes) Enabled(l zapcore.Level) bool      { return l >= zapcore.InfoLevel }
func (p passes) With([]zapcore.Field) zapcore.Core { return p }
func (p passes) Sync() error                       { return nil }
func (p passes) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Message != "cleaned log" {
		return ce
	}
	return ce.AddCore(e, p)
}
func (p passes) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	enc.Fields["ended"] = e.Time
	p <- enc.Fields
	return nil
}

// cleaning is a broker whose cleaner's settings are changed while it runs, and how often it writes.
type cleaning struct {
	*changing
	passes passes
	told   map[string]int // passes that have been told of, by topics
	with   string         // a setting of the topics that fill makes, or ""

	mu     sync.Mutex     // guards what follows
	writes map[string]int // to the .log files that passes make, by topics
}

func newCleaning(t *testing.T) *cleaning {
	c := &cleaning{changing: &changing{T: t, main: freePort(t)}, passes: make(passes, 1000), writes: map[string]int{}, told: map[string]int{}}
	static, err := config.NewStatic(map[string]string{
		"listeners": "PLAINTEXT://" + at(c.main), "log.dirs": t.TempDir(),
		"log.cleaner.backoff.ms": "3600000", "log.cleaner.min.cleanable.ratio": "0", "log.message.timestamp.after.max.ms": "9000000000000",
	})
	if err != nil {
		t.Fatal(err)
	}
	fs := vfs.WithHook(vfs.OS, func(op vfs.Op, name string) error {
		if op == vfs.OpWrite && strings.HasSuffix(name, ".log.cleaned") {
			topic, _, _ := strings.Cut(filepath.Base(filepath.Dir(name)), "-")
			c.mu.Lock()
			defer c.mu.Unlock()
			c.writes[topic]++
		}
		return nil
	})
	if c.Broker, err = broker.Start(t.Context(), broker.Options{Config: static, Logger: zap.New(c.passes), FS: fs}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Broker.Close(context.Background()) })
	return c
}

// set changes settings of the broker.
func (c *cleaning) set(settings ...string) {
	c.Helper()
	if err := c.alter(c.main, settings...); err != nil {
		c.Fatal(err)
	}
}

// fill makes topics of n records, each of a key of its own and of some bytes, and one more segment behind them. All become
// compacted together, when they are complete.
func (c *cleaning) fill(n, size, segment int, topics ...string) {
	c.Helper()
	cl := c.client(c.main)
	adm := kadm.NewClient(cl)
	for _, topic := range topics {
		set := map[string]*string{"segment.bytes": kadm.StringPtr(fmt.Sprint(segment)), "cleanup.policy": kadm.StringPtr("delete")}
		if name, value, ok := strings.Cut(c.with, "="); ok {
			set[name] = &value
		}
		if _, err := adm.CreateTopic(c.Context(), 1, 1, set, topic); err != nil {
			c.Fatal(err)
		}
		p, err := kgo.NewClient(kgo.SeedBrokers(at(c.main)), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(int32(min(100_000, segment/2))))
		if err != nil {
			c.Fatal(err)
		}
		for i := range n {
			p.Produce(c.Context(), &kgo.Record{Key: fmt.Appendf(nil, "key %d", i), Value: make([]byte, size)}, func(_ *kgo.Record, err error) {
				if err != nil {
					c.Error(err)
				}
			})
		}
		if err := p.Flush(c.Context()); err != nil {
			c.Fatal(err)
		}
		// What is not sealed is not cleaned.
		filler := make([]byte, min(50_000, segment/4))
		for at := 0; at <= segment; at += len(filler) {
			if err := p.ProduceSync(c.Context(), &kgo.Record{Key: []byte("last"), Value: filler}).FirstErr(); err != nil {
				c.Fatal(err)
			}
		}
		p.Close()
	}
	c.setTopics([]string{"cleanup.policy=compact"}, topics...)
}

// setTopics changes settings of topics.
func (c *cleaning) setTopics(settings []string, topics ...string) {
	c.Helper()
	var alter []kadm.AlterConfig
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		alter = append(alter, kadm.AlterConfig{Name: name, Value: &value})
	}
	answers, err := kadm.NewClient(c.client(c.main)).AlterTopicConfigs(c.Context(), alter, topics...)
	if err != nil {
		c.Fatal(err)
	}
	for _, a := range answers {
		if a.Err != nil {
			c.Fatal(a.Err)
		}
	}
}

// pass is the next one over a topic that is told of.
func (c *cleaning) pass(topic string) cleaned {
	c.Helper()
	return c.both(topic)[0]
}

// both are the next ones over topics that are told of, whichever comes first.
func (c *cleaning) both(topics ...string) []cleaned {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
	defer cancel()
	found := make([]cleaned, len(topics))
	for slices.ContainsFunc(found, func(p cleaned) bool { return p == nil }) {
		select {
		case p := <-c.passes:
			topic := strings.TrimSuffix(p["log"].(string), "-0")
			c.told[topic]++
			if i := slices.Index(topics, topic); i >= 0 {
				found[i] = p
			}
		case <-ctx.Done():
			c.Fatalf("there is no pass over one of %v", topics)
		}
	}
	return found
}

// TestCleanerSettingsChange: each setting of the log cleaner that may change while a broker runs arrives at the cleaner, and
// acts with the next log that is cleaned.
func TestCleanerSettingsChange(t *testing.T) {
	t.Parallel()
	c := newCleaning(t)
	c.fill(1000, 10, 20_000, "backoff")
	select {
	case p := <-c.passes:
		t.Errorf("a pass within an hour: %v", p)
	default:
	}
	c.set("log.cleaner.backoff.ms=20")
	if p := c.pass("backoff"); p.int("keys") < 900 {
		t.Errorf("%v", p)
	}

	// As many keys are mapped at once as there is room for: bytes / 24 * load factor.
	for _, s := range []struct {
		topic, setting string
		keys           int64
	}{
		{"load", "log.cleaner.io.buffer.load.factor=0.1", 6553},
		{"more", "log.cleaner.io.buffer.load.factor=0.3", 19660},
		{"dedupe", "log.cleaner.dedupe.buffer.size=1200000", 15000},
	} {
		if s.topic == "load" {
			c.set("log.cleaner.dedupe.buffer.size=1572864")
		}
		c.set(s.setting)
		c.fill(25_000, 10, 200_000, s.topic)
		if p := c.pass(s.topic); p.int("keys") != s.keys {
			t.Errorf("with %s %d keys are mapped at once, want %d", s.setting, p.int("keys"), s.keys)
		}
	}
	c.set("log.cleaner.dedupe.buffer.size", "log.cleaner.io.buffer.load.factor")

	// The half of the buffer is for what is written, as in Apache Kafka.
	for _, s := range []struct {
		topic, size   string
		least, atMost int
	}{{"small", "524288", 5, 12}, {"large", "8388608", 1, 1}} {
		c.set("log.cleaner.io.buffer.size=" + s.size)
		c.fill(14_000, 100, 2_000_000, s.topic)
		c.pass(s.topic)
		c.mu.Lock()
		writes := c.writes[s.topic]
		c.mu.Unlock()
		if writes < s.least || writes > s.atMost {
			t.Errorf("with log.cleaner.io.buffer.size=%s there are %d writes", s.size, writes)
		}
	}

	c.set("log.cleaner.io.max.bytes.per.second=500000")
	c.fill(3000, 100, 100_000, "rate")
	p := c.pass("rate")
	bytes := 2*p.int("read") + p.int("kept") // read for the keys, and again
	if took := p["took"].(time.Duration); took.Seconds() < 0.7*float64(bytes)/500_000 {
		t.Errorf("%d bytes at 500,000 a second took %v", bytes, took)
	}

	// Two logs take their time, one after the other or both at once.
	c.set("log.cleaner.io.max.bytes.per.second=1500000")
	for _, s := range []struct{ threads, one, two string }{{"1", "one", "two"}, {"2", "three", "four"}} {
		if s.threads != "1" {
			c.set("log.cleaner.threads=" + s.threads)
		}
		c.fill(3000, 100, 1_000_000, s.one, s.two)
		p := c.both(s.one, s.two)
		first, second := p[0], p[1]
		if second["ended"].(time.Time).Before(first["ended"].(time.Time)) {
			first, second = second, first
		}
		began := second["ended"].(time.Time).Add(-second["took"].(time.Duration))
		if together := began.Before(first["ended"].(time.Time).Add(-500 * time.Millisecond)); together != (s.threads == "2") {
			t.Errorf("with %s threads the second pass began at %v, the first was done at %v", s.threads, began, first["ended"])
		}
	}
}

// TestTopicsSayWhenTheyAreCleaned: what a topic says of its compaction while the broker runs acts: it waits for a lag or for more that
// is dirty, and not when it is overdue.
func TestTopicsSayWhenTheyAreCleaned(t *testing.T) {
	t.Parallel()
	c := newCleaning(t)
	c.set("log.cleaner.backoff.ms=20")
	for i, s := range []struct{ wait, act string }{
		{"min.compaction.lag.ms=3600000", "min.compaction.lag.ms=0"},
		{"min.cleanable.dirty.ratio=1", "min.cleanable.dirty.ratio=0.5"},
		{"min.cleanable.dirty.ratio=1", "max.compaction.lag.ms=1"},
	} {
		topic, other := fmt.Sprint("waits", i), fmt.Sprint("other", i)
		c.with = s.wait
		c.fill(1000, 10, 20_000, topic)
		c.with = ""
		c.fill(1000, 10, 20_000, other) // a pass over this one, which is dirty later, says that the other's turn has come
		c.pass(other)
		if early := c.told[topic]; early > 0 {
			t.Errorf("with %s there were %d passes", s.wait, early)
		}
		c.setTopics([]string{s.act}, topic)
		c.pass(topic)
	}
}

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"barnabas/broker"
	"barnabas/broker/config"
)

// Everything at once, for the race detector: clients of all kinds write and read while topics come and go, settings change,
// segments roll, records are deleted, and at the end the broker closes under all of them. What was acknowledged by all
// in-sync replicas is there after the restart.
func TestEverythingAtOnce(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	folder := t.TempDir()
	b := startWith(t, folder, map[string]string{
		"log.segment.bytes": "8192", "log.initial.task.delay.ms": "10", "log.retention.check.interval.ms": "20",
		"log.flush.scheduler.interval.ms": "20", "replica.high.watermark.checkpoint.interval.ms": "20",
		"log.flush.offset.checkpoint.interval.ms": "20", "log.flush.start.offset.checkpoint.interval.ms": "20",
		"log.segment.delete.delay.ms": "0", "offsets.topic.num.partitions": "3", "producer.id.expiration.check.interval.ms": "20",
		"log.retention.bytes": "-1", "num.partitions": "2",
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	var acked [3]atomic.Int64 // the highest offset of partition 0 of each topic that was acknowledged
	open := func(opts ...kgo.Opt) *kgo.Client {
		c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(b.Addr()), kgo.AllowAutoTopicCreation(), kgo.RetryTimeout(time.Second),
			kgo.RecordDeliveryTimeout(2*time.Second))...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	run := func(c *kgo.Client, round func(c *kgo.Client)) {
		clients.Go(func() {
			defer c.Close()
			for ctx.Err() == nil {
				round(c)
			}
		})
	}
	value := make([]byte, 300)
	for i := range acked {
		acks := []kgo.Opt{kgo.RequiredAcks([]kgo.Acks{kgo.AllISRAcks(), kgo.LeaderAck(), kgo.NoAck()}[i])}
		if i > 0 {
			acks = append(acks, kgo.DisableIdempotentWrite())
		}
		topic := "kept-" + strconv.Itoa(i)
		run(open(append(acks, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))...), func(c *kgo.Client) {
			for range 20 {
				c.Produce(ctx, &kgo.Record{Topic: topic, Value: value, Partition: rand.Int32N(2)}, func(r *kgo.Record, err error) {
					if err == nil && r.Partition == 0 && r.Offset > acked[i].Load() {
						acked[i].Store(r.Offset)
					}
				})
			}
			_ = c.Flush(ctx)
		})
		run(open(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(50*time.Millisecond)), func(c *kgo.Client) {
			c.PollFetches(ctx)
		})
	}
	for range 2 {
		run(open(kgo.ConsumeTopics("kept-0", "kept-1"), kgo.ConsumerGroup("g"), kgo.AutoCommitInterval(100*time.Millisecond),
			kgo.FetchMaxWait(20*time.Millisecond)), func(c *kgo.Client) {
			c.PollFetches(ctx)
			if rand.IntN(40) == 0 {
				c.ForceRebalance()
			}
		})
	}
	var deleted atomic.Int32
	var closing atomic.Bool
	for i := range 2 {
		topic := fmt.Sprintf("temporary-%d", i)
		run(open(kgo.RecordRetries(1)), func(c *kgo.Client) {
			a := kadm.NewClient(c)
			if _, err := a.CreateTopic(ctx, 2, 1, nil, topic); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) && !closing.Load() {
				t.Error("creating:", err)
			}
			_ = c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value})
			switch _, err := a.DeleteTopic(ctx, topic); {
			case err == nil:
				deleted.Add(1)
			case !errors.Is(err, kerr.UnknownTopicOrPartition) && !closing.Load():
				t.Error("deleting:", err)
			}
		})
		run(open(kgo.ConsumeTopics(topic), kgo.FetchMaxWait(20*time.Millisecond), kgo.MetadataMinAge(20*time.Millisecond)), func(c *kgo.Client) { c.PollFetches(ctx) })
	}
	var altered atomic.Int32
	run(open(), func(c *kgo.Client) {
		a := kadm.NewClient(c)
		set := func(name, value string) kadm.AlterConfig {
			return kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value}
		}
		_, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{
			set("flush.messages", []string{"1", "100", "9223372036854775807"}[rand.IntN(3)]),
			set("segment.bytes", strconv.Itoa(4096+rand.IntN(9000))),
			set("retention.bytes", []string{"-1", "20000"}[rand.IntN(2)]),
		}, "kept-0", "kept-1", "kept-2")
		if err == nil {
			altered.Add(1)
		}
		var offsets kadm.Offsets
		ends, err := a.ListCommittedOffsets(ctx, "kept-1")
		if err != nil {
			return
		}
		ends.Each(func(o kadm.ListedOffset) {
			if o.Err == nil {
				offsets.AddOffset(o.Topic, o.Partition, max(o.Offset-50, 0), -1)
			}
		})
		_, _ = a.DeleteRecords(ctx, offsets)
		_, _ = a.ListTopics(ctx)
		_, _ = a.DescribeAllLogDirs(ctx, nil)
		_, _ = a.DescribeGroups(ctx, "g")
	})

	enough := time.NewTimer(stressFor)
	defer enough.Stop()
	<-enough.C
	closing.Store(true)
	if err := b.Close(t.Context()); err != nil { // while they all go on
		t.Error(err)
	}
	cancel()
	clients.Wait()
	t.Logf("%d topics deleted, settings changed %d times", deleted.Load(), altered.Load())
	if deleted.Load() == 0 || altered.Load() == 0 {
		t.Error("too little happened")
	}

	b = startWith(t, folder, nil)
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(t.Context(), "kept-0", "kept-1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		o, _ := ends.Lookup("kept-"+strconv.Itoa(i), 0)
		if last := acked[i].Load(); last == 0 || o.Offset <= last {
			t.Errorf("%s ends at %d, offset %d was acknowledged", o.Topic, o.Offset, last)
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// stressFor is how long it all goes on.
const stressFor = 2 * time.Second

// startWith starts a broker alone, with settings besides.
func startWith(t *testing.T, folder string, settings map[string]string) *broker.Broker {
	t.Helper()
	all := map[string]string{"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": folder, "group.initial.rebalance.delay.ms": "0"}
	for k, v := range settings {
		all[k] = v
	}
	static, err := config.NewStatic(all)
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(t.Context(), broker.Options{Config: static, Logger: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	return b
}

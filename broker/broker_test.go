package broker_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap/zaptest"

	"barnabas/broker"
)

// start starts a broker alone in a folder.
func start(t *testing.T, folder string) *broker.Broker {
	t.Helper()
	config, err := broker.Alone("127.0.0.1:0", folder)
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(t.Context(), broker.Options{Config: config, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func client(t *testing.T, b *broker.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(b.Addr()), kgo.AllowAutoTopicCreation())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAGroupTakesUpWhereItLeftAfterARestart(t *testing.T) {
	folder := t.TempDir()
	b := start(t, folder)
	producer := client(t, b, kgo.DisableIdempotentWrite())
	for _, v := range []string{"one", "two", "three"} {
		if err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	take := func(b *broker.Broker, n int) (got []string) {
		c := client(t, b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
		for len(got) < n {
			f := c.PollRecords(t.Context(), n-len(got))
			if err := f.Err(); err != nil {
				t.Fatal(err)
			}
			f.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
			if err := c.CommitRecords(t.Context(), f.Records()...); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.LeaveGroupContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := take(b, 2); got[0] != "one" || got[1] != "two" {
		t.Fatal(got)
	}
	producer.Close()
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b = start(t, folder)
	if got := take(b, 1); got[0] != "three" {
		t.Fatal(got)
	}
	offsets, err := kadm.NewClient(client(t, b)).FetchOffsets(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup("t", 0); !ok || o.At != 3 {
		t.Fatalf("%+v", o)
	}
}

package broker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
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

func TestSeveralBrokersInOneProcess(t *testing.T) {
	a, b := start(t, t.TempDir()), start(t, t.TempDir())
	for i, x := range []*broker.Broker{a, b} {
		c := client(t, x)
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "same", Value: []byte{byte(i)}}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		ends, err := kadm.NewClient(c).ListEndOffsets(t.Context(), "same")
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := ends.Lookup("same", 0); o.Offset != 1 {
			t.Fatalf("broker %d has %d records", i, o.Offset)
		}
	}
	if a.ClusterID() == b.ClusterID() {
		t.Fatal("one cluster")
	}
}

func TestASecondBrokerOnTheSameFolderIsRefused(t *testing.T) {
	folder := t.TempDir()
	start(t, folder)
	config, err := broker.Alone("127.0.0.1:0", folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Start(t.Context(), broker.Options{Config: config}); err == nil || !strings.Contains(err.Error(), folder) {
		t.Fatalf("%v", err)
	}
}

func TestAPortInUseIsRefusedByName(t *testing.T) {
	a := start(t, t.TempDir())
	config, err := broker.Alone(a.Addr(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Start(t.Context(), broker.Options{Config: config}); err == nil || !strings.Contains(err.Error(), a.Addr()) {
		t.Fatalf("%v", err)
	}
}

// A Kafka directory is served without its ZooKeeper; what its settings were is not known, so nothing of it may expire.
func TestLogsWithoutAStoreAreTakenIn(t *testing.T) {
	folder := t.TempDir()
	b := start(t, folder)
	c := client(t, b)
	old := time.UnixMilli(1_700_000_000_000)
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "old", Value: []byte("v"), Timestamp: old}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	committed := kadm.Offsets{}
	committed.AddOffset("old", 0, 1, -1)
	if err := kadm.NewClient(c).CommitAllOffsets(t.Context(), "g", committed); err != nil {
		t.Fatal(err)
	}
	id, node := b.ClusterID(), b.NodeID()
	c.Close()
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(folder, "coordination-store.db")); err != nil {
		t.Fatal(err)
	}
	b = start(t, folder)
	if b.ClusterID() != id || b.NodeID() != node {
		t.Fatalf("cluster %s, node %d; were %s and %d", b.ClusterID(), b.NodeID(), id, node)
	}
	admin := kadm.NewClient(client(t, b))
	configs, err := admin.DescribeTopicConfigs(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	on, err := configs.On("old", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range on.Configs {
		if entry.Key == "retention.ms" && entry.MaybeValue() != "-1" {
			t.Fatalf("retention.ms is %s", entry.MaybeValue())
		}
	}
	// The other partitions of __consumer_offsets had no directory: the group must be looked for where it was.
	offsets, err := admin.FetchOffsets(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup("old", 0); !ok || o.At != 1 {
		t.Fatalf("committed offset %+v", o)
	}
	got := client(t, b, kgo.ConsumeTopics("old")).PollFetches(t.Context()).Records()
	if len(got) != 1 || string(got[0].Value) != "v" {
		t.Fatalf("%d records", len(got))
	}
}

// What a broker alone finds in its log dirs is a topic only where it looks like one: what somebody has put there is left
// alone, a topic of which it has some partitions gets the others, and the log of a topic that was deleted does not keep out
// another one of its name.
func TestWhatIsTakenIn(t *testing.T) {
	folder := t.TempDir()
	b := start(t, folder)
	c := client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	admin := kadm.NewClient(c)
	if _, err := admin.CreateTopic(t.Context(), 5, 1, nil, "some"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "again"); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*kgo.Record{{Topic: "some", Partition: 3}, {Topic: "some", Partition: 1}, {Topic: "again"}} {
		if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := t.TempDir()
	move := func(from, to, name string) {
		if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			t.Fatal(err)
		}
	}
	move(folder, kept, "again-0")
	move(folder, kept, "coordination-store.db")
	for _, name := range []string{"backup-20240131", "old stuff-1", "nothing-7"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "old stuff-1", "partition.metadata"), []byte("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ"), 0o644); err != nil {
		t.Fatal(err)
	}
	b = start(t, folder)
	c = client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "again", Value: []byte("new")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	topics, err := kadm.NewClient(c).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Of the five partitions two were written to, the last of which was 3.
	if got := topics.Names(); len(got) != 2 || len(topics["some"].Partitions) != 4 || topics["some"].Partitions[0].Leader != b.NodeID() {
		t.Fatalf("%+v", topics)
	}
	c.Close()
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(folder, "again-0")); err != nil {
		t.Fatal(err)
	}
	move(kept, folder, "again-0") // the log of the first of that name
	b = start(t, folder)
	c = client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "again", Value: []byte("newer")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if strays, err := filepath.Glob(filepath.Join(folder, "again-0.*-stray")); len(strays) != 1 {
		t.Fatal(strays, err)
	}
}

// Topics once took their own settings only when these were altered: the first records into a topic that was created with
// some were held to the broker's defaults.
func TestATopicsOwnSettingsHoldFromItsFirstRecord(t *testing.T) {
	b := start(t, t.TempDir())
	admin := kadm.NewClient(client(t, b))
	small := "100"
	if _, err := admin.CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": &small}, "small"); err != nil {
		t.Fatal(err)
	}
	producer := client(t, b, kgo.ProducerBatchCompression(kgo.NoCompression()))
	err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: "small", Value: make([]byte, 200)}).FirstErr()
	if !errors.Is(err, kerr.MessageTooLarge) {
		t.Fatalf("%v", err)
	}
}

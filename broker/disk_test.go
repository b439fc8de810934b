package broker_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/zap/zaptest"

	"barnabas/broker"
	"barnabas/broker/config"
	"barnabas/storage/vfs"
)

// A disk that is full or broken takes its log dir offline: its partitions say so, nothing that was acknowledged is lost,
// and the other log dir goes on.
func TestAFailedDiskIsAnOfflineLogDir(t *testing.T) {
	for _, why := range []error{syscall.ENOSPC, syscall.EIO} {
		t.Run(why.Error(), func(t *testing.T) { failDisk(t, why) })
	}
}

// A disk whose syncs fail, or whose reads do, is offline as one whose writes fail. The produce that finds it out
// is told so: what was promised to be on the disk (flush.messages=1) is not acknowledged. A fetch that does has begun to be
// written, and its connection ends, as in Apache Kafka.
func TestADiskThatCannotSyncOrReadIsAnOfflineLogDir(t *testing.T) {
	for _, op := range []vfs.Op{vfs.OpSync, vfs.OpRead} {
		t.Run(string(op), func(t *testing.T) { failOperation(t, op) })
	}
}

func failOperation(t *testing.T, failing vfs.Op) {
	good, bad := t.TempDir(), t.TempDir()
	var broken atomic.Bool
	fs := vfs.WithHook(vfs.OS, func(op vfs.Op, name string) error {
		if broken.Load() && op == failing && strings.HasPrefix(name, bad) {
			return syscall.EIO
		}
		return nil
	})
	settings, err := config.NewStatic(map[string]string{
		"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": good + "," + bad, "num.partitions": "2", "log.flush.interval.messages": "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(t.Context(), broker.Options{Config: settings, Logger: zaptest.NewLogger(t), FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	c := client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	produce := func(partition int32) error {
		return c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: partition, Value: []byte("v")}).FirstErr()
	}
	for p := range int32(2) {
		if err := produce(p); err != nil {
			t.Fatal(err)
		}
	}
	admin := kadm.NewClient(c)
	where := map[string]int32{}
	dirs, err := admin.DescribeBrokerLogDirs(t.Context(), b.NodeID(), nil)
	if err != nil {
		t.Fatal(err)
	}
	dirs.EachPartition(func(p kadm.DescribedLogDirPartition) { where[p.Dir] = p.Partition })
	byName := kversion.Stable()
	byName.SetMaxKeyVersion(kmsg.NewPtrFetchRequest().Key(), 11) // later ones name topics by their ids
	fetcher := client(t, b, kgo.MaxVersions(byName))
	fetch := func(partition int32) error {
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes, req.SessionEpoch = 1<<20, -1
		topic, p := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
		topic.Topic, p.Partition, p.PartitionMaxBytes = "t", partition, 1<<20
		topic.Partitions = append(topic.Partitions, p)
		req.Topics = append(req.Topics, topic)
		resp, err := fetcher.SeedBrokers()[0].Request(t.Context(), req)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode)
	}
	broken.Store(true)
	if failing == vfs.OpSync {
		if err := produce(where[bad]); !errors.Is(err, kerr.KafkaStorageError) {
			t.Fatalf("the failing sync: %v", err)
		}
	} else if err := fetch(where[bad]); err == nil || errors.As(err, new(*kerr.Error)) {
		t.Fatalf("an answer whose records cannot be read was half written: %v", err) // only the connection can end
	}
	if err := fetch(where[bad]); !errors.Is(err, kerr.KafkaStorageError) && !errors.Is(err, kerr.NotLeaderForPartition) {
		t.Fatalf("after it: %v", err)
	}
	if err := errors.Join(produce(where[good]), fetch(where[good])); err != nil {
		t.Fatalf("the other log dir: %v", err)
	}
	if dirs, err = admin.DescribeBrokerLogDirs(t.Context(), b.NodeID(), nil); err != nil {
		t.Fatal(err)
	}
	if err := dirs[bad].Err; !errors.Is(err, kerr.KafkaStorageError) {
		t.Fatalf("DescribeLogDirs says %v", err)
	}
}

func failDisk(t *testing.T, why error) {
	good, bad := t.TempDir(), t.TempDir()
	var broken atomic.Bool
	fs := vfs.WithHook(vfs.OS, func(op vfs.Op, name string) error {
		if broken.Load() && op == vfs.OpWrite && strings.HasPrefix(name, bad) {
			return why
		}
		return nil
	})
	settings, err := config.NewStatic(map[string]string{
		"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": good + "," + bad, "num.partitions": "2",
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(t.Context(), broker.Options{Config: settings, Logger: zaptest.NewLogger(t), FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())

	c := client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	produce := func(partition int32) error {
		return c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: partition, Value: []byte("v")}).FirstErr()
	}
	for p := range int32(2) {
		if err := produce(p); err != nil {
			t.Fatal(err)
		}
	}
	admin := kadm.NewClient(c)
	where := map[string]int32{}
	dirs, err := admin.DescribeBrokerLogDirs(t.Context(), b.NodeID(), nil)
	if err != nil {
		t.Fatal(err)
	}
	dirs.EachPartition(func(p kadm.DescribedLogDirPartition) { where[p.Dir] = p.Partition })
	if len(where) != 2 {
		t.Fatalf("two partitions in %v", where)
	}

	broken.Store(true)
	if err := produce(where[bad]); !errors.Is(err, kerr.KafkaStorageError) {
		t.Fatalf("the failing write: %v", err)
	}
	if err := produce(where[bad]); !errors.Is(err, kerr.KafkaStorageError) && !errors.Is(err, kerr.LeaderNotAvailable) {
		t.Fatalf("after it: %v", err)
	}
	if err := produce(where[good]); err != nil {
		t.Fatalf("the other log dir: %v", err)
	}
	dirs, err = admin.DescribeBrokerLogDirs(t.Context(), b.NodeID(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := dirs[bad].Err; !errors.Is(err, kerr.KafkaStorageError) {
		t.Fatalf("DescribeLogDirs says %v", err)
	}

	broken.Store(false)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err = broker.Start(t.Context(), broker.Options{Config: settings, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	ends, err := kadm.NewClient(client(t, b)).ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := ends.Lookup("t", where[bad]); o.Offset != 1 {
		t.Fatalf("the repaired disk serves %d records, 1 was acknowledged", o.Offset)
	}
	if o, _ := ends.Lookup("t", where[good]); o.Offset != 2 {
		t.Fatalf("the good disk serves %d records, 2 were acknowledged", o.Offset)
	}
}

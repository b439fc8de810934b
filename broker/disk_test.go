package broker_test

import (
	"context"
	"errors"
	"maps"
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

// twoDisks is a broker with two log dirs, one of which fails while broken is set, and a topic with a record in each.
type twoDisks struct {
	*broker.Broker
	t         *testing.T
	settings  *config.Static
	good, bad string
	broken    atomic.Bool
	client    *kgo.Client
	where     map[string]int32 // the partition in each log dir
}

// newTwoDisks starts the broker with more settings; fails says what the bad disk answers to an access, nil for none.
func newTwoDisks(t *testing.T, fails func(vfs.Op) error, more map[string]string) *twoDisks {
	d := &twoDisks{t: t, good: t.TempDir(), bad: t.TempDir(), where: map[string]int32{}}
	fs := vfs.WithHook(vfs.OS, func(op vfs.Op, name string) error {
		if d.broken.Load() && strings.HasPrefix(name, d.bad) {
			return fails(op)
		}
		return nil
	})
	props := map[string]string{"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": d.good + "," + d.bad, "num.partitions": "2"}
	maps.Copy(props, more)
	var err error
	if d.settings, err = config.NewStatic(props); err != nil {
		t.Fatal(err)
	}
	if d.Broker, err = broker.Start(t.Context(), broker.Options{Config: d.settings, Logger: zaptest.NewLogger(t), FS: fs}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(context.Background()) })
	d.client = client(t, d.Broker, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	for p := range int32(2) {
		if err := d.produce(p); err != nil {
			t.Fatal(err)
		}
	}
	d.describe().EachPartition(func(p kadm.DescribedLogDirPartition) { d.where[p.Dir] = p.Partition })
	if len(d.where) != 2 {
		t.Fatalf("two partitions in %v", d.where)
	}
	return d
}

func (d *twoDisks) produce(partition int32) error {
	return d.client.ProduceSync(d.t.Context(), &kgo.Record{Topic: "t", Partition: partition, Value: []byte("v")}).FirstErr()
}

func (d *twoDisks) describe() kadm.DescribedLogDirs {
	d.t.Helper()
	dirs, err := kadm.NewClient(d.client).DescribeBrokerLogDirs(d.t.Context(), d.NodeID(), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return dirs
}

// isOffline fails the test unless DescribeLogDirs says so of the bad disk.
func (d *twoDisks) isOffline() {
	d.t.Helper()
	if err := d.describe()[d.bad].Err; !errors.Is(err, kerr.KafkaStorageError) {
		d.t.Fatalf("DescribeLogDirs says %v", err)
	}
}

func failOperation(t *testing.T, failing vfs.Op) {
	d := newTwoDisks(t, func(op vfs.Op) error {
		if op == failing {
			return syscall.EIO
		}
		return nil
	}, map[string]string{"log.flush.interval.messages": "1"})
	byName := kversion.Stable()
	byName.SetMaxKeyVersion(kmsg.NewPtrFetchRequest().Key(), 11) // later ones name topics by their ids
	fetcher := client(t, d.Broker, kgo.MaxVersions(byName))
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
	d.broken.Store(true)
	if failing == vfs.OpSync {
		if err := d.produce(d.where[d.bad]); !errors.Is(err, kerr.KafkaStorageError) {
			t.Fatalf("the failing sync: %v", err)
		}
	} else if err := fetch(d.where[d.bad]); err == nil || errors.As(err, new(*kerr.Error)) {
		t.Fatalf("an answer whose records cannot be read was half written: %v", err) // only the connection can end
	}
	if err := fetch(d.where[d.bad]); !errors.Is(err, kerr.KafkaStorageError) && !errors.Is(err, kerr.NotLeaderForPartition) {
		t.Fatalf("after it: %v", err)
	}
	if err := errors.Join(d.produce(d.where[d.good]), fetch(d.where[d.good])); err != nil {
		t.Fatalf("the other log dir: %v", err)
	}
	d.isOffline()
}

func failDisk(t *testing.T, why error) {
	d := newTwoDisks(t, func(op vfs.Op) error {
		if op == vfs.OpWrite {
			return why
		}
		return nil
	}, nil)
	d.broken.Store(true)
	if err := d.produce(d.where[d.bad]); !errors.Is(err, kerr.KafkaStorageError) {
		t.Fatalf("the failing write: %v", err)
	}
	if err := d.produce(d.where[d.bad]); !errors.Is(err, kerr.KafkaStorageError) && !errors.Is(err, kerr.LeaderNotAvailable) {
		t.Fatalf("after it: %v", err)
	}
	if err := d.produce(d.where[d.good]); err != nil {
		t.Fatalf("the other log dir: %v", err)
	}
	d.isOffline()

	d.broken.Store(false)
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(t.Context(), broker.Options{Config: d.settings, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	ends, err := kadm.NewClient(client(t, b)).ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := ends.Lookup("t", d.where[d.bad]); o.Offset != 1 {
		t.Fatalf("the repaired disk serves %d records, 1 was acknowledged", o.Offset)
	}
	if o, _ := ends.Lookup("t", d.where[d.good]); o.Offset != 2 {
		t.Fatalf("the good disk serves %d records, 2 were acknowledged", o.Offset)
	}
}

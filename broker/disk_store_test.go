package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap/zaptest"

	"barnabas/broker/config"
	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
	"barnabas/storage/vfs"
)

// fullStore is a store whose disk is full while full says so.
type fullStore struct {
	store.Store
	full *atomic.Bool
}

func (f fullStore) refuse() error {
	if f.full.Load() {
		return fmt.Errorf("%w: %w: %w", store.ErrUnavailable, store.ErrDisk, syscall.ENOSPC)
	}
	return nil
}

func (f fullStore) Create(ctx context.Context, path string, data []byte, mode store.Mode) (string, error) {
	if err := f.refuse(); err != nil {
		return "", err
	}
	return f.Store.Create(ctx, path, data, mode)
}

func (f fullStore) Set(ctx context.Context, path string, data []byte, version int32) (store.Stat, error) {
	if err := f.refuse(); err != nil {
		return store.Stat{}, err
	}
	return f.Store.Set(ctx, path, data, version)
}

func (f fullStore) Delete(ctx context.Context, path string, version int32) error {
	if err := f.refuse(); err != nil {
		return err
	}
	return f.Store.Delete(ctx, path, version)
}

func (f fullStore) Multi(ctx context.Context, ops ...store.Op) ([]store.Result, error) {
	if err := f.refuse(); err != nil {
		return nil, err
	}
	return f.Store.Multi(ctx, ops...)
}

// The disk of the first log dir is full, and a broker alone has its store there too. The other log dir is served, the
// partitions of the full one have no leader, which the controller once never heard, requests that must write the store say
// what is wrong, and after a restart with room all is as it was.
func TestTheDiskOfTheStoreIsFull(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	var full atomic.Bool
	fs := vfs.WithHook(vfs.OS, func(op vfs.Op, name string) error {
		if full.Load() && op == vfs.OpWrite && strings.HasPrefix(name, first) {
			return syscall.ENOSPC
		}
		return nil
	})
	static, err := config.NewStatic(map[string]string{
		"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": first + "," + second, "num.partitions": "2",
	})
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Config: static, Logger: zaptest.NewLogger(t), FS: fs, wrapStore: func(s store.Store) store.Store { return fullStore{s, &full} }}
	b, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { b.Close(context.Background()) }()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.AllowAutoTopicCreation(), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	produce := func(partition int32) error {
		return c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: partition, Value: []byte("v")}).FirstErr()
	}
	if err := errors.Join(produce(0), produce(1)); err != nil {
		t.Fatal(err)
	}
	bad, good := int32(0), int32(1)
	if b.logs.DirOf("t", 1) == first {
		bad, good = 1, 0
	}

	full.Store(true)
	admin := kadm.NewClient(c)
	for what, ask := range map[string]func() error{
		"CreateTopics": func() error { _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "new"); return err },
		"DeleteTopics": func() error { _, err := admin.DeleteTopic(t.Context(), "t"); return err },
		"CreatePartitions": func() error {
			r, err := admin.CreatePartitions(t.Context(), 1, "t")
			return errors.Join(err, r.Error())
		},
		"IncrementalAlterConfigs": func() error {
			value := "7"
			r, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "retention.ms", Value: &value}}, "t")
			return errors.Join(err, r[0].Err)
		},
	} {
		if err := ask(); !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Kafka's controller cannot write either then, and its producers are told to ask again.
	newID := func() int16 {
		resp, err := c.SeedBrokers()[0].Request(t.Context(), kmsg.NewPtrInitProducerIDRequest()) // which does not ask again by itself
		if err != nil {
			t.Fatal(err)
		}
		return resp.(*kmsg.InitProducerIDResponse).ErrorCode
	}
	if code := newID(); code != kerr.CoordinatorLoadInProgress.Code {
		t.Errorf("InitProducerId: %v", kerr.ErrorForCode(code))
	}
	if err := produce(bad); !errors.Is(err, kerr.KafkaStorageError) {
		t.Fatalf("the failing write: %v", err)
	}
	err = b.images.Await(t.Context(), func(img *cluster.Image) bool {
		p := img.Topics["t"].Partitions[bad]
		return p.Leader == cluster.NoLeader && len(p.Offline) == 1
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := produce(good); err != nil {
		t.Fatalf("the other log dir: %v", err)
	}
	if _, active := b.controller.Active(); !active {
		t.Error("the controller has given up")
	}
	// There is room again: the store is written, though the log dir stays offline until the next start.
	full.Store(false)
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "new"); err != nil {
		t.Errorf("with room: %v", err)
	}
	if code := newID(); code != 0 {
		t.Errorf("with room, InitProducerId: %v", kerr.ErrorForCode(code))
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, err = Start(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	again, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	ends, err := kadm.NewClient(again).ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	for partition, want := range map[int32]int64{bad: 1, good: 2} {
		if o, _ := ends.Lookup("t", partition); o.Offset != want {
			t.Errorf("partition %d ends at %d, %d were acknowledged", partition, o.Offset, want)
		}
	}
}

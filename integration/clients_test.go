//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestPythonClients(t *testing.T) {
	addr := target(t)
	for _, script := range []string{"confluent", "kafka_python", "aiokafka_client"} {
		t.Run(script, func(t *testing.T) {
			t.Log(run(t, nil, "", installed(t, "python", "bin", "python"), "-W", "ignore", filepath.Join(peers.Root(), "integration", "python", script+".py"), addr))
		})
	}
}

func TestKafkaJS(t *testing.T) {
	addr := target(t)
	t.Log(run(t, []string{"NODE_PATH=" + installed(t, "node", "node_modules")}, "", "node", filepath.Join(peers.Root(), "integration", "node", "kafkajs.js"), addr))
}

func TestGoClients(t *testing.T) {
	addr := target(t)
	for _, name := range []string{"sarama", "kafka-go"} {
		t.Run(name, func(t *testing.T) { t.Log(run(t, nil, "", installed(t, "goclients"), name, addr)) })
	}
}

// TestKcat is an old librdkafka: 2.0.2 in Debian 12.
func TestKcat(t *testing.T) {
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Fatal("kcat is not installed: run make peers")
	}
	addr := target(t)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		topic := create(t, addr, "kcat-"+codec, 1)
		run(t, nil, "k1:one\nk2:two\nk3:three\n", kcat, "-P", "-b", addr, "-t", topic, "-K:", "-z", codec, "-H", "h=v")
		got := run(t, nil, "", kcat, "-C", "-q", "-b", addr, "-t", topic, "-o", "beginning", "-e", "-f", "%o %k %s %h\n")
		if want := "0 k1 one h=v\n1 k2 two h=v\n2 k3 three h=v\n"; got != want {
			t.Errorf("%s: kcat read %q, want %q", codec, got, want)
		}
	}
	group := run(t, nil, "", kcat, "-q", "-b", addr, "-G", "kcat-group", "-e", "-X", "auto.offset.reset=earliest", "-f", "%s,", "kcat-none", "kcat-gzip")
	for _, word := range []string{"one,", "two,", "three,"} {
		if strings.Count(group, word) != 2 {
			t.Errorf("the group read %q", group)
		}
	}
	if list := run(t, nil, "", kcat, "-L", "-b", addr, "-t", "kcat-zstd"); !strings.Contains(list, "1 brokers") || !strings.Contains(list, `topic "kcat-zstd" with 1 partitions`) {
		t.Errorf("kcat -L: %s", list)
	}
	if at := run(t, nil, "", kcat, "-Q", "-b", addr, "-t", "kcat-none:0:-1"); !strings.Contains(at, "3") {
		t.Errorf("kcat -Q: %s", at)
	}
}

func TestFranzGo(t *testing.T) {
	addr := target(t)
	topic := create(t, addr, "franz-go", 2)
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for name, codec := range codecs {
		p := client(t, addr, kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic(topic))
		for i := range 20 {
			r := &kgo.Record{Key: []byte(fmt.Sprint(i)), Value: []byte(strings.Repeat(name, 10)), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}}
			p.Produce(soon(t), r, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("produce with %s: %v", name, err)
				}
			})
		}
		if err := p.Flush(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	for _, balancer := range []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(), kgo.CooperativeStickyBalancer()} {
		t.Run(balancer.ProtocolName(), func(t *testing.T) { franzGroup(t, addr, topic, balancer, 20*len(codecs)) })
	}
	adm := admin(t, addr)
	if _, err := adm.DeleteTopics(soon(t), topic); err != nil {
		t.Fatal(err)
	}
	left, err := adm.ListTopics(soon(t))
	if err != nil || left.Has(topic) {
		t.Errorf("the topic is still listed after its deletion was answered (%v)", err)
	}
}

// A franzMember reads in a group; held is what it is assigned now.
type franzMember struct {
	*kgo.Client
	ch chan []int32
}

func newFranzMember(t *testing.T, addr, group, topic string, balancer kgo.GroupBalancer) *franzMember {
	m := &franzMember{ch: make(chan []int32, 100)}
	var held []int32
	moved := func(add bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			for _, p := range parts[topic] {
				held = slices.DeleteFunc(held, func(h int32) bool { return h == p })
				if add {
					held = append(held, p)
				}
			}
			m.ch <- slices.Clone(held)
		}
	}
	m.Client = client(t, addr, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(balancer), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(200*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsAssigned(moved(true)), kgo.OnPartitionsRevoked(moved(false)), kgo.OnPartitionsLost(moved(false)))
	return m
}

func (m *franzMember) until(t *testing.T, n int) {
	t.Helper()
	ctx := soon(t)
	for {
		select {
		case held := <-m.ch:
			if len(held) == n {
				return
			}
		case <-ctx.Done():
			t.Fatalf("a member did not come to hold %d partitions", n)
		}
	}
}

func franzGroup(t *testing.T, addr, topic string, balancer kgo.GroupBalancer, want int) {
	group := "franz-" + balancer.ProtocolName()
	a := newFranzMember(t, addr, group, topic, balancer)
	next := map[int32]int64{}
	for n := 0; n < want; {
		fs := a.PollFetches(soon(t))
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if r.Offset != next[r.Partition] {
				t.Errorf("partition %d: offset %d instead of %d", r.Partition, r.Offset, next[r.Partition])
			}
			next[r.Partition] = r.Offset + 1
			n++
		})
	}
	a.until(t, 2)
	if err := a.CommitUncommittedOffsets(soon(t)); err != nil {
		t.Fatal(err)
	}
	b := newFranzMember(t, addr, group, topic, balancer)
	b.until(t, 1)
	a.until(t, 1)
	b.Close()
	a.until(t, 2)
	committed, err := admin(t, addr).FetchOffsets(soon(t), group)
	if err != nil {
		t.Fatal(err)
	}
	for p, offset := range next {
		if c, ok := committed.Lookup(topic, p); !ok || c.At != offset {
			t.Errorf("partition %d: committed %+v, want %d", p, c.At, offset)
		}
	}
	a.Close()
	eventually(t, "the group is empty and deleted", func() error {
		r, err := admin(t, addr).DeleteGroups(soon(t), group)
		return errors.Join(err, r[group].Err)
	})
}

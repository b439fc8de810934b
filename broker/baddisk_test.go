package broker_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"barnabas/broker"
	"barnabas/broker/config"
	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// disks is a broker with two log dirs in memory, and a topic "t" with a partition in each. The coordination store lies beside the
// first on the machine's disk.
type disks struct {
	t      *testing.T
	mem    *vfs.Mem
	hook   atomic.Pointer[func(op vfs.Op, name string) error]
	static *config.Static
	clock  clock.Clock
	said   *observer.ObservedLogs

	b         *broker.Broker
	client    *kgo.Client
	good, bad string           // the log dirs
	in        map[string]int32 // which partition lies in which
}

func newDisks(t *testing.T, more map[string]string) *disks {
	d := &disks{t: t, mem: vfs.NewMem(), good: t.TempDir(), bad: t.TempDir(), clock: clock.Real}
	settings := map[string]string{
		"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": d.good + "," + d.bad, "num.partitions": "2",
		"offsets.topic.num.partitions": "1", "group.initial.rebalance.delay.ms": "0",
	}
	for k, v := range more {
		settings[k] = v
	}
	var err error
	if d.static, err = config.NewStatic(settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	return d
}

func (d *disks) tryStart() error {
	core, said := observer.New(zap.InfoLevel)
	d.said = said
	fs := vfs.WithHook(d.mem, func(op vfs.Op, name string) error {
		if hook := d.hook.Load(); hook != nil {
			return (*hook)(op, name)
		}
		return nil
	})
	b, err := broker.Start(d.t.Context(), broker.Options{Config: d.static, Logger: zap.New(core), FS: fs, Clock: d.clock})
	if err != nil {
		return err
	}
	d.b = b
	d.client = client(d.t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	return nil
}

// start starts the broker and finds out, the first time, where the partitions are.
func (d *disks) start() {
	d.t.Helper()
	if err := d.tryStart(); err != nil {
		d.t.Fatal(err)
	}
	if d.in != nil {
		return
	}
	for p := range int32(2) {
		if err := d.produce(p); err != nil {
			d.t.Fatal(err)
		}
	}
	d.in = map[string]int32{}
	dirs, err := kadm.NewClient(d.client).DescribeBrokerLogDirs(d.t.Context(), d.b.NodeID(), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	dirs.EachPartition(func(p kadm.DescribedLogDirPartition) { d.in[p.Dir] = p.Partition })
	if len(d.in) != 2 {
		d.t.Fatalf("two partitions in %v", d.in)
	}
}

func (d *disks) stop() {
	if d.b != nil {
		_ = d.b.Close(context.Background())
		d.b = nil
	}
}

// fail has accesses fail from now on.
func (d *disks) fail(hook func(op vfs.Op, name string) error) { d.hook.Store(&hook) }
func (d *disks) mend()                                        { d.hook.Store(nil) }

func (d *disks) produce(partition int32) error {
	return d.client.ProduceSync(d.t.Context(), &kgo.Record{Topic: "t", Partition: partition, Value: []byte("v")}).FirstErr()
}

// fetch asks once for the partition's records, and gives the error of the answer and how many bytes came.
func (d *disks) fetch(partition int32) (int, error) {
	d.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes = 1 << 20
	topic, part := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	topic.Topic, part.Partition, part.PartitionMaxBytes = "t", partition, 1<<20
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	c := client(d.t, d.b, kgo.MaxVersions(kversion.V2_4_0())) // topics by name
	resp, err := c.Broker(int(d.b.NodeID())).Request(d.t.Context(), req)
	if err != nil {
		return 0, err
	}
	answer := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	return len(answer.RecordBatches), kerr.ErrorForCode(answer.ErrorCode)
}

// offline holds the broker to what a failed disk is to look like: in its log, in DescribeLogDirs and to those who ask for what lay on
// it; and to serving the other log dir.
func (d *disks) offline() {
	d.t.Helper()
	err := d.produce(d.in[d.bad])
	if !errors.Is(err, kerr.KafkaStorageError) && !errors.Is(err, kerr.LeaderNotAvailable) && !errors.Is(err, kerr.NotLeaderForPartition) {
		d.t.Errorf("produce to the failed log dir: %v", err)
	}
	if _, err := d.fetch(d.in[d.bad]); !errors.Is(err, kerr.KafkaStorageError) && !errors.Is(err, kerr.NotLeaderForPartition) {
		d.t.Errorf("fetch from it: %v", err)
	}
	if err := d.produce(d.in[d.good]); err != nil {
		d.t.Errorf("produce to the other log dir: %v", err)
	}
	if n, err := d.fetch(d.in[d.good]); n == 0 || err != nil {
		d.t.Errorf("fetch from it: %d bytes, %v", n, err)
	}
	dirs, err := kadm.NewClient(d.client).DescribeBrokerLogDirs(d.t.Context(), d.b.NodeID(), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if !errors.Is(dirs[d.bad].Err, kerr.KafkaStorageError) || dirs[d.good].Err != nil {
		d.t.Errorf("DescribeLogDirs says %v and %v", dirs[d.bad].Err, dirs[d.good].Err)
	}
}

// says wants a line of the log about the bad log dir, with a text in it.
func (d *disks) says(message, text string) {
	d.t.Helper()
	for _, e := range d.said.FilterMessage(message).All() {
		if line := fmt.Sprint(e.ContextMap()); strings.Contains(line, d.bad) && strings.Contains(line, text) {
			return
		}
	}
	d.t.Errorf("no line %q with %q and the log dir; the log has %v", message, text, d.said.All())
}

// holds wants that many records in the log dir's partition.
func (d *disks) holds(dir string, records int64) {
	d.t.Helper()
	ends, err := kadm.NewClient(d.client).ListEndOffsets(d.t.Context(), "t")
	if err != nil {
		d.t.Fatal(err)
	}
	if o, _ := ends.Lookup("t", d.in[dir]); o.Err != nil || o.Offset != records {
		d.t.Errorf("%d records (%v), acknowledged were %d", o.Offset, o.Err, records)
	}
}

// A disk that fails takes its log dir offline, whatever it is that fails: the producer whose record it was, and everybody after, gets
// KAFKA_STORAGE_ERROR, the log says what happened where, and the other log dir goes on. What was acknowledged is there when the disk
// is.
func TestDisksThatFail(t *testing.T) {
	for _, c := range []struct {
		name, says string
		fails      func(op vfs.Op) error
	}{
		{"EIO on write", "input/output error", func(op vfs.Op) error {
			if op == vfs.OpWrite {
				return &vfs.ShortWrite{N: 10, Err: syscall.EIO}
			}
			return nil
		}},
		{"EIO on fsync", "input/output error", func(op vfs.Op) error {
			if op == vfs.OpSync {
				return syscall.EIO
			}
			return nil
		}},
		{"ENOSPC", "no space left on device", func(op vfs.Op) error {
			if op == vfs.OpWrite {
				return &vfs.ShortWrite{N: 10, Err: syscall.ENOSPC}
			}
			return nil
		}},
		{"remounted read-only", "read-only file system", func(op vfs.Op) error {
			if op.Changes() && op != vfs.OpSync && op != vfs.OpSyncDir {
				return syscall.EROFS
			}
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDisks(t, map[string]string{"log.flush.interval.messages": "1"})
			d.start()
			d.fail(func(op vfs.Op, name string) error {
				if strings.HasPrefix(name, d.bad) {
					return c.fails(op)
				}
				return nil
			})
			if err := d.produce(d.in[d.bad]); !errors.Is(err, kerr.KafkaStorageError) {
				t.Errorf("the record that the disk did not take: %v", err)
			}
			d.offline()
			d.says("log dir is offline", c.says)
			d.stop()
			d.mend()
			d.start()
			d.holds(d.good, 2)
			if c.name != "EIO on fsync" { // the record was written, and may be there or not
				d.holds(d.bad, 1)
			}
		})
	}
}

// A disk that cannot be read is as bad.
func TestADiskThatCannotBeRead(t *testing.T) {
	d := newDisks(t, nil)
	d.start()
	d.fail(func(op vfs.Op, name string) error {
		if strings.HasPrefix(name, d.bad) && (op == vfs.OpRead || op == vfs.OpMap) {
			return syscall.EIO
		}
		return nil
	})
	// The bytes are read when the answer is on its way already; what can be done then is to end the connection, as Kafka does.
	if n, err := d.fetch(d.in[d.bad]); err == nil {
		t.Errorf("fetch: %d bytes", n)
	}
	if _, err := d.fetch(d.in[d.bad]); !errors.Is(err, kerr.KafkaStorageError) && !errors.Is(err, kerr.NotLeaderForPartition) {
		t.Errorf("the next fetch: %v", err)
	}
	d.offline()
	d.says("log dir is offline", "input/output error")
	d.stop()
	d.mend()
	d.start()
	d.holds(d.bad, 1)
}

// A disk that takes its time holds up those who wait for it, and nobody else: not the other log dir, nor other requests.
func TestASlowDisk(t *testing.T) {
	d := newDisks(t, map[string]string{"log.flush.interval.messages": "1"})
	d.start()
	slow, go_ := make(chan struct{}, 100), make(chan struct{})
	d.fail(func(op vfs.Op, name string) error {
		if strings.HasPrefix(name, d.bad) && op == vfs.OpSync {
			slow <- struct{}{}
			<-go_
		}
		return nil
	})
	acked := make(chan error, 1)
	d.client.Produce(t.Context(), &kgo.Record{Topic: "t", Partition: d.in[d.bad], Value: []byte("v")}, func(_ *kgo.Record, err error) { acked <- err })
	<-slow
	other := client(t, d.b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for range 10 {
		if err := other.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: d.in[d.good], Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.fetch(d.in[d.good]); n == 0 || err != nil {
		t.Errorf("fetch from the other log dir: %d bytes, %v", n, err)
	}
	if n, err := d.fetch(d.in[d.bad]); n == 0 || err != nil { // what is committed may be read
		t.Errorf("fetch from the slow one: %d bytes, %v", n, err)
	}
	if topics, err := kadm.NewClient(other).ListTopics(t.Context()); err != nil || !topics.Has("t") {
		t.Errorf("metadata: %v", err)
	}
	select {
	case err := <-acked:
		t.Errorf("acknowledged before it was durable, or refused: %v", err)
	default:
	}
	close(go_)
	if err := <-acked; err != nil {
		t.Error(err)
	}
	d.holds(d.bad, 2)
}

// A recovery point or log start checkpoint that is torn costs a scan, a torn high watermark checkpoint its log dir: a watermark that is
// made up would hide committed records, or show others.
func TestTornCheckpoints(t *testing.T) {
	for name, fatal := range map[string]bool{checkpoint.RecoveryPoints: false, checkpoint.LogStarts: false, checkpoint.HighWatermarks: true} {
		t.Run(name, func(t *testing.T) {
			d := newDisks(t, nil)
			d.start()
			d.stop()
			if err := vfs.WriteFile(d.mem, filepath.Join(d.bad, name), []byte("0\n2\nt 0")); err != nil {
				t.Fatal(err)
			}
			d.start()
			if !fatal {
				d.says("checkpoint cannot be read, going on without", name)
				d.holds(d.bad, 1)
				d.holds(d.good, 1)
				return
			}
			d.says("log dir failed", name)
			d.offline()
		})
	}
}

// What does not belong into a log dir, or is missing there, is named; the start fails only where going on could lose data.
func TestForeignAndMissingFiles(t *testing.T) {
	d := newDisks(t, nil)
	d.start()
	d.stop()
	write := func(name string) {
		t.Helper()
		name = filepath.Join(d.bad, name)
		if err := d.mem.MkdirAll(filepath.Dir(name)); err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFile(d.mem, name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	replica := fmt.Sprintf("t-%d/00000000000000000000", d.in[d.bad])
	write("README")                                                        // a file in the log dir
	write(strings.TrimSuffix(replica, "/00000000000000000000") + "/notes") // and in a replica's directory
	for _, suffix := range []string{".index", ".timeindex"} {
		if err := d.mem.Remove(filepath.Join(d.bad, replica+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	d.start()
	d.holds(d.bad, 1)
	if n, err := d.fetch(d.in[d.bad]); n == 0 || err != nil {
		t.Errorf("fetch: %d bytes, %v", n, err)
	}
	d.stop()
	if ok, _ := vfs.Exists(d.mem, filepath.Join(d.bad, replica+".index")); !ok {
		t.Error("the index was not made anew")
	}

	write("lost+found/x") // a foreign directory: one log dir too many, or one level too high, was named in log.dirs
	if err := d.tryStart(); err == nil || !strings.Contains(err.Error(), "lost+found") || !strings.Contains(err.Error(), d.bad) {
		t.Errorf("a foreign directory: %v", err)
	}
}

// Log dirs of another cluster, or of another broker, are not touched.
func TestLogDirsOfAnother(t *testing.T) {
	d := newDisks(t, nil)
	d.start()
	id := d.b.ClusterID()
	d.stop()
	for _, dir := range []string{d.good, d.bad} {
		if err := checkpoint.WriteMeta(d.mem, filepath.Join(dir, checkpoint.MetaProperties), checkpoint.Meta{BrokerID: 1001, ClusterID: "another"}, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.tryStart(); err == nil || !strings.Contains(err.Error(), "another") || !strings.Contains(err.Error(), id) {
		t.Errorf("log dirs of another cluster: %v", err)
	}
	if ok, _ := vfs.Exists(d.mem, filepath.Join(d.bad, checkpoint.CleanShutdown)); !ok {
		t.Error("the refused start has cost the mark of the clean stop")
	}
}

// jumping is the machine's clock when somebody sets it: its timers go on, the time of day jumps.
type jumping struct{ by atomic.Int64 }

func (j *jumping) Now() time.Time { return time.Now().Round(0).Add(time.Duration(j.by.Load())) }
func (j *jumping) AfterFunc(d time.Duration, f func()) clock.Timer {
	return clock.Real.AfterFunc(d, f)
}
func (j *jumping) After(d time.Duration) <-chan time.Time { return clock.Real.After(d) }

// A clock that jumps, by a day or by ten years, one way or the other, stops nothing: producers, consumers and groups go on, and what was
// acknowledged stays.
func TestTheClockJumps(t *testing.T) {
	clk := &jumping{}
	// Deadlines of sockets are the system's, by its monotonic clock, and cannot be made to jump; so there are none.
	d := newDisks(t, map[string]string{"connections.max.idle.ms": "-1", "log.retention.ms": "-1", "log.message.timestamp.after.max.ms": fmt.Sprint(int64(1) << 60)})
	d.clock = clk
	d.start()
	written := int64(1)
	year := 365 * 24 * time.Hour
	for _, by := range []time.Duration{time.Hour, -24 * time.Hour, 10 * year, -10 * year, 0} {
		clk.by.Store(int64(by))
		if err := d.produce(d.in[d.bad]); err != nil {
			t.Fatalf("produce after a jump to %v: %v", by, err)
		}
		written++
		d.holds(d.bad, written)
		if n, err := d.fetch(d.in[d.bad]); n == 0 || err != nil {
			t.Fatalf("fetch after a jump to %v: %d bytes, %v", by, n, err)
		}
		group := client(t, d.b, kgo.ConsumerGroup(fmt.Sprint("g", by)), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
		fs := group.PollFetches(t.Context())
		if err := fs.Err(); err != nil {
			t.Fatalf("a group after a jump to %v: %v", by, err)
		}
		if err := group.CommitRecords(t.Context(), fs.Records()...); err != nil {
			t.Fatalf("a commit after a jump to %v: %v", by, err)
		}
		group.Close()
	}
	clk.by.Store(int64(-24 * time.Hour))
	d.stop()
	d.start()
	d.holds(d.bad, written)
}

//go:build integration

package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"
	"barnabas/protocol/record/codec"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestDamagedLogDirs damages one of two log dirs of a broker that was stopped, each time in another way, and starts it: what it says,
// what of the damaged log dir is served, and that the other is served in full.
func TestDamagedLogDirs(t *testing.T) {
	t.Parallel()
	w := newWreck(t)
	noise := func(name string) func(string) error {
		return func(dir string) error {
			return os.WriteFile(filepath.Join(dir, name), []byte("\x93\x01\xffnoise\x00\n\x88\x88"), 0o644)
		}
	}
	empty := func(name string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), nil, 0o644) }
	}
	version := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
	}
	missing := func(name string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
	}
	made := func(name string) func(string) error {
		return func(dir string) error { return os.Mkdir(filepath.Join(dir, name), 0o755) }
	}
	replica := func(name string) string { return filepath.Join(w.replica, name) }
	const second = "00000000000000000001"
	type damage struct {
		name  string
		do    func(dir string) error
		holds int64  // records in the damaged log dir; -1: it is offline; -2: the broker does not start
		says  string // in a line at warn or error, or in the last; "" for no such line
	}
	var all []damage
	for _, checkpoint := range []string{"recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "cleaner-offset-checkpoint", replica("leader-epoch-checkpoint")} {
		all = append(all,
			damage{checkpoint + " of noise", noise(checkpoint), 3, "checkpoint"},
			damage{checkpoint + " of version 7", version(checkpoint, "7\n0\n"), 3, "checkpoint"},
			damage{checkpoint + " torn", version(checkpoint, "0\n2\nt 0"), 3, "checkpoint"},
			damage{checkpoint + " empty", empty(checkpoint), 3, ""})
	}
	const watermarks = "replication-offset-checkpoint"
	all = append(all, []damage{
		{"watermarks of noise", noise(watermarks), -1, watermarks},
		{"watermarks of version 7", version(watermarks, "7\n0\n"), -1, watermarks},
		{"watermarks empty", empty(watermarks), 3, ""}, // as with Apache Kafka
		{"watermarks missing", missing(watermarks), 3, ""},
		{"a clean stop's mark of noise", noise(".kafka_cleanshutdown"), 3, ""},
		{"partition.metadata of noise", noise(replica("partition.metadata")), 3, "topic id in the directory cannot be read"},
		{"partition.metadata missing", missing(replica("partition.metadata")), 3, ""},
		{"producer snapshots of noise", noise(replica(second + ".snapshot")), 3, ""},
		{"meta.properties missing", missing("meta.properties"), 3, ""},
		{"meta.properties empty", empty("meta.properties"), -2, "meta.properties"},
		{"meta.properties of KRaft", version("meta.properties", "version=1\nnode.id=0\n"), -2, "KRaft"},
		{"meta.properties of another cluster", version("meta.properties", "version=0\nbroker.id=0\ncluster.id=another\n"), -2, `"another"`},
		{"meta.properties of another broker", version("meta.properties", "version=0\nbroker.id=7\ncluster.id="+w.cluster+"\n"), -2, "broker.id"},

		{"a .log missing", missing(replica(second + ".log")), 2, "index file without a log file"},
		{"a .log empty", empty(replica(second + ".log")), 2, ""},
		{"a .log is a directory", func(dir string) error {
			return errors.Join(missing(replica(second+".log"))(dir), made(replica(second+".log"))(dir))
		}, 2, "index file without a log file"},
		{"an .index missing", missing(replica(second + ".index")), 3, "segment without indexes"},
		{"an .index of noise", noise(replica(second + ".index")), 3, ""},
		{"a .timeindex of noise", noise(replica(second + ".timeindex")), 3, ""},

		{"a foreign directory", made("stuff"), -2, "stuff"},
		{"a foreign file", noise("stuff"), 3, ""},
		{"a foreign file in a replica", noise(replica("stuff.log")), 3, ""},
		{"an empty directory like that of a partition", made("other-0"), 3, "other"},
		{"a file like a partition's directory", noise("other-0"), 3, ""},
		{"a partition that is in both", func(dir string) error {
			return os.CopyFS(filepath.Join(filepath.Dir(dir), "good", w.replica), os.DirFS(filepath.Join(dir, w.replica)))
		},
			-2, "is in two log dirs"},
		{"a partition behind a link", func(dir string) error {
			there := filepath.Join(filepath.Dir(dir), "elsewhere")
			return errors.Join(os.Rename(filepath.Join(dir, w.replica), there), os.Symlink(there, filepath.Join(dir, w.replica)))
		}, 3, ""},
		{"a link to nowhere in a partition's place", func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, w.replica)), os.Symlink("nowhere", filepath.Join(dir, w.replica)))
		}, -1, w.replica},
		{"a log dir that is a file", func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o644)) }, -1, "not a directory"},
		{"a log dir that is a link to nowhere", func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Symlink("nowhere", dir)) }, -1, "log dir cannot be used"},
	}...)
	for _, d := range all {
		t.Run(d.name, func(t *testing.T) { w.broken(t, d.do, d.holds, d.says) })
	}
}

// wreck is what a broker with two log dirs left that was stopped: three segments with a record each in a partition in each.
type wreck struct {
	root    string // good/, where the store lies too, and bad/
	replica string // directory of the partition in bad
	in      map[string]int32
	cluster string
}

func newWreck(t *testing.T) *wreck {
	t.Helper()
	w := &wreck{root: filepath.Join(folder(t), "dirs"), in: map[string]int32{}}
	b := start(t, w.options(w.root))
	create(t, b.Addr, "t", 2, "segment.bytes", "600")
	c, err := peers.Dial(b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for p := range int32(2) {
		for range 3 {
			resp, err := c.RoundTrip(produceTo("t", p, batchOf(codec.None, make([]byte, 400))), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if e := kerr.ErrorForCode(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode); e != nil {
				t.Fatal(e)
			}
		}
	}
	dirs, err := admin(t, b.Addr).DescribeBrokerLogDirs(soon(t), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	dirs.EachPartition(func(p kadm.DescribedLogDirPartition) { w.in[filepath.Base(p.Dir)] = p.Partition })
	if len(w.in) != 2 {
		t.Fatalf("two partitions in %v", w.in)
	}
	w.replica = fmt.Sprintf("t-%d", w.in["bad"])
	about, err := admin(t, b.Addr).BrokerMetadata(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	w.cluster = about.Cluster
	if err := b.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *wreck) options(root string) peers.Options {
	return peers.Options{Kind: peers.Barnabas, DataDir: filepath.Join(root, "good") + "," + filepath.Join(root, "bad")}
}

// broken damages a copy of the log dir, starts a broker on it and holds it to what is said above.
func (w *wreck) broken(t *testing.T, do func(dir string) error, holds int64, says string) {
	root := filepath.Join(folder(t), "dirs")
	if err := os.CopyFS(root, os.DirFS(w.root)); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(root, "bad")
	if err := do(bad); err != nil {
		t.Fatal(err)
	}
	b, err := peers.NewBroker(filepath.Join(folder(t), "broker"), w.options(root))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Launch(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Kill)
	if holds == -2 {
		select {
		case <-b.Gone():
		case <-soon(t).Done():
			t.Fatal("it runs")
		}
		if last := b.Tail(1000); b.ExitCode() != 1 || !strings.Contains(last, "barnabas: start: ") || !strings.Contains(last, says) {
			t.Errorf("exit code %d, it says\n%s", b.ExitCode(), last)
		}
		return
	}
	if err := b.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	w.served(t, b.Addr, "good", 3)
	if holds >= 0 {
		w.served(t, b.Addr, "bad", int(holds))
		if err := w.produce(t, b.Addr, "bad"); err != nil {
			t.Errorf("produce to the damaged log dir: %v", err)
		}
	} else if err := w.produce(t, b.Addr, "bad"); !errors.Is(err, kerr.KafkaStorageError) && !errors.Is(err, kerr.LeaderNotAvailable) && !errors.Is(err, kerr.NotLeaderForPartition) {
		t.Errorf("produce to the log dir that is offline: %v", err)
	}
	if err := w.produce(t, b.Addr, "good"); err != nil {
		t.Errorf("produce to the other log dir: %v", err)
	}
	said := ""
	for line := range strings.Lines(string(readFile(t, b.Log))) {
		if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
			said += line
		}
	}
	if says == "" && said != "" || !strings.Contains(said, says) {
		t.Errorf("it says %q, not %q", said, says)
	}
	if err := b.Stop(20 * time.Second); err != nil {
		t.Error(err)
	}
}

// served wants that many records, each readable.
func (w *wreck) served(t *testing.T, addr, dir string, records int) {
	t.Helper()
	c := client(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {w.in[dir]: kgo.NewOffset().AtStart()}}))
	n, last := 0, int64(-1)
	for last < 2 {
		fs := c.PollFetches(soon(t))
		if err := fs.Err(); err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		fs.EachRecord(func(r *kgo.Record) { n, last = n+1, r.Offset })
	}
	if n != records {
		t.Errorf("%d records in %s, not %d", n, dir, records)
	}
}

func (w *wreck) produce(t *testing.T, addr, dir string) error {
	c := client(t, addr, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	defer c.Close()
	return c.ProduceSync(soon(t), &kgo.Record{Topic: "t", Partition: w.in[dir], Value: []byte("more")}).FirstErr()
}

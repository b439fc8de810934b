//go:build integration

package integration

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/go-zookeeper/zk"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The log dirs in testdata were written by Apache Kafka 3.9.2, stopped cleanly or killed; expected.txt says what it served from them.

// TestGoldenAlone starts a broker alone on each: it takes the topics in, of which its own store knows nothing.
func TestGoldenAlone(t *testing.T) {
	for _, name := range []string{"data-clean", "data-killed", "data-javacodecs"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := unpack(t, name)
			b := start(t, peers.Options{DataDir: dir})
			sameAsGolden(t, b.Addr, name)
			stopAndRestart(t, b)
			sameAsGolden(t, b.Addr, name)
			if name != "data-javacodecs" { // its internal topic had no data before
				commitMore(t, b.Addr)
			}
			if err := b.Stop(20 * time.Second); err != nil {
				t.Fatal(err)
			}
			dumpAll(t, dir)
		})
	}
}

// TestGoldenOnZooKeeper puts barnabas in the place of the broker that was killed: its topics are in ZooKeeper, led by nobody.
func TestGoldenOnZooKeeper(t *testing.T) {
	dir := unpack(t, "data-killed")
	chroot := "/golden"
	plantTopics(t, keeper(t).Addr, chroot, dir, nil)
	b := start(t, peers.Options{DataDir: dir, ZooKeeper: keeper(t).Addr + chroot})
	sameAsGolden(t, b.Addr, "data-killed")
	stopAndRestart(t, b)
	sameAsGolden(t, b.Addr, "data-killed")
}

// stopAndRestart stops a broker cleanly; the start that follows must find nothing to scan.
func stopAndRestart(t *testing.T, b *peers.Broker) {
	t.Helper()
	if err := b.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	before := len(readFile(t, b.Log))
	if err := b.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	noScan(t, b, before)
}

// noScan looks at what a start said of the logs that it loaded, from a place of the broker's log on.
func noScan(t *testing.T, b *peers.Broker, from int) {
	t.Helper()
	lines := 0
	for line := range strings.Lines(string(readFile(t, b.Log)[from:])) {
		if strings.Contains(line, `"msg":"loaded logs"`) {
			lines++
			if !strings.Contains(line, `"scanned":0}`) {
				t.Errorf("it scanned after a clean stop: %s", line)
			}
		}
	}
	if lines != 1 {
		t.Errorf("%d lines tell what the start loaded, want 1:\n%s", lines, b.Tail(4000))
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameAsGolden compares everything that can be read from a broker with a section of expected.txt.
func sameAsGolden(t *testing.T, addr, section string) {
	t.Helper()
	want, epochs := golden(t, section)
	got := served(t, addr, epochs)
	for _, line := range slices.Sorted(maps.Keys(want)) {
		if !got[line] {
			t.Errorf("not served:  %s", line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(got)) {
		if !want[line] {
			t.Errorf("served only: %s", line)
		}
	}
}

// golden reads a section as a set of lines. The latest leader epoch, which ends a partition's line, is apart: a broker that comes
// later leads with a later one. The states of transactions are not asked for: the coordinator that tells them is not built.
func golden(t *testing.T, section string) (lines map[string]bool, epochs map[string]int32) {
	t.Helper()
	lines, epochs = map[string]bool{}, map[string]int32{}
	current, group := "", ""
	for line := range strings.Lines(string(readFile(t, filepath.Join("testdata", "expected.txt")))) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "## "):
			current = strings.Fields(line)[1]
		case current != section, line == "", strings.HasPrefix(line, "#"), strings.HasPrefix(line, "txn tx-"):
		case strings.HasPrefix(line, "group "):
			group = strings.Fields(line)[1]
			lines[line] = true
		case strings.HasPrefix(line, "  offset "):
			lines[group+line] = true
		default:
			cut := strings.LastIndex(line, " | ")
			epoch, err := strconv.Atoi(line[cut+3:])
			if err != nil {
				t.Fatalf("expected.txt: %q: %v", line, err)
			}
			f := strings.Fields(line)
			lines[line[:cut]], epochs[f[0]+" "+f[1]] = true, int32(epoch)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("expected.txt has no section %s", section)
	}
	return lines, epochs
}

// served asks the broker for what expected.txt tells of, in its words.
func served(t *testing.T, addr string, epochs map[string]int32) map[string]bool {
	t.Helper()
	adm, out := admin(t, addr), map[string]bool{}
	listed := func(l kadm.ListedOffsets, err error) kadm.ListedOffsets {
		if err = errors.Join(err, l.Error()); err != nil {
			t.Fatal(err)
		}
		return l
	}
	topics := ledTopics(t, addr, len(epochs))
	starts := listed(adm.ListStartOffsets(soon(t), topics...))
	ends := listed(adm.ListEndOffsets(soon(t), topics...))
	stable := listed(adm.ListCommittedOffsets(soon(t), topics...))
	all := readAll(t, addr, starts, ends, kgo.ReadUncommitted())
	committed := readAll(t, addr, starts, stable, kgo.ReadCommitted())
	ends.Each(func(end kadm.ListedOffset) {
		at := fmt.Sprintf("%s %d", end.Topic, end.Partition)
		start, _ := starts.Lookup(end.Topic, end.Partition)
		last, _ := stable.Lookup(end.Topic, end.Partition)
		every, sure := all[at], committed[at]
		out[fmt.Sprintf("%s %d %d %d | %s | %s | %s", at, start.Offset, end.Offset, last.Offset, every.digest(), sure.digest(), every.span())] = true
		if old := epochs[at]; end.LeaderEpoch < old || end.LeaderEpoch > old+20 {
			t.Errorf("%s: latest leader epoch %d; Kafka's was %d", at, end.LeaderEpoch, old)
		}
	})
	groups, err := adm.DescribeGroups(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups.Sorted() {
		out[fmt.Sprintf("group %s %s %s", g.Group, g.State, g.ProtocolType)] = true
		offsets, err := adm.FetchOffsets(soon(t), g.Group)
		if err != nil {
			t.Fatal(err)
		}
		offsets.Each(func(o kadm.OffsetResponse) {
			out[fmt.Sprintf("%s  offset %s %d = %d leader_epoch %d metadata %q", g.Group, o.Topic, o.Partition, o.At, o.LeaderEpoch, o.Metadata)] = true
		})
	}
	return out
}

// ledTopics waits until that many partitions and all that there are have a leader, and names the topics.
func ledTopics(t *testing.T, addr string, partitions int) []string {
	t.Helper()
	adm := kadm.NewClient(client(t, addr, kgo.MetadataMinAge(10*time.Millisecond))) // it answers from its cache for that long
	var topics []string
	eventually(t, "every partition has a leader", func() error {
		details, err := adm.ListTopicsWithInternal(soon(t))
		if err == nil {
			err = details.Error()
		}
		n := 0
		details.EachPartition(func(p kadm.PartitionDetail) { n, err = n+1, errors.Join(err, p.Err) })
		if n < partitions {
			err = errors.Join(err, fmt.Errorf("%d partitions", n))
		}
		topics = details.Names()
		return err
	})
	return topics
}

// A content sums up the data records of one partition, as the head of expected.txt defines it.
type content struct {
	records          int
	first, last, sum int64
	text             []byte
}

func (c *content) add(r *kgo.Record) {
	if c.records == 0 {
		c.first = r.Offset
	}
	c.records, c.last, c.sum = c.records+1, r.Offset, c.sum+r.Offset
	c.text = fmt.Appendf(c.text, "%d|", r.Offset)
	for _, b := range [][]byte{r.Key, r.Value} {
		if b == nil {
			c.text = append(c.text, "-1:"...)
		} else {
			c.text = append(fmt.Appendf(c.text, "%d:", len(b)), b...)
		}
	}
}

func (c *content) digest() string {
	sum := sha256.Sum256(c.text)
	return fmt.Sprintf("%d %s", c.records, hex.EncodeToString(sum[:]))
}

func (c *content) span() string { return fmt.Sprintf("%d..%d %d", c.first, c.last, c.sum) }

// readAll reads every partition from its start until its end. Control records are asked for, to see the end come, and not counted:
// a partition's last offset below the high watermark or the last stable offset is that of a record or a marker.
func readAll(t *testing.T, addr string, starts, ends kadm.ListedOffsets, level kgo.IsolationLevel) map[string]*content {
	t.Helper()
	out, open := map[string]*content{}, map[string]int64{}
	from := map[string]map[int32]kgo.Offset{}
	ends.Each(func(end kadm.ListedOffset) {
		at := fmt.Sprintf("%s %d", end.Topic, end.Partition)
		out[at] = &content{first: -1, last: -1}
		start, _ := starts.Lookup(end.Topic, end.Partition)
		if start.Offset == end.Offset {
			return
		}
		open[at] = end.Offset
		if from[end.Topic] == nil {
			from[end.Topic] = map[int32]kgo.Offset{}
		}
		from[end.Topic][end.Partition] = kgo.NewOffset().At(start.Offset)
	})
	c := client(t, addr, kgo.ConsumePartitions(from), kgo.FetchIsolationLevel(level), kgo.KeepControlRecords())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for len(open) > 0 {
		fs := c.PollFetches(ctx)
		if err := fs.Err0(); err != nil {
			t.Fatalf("reading: %v; not at their ends: %v", err, open)
		}
		fs.EachError(func(topic string, p int32, err error) { t.Fatalf("%s-%d: %v", topic, p, err) })
		fs.EachRecord(func(r *kgo.Record) {
			at := fmt.Sprintf("%s %d", r.Topic, r.Partition)
			if !r.Attrs.IsControl() {
				out[at].add(r)
			}
			if r.Offset == open[at]-1 {
				delete(open, at)
			}
		})
	}
	c.Close()
	return out
}

// commitMore uses a group that Kafka has left: what it committed is where the new member begins, and goes on from there.
func commitMore(t *testing.T, addr string) {
	t.Helper()
	c := client(t, addr, kgo.ConsumerGroup("g-range"), kgo.ConsumeTopics("codec-none"), kgo.Balancers(kgo.RangeBalancer()), kgo.DisableAutoCommit())
	first := int64(-1)
	for n := 0; n < 70; {
		fs := c.PollFetches(soon(t))
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if first < 0 {
				first = r.Offset
			}
			n++
		})
	}
	if first != 30 {
		t.Errorf("the group's new member began at offset %d, not at 30, which Kafka's member had committed", first)
	}
	if err := c.CommitUncommittedOffsets(soon(t)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	offsets, err := admin(t, addr).FetchOffsets(soon(t), "g-range")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := offsets.Lookup("codec-none", 0); o.At != 100 {
		t.Errorf("committed %d, want 100", o.At)
	}
}

// unpack makes a copy of a golden log dir. Index files of a killed broker are sparse; what is zero is left out.
func unpack(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	into := folder(t)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return filepath.Join(into, name)
		}
		if err == nil {
			path := filepath.Join(into, filepath.Clean("/"+h.Name))
			if h.FileInfo().IsDir() {
				err = os.MkdirAll(path, 0o755)
			} else {
				err = writeSparse(path, r, h.Size)
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func writeSparse(path string, r io.Reader, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	for at := int64(0); at < size; {
		n, err := io.ReadFull(r, block[:min(int64(len(block)), size-at)])
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if !allZero(block[:n]) {
			if _, err := f.WriteAt(block[:n], at); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		at += int64(n)
	}
	return errors.Join(f.Truncate(size), f.Close())
}

func allZero(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

// plantTopics writes into ZooKeeper what a broker had there of the partitions in a log dir, led by nobody now, and the cluster's id.
// counts are the topics' partitions, for those that may have some that were never written to and have no folder.
func plantTopics(t *testing.T, addr, chroot, dir string, counts map[string]int) {
	t.Helper()
	c := keeperSession(t, addr)
	put := func(path, data string) {
		for i := 1; i < len(path); i++ {
			if path[i] == '/' {
				if _, err := c.Create(chroot+path[:i], nil, 0, zk.WorldACL(zk.PermAll)); err != nil && !errors.Is(err, zk.ErrNodeExists) {
					t.Fatal(err)
				}
			}
		}
		if _, err := c.Create(chroot+path, []byte(data), 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatalf("create %s: %v", path, err)
		}
	}
	if _, err := c.Create(chroot, nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	put("/cluster/id", fmt.Sprintf(`{"version":"1","id":%q}`, property(t, filepath.Join(dir, "meta.properties"), "cluster.id", "=")))
	put("/controller_epoch", "1")
	partitions, ids := map[string][]int{}, map[string]string{}
	folders, err := filepath.Glob(filepath.Join(dir, "*-*", "partition.metadata"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range folders {
		name := filepath.Base(filepath.Dir(path))
		cut := strings.LastIndexByte(name, '-')
		p, err := strconv.Atoi(name[cut+1:])
		if err != nil {
			t.Fatal(err)
		}
		partitions[name[:cut]] = append(partitions[name[:cut]], p)
		ids[name[:cut]] = property(t, path, "topic_id", ": ")
	}
	for topic, ps := range partitions {
		for p := range counts[topic] {
			if !slices.Contains(ps, p) {
				ps = append(ps, p)
			}
		}
		if id, err := base64.RawURLEncoding.DecodeString(ids[topic]); err != nil || len(id) != 16 {
			t.Fatalf("%s: topic id %q", topic, ids[topic])
		}
		config := `{"retention.ms":"-1"}`
		if strings.HasPrefix(topic, "__") {
			config = `{"cleanup.policy":"compact"}`
		}
		put("/config/topics/"+topic, fmt.Sprintf(`{"version":1,"config":%s}`, config))
		assigned := map[string][]int{}
		for _, p := range ps {
			assigned[strconv.Itoa(p)] = []int{0}
		}
		text, _ := json.Marshal(assigned)
		put("/brokers/topics/"+topic, fmt.Sprintf(`{"partitions":%s,"topic_id":%q,"adding_replicas":{},"removing_replicas":{},"version":3}`, text, ids[topic]))
		for _, p := range ps {
			put(fmt.Sprintf("/brokers/topics/%s/partitions/%d/state", topic, p), `{"controller_epoch":1,"leader":-1,"version":1,"leader_epoch":9,"isr":[0]}`)
		}
	}
}

// property is a value of a file of lines.
func property(t *testing.T, path, name, between string) string {
	t.Helper()
	for line := range strings.Lines(string(readFile(t, path))) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+between); ok {
			return value
		}
	}
	t.Fatalf("%s has no %s", path, name)
	return ""
}

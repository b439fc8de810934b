//go:build integration

package integration

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"barnabas/integration/peers"
	"barnabas/protocol/record"
)

// squeezedTopics are compacted in small segments. In one of them tombstones and markers go with the next pass.
var squeezedTopics = map[string][]string{
	"squeezed":         {"cleanup.policy", "compact", "segment.bytes", "3000", "index.interval.bytes", "200"},
	"squeezed-dropped": {"cleanup.policy", "compact", "segment.bytes", "5000", "index.interval.bytes", "200", "delete.retention.ms", "0"},
	"squeezed-both":    {"cleanup.policy", "compact,delete", "segment.bytes", "3000", "index.interval.bytes", "200", "delete.retention.ms", "0"},
}

// TestCompaction has Apache Kafka write logs and the two compact them, each its own copy: there must be the same batches with the same
// records at the same offsets, and after more was written and compacted, again. DumpLogSegments reads what barnabas made.
func TestCompaction(t *testing.T) {
	t.Parallel()
	c := keeperSession(t, keeper(t).Addr)
	chroot := "/compaction"
	settings := func(ratio string) map[string]string {
		s := shortSessions()
		maps.Copy(s, map[string]string{
			"log.cleaner.min.cleanable.ratio": ratio, "log.cleaner.backoff.ms": "100", "log.cleaner.dedupe.buffer.size": "4194304",
			"log.initial.task.delay.ms": "100", "log.segment.delete.delay.ms": "100", "offsets.topic.segment.bytes": "2000",
		})
		return s
	}
	options := func(kind peers.Kind, ratio string) peers.Options {
		return peers.Options{Kind: kind, ZooKeeper: keeper(t).Addr + chroot, DataDir: filepath.Join(folder(t), "data-"+string(kind)), Settings: settings(ratio)}
	}
	kafka, err := peers.StartBroker(soon(t), filepath.Join(folder(t), "kafka"), options(peers.Kafka, "1")) // nothing is that dirty
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kafka.Kill() })
	for topic, config := range squeezedTopics {
		create(t, kafka.Addr, topic, 1, config...)
		squeeze(t, kafka.Addr, topic)
	}
	commitOften(t, kafka.Addr)
	if err := kafka.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(folder(t), "data-barnabas"), os.DirFS(kafka.DataDir)); err != nil {
		t.Fatal(err)
	}

	// compacted is what is left of each topic after the first pass, and after the second.
	compacted := func(b *peers.Broker) (left [2]map[string][]string) {
		ledTopics(t, b.Addr, len(squeezedTopics))
		for stage := range left {
			left[stage] = map[string][]string{}
			for topic := range squeezedTopics {
				cleanedUp(t, b, topic)
				left[stage][topic] = stored(t, b, topic)
			}
			if stage > 0 {
				break
			}
			for topic := range squeezedTopics {
				produceKeyed(t, b.Addr, topic, 500, 40, kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(kgo.NoCompression()))
				produceKeyed(t, b.Addr, topic, 600, 40, kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(kgo.NoCompression()))
			}
		}
		return left
	}
	barnabas := start(t, options(peers.Barnabas, "0"))
	ours := compacted(barnabas)
	cleanedUp(t, barnabas, "__consumer_offsets")
	committed := commits(t, barnabas.Addr)
	if err := barnabas.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	dumpAll(t, barnabas.DataDir)
	if err := barnabas.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(committed, commits(t, barnabas.Addr)); diff != "" || len(committed) == 0 {
		t.Errorf("commits after a restart: %s", diff)
	}
	if err := barnabas.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}

	unregistered(t, c, chroot)
	kafka.Opts = options(peers.Kafka, "0")
	if err := kafka.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	theirs := compacted(kafka)
	if diff := cmp.Diff(commits(t, kafka.Addr), committed); diff != "" {
		t.Errorf("commits: Apache Kafka has (-), barnabas (+):\n%s", diff)
	}
	for stage := range theirs {
		for topic, want := range theirs[stage] {
			if diff := cmp.Diff(want, ours[stage][topic]); diff != "" {
				t.Errorf("%s after pass %d: Apache Kafka has (-), barnabas (+):\n%s", topic, stage+1, diff)
			}
		}
	}
	if n, m := len(theirs[0]["squeezed"]), len(theirs[1]["squeezed-dropped"]); n == 0 || m == 0 {
		t.Errorf("%d and %d batches are compared", n, m)
	}
}

// produceKeyed writes n records in batches of up to ten; keys come again, some records are tombstones.
func produceKeyed(t *testing.T, addr, topic string, from, n int, opts ...kgo.Opt) {
	t.Helper()
	c := client(t, addr, append(opts, kgo.DefaultProduceTopic(topic))...)
	defer c.Close()
	for at := from; at < from+n; at += 10 {
		if err := c.ProduceSync(soon(t), keyedRecords(at, min(10, from+n-at))...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func keyedRecords(from, n int) (rs []*kgo.Record) {
	for i := from; i < from+n; i++ {
		r := &kgo.Record{
			Key: fmt.Appendf(nil, "key %d", i*7%23), Value: fmt.Appendf(nil, "value %d %s", i, strings.Repeat("x", i%50)),
			Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
		}
		if i%6 == 0 {
			r.Value = nil
		}
		if i%5 == 0 {
			r.Headers = []kgo.RecordHeader{{Key: "h", Value: fmt.Append(nil, i)}}
		}
		rs = append(rs, r)
	}
	return rs
}

// squeeze writes with each codec, with and without a producer id, and in transactions of which half are aborted.
func squeeze(t *testing.T, addr, topic string) {
	t.Helper()
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	for i, codec := range codecs {
		produceKeyed(t, addr, topic, i*60, 30, kgo.ProducerBatchCompression(codec), kgo.DisableIdempotentWrite())
		produceKeyed(t, addr, topic, i*60+30, 15, kgo.ProducerBatchCompression(codec))
		c := client(t, addr, kgo.TransactionalID(topic+"-"+strconv.Itoa(i)), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codec))
		for j, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
			if err := errors.Join(c.BeginTransaction(), c.ProduceSync(soon(t), keyedRecords(i*60+45+j*5, 5)...).FirstErr(), c.EndTransaction(soon(t), end)); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
	}
	produceKeyed(t, addr, topic, 400, 60, kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(kgo.NoCompression()))
}

// commitOften fills segments of __consumer_offsets.
func commitOften(t *testing.T, addr string) {
	t.Helper()
	adm := admin(t, addr)
	for i := range 60 {
		for _, group := range []string{"g-often", "g-too"} {
			o := kadm.Offsets{}
			o.Add(kadm.Offset{Topic: "squeezed", Partition: 0, At: int64(i), LeaderEpoch: -1, Metadata: strings.Repeat("m", i)})
			if err := adm.CommitAllOffsets(soon(t), group, o); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// commits are what the groups have committed.
func commits(t *testing.T, addr string) map[string]string {
	t.Helper()
	out := map[string]string{}
	adm := admin(t, addr)
	for _, group := range []string{"g-often", "g-too"} {
		var offsets kadm.OffsetResponses
		eventually(t, "the offsets of "+group, func() (err error) {
			offsets, err = adm.FetchOffsets(soon(t), group)
			return errors.Join(err, offsets.Error())
		})
		offsets.Each(func(o kadm.OffsetResponse) {
			out[group] += fmt.Sprintf("%s-%d at %d %s;", o.Topic, o.Partition, o.At, o.Metadata)
		})
	}
	return out
}

// segmentsOf are the .log files of the topic's partitions that are on disk, by partition.
func segmentsOf(t *testing.T, b *peers.Broker, topic string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.DataDir, topic+"-[0-9]*", "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files of ", topic, err)
	}
	slices.Sort(files)
	out := map[string][]string{}
	for _, f := range files {
		replica := filepath.Base(filepath.Dir(f))
		out[replica] = append(out[replica], f)
	}
	return out
}

// cleanedUp waits until the cleaner has come to the active segment of each partition.
func cleanedUp(t *testing.T, b *peers.Broker, topic string) {
	t.Helper()
	eventually(t, topic+" is cleaned by "+string(b.Opts.Kind), func() error {
		checkpoint := string(readFile(t, filepath.Join(b.DataDir, "cleaner-offset-checkpoint")))
		for replica, files := range segmentsOf(t, b, topic) {
			base, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(files[len(files)-1]), ".log"), 10, 64)
			if err != nil {
				return err
			}
			dash := strings.LastIndexByte(replica, '-')
			line := fmt.Sprintf("\n%s %s %d\n", replica[:dash], replica[dash+1:], base)
			if base > 0 && !strings.Contains(checkpoint, line) {
				return fmt.Errorf("%s is not cleaned to %d: %s", replica, base, checkpoint)
			}
		}
		return nil
	})
}

// stored are the batches in the topic's files with all that compaction may change or must keep, one a line with its records.
func stored(t *testing.T, b *peers.Broker, topic string) (lines []string) {
	t.Helper()
	for _, file := range segmentsOf(t, b, topic)[topic+"-0"] {
		lines = append(lines, filepath.Base(file))
		for bytes := readFile(t, file); ; {
			entry, rest, err := record.Next(bytes)
			if err != nil {
				break // the end, or what an active segment is preallocated with
			}
			bytes = rest
			batch := record.Batch(entry)
			if err := batch.Check(); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			_, horizon := batch.DeleteHorizon()
			lines = append(lines, fmt.Sprintf("%d..%d producer %d/%d sequence %d codec %d txn %v control %v newest %d horizon %v count %d",
				batch.BaseOffset(), batch.LastOffset(), batch.ProducerID(), batch.ProducerEpoch(), batch.BaseSequence(), batch.Codec(),
				batch.IsTransactional(), batch.IsControl(), batch.MaxTimestamp(), horizon, batch.Count()))
			if err := batch.Each(1<<24, func(r record.Record) error {
				value := "null"
				if r.Value != nil {
					value = fmt.Sprintf("%q", r.Value)
				}
				lines = append(lines, fmt.Sprintf("  %d at %d: %q = %s %v", batch.BaseOffset()+int64(r.OffsetDelta), batch.Timestamp(r), r.Key, value, r.Headers))
				return nil
			}); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	return lines
}

// TestCleanerGivesMemoryBack: when the cleaner has nothing more to do, the memory that the keys took is the system's again.
func TestCleanerGivesMemoryBack(t *testing.T) {
	b := start(t, peers.Options{Settings: map[string]string{"log.cleaner.backoff.ms": "100", "log.cleaner.min.cleanable.ratio": "0"}})
	anonymous := func() (kb int) {
		for line := range strings.Lines(string(readFile(t, fmt.Sprintf("/proc/%d/status", b.Pid())))) {
			if _, err := fmt.Sscanf(line, "RssAnon: %d kB", &kb); err == nil {
				return kb
			}
		}
		t.Fatal("no RssAnon")
		return 0
	}
	create(t, b.Addr, "keys", 1, "cleanup.policy", "delete", "segment.bytes", "20000000")
	c := client(t, b.Addr, kgo.DefaultProduceTopic("keys"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	const keys = 600_000
	ctx := soon(t)
	for i := range keys {
		c.Produce(ctx, &kgo.Record{Key: fmt.Appendf(nil, "key %d", i), Value: make([]byte, 20)}, nil)
	}
	for range 250 { // what is not sealed is not cleaned
		c.Produce(ctx, &kgo.Record{Key: []byte("last"), Value: make([]byte, 100_000)}, nil)
	}
	if err := c.Flush(soon(t)); err != nil {
		t.Fatal(err)
	}
	before := anonymous()
	if _, err := admin(t, b.Addr).AlterTopicConfigs(soon(t), []kadm.AlterConfig{{Name: "cleanup.policy", Value: kadm.StringPtr("compact")}}, "keys"); err != nil {
		t.Fatal(err)
	}
	most := before
	if err := peers.Until(soon(t), b.Process, "the keys are cleaned", func() error {
		most = max(most, anonymous())
		if !strings.Contains(string(readFile(t, b.Log)), fmt.Sprintf(`"keys":%d`, keys+1)) {
			return errors.New("not yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	most = max(most, anonymous())
	if err := peers.Until(soon(t), b.Process, "the memory is given back", func() error {
		if now := anonymous(); now > before+8_000 {
			return fmt.Errorf("%d kB, %d before the pass", now, before)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	t.Logf("%d kB before, at least %d while cleaning, %d after", before, most, anonymous())
}

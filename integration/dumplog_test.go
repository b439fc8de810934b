//go:build integration

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const dumpLogSegments = "kafka.tools.DumpLogSegments"

// compactedTopics are those of the suite whose offsets may have gaps.
var compactedTopics = []string{"compacted", "squeezed", "squeezed-dropped", "squeezed-both", "__consumer_offsets", "__transaction_state"}

// dumpAll has Apache Kafka's DumpLogSegments read every file of the replicas in a log dir, whose broker is not running. It must have
// nothing to complain of, and barnabas dump-log must print the same, to the letter.
func dumpAll(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*-*", "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	var logs, big, offsets, transactions, indexes, others []string
	for _, f := range files {
		replica := filepath.Base(filepath.Dir(f))
		switch filepath.Ext(f) {
		case ".log":
			switch {
			case strings.HasPrefix(replica, "__consumer_offsets-"):
				offsets = append(offsets, f)
			case strings.HasPrefix(replica, "__transaction_state-"):
				transactions = append(transactions, f)
			case sizeOf(t, f) > 4<<20: // their records would be gigabytes of text
				big = append(big, f)
			default:
				logs = append(logs, f)
			}
		case ".index", ".timeindex":
			indexes = append(indexes, f)
		case ".txnindex", ".snapshot":
			others = append(others, f)
		case ".metadata":
		default:
			t.Errorf("%s is no file that a stopped broker leaves", f)
		}
	}
	if len(logs) == 0 {
		t.Fatalf("%s has no logs", dir)
	}
	dumpSame(t, slices.Concat(logs, others), []string{"--deep-iteration", "--print-data-log"}, []string{"--deep", "--data"})
	dumpSame(t, slices.Concat(big, indexes), nil, nil)
	dumpSame(t, offsets, []string{"--offsets-decoder"}, []string{"--offsets"})
	dumpSame(t, transactions, []string{"--transaction-log-decoder"}, []string{"--transactions"})
	dumpSame(t, indexes, []string{"--index-sanity-check"}, []string{"--sanity"})
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// dumpSame runs both tools over the same files.
func dumpSame(t *testing.T, files, theirs, ours []string) {
	t.Helper()
	if len(files) == 0 {
		return
	}
	run, err := toolsOf(t, "3.9.2").Run(time.Minute, "", dumpLogSegments, append(theirs, "--files", strings.Join(files, ","))...)
	if err != nil {
		t.Fatal(err)
	}
	complaints := unexpected(run.Stderr)
	for line := range strings.Lines(run.Stdout) {
		if strings.Contains(line, "isvalid: false") || strings.Contains(line, "invalid bytes at the end") {
			complaints = append(complaints, line)
		}
	}
	if run.Exit != 0 || len(complaints) > 0 {
		t.Errorf("DumpLogSegments %v ended with %d and says:\n%s", theirs, run.Exit, strings.Join(complaints, ""))
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(soon(t), peers.Binary(), slices.Concat([]string{"dump-log"}, ours, files)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("barnabas dump-log %v: %v\n%s", ours, err, errs.String())
	}
	// barnabas prints what it finds where it finds it, Kafka at the end, elsewhere.
	if theirLine, ourLine, same := firstDifference(run.Stdout, strings.Join(unexpected(out.String()), "")); !same {
		t.Errorf("DumpLogSegments %v:\n  %s\nbarnabas dump-log %v:\n  %s", theirs, theirLine, ours, ourLine)
	}
}

// unexpected are the lines of DumpLogSegments' stderr, without what it says of gaps in compacted topics.
func unexpected(stderr string) []string {
	var out []string
	excused := false
	for line := range strings.Lines(stderr) {
		if file, ok := strings.CutPrefix(line, "Non-consecutive offsets in "); ok {
			topic := filepath.Base(filepath.Dir(strings.TrimSpace(file)))
			excused = slices.Contains(compactedTopics, topic[:strings.LastIndexByte(topic, '-')])
		} else if !strings.HasPrefix(line, "  ") {
			excused = false
		}
		if !excused {
			out = append(out, line)
		}
	}
	return out
}

func firstDifference(a, b string) (lineA, lineB string, same bool) {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(as), len(bs)) {
		lineA, lineB = "(nothing)", "(nothing)"
		if i < len(as) {
			lineA = as[i]
		}
		if i < len(bs) {
			lineB = bs[i]
		}
		if partitionsSorted(lineA) != partitionsSorted(lineB) {
			return lineA, lineB, false
		}
	}
	return "", "", true
}

// partitionsSorted sorts the list in a transaction's line: DumpLogSegments prints a hash set.
func partitionsSorted(line string) string {
	before, rest, ok := strings.Cut(line, ",partitions=[")
	list, after, closed := strings.Cut(rest, "]")
	if !ok || !closed {
		return line
	}
	names := strings.Split(list, ",")
	slices.Sort(names)
	return before + ",partitions=[" + strings.Join(names, ",") + "]" + after
}

// busyJanitor are settings with which old files go soon, and nothing is compacted.
func busyJanitor() map[string]string {
	return map[string]string{
		"log.retention.check.interval.ms": "200", "log.initial.task.delay.ms": "100", "log.segment.delete.delay.ms": "100",
		"log.cleaner.enable": "false", "log.flush.start.offset.checkpoint.interval.ms": "200",
	}
}

// TestDumpLog writes each kind of file in each way that there is, and has them read after a clean stop and after a kill -9.
func TestDumpLog(t *testing.T) {
	t.Parallel()
	b := start(t, peers.Options{Settings: busyJanitor()})
	topics := dumpTopics(t, b.Addr)
	writeEverywhere(t, b.Addr, topics, 0)
	writeOldFormats(t, b.Addr)
	useGroups(t, b.Addr, kgo.InstanceID("static"))
	shorten(t, b)
	if r, err := admin(t, b.Addr).DeleteTopics(soon(t), "gone"); errors.Join(err, r.Error()) != nil {
		t.Fatal(err, r.Error())
	}
	if err := b.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	dumpAll(t, b.DataDir)
	for topic, least := range map[string]int{"rolled": 8, "rolled-index": 10, "rolled-time": 8, "stamped": 4, "compacted": 8, "deleted": 4, "retained": 2, "gone": 0} {
		if segments, _ := filepath.Glob(filepath.Join(b.DataDir, topic+"-0", "*.log")); len(segments) < least || topic == "gone" && len(segments) > 0 {
			t.Errorf("%s has %d segments", topic, len(segments))
		}
	}
	delete(topics, "gone")

	if err := b.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	ledTopics(t, b.Addr, len(topics))
	writeEverywhere(t, b.Addr, topics, 1)
	useGroups(t, b.Addr, kgo.InstanceID("static"))
	before := served(t, b.Addr, nil)
	b.Kill()
	if err := b.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	servesStill(t, b.Addr, before)
	if err := b.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	dumpAll(t, b.DataDir)
}

// servesStill compares what is served with what was, but for the log whose start retention moves.
func servesStill(t *testing.T, addr string, before map[string]bool) {
	t.Helper()
	partitions := 0
	for line := range before {
		partitions += min(1, strings.Count(line, " | "))
	}
	ledTopics(t, addr, partitions)
	now := served(t, addr, nil)
	for line := range before {
		if !now[line] && !strings.HasPrefix(line, "retained ") {
			t.Errorf("was served: %s", line)
		}
	}
	for line := range now {
		if !before[line] && !strings.HasPrefix(line, "retained ") {
			t.Errorf("is served:  %s", line)
		}
	}
}

// dumpTopics are the topics of TestDumpLog, by what is special about them.
func dumpTopics(t *testing.T, addr string) map[string]kgo.CompressionCodec {
	t.Helper()
	topics := map[string]kgo.CompressionCodec{
		"codec-none": kgo.NoCompression(), "codec-gzip": kgo.GzipCompression(), "codec-snappy": kgo.SnappyCompression(),
		"codec-lz4": kgo.Lz4Compression(), "codec-zstd": kgo.ZstdCompression(),
	}
	for topic := range topics {
		create(t, addr, topic, 1)
	}
	for topic, settings := range map[string][]string{
		"rolled":       {"segment.bytes", "2000", "index.interval.bytes", "100"},
		"rolled-index": {"segment.index.bytes", "64", "index.interval.bytes", "0"},
		"rolled-time":  {"segment.ms", "60000"},
		"stamped":      {"message.timestamp.type", "LogAppendTime", "segment.bytes", "3000", "index.interval.bytes", "200"},
		"recompressed": {"compression.type", "zstd"},
		"compacted":    {"cleanup.policy", "compact", "segment.bytes", "2000"},
		"deleted":      {"segment.bytes", "2000", "index.interval.bytes", "100"},
		"retained":     {"segment.bytes", "2000", "retention.bytes", "4000", "file.delete.delay.ms", "0"},
		"preallocated": {"preallocate", "true", "segment.bytes", "65536"},
		"gone":         {"segment.bytes", "2000"},
	} {
		topics[create(t, addr, topic, 1, settings...)] = kgo.NoCompression()
	}
	return topics
}

// writeEverywhere writes to every topic: small and big batches, idempotent and not, with null keys and values, headers, and timestamps
// that go up and down, on a clock that is years old.
func writeEverywhere(t *testing.T, addr string, topics map[string]kgo.CompressionCodec, round int) {
	t.Helper()
	for topic, codec := range topics {
		for i, opts := range [][]kgo.Opt{{kgo.MaxBufferedRecords(1)}, {kgo.ProducerLinger(time.Second)}, {kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck())}} {
			p := client(t, addr, append(opts, kgo.ProducerBatchMaxBytes(1500), kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic(topic))...)
			for n := range 60 {
				r := &kgo.Record{Key: fmt.Appendf(nil, "k%d", n%7), Value: bytes.Repeat([]byte("barnabas "), 1+n%9)}
				r.Timestamp = time.UnixMilli(1_700_000_000_000 + int64(round*600_000+i*200_000+n*3000+n%3*5000))
				if n%5 == 0 {
					r.Headers = []kgo.RecordHeader{{Key: "h", Value: []byte("v")}, {Key: "empty"}}
				}
				if n%11 == 0 {
					r.Value = nil
				}
				if n%13 == 0 && topic != "compacted" {
					r.Key = nil
				}
				p.Produce(soon(t), r, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("produce to %s: %v", topic, err)
					}
				})
			}
			if err := p.Flush(soon(t)); err != nil {
				t.Fatalf("%s: %v", topic, err)
			}
			p.Close()
		}
	}
}

// writeOldFormats has an old client's message sets stored: of magic 0, and of magic 1 with relative offsets in compressed wrappers.
func writeOldFormats(t *testing.T, addr string) {
	t.Helper()
	for _, version := range []string{"0.9.0.1", "0.10.0.1"} {
		topic := create(t, addr, "of-"+version, 1)
		for _, codec := range []string{"none", "gzip", "snappy", "lz4"} {
			run(t, nil, strings.Repeat("k:an old client's message\n", 20), "kcat", "-P", "-b", addr, "-t", topic, "-K:", "-z", codec,
				"-X", "api.version.request=false", "-X", "broker.version.fallback="+version)
		}
	}
}

// useGroups fills __consumer_offsets: a member that joins, commits and leaves, commits without a member, deletions.
func useGroups(t *testing.T, addr string, opts ...kgo.Opt) {
	t.Helper()
	c := client(t, addr, append(opts, kgo.ConsumerGroup("g-member"), kgo.ConsumeTopics("codec-zstd", "rolled"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())...)
	if err := c.PollFetches(soon(t)).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.CommitUncommittedOffsets(soon(t)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	adm := admin(t, addr)
	for _, group := range []string{"g-simple", "g-deleted"} {
		o := kadm.Offsets{}
		o.Add(kadm.Offset{Topic: "rolled", Partition: 0, At: 7, LeaderEpoch: 0, Metadata: "seven"})
		o.Add(kadm.Offset{Topic: "codec-none", Partition: 0, At: 8, LeaderEpoch: -1})
		if err := adm.CommitAllOffsets(soon(t), group, o); err != nil {
			t.Fatal(err)
		}
	}
	var gone kadm.TopicsSet
	gone.Add("codec-none", 0)
	if r, err := adm.DeleteOffsets(soon(t), "g-simple", gone); errors.Join(err, r.Error()) != nil {
		t.Fatal(err, r.Error())
	}
	if r, err := adm.DeleteGroups(soon(t), "g-deleted"); errors.Join(err, r.Error()) != nil {
		t.Fatal(err, r.Error())
	}
}

// shorten moves log starts: one by DeleteRecords into the middle of a segment, one by retention.
func shorten(t *testing.T, b *peers.Broker) {
	t.Helper()
	adm := admin(t, b.Addr)
	var to kadm.Offsets
	to.AddOffset("deleted", 0, 77, -1)
	if r, err := adm.DeleteRecords(soon(t), to); errors.Join(err, r.Error()) != nil {
		t.Fatal(err, r.Error())
	}
	eventually(t, "retention has moved a log's start", func() error {
		starts, err := adm.ListStartOffsets(soon(t), "retained", "deleted")
		if err = errors.Join(err, starts.Error()); err != nil {
			return err
		}
		if o, _ := starts.Lookup("deleted", 0); o.Offset != 77 {
			t.Fatalf("the start is %d after DeleteRecords to 77", o.Offset)
		}
		if o, _ := starts.Lookup("retained", 0); o.Offset == 0 {
			return errors.New("it is 0")
		}
		return nil
	})
	eventually(t, "the start is in the checkpoint", func() error { // until then a kill brings records back, as with Kafka
		text, err := os.ReadFile(filepath.Join(b.DataDir, "log-start-offset-checkpoint"))
		if err == nil && !strings.Contains(string(text), "\ndeleted 0 77\n") {
			err = fmt.Errorf("it has %q", text)
		}
		return err
	})
	eventually(t, "deleted files are gone", func() error {
		left, err := filepath.Glob(filepath.Join(b.DataDir, "*", "*.deleted"))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("there are %s", left)
		}
		return err
	})
}

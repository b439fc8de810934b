package storage_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"barnabas/protocol/record"
	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/producers"
	"barnabas/storage/vfs"
)

// The log directories in testdata/kafka-3.9.2 were written by Apache Kafka 3.9.2: one left by a clean stop, the same one
// started again and killed. expected.txt is what Kafka served from them.

// unpack puts a log directory into a temporary one; the big index files of a killed broker stay sparse.
func unpack(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "kafka-3.9.2", name+".tar.gz"))
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	dir := t.TempDir()
	buf := make([]byte, 1<<20)
	zero := make([]byte, 1<<20)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			must(t, os.MkdirAll(path, 0o755))
			continue
		}
		out, err := os.Create(path)
		must(t, err)
		for at := int64(0); ; {
			n, err := io.ReadFull(r, buf)
			if n > 0 && !bytes.Equal(buf[:n], zero[:n]) {
				_, werr := out.WriteAt(buf[:n], at)
				must(t, werr)
			}
			at += int64(n)
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				must(t, out.Truncate(at))
				break
			}
			must(t, err)
		}
		must(t, out.Close())
	}
	return filepath.Join(dir, "data-"+name)
}

// expected is a line of expected.txt.
type expected struct {
	topic                string
	partition            int32
	start, hw, stable    int64
	uncommitted, settled string // "count sha256"
	epoch                int32
}

func readExpected(t *testing.T, section string) []expected {
	t.Helper()
	text, err := os.ReadFile("testdata/kafka-3.9.2/expected.txt")
	must(t, err)
	_, rest, ok := strings.Cut(string(text), "## data-"+section)
	if !ok {
		t.Fatal("no section", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var all []expected
	for _, line := range strings.Split(rest, "\n")[1:] {
		cols := strings.Split(line, "|")
		if strings.HasPrefix(line, "#") || len(cols) != 5 {
			continue
		}
		var e expected
		_, err := fmt.Sscan(cols[0], &e.topic, &e.partition, &e.start, &e.hw, &e.stable)
		must(t, err)
		e.uncommitted, e.settled = strings.TrimSpace(cols[1]), strings.TrimSpace(cols[2])
		epoch, err := strconv.Atoi(strings.TrimSpace(cols[4]))
		must(t, err)
		e.epoch = int32(epoch)
		all = append(all, e)
	}
	if len(all) != 20 {
		t.Fatalf("%d partitions in section %s", len(all), section)
	}
	return all
}

// golden is a Kafka log directory being opened.
type golden struct {
	dir                     string
	clean                   bool
	recovery, starts, marks checkpoint.Offsets
	files                   *storage.FileCache
}

func openGolden(t *testing.T, name string) *golden {
	t.Helper()
	g := &golden{dir: unpack(t, name), files: storage.NewFileCache(10, 10)}
	read := func(file string) checkpoint.Offsets {
		o, err := checkpoint.ReadOffsets(vfs.OS, filepath.Join(g.dir, file))
		must(t, err)
		return o
	}
	g.recovery, g.starts, g.marks = read(checkpoint.RecoveryPoints), read(checkpoint.LogStarts), read(checkpoint.HighWatermarks)
	var err error
	g.clean, err = checkpoint.WroteCleanly(vfs.OS, g.dir)
	must(t, err)
	return g
}

func (g *golden) open(t *testing.T, e expected) (*storage.Log, storage.Recovery) {
	t.Helper()
	p := checkpoint.Partition{Topic: e.topic, ID: e.partition}
	l, r, err := storage.Open(storage.LogOptions{
		FS: vfs.OS, Clock: clock.NewManual(time.UnixMilli(t0)), Logger: zap.NewNop(), Files: g.files,
		Dir: filepath.Join(g.dir, fmt.Sprintf("%s-%d", e.topic, e.partition)), Topic: e.topic, Partition: e.partition,
		Config: goldenConfig(e.topic), Clean: g.clean, Async: func(f func()) { t.Cleanup(f) },
		RecoveryPoint: g.recovery[p], LogStart: g.starts[p], HighWatermark: g.marks[p],
	})
	must(t, err)
	return l, r
}

// goldenConfig is how the topics were configured.
func goldenConfig(topic string) storage.Config {
	c := storage.DefaultConfig()
	c.RetentionMs = -1
	c.ProducerExpirationMs = 1 << 50
	switch topic {
	case "segments":
		c.SegmentBytes, c.IndexIntervalBytes = 4096, 512
	case "txn":
		c.SegmentBytes = 3000
	case "compacted":
		c.SegmentBytes = 2048
	}
	return c
}

func TestOpenKafkaClean(t *testing.T) { testOpenKafka(t, "clean") }

func TestOpenKafkaKilled(t *testing.T) { testOpenKafka(t, "killed") }

func testOpenKafka(t *testing.T, name string) {
	g := openGolden(t, name)
	for _, e := range readExpected(t, name) {
		t.Run(fmt.Sprintf("%s-%d", e.topic, e.partition), func(t *testing.T) {
			dir := filepath.Join(g.dir, fmt.Sprintf("%s-%d", e.topic, e.partition))
			var before map[string]string
			if g.clean {
				before = readDir(t, dir)
			}
			l, r := g.open(t, e)
			if g.clean != (r.Segments == 0) || r.Cut != 0 || r.Removed != 0 {
				t.Errorf("recovery did %+v", r)
			}
			// It becomes leader, in the epoch that it was leader in, and being alone commits all it has.
			must(t, l.AssignEpoch(e.epoch))
			l.SetHighWatermark(l.End())
			epoch, _ := l.LatestEpoch()
			got := expected{topic: e.topic, partition: e.partition, start: l.Start(), hw: l.HighWatermark(), stable: l.LastStable(), epoch: epoch}
			got.uncommitted, got.settled = sumRecords(t, l, l.HighWatermark(), false), sumRecords(t, l, l.LastStable(), true)
			if got != e {
				t.Errorf("got\n%+v, Kafka served\n%+v", got, e)
			}
			must(t, l.Close())
			after := readDir(t, dir)
			if g.clean {
				// Kafka removes the snapshot at the start of an empty log, too.
				if e.topic == "expired" {
					delete(before, "00000000000000000020.snapshot")
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("a start and a stop changed the files:\n%s", diff)
				}
				return
			}
			l, r = (&golden{dir: g.dir, clean: true, files: g.files, starts: g.starts, recovery: g.recovery}).open(t, e)
			if l.End() != e.hw || r.Segments != 0 {
				t.Errorf("after recovery and a clean stop the log ends at %d, recovery did %+v", l.End(), r)
			}
			must(t, l.Close())
		})
	}
}

// What recovery makes of the directory of a killed broker is what the broker had written before, and had it stopped
// cleanly, for those logs that were not written to in between.
func TestRecoveryRebuildsKafkasFiles(t *testing.T) {
	clean, killed := openGolden(t, "clean"), openGolden(t, "killed")
	killed.recovery = nil // everything is scanned
	for _, e := range readExpected(t, "killed") {
		name := fmt.Sprintf("%s-%d", e.topic, e.partition)
		switch name {
		case "__transaction_state-1", "segments-0", "txn-0":
			continue // written to between the clean stop and the kill
		case "compacted-0", "expired-0", "deleted-records-0":
			continue // producers whose records are gone cannot be found by a scan
		}
		l, r := killed.open(t, e)
		if r.Segments != l.Segments() {
			t.Errorf("%s: scanned %d of %d segments", name, r.Segments, l.Segments())
		}
		must(t, l.AssignEpoch(e.epoch))
		must(t, l.Close())
		want, got := readDir(t, filepath.Join(clean.dir, name)), readDir(t, filepath.Join(killed.dir, name))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// The same batches written through Append make the same files.
func TestAppendMakesKafkasFiles(t *testing.T) {
	g := openGolden(t, "clean")
	for _, e := range readExpected(t, "clean") {
		name := fmt.Sprintf("%s-%d", e.topic, e.partition)
		switch e.topic {
		case "compacted", "expired", "empty":
			continue // what was appended is not there any more, or nothing was
		}
		if e.hw == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			from, _ := g.open(t, e)
			cl := clock.NewManual(time.UnixMilli(t0))
			o := storage.LogOptions{
				FS: vfs.OS, Clock: cl, Logger: zap.NewNop(), Files: g.files, Async: func(func()) {},
				Dir: filepath.Join(t.TempDir(), name), Topic: e.topic, Partition: e.partition,
				Config: goldenConfig(e.topic), TopicID: from.TopicID(),
			}
			to, _, err := storage.Open(o)
			must(t, err)
			must(t, to.AssignEpoch(0))
			for _, b := range fileBatches(t, from.Dir()) {
				first := b.BaseOffset()
				a, err := to.Append(b, storage.AppendInfo{LeaderEpoch: b.LeaderEpoch(), MaxTimestamp: b.MaxTimestamp(), Client: !b.IsControl(), Now: t0})
				must(t, err)
				if a.Duplicate || a.First != first {
					t.Fatalf("batch of offset %d: %+v", first, a)
				}
				to.SetHighWatermark(to.End())
			}
			must(t, to.SetStart(e.start))
			if to.LastStable() != e.stable {
				t.Errorf("last stable offset %d, want %d", to.LastStable(), e.stable)
			}
			must(t, to.Close())
			must(t, from.Close())
			want, got := readDir(t, from.Dir()), readDir(t, to.Dir())
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// readDir is the content of a directory by name; producer snapshots are put in words, as the order of their entries says
// nothing.
func readDir(t *testing.T, dir string) map[string]string {
	t.Helper()
	infos, err := vfs.OS.ReadDir(dir)
	must(t, err)
	files := map[string]string{}
	for _, info := range infos {
		b, err := vfs.ReadFile(vfs.OS, filepath.Join(dir, info.Name), 1<<30)
		must(t, err)
		content := string(b)
		if filepath.Ext(info.Name) == ".snapshot" {
			states, err := producers.DecodeSnapshot(b)
			must(t, err)
			var lines []string
			for _, s := range states {
				last, _ := s.Last()
				lines = append(lines, fmt.Sprintf("%d epoch %d coordinator %d ts %d txn %d last %+v", s.ID, s.Epoch, s.CoordinatorEpoch, s.Timestamp, s.TxnFirst, last))
			}
			slices.Sort(lines)
			content = strings.Join(lines, "\n")
		} else if len(b) > 1<<20 {
			content = fmt.Sprintf("%d bytes", len(b))
		}
		files[info.Name] = content
	}
	return files
}

// readBatches are the batches from an offset up to bound, read as fetches do.
func readBatches(t failer, l *storage.Log, from, bound int64) []record.Batch {
	t.Helper()
	var all []record.Batch
	for from < bound {
		s, err := l.Read(from, 1000, bound, true)
		must(t, err)
		if s.Len() == 0 {
			break
		}
		b := make([]byte, s.Len())
		_, err = s.ReadInto(b)
		must(t, err)
		s.Release()
		batches := splitBatches(t, b)
		all = append(all, batches...)
		from = batches[len(batches)-1].LastOffset() + 1
	}
	return all
}

// splitBatches takes bytes of a log apart; a part of a batch at the end is left out.
func splitBatches(t failer, b []byte) []record.Batch {
	t.Helper()
	var all []record.Batch
	for len(b) > 12 {
		size := 12 + int(record.Batch(b).Length())
		if size > len(b) {
			break
		}
		batch := record.Batch(bytes.Clone(b[:size]))
		if batch.SumCRC() != batch.CRC() {
			t.Fatalf("batch at offset %d is damaged", batch.BaseOffset())
		}
		all = append(all, batch)
		b = b[size:]
	}
	return all
}

// fileBatches are the batches of all segments in a directory.
func fileBatches(t failer, dir string) []record.Batch {
	t.Helper()
	infos, err := vfs.OS.ReadDir(dir)
	must(t, err)
	var all []record.Batch
	for _, info := range infos {
		if filepath.Ext(info.Name) == ".log" {
			b, err := vfs.ReadFile(vfs.OS, filepath.Join(dir, info.Name), 1<<30)
			must(t, err)
			all = append(all, splitBatches(t, b)...)
		}
	}
	return all
}

package dump

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barnabas/storage/checkpoint"
	"barnabas/storage/vfs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kafkaFiles is a log directory that Apache Kafka 3.9.2 wrote, at the root of a file system. Only the beginning of huge
// index files, which are zeros from there on, is taken.
func kafkaFiles(t testing.TB, name string) *vfs.Mem {
	t.Helper()
	f, err := os.Open("../testdata/kafka-3.9.2/" + name + ".tar.gz")
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	mem := vfs.NewMem()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return mem
		}
		must(t, err)
		_, file, _ := strings.Cut(path.Clean(h.Name), "/")
		if h.Typeflag == tar.TypeDir {
			must(t, mem.MkdirAll(file))
			continue
		}
		b, err := io.ReadAll(io.LimitReader(r, 240_000)) // whole entries of every kind
		must(t, err)
		must(t, mem.MkdirAll(path.Dir(file)))
		must(t, vfs.WriteFile(mem, file, b))
	}
}

func dump(t testing.TB, fsys vfs.FS, file string, o Options) string {
	t.Helper()
	var b bytes.Buffer
	must(t, File(&b, fsys, file, o))
	return b.String()
}

// Every line is the line of Kafka's own tool.
func TestLikeKafka(t *testing.T) {
	f, err := os.Open("testdata/dump-clean.txt.gz")
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	mem := kafkaFiles(t, "clean")
	var file string
	var want []string
	files := 0
	compare := func() {
		if file == "" {
			return
		}
		files++
		// Java ends a line with a blank where a producer has no batch.
		got := strings.Split(strings.TrimSuffix(dump(t, mem, file, Options{Deep: true}), "\n"), "\n")[1:]
		if strings.HasSuffix(file, ".snapshot") {
			slices.Sort(got) // the order in the file is that of a hash table, and so is that of Kafka's print
			slices.Sort(want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -kafka +barnabas\n%s", file, diff)
		}
	}
	for lines := bufio.NewScanner(z); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "Dumping "); ok {
			compare()
			file, want = name, []string{}
			continue
		}
		want = append(want, lines.Text())
	}
	compare()
	if files != 131 {
		t.Errorf("%d files", files)
	}
}

func TestCoordinators(t *testing.T) {
	mem := kafkaFiles(t, "killed")
	for _, c := range []struct {
		file    string
		decoder Decoder
		has     []string
	}{
		{"__consumer_offsets-0/00000000000000000000.log", Offsets, []string{
			`key: {"type":"2","data":{"group":"g-range"}} payload: {"version":"3","data":{"protocolType":"consumer","generation":1,`,
			`"subscription":{"topics":["codec-none","segments"],"userData":null,`, `"assignment":{"assignedPartitions":[{"topic":"codec-none","partitions":[0]},`,
			`key: {"type":"1","data":{"group":"g-range","topic":"codec-none","partition":0}} payload: {"version":"3","data":{"offset":30,"leaderEpoch":0,"metadata":"golden-eff6ccff-d3a4-4304-9818-23cb03193109","commitTimestamp":`,
			`,"members":[]}}`,
		}},
		{"__consumer_offsets-1/00000000000000000000.log", Offsets, []string{
			`"topic":"codec-gzip","partition":0}} payload: {"version":"3","data":{"offset":42,"leaderEpoch":0,"metadata":"meta"`,
			"endTxnMarker: COMMIT coordinatorEpoch: 0\n",
		}},
		{"__transaction_state-1/00000000000000000000.log", Transactions, []string{
			"key: transaction_metadata::transactionalId=tx-open payload: producerId:1000,producerEpoch:0,state=Ongoing,partitions=[txn-0],txnLastUpdateTimestamp=",
			",txnTimeoutMs=600000\n",
		}},
	} {
		got := dump(t, mem, c.file, Options{Decoder: c.decoder})
		for _, s := range c.has {
			if !strings.Contains(got, s) {
				t.Errorf("%s has no %s:\n%s", c.file, s, got)
			}
		}
		for _, s := range []string{"skipping", "Unknown", "unknown"} {
			if strings.Contains(got, s) {
				t.Errorf("%s has %s:\n%s", c.file, s, got)
			}
		}
	}
}

func TestSmallFiles(t *testing.T) {
	mem := kafkaFiles(t, "clean")
	for file, want := range map[string]string{
		checkpoint.LogStarts:               "topic: deleted-records partition: 0 offset: 13\n",
		checkpoint.FirstDirty:              "topic: compacted partition: 0 offset: 79\n",
		checkpoint.MetaProperties:          "version: 0 brokerId: 0 clusterId: FqjgGlb9St-aB4Ijo-Ma5w\n",
		checkpoint.CleanShutdown:           `clean shutdown: {"version":0,"brokerEpoch":-1}` + "\n",
		"txn-0/" + checkpoint.LeaderEpochs: "epoch: 0 startOffset: 0\n",
	} {
		if got := dump(t, mem, file, Options{}); got != "Dumping "+file+"\n"+want {
			t.Errorf("%s: %q", file, got)
		}
	}
	if got := dump(t, mem, "txn-0/"+checkpoint.PartitionMetadata, Options{}); !strings.Contains(got, "\nversion: 0 topicId: ") || len(got) > 100 {
		t.Errorf("%q", got)
	}
}

func TestOptions(t *testing.T) {
	mem := kafkaFiles(t, "clean")
	const log = "codec-lz4-0/00000000000000000000.log"
	if got := strings.Count(dump(t, mem, log, Options{}), "\n"); got != 2+4 {
		t.Errorf("%d lines without records", got)
	}
	if got := strings.Count(dump(t, mem, log, Options{MaxBytes: 1000}), "baseOffset"); got >= 4 || got == 0 {
		t.Errorf("%d batches in 1000 bytes", got)
	}
	got := dump(t, mem, log, Options{Data: true, SkipMetadata: true})
	if !strings.Contains(got, "\n| key: k-0 payload: ") && !strings.Contains(got, "\n| key: ") {
		t.Errorf("no plain data in %.2000s", got)
	}
	const idx = "segments-0/00000000000000000000.index"
	if got := dump(t, mem, idx, Options{SanityOnly: true}); got != "Dumping "+idx+"\n"+idx+" passed sanity check.\n" {
		t.Errorf("%q", got)
	}
	if got := dump(t, mem, idx, Options{VerifyOnly: true}); got != "Dumping "+idx+"\n" {
		t.Errorf("%q", got)
	}
}

// The preallocated indexes of a killed broker end where their entries do.
func TestPreallocated(t *testing.T) {
	mem := kafkaFiles(t, "killed")
	got := dump(t, mem, "segments-0/00000000000000000084.index", Options{})
	if n := strings.Count(got, "\n"); n < 3 || n > 10 {
		t.Errorf("%d lines: %.500s", n, got)
	}
}

func TestDamaged(t *testing.T) {
	const log, idx, tidx, snap = "txn-0/00000000000000000006.log", "segments-0/00000000000000000000.index",
		"segments-0/00000000000000000000.timeindex", "txn-0/00000000000000000044.snapshot"
	spoil := func(file string, f func(b []byte) []byte) *vfs.Mem {
		mem := kafkaFiles(t, "clean")
		b, err := vfs.ReadFile(mem, file, 1<<20)
		must(t, err)
		must(t, vfs.WriteFile(mem, file, f(b)))
		return mem
	}
	flip := func(at int) func(b []byte) []byte { return func(b []byte) []byte { b[at] ^= 0x40; return b } }
	cut := func(n int) func(b []byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	for _, c := range []struct {
		fs         *vfs.Mem
		file, says string
		fails      bool
	}{
		{spoil(log, cut(5)), log, "invalid bytes at the end of 00000000000000000006.log", false},
		{spoil(log, func(b []byte) []byte { return append(b, make([]byte, 100)...) }), log, "Found 100 invalid bytes", false},
		{spoil(log, flip(17)), log, "isvalid: false", false},
		{spoil(log, flip(61)), log, "baseOffset: 30 ", true}, // goes on behind the batch,
		{spoil(idx, flip(7)), idx, "Mismatches in :" + idx, false},
		{spoil(idx, cut(3)), idx, "", true},
		{spoil(tidx, flip(7)), tidx, "Found timestamp mismatch in :" + tidx, false},
		{spoil(tidx, flip(11)), tidx, "indexed offsets are not found", false},
		{spoil(snap, flip(40)), snap, "", true},
		{spoil(checkpoint.LogStarts, cut(15)), checkpoint.LogStarts, "", true},
	} {
		var b bytes.Buffer
		err := File(&b, c.fs, c.file, Options{Deep: true})
		if (err != nil) != c.fails || !strings.Contains(b.String(), c.says) {
			t.Errorf("%s should say %q, failing %v: %v\n%.1000s", c.file, c.says, c.fails, err, b.String())
		}
	}
	mem := kafkaFiles(t, "clean")
	var findings bytes.Buffer
	must(t, File(io.Discard, spoil(idx, flip(7)), idx, Options{Findings: &findings}))
	if !strings.HasPrefix(findings.String(), "Mismatches") {
		t.Errorf("findings %q", findings.String())
	}
	if err := File(io.Discard, mem, "nowhere/00000000000000000000.log", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	for _, name := range []string{"x", "x.log", ".lock", "00000000000000000000.what", "-1.log"} {
		if err := File(io.Discard, mem, name, Options{}); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Members of the new protocol's groups, by hand: no golden file has any.
func TestMessages(t *testing.T) {
	s := func(text string) []byte { return append([]byte{0, byte(len(text))}, text...) }
	c := func(text string) []byte { return append([]byte{byte(len(text) + 1)}, text...) }
	cat := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	id := bytes.Repeat([]byte{1}, 16)
	for _, m := range []struct {
		key, value       []byte
		wantKey, payload string
	}{
		{cat([]byte{0, 3}, s("g")), []byte{0, 0, 0, 0, 0, 7, 0},
			`{"type":"3","data":{"groupId":"g"}}`, `{"version":"0","data":{"epoch":7}}`},
		{cat([]byte{0, 8}, s("g"), s("m")), cat([]byte{0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 3, 2}, id, []byte{2, 0, 0, 0, 5, 0, 1, 0}),
			`{"type":"8","data":{"groupId":"g","memberId":"m"}}`,
			`{"version":"0","data":{"memberEpoch":2,"previousMemberEpoch":1,"state":3,"assignedPartitions":[{"topicId":"AQEBAQEBAQEBAQEBAQEBAQ","partitions":[5]}],"partitionsPendingRevocation":[]}}`},
		{cat([]byte{0, 5}, s("g"), s("m")),
			cat([]byte{0, 0, 0, 0}, c("c"), c("/h"), []byte{2}, c("t"), []byte{0, 0, 0, 0, 9, 0}, []byte{2, 0, 7, 1, 0, 0, 0, 6, 1, 0, 9, 1, 0}),
			`{"type":"5","data":{"groupId":"g","memberId":"m"}}`,
			`{"version":"0","data":{"instanceId":null,"rackId":null,"clientId":"c","clientHost":"/h","subscribedTopicNames":["t"],"subscribedTopicRegex":null,"rebalanceTimeoutMs":9,"serverAssignor":null,"classicMemberMetadata":{"sessionTimeoutMs":6,"supportedProtocols":[]}}}`},
		// A member that is not classic, as Kafka 4.3.1 and barnabas write it: the tag is there, its object is null. It was malformed to us.
		{cat([]byte{0, 5}, s("g"), s("m")),
			cat([]byte{0, 0, 0, 0}, c("c"), c("/h"), []byte{2}, c("t"), []byte{1, 0, 0, 0, 9, 0}, []byte{1, 0, 1, 0}),
			`{"type":"5","data":{"groupId":"g","memberId":"m"}}`,
			`{"version":"0","data":{"instanceId":null,"rackId":null,"clientId":"c","clientHost":"/h","subscribedTopicNames":["t"],"subscribedTopicRegex":"","rebalanceTimeoutMs":9,"serverAssignor":null,"classicMemberMetadata":null}}`},
		{cat([]byte{0, 1}, s("g"), s("t"), []byte{0, 0, 0, 1}), nil, `{"type":"1","data":{"group":"g","topic":"t","partition":1}}`, "<DELETE>"},
		{cat([]byte{0, 1}, s("g"), s("t"), []byte{0, 0, 0, 1}), cat([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 9}, s("m\"\n"), make([]byte, 15), []byte{4}),
			`{"type":"1","data":{"group":"g","topic":"t","partition":1}}`,
			`{"version":"1","data":{"offset":9,"metadata":"m\"\n","commitTimestamp":0,"expireTimestamp":4}}`},
		{[]byte{0, 77}, nil, "Unknown record type 77 at offset 5, skipping.", ""},
		{[]byte{0}, nil, "Error at offset 5, skipping. malformed message", ""},
		{nil, nil, "Error at offset 5, skipping. The key is missing", ""},
		{cat([]byte{0, 3}, s("g")), []byte{0, 1}, "Error at offset 5, skipping. ConsumerGroupMetadataValue of version 1: malformed message", ""},
		{cat([]byte{0, 3}, s("g")), []byte{0, 0, 0}, "Error at offset 5, skipping. ConsumerGroupMetadataValue of version 0: malformed message", ""},
	} {
		k, p := offsetsRecord(5, m.key, m.value)
		if k != m.wantKey || p != m.payload {
			t.Errorf("got  %s %s\nwant %s %s", k, p, m.wantKey, m.payload)
		}
	}
	for _, m := range []struct {
		key, value []byte
		want       string
	}{
		{[]byte{0, 1, 0, 0}, nil, "unknown::version=1 "},
		{[]byte{0, 0, 0, 9}, nil, "Error at offset 5, skipping. malformed message "},
		{cat([]byte{0, 0}, s("x")), nil, "transaction_metadata::transactionalId=x <DELETE>"},
		{cat([]byte{0, 0}, s("x")), []byte{0, 0, 1}, "Error at offset 5, skipping. malformed message "},
		// The flexible version that newer brokers write.
		{cat([]byte{0, 0}, s("x")), cat([]byte{0, 1}, make([]byte, 7), []byte{4, 0, 2, 0, 0, 0, 60, 1, 2}, c("t"), []byte{3, 0, 0, 0, 2, 0, 0, 0, 1, 0}, make([]byte, 7), []byte{8}, make([]byte, 9)),
			"transaction_metadata::transactionalId=x producerId:4,producerEpoch:2,state=Ongoing,partitions=[t-1,t-2],txnLastUpdateTimestamp=8,txnTimeoutMs=60"},
	} {
		k, p := transactionsRecord(5, m.key, m.value)
		if k+" "+p != m.want {
			t.Errorf("got  %s %s\nwant %s", k, p, m.want)
		}
	}
}

func FuzzFile(f *testing.F) {
	mem := kafkaFiles(f, "clean")
	names := []string{"00000000000000000000.log", "00000000000000000000.index", "00000000000000000000.timeindex", "00000000000000000000.txnindex",
		"00000000000000000044.snapshot", checkpoint.LogStarts, checkpoint.LeaderEpochs, checkpoint.PartitionMetadata, checkpoint.MetaProperties}
	for i, name := range names {
		for _, dir := range []string{"", "txn-0/", "__consumer_offsets-0/"} {
			if b, err := vfs.ReadFile(mem, dir+name, 1<<20); err == nil {
				f.Add(uint8(i), b)
			}
		}
	}
	log, err := vfs.ReadFile(mem, "segments-0/00000000000000000000.log", 1<<20)
	must(f, err)
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		fsys := vfs.NewMem()
		name := "/" + names[int(kind)%len(names)]
		must(t, vfs.WriteFile(fsys, "/00000000000000000000.log", log))
		must(t, vfs.WriteFile(fsys, name, b))
		_ = File(io.Discard, fsys, name, Options{Deep: true, Decoder: Offsets})
	})
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{0, 3})
	f.Add([]byte{0, 2, 0, 1, 'g'}, []byte{0, 3, 0, 8, 'c', 'o', 'n', 's', 'u', 'm', 'e', 'r'})
	f.Fuzz(func(t *testing.T, k, v []byte) {
		offsetsRecord(0, k, v)
		transactionsRecord(0, k, v)
	})
}

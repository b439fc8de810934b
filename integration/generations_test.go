//go:build integration

package integration

import (
	"cmp"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/go-zookeeper/zk"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestGenerations has every generation of clients write with every codec that it has, and then read what all of them wrote. What came
// out must be what the table in docs/COMPATIBILITY.md says, which is as true of Apache Kafka (BARNABAS_TARGET=kafka) as of barnabas.
// With BARNABAS_WRITE_COMPATIBILITY=1 the test writes the table.
//
// Each writer has a partition of its own in each codec's topic, so that a reader knows what must be there. The broker is on ZooKeeper,
// since consumers of Kafka 0.8 ask it for everything.
func TestGenerations(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.ZooKeeper = keeper(t).Addr + "/generations"
	b := start(t, o)
	all := generations(t, o.ZooKeeper)
	var writers, readers []*generation
	for _, g := range all {
		if g.write != nil {
			g.partition = len(writers)
			writers = append(writers, g)
		}
		if g.read != nil {
			readers = append(readers, g)
		}
	}
	for _, codec := range codecsOfAll {
		create(t, b.Addr, topicOf(codec), int32(len(writers)))
	}
	t.Run("write", func(t *testing.T) {
		for _, g := range writers {
			t.Run(g.name, func(t *testing.T) {
				t.Parallel()
				g.wrote(t, b.Addr)
			})
		}
	})
	if t.Failed() {
		return
	}
	idempotentByDefault(t, b.Addr, writers)
	var of []source
	for _, codec := range codecsOfAll {
		s := source{topic: topicOf(codec), codec: codec, partitions: len(writers)}
		for _, g := range writers {
			if g.written[codec] == "" {
				s.writers = append(s.writers, g)
			}
		}
		of = append(of, s)
	}
	t.Run("read", func(t *testing.T) {
		c := keeperSession(t, keeper(t).Addr)
		for _, g := range all {
			if g.balance != nil {
				t.Run(g.name, func(t *testing.T) {
					t.Parallel()
					g.balanced(t, b.Addr, c)
				})
			}
		}
		for _, g := range readers {
			t.Run(g.name, func(t *testing.T) {
				t.Parallel()
				g.wasRead(t, b.Addr, of)
			})
		}
	})
	if t.Failed() {
		return
	}
	t.Run("offsets", func(t *testing.T) {
		c := keeperSession(t, keeper(t).Addr)
		for _, g := range readers {
			g.keeps(t, b.Addr, c, of)
		}
	})
	if !t.Failed() {
		zstd := of[slices.Index(codecsOfAll, "zstd")]
		inCompatibility(t, "generations", generationsTable(all, of)+"\n"+zstdAnswers(t, b.Addr, zstd.topic, int32(zstd.writers[0].partition)))
	}
}

// codecsOfAll are the codecs, each with a topic of its own.
var codecsOfAll = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func topicOf(codec string) string { return "generations-" + codec }

// recordsOfEach is how many records a writer writes with each codec.
const recordsOfEach = 20

// A source is a codec's topic and who wrote to it.
type source struct {
	topic, codec string
	partitions   int
	writers      []*generation
}

func (s source) records() int { return len(s.writers) * recordsOfEach }

// A generation is one client of one version.
type generation struct {
	name            string // short, without blanks
	client, version string // of the table
	stamps, headers bool   // it knows timestamps, headers
	zstd            bool   // it knows that codec
	now             bool   // it writes the time at which it does
	plain           bool   // it writes no nulls, and always the same header
	idempotent      bool   // it has a producer id without being told to
	offsets         string // where what it commits is kept: kafka, zookeeper; "" = nowhere
	// What write and read print is told in java/Generation.java. to is CODEC=TOPIC:PARTITION.
	write func(t *testing.T, addr string, to []string) string
	read  func(t *testing.T, addr string, of []source) string
	// balance is what two consumers of a group print that come and go.
	balance func(t *testing.T, addr, topic string) string

	partition int               // where it writes
	written   map[string]string // by codec, why it could not be written; "" = it was
	got       map[string]string // by codec, why it could not be read; "" = it was
}

// key, value, stamp and header are what the writer puts into record n, as a reader prints it.
func (g *generation) key(n int) string {
	if n%5 == 4 && !g.plain {
		return "null"
	}
	return fmt.Sprintf("k%d", n)
}

func (g *generation) value(n int) string {
	if n%7 == 6 && !g.plain {
		return "null"
	}
	return strings.Repeat(fmt.Sprintf("%s#%d;", g.name, n), 8)
}

func (g *generation) stamp(n int) string {
	switch {
	case g.now:
		return "now"
	case !g.stamps:
		return "-1"
	}
	return strconv.Itoa(1_700_000_000_000 + 1000*(n%3) + n)
}

func (g *generation) header(n int) string {
	switch {
	case g.plain:
		return "h=v"
	case !g.headers:
		return "none"
	}
	return fmt.Sprintf("h=%d", n)
}

// wrote has the generation write, and notes what came out.
func (g *generation) wrote(t *testing.T, addr string) {
	var to []string
	for _, codec := range codecsOfAll {
		to = append(to, fmt.Sprintf("%s=%s:%d", codec, topicOf(codec), g.partition))
	}
	g.written = map[string]string{}
	for line := range strings.Lines(g.write(t, addr, to)) {
		f := strings.Fields(line)
		switch {
		case len(f) > 2 && f[0] == "refused":
			g.written[f[1]] = reason(f[2:])
		case len(f) > 1 && f[0] == "produced":
			g.written[f[1]] = ""
			if len(f) == 4 && (f[2] != "0" || f[3] != strconv.Itoa(recordsOfEach-1)) {
				t.Errorf("it was told offsets %s to %s", f[2], f[3])
			}
		default:
			t.Errorf("it said %q", line)
		}
	}
	if len(g.written) != len(codecsOfAll) {
		t.Errorf("it tells of codecs %v", slices.Sorted(maps.Keys(g.written)))
	}
}

var (
	address = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	object  = regexp.MustCompile(`@[0-9a-f]{5,8}\b`)
)

// reason is an error's text without what is another in each run.
func reason(words []string) string {
	text := address.ReplaceAllString(strings.Join(words, " "), "HOST:PORT")
	return object.ReplaceAllString(text, "")
}

// idempotentByDefault holds the broker's producers to those writers that are idempotent by default, and are not told to be: a client
// that could not have an id would fall back in silence.
func idempotentByDefault(t *testing.T, addr string, writers []*generation) {
	t.Helper()
	for _, codec := range codecsOfAll {
		var of kadm.TopicsSet
		for _, w := range writers {
			of.Add(topicOf(codec), int32(w.partition))
		}
		described, err := admin(t, addr).DescribeProducers(soon(t), of)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range writers {
			of, ok := described[topicOf(codec)].Partitions[int32(w.partition)]
			if !ok || of.Err != nil {
				t.Fatalf("producers of %s %d: %v", topicOf(codec), w.partition, of.Err)
			}
			if has, want := len(of.ActiveProducers) > 0, w.idempotent && w.written[codec] == ""; has != want {
				t.Errorf("%s has written %s as an idempotent producer: %t, want %t", w.name, codec, has, want)
			}
		}
	}
}

// wasRead has the generation read, and holds what it read to what was written.
func (g *generation) wasRead(t *testing.T, addr string, of []source) {
	g.got = map[string]string{}
	records, positions := map[string][]string{}, map[string]string{}
	codecs := map[string]string{}
	for _, s := range of {
		codecs[s.topic] = s.codec
	}
	for line := range strings.Lines(g.read(t, addr, of)) {
		f := strings.Fields(line)
		switch {
		case len(f) == 8 && f[0] == "record":
			at := f[1] + " " + f[2]
			records[at] = append(records[at], strings.Join(f[3:], " "))
		case len(f) == 4 && f[0] == "position":
			positions[f[1]+" "+f[2]] = f[3]
		case len(f) > 2 && f[0] == "refused":
			g.got[codecs[f[1]]] = reason(f[2:])
		case len(f) == 2 && f[0] == "consumed":
			g.got[codecs[f[1]]] = ""
		default:
			t.Errorf("it said %q", line)
		}
	}
	for _, s := range of {
		why, told := g.got[s.codec]
		if !told {
			t.Errorf("it does not tell of %s", s.topic)
		}
		if why != "" {
			continue
		}
		for _, w := range s.writers {
			at := fmt.Sprintf("%s %d", s.topic, w.partition)
			g.same(t, w, at, records[at])
			delete(records, at)
			if p, ok := positions[at]; len(positions) > 0 && (!ok || p != strconv.Itoa(recordsOfEach)) {
				t.Errorf("%s: another member of the group began at %q", at, p)
			}
		}
	}
	for at, lines := range records {
		if g.got[codecs[strings.Fields(at)[0]]] == "" {
			t.Errorf("%s: nobody had written\n%s", at, strings.Join(lines, "\n"))
		}
	}
}

// same compares what a reader printed of a partition with what its writer wrote.
func (g *generation) same(t *testing.T, w *generation, at string, lines []string) {
	t.Helper()
	for n := range max(recordsOfEach, len(lines)) {
		want, got := "(nothing)", "(nothing)"
		if n < recordsOfEach {
			stamp, header := w.stamp(n), w.header(n)
			if !g.stamps {
				stamp = "-"
			}
			if !g.headers {
				header = "-"
			}
			want = strings.Join([]string{strconv.Itoa(n), stamp, w.key(n), w.value(n), header}, " ")
		}
		if n < len(lines) {
			f := strings.Fields(lines[n])
			if ms, err := strconv.ParseInt(f[1], 10, 64); err == nil && w.now && time.Since(time.UnixMilli(ms)).Abs() < time.Hour {
				f[1] = "now"
			}
			got = strings.Join(f, " ")
		}
		if want != got {
			t.Errorf("%s, written by %s:\n  wrote %s\n  read  %s", at, w.name, want, got)
			return
		}
	}
}

// keeps looks for what the generation committed.
func (g *generation) keeps(t *testing.T, addr string, c *zk.Conn, of []source) {
	t.Helper()
	if g.offsets == "" {
		return
	}
	find := g.committed(t, addr, c)
	for _, s := range of {
		for _, w := range s.writers {
			if at := find(s.topic, w.partition); g.got[s.codec] == "" && at != strconv.Itoa(recordsOfEach) {
				t.Errorf("%s has committed %q of %s %d, want %d", g.name, at, s.topic, w.partition, recordsOfEach)
			}
		}
	}
}

// committed finds what the generation's group has committed of a partition, where that is kept.
func (g *generation) committed(t *testing.T, addr string, c *zk.Conn) func(topic string, p int) string {
	t.Helper()
	if g.offsets == "zookeeper" {
		return func(topic string, p int) string {
			b, _, err := c.Get(fmt.Sprintf("/generations/consumers/%s/offsets/%s/%d", g.name, topic, p))
			return cmp.Or(string(b), fmt.Sprint(err))
		}
	}
	committed, err := admin(t, addr).FetchOffsets(soon(t), g.name)
	if err != nil {
		t.Fatal(err)
	}
	return func(topic string, p int) string {
		o, _ := committed.Lookup(topic, int32(p))
		return strconv.FormatInt(o.At, 10)
	}
}

// javaVersions are the jars, oldest first.
var javaVersions = []struct {
	version               string
	scala, consumer       bool // it has the Scala clients; it has the Java consumer
	stamps, headers, zstd bool
	idempotent            bool // as KIP-679 has it since 3.0
}{
	{version: "0.8.2.2", scala: true},
	{version: "0.9.0.1", scala: true, consumer: true},
	{version: "0.10.2.2", scala: true, consumer: true, stamps: true},
	{version: "0.11.0.3", scala: true, consumer: true, stamps: true, headers: true},
	{version: "1.1.1", scala: true, consumer: true, stamps: true, headers: true},
	{version: "2.0.1", consumer: true, stamps: true, headers: true},
	{version: "2.8.2", consumer: true, stamps: true, headers: true, zstd: true},
	{version: "3.0.2", consumer: true, stamps: true, headers: true, zstd: true, idempotent: true},
	{version: "3.9.2", consumer: true, stamps: true, headers: true, zstd: true, idempotent: true},
	{version: "4.3.1", consumer: true, stamps: true, headers: true, zstd: true, idempotent: true},
}

// generations are all of them.
func generations(t *testing.T, zooKeeper string) []*generation {
	t.Helper()
	var all []*generation
	for _, v := range javaVersions {
		tools := sync.OnceValue(func() *peers.Tools { return generationsTools(t, v.version) })
		if v.scala {
			all = append(all, scalaGeneration(v.version, tools), highLevelGeneration(v.version, tools, zooKeeper))
		}
		if v.version == "0.8.2.2" {
			all = append(all, balancingGeneration(v.version, tools, zooKeeper, "zookeeper"), balancingGeneration(v.version, tools, zooKeeper, "kafka"))
		}
		g := javaGeneration(v.version, tools)
		g.stamps, g.headers, g.zstd, g.idempotent = v.stamps, v.headers, v.zstd, v.idempotent
		if !v.consumer {
			g.client, g.read, g.offsets = "KafkaProducer (Java)", nil, ""
		}
		all = append(all, g)
	}
	return append(all, kcatGeneration(t), confluentGeneration(t))
}

// generationsTools is the JVM of a version; those that only this test has end with it.
func generationsTools(t *testing.T, version string) *peers.Tools {
	if version == "3.9.2" || version == "4.3.1" {
		return toolsOf(t, version)
	}
	tools, err := peers.StartTools(version, filepath.Join(base, "tools"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tools.Close)
	return tools
}

func javaGeneration(version string, tools func() *peers.Tools) *generation {
	g := &generation{name: "java-" + version, client: "KafkaProducer and KafkaConsumer (Java)", version: version, offsets: "kafka"}
	g.write = func(t *testing.T, addr string, to []string) string {
		return driver(t, tools(), "Generation", append([]string{"produce", addr, g.name, strconv.Itoa(recordsOfEach)}, to...)...)
	}
	g.read = func(t *testing.T, addr string, of []source) string {
		return driver(t, tools(), "Generation", append([]string{"consume", addr, g.name}, g.sources(of)...)...)
	}
	return g
}

// sources are TOPIC=RECORDS:PATIENCE.
func (g *generation) sources(of []source) []string {
	var out []string
	for _, s := range of {
		patience := 20 * time.Second
		if s.codec == "zstd" && !g.zstd {
			patience = 2 * time.Second // some never tell of an error, they ask again and again
		}
		out = append(out, fmt.Sprintf("%s=%d:%d", s.topic, s.records(), patience.Milliseconds()))
	}
	return out
}

func scalaGeneration(version string, tools func() *peers.Tools) *generation {
	g := &generation{name: "scala-" + version, client: "Producer and SimpleConsumer (Scala)", version: version}
	g.now = version != "0.8.2.2" && version != "0.9.0.1" // it knows timestamps, but its users do not
	g.write = func(t *testing.T, addr string, to []string) string {
		return driver(t, tools(), "OldGeneration", append([]string{"produce", addr, g.name, strconv.Itoa(recordsOfEach)}, to...)...)
	}
	g.read = func(t *testing.T, addr string, of []source) string {
		args := []string{"simple", addr}
		for _, s := range of {
			args = append(args, fmt.Sprintf("%s=%d", s.topic, s.partitions))
		}
		return driver(t, tools(), "OldGeneration", args...)
	}
	return g
}

func highLevelGeneration(version string, tools func() *peers.Tools, zooKeeper string) *generation {
	g := &generation{name: "high-level-" + version, client: "high-level consumer (Scala)", version: version, offsets: "zookeeper"}
	g.read = func(t *testing.T, _ string, of []source) string {
		return driver(t, tools(), "OldGeneration", append([]string{"consume", zooKeeper, g.name}, g.sources(of)...)...)
	}
	return g
}

// balancingGeneration are two high-level consumers.
func balancingGeneration(version string, tools func() *peers.Tools, zooKeeper, storage string) *generation {
	g := &generation{name: "balance-" + storage + "-" + version, client: "two high-level consumers (Scala) that share partitions out through znodes",
		version: version, offsets: storage}
	g.balance = func(t *testing.T, addr, topic string) string {
		return driver(t, tools(), "OldGeneration", "balance", zooKeeper, addr, g.name, storage, topic, strconv.Itoa(balancedPartitions))
	}
	return g
}

const balancedPartitions = 4

// balanced has the two consumers come and go: a, a and b, b. Each record must be read once, by the owner of its partition.
func (g *generation) balanced(t *testing.T, addr string, c *zk.Conn) {
	topic := create(t, addr, g.name, balancedPartitions)
	owners := []string{"a 0, a 1, a 2, a 3", "a 0, a 1, b 2, b 3", "b 0, b 1, b 2, b 3", "none"}
	phase := -1
	next := make([]int, balancedPartitions)
	writer := &generation{name: "balance"}
	for line := range strings.Lines(g.balance(t, addr, topic)) {
		line = strings.TrimSpace(line)
		if _, who, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(line, "owners ") {
			if phase++; phase >= len(owners) || who != owners[phase] {
				t.Errorf("%s, want %s", line, strings.Join(owners, "; then "))
			}
			continue
		}
		f := strings.Fields(line)
		if len(f) != 9 || phase < 0 || f[2] != topic {
			t.Fatalf("it said %q", line)
		}
		p, _ := strconv.Atoi(f[3])
		n := next[p]
		if n++; !strings.Contains(owners[phase], f[0]+" "+f[3]) || n > 10*(phase+1) {
			t.Errorf("with owners %s, %s read %s", owners[phase], f[0], line)
		}
		if f[4] != strconv.Itoa(next[p]) || f[6] != writer.key(next[p]) || f[7] != writer.value(next[p]) {
			t.Errorf("partition %d, offset %d: read %s", p, next[p], line)
		}
		next[p] = n
	}
	if phase != 3 || !slices.Equal(next, []int{30, 30, 30, 30}) {
		t.Errorf("it ended with owners %d and offsets %v", phase, next)
	}
	var committed []string
	for p := range balancedPartitions {
		committed = append(committed, g.committed(t, addr, c)(topic, p))
	}
	if !slices.Equal(committed, []string{"30", "30", "30", "30"}) {
		t.Errorf("they committed %q", committed)
	}
	for _, path := range []string{"ids", "owners/" + topic} {
		if left, _, err := c.Children("/generations/consumers/" + g.name + "/" + path); err != nil || len(left) > 0 {
			t.Errorf("%s: they left %v (%v)", path, left, err)
		}
	}
}

// driver runs one of our Java clients in a version's JVM.
func driver(t *testing.T, tools *peers.Tools, main string, args ...string) string {
	t.Helper()
	r, err := tools.Run(2*time.Minute, "", main, args...)
	if err != nil {
		t.Fatal(err)
	}
	if r.Exit != 0 {
		t.Errorf("%s %s %s: exit %d\n%s\n%s", tools.Version, main, strings.Join(args, " "), r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// kcatGeneration is Debian's librdkafka, of whatever version this Debian has (so the table does not name it, and must be true of each).
// It can tell nobody's timestamp but its own.
func kcatGeneration(t *testing.T) *generation {
	t.Helper()
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Fatal("kcat is not installed: run make peers")
	}
	g := &generation{name: "kcat", client: "kcat (librdkafka)", version: "Debian's", stamps: true, headers: true, zstd: true, now: true, plain: true, offsets: "kafka"}
	if f := regexp.MustCompile(`Version (\S+).*librdkafka (\S+)`).FindStringSubmatch(run(t, nil, "", kcat, "-V")); f != nil {
		t.Logf("Debian's kcat is %s, its librdkafka %s", f[1], f[2])
	} else {
		t.Error("kcat does not tell its version")
	}
	g.write = func(t *testing.T, addr string, to []string) string {
		var lines, out strings.Builder
		for n := range recordsOfEach {
			fmt.Fprintf(&lines, "%s:%s\n", g.key(n), g.value(n))
		}
		for _, s := range to {
			codec, at, _ := strings.Cut(s, "=")
			topic, p, _ := strings.Cut(at, ":")
			said := run(t, nil, lines.String(), kcat, "-P", "-b", addr, "-t", topic, "-p", p, "-K:", "-z", codec, "-H", "h=v", "-X", "linger.ms=200")
			fmt.Fprintf(&out, "produced %s %s\n", codec, said)
		}
		return out.String()
	}
	g.read = func(t *testing.T, addr string, of []source) string {
		args := []string{"-q", "-b", addr, "-G", g.name, "-e", "-Z", "-X", "auto.offset.reset=earliest", "-f", "record %t %p %o %T %k %s %h\n"}
		said := ""
		for _, s := range of {
			args = append(args, s.topic)
			said += "consumed " + s.topic + "\n"
		}
		for line := range strings.Lines(run(t, nil, "", kcat, args...)) {
			f := strings.Fields(line)
			for i, word := range f {
				if word == "NULL" {
					f[i] = "null"
				}
			}
			if len(f) == 7 {
				f = append(f, "none")
			}
			said += strings.Join(f, " ") + "\n"
		}
		return said
	}
	return g
}

// confluentGeneration is the librdkafka of the day.
func confluentGeneration(t *testing.T) *generation {
	t.Helper()
	python, script := installed(t, "python", "bin", "python"), filepath.Join(peers.Root(), "integration", "python", "generation.py")
	g := &generation{name: "confluent", client: "confluent-kafka (librdkafka)", stamps: true, headers: true, zstd: true, offsets: "kafka"}
	g.version = strings.TrimSpace(run(t, nil, "", python, "-c", "import confluent_kafka as c; print(f'{c.__version__} ({c.libversion()[0]})')"))
	g.write = func(t *testing.T, addr string, to []string) string {
		return run(t, nil, "", python, append([]string{script, "produce", addr, g.name, strconv.Itoa(recordsOfEach)}, to...)...)
	}
	g.read = func(t *testing.T, addr string, of []source) string {
		return run(t, nil, "", python, append([]string{script, "consume", addr, g.name}, g.sources(of)...)...)
	}
	return g
}

// generationsTable is what came out, a line for each generation.
func generationsTable(all []*generation, of []source) string {
	var out strings.Builder
	out.WriteString("| client | version | wrote | read | offsets |\n|---|---|---|---|---|\n")
	for _, g := range all {
		wrote, read := "–", "–"
		if g.write != nil {
			wrote = outcomes(g.written, func(string) int { return recordsOfEach })
		}
		if g.balance != nil {
			wrote, read = "gzip 120", "gzip 120, each by the owner of its partition"
		}
		if g.read != nil {
			read = outcomes(g.got, func(codec string) int {
				return of[slices.Index(codecsOfAll, codec)].records()
			})
		}
		offsets := map[string]string{"": "–", "kafka": "a group's, in Kafka", "zookeeper": "a group's, in ZooKeeper"}[g.offsets]
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", g.client, g.version, wrote, read, offsets)
	}
	return out.String()
}

// zstdAnswers asks for records that were written with zstd, and writes them, at each version, and tells what is answered.
func zstdAnswers(t *testing.T, addr, topic string, partition int32) string {
	t.Helper()
	c, err := peers.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func(req kmsg.Request, version int) kmsg.Response {
		t.Helper()
		req.SetVersion(int16(version))
		resp, err := c.RoundTrip(req, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	var batches []byte
	text := byVersion("Fetch of records that were written with zstd is answered with", 0, 12, func(version int) string {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = partition, 1<<20
		of := kmsg.NewFetchRequestTopic()
		of.Topic, of.Partitions = topic, []kmsg.FetchRequestTopicPartition{p}
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes, req.Topics = 1<<20, []kmsg.FetchRequestTopic{of}
		got := ask(req, version).(*kmsg.FetchResponse).Topics[0].Partitions[0]
		if err := kerr.TypedErrorForCode(got.ErrorCode); err != nil {
			return fmt.Sprintf("%s (%d), records null: %t", err.Message, err.Code, got.RecordBatches == nil)
		}
		batches = got.RecordBatches
		return "the batches as they were written"
	})
	create(t, addr, topic+"-again", 1)
	return text + byVersion("Produce of such batches is answered with", 3, 11, func(version int) string {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Records = batches
		to := kmsg.NewProduceRequestTopic()
		to.Topic, to.Partitions = topic+"-again", []kmsg.ProduceRequestTopicPartition{p}
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis, req.Topics = -1, 10_000, []kmsg.ProduceRequestTopic{to}
		got := ask(req, version).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if err := kerr.TypedErrorForCode(got.ErrorCode); err != nil {
			return fmt.Sprintf("%s (%d)", err.Message, err.Code)
		}
		return "their offsets"
	})
}

// byVersion is a sentence that tells once what is the same at several versions.
func byVersion(subject string, from, to int, answer func(version int) string) string {
	var parts []string
	first, last := from, ""
	for v := from; v <= to+1; v++ {
		now := ""
		if v <= to {
			now = answer(v)
		}
		if v > from && now != last {
			parts = append(parts, fmt.Sprintf("%s at versions %d to %d", last, first, v-1))
			first = v
		}
		last = now
	}
	return subject + " " + strings.Join(parts, ", ") + ".\n"
}

// outcomes lists the codecs with their numbers of records, and then why the others were not to be had.
func outcomes(by map[string]string, records func(codec string) int) string {
	var good, bad []string
	for _, codec := range codecsOfAll {
		if why := by[codec]; why == "" {
			good = append(good, fmt.Sprintf("%s %d", codec, records(codec)))
		} else {
			bad = append(bad, fmt.Sprintf("; %s: `%s`", codec, strings.ReplaceAll(why, "|", "\\|")))
		}
	}
	return strings.Join(good, ", ") + strings.Join(bad, "")
}

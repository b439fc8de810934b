//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// seed is that of a test's choices: $BARNABAS_SEED, or a new one. It is printed with what the test did.
func seed(t *testing.T) (uint64, *rand.Rand) {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if s := os.Getenv("BARNABAS_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("BARNABAS_SEED: %v", err)
		}
	}
	t.Logf("BARNABAS_SEED=%d chooses the same again", n)
	return n, rand.New(rand.NewPCG(n, 0))
}

// kills is how many times a campaign kills its broker: $BARNABAS_SOAK, or as many as its short form has.
func kills(t *testing.T, short int) int {
	t.Helper()
	s := os.Getenv("BARNABAS_SOAK")
	if s == "" {
		return short
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("BARNABAS_SOAK is %q, not a number above 0", s)
	}
	return n
}

// TestKilledUnderLoad kills a broker under every kind of load, some of the times while it recovers from the kill before: ten times,
// or BARNABAS_SOAK.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	killUnderLoad(t, kills(t, 10), true)
}

// TestKilledWhenSyncing is the same with acknowledgements that wait for the disk.
func TestKilledWhenSyncing(t *testing.T) {
	t.Parallel()
	killUnderLoad(t, max(kills(t, 3)/10, 3), false, "flush.messages", "1")
}

func killUnderLoad(t *testing.T, times int, java bool, settings ...string) {
	_, rng := seed(t)
	b := start(t, peers.Options{Settings: map[string]string{
		"log.flush.offset.checkpoint.interval.ms":       "300",
		"replica.high.watermark.checkpoint.interval.ms": "300",
		"log.flush.start.offset.checkpoint.interval.ms": "300",
		"producer.id.expiration.check.interval.ms":      "500",
		"offsets.topic.segment.bytes":                   "20000",
		"log.index.interval.bytes":                      "512",
		"log.index.size.max.bytes":                      "4096",
		"log.initial.task.delay.ms":                     "100",
		"log.segment.delete.delay.ms":                   "100",
		"log.retention.check.interval.ms":               "200",
		"log.cleaner.backoff.ms":                        "200",
	}})
	l := newCrashLoad(t, b.Addr, settings...)
	if times > 20 {
		l.pace = 1 // what is written is to be printed by two tools in the end
	}
	if java {
		l.javaProducer(t, max(3000, 300*times), 200)
	}
	holds := l.more(t)
	for i := range 3 {
		l.producer(t, i)
	}
	members := []*crashMember{l.member(t, 0), l.member(t, 1), l.consumer(t)}
	l.works(t, members)
	slowest := time.Duration(0)
	interrupted := map[string]int{}
	kill := func() {
		b.Kill()
		unfinished(t, b.DataDir, interrupted)
	}
	for n := range times {
		after := 1 + rng.Int64N(300*int64(l.pace))
		acked := l.count()
		eventually(t, "the load goes on", func() error {
			if left := acked + after - l.count(); left > 0 {
				return fmt.Errorf("%d records to go", left)
			}
			return nil
		})
		kill()
		if rng.IntN(3) == 0 { // again, while it starts
			if err := b.Launch(); err != nil {
				t.Fatal(err)
			}
			moment := time.Duration(rng.IntN(40)) * time.Millisecond
			select {
			case <-time.After(moment):
			case <-b.Gone():
				t.Fatalf("kill %d: it ended by itself when it started again:\n%s", n, b.Tail(3000))
			}
			kill()
		}
		if err := b.Restart(soon(t)); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, b.Startup)
		l.works(t, members)
		for _, hold := range holds {
			hold(t, false)
		}
	}
	workedHard(t, b, times)
	l.end(t, members)
	l.verify(t)
	for _, hold := range holds {
		hold(t, true)
	}
	nothingLeftBehind(t, b)
	t.Logf("kills that interrupted something, by what it left: %v; the slowest start took %v", interrupted, slowest)
	if strings.Contains(string(readFile(t, b.Log)), "panic") {
		t.Error("the broker's log tells of a panic")
	}
	if err := b.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	dumpAll(t, b.DataDir)
}

// unfinished counts the kills after which files of something half done lie in the log dir.
func unfinished(t *testing.T, dir string, kills map[string]int) {
	t.Helper()
	for what, pattern := range map[string]string{
		"cleaning": "*-*/*.cleaned", "swap": "*-*/*.swap", "deletion of segments": "*-*/*.deleted", "deletion of a topic": "*-delete", "checkpoint": "*.tmp",
	} {
		left, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		kills[what] += min(1, len(left))
	}
}

// workedHard waits until the broker's log tells that it has done, often enough for so many kills, all that the load makes it do.
func workedHard(t *testing.T, b *peers.Broker, kills int) {
	t.Helper()
	does := map[string]*regexp.Regexp{}
	for what, line := range map[string]string{
		"cleaned a topic": `"msg":"cleaned log","log":"compacted-0"`, "cleaned offsets": `"msg":"cleaned log","log":"__consumer_offsets-`,
		"cut by retention": `"msg":"retention","log":"retained-0"`, "created topics": `"msg":"topic created"`, "deleted topics": `"msg":"topic deleted"`,
		"recovered": `"msg":"recovered log","log":"crash-`,
	} {
		does[what] = regexp.MustCompile(line)
	}
	did := map[string]int{}
	eventually(t, "it has done everything often", func() error {
		log := readFile(t, b.Log)
		var seldom []error
		for what, line := range does {
			if did[what] = len(line.FindAll(log, -1)); did[what] < max(3, kills/2) {
				seldom = append(seldom, fmt.Errorf("it %s %d times", what, did[what]))
			}
		}
		for p := range crashPartitions {
			segments, _ := filepath.Glob(filepath.Join(b.DataDir, fmt.Sprintf("crash-%d", p), "*.log"))
			if did["segments"] = len(segments); len(segments) < 3 {
				seldom = append(seldom, fmt.Errorf("partition %d has %d segments", p, len(segments)))
			}
		}
		return errors.Join(seldom...)
	})
	t.Logf("in the broker's log: %v", did)
}

// nothingLeftBehind waits until the log dir has no folders but those of partitions.
func nothingLeftBehind(t *testing.T, b *peers.Broker) {
	t.Helper()
	adm := admin(t, b.Addr)
	eventually(t, "what was deleted is gone from the disk", func() error {
		topics, err := adm.ListTopicsWithInternal(soon(t))
		if err = errors.Join(err, topics.Error()); err != nil {
			return err
		}
		partitions := map[string]bool{}
		topics.EachPartition(func(p kadm.PartitionDetail) { partitions[fmt.Sprintf("%s-%d", p.Topic, p.Partition)] = true })
		entries, err := os.ReadDir(b.DataDir)
		for _, e := range entries {
			if e.IsDir() && !partitions[e.Name()] {
				err = errors.Join(err, fmt.Errorf("there is %s", e.Name()))
			}
		}
		return err
	})
}

// A crashLoad is what runs while the broker is killed: idempotent producers that number their records, and groups that commit.
// What was acknowledged is written down.
type crashLoad struct {
	addr, topic string
	pace        int // records that each producer has for every 5 ms
	writing     context.Context
	reading     context.Context
	stopWriting context.CancelFunc
	stopReading context.CancelFunc
	writers     sync.WaitGroup
	readers     sync.WaitGroup

	mu        sync.Mutex
	acked     map[string]map[int]bool // by producer, its numbers
	total     int64
	committed map[commit]int64 // the highest offset whose commit was acknowledged
	seen      map[commit]int64 // the highest that was fetched
}

// A commit is where an offset is committed.
type commit struct {
	group, topic string
	partition    int32
}

const crashPartitions = 4

func newCrashLoad(t *testing.T, addr string, settings ...string) *crashLoad {
	l := &crashLoad{addr: addr, topic: "crash", pace: 10, acked: map[string]map[int]bool{}, committed: map[commit]int64{}, seen: map[commit]int64{}}
	create(t, addr, l.topic, crashPartitions, append(settings, "segment.bytes", "100000", "index.interval.bytes", "1000")...)
	l.writing, l.stopWriting = context.WithCancel(t.Context())
	l.reading, l.stopReading = context.WithCancel(t.Context())
	t.Cleanup(func() {
		l.stopWriting()
		l.stopReading()
		l.writers.Wait()
		l.readers.Wait()
	})
	return l
}

func (l *crashLoad) ack(producer string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked[producer] == nil {
		l.acked[producer] = map[int]bool{}
	}
	l.acked[producer][n] = true
	l.total++
}

func (l *crashLoad) count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// producer writes records "name n", n rising, each to the next partition.
func (l *crashLoad) producer(t *testing.T, id int) {
	name := fmt.Sprintf("franz-%d", id)
	c := client(t, l.addr, kgo.DefaultProduceTopic(l.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(2*time.Millisecond),
		kgo.ProducerBatchCompression([]kgo.CompressionCodec{kgo.NoCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}[id%3]))
	l.writers.Go(func() {
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for n := 0; ; {
			select {
			case <-l.writing.Done():
				// What is under way is still written, and counts.
				if err := c.Flush(context.WithoutCancel(l.writing)); err != nil {
					t.Errorf("%s: flush: %v", name, err)
				}
				return
			case <-pace.C:
			}
			for range l.pace {
				r := &kgo.Record{Partition: int32(n % crashPartitions), Key: []byte(name), Value: strconv.AppendInt(nil, int64(n), 10)}
				number := n
				c.Produce(context.WithoutCancel(l.writing), r, func(_ *kgo.Record, err error) {
					if isGivenUp(err) {
						return
					}
					if err != nil {
						t.Errorf("%s: record %d: %v", name, number, err)
						return
					}
					l.ack(name, number)
				})
				n++
			}
		}
	})
}

// isGivenUp says that franz-go has taken brokers that were killed as it connected, twice in a row, for one that wants TLS, and has
// given up a record that was not acknowledged.
func isGivenUp(err error) bool {
	var eof *kgo.ErrFirstReadEOF
	return errors.As(err, &eof)
}

// javaProducer is Kafka's own, in a JVM of its own.
func (l *crashLoad) javaProducer(t *testing.T, records, perSecond int) {
	dir := folder(t)
	tools, err := peers.StartTools("3.9.2", filepath.Join(dir, "java-producer"))
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "producer.properties")
	if err := os.WriteFile(config, []byte("retries=2147483647\nenable.idempotence=true\nlinger.ms=2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.writers.Go(func() {
		defer tools.Close()
		run, err := tools.Run(2*time.Minute+4*time.Duration(records/perSecond)*time.Second, "", "org.apache.kafka.tools.VerifiableProducer", "--bootstrap-server", l.addr, "--topic", l.topic,
			"--max-messages", strconv.Itoa(records), "--throughput", strconv.Itoa(perSecond), "--acks", "-1", "--producer.config", config)
		if err != nil || run.Exit != 0 {
			t.Errorf("VerifiableProducer: %v, exit code %d\n%s", err, run.Exit, short(run.Stderr))
			return
		}
		n := 0
		for line := range strings.Lines(run.Stdout) {
			var said struct{ Name, Value, Message string }
			if err := json.Unmarshal([]byte(line), &said); err != nil {
				t.Errorf("VerifiableProducer said %q", line)
				continue
			}
			switch said.Name {
			case "producer_send_success":
				number, err := strconv.Atoi(said.Value)
				if err != nil {
					t.Errorf("VerifiableProducer said %q", line)
				}
				l.ack("java", number)
				n++
			case "producer_send_error":
				t.Errorf("VerifiableProducer: %s", line)
			}
		}
		if n != records {
			t.Errorf("VerifiableProducer had %d records acknowledged, not %d", n, records)
		}
	})
}

// A crashMember reads in a group, and commits what it has read.
type crashMember struct {
	group   string
	client  *kgo.Client
	commits func() int
}

// member is one of the group with the classic protocol.
func (l *crashLoad) member(t *testing.T, id int) *crashMember {
	return l.reader(t, "crash", kgo.Balancers([]kgo.GroupBalancer{kgo.CooperativeStickyBalancer()}...), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.InstanceID(fmt.Sprintf("member-%d", id)))
}

// consumer is the member of a group with the consumer protocol of KIP-848.
func (l *crashLoad) consumer(t *testing.T) *crashMember {
	return l.reader(t, "crash-consumer", kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
}

func (l *crashLoad) reader(t *testing.T, group string, opts ...kgo.Opt) *crashMember {
	c := client(t, l.addr, append(opts, kgo.ConsumerGroup(group), kgo.ConsumeTopics(l.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll())...)
	commits := 0
	m := &crashMember{group: group, client: c, commits: func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return commits
	}}
	l.readers.Go(func() {
		for l.reading.Err() == nil {
			fs := c.PollRecords(l.reading, 500)
			upTo := map[commit]int64{}
			fs.EachRecord(func(r *kgo.Record) { upTo[commit{group, r.Topic, r.Partition}] = r.Offset + 1 })
			if len(upTo) > 0 && c.CommitRecords(l.reading, fs.Records()...) == nil {
				l.mu.Lock()
				commits++
				for at, offset := range upTo {
					l.committed[at] = max(l.committed[at], offset)
				}
				l.mu.Unlock()
			}
			c.AllowRebalance()
		}
	})
	return m
}

// works waits until every producer and member makes progress again, and holds what is committed to what was.
func (l *crashLoad) works(t *testing.T, members []*crashMember) {
	t.Helper()
	l.mu.Lock()
	floor := maps.Clone(l.committed) // acknowledged before the fetch that follows
	l.mu.Unlock()
	var before []int
	for _, m := range members {
		before = append(before, m.commits())
	}
	acked := l.count()
	adm := kadm.NewClient(client(t, l.addr))
	eventually(t, "the producers write and the members commit", func() error {
		for group := range groupsOf(members) {
			offsets, err := adm.FetchOffsets(soon(t), group)
			if err != nil {
				return err
			}
			for at, least := range floor {
				if at.group != group {
					continue
				}
				o, _ := offsets.Lookup(at.topic, at.partition)
				if least = max(least, l.seen[at]); o.At < least {
					t.Fatalf("%v: the committed offset is %d after it was %d", at, o.At, least)
				}
				l.seen[at] = o.At
			}
		}
		for i, m := range members {
			if m.commits() < before[i]+2 {
				return fmt.Errorf("member %d has not committed twice", i)
			}
		}
		if l.count() < acked+100 {
			return errors.New("nothing was acknowledged")
		}
		groups, err := adm.DescribeGroups(soon(t), "crash")
		if err != nil {
			return err
		}
		if g := groups["crash"]; g.Err != nil || g.State != "Stable" || len(g.Members) != groupsOf(members)["crash"] {
			return fmt.Errorf("the group is %s with %d members (%v)", g.State, len(g.Members), g.Err)
		}
		return nil
	})
}

// groupsOf counts the members of each group.
func groupsOf(members []*crashMember) map[string]int {
	groups := map[string]int{}
	for _, m := range members {
		groups[m.group]++
	}
	return groups
}

// end stops the producers, has the groups read all, and stops them.
func (l *crashLoad) end(t *testing.T, members []*crashMember) {
	t.Helper()
	l.stopWriting()
	l.writers.Wait()
	adm := admin(t, l.addr)
	eventually(t, "the groups have read and committed everything", func() error {
		ends, err := adm.ListEndOffsets(soon(t), l.topic)
		if err = errors.Join(err, ends.Error()); err != nil {
			return err
		}
		for group := range groupsOf(members) {
			offsets, err := adm.FetchOffsets(soon(t), group)
			if err != nil {
				return err
			}
			left := int64(0)
			ends.Each(func(end kadm.ListedOffset) {
				o, _ := offsets.Lookup(end.Topic, end.Partition)
				left += end.Offset - o.At
			})
			if left != 0 {
				return fmt.Errorf("%s: %d records are left", group, left)
			}
		}
		return nil
	})
	l.stopReading()
	l.readers.Wait()
	for _, m := range members {
		m.client.Close()
	}
}

// verify reads the topic: each producer's records rise within a partition, which leaves no room for one that is there twice, and none
// that was acknowledged is missing.
func (l *crashLoad) verify(t *testing.T) {
	t.Helper()
	adm := admin(t, l.addr)
	ends, err := adm.ListEndOffsets(soon(t), l.topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		t.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	c := client(t, l.addr, kgo.ConsumeTopics(l.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	last, found := map[string]int{}, map[string]map[int]bool{}
	for left > 0 {
		fs := c.PollFetches(soon(t))
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			left--
			name := "java"
			if r.Key != nil {
				name = string(r.Key)
			}
			n, err := strconv.Atoi(string(r.Value))
			if err != nil {
				t.Fatalf("partition %d, offset %d: value %q", r.Partition, r.Offset, r.Value)
			}
			at := fmt.Sprintf("%s in partition %d", name, r.Partition)
			if before, ok := last[at]; ok && n <= before {
				t.Errorf("%s: record %d at offset %d comes after record %d", at, n, r.Offset, before)
			}
			last[at] = n
			if found[name] == nil {
				found[name] = map[int]bool{}
			}
			if found[name][n] {
				t.Errorf("%s: record %d is there twice", name, n)
			}
			found[name][n] = true
		})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, numbers := range l.acked {
		missing := 0
		for n := range numbers {
			if !found[name][n] {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("%s: %d of %d acknowledged records are missing", name, missing, len(numbers))
		}
		t.Logf("%s: %d records acknowledged, %d found", name, len(numbers), len(found[name]))
	}
}

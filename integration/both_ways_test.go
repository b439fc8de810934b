//go:build integration

package integration

import (
	"context"
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

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestBothWays goes from Apache Kafka to barnabas and back three times, on two log dirs and one ZooKeeper, with clean stops and kill -9,
// while producers and a group keep on. Each broker must serve what the one before did: records of each codec, transactions (committed,
// aborted, and one that is open all the time), what compaction, retention and DeleteRecords of either have left, groups of both
// protocols and what they committed, settings of topics and brokers, in the same log dirs. A start after a clean stop recovers
// nothing, one after a kill what was not flushed; neither touches a file of a segment that was, or complains.
//
// What the load writes is held to account by the load: every acknowledged record once, and no committed offset that goes back.
func TestBothWays(t *testing.T) {
	t.Parallel()
	w := newBothWays(t)

	w.turn(peers.Kafka, afterNothing)
	w.topics = dumpTopics(t, w.addr)
	for _, codec := range []string{"gzip", "snappy", "lz4"} { // compressed by the broker: by Java's codecs, and then by Go's
		w.topics[create(t, w.addr, "broker-"+codec, 1, "compression.type", codec)] = kgo.NoCompression()
	}
	w.topics[create(t, w.addr, "spread", 6)] = kgo.NoCompression()
	create(t, w.addr, "transacted", 1, "segment.bytes", "3000")
	w.set("retained", "retention.bytes", "-1")
	writeEverywhere(t, w.addr, w.topics, 0)
	w.transact(6)
	w.open = w.transaction("open")
	useGroups(t, w.addr)
	w.compact("compacted")
	w.retain()
	w.shorten()
	w.delete("gone")
	w.settings()
	w.load = newCrashLoad(t, w.addr)
	w.set(w.load.topic, "segment.bytes", "1200000") // batches grow while nobody takes them
	w.load.javaProducer(t, 3000, 50)
	w.producer()
	w.members = []*crashMember{w.load.member(t, 0), w.load.member(t, 1)}
	w.load.works(t, w.members)

	for _, ended := range []struct{ kafka, barnabas ending }{{cleanly, cleanly}, {killed, killed}, {cleanly, cleanly}} {
		w.end(ended.kafka)
		w.turn(peers.Barnabas, ended.kafka)
		w.write()
		w.end(ended.barnabas)
		w.turn(peers.Kafka, ended.barnabas)
		w.transact(3)
		w.write()
	}

	w.load.end(t, w.members)
	w.load.verify(t)
	w.quiet = true
	w.end(killed)
	w.turn(peers.Barnabas, killed)
	w.end(cleanly)
	w.turn(peers.Kafka, cleanly)
	// Who comes back with the id of the open transaction has it aborted, which only Kafka's coordinator can.
	again := w.transaction("open")
	if err := again.EndTransaction(soon(t), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	w.end(cleanly)
	w.turn(peers.Barnabas, cleanly)
	w.stable()
	w.end(cleanly)
	w.dump()
}

// producer adds one to the load that writes 200 records in a second: what the load writes is read at every turn.
func (w *bothWays) producer() {
	const name = "franz"
	l := w.load
	c := client(w.t, w.addr, kgo.DefaultProduceTopic(l.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	l.writers.Go(func() {
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for n := 0; l.writing.Err() == nil; n++ {
			r := &kgo.Record{Partition: int32(n % crashPartitions), Key: []byte(name), Value: strconv.AppendInt(nil, int64(n), 10)}
			c.Produce(context.WithoutCancel(l.writing), r, func(_ *kgo.Record, err error) {
				if err != nil {
					w.t.Errorf("%s: record %d: %v", name, n, err)
					return
				}
				l.ack(name, n)
			})
			<-pace.C
		}
		if err := c.Flush(context.WithoutCancel(l.writing)); err != nil { // what is under way is still written, and counts
			w.t.Errorf("%s: flush: %v", name, err)
		}
	})
}

// An ending is how the broker before has ended.
type ending int

const (
	afterNothing ending = iota
	cleanly
	killed
)

// bothWays are the two brokers that take turns, and what they must hand on to each other.
type bothWays struct {
	t       *testing.T
	addr    string
	chroot  string
	dirs    []string
	brokers map[peers.Kind]*peers.Broker
	now     *peers.Broker
	round   int
	topics  map[string]kgo.CompressionCodec
	open    *kgo.Client // has the open transaction
	load    *crashLoad
	members []*crashMember
	quiet   bool // the load is over: all is compared
	before  map[string]bool
	sealed  map[string]string // files of segments that no start has to touch
	modern  modernGroups
}

func newBothWays(t *testing.T) *bothWays {
	t.Helper()
	w := &bothWays{t: t, chroot: "/both-ways", brokers: map[peers.Kind]*peers.Broker{}}
	for _, dir := range []string{"one", "two"} {
		w.dirs = append(w.dirs, filepath.Join(folder(t), dir))
	}
	settings := shortSessions()
	maps.Copy(settings, busyJanitor())
	maps.Copy(settings, map[string]string{
		"log.dirs":                                      strings.Join(w.dirs, ","),
		"log.cleaner.enable":                            "true",
		"log.cleaner.backoff.ms":                        "200",
		"log.cleaner.dedupe.buffer.size":                "4194304",
		"log.cleaner.min.cleanable.ratio":               "1", // which no log reaches
		"offsets.topic.segment.bytes":                   "20000",
		"group.consumer.session.timeout.ms":             "600000", // members of that protocol wait while Kafka serves
		"group.consumer.max.session.timeout.ms":         "600000",
		"log.flush.offset.checkpoint.interval.ms":       "200",
		"replica.high.watermark.checkpoint.interval.ms": "300",
	})
	for _, kind := range []peers.Kind{peers.Kafka, peers.Barnabas} {
		b, err := peers.NewBroker(filepath.Join(folder(t), string(kind)), peers.Options{Kind: kind, ZooKeeper: keeper(t).Addr + w.chroot, Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		w.brokers[kind] = b
		b.Addr = w.brokers[peers.Kafka].Addr // clients find the next one where the last one was
		w.addr = b.Addr
	}
	t.Cleanup(func() {
		if w.now == nil || w.now.Process == nil {
			return
		}
		if t.Failed() {
			t.Logf("end of %s:\n%s", w.now.Log, w.now.Tail(3000))
		}
		w.now.Kill()
	})
	return w
}

// end notes what the broker serves and ends it.
func (w *bothWays) end(how ending) {
	w.t.Helper()
	w.before = w.serves()
	switch how {
	case cleanly:
		if err := w.now.Stop(30 * time.Second); err != nil {
			w.t.Fatal(err)
		}
	case killed:
		w.flushed()
		w.now.Kill()
		if w.now.Opts.Kind == peers.Barnabas { // Kafka does not wait for that by itself
			unregistered(w.t, keeperSession(w.t, keeper(w.t).Addr), w.chroot)
		}
	case afterNothing:
	}
	w.sealed = w.files(how)
}

// turn starts the other broker and compares.
func (w *bothWays) turn(kind peers.Kind, after ending) {
	w.t.Helper()
	w.now = w.brokers[kind]
	from := 0
	if log, err := os.ReadFile(filepath.Join(w.now.Dir, string(kind)+"-0.log")); err == nil {
		from = len(log)
	}
	if err := w.now.Restart(soon(w.t)); err != nil {
		w.t.Fatal(err)
	}
	if after == afterNothing {
		return
	}
	w.round++
	partitions := 0
	for line := range w.before {
		partitions += min(1, strings.Count(line, " | "))
	}
	ledTopics(w.t, w.addr, partitions)
	for _, d := range difference(w.before, w.serves()) {
		w.t.Errorf("round %d, %s: %s", w.round, kind, d)
	}
	w.untouched()
	w.recovered(string(readFile(w.t, w.now.Log)[from:]), after)
	if w.t.Failed() {
		w.t.FailNow()
	}
	if !w.quiet {
		w.load.works(w.t, w.members)
	}
}

// serves is all that can be read from the broker and must stay, while the load goes on what it does not touch.
func (w *bothWays) serves() map[string]bool {
	w.t.Helper()
	out := map[string]bool{}
	for line := range served(w.t, w.addr, nil) {
		out[line] = true
	}
	adm, ctx := admin(w.t, w.addr), soon(w.t)
	var names []string
	for topic := range w.topics {
		names = append(names, topic)
	}
	topics, err := adm.DescribeTopicConfigs(ctx, append(names, "transacted", "__consumer_offsets", "__transaction_state")...)
	brokers, err2 := adm.DescribeBrokerConfigs(ctx, 0)
	if err = errors.Join(err, err2); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range append(topics, brokers...) {
		if r.Err != nil {
			w.t.Fatalf("settings of %q: %v", r.Name, r.Err)
		}
		for _, c := range r.Configs {
			if strings.HasPrefix(c.Source.String(), "DYNAMIC") {
				out[fmt.Sprintf("setting of %q: %s = %s (%s)", r.Name, c.Key, c.MaybeValue(), c.Source)] = true
			}
		}
	}
	dirs, err := adm.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	dirs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			out[fmt.Sprintf("log dir %s: %s %d, future %t", d.Dir, p.Topic, p.Partition, p.IsFuture)] = true
		})
	})
	var moves []string
	for _, group := range []string{idleModern, sharedModern} { // to Kafka they are bare offsets
		moves = append(moves, "group "+group+" ", group+" ")
		offsets, err := adm.FetchOffsets(ctx, group)
		if err != nil {
			w.t.Fatal(err)
		}
		offsets.Each(func(o kadm.OffsetResponse) {
			out[fmt.Sprintf("offset of %s: %s %d = %d leader_epoch %d metadata %q", group, o.Topic, o.Partition, o.At, o.LeaderEpoch, o.Metadata)] = true
		})
	}
	if !w.quiet {
		moves = append(moves, "crash ", "group crash ", "__consumer_offsets ")
	}
	for line := range out {
		if slices.ContainsFunc(moves, func(prefix string) bool { return strings.HasPrefix(line, prefix) }) {
			delete(out, line)
		}
	}
	return out
}

func difference(before, now map[string]bool) []string {
	var out []string
	for _, line := range slices.Sorted(maps.Keys(before)) {
		if !now[line] {
			out = append(out, "was served: "+line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(now)) {
		if !before[line] {
			out = append(out, "is served:  "+line)
		}
	}
	return out
}

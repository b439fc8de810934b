//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

// ofKafkaAlone are errors that are not barnabas's: 3.9 does not know that groups have settings, and where retention begins before the
// cleaner has started, it gives the cleaner back at its end what it has not taken at its begin.
var ofKafkaAlone = regexp.MustCompile(`.*\] ERROR error processing change notification {"version":2,"entity_path":"groups/.*\n` +
	`|.*\] ERROR Uncaught exception in scheduled task 'kafka-log-retention'.*\n.*IllegalStateException: Compaction for partition \S+ cannot be resumed since it is not paused.*\n`)

// recovered looks at what a start says that it has read again.
func (w *bothWays) recovered(log string, after ending) {
	w.t.Helper()
	kafka := w.now.Opts.Kind == peers.Kafka
	again := map[string]int{} // segments, by partition
	clean := 0
	if kafka {
		clean = strings.Count(log, "Skipping recovery of")
		for _, m := range regexp.MustCompile(`Recovering unflushed segment \d+\. \d+/\d+ recovered for (\S+?)\.? `).FindAllStringSubmatch(log, -1) {
			again[m[1]]++
		}
		for _, m := range regexp.MustCompile(`.*(?:[Cc]orrupt|orphaned|Could not find|invalid offset|Deleting all segments|as part of log recovery|Error occurred|Error loading|stray).*`).FindAllString(log, -1) {
			w.t.Errorf("round %d: Kafka complains: %s", w.round, m)
		}
		for _, m := range regexp.MustCompile(`.*\] ERROR .*\n.*`).FindAllString(ofKafkaAlone.ReplaceAllString(log, ""), -1) {
			w.t.Errorf("round %d: Kafka complains: %s", w.round, m)
		}
		if w.modern.idle != nil && !(strings.Contains(log, "Unknown message key with version 5") && strings.Contains(log, `"entity_path":"groups/`+idleModern)) {
			w.t.Errorf("round %d: Kafka does not tell that it passes over groups of the consumer protocol and their settings", w.round)
		}
	} else {
		clean = strings.Count(log, `"msg":"loading logs after a clean stop"`)
		for _, m := range regexp.MustCompile(`"msg":"recovered log".*"log":"([^"]+)".*"segments":(\d+)`).FindAllStringSubmatch(log, -1) {
			again[filepath.Base(m[1])], _ = strconv.Atoi(m[2])
		}
		for _, m := range regexp.MustCompile(`.*"level":"(?:warn|error)".*"logger":"(?:storage|groups)".*`).FindAllString(log, -1) {
			w.t.Errorf("round %d: barnabas complains: %s", w.round, m)
		}
	}
	w.t.Logf("round %d: %s, after a clean stop %t, reads again %v", w.round, w.now.Opts.Kind, after == cleanly, again)
	if after == cleanly {
		if clean != len(w.dirs) || len(again) > 0 {
			w.t.Errorf("round %d: %s found %d of %d clean log dirs, and recovered %v", w.round, w.now.Opts.Kind, clean, len(w.dirs), again)
		}
		return
	}
	if clean != 0 {
		w.t.Errorf("round %d: %s found %d clean log dirs", w.round, w.now.Opts.Kind, clean)
	}
	for partition, segments := range again {
		if segments > 1 && !underLoad(partition) {
			w.t.Errorf("round %d: %s recovered %d segments of %s, of which all but the last were flushed", w.round, w.now.Opts.Kind, segments, partition)
		}
	}
}

// underLoad are the partitions that the load writes to.
func underLoad(partition string) bool {
	return strings.HasPrefix(partition, "crash-") || strings.HasPrefix(partition, "__consumer_offsets-")
}

// files are what a stopped or killed broker has left of the segments before the last ones, with what would tell that somebody has
// written to them.
func (w *bothWays) files(how ending) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, dir := range w.dirs {
		logs, err := filepath.Glob(filepath.Join(dir, "*-*", "*.log"))
		if err != nil {
			w.t.Fatal(err)
		}
		for i, path := range logs { // sorted
			partition := filepath.Dir(path)
			if last := i+1 == len(logs) || filepath.Dir(logs[i+1]) != partition; last || how == killed && underLoad(filepath.Base(partition)) {
				continue
			}
			of, err := filepath.Glob(strings.TrimSuffix(path, ".log") + ".*")
			if err != nil {
				w.t.Fatal(err)
			}
			for _, file := range of {
				out[file] = stamp(w.t, file)
			}
		}
	}
	return out
}

// stamp is a file's size, time and number; "" if it is gone.
func stamp(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d bytes of %v, inode %d", info.Size(), info.ModTime(), info.Sys().(*syscall.Stat_t).Ino)
}

// untouched holds the files of sealed segments to being what they were. The snapshot of producers at a log's start, which says nothing
// any more, may go.
func (w *bothWays) untouched() {
	w.t.Helper()
	for _, path := range slices.Sorted(maps.Keys(w.sealed)) {
		now := stamp(w.t, path)
		if now != w.sealed[path] && (now != "" || filepath.Ext(path) != ".snapshot") {
			w.t.Errorf("round %d: %s has touched %s: it was %s, and is %s", w.round, w.now.Opts.Kind, path, w.sealed[path], now)
		}
	}
	w.t.Logf("round %d: %s has left alone %d files of sealed segments", w.round, w.now.Opts.Kind, len(w.sealed))
	if len(w.sealed) < 100 {
		w.t.Errorf("round %d: there are only %d", w.round, len(w.sealed))
	}
}

// flushed waits until the checkpoints tell of what was flushed when segments were rolled, in logs that the load does not write to.
func (w *bothWays) flushed() {
	w.t.Helper()
	eventually(w.t, "the recovery points are in the last segments", func() error {
		var behind []error
		for _, dir := range w.dirs {
			logs, err := filepath.Glob(filepath.Join(dir, "*-*", "*.log"))
			if err != nil || len(logs) == 0 {
				return fmt.Errorf("%s has no logs (%v)", dir, err)
			}
			last := map[string]int{}
			for _, path := range logs {
				partition := filepath.Base(filepath.Dir(path))
				base, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".log"))
				last[partition] = max(last[partition], base)
			}
			for partition, base := range last {
				cut := strings.LastIndexByte(partition, '-')
				at, _ := checkpointed(dir, "recovery-point-offset-checkpoint", partition[:cut]+" "+partition[cut+1:])
				if at < base && !underLoad(partition) {
					behind = append(behind, fmt.Errorf("%s: %d, and the last segment begins at %d", partition, at, base))
				}
			}
		}
		return errors.Join(behind...)
	})
}

// checkpointed is a line's offset in a checkpoint of a log dir.
func checkpointed(dir, file, partition string) (int, bool) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	_, rest, ok := strings.Cut(string(text), "\n"+partition+" ")
	if err != nil || !ok {
		return 0, false
	}
	word, _, _ := strings.Cut(rest, "\n")
	at, err := strconv.Atoi(word)
	return at, err == nil
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

// write changes everything that can change.
func (w *bothWays) write() {
	w.t.Helper()
	writeEverywhere(w.t, w.addr, w.topics, w.round)
	useGroups(w.t, w.addr)
	w.useModernGroups()
	w.compact("compacted")
	w.retain()
	w.shorten()
	w.settings()
	w.load.works(w.t, w.members)
	w.compact("__consumer_offsets")
}

// settings gives a topic and the broker a setting of the round's.
func (w *bothWays) settings() {
	w.t.Helper()
	w.set("codec-none", "file.delete.delay.ms", strconv.Itoa(60_000+w.round))
	for _, of := range [][]int32{nil, {0}} {
		r, err := admin(w.t, w.addr).AlterBrokerConfigs(soon(w.t), []kadm.AlterConfig{{Name: "log.message.timestamp.after.max.ms", Value: kadm.StringPtr(strconv.Itoa(4_000_000_000_000 + w.round))}}, of...)
		for _, one := range r {
			err = errors.Join(err, one.Err)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// set changes a topic's setting.
func (w *bothWays) set(topic, name, value string) {
	w.t.Helper()
	r, err := admin(w.t, w.addr).AlterTopicConfigs(soon(w.t), []kadm.AlterConfig{{Name: name, Value: &value}}, topic)
	if err == nil {
		_, err = r.On(topic, nil)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// transaction is a producer with a transaction of five records.
func (w *bothWays) transaction(id string) *kgo.Client {
	w.t.Helper()
	c := client(w.t, w.addr, kgo.TransactionalID(id), kgo.TransactionTimeout(10*time.Minute), kgo.DefaultProduceTopic("transacted"))
	if err := c.BeginTransaction(); err != nil {
		w.t.Fatal(err)
	}
	for n := range 5 {
		if err := c.ProduceSync(soon(w.t), &kgo.Record{Key: []byte(id), Value: fmt.Appendf(nil, "%s %d.%d", strings.Repeat(id, 20), w.round, n)}).FirstErr(); err != nil {
			w.t.Fatal(err)
		}
	}
	return c
}

// transact ends transactions, every third by an abort.
func (w *bothWays) transact(times int) {
	w.t.Helper()
	for n := range times {
		c := w.transaction(fmt.Sprintf("ended-%d", n%2))
		if err := c.EndTransaction(soon(w.t), kgo.TransactionEndTry(n%3 != 2)); err != nil {
			w.t.Fatal(err)
		}
		c.Close()
	}
}

// stable holds the transactions' topic to having no open one.
func (w *bothWays) stable() {
	w.t.Helper()
	stable, err := admin(w.t, w.addr).ListCommittedOffsets(soon(w.t), "transacted")
	ends, err2 := admin(w.t, w.addr).ListEndOffsets(soon(w.t), "transacted")
	if err = errors.Join(err, err2); err != nil {
		w.t.Fatal(err)
	}
	s, _ := stable.Lookup("transacted", 0)
	e, _ := ends.Lookup("transacted", 0)
	if s.Offset != e.Offset || s.Offset == 0 {
		w.t.Errorf("the last stable offset is %d and the end %d", s.Offset, e.Offset)
	}
}

// compact has the broker clean a topic, and ends that: each turn must find what the one before left.
func (w *bothWays) compact(topic string) {
	w.t.Helper()
	cleaned := func() (all int) { // the sum of what is cleaned of all partitions
		for p := range 5 {
			at, _ := w.checkpointed("cleaner-offset-checkpoint", fmt.Sprintf("%s %d", topic, p))
			all += at
		}
		return all
	}
	before := cleaned()
	w.set(topic, "min.cleanable.dirty.ratio", "0.01")
	eventually(w.t, topic+" is cleaned", func() error {
		if now := cleaned(); now <= before+50 {
			return fmt.Errorf("its checkpoints say %d, before %d", now, before)
		}
		return nil
	})
	w.set(topic, "min.cleanable.dirty.ratio", "1.0")
}

// retain has the broker delete old segments, and ends that.
func (w *bothWays) retain() {
	w.t.Helper()
	start := func() int64 {
		starts, err := admin(w.t, w.addr).ListStartOffsets(soon(w.t), "retained")
		if err = errors.Join(err, starts.Error()); err != nil {
			w.t.Fatal(err)
		}
		at, _ := starts.Lookup("retained", 0)
		return at.Offset
	}
	before := start()
	w.set("retained", "retention.bytes", "4000")
	eventually(w.t, "retention has deleted segments", func() error {
		if at := start(); at == before {
			return fmt.Errorf("the log starts at %d", at)
		}
		return nil
	})
	w.set("retained", "retention.bytes", "-1")
}

// shorten deletes a topic's records into the middle of a segment.
func (w *bothWays) shorten() {
	w.t.Helper()
	start := int64(77 + 50*w.round)
	var to kadm.Offsets
	to.AddOffset("deleted", 0, start, -1)
	if r, err := admin(w.t, w.addr).DeleteRecords(soon(w.t), to); errors.Join(err, r.Error()) != nil {
		w.t.Fatal(err, r.Error())
	}
	eventually(w.t, "the start is in the checkpoint", func() error {
		if at, ok := w.checkpointed("log-start-offset-checkpoint", "deleted 0"); !ok || int64(at) != start {
			return fmt.Errorf("the checkpoint says %d (%t)", at, ok)
		}
		return nil
	})
}

// checkpointed is a line's offset in a checkpoint of any log dir.
func (w *bothWays) checkpointed(file, partition string) (int, bool) {
	for _, dir := range w.dirs {
		if at, ok := checkpointed(dir, file, partition); ok {
			return at, true
		}
	}
	return 0, false
}

func (w *bothWays) delete(topic string) {
	w.t.Helper()
	if r, err := admin(w.t, w.addr).DeleteTopics(soon(w.t), topic); errors.Join(err, r.Error()) != nil {
		w.t.Fatal(err, r.Error())
	}
	delete(w.topics, topic)
	eventually(w.t, "the topic is gone", func() error {
		for _, dir := range w.dirs {
			if left, _ := filepath.Glob(filepath.Join(dir, topic+"-*")); len(left) > 0 {
				return fmt.Errorf("there is %v", left)
			}
		}
		return nil
	})
}

// dump has DumpLogSegments read all files. What Kafka's cleaner has left is apart: where it has emptied a batch and kept it for its
// producer's sake, the time index has a time that no record has, and its own DumpLogSegments does not like that.
func (w *bothWays) dump() {
	w.t.Helper()
	for _, dir := range w.dirs {
		if cleaned := filepath.Join(dir, "compacted-0"); exists(cleaned) {
			apart := filepath.Join(folder(w.t), "compacted-0")
			if err := os.Rename(cleaned, apart); err != nil {
				w.t.Fatal(err)
			}
			logs, _ := filepath.Glob(filepath.Join(apart, "*.log"))
			indexes, _ := filepath.Glob(filepath.Join(apart, "*index"))
			dumpSame(w.t, logs, []string{"--deep-iteration", "--print-data-log"}, []string{"--deep", "--data"})
			dumpSame(w.t, indexes, []string{"--index-sanity-check"}, []string{"--sanity"})
		}
		dumpAll(w.t, dir)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

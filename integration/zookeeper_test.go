//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/go-zookeeper/zk"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// shortSession is the shortest session that the suite's ZooKeeper grants.
const shortSession = 6 * time.Second

func shortSessions() map[string]string {
	return map[string]string{"zookeeper.session.timeout.ms": fmt.Sprint(shortSession.Milliseconds())}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// prompt is a connection whose first read, that of ZooKeeper's greeting, ends soon: the library would wait for it for more than a
// minute, and a server that starts may never send it.
type prompt struct {
	net.Conn
	greeted bool
}

func (p *prompt) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		p.greeted = true
	} else if !p.greeted {
		t = time.Now().Add(time.Second)
	}
	return p.Conn.SetReadDeadline(t)
}

// keeperSession is a session of the test's own with a ZooKeeper, closed with the test.
func keeperSession(t testing.TB, addr string) *zk.Conn {
	t.Helper()
	dial := func(network, address string, timeout time.Duration) (net.Conn, error) {
		c, err := net.DialTimeout(network, address, timeout)
		return &prompt{Conn: c}, err
	}
	c, events, err := zk.Connect([]string{addr}, 10*time.Second, zk.WithLogger(quiet{}), zk.WithDialer(dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for ctx := soon(t); ; {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return c
			}
		case <-ctx.Done():
			t.Fatal("no session with ZooKeeper")
		}
	}
}

// TestTree gives barnabas and Apache Kafka the same commands, each in a chroot of its own, and holds their trees to each other after
// every one: paths, contents to the letter, versions, what is ephemeral. Only times, ids that are drawn, and ports may differ.
func TestTree(t *testing.T) {
	t.Parallel()
	c := keeperSession(t, keeper(t).Addr)
	sides := map[peers.Kind]*peers.Broker{}
	var both sync.WaitGroup
	var lock sync.Mutex
	for _, kind := range []peers.Kind{peers.Barnabas, peers.Kafka} {
		both.Go(func() {
			b, err := peers.StartBroker(soon(t), filepath.Join(folder(t), string(kind)), peers.Options{Kind: kind, ZooKeeper: keeper(t).Addr + "/tree/" + string(kind)})
			if err != nil {
				t.Error(err)
				return
			}
			lock.Lock()
			defer lock.Unlock()
			sides[kind] = b
			t.Cleanup(b.Kill)
		})
	}
	both.Wait()
	if t.Failed() {
		t.FailNow()
	}
	same := func(stage string) {
		t.Helper()
		ours, theirs := map[string]string{}, map[string]string{}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		// Some of it is done after the answer, a deletion by Kafka for one.
		err := peers.Until(ctx, nil, "the trees are equal", func() error {
			ours, theirs = tree(t, c, "/tree/barnabas"), tree(t, c, "/tree/kafka")
			if !maps.Equal(ours, theirs) {
				return errors.New("they differ")
			}
			return nil
		})
		if err == nil {
			return
		}
		for _, path := range slices.Sorted(maps.Keys(theirs)) {
			if ours[path] != theirs[path] {
				t.Errorf("after %s: %s\n  Kafka:    %s\n  barnabas: %s", stage, path, theirs[path], ours[path])
			}
		}
		for path := range ours {
			if _, ok := theirs[path]; !ok {
				t.Errorf("after %s: %s\n  only barnabas has it: %s", stage, path, ours[path])
			}
		}
		t.FailNow()
	}
	same("start")
	for _, command := range treeCommands {
		for _, kind := range []peers.Kind{peers.Kafka, peers.Barnabas} {
			if err := command.do(soon(t), sides[kind].Addr, admin(t, sides[kind].Addr)); err != nil {
				t.Fatalf("%s with %s: %v", command.name, kind, err)
			}
		}
		same(command.name)
	}
	for _, b := range sides {
		both.Go(func() {
			if err := errors.Join(b.Stop(30*time.Second), b.Restart(soon(t))); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	same("a clean restart")
}

// treeCommands are what TestTree does.
var treeCommands = []struct {
	name string
	do   func(ctx context.Context, addr string, adm *kadm.Client) error
}{
	{"create without settings", func(ctx context.Context, _ string, adm *kadm.Client) error {
		_, err := adm.CreateTopic(ctx, 3, 1, nil, "plain")
		return err
	}},
	{"create with settings", func(ctx context.Context, _ string, adm *kadm.Client) error {
		_, err := adm.CreateTopic(ctx, 1, 1, map[string]*string{"retention.ms": kadm.StringPtr("1000"), "cleanup.policy": kadm.StringPtr("compact,delete")}, "settings")
		return err
	}},
	{"create with an assignment", func(ctx context.Context, addr string, adm *kadm.Client) error {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "assigned", -1, -1
		for p := range int32(2) {
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition, a.Replicas = p, []int32{0}
			topic.ReplicaAssignment = append(topic.ReplicaAssignment, a)
		}
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version, req.TimeoutMillis, req.Topics = 7, 10_000, []kmsg.CreateTopicsRequestTopic{topic}
		return raw(addr, req)
	}},
	{"create by use", func(ctx context.Context, addr string, _ *kadm.Client) error {
		return produceOne(ctx, addr, "by-use", kgo.DisableIdempotentWrite())
	}},
	{"alter a topic", func(ctx context.Context, _ string, adm *kadm.Client) error {
		r, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.bytes", Value: kadm.StringPtr("5000")}}, "plain")
		if err == nil {
			_, err = r.On("plain", nil)
		}
		return err
	}},
	{"append to and delete a topic's settings", func(ctx context.Context, _ string, adm *kadm.Client) error {
		r, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{
			{Op: kadm.DeleteConfig, Name: "retention.ms"}, {Op: kadm.SubtractConfig, Name: "cleanup.policy", Value: kadm.StringPtr("delete")}}, "settings")
		if err == nil {
			_, err = r.On("settings", nil)
		}
		return err
	}},
	{"replace a topic's settings", func(ctx context.Context, _ string, adm *kadm.Client) error {
		r, err := adm.AlterTopicConfigsState(ctx, []kadm.AlterConfig{{Name: "segment.bytes", Value: kadm.StringPtr("100000")}}, "by-use")
		if err == nil {
			_, err = r.On("by-use", nil)
		}
		return err
	}},
	{"alter the broker", func(ctx context.Context, _ string, adm *kadm.Client) error {
		_, err := adm.AlterBrokerConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "log.retention.bytes", Value: kadm.StringPtr("123456789")}}, 0)
		return err
	}},
	{"alter all brokers", func(ctx context.Context, _ string, adm *kadm.Client) error {
		_, err := adm.AlterBrokerConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "log.cleaner.threads", Value: kadm.StringPtr("2")}})
		return err
	}},
	{"take the broker's settings back", func(ctx context.Context, _ string, adm *kadm.Client) error {
		_, err := adm.AlterBrokerConfigs(ctx, []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "log.retention.bytes"}}, 0)
		return err
	}},
	{"create partitions", func(ctx context.Context, _ string, adm *kadm.Client) error {
		r, err := adm.CreatePartitions(ctx, 2, "plain")
		return errors.Join(err, r.Error())
	}},
	{"delete a topic", func(ctx context.Context, _ string, adm *kadm.Client) error {
		r, err := adm.DeleteTopics(ctx, "settings", "assigned")
		return errors.Join(err, r.Error())
	}},
	{"create a topic of the same name", func(ctx context.Context, _ string, adm *kadm.Client) error {
		_, err := adm.CreateTopic(ctx, 2, 1, nil, "settings")
		return err
	}},
	{"use a group", func(ctx context.Context, addr string, _ *kadm.Client) error {
		c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("by-use"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
		if err != nil {
			return err
		}
		defer c.Close()
		return errors.Join(c.PollFetches(ctx).Err(), c.CommitUncommittedOffsets(ctx))
	}},
	{"use an idempotent producer", func(ctx context.Context, addr string, _ *kadm.Client) error { return produceOne(ctx, addr, "by-use") }},
	{"use another idempotent producer", func(ctx context.Context, addr string, _ *kadm.Client) error { return produceOne(ctx, addr, "by-use") }},
	{"commit an offset as clients of 0.8.1 did", func(ctx context.Context, addr string, _ *kadm.Client) error {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Offset = 1
		topic := kmsg.NewOffsetCommitRequestTopic()
		topic.Topic, topic.Partitions = "by-use", []kmsg.OffsetCommitRequestTopicPartition{p}
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Topics = "old", []kmsg.OffsetCommitRequestTopic{topic}
		return raw(addr, req)
	}},
}

// raw sends one request; the answer's error codes show in the tree.
func raw(addr string, req kmsg.Request) error {
	c, err := peers.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.RoundTrip(req, 30*time.Second)
	return err
}

func produceOne(ctx context.Context, addr, topic string, opts ...kgo.Opt) error {
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation())...)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("one")}).FirstErr()
}

// drawn finds what no two clusters have in common.
var drawn = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`"timestamp":"\d{13}"`), `"timestamp":"T"`},
	{regexp.MustCompile(`"topic_id":"[A-Za-z0-9_-]{22}"`), `"topic_id":"ID"`},
	{regexp.MustCompile(`^{"version":"1","id":"[A-Za-z0-9_-]{22}"}$`), `{"version":"1","id":"ID"}`},
	{regexp.MustCompile(`://127\.0\.0\.1:\d+`), `://127.0.0.1:PORT`},
	{regexp.MustCompile(`"port":\d{4,5},`), `"port":PORT,`},
}

// tree is everything under a chroot, by path below it.
func tree(t *testing.T, c *zk.Conn, chroot string) map[string]string {
	t.Helper()
	out := map[string]string{}
	var walk func(path string)
	walk = func(path string) {
		data, stat, err := c.Get(path)
		if errors.Is(err, zk.ErrNoNode) {
			return // it went meanwhile
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		text := "null"
		if data != nil {
			text = string(data)
		}
		for _, d := range drawn {
			text = d.what.ReplaceAllString(text, d.by)
		}
		out[strings.TrimPrefix(path, chroot)] = fmt.Sprintf("%s version %d, children's version %d, ephemeral %t", text, stat.Version, stat.Cversion, stat.EphemeralOwner != 0)
		children, _, err := c.Children(path)
		if err != nil && !errors.Is(err, zk.ErrNoNode) {
			t.Fatalf("%s: %v", path, err)
		}
		for _, name := range children {
			walk(path + "/" + name)
		}
	}
	walk(chroot)
	return out
}

// registered waits for a node of /brokers/ids/0 other than an old one, and gives its czxid, the broker's epoch.
func registered(t *testing.T, c *zk.Conn, chroot string, not int64) int64 {
	t.Helper()
	epoch := int64(0)
	eventually(t, "the broker is registered", func() error {
		ok, stat, err := c.Exists(chroot + "/brokers/ids/0")
		if err == nil && (!ok || stat.Czxid == not) {
			err = errors.New("it is not")
		}
		if err == nil {
			epoch = stat.Czxid
		}
		return err
	})
	return epoch
}

// unregistered waits until ZooKeeper has dropped the broker's node.
func unregistered(t *testing.T, c *zk.Conn, chroot string) {
	t.Helper()
	eventually(t, "the broker's session is over", func() error {
		ok, _, err := c.Exists(chroot + "/brokers/ids/0")
		if err == nil && ok {
			err = errors.New("the node is there")
		}
		return err
	})
}

// TestKilledOnZooKeeper restarts a killed broker before and after its session is over.
func TestKilledOnZooKeeper(t *testing.T) {
	t.Parallel()
	c := keeperSession(t, keeper(t).Addr)
	chroot := "/killed"
	b := start(t, peers.Options{ZooKeeper: keeper(t).Addr + chroot, Settings: shortSessions()})
	first := registered(t, c, chroot, 0)
	create(t, b.Addr, "before", 3)
	if err := produceOne(soon(t), b.Addr, "before"); err != nil {
		t.Fatal(err)
	}

	b.Kill()
	if ok, _, err := c.Exists(chroot + "/brokers/ids/0"); err != nil || !ok {
		t.Fatalf("the session ended at once (%v): this test would show nothing", err)
	}
	if err := b.Restart(soon(t)); err != nil { // Apache Kafka dies here
		t.Fatal(err)
	}
	second := registered(t, c, chroot, first)
	if !strings.Contains(b.Tail(1<<20), "waiting for that to expire") {
		t.Errorf("the log does not say that it waits for the old registration to go")
	}
	ledTopics(t, b.Addr, 3)
	if err := produceOne(soon(t), b.Addr, "between"); err != nil {
		t.Fatal(err)
	}

	b.Kill()
	unregistered(t, c, chroot)
	if err := b.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	registered(t, c, chroot, second)
	ledTopics(t, b.Addr, 4)
	if err := produceOne(soon(t), b.Addr, "before"); err != nil {
		t.Fatal(err)
	}
	create(t, b.Addr, "after", 1)
	ends, err := admin(t, b.Addr).ListEndOffsets(soon(t), "before", "between", "after")
	if err = errors.Join(err, ends.Error()); err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	ends.Each(func(o kadm.ListedOffset) { total += o.Offset })
	if total != 3 {
		t.Errorf("there are %d records, want 3", total)
	}
}

// TestSameID starts a second broker under the id of one that lives.
func TestSameID(t *testing.T) {
	t.Parallel()
	o := peers.Options{ZooKeeper: keeper(t).Addr + "/same-id", Settings: shortSessions()}
	b := start(t, o)
	create(t, b.Addr, "topic", 1)
	dir := filepath.Join(folder(t), "second")
	second, err := peers.StartBroker(soon(t), dir, o)
	if err == nil {
		second.Kill()
		t.Fatal("a second broker with the same id runs")
	}
	select {
	case <-second.Gone():
	case <-soon(t).Done():
		t.Fatal("the second broker neither serves nor ends")
	}
	if code := second.ExitCode(); code <= 0 {
		t.Errorf("it ended with %d", code)
	}
	lines := strings.Split(strings.TrimSpace(second.Tail(1<<20)), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "broker 0") && !strings.Contains(last, "broker.id 0") {
		t.Errorf("its last line does not say what is wrong: %s", last)
	} else {
		t.Log(last)
	}
	if err := produceOne(soon(t), b.Addr, "topic"); err != nil {
		t.Errorf("the first broker: %v", err)
	}
}

// TestZooKeeperRestarts stops ZooKeeper under load, and then a broker for longer than its session.
func TestZooKeeperRestarts(t *testing.T) {
	t.Parallel()
	z, err := peers.StartZooKeeper(soon(t), filepath.Join(folder(t), "zookeeper"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Kill() })
	c := keeperSession(t, z.Addr)
	b := start(t, peers.Options{ZooKeeper: z.Addr, Settings: shortSessions()})
	first := registered(t, c, "", 0)
	topic := create(t, b.Addr, "flow", 2)
	f := flow(t, b.Addr, topic)
	f.more(t, 200)

	for range 2 {
		z.Kill()
		f.more(t, 500) // nobody needs ZooKeeper for that
		if err := z.Restart(soon(t)); err != nil {
			t.Fatal(err)
		}
		f.more(t, 100)
	}
	eventually(t, "topics can be created again", func() error {
		_, err := admin(t, b.Addr).CreateTopic(soon(t), 1, 1, nil, "after-zookeeper")
		return err
	})
	if err := produceOne(soon(t), b.Addr, "after-zookeeper"); err != nil {
		t.Fatal(err)
	}
	now := registered(t, c, "", 0) // the same node if the session was found again in time
	t.Logf("broker epoch %d, and %d after ZooKeeper's restarts", first, now)

	if err := b.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	unregistered(t, c, "")
	if err := b.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	registered(t, c, "", now)
	f.more(t, 200)
	eventually(t, "topics can be created again", func() error {
		_, err := admin(t, b.Addr).CreateTopic(soon(t), 1, 1, nil, "after-session")
		return err
	})
	if err := produceOne(soon(t), b.Addr, "after-session"); err != nil {
		t.Fatal(err)
	}
	f.more(t, 100)
	f.end(t)
}

// A load is a producer and a consumer that never stop.
type load struct {
	stop               func()
	done               sync.WaitGroup
	produced, consumed atomic.Int64
	failed             atomic.Pointer[error]
}

// flow starts a load on a topic: an idempotent producer, and a group of one that must see each offset once.
func flow(t *testing.T, addr, topic string) *load {
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel}
	producer := client(t, addr, kgo.DefaultProduceTopic(topic), kgo.MaxBufferedRecords(100))
	consumer := client(t, addr, kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitInterval(100*time.Millisecond))
	t.Cleanup(func() { cancel(); l.done.Wait() })
	l.done.Go(func() {
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			producer.Produce(ctx, &kgo.Record{Value: fmt.Append(nil, n)}, func(_ *kgo.Record, err error) {
				if err == nil {
					l.produced.Add(1)
				} else if ctx.Err() == nil {
					l.failed.CompareAndSwap(nil, &err)
				}
			})
			if n%10 == 9 {
				<-pace.C
			}
		}
	})
	l.done.Go(func() {
		next := map[int32]int64{}
		for ctx.Err() == nil {
			consumer.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				if r.Offset != next[r.Partition] {
					err := fmt.Errorf("read offset %d of partition %d after %d", r.Offset, r.Partition, next[r.Partition]-1)
					l.failed.CompareAndSwap(nil, &err)
				}
				next[r.Partition] = r.Offset + 1
				l.consumed.Add(1)
			})
		}
	})
	return l
}

// more waits until n more records were acknowledged, and n more read.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	produced, consumed := l.produced.Load()+n, l.consumed.Load()+n
	eventually(t, fmt.Sprintf("%d more records were written and read", n), func() error {
		if err := l.failed.Load(); err != nil {
			t.Fatalf("the load: %v", *err)
		}
		if p, c := l.produced.Load(), l.consumed.Load(); p < produced || c < consumed {
			return fmt.Errorf("%d and %d to go", produced-p, consumed-c)
		}
		return nil
	})
}

// end stops the load.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
}

//go:build integration

package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A group of the consumer protocol (KIP-848) with members of three families: the Java client of 4.3.1, librdkafka by confluent-kafka and
// franz-go. Each prints or keeps what it reads; together they must read everything, whoever comes and goes.

const groupPartitions = 6

// household is a group with its members and what has been written for it.
type household struct {
	t     testing.TB
	addr  string
	group string
	topic string
	// subscription is what Python members subscribe to: the topic, or a regular expression that begins with ^.
	subscription string
	client       *kgo.Client
	written      int
	readers      []func() string // what members have read, those of the past too
}

// member is somebody who reads in the group.
type member struct {
	stop  func() // it leaves
	crash func() // it does not
}

func newHousehold(t testing.TB, addr, group string) *household {
	h := &household{t: t, addr: addr, group: group, topic: group + "-topic", subscription: group + "-topic"}
	create(t, addr, h.topic, groupPartitions)
	h.client = client(t, addr, kgo.DefaultProduceTopic(h.topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	return h
}

// process starts a member that is a program.
func (h *household) process(name string, cmd *exec.Cmd) *member {
	h.t.Helper()
	p, err := peers.Start(fmt.Sprintf("%s-%d", name, len(h.readers)), folder(h.t), cmd)
	if err != nil {
		h.t.Fatal(err)
	}
	h.readers = append(h.readers, func() string {
		b, err := os.ReadFile(p.Log)
		if err != nil {
			h.t.Fatal(err)
		}
		return string(b)
	})
	h.t.Cleanup(func() {
		if h.t.Failed() {
			h.t.Logf("end of %s:\n%s", p.Log, p.Tail(2000))
		}
		p.Kill()
	})
	return &member{func() {
		if err := p.Stop(30 * time.Second); err != nil {
			h.t.Error(err)
		}
	}, p.Kill}
}

func (h *household) python(protocol string, instance ...string) *member {
	args := append([]string{"-W", "ignore", filepath.Join(peers.Root(), "integration", "python", "consumer_member.py"), h.addr, h.group, h.subscription, protocol}, instance...)
	return h.process("python", exec.Command(installed(h.t, "python", "bin", "python"), args...))
}

func (h *household) java(protocol string, more ...string) *member {
	args := []string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", installed(h.t, "kafka-4.3.1") + "/*", consoleConsumer, "--bootstrap-server", h.addr, "--topic", h.topic, "--group", h.group, "--from-beginning"}
	properties := append([]string{"group.protocol=" + protocol, "client.id=java", "auto.commit.interval.ms=500"}, more...)
	if protocol == "classic" {
		properties = append(properties, "session.timeout.ms=6000", "heartbeat.interval.ms=500")
	}
	for _, p := range properties {
		args = append(args, "--command-property", p)
	}
	return h.process("java", exec.Command("java", args...))
}

func (h *household) franz(opts ...kgo.Opt) *member {
	h.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(h.addr), kgo.ConsumerGroup(h.group), kgo.ConsumeTopics(h.topic), kgo.ClientID("franz"),
		kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer(), kgo.AutoCommitInterval(500 * time.Millisecond)}, opts...)...)
	if err != nil {
		h.t.Fatal(err)
	}
	var mu sync.Mutex
	var text strings.Builder
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			fetches := c.PollFetches(ctx)
			mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) { text.WriteString(string(r.Value) + "\n") })
			mu.Unlock()
		}
	}()
	h.readers = append(h.readers, func() string {
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	})
	stop := sync.OnceFunc(func() {
		cancel()
		<-done
		c.Close()
	})
	h.t.Cleanup(stop)
	return &member{stop, stop}
}

// describe asks for the group as one of the consumer protocol.
func (h *household) describe() (*kmsg.ConsumerGroupDescribeResponseGroup, error) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{h.group}
	resp, err := req.RequestWith(soon(h.t), h.client)
	if err != nil {
		return nil, err
	}
	return &resp.Groups[0], kerr.ErrorForCode(resp.Groups[0].ErrorCode)
}

// together waits until the group has so many members, of them so many of the classic protocol, who share all partitions evenly.
func (h *household) together(members, classic int) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("%d members share the topic", members), func() error {
		g, err := h.describe()
		if err != nil {
			return err
		}
		old, total, least, most := 0, 0, groupPartitions, 0
		for _, m := range g.Members {
			n := 0
			for _, tp := range m.Assignment.TopicPartitions {
				n += len(tp.Partitions)
			}
			total, least, most = total+n, min(least, n), max(most, n)
			if m.MemberType == 0 {
				old++
			}
		}
		if g.State != "Stable" || len(g.Members) != members || old != classic || total != groupPartitions || most-least > 1 {
			return fmt.Errorf("%s with %d members (%d classic), %d partitions in shares from %d to %d", g.State, len(g.Members), old, total, least, most)
		}
		return nil
	})
}

var recordOf = regexp.MustCompile(`record-\d+`)

// reads writes some more into all partitions, and waits until the members have read everything that ever was written.
func (h *household) reads() {
	h.t.Helper()
	var batch []*kgo.Record
	for range 10 * groupPartitions {
		batch = append(batch, &kgo.Record{Value: fmt.Appendf(nil, "record-%d", h.written)})
		h.written++
	}
	if err := h.client.ProduceSync(soon(h.t), batch...).FirstErr(); err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, "all is read", func() error {
		seen := map[string]bool{}
		for _, text := range h.readers {
			for _, r := range recordOf.FindAllString(text(), -1) {
				seen[r] = true
			}
		}
		if len(seen) != h.written {
			return fmt.Errorf("%d of %d", len(seen), h.written)
		}
		return nil
	})
}

// quickGroups are short times for groups of both protocols.
func quickGroups() map[string]string {
	return map[string]string{
		"group.consumer.session.timeout.ms": "6000", "group.consumer.min.session.timeout.ms": "6000",
		"group.consumer.heartbeat.interval.ms": "500", "group.consumer.min.heartbeat.interval.ms": "500",
	}
}

// stores runs a test with both stores. Apache Kafka 3.9.2 has no consumer protocol with ZooKeeper.
func stores(t *testing.T, f func(t *testing.T, addr string)) {
	if kind() == peers.Kafka {
		t.Skip("3.9.2 in ZooKeeper mode refuses the consumer protocol")
	}
	t.Run("embedded", func(t *testing.T) { f(t, start(t, peers.Options{Settings: quickGroups()}).Addr) })
	t.Run("zookeeper", func(t *testing.T) {
		f(t, start(t, peers.Options{Settings: quickGroups(), ZooKeeper: keeper(t).Addr + "/" + strings.ReplaceAll(t.Name(), "/", "-")}).Addr)
	})
}

// TestConsumerProtocol has members of all families in one group, through joins, departures and crashes.
func TestConsumerProtocol(t *testing.T) {
	stores(t, func(t *testing.T, addr string) {
		h := newHousehold(t, addr, "kip848")
		java := h.java("consumer")
		h.together(1, 0)
		h.reads()
		python, franz := h.python("consumer"), h.franz()
		h.together(3, 0)
		h.reads()
		b := toolbox{t, "4.3.1", addr}
		b.shows(b.run("", consumerGroups, "--list", "--type", "consumer"), "(?m)^"+h.group+"\\s+Consumer")
		b.shows(b.run("", consumerGroups, "--describe", "--group", h.group, "--state"), h.group+"\\s.*uniform\\s+Stable\\s+3")
		b.shows(b.run("", consumerGroups, "--describe", "--group", h.group, "--members", "--verbose"), h.group+"\\s.*\\sjava\\s+2\\s", h.group+"\\s.*\\spython\\s+2\\s", h.group+"\\s.*\\sfranz\\s+2\\s")
		b.shows(b.run("", consumerGroups, "--describe", "--group", h.group), h.topic+"\\s+0\\s+\\d+\\s+20\\s")
		h.saysTheSame(b)
		out, _ := b.try("", consumerGroups, "--delete", "--group", h.group)
		b.shows(out, "(?i)not empty")

		python.crash()
		h.together(2, 0)
		h.reads()
		second := h.python("consumer", "static-one")
		h.together(3, 0)
		java.crash()
		h.together(2, 0)
		h.reads()
		java = h.java("consumer", "group.instance.id=static-two", "group.remote.assignor=range")
		h.together(3, 0)
		h.reads()

		franz.stop()
		second.stop() // static: it is away for a while, and then for good
		h.together(1, 0)
		h.reads()
		java.crash()
		eventually(t, "the group is empty", func() error {
			g, err := h.describe()
			if err == nil && g.State != "Empty" {
				err = fmt.Errorf("it is %s", g.State)
			}
			return err
		})
		b.shows(b.run("", consumerGroups, "--delete", "--group", h.group), "successful")
	})
}

var blanks = regexp.MustCompile(`\s+`)

// saysTheSame holds what the broker's own tool tells of the group's offsets and members to what kafka-consumer-groups tells.
func (h *household) saysTheSame(b toolbox) {
	h.t.Helper()
	rows := func(out string, wanted func(f []string) string) []string {
		var rows []string
		for line := range strings.Lines(out) {
			if row := wanted(blanks.Split(strings.TrimSpace(line), -1)); row != "" {
				rows = append(rows, row)
			}
		}
		slices.Sort(rows)
		return rows
	}
	ours := func(args ...string) string {
		return run(h.t, nil, "", peers.Binary(), append([]string{"group", "describe", h.group, "-b", h.addr}, args...)...)
	}
	for _, c := range []struct {
		theirs, ours []string // arguments
		of, by       func(f []string) string
	}{
		{nil, nil, func(f []string) string { // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID ...
			if len(f) > 6 && f[1] == h.topic {
				return strings.Join([]string{f[2], f[3], f[4], f[5], f[6]}, " ")
			}
			return ""
		}, func(f []string) string { // TOPIC PARTITION COMMITTED START END LAG MEMBER
			if len(f) > 6 && f[0] == h.topic {
				return strings.Join([]string{f[1], f[2], f[4], f[5], f[6]}, " ")
			}
			return ""
		}},
		{[]string{"--members", "--verbose"}, []string{"--members"}, func(f []string) string { // GROUP CONSUMER-ID HOST CLIENT-ID #PARTITIONS CURRENT-EPOCH CURRENT-ASSIGNMENT ...
			if len(f) > 6 && f[0] == h.group {
				return strings.Join([]string{f[1], f[2], f[3], f[5], f[6]}, " ")
			}
			return ""
		}, func(f []string) string { // MEMBER INSTANCE CLIENT HOST PROTOCOL EPOCH ASSIGNED TARGET
			if len(f) > 7 && f[0] != "MEMBER" {
				return strings.Join([]string{f[0], f[3], f[2], f[5], f[6]}, " ")
			}
			return ""
		}},
	} {
		var kafka, barnabas []string
		if err := peers.Until(soon(h.t), nil, "both tools say the same", func() error { // commits go on in between
			kafka = rows(b.run("", consumerGroups, append([]string{"--describe", "--group", h.group}, c.theirs...)...), c.of)
			barnabas = rows(ours(c.ours...), c.by)
			if len(kafka) == 0 || !slices.Equal(kafka, barnabas) {
				return fmt.Errorf("kafka-consumer-groups:\n%s\nbarnabas group:\n%s", strings.Join(kafka, "\n"), strings.Join(barnabas, "\n"))
			}
			return nil
		}); err != nil {
			h.t.Error(err)
		}
	}
}

// TestConsumerProtocolPattern has a member that subscribes with a regular expression, which the broker resolves, also for a topic that
// comes later.
func TestConsumerProtocolPattern(t *testing.T) {
	stores(t, func(t *testing.T, addr string) {
		h := newHousehold(t, addr, "patterns")
		h.subscription = "^patterns-.*"
		h.python("consumer")
		h.together(1, 0)
		h.reads()
		g, err := h.describe()
		if err != nil || g.Members[0].SubscribedTopicRegex == nil || !strings.Contains(*g.Members[0].SubscribedTopicRegex, "patterns-.*") {
			t.Fatalf("%+v %v", g, err) // librdkafka puts it into brackets of its own
		}
		create(t, addr, "other-topic", 1)
		h.topic = create(t, addr, "patterns-later", groupPartitions)
		h.client = client(t, addr, kgo.DefaultProduceTopic(h.topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
		h.reads()
		if g, err = h.describe(); err != nil || len(g.Members[0].Assignment.TopicPartitions) != 2 {
			t.Errorf("%+v %v", g, err)
		}
	})
}

// TestConsumerProtocolMigration upgrades a classic group member by member and back, while it reads.
func TestConsumerProtocolMigration(t *testing.T) {
	stores(t, func(t *testing.T, addr string) {
		h := newHousehold(t, addr, "migrating")
		oldJava, oldPython := h.java("classic", "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor"), h.python("classic")
		h.classic(2)
		h.reads()
		franz := h.franz()
		h.together(3, 2)
		h.reads()
		oldJava.stop()
		java := h.java("consumer")
		h.together(3, 1)
		h.reads()
		oldPython.crash()
		python := h.python("consumer")
		h.together(3, 0)
		h.reads()

		// And back: the last member of the consumer protocol that goes leaves a classic group.
		java.stop()
		oldJava = h.java("classic", "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor")
		h.together(3, 1)
		h.reads()
		python.stop()
		oldPython = h.python("classic")
		h.together(3, 2)
		franz.stop()
		h.classic(2)
		h.reads()
		oldJava.stop()
		oldPython.stop()
	})
}

// classic waits until the group is a stable one of the classic protocol with so many members.
func (h *household) classic(members int) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("a classic group of %d", members), func() error {
		groups, err := admin(h.t, h.addr).DescribeGroups(soon(h.t), h.group)
		if err != nil {
			return err
		}
		if g := groups[h.group]; g.Err != nil || g.State != "Stable" || len(g.Members) != members {
			return fmt.Errorf("%s with %d members (%v)", g.State, len(g.Members), g.Err)
		}
		return nil
	})
}

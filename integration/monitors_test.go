//go:build integration

package integration

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestMonitors has the same groups live, commit and end on Apache Kafka 3.9.2 and on the broker under test, each on a ZooKeeper, and
// asks those who watch: Apache's formatters of __consumer_offsets, kafka-consumer-groups, topicctl over the wire and over ZooKeeper, and
// a reader that folds __consumer_offsets as Burrow and kminion do. They must say the same of both, but for ports, ids and times.
func TestMonitors(t *testing.T) {
	t.Parallel()
	sides := []peers.Kind{peers.Kafka, kind()}
	seen := make([]map[string]string, len(sides))
	for i, k := range sides {
		chroot := fmt.Sprintf("/monitored-%d", i)
		b, err := peers.StartBroker(soon(t), filepath.Join(folder(t), fmt.Sprint(i)), peers.Options{Kind: k, ZooKeeper: keeper(t).Addr + chroot})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Kill)
		end := groupsToWatch(t, b.Addr)
		seen[i] = watch(t, b.Addr, chroot)
		end()
		seen[i]["the reader, members gone"] = foldOffsets(t, b.Addr)
	}
	for _, what := range slices.Sorted(maps.Keys(seen[0])) {
		if kafka, ours := seen[0][what], seen[1][what]; kafka != ours {
			t.Errorf("%s of Apache Kafka:\n%s\nof ours:\n%s", what, short(kafka), short(ours))
		} else if strings.TrimSpace(kafka) == "" {
			t.Errorf("%s says nothing", what)
		}
	}
}

// groupsToWatch makes one group with two members, one that commits from outside, one whose offsets are deleted in part, and one that is
// deleted. What it returns ends the members.
func groupsToWatch(t *testing.T, addr string) func() {
	ctx := soon(t)
	adm := admin(t, addr)
	create(t, addr, "orders", 3)
	create(t, addr, "events", 1)
	producer := client(t, addr, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 20 {
		for _, r := range []*kgo.Record{{Topic: "orders", Partition: int32(i % 3)}, {Topic: "events"}} {
			r.Value, r.Timestamp = fmt.Appendf(nil, "%d", i), time.UnixMilli(1_700_000_000_000+int64(i))
			if err := producer.ProduceSync(ctx, r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var members []*kgo.Client
	for _, name := range []string{"one", "two"} {
		assigned := make(chan struct{}, 100)
		c := client(t, addr, kgo.ConsumerGroup("living"), kgo.ConsumeTopics("orders", "events"), kgo.ClientID("client-"+name), kgo.InstanceID(name),
			kgo.Balancers(kgo.RangeBalancer()), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(100*time.Millisecond),
			kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { assigned <- struct{}{} }))
		members = append(members, c)
		polling, stop := context.WithCancel(ctx)
		t.Cleanup(stop)
		go func() {
			for polling.Err() == nil {
				c.PollFetches(polling)
				c.AllowRebalance()
			}
		}()
		select {
		case <-assigned:
		case <-ctx.Done():
			t.Fatalf("member %s is never assigned anything", name)
		}
	}
	stable := func() error {
		g, err := adm.DescribeGroups(ctx, "living")
		if err == nil && (g["living"].State != "Stable" || len(g["living"].Members) != 2) {
			err = fmt.Errorf("%s with %d members", g["living"].State, len(g["living"].Members))
		}
		return err
	}
	if err := peers.Until(ctx, nil, "both are members", stable); err != nil {
		t.Fatal(err)
	}
	commit := func(group, topic string, partition int32, at int64, note string) {
		t.Helper()
		var o kadm.Offsets
		o.Add(kadm.Offset{Topic: topic, Partition: partition, At: at, LeaderEpoch: 0, Metadata: note})
		if err := adm.CommitAllOffsets(ctx, group, o); err != nil {
			t.Fatal(err)
		}
	}
	commitAs(t, members[0], "orders", 0, 5)
	commitAs(t, members[1], "orders", 2, 3)
	commit("outside", "orders", 0, 1, "a note")
	commit("outside", "orders", 0, 2, "")
	commit("outside", "events", 0, 20, "at its end")
	commit("in-part", "orders", 1, 4, "")
	commit("in-part", "events", 0, 4, "")
	if _, err := adm.DeleteOffsets(ctx, "in-part", kadm.TopicsSet{"events": {0: {}}}); err != nil {
		t.Fatal(err)
	}
	commit("deleted", "events", 0, 9, "")
	if _, err := adm.DeleteGroups(ctx, "deleted"); err != nil {
		t.Fatal(err)
	}
	return func() {
		for _, c := range members { // static members stay until they are removed, or their sessions end
			c.Close()
		}
		leave := kadm.LeaveGroup("living").InstanceIDs("one", "two").Reason("over")
		if _, err := adm.LeaveGroup(ctx, leave); err != nil {
			t.Fatal(err)
		}
	}
}

// commitAs commits as a member of the group that a client is.
func commitAs(t *testing.T, c *kgo.Client, topic string, partition int32, at int64) {
	t.Helper()
	done := make(chan error, 1)
	c.CommitOffsetsSync(soon(t), map[string]map[int32]kgo.EpochOffset{topic: {partition: {Epoch: 0, Offset: at}}},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			if err == nil && resp.Topics[0].Partitions[0].ErrorCode != 0 {
				err = fmt.Errorf("commit: error code %d", resp.Topics[0].Partitions[0].ErrorCode)
			}
			done <- err
		})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// watch asks everybody.
func watch(t *testing.T, addr, chroot string) map[string]string {
	seen := map[string]string{"the reader": foldOffsets(t, addr)}
	for _, version := range []string{"3.9.2", "4.3.1"} {
		b := toolbox{t, version, addr}
		for _, formatter := range []string{"OffsetsMessageFormatter", "GroupMetadataMessageFormatter"} {
			out, _ := b.try("", consoleConsumer, "--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", "2000", "--formatter", "org.apache.kafka.tools.consumer."+formatter)
			seen[version+" "+formatter] = monitored(out)
		}
		for _, args := range [][]string{{"--describe", "--all-groups"}, {"--describe", "--all-groups", "--members", "--verbose"}, {"--describe", "--all-groups", "--state"}, {"--list", "--state"}} {
			seen[version+" kafka-consumer-groups "+strings.Join(args, " ")] = monitored(b.run("", consumerGroups, args...))
		}
	}
	for _, over := range []string{"wire", "ZooKeeper"} {
		at := []string{"--broker-addr", addr}
		if over == "ZooKeeper" {
			at = []string{"--zk-addr", keeper(t).Addr, "--zk-prefix", chroot}
		}
		asked := [][]string{{"brokers", "--full"}, {"topics", "--full"}, {"partitions", "orders"}, {"balance", "orders"}, {"config", "orders"}, {"offsets", "orders"}, {"groups"}, {"members", "living", "--full"}, {"lags", "orders", "living"}}
		for _, args := range asked {
			seen["topicctl over "+over+" get "+strings.Join(args, " ")] = monitored(topicctl(t, append(append([]string{"get"}, args...), at...)...))
		}
	}
	return seen
}

// topicctl is what it says, also where it fails: it does not know the newer subscriptions of members.
func topicctl(t *testing.T, args ...string) string {
	t.Helper()
	program, err := peers.Installed("topicctl")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(soon(t), program, append(args, "--no-spinner")...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s\n%v", out, err)
	}
	return string(out)
}

// differing is what may differ between two brokers, and what is written in its place.
var differing = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`127\.0\.0\.1 \| \d+`), "127.0.0.1 | PORT"},
	{regexp.MustCompile(`console-consumer-\d+`), "console-consumer-N"},
	{regexp.MustCompile(`time="[^"]*"`), "TIME"},
	{regexp.MustCompile(`\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]`), "[TIME]"}, // of topicctl's own log
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*( [-+]\d{4} \S+)?`), "TIME"},
	{regexp.MustCompile(`\b1[789]\d{11}\b`), "MILLISECONDS"}, // now; the records' are from 2023
	{regexp.MustCompile(`[-─+|]{3,}`), ""},                   // rules of tables are as wide as ids
	{regexp.MustCompile(`[ \t]+`), " "},
	{regexp.MustCompile(`\}\{"key"`), "}\n{\"key\""}, // partitions are read in any order
}

// monitored is a tool's output without what may differ, its lines sorted.
func monitored(out string) string {
	for _, d := range differing {
		out = d.pattern.ReplaceAllString(out, d.with)
	}
	var lines []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, membersInOrder(line))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// foldOffsets reads __consumer_offsets to its end and keeps the last word on everything, as Burrow and kminion do; its account must be the
// one that the group coordinator gives.
func foldOffsets(t *testing.T, addr string) string {
	t.Helper()
	ctx := soon(t)
	adm := admin(t, addr)
	ends, err := adm.ListEndOffsets(ctx, "__consumer_offsets")
	if err != nil {
		t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	c := client(t, addr, kgo.ConsumeTopics("__consumer_offsets"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	fold := offsetsFold{offsets: map[string]string{}, groups: map[string]string{}}
	for len(left) > 0 {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		f.EachRecord(func(r *kgo.Record) {
			if err := fold.add(r.Key, r.Value); err != nil {
				t.Errorf("record %d of partition %d: %v", r.Offset, r.Partition, err)
			}
			if end, ok := left[r.Partition]; ok && r.Offset >= end-1 {
				delete(left, r.Partition)
			}
		})
	}
	groups, err := adm.ListGroups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, name := range groups.Groups() {
		offsets, err := adm.FetchOffsets(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		offsets.Each(func(o kadm.OffsetResponse) {
			told[fmt.Sprintf("%s %s-%d", name, o.Topic, o.Partition)] = fmt.Sprintf("%d epoch %d %q", o.At, o.LeaderEpoch, o.Metadata)
		})
	}
	if !maps.Equal(told, fold.offsets) {
		t.Errorf("the coordinator tells\n%v\nand the reader\n%v", told, fold.offsets)
	}
	return monitored(fmt.Sprintln(lines(fold.offsets), lines(fold.groups)))
}

// membersInOrder sorts the members that a formatter shows of a group: Kafka writes them in the order of a hash of their ids.
func membersInOrder(line string) string {
	before, rest, ok := strings.Cut(line, `"members":[`)
	list, after, closed := strings.Cut(rest, `]`)
	if !ok || !closed {
		return line
	}
	members := strings.Split(list, "},{")
	for i, m := range members {
		members[i] = strings.Trim(m, "{}")
	}
	slices.Sort(members)
	return before + `"members":[{` + strings.Join(members, "},{") + "}]" + after
}

func lines(m map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s: %s\n", k, m[k])
	}
	return b.String()
}

// offsetsFold is what is true after the records so far.
type offsetsFold struct{ offsets, groups map[string]string }

func (f *offsetsFold) add(key, value []byte) error {
	if len(key) < 2 {
		return fmt.Errorf("a key of %d bytes", len(key))
	}
	switch version := int16(key[0])<<8 | int16(key[1]); version {
	case 0, 1:
		k, v := kmsg.NewOffsetCommitKey(), kmsg.NewOffsetCommitValue()
		if err := k.ReadFrom(key); err != nil {
			return err
		}
		name := fmt.Sprintf("%s %s-%d", k.Group, k.Topic, k.Partition)
		if value == nil {
			delete(f.offsets, name)
			return nil
		}
		if err := v.ReadFrom(value); err != nil {
			return err
		}
		f.offsets[name] = fmt.Sprintf("%d epoch %d %q", v.Offset, v.LeaderEpoch, v.Metadata)
		return nil
	case 2:
		return f.group(key, value)
	default:
		return fmt.Errorf("a key of version %d", version)
	}
}

func (f *offsetsFold) group(key, value []byte) error {
	k, v := kmsg.NewGroupMetadataKey(), kmsg.NewGroupMetadataValue()
	if err := k.ReadFrom(key); err != nil {
		return err
	}
	if value == nil {
		delete(f.groups, k.Group)
		return nil
	}
	if err := v.ReadFrom(value); err != nil {
		return err
	}
	text := func(s *string) string {
		if s == nil {
			return "null"
		}
		return *s
	}
	slices.SortFunc(v.Members, func(a, b kmsg.GroupMetadataValueMember) int { return cmp.Compare(a.ClientID, b.ClientID) })
	told := fmt.Sprintf("type %s generation %d protocol %s", v.ProtocolType, v.Generation, text(v.Protocol))
	for _, m := range v.Members {
		subscription, assignment := kmsg.NewConsumerMemberMetadata(), kmsg.NewConsumerMemberAssignment()
		if err := subscription.ReadFrom(m.Subscription); err != nil {
			return fmt.Errorf("subscription of %s: %w", m.MemberID, err)
		}
		if err := assignment.ReadFrom(m.Assignment); err != nil {
			return fmt.Errorf("assignment of %s: %w", m.MemberID, err)
		}
		told += fmt.Sprintf("; member %s instance %s client %s host %s timeouts %d %d topics %v has", m.MemberID, text(m.InstanceID), m.ClientID, m.ClientHost, m.RebalanceTimeoutMillis, m.SessionTimeoutMillis, subscription.Topics)
		for _, a := range assignment.Topics {
			told += fmt.Sprintf(" %s %v", a.Topic, a.Partitions)
		}
	}
	f.groups[k.Group] = told
	return nil
}

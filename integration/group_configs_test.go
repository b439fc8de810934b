//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// briefGroups lets groups have sessions as short as a test can wait for.
func briefGroups() map[string]string {
	s := quickGroups()
	s["group.consumer.min.session.timeout.ms"] = "1000"
	return s
}

// TestGroupSettings has kafka-configs of 4.3.1 change the settings of single groups, which act on running groups and outlive the broker;
// and where they are kept in ZooKeeper.
func TestGroupSettings(t *testing.T) {
	if kind() == peers.Kafka {
		t.Skip("3.9.2 knows no settings of groups")
	}
	t.Run("embedded", func(t *testing.T) {
		groupSettings(t, start(t, peers.Options{Settings: briefGroups()}))
	})
	t.Run("zookeeper", func(t *testing.T) {
		z := keeper(t)
		chroot := "/group-settings"
		b := start(t, peers.Options{Settings: briefGroups(), ZooKeeper: z.Addr + chroot})
		groupSettings(t, b)
		nodes := tree(t, keeperSession(t, z.Addr), chroot)
		if got, want := nodes["/config/groups/a%2Fb%20c"], `{"version":1,"config":{"consumer.heartbeat.interval.ms":"800"}}`; !strings.HasPrefix(got, want) {
			t.Errorf("the node has %s, not %s", got, want)
		}
		notes := 0
		for path, data := range nodes {
			if strings.HasPrefix(path, "/config/changes/") && strings.Contains(data, `{"version":2,"entity_path":"groups/`) {
				notes++
			}
		}
		if _, there := nodes["/config/groups/steady"]; there || notes != 4 {
			t.Errorf("%d notes, in %v", notes, nodes)
		}
	})
}

func groupSettings(t *testing.T, b *peers.Broker) {
	tools := toolbox{t, "4.3.1", b.Addr}
	configs := func(args ...string) string {
		t.Helper()
		return tools.run("", configCommand, append([]string{"--entity-type", "groups"}, args...)...)
	}
	createOffsets(tools)
	create(t, b.Addr, "t", 1)
	steady := newBeating(t, b.Addr, "steady")
	if steady.beat(); steady.interval != 500 {
		t.Errorf("interval %d", steady.interval)
	}
	configs("--alter", "--entity-name", "steady", "--add-config", "consumer.heartbeat.interval.ms=700,consumer.session.timeout.ms=7000")
	if steady.beat(); steady.interval != 700 {
		t.Errorf("interval %d of a running group with another setting", steady.interval)
	}
	configs("--alter", "--entity-name", "a/b c", "--add-config", "consumer.heartbeat.interval.ms=800")
	configs("--alter", "--entity-name", "brief", "--add-config", "consumer.session.timeout.ms=1000")
	tools.fails("", configCommand, []string{"--entity-type", "groups", "--alter", "--entity-name", "steady", "--add-config", "consumer.session.timeout.ms=999"},
		"consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms")
	tools.fails("", configCommand, []string{"--entity-type", "groups", "--alter", "--entity-name", "steady", "--add-config", "nonsense=1"}, "Unknown group config name: nonsense")

	const own = "(?m)^  consumer.heartbeat.interval.ms=700 sensitive=false synonyms=\\{DYNAMIC_GROUP_CONFIG:consumer.heartbeat.interval.ms=700, STATIC_BROKER_CONFIG:group.consumer.heartbeat.interval.ms=500, DEFAULT_CONFIG:group.consumer.heartbeat.interval.ms=5000\\}$"
	shown := configs("--describe", "--entity-name", "steady")
	tools.shows(shown, "Dynamic configs for group steady are:", own)
	tools.shows(configs("--describe", "--entity-name", "brief", "--all"), "consumer.heartbeat.interval.ms=500 .*\\{STATIC_BROKER_CONFIG:group", "consumer.session.timeout.ms=1000 ")
	tools.shows(configs("--describe"), "Dynamic configs for group a/b c are:", "Dynamic configs for group brief are:", own)
	tools.shows(configs("--describe", "--entity-name", "nobody"), "(?i)doesn't exist and doesn't have dynamic config")
	if out := (toolbox{t, "3.9.2", b.Addr}).run("", configCommand, "--entity-type", "brokers", "--entity-name", "0", "--describe", "--all"); !strings.Contains(out, "group.coordinator.rebalance.protocols=classic,consumer sensitive=false synonyms={DEFAULT_CONFIG:group.coordinator.rebalance.protocols=classic,consumer}") {
		t.Errorf("the protocols are not shown as they are:\n%s", short(out))
	}

	// Two fall silent: who is in the brief group is soon taken out, the other is not.
	brief := newBeating(t, b.Addr, "brief")
	began := time.Now()
	steady.beat()
	eventually(t, "the session of the brief group ends", func() error {
		if n := brief.members(); n != 0 {
			return fmt.Errorf("%d members", n)
		}
		return nil
	})
	if took := time.Since(began); took < time.Second {
		t.Errorf("a session of 1 s has ended after %s", took)
	} else if took < 6*time.Second && steady.members() != 1 {
		t.Error("the steady group's has ended too")
	}

	if err := b.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := b.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	if got := configs("--describe", "--entity-name", "steady"); got != shown {
		t.Errorf("after a restart\n%s\nbefore\n%s", got, shown)
	}
	again := newBeating(t, b.Addr, "steady")
	if again.interval != 700 {
		t.Errorf("interval %d after a restart", again.interval)
	}
	configs("--alter", "--entity-name", "steady", "--delete-config", "consumer.heartbeat.interval.ms,consumer.session.timeout.ms")
	if again.beat(); again.interval != 500 {
		t.Errorf("interval %d without settings", again.interval)
	}
	if out := configs("--describe"); strings.Contains(out, "consumer.heartbeat.interval.ms=700") {
		t.Errorf("it still has them:\n%s", out)
	}
}

// beating is a member of a group of the consumer protocol that only beats when it is told to.
type beating struct {
	t        testing.TB
	client   *kgo.Client
	group    string
	member   string
	epoch    int32
	interval int32
}

func newBeating(t testing.TB, addr, group string) *beating {
	b := &beating{t: t, client: client(t, addr), group: group, member: "member-of-" + group}
	b.send(func(req *kmsg.ConsumerGroupHeartbeatRequest) {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.Topics = 60000, []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	})
	return b
}

func (b *beating) beat() { b.send(func(*kmsg.ConsumerGroupHeartbeatRequest) {}) }

func (b *beating) send(fill func(*kmsg.ConsumerGroupHeartbeatRequest)) {
	b.t.Helper()
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = b.group, b.member, b.epoch
	fill(req)
	eventually(b.t, "the coordinator answers", func() error { // it may be loading
		resp, err := req.RequestWith(soon(b.t), b.client)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			return err
		}
		b.epoch, b.interval = resp.MemberEpoch, resp.HeartbeatIntervalMillis
		return nil
	})
}

// members is how many the group has.
func (b *beating) members() int {
	b.t.Helper()
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{b.group}
	resp, err := req.RequestWith(soon(b.t), b.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.Groups[0].ErrorCode)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return len(resp.Groups[0].Members)
}

//go:build integration

package integration

import (
	"strconv"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Apache Kafka 3.9.2 has no groups of the consumer protocol (KIP-848) with ZooKeeper. It passes over their records in
// __consumer_offsets, and has bare offsets of a group where barnabas has members.

// sharedModern has members of the consumer protocol with barnabas and, between them, of the classic one with Kafka. idleModern is one
// that nobody looks at while Kafka serves.
const sharedModern, idleModern = "g-modern-shared", "g-modern-idle"

// modernGroups are the two groups as they were left.
type modernGroups struct {
	idle     *modernMember
	at       int64 // committed of rolled 0 in the shared group
	interval int   // the setting of the idle group
}

// A modernMember is one of a group of the consumer protocol, by its requests.
type modernMember struct {
	t         *testing.T
	addr      string
	group, id string
	epoch     int32
}

// join makes a member that subscribes to topics, or to those that a regular expression matches.
func (w *bothWays) join(group, id string, topics []string, regex *string) *modernMember {
	w.t.Helper()
	m := &modernMember{t: w.t, addr: w.addr, group: group, id: id}
	m.heartbeat(topics, regex)
	return m
}

func (m *modernMember) ask(req kmsg.Request, version int16) kmsg.Response {
	m.t.Helper()
	c, err := peers.Dial(m.addr)
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	req.SetVersion(version)
	resp, err := c.RoundTrip(req, 10*time.Second)
	if err != nil {
		m.t.Fatal(err)
	}
	return resp
}

// heartbeat keeps the member; topics or a regular expression are what it subscribes to from now on.
func (m *modernMember) heartbeat(topics []string, regex *string) {
	m.t.Helper()
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = m.group, m.id, m.epoch
	if topics != nil || regex != nil {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.SubscribedTopicRegex, req.Topics = 60_000, topics, regex, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	resp := m.ask(req, 1).(*kmsg.ConsumerGroupHeartbeatResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		m.t.Fatalf("member %s of %s, epoch %d: %v", m.id, m.group, m.epoch, err)
	}
	m.epoch = resp.MemberEpoch
}

func (m *modernMember) leave() {
	m.t.Helper()
	m.epoch = -1
	m.heartbeat(nil, nil)
}

// commit commits an offset of rolled 0.
func (m *modernMember) commit(at int64) {
	m.t.Helper()
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = at
	of := kmsg.NewOffsetCommitRequestTopic()
	of.Topic, of.Partitions = "rolled", []kmsg.OffsetCommitRequestTopicPartition{p}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation, req.Topics = m.group, m.id, m.epoch, []kmsg.OffsetCommitRequestTopic{of}
	resp := m.ask(req, 9).(*kmsg.OffsetCommitResponse)
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		m.t.Fatalf("%s commits: %v", m.group, err)
	}
}

const heartbeatInterval = "consumer.heartbeat.interval.ms" // a setting of single groups, which Kafka 3.9.2 has not

// setInterval changes a setting of the group.
func (m *modernMember) setInterval(ms int) {
	m.t.Helper()
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = heartbeatInterval, kmsg.StringPtr(strconv.Itoa(ms))
	of := kmsg.NewIncrementalAlterConfigsRequestResource()
	of.ResourceType, of.ResourceName, of.Configs = kmsg.ConfigResourceTypeGroupConfig, m.group, []kmsg.IncrementalAlterConfigsRequestResourceConfig{c}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{of}
	resp := m.ask(req, 1).(*kmsg.IncrementalAlterConfigsResponse)
	if err := kerr.ErrorForCode(resp.Resources[0].ErrorCode); err != nil {
		m.t.Fatalf("a setting of %s: %v", m.group, err)
	}
}

// interval is what the setting is.
func (m *modernMember) interval() int {
	m.t.Helper()
	of := kmsg.NewDescribeConfigsRequestResource()
	of.ResourceType, of.ResourceName, of.ConfigNames = kmsg.ConfigResourceTypeGroupConfig, m.group, []string{heartbeatInterval}
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = []kmsg.DescribeConfigsRequestResource{of}
	r := m.ask(req, 4).(*kmsg.DescribeConfigsResponse).Resources[0]
	if err := kerr.ErrorForCode(r.ErrorCode); err != nil || len(r.Configs) != 1 || r.Configs[0].Value == nil {
		m.t.Fatalf("settings of %s: %v %v", m.group, r.Configs, err)
	}
	ms, err := strconv.Atoi(*r.Configs[0].Value)
	if err != nil {
		m.t.Fatal(err)
	}
	return ms
}

// useModernGroups goes on in both groups, as the broker that serves now can.
func (w *bothWays) useModernGroups() {
	w.t.Helper()
	next := w.modern.at + 1
	if w.now.Opts.Kind == peers.Kafka {
		// The group is one of the classic protocol as soon as a member of that comes, and its offsets are where it begins.
		c := client(w.t, w.addr, kgo.ConsumerGroup(sharedModern), kgo.ConsumeTopics("rolled"), kgo.DisableAutoCommit())
		fs := c.PollRecords(soon(w.t), 1)
		if err := fs.Err(); err != nil {
			w.t.Fatal(err)
		}
		if r := fs.Records()[0]; r.Offset != w.modern.at {
			w.t.Errorf("round %d: a classic member of %s begins at offset %d, want %d", w.round, sharedModern, r.Offset, w.modern.at)
		}
		if err := c.CommitRecords(soon(w.t), fs.Records()...); err != nil {
			w.t.Fatal(err)
		}
		c.Close()
		w.modern.at = next
		return
	}
	o, err := admin(w.t, w.addr).FetchOffsets(soon(w.t), sharedModern)
	if err != nil {
		w.t.Fatal(err)
	}
	if at, ok := o.Lookup("rolled", 0); w.modern.idle != nil && (!ok || at.At != w.modern.at) {
		w.t.Errorf("round %d: %s has committed %d, want %d", w.round, sharedModern, at.At, w.modern.at)
	}
	if w.modern.idle != nil { // a classic member was the last there
		groups, err := admin(w.t, w.addr).DescribeGroups(soon(w.t), sharedModern)
		if g := groups[sharedModern]; err != nil || g.Err != nil || g.State != "Empty" || g.ProtocolType != "consumer" {
			w.t.Errorf("round %d: as a classic group %s is %+v (%v)", w.round, sharedModern, g, err)
		}
	}
	// Some members leave, and some are there when the broker ends.
	m := w.join(sharedModern, "shared", []string{"rolled"}, nil)
	m.commit(next)
	w.modern.at = next
	if w.round%4 == 1 {
		m.leave()
	}
	if w.modern.idle == nil {
		pattern := "codec-.*"
		w.join(idleModern, "by-pattern", nil, &pattern)
		w.modern.idle = w.join(idleModern, "idle", []string{"rolled"}, nil)
	}
	if was, want := w.modern.idle.interval(), w.modern.interval; want > 0 && was != want {
		w.t.Errorf("round %d: a setting of %s is %d, want %d", w.round, idleModern, was, want)
	}
	w.modern.interval = 5000 + w.round
	w.modern.idle.setInterval(w.modern.interval)
	w.modern.idle.heartbeat(nil, nil) // the member that Kafka knew nothing of
	w.modern.idle.commit(int64(1000 + w.round))
}

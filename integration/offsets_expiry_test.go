//go:build integration

package integration

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestOffsetsExpire has offsets end by KIP-211: commits of old clients bring a time of their own (retention_time of OffsetCommit v2 to v4),
// which is in milliseconds where offsets.retention.minutes is in minutes. They go when it is over and nobody in the group reads the topic;
// a group goes with its last offset; both leave tombstones, and the log cleaner takes those away. Apache Kafka passes with
// BARNABAS_TARGET=kafka.
func TestOffsetsExpire(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Settings = map[string]string{"offsets.topic.num.partitions": "1", "offsets.retention.check.interval.ms": "100",
		"log.cleaner.backoff.ms": "100", "group.min.session.timeout.ms": "1000"}
	b := start(t, o)
	e := &expiry{t: t, adm: admin(t, b.Addr), addr: b.Addr, conn: dial(t, b.Addr)}
	create(t, b.Addr, "read", 2)
	create(t, b.Addr, "unread", 1)
	createOffsets(toolbox{t: t, addr: b.Addr})

	const brief = 300 // ms
	e.commit("whole", kmsg.OffsetCommitRequest{}, "read", 0, brief)
	e.commit("whole", kmsg.OffsetCommitRequest{}, "unread", 0, brief)
	e.commit("part", kmsg.OffsetCommitRequest{}, "read", 0, brief)
	e.commit("part", kmsg.OffsetCommitRequest{}, "read", 1, -1)
	member := client(t, b.Addr, kgo.ConsumerGroup("living"), kgo.ConsumeTopics("read"), kgo.DisableAutoCommit(), kgo.Balancers(kgo.RangeBalancer()),
		kgo.HeartbeatInterval(200*time.Millisecond), kgo.SessionTimeout(10*time.Second))
	polling, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go func() {
		for polling.Err() == nil {
			member.PollFetches(polling)
		}
	}()
	e.wants("the member is in", "living", "Stable")
	id, generation := member.GroupMetadata()
	as := kmsg.OffsetCommitRequest{MemberID: id, Generation: generation}
	e.commit("living", as, "read", 0, brief)
	e.commit("living", as, "unread", 0, brief)
	committed := time.Now()

	e.wants("what nobody reads has ended", "living", "Stable read-0")
	if took := time.Since(committed); took < brief*time.Millisecond {
		t.Errorf("an offset that is kept for %d ms has ended after %s", brief, took)
	}
	e.wants("the group has ended", "whole", "Dead")
	e.wants("the other offset is kept", "part", "Empty read-1")
	e.wants("the member's topic is kept", "living", "Stable read-0") // 300 ms are over twice
	if left := e.listed(); !slices.Equal(left, []string{"living", "part"}) {
		t.Errorf("the groups are %v", left)
	}
	stop()
	member.Close()
	e.wants("nobody reads it any more", "living", "Dead")

	const ended = "living group=<nil> living read-0=<nil> living unread-0=<nil> part read-0=<nil> whole read-0=<nil> whole unread-0=<nil>"
	last := e.records()
	var tombstones []string
	for key, value := range last {
		if value == nil {
			tombstones = append(tombstones, key+"=<nil>")
		}
	}
	slices.Sort(tombstones)
	if got := strings.Join(tombstones, " "); got != ended { // a group that only keeps offsets has no record of its own
		t.Errorf("the tombstones are\n%s\nnot\n%s", got, ended)
	}

	settings := []kadm.AlterConfig{}
	for name, value := range map[string]string{"segment.ms": "100", "min.cleanable.dirty.ratio": "0.001", "delete.retention.ms": "100"} {
		settings = append(settings, kadm.AlterConfig{Name: name, Value: &value})
	}
	if _, err := e.adm.AlterTopicConfigs(soon(t), settings, "__consumer_offsets"); err != nil {
		t.Fatal(err)
	}
	rolls := int64(0)
	eventually(t, "the cleaner has taken the tombstones away", func() error {
		rolls++ // the last segment is not cleaned, and a new one takes a record
		e.commit("filler", kmsg.OffsetCommitRequest{}, "read", rolls, -1)
		var left []string
		for key, value := range e.records() {
			if value == nil || strings.HasPrefix(key, "whole") || strings.HasPrefix(key, "living") {
				left = append(left, key)
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("%v are still there", left)
		}
		return nil
	})
	e.wants("the other offset is kept", "part", "Empty read-1")
	if err := b.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := b.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	e.wants("the other offset is kept over a restart", "part", "Empty read-1")
	e.wants("an ended group does not come back", "whole", "Dead")
	e.wants("an ended group does not come back", "living", "Dead")
}

type expiry struct {
	t    testing.TB
	adm  *kadm.Client
	addr string
	conn *peers.Conn
}

// commit commits an offset as old clients do, to be kept for so many ms, -1 for as long as the broker says.
func (e *expiry) commit(group string, as kmsg.OffsetCommitRequest, topic string, partition, keep int64) {
	e.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.RetentionTimeMillis = 4, group, as.MemberID, cmp.Or(as.Generation, -1), keep
	named, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	if group == "filler" {
		p.Offset = partition
	} else {
		p.Partition = int32(partition)
	}
	named.Topic, named.Partitions = topic, append(named.Partitions, p)
	req.Topics = append(req.Topics, named)
	err := loaded(func() (int16, error) {
		resp, err := e.conn.RoundTrip(req, time.Minute)
		if err != nil {
			return 0, err
		}
		return resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode, nil
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

// wants waits until a group is in a state with these offsets.
func (e *expiry) wants(what, group, state string) {
	e.t.Helper()
	eventually(e.t, what, func() error {
		groups, err := e.adm.DescribeGroups(soon(e.t), group)
		if err != nil {
			return err
		}
		now := groups[group].State
		if err := groups[group].Err; err != nil {
			if err != kerr.GroupIDNotFound {
				return err
			}
			now = "Dead"
		}
		offsets, err := e.adm.FetchOffsets(soon(e.t), group)
		if err != nil {
			return err
		}
		var kept []string
		offsets.Each(func(o kadm.OffsetResponse) { kept = append(kept, fmt.Sprintf(" %s-%d", o.Topic, o.Partition)) })
		slices.Sort(kept)
		if now += strings.Join(kept, ""); now != state {
			return fmt.Errorf("%s is %s, not %s", group, now, state)
		}
		return nil
	})
}

func (e *expiry) listed() []string {
	e.t.Helper()
	groups, err := e.adm.ListGroups(soon(e.t))
	if err != nil {
		e.t.Fatal(err)
	}
	return groups.Groups()
}

// records are the last values in __consumer_offsets, by "GROUP TOPIC-PARTITION" and "GROUP group".
func (e *expiry) records() map[string][]byte {
	e.t.Helper()
	ends, err := e.adm.ListEndOffsets(soon(e.t), "__consumer_offsets")
	if err != nil {
		e.t.Fatal(err)
	}
	end, _ := ends.Lookup("__consumer_offsets", 0)
	c := client(e.t, e.addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"__consumer_offsets": {0: kgo.NewOffset().AtStart()}}))
	defer c.Close()
	last := map[string][]byte{}
	for at := int64(0); at < end.Offset; {
		f := c.PollFetches(soon(e.t))
		if err := f.Err(); err != nil {
			e.t.Fatal(err)
		}
		f.EachRecord(func(r *kgo.Record) {
			at = r.Offset + 1
			offset, group := kmsg.NewOffsetCommitKey(), kmsg.NewGroupMetadataKey()
			switch {
			case r.Key[1] == 2 && group.ReadFrom(r.Key) == nil:
				last[group.Group+" group"] = r.Value
			case offset.ReadFrom(r.Key) == nil:
				last[fmt.Sprintf("%s %s-%d", offset.Group, offset.Topic, offset.Partition)] = r.Value
			default:
				e.t.Errorf("key %x", r.Key)
			}
		})
	}
	return last
}

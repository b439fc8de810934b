package group

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/runtime"
)

// Versions of keys and values in __consumer_offsets. Keys 3 and up belong to later protocols; those of the consumer protocol are in
// consumer_records.go.
const (
	lastOffsetKey = 1 // 0 and 1 are offsets; 1 is written
	groupKeyOf    = 2

	lastOffsetValue    = 4 // read; 3 is written
	offsetValueExpires = 1 // written for a commit that has a retention of its own: the only one with that field
	offsetValueOf      = 3
	lastGroupValue     = 4 // read; 3 is written
	groupValueOf       = 3
)

func offsetKey(group, topic string, partition int32) []byte {
	k := kmsg.OffsetCommitKey{Version: lastOffsetKey, Group: group, Topic: topic, Partition: partition}
	return k.AppendTo(nil)
}

func groupKey(group string) []byte {
	k := kmsg.GroupMetadataKey{Version: groupKeyOf, Group: group}
	return k.AppendTo(nil)
}

func offsetValue(c committed) []byte {
	v := kmsg.OffsetCommitValue{Version: offsetValueOf, Offset: c.offset, LeaderEpoch: c.leaderEpoch, Metadata: c.metadata,
		CommitTimestamp: c.timestamp}
	if c.expires != -1 {
		v.Version, v.ExpireTimestamp = offsetValueExpires, c.expires
	}
	return v.AppendTo(nil)
}

// groupValue is the record of a group in its present generation, with the assignments by member id.
func groupValue(g *group, assignments map[string][]byte) []byte {
	v := kmsg.GroupMetadataValue{Version: groupValueOf, ProtocolType: g.protocolType, Generation: g.generation,
		Protocol: g.protocol, Leader: optional(g.leader), CurrentStateTimestamp: g.since,
		Members: make([]kmsg.GroupMetadataValueMember, len(g.members))}
	for i, m := range g.members {
		v.Members[i] = kmsg.GroupMetadataValueMember{MemberID: m.id, InstanceID: m.instance, ClientID: m.client.ID,
			ClientHost: m.client.Host, RebalanceTimeoutMillis: m.rebalanceTimeout, SessionTimeoutMillis: m.sessionTimeout,
			Subscription: m.metadata(*g.protocol), Assignment: assignments[m.id]}
	}
	return v.AppendTo(nil)
}

// record writes the group's metadata, which replay then applies.
func (m *machine) record(g *group, assignments map[string][]byte) error {
	return m.host.Write(runtime.Plain, runtime.Record{Key: groupKey(g.id), Value: groupValue(g, assignments)})
}

// OfKey is the group of a key in __consumer_offsets: that of an offset or of a group. A key that replay would skip, of another
// protocol or broken, has none.
func OfKey(key []byte) (group string, ok bool) {
	version, err := versionOf(key)
	switch {
	case err != nil:
	case version >= 0 && version <= lastOffsetKey:
		group, _, err = readOffsetKey(key)
		group = strings.Clone(group)
	case version == groupKeyOf:
		group, err = readGroupKey(key)
	case ofConsumerGroup(version):
		_, group, _, err = readConsumerKey(key)
	default:
		return "", false
	}
	return group, err == nil
}

// versionOf is the number that keys and values begin with.
func versionOf(b []byte) (int16, error) {
	if len(b) < 2 {
		return 0, fmt.Errorf("%d bytes instead of a version", len(b))
	}
	return int16(binary.BigEndian.Uint16(b)), nil
}

// readOffsetKey gives names that lie in the key's own bytes, which are the log's: what is kept of them is cloned. Most of a partition's
// records are commits of what is known already.
func readOffsetKey(b []byte) (group string, tp TopicPartition, err error) {
	var k kmsg.OffsetCommitKey
	if err := k.UnsafeReadFrom(b); err != nil {
		return "", tp, fmt.Errorf("key of an offset: %w", err)
	}
	return k.Group, TopicPartition{k.Topic, k.Partition}, nil
}

func readGroupKey(b []byte) (string, error) {
	var k kmsg.GroupMetadataKey
	if err := k.ReadFrom(b); err != nil {
		return "", fmt.Errorf("key of a group: %w", err)
	}
	return k.Group, nil
}

func readOffsetValue(b []byte, at int64) (committed, error) {
	version, err := versionOf(b)
	if err != nil {
		return committed{}, err
	}
	if version < 0 || version > lastOffsetValue {
		return committed{}, fmt.Errorf("offset in unknown version %d", version)
	}
	v := kmsg.NewOffsetCommitValue()
	if err := v.ReadFrom(b); err != nil {
		return committed{}, fmt.Errorf("offset in version %d: %w", version, err)
	}
	c := committed{offset: v.Offset, leaderEpoch: -1, metadata: v.Metadata, timestamp: v.CommitTimestamp, expires: -1, at: at}
	if version >= 3 {
		c.leaderEpoch = v.LeaderEpoch
	}
	if version == offsetValueExpires {
		c.expires = v.ExpireTimestamp
	}
	return c, nil
}

func readGroupValue(b []byte) (*kmsg.GroupMetadataValue, error) {
	version, err := versionOf(b)
	if err != nil {
		return nil, err
	}
	if version < 0 || version > lastGroupValue {
		return nil, fmt.Errorf("group in unknown version %d", version)
	}
	v := kmsg.NewGroupMetadataValue()
	v.CurrentStateTimestamp = -1
	if err := v.ReadFrom(b); err != nil {
		return nil, fmt.Errorf("group in version %d: %w", version, err)
	}
	if version == 0 {
		for i := range v.Members {
			v.Members[i].RebalanceTimeoutMillis = v.Members[i].SessionTimeoutMillis
		}
	}
	if len(v.Members) > 0 && v.Protocol == nil {
		return nil, fmt.Errorf("group with %d members and no protocol", len(v.Members))
	}
	return &v, nil
}

// adopt makes a metadata record the group's recorded half. Members that the record does not name are out; those that are known
// keep what lives in memory, and their protocols, of which a record holds only the selected one. Where the record has other
// metadata than the member is known with, it is of a later generation than the record that the member was loaded from.
func (g *group) adopt(v *kmsg.GroupMetadataValue) {
	named := make(map[string]bool, len(v.Members))
	for _, rm := range v.Members {
		named[rm.MemberID] = true
	}
	for i := len(g.members) - 1; i >= 0; i-- {
		if m := g.members[i]; !named[m.id] {
			g.remove(m)
		}
	}
	g.recorded = true
	g.generation, g.protocolType, g.protocol, g.since = v.Generation, v.ProtocolType, v.Protocol, v.CurrentStateTimestamp
	ordered := make([]*member, 0, len(v.Members))
	for _, rm := range v.Members {
		m := g.byID[rm.MemberID]
		if m == nil {
			m = &member{id: rm.MemberID, instance: rm.InstanceID, client: Client{rm.ClientID, rm.ClientHost},
				protocols: []Protocol{{*v.Protocol, bytes.Clone(rm.Subscription)}}}
			g.add(m, v.ProtocolType)
		} else if !m.offers(*v.Protocol) || !bytes.Equal(m.metadata(*v.Protocol), rm.Subscription) {
			g.update(m, []Protocol{{*v.Protocol, bytes.Clone(rm.Subscription)}}, m.rebalanceTimeout, m.sessionTimeout)
		}
		m.rebalanceTimeout, m.sessionTimeout = rm.RebalanceTimeoutMillis, rm.SessionTimeoutMillis
		m.assignment = bytes.Clone(rm.Assignment)
		ordered = append(ordered, m)
	}
	if len(ordered) == len(g.members) {
		g.members = ordered // by the record, since the oldest leads where there is a choice
	}
	g.leader = ""
	if v.Leader != nil {
		g.leader = *v.Leader
	}
	if g.byID[g.leader] == nil && len(g.members) > 0 {
		g.leader = g.members[0].id
	}
	g.state = Stable
	if len(g.members) == 0 {
		g.state = Empty
	}
	g.learnSubscriptions()
}

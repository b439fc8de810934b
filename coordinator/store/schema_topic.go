package store

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"
)

// Topic is the content of /brokers/topics/T: who holds which partition.
type Topic struct {
	// ID is the topic's UUID; zero when the node has none (written by brokers before 2.8).
	ID [16]byte
	// Partitions are the replicas of each partition, the preferred leader first. During a reassignment they are the
	// target followed by the replicas that will go.
	Partitions map[int32][]int32
	// Adding and Removing have only the partitions that are being reassigned.
	Adding, Removing map[int32][]int32
}

// EncodeTopic writes version 3. A topic without an ID gets no topic_id, as before inter.broker.protocol.version 2.8.
func EncodeTopic(t Topic) []byte {
	b := append([]byte(nil), '{')
	b = appendReplicas(appendField(b, "partitions"), t.Partitions)
	if t.ID != ([16]byte{}) {
		b = appendStringField(b, "topic_id", TopicIDText(t.ID))
	}
	b = appendReplicas(appendField(b, "adding_replicas"), t.Adding)
	b = appendReplicas(appendField(b, "removing_replicas"), t.Removing)
	b = appendIntField(b, "version", 3)
	return append(b, '}')
}

// appendReplicas leaves out what is empty, except a partition's own replicas, which never are.
func appendReplicas(dst []byte, m map[int32][]int32) []byte {
	partitions := make([]int32, 0, len(m))
	for p := range m {
		partitions = append(partitions, p)
	}
	mutableOrder(partitions, number)
	dst = append(dst, '{')
	for _, p := range partitions {
		dst = appendInts(appendField(dst, number(p)), m[p])
	}
	return append(dst, '}')
}

// DecodeTopic reads versions 1 to 3. Absent maps come out empty, not nil.
func DecodeTopic(data []byte) (Topic, error) {
	const what = "topic assignment"
	var v struct {
		ID         *string            `json:"topic_id"`
		Partitions map[string][]int32 `json:"partitions"`
		Adding     map[string][]int32 `json:"adding_replicas"`
		Removing   map[string][]int32 `json:"removing_replicas"`
	}
	if err := decode(what, data, &v); err != nil {
		return Topic{}, err
	}
	var t Topic
	if v.ID != nil {
		id, err := ParseTopicID(*v.ID)
		if err != nil {
			return Topic{}, fmt.Errorf("%s: %w", what, err)
		}
		t.ID = id
	}
	for _, m := range []struct {
		to   *map[int32][]int32
		from map[string][]int32
	}{{&t.Partitions, v.Partitions}, {&t.Adding, v.Adding}, {&t.Removing, v.Removing}} {
		*m.to = make(map[int32][]int32, len(m.from))
		for key, replicas := range m.from {
			p, err := strconv.ParseInt(key, 10, 32)
			if err != nil || p < 0 {
				return Topic{}, fmt.Errorf("%s: partition %q is not a number", what, key)
			}
			(*m.to)[int32(p)] = replicas
		}
	}
	return t, nil
}

// TopicIDText is an id as Kafka prints it: base64 for URLs without padding, 22 characters.
func TopicIDText(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseTopicID reads TopicIDText.
func ParseTopicID(s string) (id [16]byte, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("id %.40q is not 22 characters of base64", s)
	}
	return [16]byte(b), nil
}

// NewTopicID draws a random id. Kafka never draws one whose text starts with a dash (tools would take it for a flag),
// nor the reserved ids; the version bits of a random UUID exclude those. Cluster ids are drawn the same way.
func NewTopicID() [16]byte {
	for {
		if id := [16]byte(uuid.New()); TopicIDText(id)[0] != '-' {
			return id
		}
	}
}

// PartitionState is the content of /brokers/topics/T/partitions/P/state. The node's version is the partition epoch.
type PartitionState struct {
	Leader          int32 // -1 when there is none
	LeaderEpoch     int32
	ISR             []int32
	ControllerEpoch int32 // of the controller that wrote it
	Recovering      bool  // an unclean election made the leader, and it has not yet said that it recovered
}

// EncodePartitionState writes version 1, the only one.
func EncodePartitionState(s PartitionState) []byte {
	b := append([]byte(nil), '{')
	b = appendIntField(b, "controller_epoch", int64(s.ControllerEpoch))
	b = appendIntField(b, "leader", int64(s.Leader))
	b = appendIntField(b, "version", 1)
	if s.Recovering {
		b = appendIntField(b, "leader_recovery_state", 1)
	}
	b = appendIntField(b, "leader_epoch", int64(s.LeaderEpoch))
	b = appendInts(appendField(b, "isr"), s.ISR)
	return append(b, '}')
}

// DecodePartitionState reads EncodePartitionState.
func DecodePartitionState(data []byte) (PartitionState, error) {
	const what = "partition state"
	var v struct {
		Leader          *int32  `json:"leader"`
		LeaderEpoch     *int32  `json:"leader_epoch"`
		ControllerEpoch *int32  `json:"controller_epoch"`
		ISR             []int32 `json:"isr"`
		Recovery        int32   `json:"leader_recovery_state"`
	}
	if err := decode(what, data, &v); err != nil {
		return PartitionState{}, err
	}
	switch {
	case v.Leader == nil:
		return PartitionState{}, missing(what, "leader", data)
	case v.LeaderEpoch == nil:
		return PartitionState{}, missing(what, "leader_epoch", data)
	case v.ControllerEpoch == nil:
		return PartitionState{}, missing(what, "controller_epoch", data)
	case v.ISR == nil:
		return PartitionState{}, missing(what, "isr", data)
	}
	return PartitionState{
		Leader: *v.Leader, LeaderEpoch: *v.LeaderEpoch, ControllerEpoch: *v.ControllerEpoch,
		ISR: slices.Clip(v.ISR), Recovering: v.Recovery == 1,
	}, nil
}

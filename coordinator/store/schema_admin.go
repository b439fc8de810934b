package store

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// EncodePartitions writes the list of partitions that /isr_change_notification/isr_change_S and
// /admin/preferred_replica_election hold.
func EncodePartitions(partitions []TopicPartition) []byte {
	b := append([]byte(nil), '{')
	b = appendIntField(b, "version", 1)
	b = append(appendField(b, "partitions"), '[')
	for i, p := range partitions {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = appendStringField(b, "topic", p.Topic)
		b = appendIntField(b, "partition", int64(p.Partition))
		b = append(b, '}')
	}
	return append(b, ']', '}')
}

// DecodePartitions reads EncodePartitions.
func DecodePartitions(data []byte) ([]TopicPartition, error) {
	list, err := decodePartitionList("list of partitions", data)
	if err != nil {
		return nil, err
	}
	partitions := make([]TopicPartition, 0, len(list))
	for _, p := range list {
		partitions = append(partitions, TopicPartition{*p.Topic, *p.Partition})
	}
	return partitions, nil
}

// EncodeReassignment writes /admin/reassign_partitions, by which tools before 2.5 asked for a reassignment.
func EncodeReassignment(target map[TopicPartition][]int32) []byte {
	partitions := make([]TopicPartition, 0, len(target))
	for p := range target {
		partitions = append(partitions, p)
	}
	slices.SortFunc(partitions, func(a, b TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	b := append([]byte(nil), '{')
	b = appendIntField(b, "version", 1)
	b = append(appendField(b, "partitions"), '[')
	for i, p := range partitions {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = appendStringField(b, "topic", p.Topic)
		b = appendIntField(b, "partition", int64(p.Partition))
		b = appendInts(appendField(b, "replicas"), target[p])
		b = append(b, '}')
	}
	return append(b, ']', '}')
}

// DecodeReassignment reads EncodeReassignment.
func DecodeReassignment(data []byte) (map[TopicPartition][]int32, error) {
	list, err := decodePartitionList("reassignment", data)
	if err != nil {
		return nil, err
	}
	target := make(map[TopicPartition][]int32, len(list))
	for _, p := range list {
		target[TopicPartition{*p.Topic, *p.Partition}] = p.Replicas
	}
	return target, nil
}

type listedPartition struct {
	Topic     *string `json:"topic"`
	Partition *int32  `json:"partition"`
	Replicas  []int32 `json:"replicas"`
}

func decodePartitionList(what string, data []byte) ([]listedPartition, error) {
	var v struct {
		Partitions []listedPartition `json:"partitions"`
	}
	if err := decode(what, data, &v); err != nil {
		return nil, err
	}
	for _, p := range v.Partitions {
		if p.Topic == nil || p.Partition == nil {
			return nil, fmt.Errorf("%s: a partition without topic or number in %.200q", what, data)
		}
	}
	return v.Partitions, nil
}

// EncodeLogDirEvent writes a notification that a log dir of the broker has failed.
func EncodeLogDirEvent(broker int32) []byte {
	b := append([]byte(nil), '{')
	b = appendIntField(b, "version", 1)
	b = appendIntField(b, "broker", int64(broker))
	b = appendIntField(b, "event", 1)
	return append(b, '}')
}

// DecodeLogDirEvent reads EncodeLogDirEvent.
func DecodeLogDirEvent(data []byte) (broker int32, err error) {
	const what = "log dir event"
	var v struct {
		Broker *int32 `json:"broker"`
	}
	if err := decode(what, data, &v); err != nil {
		return 0, err
	}
	if v.Broker == nil {
		return 0, missing(what, "broker", data)
	}
	return *v.Broker, nil
}

// EncodeConsumerOffset writes the content of ConsumerOffsetPath.
func EncodeConsumerOffset(offset int64) []byte { return strconv.AppendInt(nil, offset, 10) }

// DecodeConsumerOffset reads EncodeConsumerOffset.
func DecodeConsumerOffset(data []byte) (int64, error) {
	offset, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("consumer offset: %.40q is not a number", data)
	}
	return offset, nil
}

// SequenceOf is the number at the end of a sequential node's name; false when there is none.
func SequenceOf(name string) (int64, bool) {
	if len(name) < 10 {
		return 0, false
	}
	n, err := strconv.ParseInt(name[len(name)-10:], 10, 64)
	return n, err == nil && n >= 0
}

package api

// DescribeProducers (key 61, KIP-664)
//
//	v0  the producers that a partition remembers

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/controller"
)

// DescribeProducers lists what the logs of this broker know of their producers, whether it leads the partitions or not.
func (f *Replicas) DescribeProducers(c *Call, req *kmsg.DescribeProducersRequest) Reply {
	resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
	img := f.Images.Current()
	size := answerSize{turn: c.turn()}
	defer size.end()
	for _, rt := range req.Topics {
		at := kmsg.NewDescribeProducersResponseTopic()
		at.Topic = rt.Topic
		err := controller.CheckTopicName(rt.Topic)
		text := refusalText(err)
		if err == nil && img.Topics[rt.Topic] == nil {
			err, text = kerr.UnknownTopicOrPartition, &kerr.UnknownTopicOrPartition.Description
		}
		for _, id := range rt.Partitions {
			p := kmsg.NewDescribeProducersResponseTopicPartition()
			p.Partition = id
			if err != nil {
				p.ErrorCode, p.ErrorMessage = code(err), text
			} else {
				f.describeProducers(rt.Topic, &p)
			}
			if !size.addMore(len(p.ActiveProducers)) {
				return Done(size.refused())
			}
			at.Partitions = append(at.Partitions, p)
		}
		resp.Topics = append(resp.Topics, at)
	}
	return Done(size.made(resp))
}

// describeProducers fills in one partition of a topic that exists. Errors found here have no message.
func (f *Replicas) describeProducers(topic string, at *kmsg.DescribeProducersResponseTopicPartition) {
	p := f.Partitions.Get(topic, at.Partition)
	switch {
	case p == nil && exists(f.Images.Current(), topic, at.Partition):
		at.ErrorCode = kerr.NotLeaderForPartition.Code
		return
	case p == nil:
		at.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return
	case p.Log().Failed() != nil:
		at.ErrorCode = kerr.KafkaStorageError.Code
		return
	}
	for _, s := range p.Log().Producers() {
		producer := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		last, _ := s.Last()
		producer.ProducerID, producer.ProducerEpoch, producer.LastSequence = s.ID, int32(s.Epoch), last.LastSequence
		producer.LastTimestamp, producer.CoordinatorEpoch, producer.CurrentTxnStartOffset = s.Timestamp, s.CoordinatorEpoch, s.TxnFirst
		at.ActiveProducers = append(at.ActiveProducers, producer)
	}
	slices.SortFunc(at.ActiveProducers, func(a, b kmsg.DescribeProducersResponseTopicPartitionActiveProducer) int {
		return cmp.Compare(a.ProducerID, b.ProducerID)
	})
}

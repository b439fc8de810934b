package api

// DeleteRecords (key 21, KIP-107): raises the log start of partitions.
//
//	v2  tagged fields (KIP-482)

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication/cluster"
)

// DeleteRecords answers with each partition's new low watermark. With one replica it is known at once.
func (d *Data) DeleteRecords(c *Call, req *kmsg.DeleteRecordsRequest) Reply {
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	img := d.Images.Current()
	topics := merged(req.Topics,
		func(t *kmsg.DeleteRecordsRequestTopic) byName { return byName{name: t.Topic} },
		func(t *kmsg.DeleteRecordsRequestTopic) *[]kmsg.DeleteRecordsRequestTopicPartition {
			return &t.Partitions
		},
		func(p *kmsg.DeleteRecordsRequestTopicPartition) int32 { return p.Partition })
	for _, t := range topics {
		at := kmsg.NewDeleteRecordsResponseTopic()
		at.Topic = t.Topic
		for _, rp := range t.Partitions {
			ap := kmsg.NewDeleteRecordsResponseTopicPartition()
			ap.Partition, ap.LowWatermark = rp.Partition, -1
			p, known := d.partition(img, t.Topic, rp.Partition)
			switch {
			case !known:
				ap.ErrorCode = kerr.UnknownTopicOrPartition.Code
			case cluster.Internal(t.Topic):
				ap.ErrorCode = kerr.InvalidTopicException.Code
			case p == nil:
				ap.ErrorCode = kerr.NotLeaderForPartition.Code
			case !p.Settings().Log.Delete:
				ap.ErrorCode = kerr.PolicyViolation.Code
			default:
				low, err := p.DeleteRecords(rp.Offset)
				ap.LowWatermark, ap.ErrorCode = low, code(err)
			}
			at.Partitions = append(at.Partitions, ap)
		}
		resp.Topics = append(resp.Topics, at)
	}
	return Done(resp)
}

package api

// OffsetForLeaderEpoch (key 23): where an epoch of the log ends, for whoever must find where two logs part.
//
//	v0  followers only (KIP-101)
//	v1  the answer names the epoch (KIP-279)
//	v2  the leader epoch that the asker knows; consumers may ask (KIP-320)
//	v3  replica id
//	v4  tagged fields (KIP-482)

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication"
)

// OffsetForLeaderEpoch looks up the epochs of each partition that this broker leads.
func (d *Data) OffsetForLeaderEpoch(c *Call, req *kmsg.OffsetForLeaderEpochRequest) Reply {
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	img := d.Images.Current()
	for _, t := range req.Topics {
		at := kmsg.NewOffsetForLeaderEpochResponseTopic()
		at.Topic = t.Topic
		for _, rp := range t.Partitions {
			ap := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			ap.Partition, ap.LeaderEpoch, ap.EndOffset = rp.Partition, -1, -1
			known := replication.NoEpoch
			if req.Version >= 2 {
				known = rp.CurrentLeaderEpoch
			}
			p, exists := d.partition(img, t.Topic, rp.Partition)
			switch {
			case !exists:
				ap.ErrorCode = kerr.UnknownTopicOrPartition.Code
			case p == nil:
				ap.ErrorCode = kerr.NotLeaderForPartition.Code
			default:
				if err := p.CheckLeader(known); err != nil {
					ap.ErrorCode = code(err)
				} else {
					ap.LeaderEpoch, ap.EndOffset = p.Log().EpochEnd(rp.LeaderEpoch)
				}
			}
			at.Partitions = append(at.Partitions, ap)
		}
		resp.Topics = append(resp.Topics, at)
	}
	return Done(resp)
}

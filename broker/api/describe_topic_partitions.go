package api

// DescribeTopicPartitions (key 75, KIP-966)
//
//	v0  topics page by page, with the eligible leader replicas that only KRaft has

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication/cluster"
)

// DescribeTopicPartitions describes topics in the order of their names, from the cursor on, until the limit is reached;
// the answer's cursor says where the next page begins. No topics means all.
func (f *Cluster) DescribeTopicPartitions(c *Call, req *kmsg.DescribeTopicPartitionsRequest) Reply {
	resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	img := f.Images.Current()
	all := len(req.Topics) == 0
	var names []string
	if all {
		names = img.TopicNames()
	}
	for _, rt := range req.Topics {
		names = append(names, rt.Topic)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	from, first := "", int32(0)
	if req.Cursor != nil {
		from, first = req.Cursor.Topic, req.Cursor.Partition
		if first < 0 || !all && !slices.Contains(names, from) {
			return Done(refusedDescription(req, resp, kerr.InvalidRequest))
		}
	}
	size := answerSize{turn: c.turn()}
	defer size.end()
	left := max(min(cmp.Or(f.PartitionLimit, defaultPartitionLimit), int(req.ResponsePartitionLimit)), 1)
	for _, name := range names {
		if name < from {
			continue
		}
		if left == 0 {
			resp.NextCursor = nextPage(name, 0)
			break
		}
		at := kmsg.NewDescribeTopicPartitionsResponseTopic()
		at.Topic, at.IsInternal, at.AuthorizedOperations = &name, cluster.Internal(name), allTopicOperations
		topic := img.Topics[name]
		if topic == nil {
			at.ErrorCode = kerr.UnknownTopicOrPartition.Code
			if !cluster.LegalTopicName(name) {
				at.ErrorCode = kerr.InvalidTopicException.Code
			}
			resp.Topics = append(resp.Topics, at)
			continue
		}
		at.TopicID = topic.ID
		begin := 0
		if name == from {
			begin = min(int(first), len(topic.Partitions))
		}
		end := min(begin+left, len(topic.Partitions))
		if !size.add(end - begin) {
			return Done(nil)
		}
		for id := begin; id < end; id++ {
			if p := topic.Partitions[id]; p != nil {
				at.Partitions = append(at.Partitions, describedPartition(img, c.Listener, int32(id), p))
			}
		}
		resp.Topics = append(resp.Topics, at)
		if end < len(topic.Partitions) {
			resp.NextCursor = nextPage(name, int32(end))
			break
		}
		left -= end - begin
	}
	return Done(size.made(resp))
}

func describedPartition(img *cluster.Image, listener string, id int32, p *cluster.Partition) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	at := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	at.Partition, at.LeaderID, at.LeaderEpoch = id, leaderOn(img, listener, p), p.LeaderEpoch
	at.Replicas, at.ISR, at.OfflineReplicas = p.Replicas, p.ISR, offlineReplicas(img, listener, p)
	at.EligibleLeaderReplicas, at.LastKnownELR = []int32{}, []int32{} // none, where null would mean unknown
	return at
}

func nextPage(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	next := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	next.Topic, next.Partition = topic, partition
	return &next
}

// refusedDescription names the error for each topic.
func refusedDescription(req *kmsg.DescribeTopicPartitionsRequest, resp *kmsg.DescribeTopicPartitionsResponse, why *kerr.Error) Response {
	for _, rt := range req.Topics {
		at := kmsg.NewDescribeTopicPartitionsResponseTopic()
		at.Topic, at.ErrorCode = kmsg.StringPtr(rt.Topic), why.Code
		resp.Topics = append(resp.Topics, at)
	}
	return resp
}

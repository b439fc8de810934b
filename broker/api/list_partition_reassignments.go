package api

// ListPartitionReassignments (key 46, KIP-455)
//
//	v0  what moves, of the partitions asked for or of all

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication/cluster"
)

// ListPartitionReassignments answers with the partitions that are being moved; those that are not, or do not exist, are
// left out. Only the controller answers.
func (f *Cluster) ListPartitionReassignments(_ *Call, req *kmsg.ListPartitionReassignmentsRequest) Reply {
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	if _, active := f.Controller.Active(); !active {
		resp.ErrorCode, resp.ErrorMessage = kerr.NotController.Code, &kerr.NotController.Description
		return Done(resp)
	}
	resp.ErrorMessage = kmsg.StringPtr("") // Kafka has no null here
	img := f.Images.Current()
	asked := map[string][]int32{}
	for _, rt := range req.Topics {
		asked[rt.Topic] = append(asked[rt.Topic], rt.Partitions...)
	}
	for _, name := range img.TopicNames() {
		at := kmsg.NewListPartitionReassignmentsResponseTopic()
		at.Topic = name
		wanted := map[int32]bool{}
		for _, id := range asked[name] {
			wanted[id] = true
		}
		for id, p := range img.Topics[name].Partitions {
			if p != nil && moves(p) && (req.Topics == nil || wanted[int32(id)]) {
				at.Partitions = append(at.Partitions, movingPartition(int32(id), p))
			}
		}
		if len(at.Partitions) > 0 {
			resp.Topics = append(resp.Topics, at)
		}
	}
	return Done(resp)
}

func moves(p *cluster.Partition) bool { return len(p.Adding) > 0 || len(p.Removing) > 0 }

func movingPartition(id int32, p *cluster.Partition) kmsg.ListPartitionReassignmentsResponseTopicPartition {
	at := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
	at.Partition, at.Replicas, at.AddingReplicas, at.RemovingReplicas = id, p.Replicas, p.Adding, p.Removing
	return at
}

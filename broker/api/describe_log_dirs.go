package api

// DescribeLogDirs (key 35, KIP-113)
//
//	v1  the client throttles itself (KIP-219)
//	v2  tagged fields
//	v3  top-level error
//	v4  size of the file system (KIP-827)
//	v5  cordoned dirs, which do not exist here (KIP-1066)

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication/cluster"
)

// DescribeLogDirs tells of each log dir which of the replicas asked for lie there, and how large they are. Null topics
// mean all; a dir that has failed is named with its error and nothing else.
func (f *Replicas) DescribeLogDirs(c *Call, req *kmsg.DescribeLogDirsRequest) Reply {
	dirs := f.LogDirs.LogDirs() // which looks at the disks
	size := answerSize{turn: c.turn()}
	defer size.end()
	if !size.begin() {
		return Done(nil)
	}
	resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	asked := map[cluster.TopicPartition]bool{}
	for _, rt := range req.Topics {
		for _, id := range rt.Partitions {
			asked[cluster.TopicPartition{Topic: rt.Topic, Partition: id}] = true
		}
	}
	held := map[string][]HeldReplica{}
	if req.Topics == nil || len(asked) > 0 {
		for r := range f.LogDirs.Held() {
			if req.Topics == nil || asked[cluster.TopicPartition{Topic: r.Topic, Partition: r.Partition}] {
				held[r.Dir] = append(held[r.Dir], r)
			}
		}
	}
	for _, dir := range dirs {
		at := kmsg.NewDescribeLogDirsResponseDir()
		at.Dir = dir.Path
		if dir.Err != nil {
			at.ErrorCode = kerr.KafkaStorageError.Code
		} else {
			at.TotalBytes, at.UsableBytes = dir.Total, dir.Usable
			at.Topics = replicasByTopic(held[dir.Path])
		}
		resp.Dirs = append(resp.Dirs, at)
	}
	return Done(size.made(resp))
}

func replicasByTopic(held []HeldReplica) (topics []kmsg.DescribeLogDirsResponseDirTopic) {
	slices.SortFunc(held, func(a, b HeldReplica) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	for _, r := range held {
		if len(topics) == 0 || topics[len(topics)-1].Topic != r.Topic {
			at := kmsg.NewDescribeLogDirsResponseDirTopic()
			at.Topic = r.Topic
			topics = append(topics, at)
		}
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition, p.Size, p.OffsetLag = r.Partition, r.Bytes, r.Lag
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, p)
	}
	return topics
}

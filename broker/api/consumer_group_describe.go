package api

// ConsumerGroupDescribe (key 69)
//
//	v1  the type of members (KIP-1099)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime"
	"barnabas/replication/cluster"
)

// The types of members.
const (
	classicMember  = 0
	consumerMember = 1
)

// ConsumerGroupDescribe shows groups of the consumer protocol; others are not found. A group named twice is answered twice.
func (g *Groups) ConsumerGroupDescribe(c *Call, req *kmsg.ConsumerGroupDescribeRequest) Reply {
	return Later(func(ctx context.Context) Response {
		found, resp := gather(ctx, c, req.Groups, group.ConsumerDescriptionResult.Size, func(i, most int) *runtime.Promise[group.ConsumerDescriptionResult] {
			return g.Coordinator.DescribeConsumer(req.Groups[i], most)
		})
		if found == nil {
			return resp
		}
		defer found.end()
		img := g.Images.Current()
		answer := req.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
		answer.Groups = make([]kmsg.ConsumerGroupDescribeResponseGroup, len(req.Groups))
		for i, a := range found.answers {
			answer.Groups[i] = describedConsumer(img, req, req.Groups[i], a.value, a.err)
		}
		return found.size.made(answer)
	})
}

// describedConsumer is what is said of one group.
func describedConsumer(img *cluster.Image, req *kmsg.ConsumerGroupDescribeRequest, id string, r group.ConsumerDescriptionResult, err error) kmsg.ConsumerGroupDescribeResponseGroup {
	out := kmsg.NewConsumerGroupDescribeResponseGroup()
	out.Group = id
	message := ""
	if err != nil {
		refused := refusal(err, kerr.CoordinatorNotAvailable)
		err, message = refused, refused.Description
	} else {
		err, message = r.Refusal()
	}
	if err != nil {
		out.ErrorCode, out.ErrorMessage = code(err), &message
		return out
	}
	describeConsumerGroup(img, r.ConsumerDescription, &out)
	if req.IncludeAuthorizedOperations {
		out.AuthorizedOperations = allGroupOperations
	}
	return out
}

func describeConsumerGroup(img *cluster.Image, d *group.ConsumerDescription, out *kmsg.ConsumerGroupDescribeResponseGroup) {
	out.State, out.Epoch, out.AssignmentEpoch, out.AssignorName = d.State, d.Epoch, d.TargetEpoch, d.Assignor
	out.Members = make([]kmsg.ConsumerGroupDescribeResponseGroupMember, len(d.Members))
	for i, m := range d.Members {
		kind := int8(consumerMember)
		if m.Classic {
			kind = classicMember
		}
		out.Members[i] = kmsg.ConsumerGroupDescribeResponseGroupMember{MemberID: m.ID, InstanceID: m.Instance, RackID: m.Rack,
			MemberEpoch: m.Epoch, ClientID: m.Client.ID, ClientHost: m.Client.Host, SubscribedTopics: m.Topics,
			SubscribedTopicRegex: &m.Regex, Assignment: describeAssignment(img, m.Assigned),
			TargetAssignment: describeAssignment(img, m.Target), MemberType: kind}
	}
}

// describeAssignment leaves out topics that are gone.
func describeAssignment(img *cluster.Image, topics [][]assign.Partition) (a kmsg.Assignment) {
	for _, ps := range topics {
		if t := img.ByID[ps[0].Topic]; t != nil {
			a.TopicPartitions = append(a.TopicPartitions, kmsg.AssignmentTopicPartition{TopicID: t.ID, Topic: t.Name,
				Partitions: partitionIDs(ps)})
		}
	}
	return a
}

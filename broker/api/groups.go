package api

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/group"
	"barnabas/replication/cluster"
)

// InternalTopics brings about the topics that the broker keeps for itself.
type InternalTopics interface {
	// Ensure creates the topic with its own settings if it is not there, and returns once this broker's image has its
	// leaders, or with the reason why it has not.
	Ensure(ctx context.Context, topic string) error
}

// LegacyOffsets are the offsets of clients older than 0.9, in the coordination store under /consumers.
type LegacyOffsets interface {
	CommitOffset(ctx context.Context, group, topic string, partition int32, offset int64) error
	FetchOffset(ctx context.Context, group, topic string, partition int32) (offset int64, found bool, err error)
}

// Groups is the family of group members and committed offsets.
type Groups struct {
	Coordinator *group.Coordinator
	Images      Images
	Internal    InternalTopics
	Legacy      LegacyOffsets
}

// routes are the rows of the table that this family serves.
func (g *Groups) routes() []Route {
	return []Route{
		route(g.OffsetCommit, inPlace),
		route(g.OffsetFetch, inPlace, gathers),
		route(g.FindCoordinator, inPlace),
		route(g.JoinGroup, carries),
		route(g.Heartbeat, inPlace),
		route(g.LeaveGroup, inPlace),
		route(g.SyncGroup, carries),
		route(g.DescribeGroups, inPlace, gathers),
		route(g.ListGroups, inPlace, gathers),
		route(g.DeleteGroups, inPlace),
		route(g.OffsetDelete, inPlace),
		route(g.ConsumerGroupHeartbeat, inPlace),
		route(g.ConsumerGroupDescribe, inPlace, gathers),
	}
}

// allGroupOperations is what may be done to a group without an authorizer, as bits of AclOperation (KIP-430).
const allGroupOperations = 328

// number is the error's code, 0 for nil.
func number(e *kerr.Error) int16 {
	if e == nil {
		return 0
	}
	return e.Code
}

// refusal is the error of a group request that the coordinator has not answered. Clients do not expect REQUEST_TIMED_OUT
// from most of them; late is what says the same to them.
func refusal(err error, late *kerr.Error) *kerr.Error {
	ke := asKafka(err)
	if ke == kerr.RequestTimedOut {
		return late
	}
	return ke
}

// gone says that the answer is of no use any more: the connection or the broker ends.
func gone(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// exists says whether the cluster has the partition.
func exists(img *cluster.Image, topic string, partition int32) bool {
	return img.Partition(topic, partition) != nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

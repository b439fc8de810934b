package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func joinsConsumers(member string) *kmsg.ConsumerGroupHeartbeatRequest {
	r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	r.Group, r.MemberID, r.RebalanceTimeoutMillis = "g", member, 60000
	r.SubscribedTopicNames, r.Topics = []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return r
}

func TestConsumerGroupHeartbeat(t *testing.T) {
	s := newGroupStage(t)
	// Version 0 gives an id to who has none, version 1 does not.
	if r := ask[*kmsg.ConsumerGroupHeartbeatResponse](s, 1, joinsConsumers("")); r.ErrorCode != kerr.InvalidRequest.Code || r.ErrorMessage == nil || *r.ErrorMessage != "MemberId can't be empty." {
		t.Fatalf("%+v", r)
	}
	first := ask[*kmsg.ConsumerGroupHeartbeatResponse](s, 0, joinsConsumers(""))
	want := &kmsg.ConsumerGroupHeartbeatResponseAssignment{Topics: []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{{TopicID: [16]byte{7}, Partitions: []int32{0, 1}}}}
	if first.ErrorCode != 0 || first.MemberID == nil || len(*first.MemberID) != 22 || first.MemberEpoch != 2 || first.HeartbeatIntervalMillis != 5000 {
		t.Fatalf("%+v", first)
	}
	if diff := cmp.Diff(want, first.Assignment, ignoreTags); diff != "" {
		t.Fatal(diff)
	}
	// What is as before is not said again, by either side.
	next := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	next.Group, next.MemberID, next.MemberEpoch = "g", *first.MemberID, 2
	if r := ask[*kmsg.ConsumerGroupHeartbeatResponse](s, 1, next); r.ErrorCode != 0 || r.MemberEpoch != 2 || r.Assignment != nil {
		t.Fatalf("%+v", r)
	}
	// A second member with a regular expression; the first gives up its second partition.
	second := joinsConsumers("two")
	second.SubscribedTopicNames, second.SubscribedTopicRegex = nil, kmsg.StringPtr("t|nothing")
	if r := ask[*kmsg.ConsumerGroupHeartbeatResponse](s, 1, second); r.ErrorCode != 0 || r.MemberEpoch != 3 || len(r.Assignment.Topics) != 0 {
		t.Fatalf("%+v", r)
	}
	next.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: [16]byte{7}, Partitions: []int32{0, 1}}}
	if r := ask[*kmsg.ConsumerGroupHeartbeatResponse](s, 1, next); r.MemberEpoch != 2 || len(r.Assignment.Topics) != 1 || len(r.Assignment.Topics[0].Partitions) != 1 {
		t.Fatalf("%+v", r)
	}
	next.Topics[0].Partitions = next.Topics[0].Partitions[:1]
	if r := ask[*kmsg.ConsumerGroupHeartbeatResponse](s, 1, next); r.ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
}

func TestConsumerGroupDescribe(t *testing.T) {
	s := newGroupStage(t)
	join := joinsConsumers("one")
	join.InstanceID, join.RackID = kmsg.StringPtr("i"), kmsg.StringPtr("r")
	ask[*kmsg.ConsumerGroupHeartbeatResponse](s, 1, join)
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{"g", "nobody"}, true
	r := ask[*kmsg.ConsumerGroupDescribeResponse](s, 1, req)
	has := kmsg.Assignment{TopicPartitions: []kmsg.AssignmentTopicPartition{{TopicID: [16]byte{7}, Topic: "t", Partitions: []int32{0, 1}}}}
	if diff := cmp.Diff(kmsg.ConsumerGroupDescribeResponseGroup{Group: "g", State: "Stable", Epoch: 2, AssignmentEpoch: 2, AssignorName: "uniform",
		AuthorizedOperations: allGroupOperations, Members: []kmsg.ConsumerGroupDescribeResponseGroupMember{{MemberID: "one", InstanceID: join.InstanceID,
			RackID: join.RackID, MemberEpoch: 2, ClientID: "client", ClientHost: "/127.0.0.1", SubscribedTopics: []string{"t"},
			SubscribedTopicRegex: new(string), Assignment: has, TargetAssignment: has, MemberType: consumerMember}}}, r.Groups[0], ignoreTags); diff != "" {
		t.Error(diff)
	}
	if g := r.Groups[1]; g.ErrorCode != kerr.GroupIDNotFound.Code || g.ErrorMessage == nil || *g.ErrorMessage != "Group nobody not found." {
		t.Errorf("%+v", g)
	}
	// The other kind of description does not know it; a list does.
	if g := ask[*kmsg.DescribeGroupsResponse](s, 6, &kmsg.DescribeGroupsRequest{Groups: []string{"g"}}).Groups[0]; g.ErrorCode != kerr.GroupIDNotFound.Code || g.State != "Dead" || *g.ErrorMessage != "Group g is not a classic group." {
		t.Errorf("%+v", g)
	}
	if g := ask[*kmsg.DescribeGroupsResponse](s, 5, &kmsg.DescribeGroupsRequest{Groups: []string{"g"}}).Groups[0]; g.ErrorCode != 0 || g.State != "Dead" || len(g.Members) != 0 {
		t.Errorf("%+v", g)
	}
	if l := ask[*kmsg.ListGroupsResponse](s, 5, &kmsg.ListGroupsRequest{TypesFilter: []string{"consumer"}}); len(l.Groups) != 1 || l.Groups[0].GroupType != "consumer" || l.Groups[0].GroupState != "Stable" {
		t.Errorf("%+v", l)
	}
}

// TestOffsetsOfConsumerMembers: from version 9 of both APIs the generation is the member's epoch.
func TestOffsetsOfConsumerMembers(t *testing.T) {
	s := newGroupStage(t)
	ask[*kmsg.ConsumerGroupHeartbeatResponse](s, 1, joinsConsumers("one"))
	commit := func(version int16, epoch int32) int16 {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.MemberID, req.Generation = "g", "one", epoch
		req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", TopicID: [16]byte{7}, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 1, Offset: 5, LeaderEpoch: -1}}}}
		return ask[*kmsg.OffsetCommitResponse](s, version, req).Topics[0].Partitions[0].ErrorCode
	}
	for _, c := range []struct {
		version int16
		epoch   int32
		want    int16
	}{{8, 2, kerr.UnsupportedVersion.Code}, {9, 2, 0}, {10, 2, 0}, {9, 1, kerr.StaleMemberEpoch.Code}, {10, 3, kerr.StaleMemberEpoch.Code}, {9, -1, kerr.StaleMemberEpoch.Code}} {
		if got := commit(c.version, c.epoch); got != c.want {
			t.Errorf("commit v%d in epoch %d: %d, want %d", c.version, c.epoch, got, c.want)
		}
	}
	for _, c := range []struct {
		version int16
		member  *string
		epoch   int32
		want    int16
	}{{8, nil, -1, 0}, {9, nil, -1, 0}, {9, kmsg.StringPtr("one"), 2, 0}, {10, kmsg.StringPtr("one"), 2, 0}, {10, kmsg.StringPtr("one"), 1, kerr.StaleMemberEpoch.Code},
		{9, kmsg.StringPtr("two"), 2, kerr.UnknownMemberID.Code}, {9, nil, 2, kerr.UnknownMemberID.Code}} {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g", MemberID: c.member, MemberEpoch: c.epoch}}
		g := ask[*kmsg.OffsetFetchResponse](s, c.version, req).Groups[0]
		if g.ErrorCode != c.want || c.want == 0 && (len(g.Topics) != 1 || g.Topics[0].Partitions[0].Offset != 5) {
			t.Errorf("fetch v%d of %v in epoch %d: %+v, want %d", c.version, c.member, c.epoch, g, c.want)
		}
	}
}

package api

import (
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol"
	"barnabas/replication/cluster"
)

// Who asks for the same settings again and again, in six bytes each, is not answered without end.
func TestTheSameSettingsWithoutEnd(t *testing.T) {
	f, _ := newConfigs(t, map[string]string{"log.dirs": "/tmp/none", "broker.id": "2"}, nil)
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version = 4
	req.Resources = slices.Repeat([]kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "2"}}, answerMax/300)
	resp := f.describe(&Call{}, req)
	m, ok := resp.(tooLarge)
	if !ok {
		t.Fatalf("%d answers", len(resp.(*kmsg.DescribeConfigsResponse).Resources))
	}
	if err := m.AppendMessage(&protocol.Message{}); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	// Nor is anything made for a client that is gone: two hundred who had asked for it and left kept a broker from stopping for minutes.
	gone := make(chan struct{})
	close(gone)
	if resp := f.describe(&Call{Gone: gone}, req); resp != nil {
		t.Errorf("an answer for nobody: %T", resp)
	}
	req.Resources = req.Resources[:2]
	two := kmsg.NewPtrDescribeConfigsResponse()
	two.Version = 4
	if err := two.ReadFrom(f.describe(&Call{}, req).AppendTo(nil)); err != nil || len(two.Resources) != 2 || len(two.Resources[1].Configs) < 300 {
		t.Fatalf("%+v, %v", two, err)
	}
}

// Nor who asks for the same group, whose members have brought much, or for all offsets of one.
func TestTheSameGroupWithoutEnd(t *testing.T) {
	s := newGroupStage(t)
	join := joinRequest("", nil)
	member := ask[*kmsg.JoinGroupResponse](s, 3, join)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation = join.Group, member.MemberID, member.Generation
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: member.MemberID, MemberAssignment: make([]byte, 512<<10)}}
	if r := ask[*kmsg.SyncGroupResponse](s, 2, sync); r.ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Version = 5
	describe.Groups = slices.Repeat([]string{join.Group}, answerMax/(512<<10/answerUnit)+1)
	if resp := s.serve(5, describe); resp != (tooLarge{}) {
		t.Error("a description that is too large is given")
	}
	describe.Groups = describe.Groups[:3]
	got := ask[*kmsg.DescribeGroupsResponse](s, 5, describe)
	for _, g := range got.Groups {
		if g.Group != join.Group || len(g.Members) != 1 {
			t.Errorf("%s has %d members", g.Group, len(g.Members))
		}
	}

	const n = 5000
	many := &cluster.Topic{Name: "many", ID: cluster.TopicID{9}}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = "o", -1
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "many"}}
	for id := range int32(n) {
		many.Partitions = append(many.Partitions, &cluster.Partition{Leader: 1})
		commit.Topics[0].Partitions = append(commit.Topics[0].Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: id, Offset: 5, LeaderEpoch: -1})
	}
	s.image = s.image.Clone()
	s.image.Put(many)
	ask[*kmsg.OffsetCommitResponse](s, 8, commit)
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Version = 9
	fetch.Groups = slices.Repeat([]kmsg.OffsetFetchRequestGroup{{Group: "o", MemberEpoch: -1}}, answerMax/n+1)
	if resp := s.serve(9, fetch); resp != (tooLarge{}) {
		t.Error("more offsets than are there are given")
	}
	fetch.Groups = fetch.Groups[:2]
	for _, g := range ask[*kmsg.OffsetFetchResponse](s, 9, fetch).Groups {
		if len(g.Topics) != 1 || len(g.Topics[0].Partitions) != n {
			t.Errorf("%d topics of %s", len(g.Topics), g.Group)
		}
	}
}

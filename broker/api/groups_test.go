package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"barnabas/coordinator/group"
	"barnabas/coordinator/runtime/runtimetest"
	"barnabas/replication/cluster"
	"barnabas/storage/clock"
)

// groupStage is the family over a coordinator with one partition in memory.
type groupStage struct {
	*Groups
	t       *testing.T
	log     *runtimetest.Log
	image   *cluster.Image
	ensured int
	refuse  error // of Ensure
	legacy  map[string]int64
}

func (s *groupStage) Current() *cluster.Image { return s.image }

func (s *groupStage) Ensure(context.Context, string) error {
	s.ensured++
	if s.refuse == nil {
		s.addTopic(cluster.OffsetsTopic, 0, 1)
	}
	return s.refuse
}

func (s *groupStage) CommitOffset(_ context.Context, group, topic string, partition int32, offset int64) error {
	s.legacy[fmt.Sprint(group, topic, partition)] = offset
	return nil
}

func (s *groupStage) FetchOffset(_ context.Context, group, topic string, partition int32) (int64, bool, error) {
	at, ok := s.legacy[fmt.Sprint(group, topic, partition)]
	return at, ok, nil
}

func newGroupStage(t *testing.T) *groupStage {
	s := &groupStage{t: t, log: runtimetest.NewLog(), image: cluster.Empty().Clone(), legacy: map[string]int64{}}
	s.image.Brokers[1] = &cluster.Broker{ID: 1, Endpoints: []cluster.Endpoint{{Listener: "PLAINTEXT", Host: "here", Port: 9092}}}
	s.addTopic("t", 7, 1)
	s.addTopic("u", 8, 1)
	o := group.Defaults()
	o.Clock, o.Logger, o.Partitions = clock.NewManual(time.UnixMilli(1700000000000)), zap.NewNop(), func() int32 { return 1 }
	o.InitialDelay, o.NewMemberID, o.Image = 0, func(prefix string) string { return prefix + "-id" }, s.Current
	c := group.New(o)
	c.Lead(0, 1, s.log)
	t.Cleanup(c.Close)
	s.Groups = &Groups{Coordinator: c, Images: s, Internal: s, Legacy: s}
	return s
}

func (s *groupStage) addTopic(name string, id byte, leader int32) {
	s.image = s.image.Clone()
	s.image.Put(&cluster.Topic{Name: name, ID: cluster.TopicID{id}, Partitions: []*cluster.Partition{{Leader: leader}, {Leader: leader}}})
}

// ask sends a request as a client would: through its bytes, and back.
func ask[Resp kmsg.Response](s *groupStage, version int16, req kmsg.Request) Resp {
	s.t.Helper()
	req.SetVersion(version)
	resp := s.serve(version, req)
	if resp == nil || resp == (tooLarge{}) {
		s.t.Fatalf("%s v%d: no answer", kmsg.NameForKey(req.Key()), version)
	}
	again := req.ResponseKind()
	if err := again.ReadFrom(resp.AppendTo(nil)); err != nil {
		s.t.Fatalf("%s v%d: %v", kmsg.NameForKey(req.Key()), version, err)
	}
	return again.(Resp)
}

func (s *groupStage) serve(version int16, req kmsg.Request) Response {
	s.t.Helper()
	route := NewRoutes(&Versions{Images: s}, s.Groups).Get(req.Key(), version)
	if route == nil {
		s.t.Fatalf("%s v%d is not served", kmsg.NameForKey(req.Key()), version)
	}
	reply, err := route.Serve(&Call{Key: req.Key(), Version: version, ClientID: "client", Client: netip.MustParseAddr("127.0.0.1"),
		Listener: "PLAINTEXT"}, req.AppendTo(nil))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return reply.Await(ctx)
}

// The log spoke of a response that was too short, as kmsg does whatever it reads.
func TestARequestThatIsTooShortIsSaidToBe(t *testing.T) {
	for _, r := range newGroupStage(t).routes() {
		for version := range r.Max + 1 {
			req := kmsg.RequestForKey(r.Key)
			req.SetVersion(version)
			body := req.AppendTo(nil)
			if len(body) == 0 {
				continue
			}
			want := fmt.Sprintf("%s v%d: the request is shorter than its fields", r.Name, version)
			if _, err := r.Serve(&Call{Key: r.Key, Version: version}, body[:len(body)-1]); err == nil || err.Error() != want {
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
}

func TestEveryVersionOfTheGroupAPIsIsAnswered(t *testing.T) {
	s := newGroupStage(t)
	for _, r := range s.routes() {
		for version := range r.Max + 1 {
			req := kmsg.RequestForKey(r.Key)
			req.SetVersion(version)
			ask[kmsg.Response](s, version, req)
		}
		if r.Max < 0 || NewRoutes(&Versions{Images: s}, s.Groups).Get(r.Key, r.Max+1) != nil {
			t.Errorf("%s: versions up to %d", r.Name, r.Max)
		}
	}
}

func TestFindCoordinatorCreatesTheTopicOnFirstNeed(t *testing.T) {
	s := newGroupStage(t)
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey = "g"
	s.refuse = kerr.InvalidReplicationFactor
	if r := ask[*kmsg.FindCoordinatorResponse](s, 3, req); r.ErrorCode != 15 || r.NodeID != -1 || r.Port != -1 || *r.ErrorMessage != "The coordinator is not available." {
		t.Fatalf("%+v", r)
	}
	s.refuse = nil
	if r := ask[*kmsg.FindCoordinatorResponse](s, 3, req); r.ErrorCode != 0 || r.NodeID != 1 || r.Host != "here" || r.Port != 9092 || *r.ErrorMessage != "NONE" {
		t.Fatalf("%+v", r)
	}
	ask[*kmsg.FindCoordinatorResponse](s, 0, req)
	if s.ensured != 2 {
		t.Fatalf("asked for the topic %d times", s.ensured)
	}
}

func TestFindCoordinator(t *testing.T) {
	s := newGroupStage(t)
	s.addTopic(cluster.OffsetsTopic, 0, 1)
	for _, c := range []struct {
		version int16
		kind    int8
		code    int16
		message string
	}{
		{4, 0, 0, ""}, {6, 0, 0, ""}, {4, 1, 35, noTransactions}, {5, 2, 42, ""}, {6, 2, 15, ""}, {6, 3, 42, kerr.InvalidRequest.Description},
	} {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorType, req.CoordinatorKeys = c.kind, []string{"a", "", "a"}
		r := ask[*kmsg.FindCoordinatorResponse](s, c.version, req)
		if len(r.Coordinators) != 3 {
			t.Fatalf("%+v", r)
		}
		for i, one := range r.Coordinators {
			if one.ErrorCode != c.code || *one.ErrorMessage != c.message || one.Key != req.CoordinatorKeys[i] || (one.NodeID == 1) != (c.code == 0) {
				t.Errorf("v%d kind %d: %+v", c.version, c.kind, one)
			}
		}
	}
	for version := int16(1); version < 4; version++ {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorType, req.CoordinatorKey = 1, "a"
		if r := ask[*kmsg.FindCoordinatorResponse](s, version, req); r.ErrorCode != 35 || *r.ErrorMessage != noTransactions || r.NodeID != -1 {
			t.Errorf("v%d: %+v", version, r)
		}
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	for name, broken := range map[string]func(){
		"no leader":   func() { s.addTopic(cluster.OffsetsTopic, 0, cluster.NoLeader) },
		"dead leader": func() { s.addTopic(cluster.OffsetsTopic, 0, 5) },
		"no endpoint": func() { s.addTopic(cluster.OffsetsTopic, 0, 1); s.image.Brokers[1] = &cluster.Broker{ID: 1} },
	} {
		was := s.image.Brokers[1]
		broken()
		if r := ask[*kmsg.FindCoordinatorResponse](s, 2, req); r.ErrorCode != 15 {
			t.Errorf("%s: %+v", name, r)
		}
		s.image.Brokers[1] = was
	}
}

func joinRequest(member string, instance *string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID = "g", member, instance
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = 10000, 10000, "consumer"
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte{0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 0}
	req.Protocols = append(req.Protocols, p)
	return req
}

// TestAMemberAtEveryVersion lets one member come, work and go at each version.
func TestAMemberAtEveryVersion(t *testing.T) {
	for version := range int16(10) {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			s := newGroupStage(t)
			join := ask[*kmsg.JoinGroupResponse](s, version, joinRequest("", nil))
			if version >= 4 {
				if join.ErrorCode != 79 || join.MemberID != "client-id" || join.Generation != -1 || join.LeaderID != "" {
					t.Fatalf("%+v", join)
				}
				join = ask[*kmsg.JoinGroupResponse](s, version, joinRequest(join.MemberID, nil))
			}
			if join.ErrorCode != 0 || join.Generation != 1 || join.LeaderID != "client-id" || len(join.Members) != 1 || *join.Protocol != "range" {
				t.Fatalf("%+v", join)
			}
			sync := kmsg.NewPtrSyncGroupRequest()
			sync.Group, sync.MemberID, sync.Generation = "g", "client-id", 1
			syncVersion := min(version, sync.MaxVersion())
			if syncVersion >= 5 {
				if r := ask[*kmsg.SyncGroupResponse](s, syncVersion, sync); r.ErrorCode != 23 {
					t.Fatalf("without protocol: %+v", r)
				}
				consumer := "consumer"
				sync.ProtocolType, sync.Protocol = &consumer, join.Protocol
			}
			sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: "client-id", MemberAssignment: []byte("all")}}
			if r := ask[*kmsg.SyncGroupResponse](s, syncVersion, sync); r.ErrorCode != 0 || string(r.MemberAssignment) != "all" {
				t.Fatalf("%+v", r)
			}
			beat := kmsg.NewPtrHeartbeatRequest()
			beat.Group, beat.MemberID, beat.Generation = "g", "client-id", 1
			if r := ask[*kmsg.HeartbeatResponse](s, min(version, beat.MaxVersion()), beat); r.ErrorCode != 0 {
				t.Fatalf("%+v", r)
			}
			describe := kmsg.NewPtrDescribeGroupsRequest()
			describe.Groups, describe.IncludeAuthorizedOperations = []string{"g", "none"}, true
			d := ask[*kmsg.DescribeGroupsResponse](s, min(version, describe.MaxVersion()), describe)
			if g := d.Groups[0]; g.State != "Stable" || g.Protocol != "range" || len(g.Members) != 1 || g.Members[0].ClientHost != "/127.0.0.1" ||
				string(g.Members[0].MemberAssignment) != "all" || version >= 3 && g.AuthorizedOperations != 328 {
				t.Fatalf("%+v", g)
			}
			if g := d.Groups[1]; g.State != "Dead" || (g.ErrorCode == 69) != (version >= 6) {
				t.Fatalf("%+v", g)
			}
			list := kmsg.NewPtrListGroupsRequest()
			if r := ask[*kmsg.ListGroupsResponse](s, min(version, list.MaxVersion()), list); len(r.Groups) != 1 || r.Groups[0].ProtocolType != "consumer" {
				t.Fatalf("%+v", r)
			}
			leave := kmsg.NewPtrLeaveGroupRequest()
			leaveVersion := min(version, leave.MaxVersion())
			leave.Group, leave.MemberID = "g", "nobody"
			leave.Members = []kmsg.LeaveGroupRequestMember{{MemberID: "nobody"}, {MemberID: "client-id"}}
			r := ask[*kmsg.LeaveGroupResponse](s, leaveVersion, leave)
			if leaveVersion < 3 && r.ErrorCode != 25 || leaveVersion >= 3 && (r.ErrorCode != 0 || r.Members[0].ErrorCode != 25 || r.Members[1].ErrorCode != 0) {
				t.Fatalf("%+v", r)
			}
		})
	}
}

func TestJoinRefusals(t *testing.T) {
	s := newGroupStage(t)
	for version := range int16(10) {
		req := joinRequest("mine", nil)
		r := ask[*kmsg.JoinGroupResponse](s, version, req)
		if r.ErrorCode != 25 || r.MemberID != "mine" || r.Generation != -1 || version < 7 && *r.Protocol != "" || version >= 7 && r.Protocol != nil {
			t.Errorf("v%d: %+v", version, r)
		}
		req.Group = ""
		if r := ask[*kmsg.JoinGroupResponse](s, version, req); r.ErrorCode != 24 || r.MemberID != "mine" {
			t.Errorf("v%d: %+v", version, r)
		}
	}
	req := joinRequest("", nil)
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10000, 5
	if r := ask[*kmsg.JoinGroupResponse](s, 0, req); r.ErrorCode != 0 {
		t.Errorf("%+v", r)
	}
}

func TestNoCoordinator(t *testing.T) {
	s := newGroupStage(t)
	s.Coordinator.Resign(0, -1)
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group = "g"
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Group, fetch.Topics = "g", []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0}}}
	if r := ask[*kmsg.HeartbeatResponse](s, 4, beat); r.ErrorCode != 16 {
		t.Errorf("%+v", r)
	}
	if r := ask[*kmsg.OffsetFetchResponse](s, 1, fetch); len(r.Topics) != 1 || r.Topics[0].Partitions[0].ErrorCode != 16 || r.Topics[0].Partitions[0].Offset != -1 {
		t.Errorf("%+v", r)
	}
	if r := ask[*kmsg.OffsetFetchResponse](s, 7, fetch); r.ErrorCode != 16 || len(r.Topics) != 0 {
		t.Errorf("%+v", r)
	}
	fetch.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g"}}
	if r := ask[*kmsg.OffsetFetchResponse](s, 8, fetch); r.Groups[0].ErrorCode != 16 {
		t.Errorf("%+v", r)
	}
	commit := commitRequest(3)
	if r := ask[*kmsg.OffsetCommitResponse](s, 9, commit); r.Topics[0].Partitions[1].ErrorCode != 16 {
		t.Errorf("%+v", r)
	}
	list := kmsg.NewPtrListGroupsRequest()
	if r := ask[*kmsg.ListGroupsResponse](s, 5, list); r.ErrorCode != 0 || len(r.Groups) != 0 {
		t.Errorf("%+v", r)
	}
}

// commitRequest commits partitions 0 and 5 (which is not there) of topic t, and partition 0 of a topic that is not there.
func commitRequest(at int64) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = "g"
	one := func(topic string, id byte, partitions ...int32) kmsg.OffsetCommitRequestTopic {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.TopicID = topic, [16]byte{id}
		for _, p := range partitions {
			c := kmsg.NewOffsetCommitRequestTopicPartition()
			c.Partition, c.Offset, c.LeaderEpoch = p, at, 2
			t.Partitions = append(t.Partitions, c)
		}
		return t
	}
	req.Topics = []kmsg.OffsetCommitRequestTopic{one("t", 7, 0, 5), one("x", 99, 0)}
	return req
}

func TestOffsetsAtEveryVersion(t *testing.T) {
	for version := range int16(11) {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			s := newGroupStage(t)
			r := ask[*kmsg.OffsetCommitResponse](s, version, commitRequest(int64(version)))
			unknown := int16(3)
			if version >= 10 {
				unknown = kerr.UnknownTopicID.Code
			}
			if a, b := r.Topics[0].Partitions, r.Topics[1].Partitions; a[0].ErrorCode != 3 || a[1].ErrorCode != 0 || b[0].ErrorCode != unknown {
				t.Fatalf("%+v", r)
			}
			fetch := kmsg.NewPtrOffsetFetchRequest()
			fetch.Group = "g"
			fetch.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{1, 0}}, {Topic: "u", Partitions: []int32{0}}}
			fetch.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g", MemberEpoch: -1, Topics: []kmsg.OffsetFetchRequestGroupTopic{
				{Topic: "t", TopicID: [16]byte{7}, Partitions: []int32{1, 0}}, {Topic: "u", TopicID: [16]byte{8}, Partitions: []int32{0}}}},
				{Group: "g", MemberEpoch: -1}, {Group: "h", MemberEpoch: -1}}
			f := ask[*kmsg.OffsetFetchResponse](s, version, fetch)
			noneCode, epoch := int16(0), int32(-1)
			if version == 0 {
				noneCode = 3
			}
			if version >= 6 {
				epoch = 2
			}
			var got [][]any
			for _, t := range f.Topics {
				for _, p := range t.Partitions {
					got = append(got, []any{t.Topic, p.Partition, p.Offset, p.LeaderEpoch, *p.Metadata, p.ErrorCode})
				}
			}
			for i, g := range f.Groups {
				for _, t := range g.Topics {
					for _, p := range t.Partitions {
						if i == 0 {
							got = append(got, []any{map[[16]byte]string{{7}: "t", {8}: "u", {}: t.Topic}[t.TopicID], p.Partition, p.Offset, p.LeaderEpoch, *p.Metadata, p.ErrorCode})
						} else if p.Partition != 0 || p.Offset != int64(version) {
							got = append(got, []any{i, p})
						}
					}
				}
			}
			want := [][]any{{"t", int32(1), int64(-1), int32(-1), "", noneCode}, {"t", int32(0), int64(version), epoch, "", int16(0)},
				{"u", int32(0), int64(-1), int32(-1), "", noneCode}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if version >= 8 && (len(f.Groups) != 3 || len(f.Groups[1].Topics) != 1 || len(f.Groups[2].Topics) != 0) {
				t.Errorf("%+v", f.Groups)
			}
			if version < 2 || version >= 8 {
				return
			}
			fetch.Topics = nil
			if all := ask[*kmsg.OffsetFetchResponse](s, version, fetch); len(all.Topics) != 1 || all.Topics[0].Partitions[0].Offset != int64(version) {
				t.Errorf("all: %+v", all)
			}
		})
	}
}

// Apache Kafka takes the partitions of a commit or a fetch for a set. We once answered a topic as often as it was named, and wrote
// a record for each time a partition was.
func TestTopicsAndPartitionsNamedTwice(t *testing.T) {
	partition := func(id int32, offset int64) kmsg.OffsetCommitRequestTopicPartition {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Timestamp = id, offset, -1
		return p
	}
	for version := range int16(10) {
		s := newGroupStage(t)
		commit := commitRequest(1)
		commit.Topics = []kmsg.OffsetCommitRequestTopic{
			{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{partition(0, 1), partition(9, 1)}},
			{Topic: "u"}, {Topic: "x"},
			{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{partition(1, 2), partition(0, 3)}},
		}
		got := ""
		for _, t := range ask[*kmsg.OffsetCommitResponse](s, version, commit).Topics {
			got += t.Topic
			for _, p := range t.Partitions {
				got += fmt.Sprintf(" %d:%d", p.Partition, p.ErrorCode)
			}
			got += ";"
		}
		want, records := "t 9:3 0:0 1:0;x;", int64(2)
		if version == 0 {
			want, records = "t 9:3 0:0 1:0 0:0;x;", 0
		}
		if got != want || s.log.End() != records {
			t.Errorf("commit v%d: %s, %d records", version, got, s.log.End())
		}

		fetch := kmsg.NewPtrOffsetFetchRequest()
		fetch.Group = "g"
		fetch.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{1, 0, 1}}, {Topic: "u"}, {Topic: "t", Partitions: []int32{0}}}
		fetch.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g", MemberEpoch: -1, Topics: []kmsg.OffsetFetchRequestGroupTopic{
			{Topic: "t", Partitions: []int32{1, 0, 1}}, {Topic: "u"}, {Topic: "t", Partitions: []int32{0}}}}}
		f := ask[*kmsg.OffsetFetchResponse](s, version, fetch)
		got = ""
		for _, t := range f.Topics {
			for _, p := range t.Partitions {
				got += fmt.Sprintf("%s %d:%d;", t.Topic, p.Partition, p.Offset)
			}
		}
		topics := len(f.Topics)
		for _, g := range f.Groups {
			topics = len(g.Topics)
			for _, p := range g.Topics[0].Partitions {
				got += fmt.Sprintf("%s %d:%d;", g.Topics[0].Topic, p.Partition, p.Offset)
			}
		}
		if got != "t 1:2;t 0:3;" || topics != 1 {
			t.Errorf("fetch v%d: %s", version, got)
		}
	}
}

func TestLegacyOffsetsLieInTheStore(t *testing.T) {
	s := newGroupStage(t)
	req := commitRequest(9)
	long := string(make([]byte, 5000))
	req.Topics[0].Partitions[0].Metadata = &long
	if r := ask[*kmsg.OffsetCommitResponse](s, 0, req); r.Topics[0].Partitions[1].ErrorCode != 12 {
		t.Fatalf("%+v", r)
	}
	ask[*kmsg.OffsetCommitResponse](s, 0, commitRequest(9))
	if s.legacy["gt0"] != 9 || s.log.End() != 0 {
		t.Fatal(s.legacy, s.log.End())
	}
}

func TestDeletions(t *testing.T) {
	s := newGroupStage(t)
	ask[*kmsg.OffsetCommitResponse](s, 9, commitRequest(1))
	del := kmsg.NewPtrOffsetDeleteRequest()
	del.Group = "g"
	del.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "x", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}},
		{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 9}, {Partition: 1}}}}
	r := ask[*kmsg.OffsetDeleteResponse](s, 0, del)
	if r.ErrorCode != 0 || r.Topics[0].Partitions[0].ErrorCode != 3 || r.Topics[1].Partitions[0].ErrorCode != 3 || r.Topics[1].Partitions[1].ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
	del.Group = "h"
	if r := ask[*kmsg.OffsetDeleteResponse](s, 0, del); r.ErrorCode != 69 || len(r.Topics) != 0 {
		t.Fatalf("%+v", r)
	}
	groups := kmsg.NewPtrDeleteGroupsRequest()
	groups.Groups = []string{"g", "h", "g"}
	for version := range groups.MaxVersion() + 1 {
		ask[*kmsg.OffsetCommitResponse](s, 9, commitRequest(1))
		r := ask[*kmsg.DeleteGroupsResponse](s, version, groups)
		if len(r.Groups) != 2 || r.Groups[0].ErrorCode != 0 || r.Groups[1].ErrorCode != 69 || (r.Groups[1].ErrorMessage != nil) != (version >= 3) {
			t.Errorf("v%d: %+v", version, r)
		}
	}
}

func TestNothingIsSaidWhenTheConnectionEnds(t *testing.T) {
	s := newGroupStage(t)
	s.log.Hold()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	commit := commitRequest(1)
	commit.SetVersion(9)
	if resp := s.OffsetCommit(&Call{}, commit).Await(ctx); resp != nil {
		t.Errorf("%+v", resp)
	}
	if !gone(ctx.Err()) || gone(kerr.NotCoordinator) || gone(errors.New("x")) {
		t.Error("gone")
	}
}

func TestWhatIsNotCommittedInTime(t *testing.T) {
	if refusal(kerr.RequestTimedOut, kerr.RebalanceInProgress) != kerr.RebalanceInProgress || refusal(kerr.NotCoordinator, nil) != kerr.NotCoordinator {
		t.Error("refusal")
	}
}

func BenchmarkHeartbeat(b *testing.B) {
	s := newGroupStage(&testing.T{})
	defer s.Coordinator.Close()
	ctx := context.Background()
	var id string
	for range 2 {
		req := joinRequest(id, nil)
		req.SetVersion(9)
		id = s.JoinGroup(&Call{ClientID: "c"}, req).Await(ctx).(*kmsg.JoinGroupResponse).MemberID
	}
	req := &kmsg.HeartbeatRequest{Version: 4, Group: "g", MemberID: id, Generation: 1}
	call := &Call{Version: 4}
	b.ReportAllocs()
	for b.Loop() {
		if s.Heartbeat(call, req).Await(ctx).(*kmsg.HeartbeatResponse).ErrorCode != 0 {
			b.Fatal("refused")
		}
	}
}

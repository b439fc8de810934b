package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record"
	"barnabas/replication"
	"barnabas/replication/cluster"
	"barnabas/storage"
	"barnabas/storage/clock"
)

// answered sends a request through its route in its wire form, and reads the answer from its.
func answered[R kmsg.Response](t *testing.T, f Family, req kmsg.Request) R {
	t.Helper()
	body := answerBytes(t, f, req)
	if body == nil {
		t.Fatalf("%T: no answer", req)
	}
	resp := req.ResponseKind()
	if err := resp.ReadFrom(body); err != nil {
		t.Fatalf("%T v%d: %v", resp, req.GetVersion(), err)
	}
	return resp.(R)
}

// answerBytes is nil when the connection is to be closed.
func answerBytes(t *testing.T, f Family, req kmsg.Request) []byte {
	t.Helper()
	routes := f.routes()
	i := slices.IndexFunc(routes, func(r Route) bool { return r.Key == req.Key() })
	if i < 0 {
		t.Fatalf("%T has no route", req)
	}
	if routes[i].Max != req.MaxVersion() {
		t.Errorf("%T is served up to %d, not %d", req, routes[i].Max, req.MaxVersion())
	}
	c := &Call{Key: req.Key(), Version: req.GetVersion(), Listener: "PLAINTEXT"}
	reply, err := routes[i].Serve(c, req.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Closes() {
		return nil
	}
	resp := reply.Await(t.Context())
	if resp == nil {
		return nil
	}
	return append([]byte{}, resp.AppendTo(nil)...)
}

// everyVersion runs f for each version of a request that make gives.
func everyVersion[Q kmsg.Request](make func() Q, f func(version int16, req Q)) {
	for v := int16(0); v <= make().MaxVersion(); v++ {
		req := make()
		req.SetVersion(v)
		f(v, req)
	}
}

type stillImage struct{ img *cluster.Image }

func (s stillImage) Current() *cluster.Image { return s.img }

// activity is a controller that runs here, or not.
type activity bool

func (a activity) Active() (int32, bool) { return 1, bool(a) }

// threeBrokers is a cluster of which broker 3 is not reached on PLAINTEXT. Topic "moving" is being reassigned.
func threeBrokers() *cluster.Image {
	img := cluster.Empty()
	img.ClusterID, img.ControllerID = "Fpqjg-Gkl3W3mC45Ijo_Fg", 1
	rack := "r2"
	for id, listener := range map[int32]string{1: "PLAINTEXT", 2: "PLAINTEXT", 3: "INTERNAL"} {
		b := &cluster.Broker{ID: id, Endpoints: []cluster.Endpoint{{Listener: listener, Protocol: "PLAINTEXT", Host: "127.0.0.1", Port: 9090 + id}}}
		if id == 2 {
			b.Rack = &rack
		}
		img.Brokers[id] = b
	}
	plain := &cluster.Topic{Name: "plain", ID: cluster.TopicID{1}}
	for leader := range int32(4) {
		plain.Partitions = append(plain.Partitions, &cluster.Partition{Leader: leader, LeaderEpoch: 5, Replicas: []int32{leader, 1}, ISR: []int32{1}})
	}
	img.Put(plain)
	img.Put(&cluster.Topic{Name: "moving", ID: cluster.TopicID{2}, Partitions: []*cluster.Partition{
		{Leader: 1, Replicas: []int32{3, 1, 2}, ISR: []int32{1, 2}, Adding: []int32{3}, Removing: []int32{2}},
		{Leader: 1, Replicas: []int32{1, 2}, ISR: []int32{1, 2}},
		nil,
	}})
	img.Put(&cluster.Topic{Name: cluster.OffsetsTopic, ID: cluster.TopicID{3}, Partitions: []*cluster.Partition{{Leader: 2, Replicas: []int32{2}, ISR: []int32{2}}}})
	return img
}

func TestDescribeCluster(t *testing.T) {
	img := threeBrokers()
	f := &Cluster{Images: stillImage{img}, Controller: activity(true)}
	everyVersion(kmsg.NewPtrDescribeClusterRequest, func(v int16, req *kmsg.DescribeClusterRequest) {
		req.IncludeClusterAuthorizedOperations = v > 0
		resp := answered[*kmsg.DescribeClusterResponse](t, f, req)
		operations := int32(-1 << 31)
		if v > 0 {
			operations = 8096
		}
		if resp.ErrorCode != 0 || resp.ErrorMessage != nil || resp.ClusterID != img.ClusterID || resp.ControllerID != 1 ||
			resp.EndpointType != 1 || resp.ClusterAuthorizedOperations != operations || len(resp.Brokers) != 2 {
			t.Errorf("v%d: %+v", v, resp)
		}
		if b := resp.Brokers[1]; b.NodeID != 2 || b.Host != "127.0.0.1" || b.Port != 9092 || *b.Rack != "r2" {
			t.Errorf("v%d: %+v", v, b)
		}
	})
	for kind, want := range map[int8]struct {
		code int16
		text string
	}{
		2: {114, "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"},
		0: {115, "Unsupported endpoint type 0"}, 7: {115, "Unsupported endpoint type 7"}, -1: {115, "Unsupported endpoint type -1"},
	} {
		req := kmsg.NewPtrDescribeClusterRequest()
		req.Version, req.EndpointType = 1, kind
		resp := answered[*kmsg.DescribeClusterResponse](t, f, req)
		if resp.ErrorCode != want.code || *resp.ErrorMessage != want.text || resp.ControllerID != -1 || len(resp.Brokers) != 0 {
			t.Errorf("endpoint type %d: %+v", kind, resp)
		}
	}
	img.ControllerID = 3 // not reached on this listener
	if resp := answered[*kmsg.DescribeClusterResponse](t, f, kmsg.NewPtrDescribeClusterRequest()); resp.ControllerID != -1 {
		t.Errorf("%+v", resp)
	}
}

// What Apache Kafka 3.9.2 has answered to its own tools is what we answer, byte for byte.
func TestClusterAnswersOfKafka(t *testing.T) {
	img := cluster.Empty()
	img.ClusterID, img.ControllerID = "FqjgGlb9St-aB4Ijo-Ma5w", 0
	img.Brokers[0] = &cluster.Broker{Endpoints: []cluster.Endpoint{{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: 49700}}}
	f := &Cluster{Images: stillImage{img}, Controller: activity(true)}
	file, err := os.Open("testdata/cluster_frames.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var pending kmsg.Request
	compared := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		direction, text, _ := strings.Cut(lines.Text(), " ")
		frame, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if direction == ">" { // key, version, correlation id, client id, no tags, body
			pending = kmsg.RequestForKey(int16(frame[0])<<8 | int16(frame[1]))
			pending.SetVersion(int16(frame[3]))
			if err := pending.ReadFrom(frame[8+2+int(frame[9])+1:]); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want := frame[5:] // correlation id, no tags
		if dc, ok := pending.(*kmsg.DescribeClusterRequest); ok {
			resp := dc.ResponseKind().(*kmsg.DescribeClusterResponse)
			if err := resp.ReadFrom(want); err != nil {
				t.Fatal(err)
			}
			img.ClusterID, img.Brokers[0].Endpoints[0].Port = resp.ClusterID, resp.Brokers[0].Port
		}
		if got := answerBytes(t, f, pending); !bytes.Equal(got, want) {
			t.Errorf("%T:\nkafka %x\nours  %x", pending, want, got)
		}
		compared++
	}
	if compared != 4 {
		t.Errorf("%d frames compared", compared)
	}
}

func TestListPartitionReassignments(t *testing.T) {
	f := &Cluster{Images: stillImage{threeBrokers()}, Controller: activity(true)}
	topic := func(name string, ids ...int32) kmsg.ListPartitionReassignmentsRequestTopic {
		rt := kmsg.NewListPartitionReassignmentsRequestTopic()
		rt.Topic, rt.Partitions = name, ids
		return rt
	}
	for _, c := range []struct {
		topics []kmsg.ListPartitionReassignmentsRequestTopic
		found  bool
	}{
		{nil, true},
		{[]kmsg.ListPartitionReassignmentsRequestTopic{}, false},
		{[]kmsg.ListPartitionReassignmentsRequestTopic{topic("plain", 0), topic("moving", 1, 0, 0, 7), topic("no", 0)}, true},
		{[]kmsg.ListPartitionReassignmentsRequestTopic{topic("moving", 1, 2)}, false},
	} {
		everyVersion(kmsg.NewPtrListPartitionReassignmentsRequest, func(_ int16, req *kmsg.ListPartitionReassignmentsRequest) {
			req.Topics = c.topics
			resp := answered[*kmsg.ListPartitionReassignmentsResponse](t, f, req)
			if resp.ErrorCode != 0 || *resp.ErrorMessage != "" || (len(resp.Topics) == 1) != c.found {
				t.Fatalf("%+v: %+v", c.topics, resp)
			}
			if !c.found {
				return
			}
			at := resp.Topics[0]
			want := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			want.Replicas, want.AddingReplicas, want.RemovingReplicas = []int32{3, 1, 2}, []int32{3}, []int32{2}
			if d := cmp.Diff([]kmsg.ListPartitionReassignmentsResponseTopicPartition{want}, at.Partitions, ignoreTags); at.Topic != "moving" || d != "" {
				t.Error(at.Topic, d)
			}
		})
	}
	f.Controller = activity(false)
	resp := answered[*kmsg.ListPartitionReassignmentsResponse](t, f, kmsg.NewPtrListPartitionReassignmentsRequest())
	if resp.ErrorCode != 41 || *resp.ErrorMessage != "This is not the correct controller for this cluster." || len(resp.Topics) != 0 {
		t.Errorf("%+v", resp)
	}
}

var ignoreTags = cmp.Comparer(func(kmsg.Tags, kmsg.Tags) bool { return true })

func TestDescribeTopicPartitions(t *testing.T) {
	f := &Cluster{Images: stillImage{threeBrokers()}}
	describe := func(limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, topics ...string) *kmsg.DescribeTopicPartitionsResponse {
		t.Helper()
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.ResponsePartitionLimit, req.Cursor = limit, cursor
		for _, name := range topics {
			rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
			rt.Topic = name
			req.Topics = append(req.Topics, rt)
		}
		return answered[*kmsg.DescribeTopicPartitionsResponse](t, f, req)
	}
	at := func(topic string, partition int32) *kmsg.DescribeTopicPartitionsRequestCursor {
		c := kmsg.NewDescribeTopicPartitionsRequestCursor()
		c.Topic, c.Partition = topic, partition
		return &c
	}
	resp := describe(2000, nil, "plain")
	if len(resp.Topics) != 1 || resp.NextCursor != nil {
		t.Fatalf("%+v", resp)
	}
	topic := resp.Topics[0]
	if *topic.Topic != "plain" || topic.TopicID != [16]byte{1} || topic.IsInternal || topic.AuthorizedOperations != 3576 || len(topic.Partitions) != 4 {
		t.Errorf("%+v", topic)
	}
	for id, p := range topic.Partitions {
		leader := map[int]int32{0: -1, 1: 1, 2: 2, 3: -1}[id] // broker 0 is gone, 3 is not reached
		want := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		want.Partition, want.LeaderID, want.LeaderEpoch = int32(id), leader, 5
		want.Replicas, want.ISR = []int32{int32(id), 1}, []int32{1}
		want.EligibleLeaderReplicas, want.LastKnownELR = []int32{}, []int32{}
		if leader == -1 {
			want.OfflineReplicas = []int32{int32(id)}
		}
		if d := cmp.Diff(want, p, ignoreTags); d != "" {
			t.Errorf("partition %d: %s", id, d)
		}
	}
	// The pages of all topics, three partitions each, are all partitions in the order of the names; the controller has not
	// told of moving-2 yet, whose place on the page stays empty.
	var pages []string
	for next := (*kmsg.DescribeTopicPartitionsRequestCursor)(nil); ; {
		resp := describe(3, next)
		page := ""
		for _, topic := range resp.Topics {
			page += *topic.Topic
			for _, p := range topic.Partitions {
				page += string('0' + byte(p.Partition))
			}
			page += " "
		}
		pages = append(pages, page)
		if resp.NextCursor == nil {
			break
		}
		next = at(resp.NextCursor.Topic, resp.NextCursor.Partition)
	}
	if want := []string{"__consumer_offsets0 moving01 ", "moving plain01 ", "plain23 "}; !slices.Equal(pages, want) {
		t.Errorf("%q, want %q", pages, want)
	}
	// Names come once and in order; what is unknown is told of in a list, and left out of all.
	resp = describe(2000, nil, "plain", "no", "a b", "plain")
	if len(resp.Topics) != 3 || resp.Topics[0].ErrorCode != 17 || resp.Topics[1].ErrorCode != 3 || resp.Topics[2].ErrorCode != 0 {
		t.Errorf("%+v", resp.Topics)
	}
	for _, bad := range []*kmsg.DescribeTopicPartitionsResponse{describe(1, at("other", 0), "plain"), describe(1, at("plain", -1), "plain")} {
		if len(bad.Topics) != 1 || bad.Topics[0].ErrorCode != 42 || *bad.Topics[0].Topic != "plain" || len(bad.Topics[0].Partitions) != 0 {
			t.Errorf("%+v", bad)
		}
	}
	for _, odd := range []*kmsg.DescribeTopicPartitionsResponse{describe(2000, at("plain", 1<<31-1), "plain"), describe(2000, at("plain", 4), "plain")} {
		if len(odd.Topics) != 1 || len(odd.Topics[0].Partitions) != 0 || odd.NextCursor != nil {
			t.Errorf("%+v", odd)
		}
	}
	if resp := describe(-5, nil); len(resp.Topics) != 1 || resp.NextCursor == nil || resp.NextCursor.Topic != "moving" {
		t.Errorf("%+v", resp)
	}
}

func TestNoAuthorizer(t *testing.T) {
	f := &Security{}
	everyVersion(kmsg.NewPtrDescribeACLsRequest, func(v int16, req *kmsg.DescribeACLsRequest) {
		req.ResourceType, req.Operation, req.PermissionType = 2, 1, 1
		resp := answered[*kmsg.DescribeACLsResponse](t, f, req)
		if resp.ErrorCode != 54 || *resp.ErrorMessage != "No Authorizer is configured on the broker" || len(resp.Resources) != 0 {
			t.Errorf("v%d: %+v", v, resp)
		}
		req.Operation = 0
		if answerBytes(t, f, req) != nil {
			t.Errorf("v%d: an unknown operation is answered", v)
		}
	})
	everyVersion(kmsg.NewPtrCreateACLsRequest, func(v int16, req *kmsg.CreateACLsRequest) {
		if resp := answered[*kmsg.CreateACLsResponse](t, f, req); len(resp.Results) != 0 {
			t.Errorf("v%d: %+v", v, resp)
		}
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.Principal, c.Host, c.Operation, c.PermissionType = 2, "t", "User:a", "*", 3, 3
		req.Creations = []kmsg.CreateACLsRequestCreation{c, c}
		resp := answered[*kmsg.CreateACLsResponse](t, f, req)
		if len(resp.Results) != 2 || resp.Results[1].ErrorCode != 54 || *resp.Results[1].ErrorMessage != "No Authorizer is configured." {
			t.Errorf("v%d: %+v", v, resp)
		}
		req.Creations[1].ResourceType = 0
		if answerBytes(t, f, req) != nil {
			t.Errorf("v%d: an unknown resource type is answered", v)
		}
	})
	everyVersion(kmsg.NewPtrDeleteACLsRequest, func(v int16, req *kmsg.DeleteACLsRequest) {
		c := kmsg.NewDeleteACLsRequestFilter()
		c.ResourceType, c.Operation, c.PermissionType = 1, 1, 1
		req.Filters = []kmsg.DeleteACLsRequestFilter{c, c}
		resp := answered[*kmsg.DeleteACLsResponse](t, f, req)
		if len(resp.Results) != 2 || resp.Results[0].ErrorCode != 54 || *resp.Results[0].ErrorMessage != "No Authorizer is configured." ||
			len(resp.Results[0].MatchingACLs) != 0 {
			t.Errorf("v%d: %+v", v, resp)
		}
		req.Filters[0].PermissionType = 0
		if answerBytes(t, f, req) != nil {
			t.Errorf("v%d: an unknown permission type is answered", v)
		}
	})
}

// fakeIDs hands out 7 or fails.
type fakeIDs struct{ err error }

func (i fakeIDs) Next(context.Context) (int64, error) { return 7, i.err }

func TestInitProducerID(t *testing.T) {
	f := &Producers{IDs: fakeIDs{}}
	none, given := (*string)(nil), func(s string) *string { return &s }
	everyVersion(kmsg.NewPtrInitProducerIDRequest, func(v int16, req *kmsg.InitProducerIDRequest) {
		for _, c := range []struct {
			name    string
			txn     *string
			timeout int32
			id      int64
			epoch   int16
			code    int16
			from    int16 // the version that brought what is asked here
		}{
			{"plain", none, 1, -1, -1, 0, 0},
			{"plain, the timeout is not looked at", none, -1, -1, -1, 0, 0},
			{"plain with an id: a new one", none, 1, 5, 0, 0, 3},
			{"id without epoch", none, 1, 5, -1, 42, 3},
			{"epoch without id", given("x"), 1, -1, 0, 42, 3},
			{"empty transactional id", given(""), 1, -1, -1, 42, 0},
			{"no timeout", given("x"), 0, -1, -1, 50, 0},
			{"timeout too long", given("x"), 900_001, -1, -1, 50, 0},
			{"transactional", given("x"), 900_000, -1, -1, 35, 0}, // not an error after which clients ask again and again
		} {
			if v < c.from {
				continue
			}
			req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = c.txn, c.timeout, c.id, c.epoch
			resp := answered[*kmsg.InitProducerIDResponse](t, f, req)
			id, epoch := int64(-1), int16(-1)
			if c.code == 0 {
				id, epoch = 7, 0
			}
			if resp.ErrorCode != c.code || resp.ProducerID != id || resp.ProducerEpoch != epoch {
				t.Errorf("v%d %s: %+v", v, c.name, resp)
			}
		}
	})
	// A store that cannot be written, a full disk, was once UNKNOWN_SERVER_ERROR, after which a producer gives up. In Kafka (3.0 and
	// later) the controller gets the error, and the producer COORDINATOR_LOAD_IN_PROGRESS, whatever it was.
	for _, err := range []error{errors.New("no store"), kerr.NotController, kerr.UnknownServerError} {
		f.IDs = fakeIDs{err}
		if resp := answered[*kmsg.InitProducerIDResponse](t, f, kmsg.NewPtrInitProducerIDRequest()); resp.ErrorCode != kerr.CoordinatorLoadInProgress.Code || resp.ProducerID != -1 {
			t.Errorf("%v: %+v", err, resp)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if resp := f.InitProducerID(&Call{}, kmsg.NewPtrInitProducerIDRequest()).wait(ctx); resp != nil {
		t.Errorf("the connection has ended, and yet: %+v", resp)
	}
}

// disks are two dirs that work and one that has failed.
type disks struct{}

func (disks) LogDirs() []LogDir {
	return []LogDir{{Path: "/b", Total: 1000, Usable: 400}, {Path: "/a", Total: -1, Usable: -1}, {Path: "/dead", Err: errors.New("EIO"), Total: 5, Usable: 5}}
}

func (disks) Held() iter.Seq[HeldReplica] {
	return slices.Values([]HeldReplica{
		{Topic: "t", Partition: 1, Dir: "/b", Bytes: 10}, {Topic: "u", Partition: 0, Dir: "/b", Bytes: 20},
		{Topic: "t", Partition: 0, Dir: "/b", Bytes: 30, Lag: 2}, {Topic: "t", Partition: 2, Dir: "/a"}, {Topic: "t", Partition: 3, Dir: "/dead"},
	})
}

func TestDescribeLogDirs(t *testing.T) {
	f := &Replicas{LogDirs: disks{}}
	part := func(id int32, size, lag int64) kmsg.DescribeLogDirsResponseDirTopicPartition {
		return kmsg.DescribeLogDirsResponseDirTopicPartition{Partition: id, Size: size, OffsetLag: lag}
	}
	dirTopic := func(name string, parts ...kmsg.DescribeLogDirsResponseDirTopicPartition) kmsg.DescribeLogDirsResponseDirTopic {
		return kmsg.DescribeLogDirsResponseDirTopic{Topic: name, Partitions: parts}
	}
	everyVersion(kmsg.NewPtrDescribeLogDirsRequest, func(v int16, req *kmsg.DescribeLogDirsRequest) {
		want := []kmsg.DescribeLogDirsResponseDir{kmsg.NewDescribeLogDirsResponseDir(), kmsg.NewDescribeLogDirsResponseDir(), kmsg.NewDescribeLogDirsResponseDir()}
		want[0].Dir, want[1].Dir, want[2].Dir, want[2].ErrorCode = "/b", "/a", "/dead", 56
		if v >= 4 {
			want[0].TotalBytes, want[0].UsableBytes = 1000, 400
		}
		compare := func(b, a []kmsg.DescribeLogDirsResponseDirTopic) {
			t.Helper()
			want[0].Topics, want[1].Topics = b, a
			resp := answered[*kmsg.DescribeLogDirsResponse](t, f, req)
			if d := cmp.Diff(want, resp.Dirs, ignoreTags); resp.ErrorCode != 0 || d != "" {
				t.Errorf("v%d: %s", v, d)
			}
		}
		req.Topics = nil
		compare([]kmsg.DescribeLogDirsResponseDirTopic{dirTopic("t", part(0, 30, 2), part(1, 10, 0)), dirTopic("u", part(0, 20, 0))},
			[]kmsg.DescribeLogDirsResponseDirTopic{dirTopic("t", part(2, 0, 0))})
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{}
		compare(nil, nil)
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "t", Partitions: []int32{1, 1, 3}}, {Topic: "no", Partitions: []int32{0}}}
		compare([]kmsg.DescribeLogDirsResponseDirTopic{dirTopic("t", part(1, 10, 0))}, nil)
	})
}

func TestDescribeProducers(t *testing.T) {
	img := threeBrokers()
	logs, err := storage.OpenDirs(storage.Options{Dirs: []string{t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(logs.Kill)
	defaults := storage.Config{SegmentBytes: 1 << 20, IndexBytes: 1 << 16, IndexIntervalBytes: 4096, MaxMessageBytes: 1 << 20}
	if err := logs.Load(t.Context(), func(string) storage.Config { return defaults }); err != nil {
		t.Fatal(err)
	}
	partitions := replication.NewManager(replication.Options{Self: 1, Logs: logs, Clock: clock.Real,
		Settings: func(string) *replication.Settings { return &replication.Settings{Log: defaults} }})
	err = partitions.Become(cluster.TopicPartition{Topic: "plain", Partition: 1}, img.Topics["plain"].ID,
		cluster.PartitionState{ID: 1, Partition: *img.Topics["plain"].Partitions[1], IsNew: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, producer := range []int64{9, 4} {
		b := record.NewBuilder(record.BatchSpec{ProducerID: producer, ProducerEpoch: 3, BaseSequence: 0, Transactional: producer == 4})
		b.Append(1000+producer, nil, []byte("x"))
		b.Append(1000+producer, nil, []byte("y"))
		batch, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		_, err = partitions.Get("plain", 1).Log().Append(batch, storage.AppendInfo{LeaderEpoch: 5, MaxTimestamp: 1000 + producer, Client: true, Now: 2000})
		if err != nil {
			t.Fatal(err)
		}
	}
	f := &Replicas{Images: stillImage{img}, Partitions: partitions}
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{
		{Topic: "plain", Partitions: []int32{1, 2, 9, -1}}, {Topic: "no", Partitions: []int32{0}}, {Topic: "a b", Partitions: []int32{0}},
	}
	resp := answered[*kmsg.DescribeProducersResponse](t, f, req)
	at := resp.Topics[0].Partitions
	for i, code := range []int16{0, 6, 3, 3} {
		if at[i].ErrorCode != code || at[i].ErrorMessage != nil || (len(at[i].ActiveProducers) > 0) != (i == 0) {
			t.Errorf("partition %d: %+v", at[i].Partition, at[i])
		}
	}
	want := []kmsg.DescribeProducersResponseTopicPartitionActiveProducer{
		{ProducerID: 4, ProducerEpoch: 3, LastSequence: 1, LastTimestamp: 1004, CoordinatorEpoch: -1, CurrentTxnStartOffset: 2},
		{ProducerID: 9, ProducerEpoch: 3, LastSequence: 1, LastTimestamp: 1009, CoordinatorEpoch: -1, CurrentTxnStartOffset: -1},
	}
	if d := cmp.Diff(want, at[0].ActiveProducers, ignoreTags); d != "" {
		t.Error(d)
	}
	req.Topics[0].Partitions = slices.Repeat([]int32{1}, answerMax/2+1)
	if resp, _ := f.DescribeProducers(&Call{}, req).Ready(); resp != (tooLarge{}) {
		t.Error("an answer that is too large is given")
	}
	if p := resp.Topics[1].Partitions[0]; p.ErrorCode != 3 || *p.ErrorMessage != "This server does not host this topic-partition." {
		t.Errorf("%+v", p)
	}
	if p := resp.Topics[2].Partitions[0]; p.ErrorCode != 17 || !strings.HasPrefix(*p.ErrorMessage, "Topic name is invalid: 'a b'") {
		t.Errorf("%+v", p)
	}
}

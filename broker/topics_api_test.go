package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"barnabas/broker/api"
	"barnabas/broker/config"
	"barnabas/coordinator/controller"
	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
	"barnabas/storage/clock"
)

// topicsEnv is the path of a topic request from the handler to the picture: store, controller, the door, without a disk.
type topicsEnv struct {
	t     *testing.T
	api   *api.Topics
	store store.Store
	clock *clock.Manual
	// disk holds the replicas that were not stopped.
	disk map[cluster.TopicPartition]bool
}

func (e *topicsEnv) Become(tp cluster.TopicPartition, _ cluster.TopicID, _ cluster.PartitionState) error {
	e.disk[tp] = true
	return nil
}

func (e *topicsEnv) Stop(tp cluster.TopicPartition, remove bool) error {
	if remove {
		delete(e.disk, tp)
	}
	return nil
}

// inProcess pushes to one broker.
type inProcess struct{ images *Images }

func (p inProcess) Push(ctx context.Context, _ int32, push cluster.Push) cluster.PushResult {
	return p.images.Push(ctx, push)
}

// withTopics runs f in a bubble with a broker that is a cluster of one.
func withTopics(t *testing.T, more map[string]string, f func(t *testing.T, e *topicsEnv)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		properties := map[string]string{"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": "/d"}
		for k, v := range more {
			properties[k] = v
		}
		static, err := config.NewStatic(properties)
		if err != nil {
			t.Fatal(err)
		}
		e := &topicsEnv{t: t, clock: clock.NewManual(time.UnixMilli(1700000000000)), disk: map[cluster.TopicPartition]bool{}}
		db := testTree(t, e.clock)
		session := db.NewSession()
		e.store = session
		r := runRegistration(testRegistration(session, e.clock, 1, 9092))
		images := NewImages(1, "c", r.Epoch, e, zap.NewNop())
		settings := config.NewSettings(static, 1)
		ctl := controller.New(controller.Options{
			Store: session, Self: 1, Clock: e.clock, Pusher: inProcess{images},
			Settings: func() controller.Settings { return controller.Settings{DeleteTopics: true} },
		})
		admin := controller.NewAdmin(controller.AdminOptions{
			Store: session, Self: 1, Image: images.Current, Topics: settings, Defaults: func() (int32, int16) { return 2, 1 },
		})
		e.api = &api.Topics{Images: images, Admin: admin, Controller: ctl, Settings: settings, Clock: e.clock}
		done := make(chan error, 1)
		if more["test"] != "no controller" {
			go func() { done <- ctl.Run(ctx) }()
		} else {
			done <- nil
		}
		synctest.Wait()
		f(t, e)
		cancel()
		<-done
		r.stop(t)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// ask sends a request through its encoding, and its answer too: fields that a version does not have are lost.
func ask[Req, Resp any, PReq interface {
	*Req
	kmsg.Request
}, PResp interface {
	*Resp
	kmsg.Response
}](e *topicsEnv, version int16, req PReq, handler func(*api.Call, PReq) api.Reply) PResp {
	e.t.Helper()
	req.SetVersion(version)
	sent := PReq(new(Req))
	sent.SetVersion(version)
	if err := sent.ReadFrom(req.AppendTo(nil)); err != nil {
		e.t.Fatal(err)
	}
	answer := make(chan api.Response, 1)
	go func() {
		answer <- handler(&api.Call{Key: sent.Key(), Version: version, Listener: "PLAINTEXT"}, sent).Await(e.t.Context())
	}()
	synctest.Wait()
	select {
	case a := <-answer:
		return decoded[Resp, PResp](e, version, a)
	default:
	}
	e.clock.Advance(time.Minute) // it waits for its time to be up
	return decoded[Resp, PResp](e, version, <-answer)
}

func decoded[Resp any, PResp interface {
	*Resp
	kmsg.Response
}](e *topicsEnv, version int16, a api.Response) PResp {
	e.t.Helper()
	resp := PResp(new(Resp))
	resp.SetVersion(version)
	if err := resp.ReadFrom(a.AppendTo(nil)); err != nil {
		e.t.Fatal(err)
	}
	return resp
}

func (e *topicsEnv) create(version int16, req *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	e.t.Helper()
	return ask[kmsg.CreateTopicsRequest, kmsg.CreateTopicsResponse](e, version, req, e.api.CreateTopics)
}

func (e *topicsEnv) remove(version int16, req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	e.t.Helper()
	return ask[kmsg.DeleteTopicsRequest, kmsg.DeleteTopicsResponse](e, version, req, e.api.DeleteTopics)
}

func newTopic(name string, partitions int32) kmsg.CreateTopicsRequestTopic {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, partitions, -1
	return rt
}

func createRequest(topics ...kmsg.CreateTopicsRequestTopic) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics, req.TimeoutMillis = topics, 5000
	return req
}

func deleteRequest(version int16, names ...string) *kmsg.DeleteTopicsRequest {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 5000
	for _, name := range names {
		if version < 6 {
			req.TopicNames = append(req.TopicNames, name)
			continue
		}
		rt := kmsg.NewDeleteTopicsRequestTopic()
		rt.Topic = &name
		req.Topics = append(req.Topics, rt)
	}
	return req
}

func text(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// TestTopicLife creates, grows and deletes a topic at every version. What is answered is so at that moment.
func TestTopicLife(t *testing.T) {
	withTopics(t, nil, func(t *testing.T, e *topicsEnv) {
		for round := range 2 { // the same names again: nothing is left of the first round
			for v := range int16(8) {
				name := fmt.Sprintf("t%d", v)
				created := e.create(v, createRequest(newTopic(name, 2))).Topics
				img := e.api.Images.Current()
				if len(created) != 1 || created[0].ErrorCode != 0 || img.Topics[name] == nil || img.Topics[name].Partitions[1].Leader != 1 {
					t.Fatalf("v%d: %+v", v, created)
				}
				c := created[0]
				if v >= 5 && (c.NumPartitions != 2 || c.ReplicationFactor != 1 || len(c.Configs) < 20 || c.ConfigErrorCode != 0) {
					t.Errorf("v%d: %+v", v, c)
				}
				if v >= 7 && c.TopicID != img.Topics[name].ID {
					t.Errorf("v%d: %+v", v, c)
				}
				grow := kmsg.NewPtrCreatePartitionsRequest()
				grow.TimeoutMillis = 5000
				grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: name, Count: 3}}
				grown := ask[kmsg.CreatePartitionsRequest, kmsg.CreatePartitionsResponse](e, v%4, grow, e.api.CreatePartitions)
				if grown.Topics[0].ErrorCode != 0 || e.api.Images.Current().Partition(name, 2) == nil || !e.disk[cluster.TopicPartition{Topic: name, Partition: 2}] {
					t.Errorf("v%d: %+v", v%4, grown.Topics)
				}
				removed := e.remove(min(v, 6), deleteRequest(min(v, 6), name)).Topics
				if len(removed) != 1 || removed[0].ErrorCode != 0 || text(removed[0].Topic) != name || removed[0].TopicID != [16]byte{} {
					t.Errorf("v%d: %+v", v, removed)
				}
				if _, there, _ := e.store.Exists(t.Context(), store.TopicPath(name)); there || len(e.disk) != 0 || e.api.Images.Current().Topics[name] != nil {
					t.Errorf("round %d: %s is still somewhere", round, name)
				}
			}
		}
	})
}

func TestCreateTopicsRefused(t *testing.T) {
	withTopics(t, nil, func(t *testing.T, e *topicsEnv) {
		e.create(7, createRequest(newTopic("there", 1)))
		null, bad := newTopic("null", 1), newTopic("bad", 1)
		null.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms"}}
		bad.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms", Value: kmsg.StringPtr("abc")}}
		byHand := newTopic("hand", -1)
		byHand.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 1, Replicas: []int32{1}}}
		resp := e.create(7, createRequest(
			newTopic("there", 1), newTopic("a b", 1), null, bad, byHand, newTopic("none", 0),
			newTopic("__cluster_metadata", 1), newTopic("twice", 1), newTopic("twice", 2), newTopic("good", -1),
		))
		want := []string{
			"there 36 Topic 'there' already exists.",
			"a b 17 Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
			"null 40 Null value not supported for topic configs: retention.ms",
			"bad 40 Invalid value abc for configuration retention.ms: Not a number of type LONG",
			"hand 39 partitions should be a consecutive 0-based integer sequence",
			"none 37 Number of partitions must be larger than 0.",
			"__cluster_metadata 42 Creation of internal topic __cluster_metadata is prohibited.",
			"twice 42 Found multiple entries for this topic.",
			"twice 42 Found multiple entries for this topic.",
			"good 0 null",
		}
		var got []string
		for _, at := range resp.Topics {
			got = append(got, fmt.Sprintf("%s %d %s", at.Topic, at.ErrorCode, text(at.ErrorMessage)))
			if at.ErrorCode != 0 && (at.NumPartitions != -1 || at.ReplicationFactor != -1 || at.Configs == nil || len(at.Configs) != 0 || at.TopicID != [16]byte{}) {
				t.Errorf("%+v", at)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if at := resp.Topics[9]; at.NumPartitions != 2 {
			t.Errorf("%+v", at)
		}
	})
}

// TestCreateTopicsWaits: a topic that gets no leader is there, and its request times out; so does one without a timeout.
func TestCreateTopicsWaits(t *testing.T) {
	withTopics(t, nil, func(t *testing.T, e *topicsEnv) {
		lost := newTopic("lost", -1)
		lost.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: []int32{9}}}
		at := e.create(7, createRequest(lost, newTopic("good", 1))).Topics
		if at[0].ErrorCode != kerr.RequestTimedOut.Code || at[0].ErrorMessage != nil || at[0].TopicID == [16]byte{} || at[0].NumPartitions != -1 || at[1].ErrorCode != 0 {
			t.Errorf("%+v", at)
		}
		hasty := createRequest(newTopic("hasty", 1))
		hasty.TimeoutMillis = 0
		if at := e.create(7, hasty).Topics[0]; at.ErrorCode != kerr.RequestTimedOut.Code {
			t.Errorf("%+v", at)
		}
		dry := createRequest(newTopic("dry", 3))
		dry.ValidateOnly = true
		if at := e.create(7, dry).Topics[0]; at.ErrorCode != 0 || at.NumPartitions != 3 || at.TopicID != [16]byte{} || e.api.Images.Current().Topics["dry"] != nil {
			t.Errorf("%+v", at)
		}
	})
}

func TestDeleteTopicsByID(t *testing.T) {
	withTopics(t, nil, func(t *testing.T, e *topicsEnv) {
		id := e.create(7, createRequest(newTopic("a", 1), newTopic("b", 1))).Topics[0].TopicID
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis = 5000
		req.Topics = []kmsg.DeleteTopicsRequestTopic{
			{TopicID: id}, {TopicID: [16]byte{9}}, {}, {Topic: kmsg.StringPtr("b")}, {Topic: kmsg.StringPtr("b")}, {Topic: kmsg.StringPtr("x/y")},
		}
		var got []string
		for _, at := range e.remove(6, req).Topics {
			got = append(got, fmt.Sprintf("%s %d %v %s", text(at.Topic), at.ErrorCode, at.TopicID == [16]byte{}, text(at.ErrorMessage)))
		}
		want := []string{"a 0 false null", "null 100 false null", "null 29 true null", "b 0 true null", "b 0 true null", "x/y 3 true null"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		both := kmsg.NewPtrDeleteTopicsRequest()
		both.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: kmsg.StringPtr("q"), TopicID: id}, {Topic: kmsg.StringPtr("b")}}
		for _, at := range e.remove(6, both).Topics {
			if at.ErrorCode != kerr.InvalidRequest.Code {
				t.Errorf("%+v", at)
			}
		}
	})
}

func TestCreatePartitionsRefused(t *testing.T) {
	withTopics(t, nil, func(t *testing.T, e *topicsEnv) {
		e.create(7, createRequest(newTopic("t", 2)))
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.TimeoutMillis = 5000
		req.Topics = []kmsg.CreatePartitionsRequestTopic{
			{Topic: "t", Count: 2}, {Topic: "x", Count: 2}, {Topic: "x", Count: 3}, {Topic: "a/b", Count: 3},
		}
		var got []string
		resp := ask[kmsg.CreatePartitionsRequest, kmsg.CreatePartitionsResponse](e, 3, req, e.api.CreatePartitions)
		for _, at := range resp.Topics {
			got = append(got, fmt.Sprintf("%s %d %s", at.Topic, at.ErrorCode, text(at.ErrorMessage)))
		}
		want := []string{"t 37 Topic already has 2 partitions.", "x 42 Duplicate topic in request.", "a/b 3 The topic 'a/b' does not exist."}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestElectLeaders(t *testing.T) {
	withTopics(t, nil, func(t *testing.T, e *topicsEnv) {
		e.create(7, createRequest(newTopic("t", 1)))
		elect := func(version int16, kind int8, topics ...kmsg.ElectLeadersRequestTopic) string {
			req := kmsg.NewPtrElectLeadersRequest()
			req.ElectionType, req.Topics, req.TimeoutMillis = kind, topics, 5000
			resp := ask[kmsg.ElectLeadersRequest, kmsg.ElectLeadersResponse](e, version, req, e.api.ElectLeaders)
			parts := []string{fmt.Sprint(resp.ErrorCode)}
			for _, topic := range resp.Topics {
				for _, p := range topic.Partitions {
					parts = append(parts, fmt.Sprintf("%s-%d %d %s", topic.Topic, p.Partition, p.ErrorCode, text(p.ErrorMessage)))
				}
			}
			return strings.Join(parts, ", ")
		}
		one := kmsg.ElectLeadersRequestTopic{Topic: "t", Partitions: []int32{0, 7}}
		for v := range int16(3) {
			if got, want := elect(v, 0, one), "0, t-0 84 Leader election not needed for topic partition., t-7 3 The partition does not exist."; got != want {
				t.Errorf("v%d: %s", v, got)
			}
			if got := elect(v, 0); got != "0" {
				t.Errorf("v%d: %s", v, got)
			}
		}
		if got, want := elect(2, 1, one), "0, t-0 84 Leader election not needed for topic partition., t-7 3 The partition does not exist."; got != want {
			t.Error(got)
		}
		// Kafka never explains UNKNOWN_SERVER_ERROR; we once sent its exception's text.
		if got := elect(2, 5, one); got != "-1, t-0 -1 null, t-7 -1 null" {
			t.Error(got)
		}
		// Leadership that has strayed: the answer comes when the picture shows it back.
		data, stat, err := e.store.Get(t.Context(), store.PartitionStatePath("t", 0))
		if err != nil {
			t.Fatal(err)
		}
		s, err := store.DecodePartitionState(data)
		if err != nil {
			t.Fatal(err)
		}
		s.Leader = -1
		if _, err := e.store.Set(t.Context(), store.PartitionStatePath("t", 0), store.EncodePartitionState(s), stat.Version); err != nil {
			t.Fatal(err)
		}
		note := store.EncodePartitions([]store.TopicPartition{{Topic: "t"}})
		if _, err := e.store.Create(t.Context(), store.ISRChangePrefix, note, store.Sequential); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if e.api.Images.Current().Partition("t", 0).Leader != -1 {
			t.Fatal("the picture does not show that the leader is gone")
		}
		if got, want := elect(1, 0), "0, t-0 0 null"; got != want || e.api.Images.Current().Partition("t", 0).Leader != 1 {
			t.Error(got)
		}
	})
}

func TestNotController(t *testing.T) {
	withTopics(t, map[string]string{"test": "no controller"}, func(t *testing.T, e *topicsEnv) {
		if at := e.create(7, createRequest(newTopic("t", 1))).Topics[0]; at.ErrorCode != kerr.NotController.Code || text(at.ErrorMessage) != "" {
			t.Errorf("%+v", at)
		}
		if at := e.remove(6, deleteRequest(6, "t")).Topics[0]; at.ErrorCode != kerr.NotController.Code || at.ErrorMessage != nil {
			t.Errorf("%+v", at)
		}
		grow := kmsg.NewPtrCreatePartitionsRequest()
		grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 3}}
		if at := ask[kmsg.CreatePartitionsRequest, kmsg.CreatePartitionsResponse](e, 3, grow, e.api.CreatePartitions).Topics[0]; at.ErrorCode != kerr.NotController.Code {
			t.Errorf("%+v", at)
		}
		elect := kmsg.NewPtrElectLeadersRequest()
		elect.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "t", Partitions: []int32{0}}}
		if at := ask[kmsg.ElectLeadersRequest, kmsg.ElectLeadersResponse](e, 2, elect, e.api.ElectLeaders); at.Topics[0].Partitions[0].ErrorCode != kerr.NotController.Code {
			t.Errorf("%+v", at)
		}
		if _, err := e.api.Controller.ElectLeaders(t.Context(), controller.PreferredElection, nil); !errors.Is(err, kerr.NotController) {
			t.Error(err)
		}
	})
}

// TestNoTime: a timeout is for waiting, so a request with none is done nevertheless. We once bounded the writes by it too, and
// answered UNKNOWN_SERVER_ERROR.
func TestNoTime(t *testing.T) {
	withTopics(t, nil, func(t *testing.T, e *topicsEnv) {
		for _, millis := range []int32{0, -1} {
			create := createRequest(newTopic("t", 1))
			create.TimeoutMillis = millis
			if at := e.create(7, create).Topics[0]; at.ErrorCode != kerr.RequestTimedOut.Code || at.TopicID == [16]byte{} {
				t.Errorf("%+v", at)
			}
			synctest.Wait()
			if e.api.Images.Current().Topics["t"] == nil {
				t.Fatal("not created")
			}
			grow := kmsg.NewPtrCreatePartitionsRequest()
			grow.TimeoutMillis, grow.Topics = millis, []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 3}}
			if at := ask[kmsg.CreatePartitionsRequest, kmsg.CreatePartitionsResponse](e, 3, grow, e.api.CreatePartitions).Topics[0]; at.ErrorCode != kerr.RequestTimedOut.Code {
				t.Errorf("%+v", at)
			}
			synctest.Wait()
			if len(e.api.Images.Current().Topics["t"].Partitions) != 3 {
				t.Fatal("not grown")
			}
			elect := kmsg.NewPtrElectLeadersRequest()
			elect.TimeoutMillis, elect.Topics = millis, []kmsg.ElectLeadersRequestTopic{{Topic: "t", Partitions: []int32{0}}}
			if at := ask[kmsg.ElectLeadersRequest, kmsg.ElectLeadersResponse](e, 2, elect, e.api.ElectLeaders).Topics[0].Partitions[0]; at.ErrorCode != kerr.ElectionNotNeeded.Code {
				t.Errorf("%+v", at)
			}
			remove := deleteRequest(6, "t")
			remove.TimeoutMillis = millis
			if at := e.remove(6, remove).Topics[0]; at.ErrorCode != kerr.RequestTimedOut.Code {
				t.Errorf("%+v", at)
			}
			synctest.Wait()
			if e.api.Images.Current().Topics["t"] != nil {
				t.Fatal("not deleted")
			}
		}
	})
}

func TestDeletionDisabled(t *testing.T) {
	withTopics(t, map[string]string{"delete.topic.enable": "false"}, func(t *testing.T, e *topicsEnv) {
		for v, want := range []int16{42, 42, 42, 73, 73, 73, 73} {
			if at := e.remove(int16(v), deleteRequest(int16(v), "t")).Topics[0]; at.ErrorCode != want {
				t.Errorf("v%d: %+v", v, at)
			}
		}
	})
}

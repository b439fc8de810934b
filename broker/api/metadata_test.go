package api

import (
	"context"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication/cluster"
)

// maker creates topics in an image, but those that it has errors for.
type maker struct {
	img    *cluster.Image
	fails  map[string]error
	called []string
}

func (m *maker) AutoCreate(_ context.Context, topic string) error {
	m.called = append(m.called, topic)
	if err := m.fails[topic]; err != nil {
		return err
	}
	m.img.Put(&cluster.Topic{Name: topic, ID: cluster.TopicID{50, byte(len(m.called))}, Partitions: []*cluster.Partition{{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}}}})
	return nil
}

func metadataOf(names ...string) func() *kmsg.MetadataRequest {
	return func() *kmsg.MetadataRequest {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{}
		for _, n := range names {
			req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(n)})
		}
		return req
	}
}

func TestMetadataCreatesWhatIsAskedFor(t *testing.T) {
	everyVersion(metadataOf("new", "new", "plain", "a b", "taken", "late"), func(v int16, req *kmsg.MetadataRequest) {
		img := threeBrokers()
		m := &maker{img: img, fails: map[string]error{"taken": fmt.Errorf("collides: %w", kerr.InvalidTopicException), "late": context.DeadlineExceeded}}
		f := &Topology{Images: stillImage{img}, Creator: m, AutoCreate: true}
		req.AllowAutoTopicCreation = true
		codes := map[string]int16{}
		for _, topic := range answered[*kmsg.MetadataResponse](t, f, req).Topics {
			codes[*topic.Topic] = topic.ErrorCode
		}
		want := map[string]int16{"new": 0, "plain": 0, "a b": kerr.InvalidTopicException.Code, "taken": kerr.InvalidTopicException.Code, "late": kerr.LeaderNotAvailable.Code}
		if fmt.Sprint(codes) != fmt.Sprint(want) || fmt.Sprint(m.called) != "[new taken late]" {
			t.Errorf("v%d: %v after %v", v, codes, m.called)
		}
		// Without the flag, and with a broker that does not, nothing is made; before v4 there was no flag.
		req.AllowAutoTopicCreation = false
		req.Topics = metadataOf("other")().Topics
		m.called = nil
		got := answered[*kmsg.MetadataResponse](t, f, req).Topics[0].ErrorCode
		if made := len(m.called) == 1; made != (v < 4) || made == (got == kerr.UnknownTopicOrPartition.Code) {
			t.Errorf("v%d: %d after %v", v, got, m.called)
		}
	})
}

func TestMetadataByID(t *testing.T) {
	f := &Topology{Images: stillImage{threeBrokers()}}
	everyVersion(kmsg.NewPtrMetadataRequest, func(v int16, req *kmsg.MetadataRequest) {
		if v < 10 {
			return // names only
		}
		req.Topics = []kmsg.MetadataRequestTopic{{TopicID: cluster.TopicID{1}, Topic: kmsg.StringPtr("other")}, {TopicID: cluster.TopicID{77}}}
		resp := answered[*kmsg.MetadataResponse](t, f, req)
		if v < 12 { // ids cannot be asked for yet
			if len(resp.Brokers) != 0 || resp.ControllerID != -1 || resp.ClusterID != nil || resp.Topics[0].ErrorCode != kerr.InvalidRequest.Code {
				t.Errorf("v%d: %+v", v, resp)
			}
			return
		}
		if len(resp.Topics) != 2 || *resp.Topics[0].Topic != "plain" || resp.Topics[1].ErrorCode != kerr.UnknownTopicID.Code || resp.Topics[1].Topic != nil {
			t.Errorf("v%d: %+v", v, resp)
		}
		// A topic that is named in no way fails all, and its name comes back empty rather than null.
		req.Topics = []kmsg.MetadataRequestTopic{{}}
		resp = answered[*kmsg.MetadataResponse](t, f, req)
		if len(resp.Brokers) != 0 || len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != -1 || resp.Topics[0].Topic == nil || *resp.Topics[0].Topic != "" {
			t.Errorf("v%d: %+v", v, resp)
		}
	})
}

func TestMetadataOfAllAndOfNone(t *testing.T) {
	f := &Topology{Images: stillImage{threeBrokers()}, Creator: &maker{}, AutoCreate: true}
	everyVersion(metadataOf(), func(v int16, req *kmsg.MetadataRequest) {
		none := 0
		if v == 0 {
			none = 3 // an empty list means all
		}
		if got := answered[*kmsg.MetadataResponse](t, f, req); len(got.Topics) != none || len(got.Brokers) != 2 {
			t.Errorf("v%d: %+v", v, got)
		}
		if req.Topics = nil; v > 0 {
			if got := answered[*kmsg.MetadataResponse](t, f, req); len(got.Topics) != 3 {
				t.Errorf("v%d: %+v", v, got)
			}
		}
	})
}

// A leader that cannot be reached on the listener, or is not there, is none.
func TestMetadataOfLeaders(t *testing.T) {
	f := &Topology{Images: stillImage{threeBrokers()}}
	everyVersion(metadataOf("plain"), func(v int16, req *kmsg.MetadataRequest) {
		noListener := kerr.ListenerNotFound.Code
		if v < 6 {
			noListener = kerr.LeaderNotAvailable.Code
		}
		for _, p := range answered[*kmsg.MetadataResponse](t, f, req).Topics[0].Partitions {
			want, leader := map[int32]int16{0: kerr.LeaderNotAvailable.Code, 3: noListener}[p.Partition], p.Partition
			if want != 0 {
				leader = -1
			}
			if p.ErrorCode != want || p.Leader != leader {
				t.Errorf("v%d: %+v", v, p)
			}
		}
	})
}

func TestApiVersionsOfASoftware(t *testing.T) {
	v := &Versions{Images: stillImage{threeBrokers()}, Self: 1}
	table := NewRoutes(v)
	everyVersion(kmsg.NewPtrApiVersionsRequest, func(version int16, req *kmsg.ApiVersionsRequest) {
		for name, fine := range map[string]bool{"a": true, "a.b-c": true, "": false, "-a": false, "a-": false, "a b": false, "ä": false} {
			req.ClientSoftwareName, req.ClientSoftwareVersion = name, "1"
			resp := answered[*kmsg.ApiVersionsResponse](t, v, req)
			if fine = fine || version < 3; fine != (resp.ErrorCode == 0) || fine != (len(resp.ApiKeys) == len(table.All())) {
				t.Errorf("v%d, %q: %+v", version, name, resp)
			}
		}
	})
}

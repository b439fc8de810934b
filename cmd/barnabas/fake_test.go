package main

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/config"
)

// fakeBroker answers the admin requests of the tools from memory, so that their output and their errors can be tested
// without a broker. Each handler sees one request at a time.
type fakeBroker struct {
	listener net.Listener
	mu       sync.Mutex
	topics   map[string]int32             // partitions by name
	configs  map[string]map[string]string // by topic
	answers  map[int16]func(kmsg.Request) kmsg.Response
}

func newFakeBroker(t *testing.T) *fakeBroker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeBroker{listener: l, topics: map[string]int32{}, configs: map[string]map[string]string{}}
	f.answers = map[int16]func(kmsg.Request) kmsg.Response{
		18: f.apiVersions, 3: f.metadata, 19: f.createTopics, 20: f.deleteTopics, 32: f.describeConfigs, 44: f.alterConfigs,
		2: f.listOffsets, 16: f.listGroups,
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return f
}

func (f *fakeBroker) addr() string { return f.listener.Addr().String() }

func (f *fakeBroker) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(conn, frame); err != nil {
			return
		}
		r := kbin.Reader{Src: frame}
		key, version, correlation := r.Int16(), r.Int16(), r.Int32()
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		r.NullableString()
		if req.IsFlexible() {
			kmsg.SkipTags(&r)
		}
		answer, ok := f.answers[key]
		if !ok || req.ReadFrom(r.Src) != nil {
			return
		}
		f.mu.Lock()
		resp := answer(req)
		f.mu.Unlock()
		resp.SetVersion(version)
		out := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(correlation))
		if resp.IsFlexible() && key != 18 {
			out = append(out, 0)
		}
		out = resp.AppendTo(out)
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

func (f *fakeBroker) apiVersions(req kmsg.Request) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	for key := range f.answers {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MaxVersion = key, kmsg.RequestForKey(key).MaxVersion()
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	return resp
}

func (f *fakeBroker) metadata(r kmsg.Request) kmsg.Response {
	req := r.(*kmsg.MetadataRequest)
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	addr := f.listener.Addr().(*net.TCPAddr)
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID, b.Host, b.Port = 1, addr.IP.String(), int32(addr.Port)
	resp.Brokers = append(resp.Brokers, b)
	resp.ControllerID = 1
	resp.ClusterID = kmsg.StringPtr("fake")
	var names []string
	if req.Topics == nil {
		for name := range f.topics {
			names = append(names, name)
		}
	}
	for _, t := range req.Topics {
		if t.Topic != nil {
			names = append(names, *t.Topic)
		}
	}
	for _, name := range names {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic = kmsg.StringPtr(name)
		partitions, ok := f.topics[name]
		if !ok {
			t.ErrorCode = kerr.UnknownTopicOrPartition.Code
		} else {
			t.TopicID[15] = byte(len(name))
		}
		for i := range partitions {
			p := kmsg.NewMetadataResponseTopicPartition()
			p.Partition, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR = i, 1, 3, []int32{1}, []int32{1}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (f *fakeBroker) createTopics(r kmsg.Request) kmsg.Response {
	req := r.(*kmsg.CreateTopicsRequest)
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	for _, t := range req.Topics {
		a := kmsg.NewCreateTopicsResponseTopic()
		a.Topic = t.Topic
		if _, exists := f.topics[t.Topic]; exists {
			a.ErrorCode, a.ErrorMessage = kerr.TopicAlreadyExists.Code, kmsg.StringPtr("Topic '"+t.Topic+"' already exists.")
		} else {
			a.NumPartitions, a.ReplicationFactor = max(t.NumPartitions, 1), 1
			if !req.ValidateOnly {
				f.topics[t.Topic] = a.NumPartitions
				f.configs[t.Topic] = map[string]string{}
				for _, c := range t.Configs {
					f.configs[t.Topic][c.Name] = *c.Value
				}
			}
		}
		resp.Topics = append(resp.Topics, a)
	}
	return resp
}

func (f *fakeBroker) deleteTopics(r kmsg.Request) kmsg.Response {
	req := r.(*kmsg.DeleteTopicsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	for _, t := range req.Topics {
		a := kmsg.NewDeleteTopicsResponseTopic()
		a.Topic = t.Topic
		if _, ok := f.topics[*t.Topic]; !ok {
			a.ErrorCode = kerr.UnknownTopicOrPartition.Code
		}
		delete(f.topics, *t.Topic)
		resp.Topics = append(resp.Topics, a)
	}
	return resp
}

func (f *fakeBroker) describeConfigs(r kmsg.Request) kmsg.Response {
	req := r.(*kmsg.DescribeConfigsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for _, asked := range req.Resources {
		a := kmsg.NewDescribeConfigsResponseResource()
		a.ResourceType, a.ResourceName = asked.ResourceType, asked.ResourceName
		if _, ok := f.topics[asked.ResourceName]; !ok {
			a.ErrorCode = kerr.UnknownTopicOrPartition.Code
		}
		for _, row := range []struct {
			key, value string
			source     kmsg.ConfigSource
		}{{"retention.ms", "604800000", kmsg.ConfigSourceDefaultConfig}, {"segment.bytes", "1073741824", kmsg.ConfigSourceDefaultConfig}} {
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			c.Name, c.Value, c.Source = row.key, &row.value, row.source
			if v, ok := f.configs[asked.ResourceName][row.key]; ok {
				c.Value, c.Source = &v, kmsg.ConfigSourceDynamicTopicConfig
			}
			a.Configs = append(a.Configs, c)
		}
		resp.Resources = append(resp.Resources, a)
	}
	return resp
}

func (f *fakeBroker) alterConfigs(r kmsg.Request) kmsg.Response {
	req := r.(*kmsg.IncrementalAlterConfigsRequest)
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	for _, t := range req.Resources {
		a := kmsg.NewIncrementalAlterConfigsResponseResource()
		a.ResourceType, a.ResourceName = t.ResourceType, t.ResourceName
		for _, c := range t.Configs {
			switch {
			case config.TopicDefs().Get(c.Name) == nil:
				a.ErrorCode, a.ErrorMessage = kerr.InvalidConfig.Code, kmsg.StringPtr("Unknown topic config name: "+c.Name)
			case c.Value == nil:
				delete(f.configs[t.ResourceName], c.Name)
			default:
				f.configs[t.ResourceName][c.Name] = *c.Value
			}
		}
		resp.Resources = append(resp.Resources, a)
	}
	return resp
}

func (f *fakeBroker) listOffsets(r kmsg.Request) kmsg.Response {
	req := r.(*kmsg.ListOffsetsRequest)
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	for _, t := range req.Topics {
		at := kmsg.NewListOffsetsResponseTopic()
		at.Topic = t.Topic
		for _, p := range t.Partitions {
			ap := kmsg.NewListOffsetsResponseTopicPartition()
			ap.Partition, ap.Timestamp = p.Partition, -1
			switch p.Timestamp {
			case -2:
				ap.Offset = 5
			case -1:
				ap.Offset = 12
			default:
				ap.Offset, ap.Timestamp = 7, p.Timestamp+1
			}
			at.Partitions = append(at.Partitions, ap)
		}
		resp.Topics = append(resp.Topics, at)
	}
	return resp
}

func (f *fakeBroker) listGroups(r kmsg.Request) kmsg.Response {
	resp := r.(*kmsg.ListGroupsRequest).ResponseKind().(*kmsg.ListGroupsResponse)
	for name, state := range map[string]string{"billing": "Stable", "audit": "Empty"} {
		g := kmsg.NewListGroupsResponseGroup()
		g.Group, g.GroupState, g.ProtocolType = name, state, "consumer"
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

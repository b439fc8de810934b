package api

import (
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"
	"barnabas/replication"
	"barnabas/replication/cluster"
	"barnabas/storage"
	"barnabas/storage/clock"
)

const dataTime = 1_700_000_000_000

// dataEnv is the data family of broker 1 with logs of its own. Broker 2 is alive too.
type dataEnv struct {
	*Data
	t        *testing.T
	img      *cluster.Image
	clock    *clock.Manual
	settings map[string]*replication.Settings
}

// newData is a broker with topic "t", of whose partitions 0 and 1 are here and empty, and partition 2 is broker 2's.
func newData(t *testing.T) *dataEnv {
	t.Helper()
	e := &dataEnv{t: t, img: cluster.Empty(), clock: clock.NewManual(time.UnixMilli(dataTime)), settings: map[string]*replication.Settings{}}
	logs, err := storage.OpenDirs(storage.Options{Dirs: []string{t.TempDir()}, Clock: e.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(logs.Kill)
	if err := logs.Load(t.Context(), func(topic string) storage.Config { return e.of(topic).Log }); err != nil {
		t.Fatal(err)
	}
	e.img.ClusterID, e.img.ControllerID = "c", 1
	for id := int32(1); id <= 2; id++ {
		e.img.Brokers[id] = &cluster.Broker{ID: id, Endpoints: []cluster.Endpoint{{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: 9090 + id}}}
	}
	partitions := replication.NewManager(replication.Options{Self: 1, Logs: logs, Clock: e.clock, Settings: e.of})
	e.Data = &Data{Images: stillImage{e.img}, Partitions: partitions, Sessions: NewFetchSessions(e.clock, 10, 0), Clock: e.clock, FetchMaxBytes: 1 << 20}
	e.make("t", cluster.TopicID{7}, 2)
	e.img.Topics["t"].Partitions = append(e.img.Topics["t"].Partitions, &cluster.Partition{Leader: 2, LeaderEpoch: 4, Replicas: []int32{2}, ISR: []int32{2}})
	return e
}

// of gives a topic's settings, which a test may change before it makes the topic.
func (e *dataEnv) of(topic string) *replication.Settings {
	if e.settings[topic] == nil {
		c := storage.DefaultConfig()
		c.RetentionMs = -1
		e.settings[topic] = &replication.Settings{
			Log: c, MinISR: 1, Downconvert: true,
			Rules: record.Rules{KeepCodec: true, BeforeMax: math.MaxInt64, AfterMax: math.MaxInt64, MaxBytes: 1 << 20},
		}
	}
	return e.settings[topic]
}

// make creates a topic whose partitions are led here.
func (e *dataEnv) make(topic string, id cluster.TopicID, partitions int) {
	e.t.Helper()
	e.img.Put(&cluster.Topic{Name: topic, ID: id, Partitions: make([]*cluster.Partition, partitions)})
	for p := range partitions {
		e.lead(topic, int32(p), cluster.Partition{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}})
	}
}

// lead gives a partition a state.
func (e *dataEnv) lead(topic string, id int32, p cluster.Partition) *replication.Partition {
	e.t.Helper()
	e.img.Topics[topic].Partitions[id] = &p
	partitions := e.Partitions.(*replication.Manager)
	tp := cluster.TopicPartition{Topic: topic, Partition: id}
	if err := partitions.Become(tp, e.img.Topics[topic].ID, cluster.PartitionState{ID: id, Partition: p, IsNew: true}); err != nil {
		e.t.Fatal(err)
	}
	return partitions.Get(topic, id)
}

// records is a batch of n records, a millisecond apart.
func records(t *testing.T, n int, first int64, c codec.Type) []byte {
	t.Helper()
	b := record.NewBuilder(record.BatchSpec{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None, Codec: c})
	for i := range n {
		b.Append(first+int64(i), []byte("k"), []byte("value"))
	}
	built, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// fill appends n records.
func (e *dataEnv) fill(topic string, partition int32, n int, first int64) {
	e.t.Helper()
	if _, err := e.Partitions.Get(topic, partition).Append(records(e.t, n, first, codec.None), 9, false); err != nil {
		e.t.Fatal(err)
	}
}

func produceOf(version int16, parts ...kmsg.ProduceRequestTopicPartition) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, -1, 1000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", TopicID: cluster.TopicID{7}, Partitions: parts}}
	return req
}

func listing(version int16, partition int32, timestamp int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = version, -1
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp, p.MaxNumOffsets = partition, timestamp, 10
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	return req
}

// fetching asks for partitions of "t" from an offset, without a session and without waiting.
func fetching(version int16, offset int64, partitions ...int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MinBytes, req.MaxBytes, req.SessionEpoch = version, 1, 1<<20, -1
	topic := kmsg.FetchRequestTopic{Topic: "t", TopicID: cluster.TopicID{7}}
	for _, id := range partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = id, offset, 1<<20
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

// fetched asks, and gives the answer for the only topic's partitions.
func (e *dataEnv) fetched(req *kmsg.FetchRequest) []kmsg.FetchResponseTopicPartition {
	e.t.Helper()
	resp := answered[*kmsg.FetchResponse](e.t, e.Data, req)
	if len(resp.Topics) != 1 {
		e.t.Fatalf("v%d: %+v", req.Version, resp)
	}
	return resp.Topics[0].Partitions
}

package api

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"
	"barnabas/replication/cluster"
)

func part(id int32, records []byte) kmsg.ProduceRequestTopicPartition {
	return kmsg.ProduceRequestTopicPartition{Partition: id, Records: records}
}

// produced asks, and gives the answers for the only topic's partitions.
func (e *dataEnv) produced(req *kmsg.ProduceRequest) []kmsg.ProduceResponseTopicPartition {
	e.t.Helper()
	resp := answered[*kmsg.ProduceResponse](e.t, e.Data, req)
	if len(resp.Topics) != 1 {
		e.t.Fatalf("v%d: %+v", req.Version, resp)
	}
	return resp.Topics[0].Partitions
}

// The log start stands in the answer when the log has found the error, unless it is one that Kafka expects of a log.
func TestProduceErrorsAndTheLogStart(t *testing.T) {
	e := newData(t)
	e.fill("t", 0, 5, dataTime)
	if _, err := e.Partitions.Get("t", 0).DeleteRecords(2); err != nil {
		t.Fatal(err)
	}
	bent := func(f func(record.Batch)) []byte {
		b := record.Batch(records(t, 3, dataTime, codec.None))
		f(b)
		b.Seal()
		return b
	}
	twice := append(records(t, 1, dataTime, codec.None), records(t, 1, dataTime, codec.None)...)
	for _, c := range []struct {
		name    string
		records []byte
		code    int16
		start   int64
	}{
		{"nothing", []byte{}, kerr.InvalidRecord.Code, -1},
		{"two batches", twice, kerr.InvalidRecord.Code, -1},
		{"magic 3", bent(func(b record.Batch) { b[16] = 3 }), kerr.CorruptMessage.Code, -1},
		{"smaller than its header", bent(func(b record.Batch) { b[11] = 20 }), kerr.CorruptMessage.Code, -1},
		{"base offset", bent(func(b record.Batch) { b.SetBaseOffset(1) }), kerr.InvalidRecord.Code, 2},
		{"too large", records(t, 200_000, dataTime, codec.None), kerr.MessageTooLarge.Code, -1},
		{"unknown codec", bent(func(b record.Batch) { b.SetAttributes(6) }), kerr.UnknownServerError.Code, 2},
		{"control", bent(func(b record.Batch) { b.SetAttributes(record.AttrControl) }), kerr.InvalidRecord.Code, 2},
	} {
		for v := int16(3); v <= maxProduce; v++ {
			got := e.produced(produceOf(v, part(0, c.records)))[0]
			start := c.start
			if v < 5 || c.name == "unknown codec" && v < 7 {
				start = -1
			}
			if got.ErrorCode != c.code || got.LogStartOffset != start || got.BaseOffset != -1 {
				t.Errorf("%s, v%d: %+v, want %d and %d", c.name, v, got, c.code, start)
			}
			if text := got.ErrorMessage != nil; text && c.name != "magic 3" {
				t.Errorf("%s, v%d: %s", c.name, v, *got.ErrorMessage)
			}
		}
	}
}

// Of a partition named twice the last counts, and is answered once: two batches of one producer cannot come in one request.
func TestProduceOfAPartitionTwice(t *testing.T) {
	e := newData(t)
	end := int64(0)
	for v := int16(3); v <= maxProduce; v++ {
		req := produceOf(v, part(0, records(t, 1, dataTime, codec.None)), part(1, records(t, 1, dataTime, codec.None)))
		req.Topics = append(req.Topics, produceOf(v, part(0, records(t, 4, dataTime, codec.None))).Topics...)
		got := e.produced(req)
		if len(got) != 2 || got[0].Partition != 0 || got[0].BaseOffset != end || got[1].Partition != 1 {
			t.Fatalf("v%d: %+v", v, got)
		}
		if end += 4; e.Partitions.Get("t", 0).Log().End() != end {
			t.Fatalf("v%d: the log ends at %d, not %d", v, e.Partitions.Get("t", 0).Log().End(), end)
		}
	}
}

func TestProduceTargets(t *testing.T) {
	e := newData(t)
	e.make(cluster.OffsetsTopic, cluster.TopicID{8}, 1)
	for v := int16(3); v <= maxProduce; v++ {
		got := e.produced(produceOf(v, part(0, records(t, 1, dataTime, codec.None)), part(2, nil), part(9, nil), part(-1, nil)))
		for i, want := range []int16{0, kerr.NotLeaderForPartition.Code, kerr.UnknownTopicOrPartition.Code, kerr.UnknownTopicOrPartition.Code} {
			if got[i].ErrorCode != want {
				t.Errorf("v%d, partition %d: %+v", v, got[i].Partition, got[i])
			}
		}
		if leads := got[1].CurrentLeader.LeaderID == 2; leads != (v >= 10) {
			t.Errorf("v%d: %+v", v, got[1])
		}
		req := produceOf(v, part(0, records(t, 1, dataTime, codec.None)))
		req.Topics[0].Topic, req.Topics[0].TopicID = cluster.OffsetsTopic, cluster.TopicID{8}
		if got := e.produced(req)[0]; got.ErrorCode != kerr.InvalidTopicException.Code {
			t.Errorf("v%d: %+v", v, got)
		}
		for acks, want := range map[int16]int16{1: 0, -2: kerr.InvalidRequiredAcks.Code, 2: kerr.InvalidRequiredAcks.Code} {
			req := produceOf(v, part(0, records(t, 1, dataTime, codec.None)))
			if req.Acks = acks; e.produced(req)[0].ErrorCode != want {
				t.Errorf("v%d, acks %d", v, acks)
			}
		}
	}
}

// acks=0 has no answer but the end of the connection.
func TestProduceWithoutAcks(t *testing.T) {
	e := newData(t)
	for partition, closes := range map[int32]bool{0: false, 9: true} {
		req := e.newProduceRequest().(*produceRequest)
		req.ProduceRequest = *produceOf(9, part(partition, records(t, 1, dataTime, codec.None)))
		req.Acks = 0
		reply := e.Produce(&Call{Version: 9, Listener: "PLAINTEXT"}, req)
		if resp, ready := reply.Ready(); reply.Closes() != closes || !closes && (resp != nil || !ready) {
			t.Errorf("partition %d: %+v", partition, reply)
		}
	}
}

func TestDeleteRecordsAtEveryVersion(t *testing.T) {
	e := newData(t)
	e.of("compacted").Log.Delete = false
	e.make("compacted", cluster.TopicID{8}, 1)
	e.make(cluster.OffsetsTopic, cluster.TopicID{9}, 1)
	e.fill("t", 0, 10, dataTime)
	for _, c := range []struct {
		topic     string
		partition int32
		offset    int64
		code      int16
		low       int64
	}{
		{"t", 0, 3, 0, 3}, {"t", 0, 1, 0, 3}, {"t", 0, 11, kerr.OffsetOutOfRange.Code, -1}, {"t", 0, -2, kerr.OffsetOutOfRange.Code, -1},
		{"t", 2, 0, kerr.NotLeaderForPartition.Code, -1}, {"t", 9, 0, kerr.UnknownTopicOrPartition.Code, -1},
		{"none", 0, 0, kerr.UnknownTopicOrPartition.Code, -1}, {"compacted", 0, 0, kerr.PolicyViolation.Code, -1},
		{cluster.OffsetsTopic, 0, 0, kerr.InvalidTopicException.Code, -1},
	} {
		everyVersion(kmsg.NewPtrDeleteRecordsRequest, func(v int16, req *kmsg.DeleteRecordsRequest) {
			of := kmsg.DeleteRecordsRequestTopicPartition{Partition: c.partition, Offset: c.offset}
			// The first of the two is void.
			req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: c.topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: c.partition, Offset: 10}, of}}}
			got := answered[*kmsg.DeleteRecordsResponse](t, e.Data, req).Topics[0].Partitions
			if len(got) != 1 || got[0].ErrorCode != c.code || got[0].LowWatermark != c.low {
				t.Errorf("%+v, v%d: %+v", c, v, got)
			}
		})
	}
}

func TestOffsetForLeaderEpochAtEveryVersion(t *testing.T) {
	e := newData(t)
	e.fill("t", 0, 5, dataTime)
	e.lead("t", 0, cluster.Partition{Leader: 1, LeaderEpoch: 2, Replicas: []int32{1}, ISR: []int32{1}})
	e.fill("t", 0, 2, dataTime)
	for _, c := range []struct {
		partition, epoch, current int32
		code                      int16
		leader                    int32
		end                       int64
	}{
		{0, 0, -1, 0, 0, 5}, {0, 1, -1, 0, 0, 5}, {0, 2, 2, 0, 2, 7}, {0, 3, -1, 0, -1, -1}, {0, -1, -1, 0, -1, -1},
		{0, 0, 1, kerr.FencedLeaderEpoch.Code, -1, -1}, {0, 0, 3, kerr.UnknownLeaderEpoch.Code, -1, -1},
		{2, 0, -1, kerr.NotLeaderForPartition.Code, -1, -1}, {9, 0, -1, kerr.UnknownTopicOrPartition.Code, -1, -1},
	} {
		everyVersion(kmsg.NewPtrOffsetForLeaderEpochRequest, func(v int16, req *kmsg.OffsetForLeaderEpochRequest) {
			of := kmsg.OffsetForLeaderEpochRequestTopicPartition{Partition: c.partition, LeaderEpoch: c.epoch, CurrentLeaderEpoch: c.current}
			req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{of}}}
			got := answered[*kmsg.OffsetForLeaderEpochResponse](t, e.Data, req).Topics[0].Partitions[0]
			code, leader, end := c.code, c.leader, c.end
			if v < 2 && c.current >= 0 { // not asked yet
				code, leader, end = 0, map[int32]int32{0: 0, 2: 2}[c.epoch], map[int32]int64{0: 5, 2: 7}[c.epoch]
			}
			if v < 1 {
				leader = -1
			}
			if got.ErrorCode != code || got.LeaderEpoch != leader || got.EndOffset != end {
				t.Errorf("%+v, v%d: %+v", c, v, got)
			}
		})
	}
}

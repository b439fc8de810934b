package api

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"barnabas/replication/cluster"
)

var (
	maxProduce = (*produceRequest)(nil).MaxVersion()
	anyString  = rapid.StringN(0, 300, 300)
	noTagsSeen = cmpopts.IgnoreUnexported(kmsg.Tags{})
)

// noTopics is the picture of a cluster without topics.
type noTopics struct{}

var emptyImage = cluster.Empty()

func (noTopics) Current() *cluster.Image { return emptyImage }

func nullable(t *rapid.T, what string) *string {
	if !rapid.Bool().Draw(t, what+" given") {
		return nil
	}
	return kmsg.StringPtr(anyString.Draw(t, what))
}

func drawProduceRequest(t *rapid.T, version int16, id *string) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.TransactionID = version, id
	req.Acks, req.TimeoutMillis = rapid.Int16Range(-1, 1).Draw(t, "acks"), rapid.Int32().Draw(t, "timeout")
	for range rapid.IntRange(0, 3).Draw(t, "topics") {
		rt := kmsg.NewProduceRequestTopic()
		if version >= 13 {
			copy(rt.TopicID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		} else {
			rt.Topic = anyString.Draw(t, "topic")
		}
		for range rapid.IntRange(0, 4).Draw(t, "partitions") {
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition = rapid.Int32().Draw(t, "partition")
			if rapid.Bool().Draw(t, "records") {
				rp.Records = rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes")
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	return req
}

// What is read by hand is what kmsg reads, in memory that was used before, for requests as they are and damaged ones.
func TestProduceRequestIsReadAsKmsgDoes(t *testing.T) {
	r := &produceRequest{images: noTopics{}}
	r.response.request = r
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(0, maxProduce).Draw(t, "version")
		body := drawProduceRequest(t, version, nullable(t, "transaction")).AppendTo(nil)
		if rapid.Bool().Draw(t, "damage") && len(body) > 0 {
			body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			body = body[:rapid.IntRange(0, len(body)).Draw(t, "cut")]
		}
		want := &kmsg.ProduceRequest{Version: version}
		wantErr := want.ReadFrom(body)
		r.Version = version
		err := r.ReadFrom(body)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, want %v", err, wantErr)
		}
		if diff := cmp.Diff(want, &r.ProduceRequest, noTagsSeen, cmpopts.EquateEmpty()); err == nil && diff != "" {
			t.Fatal(diff)
		}
		r.free()
	})
}

func TestUsualProduceRequestsAreReadByHand(t *testing.T) {
	for version := int16(0); version <= maxProduce; version++ {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks, req.TimeoutMillis = version, -1, 30_000
		for range 2 {
			rt := kmsg.NewProduceRequestTopic()
			rt.Topic = "topic"
			rt.Partitions = []kmsg.ProduceRequestTopicPartition{{Partition: 1, Records: make([]byte, 200)}, {Partition: 2, Records: []byte("2")}}
			req.Topics = append(req.Topics, rt)
		}
		r := &produceRequest{images: noTopics{}}
		body := req.AppendTo(nil)
		if r.Version = version; !r.readUsual(body) {
			t.Errorf("v%d", version)
		}
		// A body without its last byte, the count of the tags, once passed for a whole one.
		for n := range body {
			if r.readUsual(body[:n:n]) {
				t.Errorf("v%d: the first %d of %d bytes will do", version, n, len(body))
			}
		}
	}
}

func TestProduceResponseIsWrittenAsKmsgDoes(t *testing.T) {
	r := &produceRequest{images: noTopics{}}
	r.response.request = r
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(0, maxProduce).Draw(t, "version")
		r.ProduceRequest = *drawProduceRequest(t, version, nil)
		a := r.respond()
		for i := range a.Topics {
			for j := range a.Topics[i].Partitions {
				p := &a.Topics[i].Partitions[j]
				p.ErrorCode, p.BaseOffset = rapid.Int16().Draw(t, "code"), rapid.Int64().Draw(t, "offset")
				p.LogAppendTime, p.LogStartOffset = rapid.Int64().Draw(t, "time"), rapid.Int64().Draw(t, "start")
				p.ErrorMessage = nullable(t, "message")
				for range rapid.IntRange(0, 2).Draw(t, "records") {
					p.ErrorRecords = append(p.ErrorRecords, kmsg.ProduceResponseTopicPartitionErrorRecord{
						RelativeOffset: rapid.Int32().Draw(t, "relative"), ErrorMessage: nullable(t, "record message")})
				}
				if rapid.Bool().Draw(t, "leader") {
					p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = rapid.Int32().Draw(t, "id"), rapid.Int32().Draw(t, "epoch")
				}
			}
		}
		for range rapid.IntRange(0, 2).Draw(t, "brokers") {
			a.Brokers = append(a.Brokers, kmsg.ProduceResponseBroker{NodeID: rapid.Int32().Draw(t, "node"), Host: anyString.Draw(t, "host"),
				Port: rapid.Int32().Draw(t, "port"), Rack: nullable(t, "rack")})
		}
		want := a.ProduceResponse.AppendTo(nil)
		if got := a.AppendTo(nil); !bytes.Equal(got, want) {
			t.Fatalf("v%d\n got %x\nwant %x", version, got, want)
		}
	})
}

func BenchmarkProduceCodec(b *testing.B) {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = 9, -1
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = "topic"
	rt.Partitions = []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 1100)}}
	req.Topics = append(req.Topics, rt)
	body := req.AppendTo(nil)
	var out []byte
	b.Run("kmsg", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			req := kmsg.RequestForKey(0).(*kmsg.ProduceRequest)
			req.Version = 9
			if err := req.ReadFrom(body); err != nil {
				b.Fatal(err)
			}
			resp := req.ResponseKind().(*kmsg.ProduceResponse)
			resp.Topics = []kmsg.ProduceResponseTopic{{Topic: req.Topics[0].Topic, Partitions: make([]kmsg.ProduceResponseTopicPartition, 1)}}
			out = resp.AppendTo(out[:0])
		}
	})
	b.Run("hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			req := produceRequests.Get().(*produceRequest)
			req.Version, req.images = 9, noTopics{}
			if err := req.ReadFrom(body); err != nil {
				b.Fatal(err)
			}
			out = req.respond().AppendTo(out[:0])
		}
	})
}

package api

import (
	"bytes"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"barnabas/replication"
)

// The hand-written response must be what kmsg would have written, at every version.
func TestFetchResponseIsKmsgs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawFetchResponse(t)
		parts := r.parts
		brokers := r.brokers // told since v16 only
		for v := int16(0); v <= kmsg.NewPtrFetchResponse().MaxVersion(); v++ {
			r.version = v
			if v < 16 {
				r.brokers = nil
			} else {
				r.brokers = brokers
			}
			r.parts = slices.Clone(parts) // what is written is gone
			for i := range r.parts {
				r.parts[i].source.byID = v >= 13
			}
			want := asKmsg(r).AppendTo(nil)
			if got := r.AppendTo([]byte{}); !bytes.Equal(got, want) {
				t.Fatalf("v%d:\n got %x\nwant %x", v, got, want)
			}
		}
	})
}

// region is a protocol.Region of bytes.
type region []byte

func (r region) Len() int                         { return len(r) }
func (r region) ReadInto(dst []byte) (int, error) { return copy(dst, r), nil }
func (r region) Fd() (uintptr, int64, bool)       { return 0, 0, false }
func (r region) Release()                         {}

func drawFetchResponse(t *rapid.T) *fetchResponse {
	r := &fetchResponse{code: rapid.Int16().Draw(t, "code"), session: rapid.Int32().Draw(t, "session")}
	n := rapid.IntRange(0, 4).Draw(t, "parts")
	for i := range n {
		topic := rapid.SampledFrom([]string{"a", "bb"}).Draw(t, "topic")
		a := fetchedPartition{
			source:        &fetchPartition{topic: topic, id: [16]byte{topic[0], 9}, partition: int32(i)},
			code:          rapid.Int16().Draw(t, "code"),
			highWatermark: rapid.Int64().Draw(t, "hw"), lastStable: rapid.Int64().Draw(t, "lso"), logStart: rapid.Int64().Draw(t, "start"),
			leaderID: -1, leaderEpoch: -1, divergingEpoch: -1, divergingEnd: -1,
			converted: region(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "records")),
		}
		if rapid.Bool().Draw(t, "null") {
			a.null, a.converted = true, nil
		}
		if rapid.Bool().Draw(t, "leader") {
			a.leaderID, a.leaderEpoch = 3, rapid.Int32().Draw(t, "epoch")
		}
		if rapid.Bool().Draw(t, "diverging") {
			a.divergingEpoch, a.divergingEnd = 4, rapid.Int64Range(0, 1<<40).Draw(t, "end")
		}
		if rapid.Bool().Draw(t, "aborted") {
			a.aborted = []replication.AbortedTxn{}
			for range rapid.IntRange(0, 2).Draw(t, "n") {
				a.aborted = append(a.aborted, replication.AbortedTxn{ProducerID: rapid.Int64().Draw(t, "id"), First: rapid.Int64().Draw(t, "first")})
			}
		}
		r.parts = append(r.parts, a)
	}
	if rapid.Bool().Draw(t, "brokers") {
		rack := "r"
		r.brokers = []kmsg.ProduceResponseBroker{{NodeID: 3, Host: "h", Port: 9}, {NodeID: 4, Host: "i", Port: 10, Rack: &rack}}
	}
	return r
}

func asKmsg(r *fetchResponse) *kmsg.FetchResponse {
	k := kmsg.NewPtrFetchResponse()
	k.Version, k.ErrorCode, k.SessionID = r.version, r.code, r.session
	for from := 0; from < len(r.parts); from = r.topicEnd(from) {
		g := r.parts[from:r.topicEnd(from)]
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = g[0].source.topic, g[0].source.id
		for _, a := range g {
			p := kmsg.NewFetchResponseTopicPartition()
			p.Partition, p.ErrorCode = a.source.partition, a.code
			p.HighWatermark, p.LastStableOffset, p.LogStartOffset = a.highWatermark, a.lastStable, a.logStart
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = a.leaderID, a.leaderEpoch
			p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = a.divergingEpoch, a.divergingEnd
			if a.aborted != nil {
				p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
			}
			for _, x := range a.aborted {
				p.AbortedTransactions = append(p.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: x.ProducerID, FirstOffset: x.First})
			}
			if !a.null {
				p.RecordBatches = append([]byte{}, a.converted.(region)...)
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		k.Topics = append(k.Topics, topic)
	}
	for _, b := range r.brokers {
		k.Brokers = append(k.Brokers, kmsg.FetchResponseBroker{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
	}
	return k
}

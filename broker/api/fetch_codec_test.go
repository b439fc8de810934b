package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

var maxFetch = (*fetchRequest)(nil).MaxVersion()

func drawFetchRequest(t *rapid.T, version int16) *kmsg.FetchRequest {
	i32, i64 := rapid.Int32(), rapid.Int64()
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes = version, i32.Draw(t, "wait"), i32.Draw(t, "min")
	req.MaxBytes, req.IsolationLevel = i32.Draw(t, "max"), rapid.Int8().Draw(t, "isolation")
	req.SessionID, req.SessionEpoch, req.Rack = i32.Draw(t, "session"), i32.Draw(t, "epoch"), anyString.Draw(t, "rack")
	if rapid.Bool().Draw(t, "replica") {
		req.ReplicaID, req.ReplicaState.ID = i32.Draw(t, "id"), i32.Draw(t, "state")
	}
	for range rapid.IntRange(0, 3).Draw(t, "topics") {
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic = anyString.Draw(t, "topic")
		copy(rt.TopicID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "topic id"))
		for range rapid.IntRange(0, 4).Draw(t, "partitions") {
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition, p.CurrentLeaderEpoch, p.FetchOffset = i32.Draw(t, "partition"), i32.Draw(t, "leader epoch"), i64.Draw(t, "offset")
			p.LastFetchedEpoch, p.LogStartOffset, p.PartitionMaxBytes = i32.Draw(t, "last"), i64.Draw(t, "start"), i32.Draw(t, "bytes")
			if rapid.IntRange(0, 9).Draw(t, "follower") == 0 {
				p.HighWatermark = i64.Draw(t, "watermark")
			}
			rt.Partitions = append(rt.Partitions, p)
		}
		req.Topics = append(req.Topics, rt)
	}
	if rapid.IntRange(0, 4).Draw(t, "forget") == 0 {
		req.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "t", Partitions: []int32{i32.Draw(t, "forgotten")}}}
	}
	return req
}

// What is read by hand is what kmsg reads, in memory that was used before, for requests as they are and damaged ones.
func TestFetchRequestIsReadAsKmsgDoes(t *testing.T) {
	r := &fetchRequest{images: noTopics{}}
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(0, maxFetch).Draw(t, "version")
		body := drawFetchRequest(t, version).AppendTo(nil)
		if rapid.Bool().Draw(t, "damage") && len(body) > 0 {
			body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			body = body[:rapid.IntRange(0, len(body)).Draw(t, "cut")]
		}
		want := &kmsg.FetchRequest{Version: version}
		wantErr := want.ReadFrom(body)
		r.Version = version
		err := r.ReadFrom(body)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, want %v", err, wantErr)
		}
		if diff := cmp.Diff(want, &r.FetchRequest, noTagsSeen, cmpopts.EquateEmpty()); err == nil && diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestUsualFetchRequestsAreReadByHand(t *testing.T) {
	for version := int16(0); version <= maxFetch; version++ {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.MaxBytes = version, 1<<20
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic, rt.Partitions = "topic", []kmsg.FetchRequestTopicPartition{kmsg.NewFetchRequestTopicPartition()}
		req.Topics = append(req.Topics, rt)
		r := &fetchRequest{images: noTopics{}}
		if r.Version = version; !r.readUsual(req.AppendTo(nil)) {
			t.Errorf("v%d", version)
		}
	}
}

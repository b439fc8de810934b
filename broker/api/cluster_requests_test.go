package api

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// wholeCluster makes what a controller tells of a cluster with 300 topics of 1000 partitions, in 12 to 20 MB.
func wholeCluster(version int16) *kmsg.UpdateMetadataRequest {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version = version
	replicas := []int32{1, 2, 3}
	for i := range 300 {
		topic := kmsg.NewUpdateMetadataRequestTopicState()
		topic.Topic = fmt.Sprintf("topic-%d", i)
		for id := range int32(1000) {
			p := kmsg.NewUpdateMetadataRequestTopicPartition()
			p.Topic, p.Partition, p.Replicas, p.ISR = topic.Topic, id, replicas, replicas
			if version < 5 {
				req.PartitionStates = append(req.PartitionStates, p)
			} else {
				topic.PartitionStates = append(topic.PartitionStates, p)
			}
		}
		req.TopicStates = append(req.TopicStates, topic)
	}
	return req
}

// A controller can tell of a large cluster at once: an UpdateMetadata of 300,000 partitions has more elements and more bytes than any
// client's request may have, and was refused for both. What it costs is what it takes of the memory of requests.
func TestAControllerTellsOfALargeCluster(t *testing.T) {
	partitions := 0
	r := route(func(_ *Call, req *kmsg.UpdateMetadataRequest) Reply {
		partitions = len(req.PartitionStates)
		for _, topic := range req.TopicStates {
			partitions += len(topic.PartitionStates)
		}
		return None()
	})
	for _, version := range []int16{0, r.Max} {
		body := wholeCluster(version).AppendTo(nil)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := r.Weigh(version, body, 0)
		if err != nil || n < 300_000*7 || len(body) < namesMax {
			t.Fatalf("v%d: %d elements in %d bytes: %v", version, n, len(body), err)
		}
		if _, err := r.Serve(&Call{Version: version}, body); err != nil || partitions != 300_000 {
			t.Fatalf("v%d: %d partitions, %v", version, partitions, err)
		}
		runtime.ReadMemStats(&after)
		if cost := int64(after.TotalAlloc - before.TotalAlloc); cost > r.Cost(n) {
			t.Errorf("v%d: it costs %d MB, %d are taken", version, cost>>20, r.Cost(n)>>20)
		}
	}
	other := route(func(*Call, *kmsg.MetadataRequest) Reply { return None() })
	if _, err := other.Weigh(other.Max, make([]byte, namesMax+1), 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a client may do so too: %v", err)
	}
}

// Nor does an element of theirs cost more when it says nothing: a million in two bytes each take what they are said to.
func TestElementsOfBrokersCostWhatTheyAreSaidTo(t *testing.T) {
	const many = 50_000
	for _, r := range clusterRoutes() {
		for i := range reflect.TypeOf(r.request()).Elem().NumField() {
			req := r.request()
			req.SetVersion(r.Max)
			f := reflect.ValueOf(req).Elem().Field(i)
			if f.Kind() != reflect.Slice || f.Type().Elem().Kind() != reflect.Struct {
				continue
			}
			f.Set(reflect.MakeSlice(f.Type(), many, many))
			body := req.AppendTo(nil)
			if len(body) < many {
				continue // not of this version
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n, err := r.Weigh(r.Max, body, 0)
			if err != nil || n < many {
				t.Fatalf("%s: %d elements, %v", r.Name, n, err)
			}
			if _, err := r.Serve(&Call{Version: r.Max}, body); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if cost := int64(after.TotalAlloc - before.TotalAlloc); cost > r.Cost(n) {
				t.Errorf("%s: an element of field %d costs %d bytes", r.Name, i, cost/many)
			}
		}
	}
}

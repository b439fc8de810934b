package group

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime"
	"barnabas/coordinator/runtime/runtimetest"
	"barnabas/protocol/record"
	"barnabas/replication/cluster"
)

// The logs in testdata/kafka-4.3.1 were written by Apache Kafka 4.3.1. upgraded.log is a group of a classic console consumer that a
// consumer of the new protocol joins, then a static one that wants the range assignor; all leave and the group is deleted.
// migrated.log has a group that subscribes with a regular expression, and one that became a consumer group and a classic group again.

func kafka4Log(t testing.TB, name string) *runtimetest.Log {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "kafka-4.3.1", name))
	if err != nil {
		t.Fatal(err)
	}
	l, err := runtimetest.FromEntries(b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// topicID reads an id as Kafka prints it.
func topicID(t testing.TB, s string) (id cluster.TopicID) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || copy(id[:], b) != 16 {
		t.Fatal(s, err)
	}
	return id
}

// pictured is an image with topics of so many partitions, one replica each.
func pictured(topics ...*cluster.Topic) *cluster.Image {
	img := cluster.Empty()
	img.Brokers[1] = &cluster.Broker{ID: 1}
	for _, t := range topics {
		img.Put(t)
	}
	return img
}

func topicOf(name string, id cluster.TopicID, partitions int) *cluster.Topic {
	t := &cluster.Topic{Name: name, ID: id}
	for range partitions {
		t.Partitions = append(t.Partitions, &cluster.Partition{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}})
	}
	return t
}

func TestConsumerRecordsHaveKafkasBytes(t *testing.T) {
	kinds := map[int16]int{}
	for _, name := range []string{"upgraded.log", "migrated.log"} {
		for _, b := range kafka4Log(t, name).Batches() {
			if err := b.Each(1<<20, func(r record.Record) error {
				version, _ := versionOf(r.Key)
				if !ofConsumerGroup(version) {
					return nil
				}
				kinds[version]++
				again := rewriteConsumer(t, r.Key, r.Value)
				if !bytes.Equal(again.Key, r.Key) || !sameButForOrder(t, version, again.Value, r.Value) {
					t.Errorf("%s: %x %x\nwant %x %x", name, again.Key, again.Value, r.Key, r.Value)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, version := range []int16{3, 4, 5, 6, 7, 8, 16} {
		if kinds[version] == 0 {
			t.Errorf("no record of version %d", version)
		}
	}
}

// sameButForOrder compares values. Kafka writes the topics of an assignment in the order of a hash map.
func sameButForOrder(t *testing.T, version int16, a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return (version == targetMemberKeyOf || version == currentKeyOf) && bytes.Equal(a, b)
}

// rewriteConsumer reads a record into the machine's own terms and back.
func rewriteConsumer(t *testing.T, key, value []byte) runtime.Record {
	t.Helper()
	version, group, name, err := readConsumerKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if value == nil {
		if name == "" {
			return runtime.Record{Key: consumerKey(version, group)}
		}
		return runtime.Record{Key: consumerKey(version, group, name)}
	}
	c := newConsumerGroup()
	apply, err := readConsumerRecord(version, name, value)
	if err != nil {
		t.Fatal(err)
	}
	apply(c)
	at := func(tail int) int64 { // a number that is recorded but not kept
		n := int64(0)
		for _, b := range value[len(value)-tail-8 : len(value)-tail] {
			n = n<<8 | int64(b)
		}
		return n
	}
	switch version {
	case consumerGroupKeyOf:
		return epochRecord(group, c.epoch, c.hash)
	case consumerMemberKeyOf:
		return memberRecord(group, c.members[name])
	case targetKeyOf:
		if len(value) > 7 {
			return targetEpochRecord(group, c.targetEpoch, at(0))
		}
		return targetEpochRecord(group, c.targetEpoch, 0)
	case targetMemberKeyOf:
		return targetRecord(group, name, c.target[name])
	case currentKeyOf:
		return currentRecord(group, c.members[name])
	case regexKeyOf:
		r := regexRecord(group, name, c.regexes[name], at(1))
		copy(r.Value[len(r.Value)-17:], value[len(value)-17:len(value)-9]) // the version of Kafka's metadata
		return r
	}
	t.Fatalf("key of version %d", version)
	return runtime.Record{}
}

// TestTopicsHashIsKafkas computes the hashes that Kafka has recorded.
func TestTopicsHashIsKafkas(t *testing.T) {
	m := &machine{o: &Options{}}
	t1 := topicOf("t1", topicID(t, "V3HlZqB8TlqDWzJXXcsqQA"), 3)
	t2 := topicOf("t2", topicID(t, "dYcd9hCcSn-FYxVAnIA92Q"), 2)
	img := pictured(t1, t2)
	for _, c := range []struct {
		topics []string
		want   int64
	}{{nil, 0}, {[]string{"gone"}, 0}, {[]string{"t1", "gone"}, -1744232679522768057}, {[]string{"t2", "t1"}, 3317504303997654968}} {
		names := map[string]bool{}
		for _, n := range c.topics {
			names[n] = true
		}
		if got := m.topicsHash(img, names); got != c.want {
			t.Errorf("%v: %d, want %d", c.topics, got, c.want)
		}
	}
	racked := img.Clone()
	rack := "r1"
	racked.Brokers[1] = &cluster.Broker{ID: 1, Rack: &rack}
	if m.topicsHash(racked, map[string]bool{"t1": true}) == -1744232679522768057 {
		t.Error("the rack of the replicas is not in the hash")
	}
}

// TestKafkas4LogIsServedAsKafkaServesIt holds what is described against what that broker answered.
func TestKafkas4LogIsServedAsKafkaServesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Defaults())
		defer func() { s.c.Close() }()
		s.c.Close()
		s.log = kafka4Log(t, "migrated.log")
		s.image = pictured(topicOf("a", topicID(t, "NY9-iAzQTdmm5F2ru6geew"), 2), topicOf("b", topicID(t, "n2bIxr7lSMGJZQihvEbWZQ"), 2))
		s.start()
		synctest.Wait()
		r, err := s.c.DescribeConsumer("g", math.MaxInt).Await(context.Background())
		if err != nil || r.ConsumerDescription == nil {
			t.Fatal(r, err)
		}
		want := `Reconciling epoch=3/3 uniform
   R instance=- rack=r1 client=kgo/127.0.0.1 epoch=2 topics=[] regex="[ab]" has=[a/0 a/1 b/0 b/1] target=[a/0 a/1]
   T instance=stat rack=- client=kgo/127.0.0.1 epoch=-2 topics=[a] regex="[ab]" has=[] target=[b/0 b/1]`
		if diff := cmp.Diff(want, s.showConsumer(r)); diff != "" {
			t.Error(diff)
		}
		d, err := s.c.Describe("h", math.MaxInt).Await(context.Background())
		if err != nil || d == nil || d.State != "Stable" || len(d.Members) != 1 {
			t.Errorf("%+v %v", d, err)
		}
		if o := s.offset(t, "h", TopicPartition{"a", 0}, false); o.Offset != 5 {
			t.Errorf("%+v", o)
		}
	})
}

// showConsumer prints a description.
func (s *stage) showConsumer(r ConsumerDescriptionResult) string {
	if err, message := r.Refusal(); err != nil {
		return errName(err) + " " + message
	}
	d := r.ConsumerDescription
	text := fmt.Sprintf("%s epoch=%d/%d %s", d.State, d.Epoch, d.TargetEpoch, d.Assignor)
	for _, m := range d.Members {
		text += fmt.Sprintf("\n   %s instance=%s rack=%s client=%s%s epoch=%d topics=%v", m.ID, deref(m.Instance), deref(m.Rack), m.Client.ID,
			m.Client.Host, m.Epoch, m.Topics)
		if m.Regex != "" {
			text += fmt.Sprintf(" regex=%q", m.Regex)
		}
		if m.Classic {
			text += " classic"
		}
		text += fmt.Sprintf(" has=%s target=%s", s.named(m.Assigned), s.named(m.Target))
	}
	return text
}

// named prints partitions with the names of their topics.
func (s *stage) named(topics [][]assign.Partition) string {
	var all []string
	for _, ps := range topics {
		for _, p := range ps {
			name := "?"
			if t := s.image.ByID[p.Topic]; t != nil {
				name = t.Name
			}
			all = append(all, fmt.Sprintf("%s/%d", name, p.ID))
		}
	}
	slices.Sort(all)
	return "[" + strings.Join(all, " ") + "]"
}

// TestConsumerValuesOfOtherVersionsAreRead has what brokers before 4.3 leave out, what later ones may add, and what makes no sense.
func TestConsumerValuesOfOtherVersionsAreRead(t *testing.T) {
	id := assign.TopicID{9}
	// A current assignment of 4.0, whose partitions have no epochs of their own, with an unknown tag.
	v := append([]byte{0, 0, 0, 0, 0, 7, 0, 0, 0, 6, 1, 2}, id[:]...)
	v = append(v, 2, 0, 0, 0, 3, 0, 1, 1, 5, 2, 0xff, 0xff)
	mb := newConsumerMember("m")
	if err := readCurrent(v, mb); err != nil {
		t.Fatal(err)
	}
	want := holding{{Topic: id, ID: 3}: 7}
	if mb.epoch != 7 || mb.previous != 6 || mb.state != memberUnrevoked || !maps.Equal(mb.assigned, want) || len(mb.revoking) != 0 {
		t.Errorf("%+v", mb)
	}
	v[10] = 50 // a state of a later version
	if err := readCurrent(v, mb); err != nil || mb.state != memberUnknown {
		t.Error(mb.state, err)
	}
	for version := int16(consumerGroupKeyOf); version <= regexKeyOf; version++ {
		if !ofConsumerGroup(version) || version == consumerTopicsKeyOf {
			continue
		}
		for _, b := range [][]byte{{}, {0}, {0, 1}, {0, 0}, {0, 0, 9, 9}} {
			if _, err := readConsumerRecord(version, "m", b); err == nil {
				t.Errorf("version %d: %x was taken", version, b)
			}
		}
	}
}

// TestTheRecordOfTopicsIsErased: brokers before 4.1 recorded the topics of a group; their hash takes the place of that.
func TestTheRecordOfTopicsIsErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Defaults())
		defer func() { s.c.Close() }()
		s.image = pictured(topicOf("a", cluster.TopicID{1}, 1))
		mb := newConsumerMember("m")
		mb.topics, mb.rebalanceTimeout, mb.epoch = []string{"a"}, 1000, 1
		appendTo(t, s.log, commitKind, memberRecord("g", mb), epochRecord("g", 1, 0), runtime.Record{Key: consumerKey(consumerTopicsKeyOf, "g"),
			Value: []byte{0, 0, 1, 0}}, targetEpochRecord("g", 1, 0), currentRecord("g", mb))
		s.replay()
		if r, err := s.c.ConsumerHeartbeat(ConsumerHeartbeatRequest{Group: "g", Member: "m", Epoch: 1, RebalanceTimeout: -1}).Await(t.Context()); err != nil || r.Err != nil || r.Epoch != 2 || len(r.Assigned) != 1 {
			t.Fatal(r, err)
		}
		s.shown = len(s.log.Batches()) - 1
		if text := s.records(t); strings.Count(text, "g topics gone") != 1 {
			t.Error(text)
		}
	})
}

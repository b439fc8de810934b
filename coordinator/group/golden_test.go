package group

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/runtime"
	"barnabas/coordinator/runtime/runtimetest"
	"barnabas/protocol/record"
)

// The logs in testdata/kafka-3.9.2 were written by Apache Kafka 3.9.2: a consumer group that came and went (g-range), offsets
// without a group (g-simple), offsets committed by a transaction (g-eos). expected.txt is what that broker answered.

func goldenLog(t *testing.T, partition int) *runtimetest.Log {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "kafka-3.9.2", fmt.Sprintf("__consumer_offsets-%d.log", partition)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := runtimetest.FromEntries(b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestKafkasLogIsServedAsKafkaServesIt(t *testing.T) {
	want, err := os.ReadFile("testdata/kafka-3.9.2/expected.txt")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Defaults())
		s.c.Close()
		o := s.o
		o.Clock, o.Logger, o.Partitions = s.clk, nop, func() int32 { return 3 }
		s.c = New(o)
		defer s.c.Close()
		for p := range 2 {
			s.c.Lead(int32(p), 0, goldenLog(t, p))
		}
		s.c.Lead(2, 0, runtimetest.NewLog())
		synctest.Wait()
		groups, err := s.c.List(context.Background(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, g := range []string{"g-eos", "g-range", "g-simple"} {
			for _, o := range groups {
				if o.Group == g {
					fmt.Fprintf(&got, "group %s %s %s\n", o.Group, o.State, o.ProtocolType)
				}
			}
			offsets, err := s.c.Fetch(g, nil, true, math.MaxInt).Await(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range offsets {
				fmt.Fprintf(&got, "  offset %s %d = %d leader_epoch %d metadata %q\n", o.Topic, o.Partition, o.Offset, o.LeaderEpoch, o.Metadata)
			}
		}
		if len(groups) != 3 {
			t.Errorf("%d groups", len(groups))
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRecordsHaveKafkasBytes reads each record of Kafka's and writes it anew, and each batch.
func TestRecordsHaveKafkasBytes(t *testing.T) {
	kinds := 0
	for p := range 2 {
		for _, b := range goldenLog(t, p).Batches() {
			if b.IsControl() {
				continue
			}
			var entries []runtime.Record
			if err := b.Each(1<<20, func(r record.Record) error {
				entries = append(entries, runtime.Record{Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)})
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			kind := runtime.Plain
			for i, e := range entries {
				again := rewrite(t, e)
				if !bytes.Equal(again.Key, e.Key) || !bytes.Equal(again.Value, e.Value) {
					t.Errorf("partition %d offset %d:\n%x %x\nwant\n%x %x", p, b.BaseOffset()+int64(i), again.Key, again.Value, e.Key, e.Value)
				}
				if version, _ := versionOf(e.Key); version <= lastOffsetKey {
					kind = commitKind
				}
				kinds++
			}
			if b.IsTransactional() {
				kind.ProducerID, kind.ProducerEpoch, kind.Transactional = b.ProducerID(), b.ProducerEpoch(), true
			}
			builder := record.NewBuilder(record.BatchSpec{BaseOffset: b.BaseOffset(), LeaderEpoch: b.LeaderEpoch(), ProducerID: kind.ProducerID,
				ProducerEpoch: kind.ProducerEpoch, BaseSequence: kind.BaseSequence, Transactional: kind.Transactional})
			for _, e := range entries {
				builder.Append(b.BaseTimestamp(), e.Key, e.Value)
			}
			again, err := builder.Build()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again, b) {
				t.Errorf("partition %d batch %d:\n%x\nwant\n%x", p, b.BaseOffset(), again, b)
			}
		}
	}
	if kinds != 7 {
		t.Errorf("%d records", kinds)
	}
}

// rewrite reads a record into the machine's own terms and back.
func rewrite(t *testing.T, e runtime.Record) runtime.Record {
	t.Helper()
	if version, _ := versionOf(e.Key); version <= lastOffsetKey {
		group, tp, err := readOffsetKey(e.Key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := readOffsetValue(e.Value, 0)
		if err != nil {
			t.Fatal(err)
		}
		return runtime.Record{Key: offsetKey(group, tp.Topic, tp.Partition), Value: offsetValue(c)}
	}
	id, err := readGroupKey(e.Key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := readGroupValue(e.Value)
	if err != nil {
		t.Fatal(err)
	}
	g := newGroup(id, 0)
	g.adopt(v)
	return runtime.Record{Key: groupKey(id), Value: groupValue(g, g.assignments())}
}

// TestOlderAndNewerValuesAreRead has one record of each version that a log may hold.
func TestOlderAndNewerValuesAreRead(t *testing.T) {
	for version := range int16(lastOffsetValue + 1) {
		v := kmsg.NewOffsetCommitValue()
		v.Version, v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp, v.ExpireTimestamp = version, 5, 6, "m", 7, 8
		got, err := readOffsetValue(v.AppendTo(nil), 99)
		want := committed{offset: 5, leaderEpoch: -1, metadata: "m", timestamp: 7, expires: -1, at: 99}
		if version >= 3 {
			want.leaderEpoch = 6
		}
		if version == 1 {
			want.expires = 8
		}
		if err != nil || got != want {
			t.Errorf("offset v%d: %+v, %v; want %+v", version, got, err, want)
		}
	}
	protocol, leader := "range", "m-1"
	for version := range int16(lastGroupValue + 1) {
		v := kmsg.NewGroupMetadataValue()
		v.Version, v.ProtocolType, v.Generation, v.Protocol, v.Leader, v.CurrentStateTimestamp = version, "consumer", 4, &protocol, &leader, 77
		instance := "one"
		v.Members = []kmsg.GroupMetadataValueMember{{MemberID: "m-1", InstanceID: &instance, ClientID: "c", ClientHost: "/h",
			RebalanceTimeoutMillis: 60, SessionTimeoutMillis: 10, Subscription: []byte("s"), Assignment: []byte("a")}}
		got, err := readGroupValue(v.AppendTo(nil))
		if err != nil {
			t.Fatalf("group v%d: %v", version, err)
		}
		g := newGroup("g", 0)
		g.adopt(got)
		m := g.members[0]
		wantTimeout, wantSince := int32(60), int64(77)
		if version == 0 {
			wantTimeout = 10
		}
		if version < 2 {
			wantSince = -1
		}
		if m.rebalanceTimeout != wantTimeout || g.since != wantSince || (m.instance != nil) != (version >= 3) || g.leader != "m-1" ||
			g.state != Stable || string(m.assignment) != "a" || string(m.metadata("range")) != "s" {
			t.Errorf("group v%d: %+v %+v", version, g, m)
		}
	}
	for _, b := range [][]byte{nil, {0}, {0, 9}, {255, 255}, {0, 3, 1}} {
		if _, err := readOffsetValue(b, 0); err == nil {
			t.Errorf("offset %x was taken", b)
		}
		if _, err := readGroupValue(b); err == nil {
			t.Errorf("group %x was taken", b)
		}
	}
}

func TestPartitionFor(t *testing.T) {
	// Java's hash: "" is 0, "a" is 97, "polygenelubricants" is the smallest integer, which has no absolute value.
	for group, want := range map[string]int32{"": 0, "a": 47, "g": 3, "polygenelubricants": 0, "grüße": 23, "😀": 49} {
		if got := PartitionFor(group, 50); got != want {
			t.Errorf("%q: %d, want %d", group, got, want)
		}
	}
	for group, want := range map[string]int32{"g-range": 0, "g-simple": 1, "g-eos": 1} {
		if got := PartitionFor(group, 3); got != want {
			t.Errorf("%q: %d, want %d", group, got, want)
		}
	}
	if javaLength("a😀ü") != 4 {
		t.Error(javaLength("a😀ü"))
	}
}

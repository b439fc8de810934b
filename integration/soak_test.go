//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A hold compares what the broker has with what it has acknowledged: while the load goes on, or at its end.
type hold func(t *testing.T, end bool)

// more puts the rest of the load on a broker that is killed: topics that come and go, settings that change, a topic that retention
// shortens, one that the log cleaner compacts, groups that commit once.
func (l *crashLoad) more(t *testing.T) []hold {
	return []hold{l.topicsComeAndGo(t), l.settingsChange(t), l.retained(t), l.compacted(t), l.committedOnce(t)}
}

// insist does something until it is acknowledged, however often the broker is killed meanwhile.
func (l *crashLoad) insist(t *testing.T, what string, do func(context.Context) error) bool {
	for deadline := time.Now().Add(2 * time.Minute); ; {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(l.writing), 5*time.Second)
		err := do(ctx)
		cancel()
		if err == nil {
			return true
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %v", what, err)
			return false
		}
		select { // a broker that is down is not asked in a loop
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
			return false
		}
	}
}

// topicsComeAndGo creates topics, each with a record in it, and deletes some.
func (l *crashLoad) topicsComeAndGo(t *testing.T) hold {
	const there, leaving, gone = "there", "leaving", "gone"
	var mu sync.Mutex // guards states
	states := map[string]string{}
	set := func(name, state string) {
		mu.Lock()
		defer mu.Unlock()
		states[name] = state
	}
	snapshot := func() map[string]string {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(states)
	}
	adm := admin(t, l.addr)
	c := client(t, l.addr, kgo.RecordDeliveryTimeout(2*time.Minute), kgo.MetadataMinAge(20*time.Millisecond))
	l.writers.Go(func() {
		rng := rand.New(rand.NewPCG(1, 1))
		var alive []string
		for n := 0; l.writing.Err() == nil; n++ {
			name := fmt.Sprintf("comes-and-goes-%d", n)
			if !l.insist(t, "create "+name, func(ctx context.Context) error {
				_, err := adm.CreateTopic(ctx, 1+int32(n%3), 1, nil, name)
				if errors.Is(err, kerr.TopicAlreadyExists) { // the answer was lost with the broker
					return nil
				}
				return err
			}) {
				return
			}
			if err := c.ProduceSync(context.WithoutCancel(l.writing), &kgo.Record{Topic: name, Value: []byte(name)}).FirstErr(); isGivenUp(err) {
				continue // the topic is left to itself
			} else if err != nil {
				t.Errorf("a record of %s: %v", name, err)
				return
			}
			set(name, there)
			if alive = append(alive, name); len(alive) <= 4 {
				continue
			}
			i := rng.IntN(len(alive))
			victim := alive[i]
			alive = append(alive[:i], alive[i+1:]...)
			set(victim, leaving)
			if !l.insist(t, "delete "+victim, func(ctx context.Context) error {
				_, err := adm.DeleteTopic(ctx, victim)
				if errors.Is(err, kerr.UnknownTopicOrPartition) {
					return nil
				}
				return err
			}) {
				return
			}
			set(victim, gone)
		}
	})
	return func(t *testing.T, end bool) {
		t.Helper()
		watch := admin(t, l.addr) // a new one, which has no metadata of yesterday
		before := snapshot()
		topics, err := watch.ListTopics(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		after, n := snapshot(), 0
		for name, state := range before {
			n++
			switch has := topics.Has(name); {
			case state == gone && has:
				t.Errorf("topic %s is back, whose deletion was acknowledged", name)
			case state == there && after[name] == there && !has:
				t.Errorf("topic %s is gone, whose creation was acknowledged", name)
			}
			if end && state == there {
				ends, err := watch.ListEndOffsets(soon(t), name)
				if err = errors.Join(err, ends.Error()); err != nil {
					t.Fatal(err)
				}
				records := int64(0)
				ends.Each(func(o kadm.ListedOffset) { records += o.Offset })
				if records != 1 {
					t.Errorf("topic %s has %d records instead of 1", name, records)
				}
			}
		}
		if end {
			t.Logf("%d topics came, %d are left", n, len(topics))
		}
	}
}

// settingsChange changes two settings of the load's topic over and over: one that rolls its segments, and one that counts.
func (l *crashLoad) settingsChange(t *testing.T) hold {
	const first = 1_000_000
	var mu sync.Mutex // guards what follows
	asked, acked := first, 0
	adm := admin(t, l.addr)
	l.writers.Go(func() {
		for n := first; l.writing.Err() == nil; n++ {
			mu.Lock()
			asked = n
			mu.Unlock()
			if !l.insist(t, "change settings", func(ctx context.Context) error {
				r, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{
					{Name: "max.message.bytes", Value: kadm.StringPtr(strconv.Itoa(n))},
					{Name: "segment.bytes", Value: kadm.StringPtr(strconv.Itoa(50_000 + n%7*10_000))},
				}, l.topic)
				if err == nil {
					err = r[0].Err
				}
				return err
			}) {
				return
			}
			mu.Lock()
			acked = n
			mu.Unlock()
			select {
			case <-time.After(30 * time.Millisecond): // as often as an eager operator
			case <-l.writing.Done():
			}
		}
	})
	watch := admin(t, l.addr)
	return func(t *testing.T, end bool) {
		t.Helper()
		mu.Lock()
		least := acked
		mu.Unlock()
		configs, err := watch.DescribeTopicConfigs(soon(t), l.topic)
		if err == nil {
			err = configs[0].Err
		}
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]int{}
		for _, c := range configs[0].Configs {
			values[c.Key], _ = strconv.Atoi(c.MaybeValue())
		}
		mu.Lock()
		most := asked
		mu.Unlock()
		is := values["max.message.bytes"]
		if least > 0 && (is < least || is > most) {
			t.Errorf("max.message.bytes is %d, acknowledged are %d, asked for %d", is, least, most)
		}
		if want := 50_000 + is%7*10_000; least > 0 && values["segment.bytes"] != want {
			t.Errorf("segment.bytes is %d beside %d of the same request", values["segment.bytes"], want)
		}
		if end {
			t.Logf("settings changed %d times", most-first)
		}
	}
}

// stream writes numbered records to a topic of one partition, with keys, and remembers what was acknowledged.
type stream struct {
	topic string
	mu    sync.Mutex // guards acked
	acked map[int64]*kgo.Record
}

// stream starts one; record makes the record of a number.
func (l *crashLoad) stream(t *testing.T, topic string, record func(n int) *kgo.Record, settings ...string) *stream {
	create(t, l.addr, topic, 1, settings...)
	s := &stream{topic: topic, acked: map[int64]*kgo.Record{}}
	// Compressed, the padding would be next to nothing, and retention.bytes and segment.bytes out of reach. What gathers while the broker
	// is away must still fit into a segment.
	c := client(t, l.addr, kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(2*time.Millisecond), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(4096))
	l.writers.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; {
			select {
			case <-l.writing.Done():
				if err := c.Flush(context.WithoutCancel(l.writing)); err != nil {
					t.Errorf("%s: flush: %v", topic, err)
				}
				return
			case <-tick.C:
			}
			for range 4 {
				c.Produce(context.WithoutCancel(l.writing), record(n), func(r *kgo.Record, err error) {
					if isGivenUp(err) {
						return
					}
					if err != nil {
						t.Errorf("%s: %v", topic, err)
						return
					}
					s.mu.Lock()
					defer s.mu.Unlock()
					s.acked[r.Offset] = r
				})
				n++
			}
		}
	})
	return s
}

// padded is a record whose value begins with its number.
func padded(n, keys, size int) *kgo.Record {
	return &kgo.Record{Key: fmt.Appendf(nil, "key-%d", n*7%keys), Value: fmt.Appendf(nil, "%d %s", n, strings.Repeat("x", size))}
}

// read reads the topic from its start to the end of this moment.
func (s *stream) read(t *testing.T, addr string) (start, end int64, records []*kgo.Record) {
	t.Helper()
	adm := admin(t, addr)
	starts, err := adm.ListStartOffsets(soon(t), s.topic)
	ends, err2 := adm.ListEndOffsets(soon(t), s.topic)
	if err = errors.Join(err, err2, starts.Error(), ends.Error()); err != nil {
		t.Fatal(err)
	}
	from, _ := starts.Lookup(s.topic, 0)
	to, _ := ends.Lookup(s.topic, 0)
	c := client(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: {0: kgo.NewOffset().At(from.Offset)}}))
	for at := from.Offset; at < to.Offset; {
		fs := c.PollFetches(soon(t))
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if r.Offset < at {
				t.Errorf("%s: offset %d after %d", s.topic, r.Offset, at-1)
			}
			at = r.Offset + 1
			records = append(records, r)
		})
	}
	return from.Offset, to.Offset, records
}

// retained is a topic whose old segments go while it is written.
func (l *crashLoad) retained(t *testing.T) hold {
	s := l.stream(t, "retained", func(n int) *kgo.Record { return padded(n, 10, 200) }, "segment.bytes", "20000", "retention.bytes", "60000")
	return func(t *testing.T, end bool) {
		if !end {
			return
		}
		start, stop, records := s.read(t, l.addr)
		if start == 0 && stop*220 > 3*60_000 || int64(len(records)) != stop-start || int64(len(records)) < min(stop, 60_000/300) {
			t.Errorf("%s has %d records at the offsets %d to %d; retention.bytes is 60000", s.topic, len(records), start, stop)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		there := map[int64]*kgo.Record{}
		for _, r := range records {
			there[r.Offset] = r
		}
		for at, want := range s.acked {
			if at < start {
				continue
			}
			if got := there[at]; got == nil || string(got.Value) != string(want.Value) {
				t.Errorf("%s: the acknowledged record at offset %d is %v", s.topic, at, got)
			}
		}
		t.Logf("%s: %d records acknowledged, %d are left from %d on", s.topic, len(s.acked), len(records), start)
	}
}

// compacted is a topic whose last value of each key is what counts; every eleventh record deletes its key, and goes itself after a while.
// Some keys are written once: what a pass loses of the others is soon written again.
func (l *crashLoad) compacted(t *testing.T) hold {
	s := l.stream(t, "compacted", func(n int) *kgo.Record {
		r := padded(n, 50, 100)
		switch {
		case n%40 == 1:
			r.Key = fmt.Appendf(nil, "once-%d", n)
		case n%11 == 0:
			r.Value = nil
		}
		return r
	}, "cleanup.policy", "compact", "segment.bytes", "20000", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "300")
	return func(t *testing.T, end bool) {
		if !end {
			return
		}
		_, stop, records := s.read(t, l.addr)
		last := map[string]*kgo.Record{}
		for _, r := range records {
			last[string(r.Key)] = r
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		want := map[string]*kgo.Record{}
		for _, r := range s.acked {
			if w := want[string(r.Key)]; w == nil || r.Offset > w.Offset {
				want[string(r.Key)] = r
			}
		}
		deleted := 0
		for key, w := range want {
			got := last[key]
			if w.Value == nil {
				deleted++
			}
			if got == nil && w.Value == nil {
				continue
			}
			if got == nil || got.Offset != w.Offset || string(got.Value) != string(w.Value) || (got.Value == nil) != (w.Value == nil) {
				t.Errorf("%s: the last value of %s is at offset %d; there is %v", s.topic, key, w.Offset, got)
			}
		}
		if int64(len(records)) > stop/2 {
			t.Errorf("%s has %d of %d records: nothing was compacted", s.topic, len(records), stop)
		}
		t.Logf("%s: %d records acknowledged, %d of %d are left; %d of %d keys are deleted", s.topic, len(s.acked), len(records), stop, deleted, len(want))
	}
}

// committedOnce are groups that commit once, so that cleaning must keep their records.
func (l *crashLoad) committedOnce(t *testing.T) hold {
	var mu sync.Mutex // guards acked
	acked := map[string]int64{}
	adm := admin(t, l.addr)
	l.writers.Go(func() {
		for n := int64(1); l.writing.Err() == nil; n++ {
			group := fmt.Sprintf("once-%d", n)
			var o kadm.Offsets
			o.AddOffset(l.topic, 0, n, -1)
			if !l.insist(t, "commit of "+group, func(ctx context.Context) error { return adm.CommitAllOffsets(ctx, group, o) }) {
				return
			}
			mu.Lock()
			acked[group] = n
			mu.Unlock()
			select {
			case <-time.After(50 * time.Millisecond): // every group is asked for in the end
			case <-l.writing.Done():
			}
		}
	})
	watch := admin(t, l.addr)
	return func(t *testing.T, end bool) {
		if !end {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for group, offsets := range watch.FetchManyOffsets(soon(t), slices.Collect(maps.Keys(acked))...) {
			if offsets.Err != nil {
				t.Fatalf("%s: %v", group, offsets.Err)
			}
			if o, _ := offsets.Fetched.Lookup(l.topic, 0); o.At != acked[group] {
				t.Errorf("%s has committed %d, and not the acknowledged %d", group, o.At, acked[group])
			}
		}
		t.Logf("%d groups have committed once", len(acked))
	}
}

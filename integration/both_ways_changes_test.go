//go:build integration

package integration

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What either broker is made to change while it serves.

// write changes everything that can change.
func (w *bothWays) write() {
	w.t.Helper()
	writeEverywhere(w.t, w.addr, w.topics, w.round)
	useGroups(w.t, w.addr)
	w.useModernGroups()
	w.compact("compacted")
	w.retain()
	w.shorten()
	w.settings()
	w.load.works(w.t, w.members)
	w.compact("__consumer_offsets")
}

// settings gives a topic and the broker a setting of the round's.
func (w *bothWays) settings() {
	w.t.Helper()
	w.set("codec-none", "file.delete.delay.ms", strconv.Itoa(60_000+w.round))
	for _, of := range [][]int32{nil, {0}} {
		r, err := admin(w.t, w.addr).AlterBrokerConfigs(soon(w.t), []kadm.AlterConfig{{Name: "log.message.timestamp.after.max.ms", Value: kadm.StringPtr(strconv.Itoa(4_000_000_000_000 + w.round))}}, of...)
		for _, one := range r {
			err = errors.Join(err, one.Err)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// set changes a topic's setting.
func (w *bothWays) set(topic, name, value string) {
	w.t.Helper()
	r, err := admin(w.t, w.addr).AlterTopicConfigs(soon(w.t), []kadm.AlterConfig{{Name: name, Value: &value}}, topic)
	if err == nil {
		_, err = r.On(topic, nil)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// transaction is a producer with a transaction of five records.
func (w *bothWays) transaction(id string) *kgo.Client {
	w.t.Helper()
	c := client(w.t, w.addr, kgo.TransactionalID(id), kgo.TransactionTimeout(10*time.Minute), kgo.DefaultProduceTopic("transacted"))
	if err := c.BeginTransaction(); err != nil {
		w.t.Fatal(err)
	}
	for n := range 5 {
		if err := c.ProduceSync(soon(w.t), &kgo.Record{Key: []byte(id), Value: fmt.Appendf(nil, "%s %d.%d", strings.Repeat(id, 20), w.round, n)}).FirstErr(); err != nil {
			w.t.Fatal(err)
		}
	}
	return c
}

// transact ends transactions, every third by an abort.
func (w *bothWays) transact(times int) {
	w.t.Helper()
	for n := range times {
		c := w.transaction(fmt.Sprintf("ended-%d", n%2))
		if err := c.EndTransaction(soon(w.t), kgo.TransactionEndTry(n%3 != 2)); err != nil {
			w.t.Fatal(err)
		}
		c.Close()
	}
}

// stable holds the transactions' topic to having no open one.
func (w *bothWays) stable() {
	w.t.Helper()
	stable, err := admin(w.t, w.addr).ListCommittedOffsets(soon(w.t), "transacted")
	ends, err2 := admin(w.t, w.addr).ListEndOffsets(soon(w.t), "transacted")
	if err = errors.Join(err, err2); err != nil {
		w.t.Fatal(err)
	}
	s, _ := stable.Lookup("transacted", 0)
	e, _ := ends.Lookup("transacted", 0)
	if s.Offset != e.Offset || s.Offset == 0 {
		w.t.Errorf("the last stable offset is %d and the end %d", s.Offset, e.Offset)
	}
}

// compact has the broker clean a topic, and ends that: each turn must find what the one before left.
func (w *bothWays) compact(topic string) {
	w.t.Helper()
	cleaned := func() (all int) { // the sum of what is cleaned of all partitions
		for p := range 5 {
			at, _ := w.checkpointed("cleaner-offset-checkpoint", fmt.Sprintf("%s %d", topic, p))
			all += at
		}
		return all
	}
	before := cleaned()
	w.set(topic, "min.cleanable.dirty.ratio", "0.01")
	eventually(w.t, topic+" is cleaned", func() error {
		if now := cleaned(); now <= before+50 {
			return fmt.Errorf("its checkpoints say %d, before %d", now, before)
		}
		return nil
	})
	w.set(topic, "min.cleanable.dirty.ratio", "1.0")
}

// retain has the broker delete old segments, and ends that.
func (w *bothWays) retain() {
	w.t.Helper()
	start := func() int64 {
		starts, err := admin(w.t, w.addr).ListStartOffsets(soon(w.t), "retained")
		if err = errors.Join(err, starts.Error()); err != nil {
			w.t.Fatal(err)
		}
		at, _ := starts.Lookup("retained", 0)
		return at.Offset
	}
	before := start()
	w.set("retained", "retention.bytes", "4000")
	eventually(w.t, "retention has deleted segments", func() error {
		if at := start(); at == before {
			return fmt.Errorf("the log starts at %d", at)
		}
		return nil
	})
	w.set("retained", "retention.bytes", "-1")
}

// shorten deletes a topic's records into the middle of a segment.
func (w *bothWays) shorten() {
	w.t.Helper()
	start := int64(77 + 50*w.round)
	var to kadm.Offsets
	to.AddOffset("deleted", 0, start, -1)
	if r, err := admin(w.t, w.addr).DeleteRecords(soon(w.t), to); errors.Join(err, r.Error()) != nil {
		w.t.Fatal(err, r.Error())
	}
	eventually(w.t, "the start is in the checkpoint", func() error {
		if at, ok := w.checkpointed("log-start-offset-checkpoint", "deleted 0"); !ok || int64(at) != start {
			return fmt.Errorf("the checkpoint says %d (%t)", at, ok)
		}
		return nil
	})
}

// checkpointed is a line's offset in a checkpoint of any log dir.
func (w *bothWays) checkpointed(file, partition string) (int, bool) {
	for _, dir := range w.dirs {
		if at, ok := checkpointed(dir, file, partition); ok {
			return at, true
		}
	}
	return 0, false
}

func (w *bothWays) delete(topic string) {
	w.t.Helper()
	if r, err := admin(w.t, w.addr).DeleteTopics(soon(w.t), topic); errors.Join(err, r.Error()) != nil {
		w.t.Fatal(err, r.Error())
	}
	delete(w.topics, topic)
	eventually(w.t, "the topic is gone", func() error {
		for _, dir := range w.dirs {
			if left, _ := filepath.Glob(filepath.Join(dir, topic+"-*")); len(left) > 0 {
				return fmt.Errorf("there is %v", left)
			}
		}
		return nil
	})
}

package group

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"barnabas/coordinator/runtime"
	"barnabas/coordinator/runtime/runtimetest"
	"barnabas/protocol/record"
	"barnabas/storage/clock"
)

// scribbler is a machine whose log uses the bytes of records for something else as soon as they are replayed.
type scribbler struct{ *machine }

func (s scribbler) Replay(e runtime.Entry) {
	e.Key, e.Value = bytes.Clone(e.Key), bytes.Clone(e.Value)
	s.machine.Replay(e)
	for _, b := range [][]byte{e.Key, e.Value} {
		for i := range b {
			b[i] = 'x'
		}
	}
}

// The names in keys are read where they lie; what is kept of them must be copies.
func TestReplayKeepsNothingOfTheLog(t *testing.T) {
	log := runtimetest.NewLog()
	batch := record.NewBuilder(record.BatchSpec{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None})
	for _, r := range []struct {
		group, topic string
		partition    int32
		metadata     string
	}{{"one", "orders", 0, "here"}, {"two", "orders", 0, ""}, {"one", "orders", 1, ""}, {"one", "users", 0, ""}, {"one", "orders", 0, "there"}} {
		batch.Append(0, offsetKey(r.group, r.topic, r.partition), offsetValue(committed{offset: 7, metadata: r.metadata, expires: -1}))
	}
	batch.Append(0, offsetKey("one", "users", 0), nil)
	built, err := batch.Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(built); err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.Clock, o.Logger, o.RetentionCheck = clock.Real, nop, 0
	var m *machine
	rt := runtime.New(runtime.Options{Topic: "t", Clock: o.Clock, Logger: nop, New: func(s *runtime.Scope) runtime.Machine {
		m = newMachine(&o, s)
		return scribbler{m}
	}})
	rt.Lead(0, 1, log)
	loaded := make(chan struct{})
	runtime.Post(rt, 0, func(scribbler) { close(loaded) })
	<-loaded
	rt.Close()
	if got := slices.Sorted(maps.Keys(m.groups)); !slices.Equal(got, []string{"one", "two"}) {
		t.Fatalf("%q", got)
	}
	one := m.groups["one"]
	if one.id != "one" || len(one.offsets) != 2 || one.offsets[TopicPartition{"orders", 0}].metadata != "there" || one.offsets[TopicPartition{"orders", 1}].offset != 7 {
		t.Errorf("%+v", one.offsets)
	}
	if _, ok := m.groups["two"].offsets[TopicPartition{"orders", 0}]; !ok {
		t.Errorf("%+v", m.groups["two"].offsets)
	}
	if got := slices.Sorted(maps.Keys(m.topics)); !slices.Equal(got, []string{"orders", "users"}) {
		t.Errorf("%q", got)
	}
}

package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// countingStore counts the steps that are written, and fails those that fail says.
type countingStore struct {
	store.Store
	steps int
	fail  func(ops []store.Op) error
}

func (s *countingStore) Multi(ctx context.Context, ops ...store.Op) ([]store.Result, error) {
	s.steps++
	if s.fail != nil {
		if err := s.fail(ops); err != nil {
			return nil, err
		}
	}
	return s.Store.Multi(ctx, ops...)
}

// manyEnv is an admin over a store that counts, with one broker.
func manyEnv(t *testing.T) (*adminEnv, *countingStore) {
	e := newAdminEnv(t, true)
	e.img.Brokers[1] = &cluster.Broker{ID: 1}
	counting := &countingStore{Store: e.store}
	e.admin.o.Store = counting
	return e, counting
}

func newTopics(names ...string) []NewTopic {
	list := make([]NewTopic, len(names))
	for i, name := range names {
		list[i] = NewTopic{Name: name, Partitions: 1, ReplicationFactor: 1}
	}
	return list
}

// wantTopics checks that the tree has each topic that was created, with its settings, and no other.
func (e *adminEnv) wantTopics(t *testing.T, ns []NewTopic, results []CreateResult) {
	t.Helper()
	there := map[string]bool{}
	for i, r := range results {
		if r.Err != nil {
			if r.ID != (Created{}).ID || r.Partitions != 0 {
				t.Errorf("%s was refused, and yet: %+v", ns[i].Name, r)
			}
			continue
		}
		there[ns[i].Name] = true
		topic, _, err := e.admin.topic(t.Context(), ns[i].Name)
		if err != nil || topic == nil || topic.ID != r.ID || len(topic.Partitions) != int(r.Partitions) {
			t.Errorf("%s: %+v, %v, want id %v", ns[i].Name, topic, err, r.ID)
		}
	}
	for _, path := range []string{store.TopicsPath, store.ConfigTypePath(store.ConfigTopics)} {
		names, _, err := e.store.Children(t.Context(), path)
		if err != nil || len(names) != len(there) {
			t.Errorf("%s has %d nodes, want %d (%v)", path, len(names), len(there), err)
		}
	}
}

// Every step is waited for until it is on disk: five hundred topics used to take five hundred of them.
func TestTopicsOfOneRequestAreWrittenTogether(t *testing.T) {
	e, counting := manyEnv(t)
	var names []string
	for i := range 500 {
		names = append(names, fmt.Sprint("t", i))
	}
	ns := newTopics(names...)
	results := e.admin.CreateTopics(t.Context(), ns, false)
	if counting.steps != 1 {
		t.Errorf("written in %d steps", counting.steps)
	}
	for i, r := range results {
		if r.Err != nil {
			t.Errorf("%s: %v", ns[i].Name, r.Err)
		}
	}
	e.wantTopics(t, ns, results)
	if again := e.admin.CreateTopics(t.Context(), newTopics("new", "t7"), true); again[0].Err != nil || !errors.Is(again[1].Err, kerr.TopicAlreadyExists) || counting.steps != 1 {
		t.Errorf("%+v in %d steps", again, counting.steps)
	}
}

// A step is never larger than what a server takes; one topic that is larger by itself is tried all the same.
func TestLargeTopicsAreWrittenInSeveralSteps(t *testing.T) {
	e, counting := manyEnv(t)
	ns := newTopics("a", "b", "large", "c", "d", "e")
	for i := range ns {
		ns[i].Partitions = 5_000 // some 70 KB
	}
	ns[2].Partitions = 35_000
	largest := 0
	counting.fail = func(ops []store.Op) error {
		size := 0
		for _, op := range ops {
			size += len(op.Path) + len(op.Data)
		}
		if len(ops) > 3 {
			largest = max(largest, size)
		}
		return nil
	}
	results := e.admin.CreateTopics(t.Context(), ns, false)
	if e.wantTopics(t, ns, results); counting.steps != 3 || largest > maxStepBytes {
		t.Errorf("written in %d steps, the largest of %d bytes", counting.steps, largest)
	}
}

// What stands in the way of one topic does not hinder the others, whether it is found before they are written or then.
func TestARefusedTopicDoesNotHinderTheOthers(t *testing.T) {
	e, _ := manyEnv(t)
	left := store.ConfigPath(store.ConfigTopics, "left.behind")
	if _, err := e.store.Create(t.Context(), left, store.EncodeConfig(nil), store.Persistent); err != nil {
		t.Fatal(err)
	}
	ns := newTopics("good", "left.behind", "left_behind", "good", "a b", "better")
	ns[5].Partitions = 0
	ns = append(ns, newTopics("best")...)
	var got []string
	results := e.admin.CreateTopics(t.Context(), ns, false)
	for i, r := range results {
		text := "created"
		if r.Err != nil {
			text = strings.TrimSpace(said(r.Err))
		}
		got = append(got, ns[i].Name+": "+text)
	}
	e.wantTopics(t, ns, results)
	want := []string{
		"good: created",
		"left.behind: created",
		"left_behind: INVALID_TOPIC_EXCEPTION (17): Topic 'left_behind' collides with existing topics: left.behind",
		"good: TOPIC_ALREADY_EXISTS (36): Topic 'good' already exists.",
		"a b: INVALID_TOPIC_EXCEPTION (17): Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		"better: INVALID_PARTITIONS (37): Number of partitions must be larger than 0.",
		"best: created",
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s\nwant %s", got[i], want[i])
		}
	}
}

// A step whose answer was lost has been done: each topic is found with the id that was drawn for it.
func TestTopicsWhoseAnswerWasLost(t *testing.T) {
	e, counting := manyEnv(t)
	counting.fail = func(ops []store.Op) error {
		counting.fail = nil
		if _, err := e.store.Multi(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
		return store.ErrUnavailable
	}
	ns := newTopics("a", "b")
	results := e.admin.CreateTopics(t.Context(), ns, false)
	for i, r := range results {
		if r.Err != nil {
			t.Errorf("%s: %v", ns[i].Name, r.Err)
		}
	}
	e.wantTopics(t, ns, results)
}

// Topics are marked together; one that was marked before, or is not there, does not hinder the others.
func TestTopicsOfOneRequestAreMarkedTogether(t *testing.T) {
	e, counting := manyEnv(t)
	var names []string
	for i := range 2*maxMarks + 1 {
		names = append(names, fmt.Sprint("t", i))
	}
	e.admin.CreateTopics(t.Context(), newTopics(names...), false)
	if _, err := e.store.Create(t.Context(), store.DeleteTopicPath("t3"), nil, store.Persistent); err != nil {
		t.Fatal(err)
	}
	counting.steps = 0
	asked := append([]string{"none", "a b"}, names...)
	for i, err := range e.admin.DeleteTopics(t.Context(), asked) {
		if (i < 2) != errors.Is(err, kerr.UnknownTopicOrPartition) || (i < 2) != (err != nil) {
			t.Errorf("%s: %v", asked[i], err)
		}
	}
	marked, _, err := e.store.Children(t.Context(), store.DeleteTopicsPath)
	if err != nil || len(marked) != len(names) || counting.steps != 3 {
		t.Errorf("%d topics are marked in %d steps (%v)", len(marked), counting.steps, err)
	}
	counting.fail = func([]store.Op) error { return store.ErrUnavailable }
	for _, err := range e.admin.DeleteTopics(t.Context(), names[:2]) {
		if err != nil { // they are marked
			t.Error(err)
		}
	}
}

// fullStore is a store on a full disk: it can be read, and that is all.
type fullStore struct{ store.Store }

var errFull = fmt.Errorf("%w: no space left on device", store.ErrUnavailable)

func (fullStore) Create(context.Context, string, []byte, store.Mode) (string, error) {
	return "", errFull
}
func (fullStore) Set(context.Context, string, []byte, int32) (store.Stat, error) {
	return store.Stat{}, errFull
}
func (fullStore) Multi(context.Context, ...store.Op) ([]store.Result, error) { return nil, errFull }

// A store that fails is UNKNOWN_SERVER_ERROR to a client. Nobody used to be told why.
func TestAStoreThatFailsIsLogged(t *testing.T) {
	e, _ := manyEnv(t)
	e.admin.CreateTopics(t.Context(), newTopics("there"), false)
	core, logged := observer.New(zapcore.InfoLevel)
	e.admin.o.Store, e.admin.o.Logger = fullStore{e.store}, zap.New(core)
	for what, do := range map[string]func() error{
		"creation of topic":       func() error { return e.admin.CreateTopics(t.Context(), newTopics("t", "there"), false)[0].Err },
		"deletion of topic":       func() error { return e.admin.DeleteTopic(t.Context(), "there") },
		"new partitions of topic": func() error { return e.admin.CreatePartitions(t.Context(), "there", 5, nil, false) },
		"settings of topics": func() error {
			return e.admin.SetConfigs(t.Context(), store.ConfigTopics, "there", nil, AnyConfig)
		},
	} {
		err := do()
		lines := logged.TakeAll()
		if !errors.Is(err, store.ErrUnavailable) || len(lines) != 1 || lines[0].ContextMap()["at"] != what {
			t.Errorf("%s: %v, logged %v", what, err, lines)
		}
	}
	// What a client is told in full is not logged.
	if err := e.admin.DeleteTopic(t.Context(), "none"); err == nil {
		t.Error("deleted what is not there")
	}
	if lines := logged.TakeAll(); len(lines) != 0 {
		t.Errorf("logged %v", lines)
	}
}

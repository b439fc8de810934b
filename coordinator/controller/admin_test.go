package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/store"
	"barnabas/coordinator/store/embedded"
	"barnabas/replication/cluster"
)

// picky is a TopicConfigs that knows one setting.
type picky struct{}

func (picky) ValidateTopic(overrides map[string]string) error {
	for name, value := range overrides {
		if name != "retention.ms" {
			return fmt.Errorf("Unknown topic config name: %s%w", name, hiddenError{kerr.InvalidConfig}) //nolint:staticcheck // Kafka's text
		}
		if _, err := strconv.Atoi(value); err != nil {
			return errors.New("Invalid value " + value + " for configuration retention.ms: Not a number of type LONG") //nolint:staticcheck // Kafka's text
		}
	}
	return nil
}

// hiddenError adds a Kafka error to another without a text of its own.
type hiddenError struct{ err error }

func (hiddenError) Error() string   { return "" }
func (h hiddenError) Unwrap() error { return h.err }

// adminEnv is a tree without a controller that acts, and the picture of a broker.
type adminEnv struct {
	store *embedded.Store
	img   *cluster.Image
	admin *Admin
}

func newAdminEnv(t *testing.T, controller bool) *adminEnv {
	db, err := embedded.Open("", embedded.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	e := &adminEnv{store: db.NewSession(), img: cluster.Empty()}
	for _, path := range store.PersistentPaths() {
		if err := store.MakeSure(t.Context(), e.store, path); err != nil {
			t.Fatal(err)
		}
	}
	if controller {
		if _, err := e.store.Create(t.Context(), store.ControllerPath, store.EncodeController(store.Controller{BrokerID: 1}), store.Ephemeral); err != nil {
			t.Fatal(err)
		}
	}
	e.admin = NewAdmin(AdminOptions{
		Store: e.store, Self: 1, Image: func() *cluster.Image { return e.img }, Topics: picky{},
		Defaults: func() (int32, int16) { return 2, 1 }, Random: func(int) int { return 0 },
	})
	return e
}

// TestAdminScripts plays testdata/admin/*: what clients ask of topics, what they are told, and what it makes of the tree.
func TestAdminScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/admin", func(t *testing.T, path string) {
		e := newAdminEnv(t, true)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return drawnID.ReplaceAllString(e.play(t, d), `"topic_id":"DRAWN"`)
		})
	})
}

func (e *adminEnv) play(t *testing.T, d *datadriven.TestData) string {
	ctx := t.Context()
	switch d.Cmd {
	case "brokers": // 1 2=rack
		for _, a := range d.CmdArgs {
			id, err := strconv.Atoi(a.Key)
			if err != nil {
				t.Fatal(err)
			}
			b := &cluster.Broker{ID: int32(id)}
			if len(a.Vals) > 0 {
				b.Rack = &a.Vals[0]
			}
			e.img.Brokers[b.ID] = b
		}
		return ""
	case "create", "validate":
		n := NewTopic{Name: nameArg(d), Partitions: -1, ReplicationFactor: -1, Configs: map[string]*string{}}
		for _, a := range d.CmdArgs {
			switch a.Key {
			case "name":
			case "partitions":
				n.Partitions = int32(number(t, a.Vals[0]))
			case "rf":
				n.ReplicationFactor = int16(number(t, a.Vals[0]))
			case "config":
				n.Configs[a.Vals[0]] = nil
				if len(a.Vals) > 1 {
					n.Configs[a.Vals[0]] = &a.Vals[1]
				}
			default:
				if n.Assignments == nil {
					n.Assignments = map[int32][]int32{}
				}
				n.Assignments[int32(number(t, a.Key))] = numbers(t, a.Vals)
			}
		}
		c, err := e.admin.CreateTopic(ctx, n, d.Cmd == "validate")
		if err != nil {
			return said(err)
		}
		return fmt.Sprintf("%d partitions, %d replicas, settings %v, id drawn %v\n", c.Partitions, c.ReplicationFactor, c.Configs, c.ID != cluster.TopicID{})
	case "grow":
		var assignments [][]int32
		for _, a := range d.CmdArgs[2:] {
			if a.Key == "assign" {
				assignments = append(assignments, numbers(t, a.Vals))
			}
			if a.Key == "nothing" {
				assignments = [][]int32{}
			}
		}
		return said(e.admin.CreatePartitions(ctx, d.CmdArgs[0].Key, int32(number(t, d.CmdArgs[1].Key)), assignments, false))
	case "delete":
		return said(e.admin.DeleteTopic(ctx, nameArg(d)))
	case "config": // kind name key=value...
		settings := map[string]string{}
		for _, a := range d.CmdArgs[2:] {
			settings[a.Key] = a.Vals[0]
		}
		return said(e.admin.SetConfigs(ctx, d.CmdArgs[0].Key, d.CmdArgs[1].Key, settings, AnyConfig))
	case "show": // the picture has the topic
		e.img.Put(&cluster.Topic{Name: d.CmdArgs[0].Key})
		return ""
	case "reassign":
		data, _, err := e.store.Get(ctx, store.TopicPath(d.CmdArgs[0].Key))
		if err != nil {
			t.Fatal(err)
		}
		topic, err := store.DecodeTopic(data)
		if err != nil {
			t.Fatal(err)
		}
		topic.Adding = map[int32][]int32{0: {9}}
		if _, err := e.store.Set(ctx, store.TopicPath(d.CmdArgs[0].Key), store.EncodeTopic(topic), store.AnyVersion); err != nil {
			t.Fatal(err)
		}
		return ""
	case "abdicate":
		if err := e.store.Delete(ctx, store.ControllerPath, store.AnyVersion); err != nil {
			t.Fatal(err)
		}
		return ""
	case "tree":
		var b strings.Builder
		(&env{t: t, outside: e.store}).tree(&b, d.CmdArgs[0].Key)
		return b.String()
	}
	t.Fatalf("no such command: %s", d.Cmd)
	return ""
}

// nameArg is the argument name=(text), or the input for names that are no arguments.
func nameArg(d *datadriven.TestData) string {
	for _, a := range d.CmdArgs {
		if a.Key == "name" {
			return a.Vals[0]
		}
	}
	return strings.TrimSuffix(d.Input, "\n")
}

func number(t *testing.T, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func numbers(t *testing.T, texts []string) []int32 {
	list := []int32{}
	for _, text := range texts {
		if text != "none" {
			list = append(list, int32(number(t, text)))
		}
	}
	return list
}

// said is what a client is told.
func said(err error) string {
	if err == nil {
		return "ok\n"
	}
	var ke *kerr.Error
	errors.As(err, &ke)
	var r *Refusal
	if errors.As(err, &r) {
		return fmt.Sprintf("%s (%d): %s\n", ke.Message, ke.Code, r.Message)
	}
	return fmt.Sprintf("no refusal: %v\n", err)
}

// A change that was made from settings which have changed since is refused: it would undo what it has not seen.
func TestSettingsOfAnotherVersion(t *testing.T) {
	e, ctx := newAdminEnv(t, true), t.Context()
	set := func(version int32, value string, want error) {
		t.Helper()
		if err := e.admin.SetConfigs(ctx, store.ConfigBrokers, "2", map[string]string{"a": value}, version); !errors.Is(err, want) {
			t.Errorf("%s from version %d: %v, want %v", value, version, err, want)
		}
	}
	at := func(want string) int32 {
		t.Helper()
		settings, version, err := e.admin.EntityConfig(ctx, store.ConfigBrokers, "2")
		if err != nil || settings["a"] != want {
			t.Fatalf("%v, %v, want %q", settings, err, want)
		}
		return version
	}
	none := at("")
	if none != NoConfig {
		t.Errorf("what is not there has version %d", none)
	}
	set(0, "early", ErrConfigChanged)
	set(none, "first", nil)
	set(none, "late", ErrConfigChanged)
	first := at("first")
	set(first, "second", nil)
	set(first, "late", ErrConfigChanged)
	set(AnyConfig, "third", nil)
	at("third")
}

func TestTopicNames(t *testing.T) {
	for name, want := range map[string]string{
		"a.b_c-D9":                        "",
		strings.Repeat("x", 249):          "",
		"":                                "Topic name is invalid: the empty string is not allowed",
		".":                               "Topic name is invalid: '.' is not allowed",
		"..":                              "Topic name is invalid: '..' is not allowed",
		"a b":                             "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		"a/b":                             "Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		"ä":                               "Topic name is invalid: 'ä' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		strings.Repeat("x", 250):          "Topic name is invalid: the length of '" + strings.Repeat("x", 250) + "' is longer than the max allowed length 249",
		strings.Repeat("\U0001f600", 125): "Topic name is invalid: the length of '" + strings.Repeat("\U0001f600", 125) + "' is longer than the max allowed length 249",
	} {
		var r *Refusal
		switch err := checkTopicName(name); {
		case want == "" && err != nil:
			t.Errorf("%q: %v", name, err)
		case want != "" && (!errors.As(err, &r) || r.Message != want || r.Kafka != kerr.InvalidTopicException):
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestSpread is Kafka's own example of an assignment without racks, and its example with them.
func TestSpread(t *testing.T) {
	var plain []place
	for id := range int32(5) {
		plain = append(plain, place{id: id})
	}
	got, err := spread{}.assign(plain, 10, 3)
	want := [][]int32{
		{0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4, 0}, {4, 0, 1},
		{0, 2, 3}, {1, 3, 4}, {2, 4, 0}, {3, 0, 1}, {4, 1, 2},
	}
	if err != nil || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v %v", got, err)
	}
	var racked []place
	for id, rack := range []string{"rack1", "rack3", "rack3", "rack2", "rack2", "rack1"} {
		racked = append(racked, place{id: int32(id), rack: &rack})
	}
	got, err = spread{}.assign(racked, 7, 3)
	want = [][]int32{{0, 3, 1}, {3, 1, 5}, {1, 5, 4}, {5, 4, 2}, {4, 2, 0}, {2, 0, 3}, {0, 4, 2}}
	if err != nil || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v %v", got, err)
	}
}

// TestSpreadIsFair holds assignments of all sizes to what they promise: no broker twice, all racks used.
func TestSpreadIsFair(t *testing.T) {
	for brokers := 1; brokers <= 6; brokers++ {
		for racks := 0; racks <= 3; racks++ {
			var places []place
			for id := range brokers {
				p := place{id: int32(id)}
				if racks > 0 {
					name := fmt.Sprint("r", id%racks)
					p.rack = &name
				}
				places = append(places, p)
			}
			for rf := 1; rf <= brokers; rf++ {
				for from := range brokers {
					lists, err := spread{from: from, shift: from / 2, next: from}.assign(places, 2*brokers, rf)
					if err != nil {
						t.Fatal(err)
					}
					for _, replicas := range lists {
						used := map[string]bool{}
						for _, id := range replicas {
							if racks > 0 {
								used[*places[id].rack] = true
							}
						}
						if duplicates(replicas) || len(replicas) != rf || len(used) != min(racks, rf, brokers) {
							t.Fatalf("%d brokers, %d racks, %d replicas: %v", brokers, racks, rf, replicas)
						}
					}
				}
			}
		}
	}
}

// TestProducerIDs has two brokers hand out ids at once: no id comes twice, none is skipped within a block, and blocks are
// taken before they are needed.
func TestProducerIDs(t *testing.T) {
	e := newAdminEnv(t, true)
	other := *e.admin
	other.o.Self = 2
	sources := []*ProducerIDs{NewProducerIDs(t.Context(), e.admin.AllocateProducerIDs), NewProducerIDs(t.Context(), other.AllocateProducerIDs)}
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 700 {
				id, err := sources[i%2].Next(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if seen[id] {
					t.Errorf("id %d twice", id)
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 2800 {
		t.Errorf("%d ids", len(seen))
	}
}

func TestProducerIDsFail(t *testing.T) {
	fails := true
	calls := 0
	p := NewProducerIDs(t.Context(), func(context.Context) (int64, int64, error) {
		if calls++; fails {
			return 0, 0, kerr.NotController
		}
		return 5000, 5999, nil
	})
	if _, err := p.Next(t.Context()); !errors.Is(err, kerr.NotController) {
		t.Errorf("%v", err)
	}
	fails = false
	for want := range int64(1000) {
		id, err := p.Next(t.Context())
		// The attempt that followed the failure at once may have failed too.
		if err != nil && want == 0 && errors.Is(err, kerr.NotController) {
			id, err = p.Next(t.Context())
		}
		if err != nil || id != 5000+want {
			t.Fatalf("%d %v", id, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never := NewProducerIDs(t.Context(), func(ctx context.Context) (int64, int64, error) { <-ctx.Done(); return 0, 0, ctx.Err() })
	if _, err := never.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestAllocateProducerIDsEnd(t *testing.T) {
	e := newAdminEnv(t, true)
	last := store.ProducerIDBlock{Broker: 1, First: 1<<63 - 1001, Last: 1<<63 - 2}
	if _, err := e.store.Set(t.Context(), store.ProducerIDBlockPath, store.EncodeProducerIDBlock(last), store.AnyVersion); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.admin.AllocateProducerIDs(t.Context()); !errors.Is(err, kerr.UnknownServerError) {
		t.Errorf("%v", err)
	}
}

func TestAwaitDeleted(t *testing.T) {
	e := newAdminEnv(t, true)
	if _, err := e.store.Create(t.Context(), store.DeleteTopicPath("t"), nil, store.Persistent); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.admin.AwaitDeleted(ctx, "t"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	done := make(chan error, 1)
	go func() { done <- e.admin.AwaitDeleted(t.Context(), "t") }()
	if err := e.store.Delete(t.Context(), store.DeleteTopicPath("t"), store.AnyVersion); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

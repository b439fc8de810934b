package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/coordinator/store/embedded"
	"barnabas/replication/cluster"
	"barnabas/storage/clock"
)

// testingT is a *testing.T or a *rapid.T.
type testingT interface {
	Helper()
	Fatal(args ...any)
}

// env is a cluster in a bubble: a tree in memory, brokers that only note what they are told, and controllers. Everything
// waits durably, so settle knows when all of it has come to rest.
type env struct {
	t       testingT
	db      *embedded.DB
	outside *embedded.Store // the hand of somebody who is no controller
	clock   *clock.Manual

	mu          sync.Mutex // guards what the controllers' goroutines write
	written     []string   // what was done in the store by controllers, in order
	told        map[int32][]string
	brokers     map[int32]*fakeBroker
	controllers map[int32]*candidate
	settings    Settings
	topicIDs    byte
	// break of the connection: the next step of a controller is done or not, and its outcome not heard of.
	lose, loseUndone bool
}

// fakeBroker is a registered broker. It takes roles, but not those of replicas in failing; pictures it keeps are what
// a broker would know.
type fakeBroker struct {
	session *embedded.Store
	failing map[tp]bool
	roles   map[tp]cluster.PartitionState
	live    []int32
	known   map[tp]cluster.PartitionState
	epoch   int32 // the highest controller epoch that it has heard of
}

// candidate is a controller that runs.
type candidate struct {
	controller *Controller
	session    *embedded.Store
	stop       context.CancelFunc
	done       chan struct{}
}

func newEnv(t testingT) *env {
	e := &env{
		t: t, clock: clock.NewManual(time.UnixMilli(1700000000000)),
		told: map[int32][]string{}, brokers: map[int32]*fakeBroker{}, controllers: map[int32]*candidate{},
		settings: DefaultSettings(),
	}
	var err error
	if e.db, err = embedded.Open("", embedded.Options{Memory: true, Clock: e.clock}); err != nil {
		t.Fatal(err)
	}
	e.outside = e.db.NewSession()
	for _, path := range store.PersistentPaths() {
		e.must(store.MakeSure(e.ctx(), e.outside, path))
	}
	return e
}

func (e *env) ctx() context.Context { return context.Background() }

func (e *env) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// close ends everything; goroutines that are left fail the bubble.
func (e *env) close() {
	for _, id := range sortedKeys(e.controllers) {
		e.stop(id)
	}
	e.must(e.db.Close())
}

// run starts a controller on a broker.
func (e *env) run(id int32) {
	session := e.db.NewSession()
	ctx, stop := context.WithCancel(e.ctx())
	c := &candidate{session: session, stop: stop, done: make(chan struct{})}
	c.controller = New(Options{
		Store: &recorder{session, e}, Self: id, Clock: e.clock, Pusher: e, Logger: zap.NewNop(),
		Settings: func() Settings { e.mu.Lock(); defer e.mu.Unlock(); return e.settings },
	})
	e.controllers[id] = c
	go func() {
		defer close(c.done)
		_ = c.controller.Run(ctx)
	}()
}

func (e *env) stop(id int32) {
	c := e.controllers[id]
	delete(e.controllers, id)
	c.stop()
	<-c.done
	e.must(c.session.Close())
}

// register makes a broker known.
func (e *env) register(id int32, rack string) {
	r := store.BrokerRegistration{JMXPort: -1, Endpoints: []store.Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "h", Port: 9000 + id}}}
	if rack != "" {
		r.Rack = &rack
	}
	b := &fakeBroker{session: e.db.NewSession(), failing: map[tp]bool{}, roles: map[tp]cluster.PartitionState{}, known: map[tp]cluster.PartitionState{}}
	e.mu.Lock()
	e.brokers[id] = b
	e.mu.Unlock()
	_, err := b.session.Create(e.ctx(), store.BrokerPath(id), store.EncodeBroker(r), store.Ephemeral)
	e.must(err)
}

// kill ends brokers, all at the same moment.
func (e *env) kill(ids ...int32) {
	var ops []store.Op
	for _, id := range ids {
		ops = append(ops, store.Delete(store.BrokerPath(id), store.AnyVersion))
	}
	e.mu.Lock()
	gone := make([]*fakeBroker, len(ids))
	for i, id := range ids {
		gone[i] = e.brokers[id]
		delete(e.brokers, id)
	}
	e.mu.Unlock()
	_, err := e.outside.Multi(e.ctx(), ops...)
	e.must(err)
	for _, b := range gone {
		e.must(b.session.Close())
	}
}

// Push is what a broker is told. It checks what every receiver may rely on.
func (e *env) Push(_ context.Context, broker int32, p cluster.Push) cluster.PushResult {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.brokers[broker]
	if b == nil {
		return cluster.PushResult{Err: errors.New("not reached")}
	}
	if p.ControllerEpoch < b.epoch {
		return cluster.PushResult{Err: kerr.StaleControllerEpoch}
	}
	b.epoch = p.ControllerEpoch
	e.told[broker] = append(e.told[broker], pushText(p))
	if p.Brokers != nil {
		b.live = nil
		for _, other := range p.Brokers {
			b.live = append(b.live, other.ID)
		}
	}
	return b.takeIn(p)
}

// recorder notes what a controller does in the store.
type recorder struct {
	*embedded.Store
	e *env
}

func (r *recorder) Multi(ctx context.Context, ops ...store.Op) ([]store.Result, error) {
	r.e.mu.Lock()
	lose, undone := r.e.lose, r.e.loseUndone
	r.e.lose = false
	r.e.mu.Unlock()
	if lose && undone {
		return nil, store.ErrUnavailable
	}
	results, err := r.Store.Multi(ctx, ops...)
	if lose {
		return nil, store.ErrUnavailable
	}
	texts := make([]string, 0, len(ops))
	for _, op := range ops {
		if op.Kind != store.OpCheck {
			texts = append(texts, opText(op))
		}
	}
	text := strings.Join(texts, "\n  ")
	if err != nil {
		text += "\n  -> " + errText(err)
	}
	r.e.note(text)
	return results, err
}

func (r *recorder) Create(ctx context.Context, path string, data []byte, mode store.Mode) (string, error) {
	made, err := r.Store.Create(ctx, path, data, mode)
	r.e.note(opText(store.Create(path, data, mode)))
	return made, err
}

func (r *recorder) Set(ctx context.Context, path string, data []byte, version int32) (store.Stat, error) {
	stat, err := r.Store.Set(ctx, path, data, version)
	r.e.note(opText(store.Set(path, data, version)))
	return stat, err
}

func (e *env) note(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.written = append(e.written, text)
}

func errText(err error) string {
	for _, known := range []error{store.ErrBadVersion, store.ErrNoNode, store.ErrNodeExists, store.ErrNotEmpty, store.ErrSession, store.ErrClosed} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}

// settle waits until everything has come to rest and gives what has happened since the last time.
func (e *env) settle() string {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	var b strings.Builder
	for _, w := range e.written {
		fmt.Fprintln(&b, w)
	}
	for _, id := range slices.Sorted(maps.Keys(e.told)) {
		for _, text := range e.told[id] {
			fmt.Fprintf(&b, "-> %d: %s\n", id, text)
		}
	}
	e.written, e.told = nil, map[int32][]string{}
	return b.String()
}

func (b *fakeBroker) takeIn(p cluster.Push) cluster.PushResult {
	var result cluster.PushResult
	for _, t := range p.Roles {
		for _, s := range t.Partitions {
			at := tp{Topic: t.Topic, Partition: s.ID}
			if b.failing[at] {
				if result.Roles == nil {
					result.Roles = map[tp]error{}
				}
				result.Roles[at] = kerr.KafkaStorageError
				continue
			}
			b.roles[at] = s
		}
	}
	for _, t := range p.Update {
		for _, s := range t.Partitions {
			at := tp{Topic: t.Topic, Partition: s.ID}
			if s.Leader == cluster.LeaderDeleted {
				delete(b.known, at)
			} else {
				b.known[at] = s
			}
		}
	}
	for _, s := range p.Stop {
		at := tp{Topic: s.Topic, Partition: s.ID}
		if b.failing[at] {
			if result.Stop == nil {
				result.Stop = map[tp]error{}
			}
			result.Stop[at] = kerr.KafkaStorageError
			continue
		}
		delete(b.roles, at)
	}
	return result
}

// newTopicID gives ids that are the same in every run.
func (e *env) newTopicID() cluster.TopicID {
	e.topicIDs++
	return cluster.TopicID{0: 1, 15: e.topicIDs}
}

// createTopic writes a topic as a broker does for a client.
func (e *env) createTopic(name string, assigned map[int32][]int32) {
	_, err := e.outside.Multi(e.ctx(),
		store.Create(store.ConfigPath(store.ConfigTopics, name), store.EncodeConfig(nil), store.Persistent),
		store.Create(store.TopicPath(name), store.EncodeTopic(store.Topic{ID: e.newTopicID(), Partitions: assigned}), store.Persistent))
	e.must(err)
}

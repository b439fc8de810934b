package broker

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/coordinator/store/embedded"
	"barnabas/storage/clock"
)

// testTree is a tree in memory with the nodes that every broker makes.
func testTree(t *testing.T, c clock.Clock) *embedded.DB {
	db, err := embedded.Open("", embedded.Options{Memory: true, Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	if err := makePaths(t.Context(), db.NewSession()); err != nil {
		t.Fatal(err)
	}
	return db
}

func info(port int32) store.BrokerRegistration {
	return store.BrokerRegistration{JMXPort: -1, Endpoints: []store.Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "h", Port: port}}}
}

func testRegistration(s store.Store, c clock.Clock, id, port int32) *registration {
	return newRegistration(registrationOptions{Store: s, Clock: c, Log: zap.NewNop(), ID: id, Info: info(port), Patience: 20 * time.Second})
}

// running is a registration that runs in a bubble.
type running struct {
	*registration
	cancel context.CancelFunc
	ready  atomic.Bool
	done   chan error
}

func runRegistration(r *registration) *running {
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{registration: r, cancel: cancel, done: make(chan error, 1)}
	go func() { run.done <- r.Run(ctx, func() { run.ready.Store(true) }) }()
	synctest.Wait()
	return run
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewManual(time.UnixMilli(1731000000000))
		db := testTree(t, c)
		defer db.Close()
		session, other := db.NewSession(), db.NewSession()
		r := runRegistration(testRegistration(session, c, 0, 9092))
		data, stat, err := other.Get(t.Context(), store.BrokerPath(0))
		want := `{"features":{},"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},"endpoints":["PLAINTEXT://h:9092"],"jmx_port":-1,"port":9092,"host":"h","version":5,"timestamp":"1731000000000"}`
		if err != nil || string(data) != want || stat.Version != 1 || stat.Owner == 0 || r.Epoch() != stat.Czxid || !r.ready.Load() {
			t.Errorf("%v %s %+v, epoch %d", err, data, stat, r.Epoch())
		}
		if err := r.Update(t.Context(), info(9999).Endpoints); err != nil {
			t.Error(err)
		}
		// The session expires: registered anew, under a larger epoch, with what was changed.
		before := r.Epoch()
		session.Expire()
		synctest.Wait()
		data, stat, err = other.Get(t.Context(), store.BrokerPath(0))
		if err != nil || !strings.Contains(string(data), "h:9999") || stat.Czxid <= before || r.Epoch() != stat.Czxid {
			t.Errorf("%v %s %+v, epoch %d", err, data, stat, r.Epoch())
		}
		r.stop(t)
	})
}

// TestPredecessor: a killed broker's node goes with its session; the next one waits for that.
func TestPredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewManual(time.UnixMilli(0))
		db := testTree(t, c)
		defer db.Close()
		dead := db.NewSession()
		if _, err := dead.Create(t.Context(), store.BrokerPath(0), store.EncodeBroker(info(9092)), store.Ephemeral); err != nil {
			t.Fatal(err)
		}
		r := runRegistration(testRegistration(db.NewSession(), c, 0, 9092))
		c.Advance(18 * time.Second)
		synctest.Wait()
		if r.ready.Load() {
			t.Fatal("registered over a node that is there")
		}
		dead.Expire()
		synctest.Wait()
		if !r.ready.Load() {
			t.Error("not registered after the node has gone")
		}
		r.stop(t)
	})
}

// TestSameID: a node that stays, or that another session makes anew, is that of a living broker.
func TestSameID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewManual(time.UnixMilli(0))
		db := testTree(t, c)
		defer db.Close()
		first := runRegistration(testRegistration(db.NewSession(), c, 0, 9092))
		second := runRegistration(testRegistration(db.NewSession(), c, 0, 9093))
		c.Advance(20 * time.Second)
		if err := <-second.done; !errors.Is(err, errBrokerIDInUse) || !strings.Contains(err.Error(), "broker 0 is alive elsewhere") {
			t.Error(err)
		}
		// The first is seen to come back under another session: no need to wait any longer.
		third := runRegistration(testRegistration(db.NewSession(), c, 0, 9094))
		owner := db.NewSession()
		_, err := owner.Multi(t.Context(), store.Delete(store.BrokerPath(0), store.AnyVersion), store.Create(store.BrokerPath(0), nil, store.Ephemeral))
		if err != nil {
			t.Fatal(err)
		}
		if err := <-third.done; !errors.Is(err, errBrokerIDInUse) {
			t.Error(err)
		}
		first.stop(t)
	})
}

// TestOwnRemains: nodes that this process itself has left are no obstacle.
func TestOwnRemains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewManual(time.UnixMilli(0))
		db := testTree(t, c)
		defer db.Close()
		// Made in this session without our hearing of it.
		session := db.NewSession()
		if _, err := session.Create(t.Context(), store.BrokerPath(0), nil, store.Ephemeral); err != nil {
			t.Fatal(err)
		}
		r := runRegistration(testRegistration(session, c, 0, 9092))
		if !r.ready.Load() || r.Epoch() < 0 {
			t.Error("not registered")
		}
		r.stop(t)
		// Left by a session of ours that is over but not yet removed.
		old := db.NewSession()
		id, _, err := old.Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := old.Create(t.Context(), store.BrokerPath(5), nil, store.Ephemeral); err != nil {
			t.Fatal(err)
		}
		again := testRegistration(db.NewSession(), c, 5, 9095)
		again.mine = []int64{id}
		r = runRegistration(again)
		if !r.ready.Load() {
			t.Error("not registered over its own remains")
		}
		r.stop(t)
	})
}

func TestEndpointsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewManual(time.UnixMilli(0))
		db := testTree(t, c)
		defer db.Close()
		first := runRegistration(testRegistration(db.NewSession(), c, 0, 9092))
		second := runRegistration(testRegistration(db.NewSession(), c, 1, 9092))
		if err := <-second.done; err == nil || !strings.Contains(err.Error(), "h:9092 in advertised listeners are already registered by broker 0") {
			t.Error(err)
		}
		first.stop(t)
	})
}

// TestPersistentPaths: the nodes come in Kafka's order, and making them again is no error.
func TestPersistentPaths(t *testing.T) {
	db := testTree(t, clock.Real)
	defer db.Close()
	s := db.NewSession()
	if err := makePaths(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	var last int64
	for _, path := range store.PersistentPaths() {
		data, stat, err := s.Get(t.Context(), path)
		if err != nil || data != nil || stat.Czxid <= last {
			t.Errorf("%s: %v %q %d after %d", path, err, data, stat.Czxid, last)
		}
		last = stat.Czxid
	}
}

func TestClusterID(t *testing.T) {
	db := testTree(t, clock.Real)
	defer db.Close()
	id, err := clusterID(t.Context(), db.NewSession(), "")
	if err != nil || len(id) != 22 {
		t.Fatal(id, err)
	}
	again, err := clusterID(t.Context(), db.NewSession(), "another-one")
	if err != nil || again != id {
		t.Errorf("%s, then %s: %v", id, again, err)
	}
	fresh := testTree(t, clock.Real)
	defer fresh.Close()
	if id, err := clusterID(t.Context(), fresh.NewSession(), "bT4mwA9QTYqQWrgRPpyipw"); err != nil || id != "bT4mwA9QTYqQWrgRPpyipw" {
		t.Errorf("%s %v", id, err)
	}
}

func TestNextBrokerID(t *testing.T) {
	db := testTree(t, clock.Real)
	defer db.Close()
	s := db.NewSession()
	for want := int32(1001); want < 1004; want++ {
		if id, err := nextBrokerID(t.Context(), s, 1000); err != nil || id != want {
			t.Errorf("%d %v", id, err)
		}
	}
	if data, _, err := s.Get(t.Context(), store.BrokerSequencePath); err != nil || data == nil || len(data) != 0 {
		t.Errorf("%q %v", data, err)
	}
}

package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/storage/clock"
)

// makePaths makes the nodes that every broker makes sure of, in Kafka's order.
func makePaths(ctx context.Context, s store.Store) error {
	for _, path := range store.PersistentPaths() {
		if err := store.MakeSure(ctx, s, path); err != nil {
			return fmt.Errorf("coordination store: %w", err)
		}
	}
	return nil
}

// clusterID gives the cluster's id; the first broker of a cluster draws it. preferred, if it is not "", is what is
// proposed then: the id in meta.properties, so that a broker alone keeps its id if its store is lost.
func clusterID(ctx context.Context, s store.Store, preferred string) (string, error) {
	for {
		data, _, err := s.Get(ctx, store.ClusterIDPath)
		if err == nil {
			return store.DecodeClusterID(data)
		}
		if !errors.Is(err, store.ErrNoNode) {
			return "", fmt.Errorf("cluster id: %w", err)
		}
		id := preferred
		if id == "" {
			id = store.TopicIDText(store.NewTopicID())
		}
		_, err = store.CreateAll(ctx, s, store.ClusterIDPath, store.EncodeClusterID(id), store.Persistent)
		if err != nil && !errors.Is(err, store.ErrNodeExists) {
			return "", fmt.Errorf("cluster id: %w", err)
		}
	}
}

// nextBrokerID draws a broker id above reserved (reserved.broker.max.id): the version of a node, which rises with every
// write.
func nextBrokerID(ctx context.Context, s store.Store, reserved int32) (int32, error) {
	stat, err := s.Set(ctx, store.BrokerSequencePath, []byte{}, store.AnyVersion)
	if err != nil {
		return 0, fmt.Errorf("generating a broker id: %w", err)
	}
	return reserved + stat.Version, nil
}

// registrationOptions of newRegistration.
type registrationOptions struct {
	Store store.Store
	Clock clock.Clock
	Log   *zap.Logger
	ID    int32
	// Info is what is registered; its Timestamp is set at each registration.
	Info store.BrokerRegistration
	// Patience is how long a node of the same id may stay whose owner is another session: the session timeout and a
	// margin. A dead predecessor's node goes within that time; one that stays belongs to a broker that lives.
	Patience time.Duration
	// Registered, where it is not nil, is called after each registration with the broker epoch.
	Registered func(epoch int64)
}

// registration keeps this broker registered: an ephemeral node /brokers/ids/N, made anew with each session.
type registration struct {
	o     registrationOptions
	epoch atomic.Int64

	mu   sync.Mutex // guards info and mine; held during a registration
	info store.BrokerRegistration
	mine []int64 // the sessions that this process has had
}

func newRegistration(o registrationOptions) *registration {
	r := &registration{o: o, info: o.Info}
	r.epoch.Store(-1)
	return r
}

// Epoch is the broker epoch, the czxid of the present registration; -1 before the first.
func (r *registration) Epoch() int64 { return r.epoch.Load() }

// Run registers, calls ready after the first registration, and registers anew whenever the session has expired. It
// returns when the context ends, or with the reason why this broker cannot be registered.
func (r *registration) Run(ctx context.Context, ready func()) error {
	for {
		session, expired, err := r.o.Store.Session(ctx)
		if err != nil {
			return fmt.Errorf("registration: %w", err)
		}
		err = r.register(ctx, session)
		if errors.Is(err, store.ErrSession) {
			continue
		}
		if errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrDisk) && ctx.Err() == nil {
			r.o.Log.Warn("registration failed, trying again", zap.Error(err))
			select {
			case <-r.o.Clock.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			return err
		}
		if ready != nil {
			ready()
			ready = nil
		}
		select {
		case <-expired:
			r.o.Log.Warn("session with the coordination store has expired, registering anew")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// register makes the node, waiting for a predecessor's to go.
func (r *registration) register(ctx context.Context, session int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.mine, session) {
		r.mine = append(r.mine, session)
	}
	if err := r.checkEndpoints(ctx, r.info.Endpoints); err != nil {
		return err
	}
	path := store.BrokerPath(r.o.ID)
	waited := &waiting{}
	for {
		r.info.Timestamp = clock.Millis(r.o.Clock)
		results, err := r.o.Store.Multi(ctx,
			store.Create(path, nil, store.Ephemeral),
			store.Set(path, store.EncodeBroker(r.info), 0)) // the answer to a set tells the czxid, that to a create does not
		if err == nil {
			r.registered(results[1].Stat.Czxid)
			return nil
		}
		if !errors.Is(err, store.ErrNodeExists) {
			return fmt.Errorf("registering broker %d: %w", r.o.ID, err)
		}
		stat, there, gone, err := r.o.Store.ExistsW(ctx, path)
		switch {
		case err != nil:
			return fmt.Errorf("registering broker %d: %w", r.o.ID, err)
		case !there:
		case stat.Owner == session:
			// An earlier attempt was made without our hearing of it.
			r.registered(stat.Czxid)
			return nil
		case slices.Contains(r.mine, stat.Owner):
			// Our own node of a session that is over; the store would remove it soon.
			if err := r.o.Store.Delete(ctx, path, stat.Version); err != nil && !errors.Is(err, store.ErrNoNode) && !errors.Is(err, store.ErrBadVersion) {
				return fmt.Errorf("registering broker %d: %w", r.o.ID, err)
			}
		default:
			if err := r.waitFor(ctx, stat.Owner, gone, waited); err != nil {
				return err
			}
		}
	}
}

func (r *registration) registered(epoch int64) {
	r.epoch.Store(epoch)
	endpoints := make([]string, len(r.info.Endpoints))
	for i, e := range r.info.Endpoints {
		endpoints[i] = e.String()
	}
	r.o.Log.Info("registered", zap.Int32("broker", r.o.ID), zap.Int64("brokerEpoch", epoch), zap.Strings("endpoints", endpoints))
	if r.o.Registered != nil {
		r.o.Registered(epoch)
	}
}

// waiting is what was seen of another's node so far.
type waiting struct {
	owner    int64
	deadline <-chan time.Time
}

// waitFor waits for the node of another session to change or go. A session that outlives our patience, or is followed by
// yet another one that is not ours, is that of a living broker.
func (r *registration) waitFor(ctx context.Context, owner int64, gone <-chan store.Event, seen *waiting) error {
	switch {
	case seen.owner == 0:
		seen.owner, seen.deadline = owner, r.o.Clock.After(r.o.Patience)
		r.o.Log.Warn("broker id is registered by another session, most likely of this broker before it was killed: waiting for that to expire",
			zap.Int32("broker", r.o.ID), zap.String("session", fmt.Sprintf("0x%x", uint64(owner))), zap.Duration("atMost", r.o.Patience))
	case seen.owner != owner:
		return r.inUse(owner)
	}
	select {
	case <-gone:
		return nil
	case <-seen.deadline:
		return r.inUse(owner)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errBrokerIDInUse says that another broker of the same id is alive.
var errBrokerIDInUse = errors.New("broker id in use")

func (r *registration) inUse(owner int64) error {
	return fmt.Errorf("%w: broker %d is alive elsewhere (session 0x%x); give this one another broker.id", errBrokerIDInUse, r.o.ID, uint64(owner))
}

// checkEndpoints refuses endpoints that another broker has registered.
func (r *registration) checkEndpoints(ctx context.Context, endpoints []store.Endpoint) error {
	names, _, err := r.o.Store.Children(ctx, store.BrokerIDsPath)
	if err != nil {
		return fmt.Errorf("registering broker %d: %w", r.o.ID, err)
	}
	for _, name := range names {
		if store.BrokerIDsPath+"/"+name == store.BrokerPath(r.o.ID) {
			continue
		}
		data, _, err := r.o.Store.Get(ctx, store.BrokerIDsPath+"/"+name)
		if errors.Is(err, store.ErrNoNode) {
			continue
		}
		if err != nil {
			return fmt.Errorf("registering broker %d: %w", r.o.ID, err)
		}
		other, err := store.DecodeBroker(data)
		if err != nil {
			continue // the controller says so
		}
		for _, e := range other.Endpoints {
			for _, own := range endpoints {
				if own.Host == e.Host && own.Port == e.Port {
					return fmt.Errorf("configured end points %s:%d in advertised listeners are already registered by broker %s", e.Host, e.Port, name)
				}
			}
		}
	}
	return nil
}

// Endpoints are what is registered, or will be at the next registration.
func (r *registration) Endpoints() []store.Endpoint {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.info.Endpoints
}

// Update replaces the endpoints, after listeners have changed. Those that another broker has registered are refused. A
// broker that is not registered now will be with these.
func (r *registration) Update(ctx context.Context, endpoints []store.Endpoint) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(r.info.Endpoints, endpoints) {
		return nil
	}
	if err := r.checkEndpoints(ctx, endpoints); err != nil {
		return err
	}
	r.info.Endpoints = endpoints
	r.info.Timestamp = clock.Millis(r.o.Clock)
	if _, err := r.o.Store.Set(ctx, store.BrokerPath(r.o.ID), store.EncodeBroker(r.info), store.AnyVersion); err != nil && !errors.Is(err, store.ErrNoNode) {
		return fmt.Errorf("registration of broker %d: %w", r.o.ID, err)
	}
	return nil
}

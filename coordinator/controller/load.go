package controller

import (
	"errors"
	"slices"

	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// start builds the world of a new term and takes the cluster over, in Kafka's order.
func (t *term) start() error {
	for _, step := range []func() error{
		func() error { return controllerChanged{}.handle(t) },
		t.makeSureOfFeatures,
		func() error { return t.drop(store.LogDirEventsPath) },
		func() error { return t.drop(store.ISRChangesPath) },
		t.loadBrokers, t.loadTopics, t.loadDeletions,
		t.tellWhoLives, t.startReplicas, t.startPartitions,
		func() error { return logDirEvents{}.handle(t) },
		func() error { return isrChanges{}.handle(t) },
		t.resumeDeletions,
		func() error { return electionsAsked{}.handle(t) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	t.scheduleRebalance(firstRebalance)
	return nil
}

// makeSureOfFeatures has /feature say that features are versioned and none is finalized, unless it says more.
func (t *term) makeSureOfFeatures() error {
	data, stat, err := t.o.Store.Get(t.ctx, store.FeaturePath)
	if errors.Is(err, store.ErrNoNode) {
		_, err = t.o.Store.Create(t.ctx, store.FeaturePath, store.EncodeFeatures(store.Features{Enabled: true}), store.Persistent)
		if errors.Is(err, store.ErrNodeExists) {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	f, err := store.DecodeFeatures(data)
	if err != nil {
		return err
	}
	if f.Enabled && f.Version == 2 {
		return nil
	}
	if !f.Enabled {
		f.Levels = nil
	}
	_, err = t.o.Store.Set(t.ctx, store.FeaturePath, store.EncodeFeatures(store.Features{Enabled: true, Levels: f.Levels}), stat.Version)
	return err
}

// drop deletes the notifications in a folder.
func (t *term) drop(folder string) error {
	names, _, err := t.o.Store.Children(t.ctx, folder)
	if errors.Is(err, store.ErrNoNode) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.deleteEach(folder, names)
}

// deleteEach deletes children of a folder; those that are gone already are no matter.
func (t *term) deleteEach(folder string, names []string) error {
	for some := range slices.Chunk(names, maxStep) {
		ops := make([]store.Op, len(some))
		for i, name := range some {
			ops[i] = store.Delete(folder+"/"+name, store.AnyVersion)
		}
		conflict, err := t.write(ops)
		if err != nil {
			return err
		}
		if conflict == nil {
			continue
		}
		for _, op := range ops { // one of them is gone: one by one, then
			if _, err := t.write([]store.Op{op}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *term) loadBrokers() error {
	ids, err := t.watchBrokers()
	if err != nil {
		return err
	}
	for _, id := range ids {
		b, err := t.readBroker(id, true)
		if err != nil {
			return err
		}
		if b != nil {
			t.w.brokers[id] = b
			t.openSender(b)
		}
	}
	return nil
}

func (t *term) loadTopics() error {
	names, err := t.watchTopics()
	if err != nil {
		return err
	}
	looks, err := gather(names, t.lookAtTopic)
	if err != nil {
		return err
	}
	for i, name := range names {
		if _, err := t.takeTopic(name, looks[i]); err != nil {
			return err
		}
	}
	all := t.w.all(nil)
	states, err := gather(all, t.lookAtState)
	if err != nil {
		return err
	}
	for i, p := range all {
		part := t.w.partition(p)
		if err := t.takeState(part, states[i]); err != nil {
			return err
		}
		t.w.firstPhases(part)
	}
	return nil
}

// firstPhases says where a partition and its replicas stand when a term begins.
func (w *world) firstPhases(part *partition) {
	switch {
	case part.leadership == nil:
		part.phase = created
	case w.online(part.leadership.Leader, part.tp):
		part.phase = online
	default:
		part.phase = offline
	}
	part.replicas = part.replicas[:0]
	for _, b := range part.assigned {
		if w.online(b, part.tp) {
			part.setPhase(b, replicaOnline)
		} else {
			part.setPhase(b, deletionFailed)
		}
	}
}

func (t *term) loadDeletions() error {
	names, err := t.watchDeletions()
	if err != nil {
		return err
	}
	return t.queueDeletions(names, func(name string) bool {
		return len(t.w.of(name, func(p *partition) bool {
			return slices.ContainsFunc(p.assigned, func(b int32) bool { return !t.w.online(b, p.tp) }) || p.reassigned()
		})) > 0
	})
}

// reassigned says whether the partition is being moved.
func (p *partition) reassigned() bool { return len(p.adding) > 0 || len(p.removing) > 0 }

// tellWhoLives gives every broker the list of brokers, which it needs before it can follow anybody.
func (t *term) tellWhoLives() error {
	_, err := t.transact(func(d *draft) { d.tell(d.w.brokerIDs()) })
	return err
}

// startReplicas gives every live broker the roles of its replicas, and takes those of the others out of the ISRs.
func (t *term) startReplicas() error {
	all := t.w.all(nil)
	_, err := t.transact(func(d *draft) {
		up := d.byBroker(all, func(part *partition, b int32) bool { return t.w.online(b, part.tp) })
		for _, broker := range sortedKeys(up) {
			d.replicaUp(broker, up[broker])
		}
	})
	if err != nil {
		return err
	}
	down := newDraft(t.w).byBroker(all, func(part *partition, b int32) bool { return !t.w.online(b, part.tp) })
	for _, broker := range sortedKeys(down) {
		if _, err := t.transactEach(down[broker], func(d *draft, some []tp) { d.replicaDown(broker, some) }); err != nil {
			return err
		}
	}
	return nil
}

// startPartitions elects leaders where there are none.
func (t *term) startPartitions() error { _, err := t.electWaiting(); return err }

// readBroker reads a registration, with a watch if asked; nil when it is gone or not readable.
func (t *term) readBroker(id int32, watch bool) (*cluster.Broker, error) {
	var data []byte
	var stat store.Stat
	var c <-chan store.Event
	var err error
	if path := store.BrokerPath(id); watch {
		data, stat, c, err = t.o.Store.GetW(t.ctx, path)
	} else {
		data, stat, err = t.o.Store.Get(t.ctx, path)
	}
	if errors.Is(err, store.ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if watch {
		t.watches.add(c, brokerChanged{id, stat.Czxid})
	}
	r, err := store.DecodeBroker(data)
	if err != nil {
		t.log.Error("registration is not readable", zap.Int32("broker", id), zap.Error(err))
		return nil, nil
	}
	b := &cluster.Broker{ID: id, Epoch: stat.Czxid, Rack: r.Rack}
	for _, e := range r.Endpoints {
		b.Endpoints = append(b.Endpoints, cluster.Endpoint{Listener: e.Listener, Protocol: e.Protocol, Host: e.Host, Port: e.Port})
	}
	return b, nil
}

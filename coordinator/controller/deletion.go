package controller

import (
	"errors"
	"slices"

	"go.uber.org/zap"

	"barnabas/coordinator/store"
)

// deletionsAsked: the list of topics that somebody wants deleted has changed.
type deletionsAsked struct{}

func (t *term) watchDeletions() ([]string, error) {
	names, _, c, err := t.o.Store.ChildrenW(t.ctx, store.DeleteTopicsPath)
	if err != nil {
		return nil, err
	}
	t.watches.add(c, deletionsAsked{})
	return names, nil
}

func (deletionsAsked) handle(t *term) error {
	names, err := t.watchDeletions()
	if err != nil {
		return err
	}
	// The list of topics may lag behind this one. Look at it first, so that a topic is not taken for one that never was.
	for _, name := range names {
		if t.w.topics[name] == nil {
			topics, _, err := t.o.Store.Children(t.ctx, store.TopicsPath)
			if err == nil {
				err = t.takeTopics(topics)
			}
			if err != nil {
				return err
			}
			break
		}
	}
	if err := t.queueDeletions(names, t.w.beingReassigned); err != nil {
		return err
	}
	return t.resumeDeletions()
}

// beingReassigned says whether a partition of the topic is being moved.
func (w *world) beingReassigned(topic string) bool {
	return len(w.of(topic, (*partition).reassigned)) > 0
}

// queueDeletions takes wishes into the world. Those for unknown topics, and all of them where deletion is off, are
// struck from the list. halted says which must wait.
func (t *term) queueDeletions(names []string, halted func(topic string) bool) error {
	var struck []string
	for _, name := range names {
		switch {
		case t.w.topics[name] == nil, !t.o.Settings().DeleteTopics:
			t.log.Warn("deletion of a topic that does not exist, or while deletion is off: ignored", zap.String("topic", name))
			struck = append(struck, name)
		case t.w.deletions[name] == nil:
			t.w.deletions[name] = &deletion{halted: halted(name)}
			t.log.Info("topic is to be deleted", zap.String("topic", name), zap.Bool("halted", t.w.deletions[name].halted))
		case halted(name):
			t.w.deletions[name].halted = true
		}
	}
	return t.deleteEach(store.DeleteTopicsPath, struck)
}

// resumeDeletions does what can be done for the topics that are to go.
func (t *term) resumeDeletions() error {
	for _, name := range sortedKeys(t.w.deletions) {
		if err := t.resumeDeletion(name); err != nil {
			return err
		}
	}
	return nil
}

func (t *term) resumeDeletion(name string) error {
	all := t.w.of(name, nil)
	var replicas, done, started int
	for _, p := range all {
		for _, r := range t.w.partition(p).replicas {
			replicas++
			switch r.phase {
			case deletionDone:
				done++
			case deletionStarted:
				started++
			}
		}
	}
	switch del := t.w.deletions[name]; {
	case replicas == done:
		return t.completeDeletion(name)
	case started > 0 || del.halted:
		return nil
	}
	return t.beginDeletion(name, all)
}

// beginDeletion tells the brokers to forget the topic, and those that have replicas to delete them. What was tried
// before and failed is tried again.
func (t *term) beginDeletion(name string, all []tp) error {
	t.log.Info("deleting topic", zap.String("topic", name))
	del := t.w.deletions[name]
	_, err := t.transactEach(all, func(d *draft, some []tp) {
		d.beginDeletion(some, !del.begun)
	})
	if err != nil {
		return err
	}
	del.begun = true
	for _, p := range all {
		if part := t.w.partition(p); part != nil {
			for _, b := range part.assigned {
				if !t.w.online(b, p) {
					del.halted = true
					t.log.Info("deletion of a topic waits for a replica to return", zap.String("topic", name), zap.Int32("broker", b))
					return nil
				}
			}
		}
	}
	return nil
}

// beginDeletion is the step that starts deletion: pure. With first, the partitions leave the brokers' pictures.
func (d *draft) beginDeletion(some []tp, first bool) {
	if first {
		d.takeOffline(some)
		for part := range d.edit(some) {
			d.moved(part, nonExistent)
		}
	}
	d.tell(d.w.brokerIDs(), some...)
	live := d.byBroker(some, func(part *partition, b int32) bool {
		return d.w.online(b, part.tp) && part.phaseOf(b) != deletionDone
	})
	dead := d.byBroker(some, func(part *partition, b int32) bool {
		return !d.w.online(b, part.tp) && part.phaseOf(b) != deletionFailed
	})
	for _, broker := range sortedKeys(dead) {
		d.replicaMark(broker, dead[broker], deletionFailed)
	}
	for _, broker := range sortedKeys(live) {
		d.replicaDown(broker, live[broker])
		d.replicaDelete(broker, live[broker])
	}
}

// stopsAnswered notes which replicas of topics under deletion are gone.
func (t *term) stopsAnswered(e answered) error {
	var gone []tp
	failed := map[int32][]tp{}
	for _, s := range e.push.Stop {
		p := tp{Topic: s.Topic, Partition: s.ID}
		part := t.w.partition(p)
		if !s.Delete || !t.w.deleting(s.Topic) || part == nil || part.phaseOf(e.broker) != deletionStarted {
			continue
		}
		if err := errors.Join(e.result.Err, e.result.Stop[p]); err != nil {
			t.log.Warn("replica was not deleted", zap.Int32("broker", e.broker), zap.String("topic", p.Topic), zap.Int32("partition", p.Partition), zap.Error(err))
			failed[e.broker] = append(failed[e.broker], p)
		} else {
			gone = append(gone, p)
		}
	}
	if err := t.deletionsFailed(failed); err != nil {
		return err
	}
	if len(gone) == 0 {
		return nil
	}
	_, err := t.transactEach(gone, func(d *draft, some []tp) { d.replicaMark(e.broker, some, deletionDone) })
	if err != nil {
		return err
	}
	for _, name := range topicsOf(gone) {
		if t.w.deleting(name) {
			if err := t.resumeDeletion(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// deletionsFailed halts the deletion of topics whose replicas, by broker, cannot be deleted now.
func (t *term) deletionsFailed(failed map[int32][]tp) error {
	for _, broker := range sortedKeys(failed) {
		_, err := t.transactEach(failed[broker], func(d *draft, some []tp) { d.replicaMark(broker, some, deletionFailed) })
		if err != nil {
			return err
		}
		for _, name := range topicsOf(failed[broker]) {
			if del := t.w.deletions[name]; del != nil {
				del.halted = true
			}
		}
	}
	return nil
}

// completeDeletion removes what is left of a topic in the store: its states and assignment, its settings, and last the
// wish to delete it, so that a controller that dies on the way leaves work and not rubbish.
func (t *term) completeDeletion(name string) error {
	for range maxAttempts {
		conflict, err := t.deleteNodes(name)
		if err != nil {
			return err
		}
		if conflict == nil {
			t.w.forget(name)
			t.log.Info("topic deleted", zap.String("topic", name))
			return nil
		}
	}
	return errors.New("the nodes of a deleted topic keep changing")
}

func (t *term) deleteNodes(name string) (conflict, err error) {
	paths, err := t.subtree(store.TopicPath(name), nil)
	if err != nil {
		return nil, err
	}
	for _, path := range []string{store.ConfigPath(store.ConfigTopics, name), store.DeleteTopicPath(name)} {
		if _, there, err := t.o.Store.Exists(t.ctx, path); err != nil {
			return nil, err
		} else if there {
			paths = append(paths, path)
		}
	}
	for some := range slices.Chunk(paths, 2*maxStep) {
		ops := make([]store.Op, len(some))
		for i, path := range some {
			ops[i] = store.Delete(path, store.AnyVersion)
		}
		if conflict, err := t.write(ops); conflict != nil || err != nil {
			return conflict, err
		}
	}
	return nil, nil
}

// subtree appends the paths of a node and all below it, the deepest first; nothing if there is no such node.
func (t *term) subtree(path string, to []string) ([]string, error) {
	names, _, err := t.o.Store.Children(t.ctx, path)
	if errors.Is(err, store.ErrNoNode) {
		return to, nil
	}
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if to, err = t.subtree(path+"/"+name, to); err != nil {
			return nil, err
		}
	}
	return append(to, path), nil
}

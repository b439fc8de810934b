package broker

import (
	"maps"
	"sync"

	"barnabas/broker/config"
	"barnabas/replication"
)

// topics knows the settings that topics have of their own, and what follows from them and the broker's.
type topics struct {
	settings *config.Settings
	// apply is told the new settings of a topic.
	apply func(topic string, s *replication.Settings)
	// each calls f for every partition of this broker.
	each func(f func(*replication.Partition))

	changes sync.Mutex // held from a change until it is applied, so that the last one stays; before mu

	mu        sync.RWMutex // guards all below
	overrides map[string]map[string]string
	// plain is shared by all topics without settings of their own.
	plain *replication.Settings
}

func newTopics(s *config.Settings) *topics {
	t := &topics{settings: s, overrides: map[string]map[string]string{}}
	s.OnChange(func(_, _ *config.Broker) {
		t.mu.Lock()
		t.plain = nil
		t.mu.Unlock()
		t.applyAll()
	})
	return t
}

// follow has changes applied from now on.
func (t *topics) follow(apply func(string, *replication.Settings), each func(func(*replication.Partition))) {
	t.mu.Lock()
	t.apply, t.each = apply, each
	t.mu.Unlock()
	t.applyAll()
}

// applyAll applies everything anew: the broker's defaults have changed.
func (t *topics) applyAll() {
	t.changes.Lock()
	defer t.changes.Unlock()
	t.mu.RLock()
	apply, each := t.apply, t.each
	t.mu.RUnlock()
	if each == nil {
		return
	}
	done := map[string]bool{}
	each(func(p *replication.Partition) {
		if !done[p.Topic] {
			done[p.Topic] = true
			apply(p.Topic, t.get(p.Topic))
		}
	})
}

// Overrides are the settings that the topic has of its own.
func (t *topics) Overrides(topic string) map[string]string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return maps.Clone(t.overrides[topic])
}

// set replaces them.
func (t *topics) set(topic string, overrides map[string]string) {
	t.changes.Lock()
	defer t.changes.Unlock()
	t.mu.Lock()
	same, apply := maps.Equal(t.overrides[topic], overrides), t.apply
	if len(overrides) == 0 {
		delete(t.overrides, topic)
	} else {
		t.overrides[topic] = maps.Clone(overrides)
	}
	t.mu.Unlock()
	if !same && apply != nil {
		apply(topic, t.get(topic))
	}
}

// get gives the settings in effect for a topic.
func (t *topics) get(topic string) *replication.Settings {
	t.mu.RLock()
	own, plain := t.overrides[topic], t.plain
	t.mu.RUnlock()
	if len(own) > 0 {
		return t.parse(own)
	}
	if plain != nil {
		return plain
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.plain = t.parse(nil)
	return t.plain
}

func (t *topics) parse(own map[string]string) *replication.Settings {
	c := t.settings.Topic(own)
	return partitionSettings(&c, t.settings.Broker().ProducerIDExpirationMs)
}

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
	// apply is told when a topic's settings have changed; an empty name means every topic.
	apply func(topic string)

	mu        sync.RWMutex // guards all below
	overrides map[string]map[string]string
	// plain is shared by all topics without settings of their own.
	plain *replication.Settings
}

func newTopics(s *config.Settings) *topics {
	t := &topics{settings: s, overrides: map[string]map[string]string{}, apply: func(string) {}}
	s.OnChange(func(_, _ *config.Broker) {
		t.mu.Lock()
		t.plain = nil
		t.mu.Unlock()
		t.apply("")
	})
	return t
}

// Overrides are the settings that the topic has of its own.
func (t *topics) Overrides(topic string) map[string]string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return maps.Clone(t.overrides[topic])
}

// set replaces them.
func (t *topics) set(topic string, overrides map[string]string) {
	t.mu.Lock()
	same := maps.Equal(t.overrides[topic], overrides)
	if len(overrides) == 0 {
		delete(t.overrides, topic)
	} else {
		t.overrides[topic] = maps.Clone(overrides)
	}
	t.mu.Unlock()
	if !same {
		t.apply(topic)
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

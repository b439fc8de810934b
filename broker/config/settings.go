package config

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Settings are a broker's settings while it runs: the static ones, under those of the default broker entity, under those
// of this broker. Reads take no lock and never see half a change.
type Settings struct {
	static *Static
	id     atomic.Int32

	current atomic.Pointer[state]
	groups  sync.Map // of group settings by group id: map[string]string, never changed

	mu        sync.Mutex // serialises changes and their callbacks; guards what follows
	listeners []func(old, new *Broker)
	checks    []func(next *Broker) error
}

// state is one immutable picture of all layers.
type state struct {
	byDefault, own map[string]string // the dynamic layers, cleaned
	merged         view
	broker         *Broker
}

// NewSettings begins with the static settings. id is the broker's, -1 while it is not known yet (see SetBrokerID).
func NewSettings(static *Static, id int32) *Settings {
	s := &Settings{static: static}
	s.id.Store(id)
	s.current.Store(&state{merged: view{static.props}, broker: static.broker})
	return s
}

// SetBrokerID says which broker this is, once a generated id is known.
func (s *Settings) SetBrokerID(id int32) { s.id.Store(id) }

// BrokerID is this broker's id.
func (s *Settings) BrokerID() int32 { return s.id.Load() }

// Static gives the settings that the broker started with.
func (s *Settings) Static() *Static { return s.static }

// Broker is the picture in effect now. Take it once and keep it for the whole operation.
func (s *Settings) Broker() *Broker { return s.current.Load().broker }

// Topic is the picture of a topic with the given overrides. Overrides that are not valid count for nothing.
func (s *Settings) Topic(overrides map[string]string) Topic {
	if len(overrides) == 0 {
		return s.current.Load().broker.TopicDefaults
	}
	return s.current.Load().merged.topic(overrides)
}

// OnChange has f called after each change that makes a new Broker, in order, with the one before. f must not change
// settings.
func (s *Settings) OnChange(f func(old, new *Broker)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, f)
}

// OnCheck has f asked whether the broker could live with the settings that a change would make, before it is accepted. f must
// leave everything as it is. What it refuses is told to the client in its words.
func (s *Settings) OnCheck(f func(next *Broker) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, f)
}

// Notices tells what of a stored broker config is said in vain, as NewStatic does of a file.
func (s *Settings) Notices(props map[string]string) []Notice { return notices(props, s.Broker()) }

// ApplyDefault takes the whole config of the default broker entity as the store has it. What is not valid there is left
// out and told in the errors; the rest takes effect.
func (s *Settings) ApplyDefault(props map[string]string) []error { return s.apply(props, false) }

// ApplyBroker takes the whole config of this broker's entity as the store has it, as ApplyDefault does.
func (s *Settings) ApplyBroker(props map[string]string) []error { return s.apply(props, true) }

func (s *Settings) apply(props map[string]string, perBroker bool) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.current.Load()
	cleaned, errs := clean(props, perBroker)
	next := s.next(old, cleaned, perBroker)
	broker, conflicts := crossCheck(next.merged)
	if broker == nil {
		// Each value is valid and was checked together with the others when it was set; they clash only when somebody
		// wrote the store by hand or the file changed since. The layer before stays, as in Kafka.
		for _, c := range conflicts {
			errs = append(errs, c)
		}
		return errs
	}
	next.broker = broker
	s.current.Store(next)
	if !maps.Equal(old.merged.props, next.merged.props) {
		for _, f := range s.listeners {
			f(old.broker, broker)
		}
	}
	return errs
}

// next is the state with one layer replaced, its Broker still missing.
func (s *Settings) next(old *state, layer map[string]string, perBroker bool) *state {
	n := &state{byDefault: old.byDefault, own: old.own}
	if perBroker {
		n.own = layer
	} else {
		n.byDefault = layer
	}
	n.merged = view{overlay(s.static.props, n.byDefault, n.own)}
	return n
}

// clean copies what may take effect of a stored layer and tells what may not.
func clean(props map[string]string, perBroker bool) (map[string]string, []error) {
	cleaned := maps.Clone(props)
	if cleaned == nil {
		cleaned = map[string]string{}
	}
	var errs []error
	drop := func(names []string, text string) {
		if len(names) > 0 {
			errs = append(errs, conflictSet(text, names))
			for _, n := range names {
				delete(cleaned, n)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if err := checkDynamicValue(name, props[name]); err != nil {
			errs = append(errs, err)
			delete(cleaned, name)
		}
	}
	drop(nonDynamic(cleaned), "Non-dynamic configs configured in the store will be ignored")
	drop(bareSecurity(cleaned), "Security configs can be dynamically updated only using listener prefix, base configs will be ignored")
	if !perBroker {
		drop(perBrokerOnly(cleaned), "Per-broker configs defined at default cluster level will be ignored")
	}
	return cleaned, errs
}

// Usable gives what may take effect of a stored broker config: the base that an incremental change builds on, as in
// Kafka, so that a change also repairs what was wrong.
func Usable(props map[string]string, perBroker bool) map[string]string {
	cleaned, _ := clean(props, perBroker)
	return cleaned
}

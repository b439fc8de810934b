package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Refusal is an answer that names its Kafka error itself. Err is never nil.
type Refusal struct {
	Err     *kerr.Error
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// Unwrap gives the Kafka error to errors.As.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(err *kerr.Error, format string, args ...any) *Refusal {
	return &Refusal{Err: err, Message: fmt.Sprintf(format, args...)}
}

// securitySettings may change while running only behind a listener's prefix.
var securitySettings = []string{
	"ssl.keystore.type", "ssl.keystore.location", "ssl.keystore.password", "ssl.key.password", "ssl.keystore.key",
	"ssl.keystore.certificate.chain", "ssl.truststore.type", "ssl.truststore.location", "ssl.truststore.password",
	"ssl.truststore.certificates",
}

// threadPools may grow or shrink at most by half at a time. Nothing here is a thread pool, but the rule is what clients
// see, and a mixed cluster must accept the same settings everywhere.
var threadPools = []string{
	"num.io.threads", "num.replica.fetchers", "num.recovery.threads.per.data.dir", "background.threads",
}

// clusterListenerSettings are the listener settings that the default broker entity may have too.
var clusterListenerSettings = []string{"max.connections", "max.connection.creation.rate", "num.network.threads"}

// dynamicDef is the definition that a dynamic broker setting is held to, nil for one that no definition knows.
func dynamicDef(name string) *Def {
	if _, base, ok := cutListener(name); ok {
		name = base
	}
	if def := BrokerDefs().Get(name); def != nil && def.Mode != ReadOnly {
		return def
	}
	return EntityDefs("brokers").Get(name)
}

func checkDynamicValue(name, value string) error {
	if def := dynamicDef(name); def != nil {
		_, err := def.Parse(value)
		return err
	}
	return nil
}

func nonDynamic(props map[string]string) []string {
	return keysWhere(props, func(name string) bool {
		def := BrokerDefs().Get(name)
		return def != nil && def.Mode == ReadOnly
	})
}

func bareSecurity(props map[string]string) []string {
	return keysWhere(props, func(name string) bool { return slices.Contains(securitySettings, name) })
}

func perBrokerOnly(props map[string]string) []string {
	return keysWhere(props, func(name string) bool {
		if _, base, ok := cutListener(name); ok {
			return !slices.Contains(clusterListenerSettings, base)
		}
		def := BrokerDefs().Get(name)
		return def != nil && def.Mode == PerBroker
	})
}

func keysWhere(props map[string]string, is func(string) bool) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if is(name) {
			found = append(found, name)
		}
	}
	return found
}

// conflictSet renders names as Scala prints a set of them.
func conflictSet(text string, names []string) *Conflict {
	kind := "Set"
	if len(names) > 4 || strings.HasPrefix(text, "These security") {
		kind = "HashSet"
	}
	return &Conflict{Names: names, plain: true, Text: text + ": " + kind + "(" + strings.Join(names, ", ") + ")"}
}

// ValidateBroker checks the whole config that a broker entity is to have: this broker's, or the default one's. The error
// is a *Refusal with Kafka's message, INVALID_REQUEST in every case.
func (s *Settings) ValidateBroker(props map[string]string, perBroker bool) error {
	if err := s.validateBroker(props, perBroker); err != nil {
		return &Refusal{Err: kerr.InvalidRequest, Message: javaMessage(err)}
	}
	return nil
}

// runtimeRefusal is a refusal of a running component.
type runtimeRefusal struct{ error }

func (r runtimeRefusal) Unwrap() error { return r.error }

// javaMessage is the text that Kafka's exception has. One of a running component is wrapped in a second, which takes it
// for a bad value; tools show the result as it is.
func javaMessage(err error) string {
	if r := (runtimeRefusal{}); errors.As(err, &r) {
		return "Invalid value org.apache.kafka.common.config.ConfigException: " + r.Error() + " for configuration Invalid dynamic configuration"
	}
	if c := (*Conflict)(nil); errors.As(err, &c) {
		return c.message()
	}
	return err.Error()
}

func (s *Settings) validateBroker(props map[string]string, perBroker bool) error {
	if names := nonDynamic(props); len(names) > 0 {
		return conflictSet("Cannot update these configs dynamically", names)
	}
	if names := bareSecurity(props); len(names) > 0 {
		return conflictSet("These security configs can be dynamically updated only per-listener using the listener prefix", names)
	}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if err := checkDynamicValue(name, props[name]); err != nil {
			return err
		}
	}
	if !perBroker {
		if names := perBrokerOnly(props); len(names) > 0 {
			return conflictSet("Cannot update these configs at default cluster level, broker id must be specified", names)
		}
	}
	old := s.current.Load()
	next := s.next(old, props, perBroker)
	broker, conflicts := crossCheck(next.merged)
	if len(conflicts) > 0 {
		return conflicts[0]
	}
	// Alone, a start may take any listener for that between brokers; one that runs keeps what it has.
	if names := listenerNames(broker.Advertised); !slices.Contains(names, old.broker.InterBrokerListener) {
		return interBrokerMissing(names)
	}
	if err := reconfigurable(old, next.merged, broker); err != nil {
		return runtimeRefusal{err}
	}
	s.mu.Lock()
	checks := s.checks
	s.mu.Unlock()
	for _, check := range checks {
		if err := check(broker); err != nil {
			return runtimeRefusal{err}
		}
	}
	return nil
}

// reconfigurable is what the running components say of a change.
func reconfigurable(old *state, next view, broker *Broker) error {
	for _, l := range broker.Listeners {
		if _, ok := old.broker.Listener(l.Name); ok {
			if err := listenerLimits(l.Name, old.merged, next); err != nil {
				return err
			}
		}
	}
	for _, name := range threadPools {
		if err := threadCount(name, old.merged.must(name), next.must(name)); err != nil {
			return err
		}
	}
	switch was, now := old.merged.must("log.cleaner.threads"), next.must("log.cleaner.threads"); {
	case now < was/2:
		return kafkaSays("Log cleaner threads cannot be reduced to less than half the current value %d", was)
	case now > was*2:
		return kafkaSays("Log cleaner threads cannot be increased to more than double the current value %d", was)
	}
	if err := localRetention("log.local.retention.ms", next.must("log.local.retention.ms"), "log.retention.ms", next.retentionMs()); err != nil {
		return err
	}
	if err := localRetention("log.local.retention.bytes", next.must("log.local.retention.bytes"), "log.retention.bytes", next.must("log.retention.bytes")); err != nil {
		return err
	}
	if err := existingListeners(old, next, broker); err != nil {
		return err
	}
	if conflicts := unsupported(next, broker); len(conflicts) > 0 {
		return conflicts[0]
	}
	return nil
}

// existingListeners refuses what cannot change of a listener that stays. As in Kafka settings behind a listener's prefix are
// looked at only when one without a prefix changes that listeners have.
func existingListeners(old *state, next view, broker *Broker) error {
	changed := slices.ContainsFunc(BrokerDefs().All(), func(def *Def) bool {
		if def.Mode != PerBroker && !slices.Contains(clusterListenerSettings, def.Name) {
			return false
		}
		was, set := old.merged.props[def.Name]
		now, sets := next.props[def.Name]
		return set != sets || was != now
	})
	for _, l := range broker.Listeners {
		was, ok := old.broker.Listener(l.Name)
		if !ok {
			continue
		}
		if changed && !maps.Equal(old.merged.fixedOf(l.Name), next.fixedOf(l.Name)) {
			return kafkaSays("Configs cannot be updated dynamically for existing listener ListenerName(%s), restart broker or create a new listener for update", l.Name)
		}
		if was.Protocol != l.Protocol {
			return kafkaSays("Security protocol cannot be updated for existing listener ListenerName(%s)", l.Name)
		}
	}
	return nil
}

// listenerLimits checks what a listener has of its own, or else takes from the broker.
func listenerLimits(name string, old, next view) error {
	of := func(v view, setting string) int64 {
		n, _ := v.ofListener(name, setting)
		return n
	}
	const connections, rate, threads = "max.connections", "max.connection.creation.rate", "num.network.threads"
	if of(old, connections) != of(next, connections) || of(old, rate) != of(next, rate) {
		for _, setting := range []string{connections, rate} {
			if n := of(next, setting); n <= 0 {
				return kafkaSays("Invalid %s %d", setting, n)
			}
		}
	}
	return threadCount(threads, of(old, threads), of(next, threads))
}

func threadCount(name string, was, now int64) error {
	text := fmt.Sprintf("Dynamic thread count update validation failed for %s=%d", name, now)
	switch {
	case now == was:
	case now <= 0:
		return fmt.Errorf("%s, value should be at least 1", text)
	case now < was/2:
		return fmt.Errorf("%s, value should be at least half the current value %d", text, was)
	case now > was*2:
		return fmt.Errorf("%s, value should not be greater than double the current value %d", text, was)
	}
	return nil
}

// localRetention holds tiered storage's local part below the whole.
func localRetention(name string, local int64, wholeName string, whole int64) error {
	shown := fmt.Sprint(local)
	switch {
	case whole <= -1 || local == -2:
	case local == -1:
		return &ValueError{Name: name, Value: &shown, Reason: fmt.Sprintf("Value must not be -1 as %s value is set as %d.", wholeName, whole)}
	case local > whole:
		return &ValueError{Name: name, Value: &shown, Reason: fmt.Sprintf("Value must not be more than %s property value: %d", wholeName, whole)}
	}
	return nil
}

// IsPassword tells whether a dynamic broker setting holds a secret, behind a listener's prefix or not.
func IsPassword(name string) bool {
	for _, def := range BrokerDefs().All() {
		if def.Type == Password && def.Mode != ReadOnly && strings.HasSuffix(name, def.Name) {
			return true
		}
	}
	return false
}

// ValidateTopic checks the whole config that a topic is to have. The error is a *Refusal or, for a single bad value, a
// *ValueError; both are INVALID_CONFIG, but Kafka introduces the second differently when it alters a topic.
func (s *Settings) ValidateTopic(overrides map[string]string) error {
	names := slices.Sorted(maps.Keys(overrides))
	for _, name := range names {
		if TopicDefs().Get(name) == nil {
			return refuse(kerr.InvalidConfig, "Unknown topic config name: %s", name)
		}
	}
	for _, name := range names {
		if _, err := TopicDefs().Get(name).Parse(overrides[name]); err != nil {
			return err
		}
	}
	t := s.Topic(overrides)
	if t.MinCompactionLagMs > t.MaxCompactionLagMs {
		return refuse(kerr.InvalidConfig, "conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)",
			t.MinCompactionLagMs, t.MaxCompactionLagMs)
	}
	if t.RemoteLogDeleteOnDisable || t.RemoteLogCopyDisable {
		return refuse(kerr.InvalidConfig, "It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under Zookeeper's mode.")
	}
	if t.RemoteStorageEnable {
		return &Conflict{Names: []string{"remote.storage.enable"}, plain: true,
			Text: "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."}
	}
	return nil
}

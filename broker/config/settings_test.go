package config

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestPrecedence(t *testing.T) {
	s := NewSettings(start(t, map[string]string{"log.roll.ms": "1000", "log.retention.hours": "5"}), 2)
	if s.Topic(nil).SegmentMs != 1000 {
		t.Fatal("the file does not count")
	}
	noErrors(t, s.ApplyDefault(map[string]string{"log.retention.ms": "7000", "log.segment.bytes": "1000000"}))
	noErrors(t, s.ApplyBroker(map[string]string{"log.segment.bytes": "2000000", "no.such.key": "kept"}))
	topic := s.Topic(map[string]string{"retention.ms": "9"})
	if topic.SegmentBytes != 2000000 || topic.RetentionMs != 9 || s.Topic(nil).RetentionMs != 7000 || topic.SegmentMs != 1000 {
		t.Errorf("%+v", topic)
	}
	noErrors(t, s.ApplyBroker(nil))
	if s.Topic(nil).SegmentBytes != 1000000 {
		t.Error("a deleted setting still counts")
	}
	// What cannot be valid in a store counts for nothing; the rest does.
	if got := s.Topic(map[string]string{"retention.ms": "soon", "segment.bytes": "500", "bogus": "1"}); got.RetentionMs != 7000 || got.SegmentBytes != 500 {
		t.Errorf("%+v", got)
	}
}

func noErrors(t *testing.T, errs []error) {
	t.Helper()
	if len(errs) > 0 {
		t.Error(errs)
	}
}

func TestChangesAreTold(t *testing.T) {
	s := NewSettings(start(t, nil), 1)
	var told []string
	s.OnChange(func(old, new *Broker) {
		told = append(told, fmt.Sprintf("%d->%d", old.MaxConnections, new.MaxConnections))
	})
	noErrors(t, s.ApplyDefault(map[string]string{"max.connections": "10"}))
	noErrors(t, s.ApplyDefault(map[string]string{"max.connections": "10"}))
	noErrors(t, s.ApplyBroker(map[string]string{"max.connections": "20"}))
	noErrors(t, s.ApplyBroker(nil))
	want := []string{"2147483647->10", "10->20", "20->10"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestApplyKeepsWhatIsGood(t *testing.T) {
	s := NewSettings(start(t, nil), 1)
	errs := s.ApplyDefault(map[string]string{
		"max.connections": "10", "max.connections.per.ip": "lots", "broker.rack": "r", "listeners": "PLAINTEXT://:1", "ssl.keystore.type": "PEM",
	})
	if len(errs) != 4 {
		t.Errorf("%d errors: %v", len(errs), errs)
	}
	if b := s.Broker(); b.MaxConnections != 10 || b.Rack != nil || b.Listeners[0].Port != 9092 {
		t.Errorf("%+v", b)
	}
	// A layer that clashes with the rest leaves the one before in force.
	if errs := s.ApplyDefault(map[string]string{"max.connections": "11", "max.connections.per.ip": "0"}); len(errs) != 1 {
		t.Error(errs)
	}
	if s.Broker().MaxConnections != 10 {
		t.Error("half a layer was applied")
	}
	// What another implementation stored and a change would build on.
	usable := Usable(map[string]string{"max.connections": "1", "broker.rack": "r", "x": "y"}, false)
	if diff := cmp.Diff(map[string]string{"max.connections": "1", "x": "y"}, usable); diff != "" {
		t.Error(diff)
	}
}

func TestDynamicRefusals(t *testing.T) {
	s := NewSettings(start(t, map[string]string{"num.io.threads": "8"}), 1)
	// What a running component says, Kafka takes for the value of a setting.
	running := func(text string) string {
		return "Invalid value org.apache.kafka.common.config.ConfigException: " + text + " for configuration Invalid dynamic configuration"
	}
	for _, c := range []struct {
		name, value string
		perBroker   bool
		message     string // "" accepts
	}{
		{"broker.rack", "r", true, "Cannot update these configs dynamically: Set(broker.rack)"},
		{"log.roll.hours", "1", true, "Cannot update these configs dynamically: Set(log.roll.hours)"},
		{"num.io.threads", "abc", true, "Invalid value abc for configuration num.io.threads: Not a number of type INT"},
		{"num.io.threads", "0", true, "Invalid value 0 for configuration num.io.threads: Value must be at least 1"},
		{"num.io.threads", "16", false, ""},
		{"num.io.threads", "17", true, running("Dynamic thread count update validation failed for num.io.threads=17, value should not be greater than double the current value 8")},
		{"num.io.threads", "3", true, running("Dynamic thread count update validation failed for num.io.threads=3, value should be at least half the current value 8")},
		{"num.replica.fetchers", "0", true, running("Dynamic thread count update validation failed for num.replica.fetchers=0, value should be at least 1")},
		{"ssl.keystore.location", "/k", true, "These security configs can be dynamically updated only per-listener using the listener prefix: HashSet(ssl.keystore.location)"},
		{"listener.name.internal.ssl.keystore.location", "/k", true, ""},
		{"listener.name.internal.ssl.keystore.location", "/k", false, "Cannot update these configs at default cluster level, broker id must be specified: Set(listener.name.internal.ssl.keystore.location)"},
		{"listener.name.internal.max.connections", "5", false, ""},
		{"listener.name.internal.max.connections", "x", false, "Invalid value x for configuration max.connections: Not a number of type INT"},
		{"advertised.listeners", "PLAINTEXT://h:1", false, "Cannot update these configs at default cluster level, broker id must be specified: Set(advertised.listeners)"},
		{"advertised.listeners", "PLAINTEXT://h:1", true, ""},
		{"advertised.listeners", "PLAINTEXT://0.0.0.0:1", true, "requirement failed: advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address."},
		{"listeners", "SSL://h:1,PLAINTEXT://h:2", true, running("listener SSL asks for SSL, but this version of barnabas serves PLAINTEXT only")},
		{"listener.security.protocol.map", "PLAINTEXT:SSL", true, running("Security protocol cannot be updated for existing listener ListenerName(PLAINTEXT)")},
		{"max.connections.per.ip", "0", true, "requirement failed: max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."},
		{"log.retention.ms", "0", false, "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1"},
		{"log.local.retention.ms", "604800001", false, running("Invalid value 604800001 for configuration log.local.retention.ms: Value must not be more than log.retention.ms property value: 604800000")},
		{"log.local.retention.ms", "-1", false, running("Invalid value -1 for configuration log.local.retention.ms: Value must not be -1 as log.retention.ms value is set as 604800000.")},
		{"log.local.retention.bytes", "-1", false, ""},
		{"leader.replication.throttled.rate", "1000", true, ""},
		{"leader.replication.throttled.rate", "fast", true, "Invalid value fast for configuration leader.replication.throttled.rate: Not a number of type LONG"},
		{"listener.name.plaintext.max.connections", "0", false, running("Invalid max.connections 0")},
		{"max.connections", "0", false, running("Invalid max.connections 0")},
		{"listener.name.other.max.connections", "0", false, ""},
		{"max.connection.creation.rate", "0", true, running("Invalid max.connection.creation.rate 0")},
		{"listener.name.plaintext.num.network.threads", "7", false,
			running("Dynamic thread count update validation failed for num.network.threads=7, value should not be greater than double the current value 3")},
		{"num.network.threads", "6", false, ""},
		{"log.cleaner.threads", "0", false, "Log cleaner threads should be at least 1"},
		{"log.cleaner.threads", "7", false, running("Log cleaner threads cannot be increased to more than double the current value 1")},
		{"advertised.listeners", "", true, "requirement failed: There must be at least one broker advertised listener."},
		{"log.cleanup.policy", "delete,,compact", false, "Invalid value  for configuration log.cleanup.policy: String must be one of: compact, delete"},
		// A broker's settings that no topic could have: the first two once panicked, before they could be refused.
		{"log.roll.ms", "0", false, "requirement failed: log.roll.ms must be greater than or equal to 1"},
		{"log.roll.jitter.ms", "-1", false, "requirement failed: log.roll.jitter.ms must be greater than or equal to 0"},
		{"log.flush.interval.ms", "-1", false, "Invalid value -1 for configuration flush.ms: Value must be at least 0"},
		{"no.such.key", "abc", false, ""},
	} {
		err := s.ValidateBroker(map[string]string{c.name: c.value}, c.perBroker)
		what := fmt.Sprintf("%s=%s (per broker %v)", c.name, c.value, c.perBroker)
		if c.message == "" {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		var r *Refusal
		if !errors.As(err, &r) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if r.Message != c.message || r.Err != kerr.InvalidRequest {
			t.Errorf("%s:\n got %s\nwant %s", what, r.Message, c.message)
		}
	}
}

func TestTopicRefusals(t *testing.T) {
	s := NewSettings(start(t, nil), 1)
	for _, c := range []struct {
		overrides map[string]string
		text      string
	}{
		{map[string]string{"retention.ms": "-1", "cleanup.policy": "compact,delete", "segment.bytes": "14"}, ""},
		{map[string]string{"retention.minutes": "5"}, "Unknown topic config name: retention.minutes"},
		{map[string]string{"retention.ms": "-2"}, "Invalid value -2 for configuration retention.ms: Value must be at least -1"},
		{map[string]string{"segment.bytes": "13"}, "Invalid value 13 for configuration segment.bytes: Value must be at least 14"},
		{map[string]string{"min.compaction.lag.ms": "6", "max.compaction.lag.ms": "5"}, "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)"},
		{map[string]string{"remote.log.copy.disable": "true"}, "It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under Zookeeper's mode."},
		{map[string]string{"remote.storage.enable": "true"}, "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."},
	} {
		err := s.ValidateTopic(c.overrides)
		switch {
		case err == nil && c.text == "":
		case err == nil || err.Error() != c.text || !errors.Is(err, kerr.InvalidConfig):
			t.Errorf("%v:\n got %v\nwant %s", c.overrides, err, c.text)
		}
	}
}

func TestDescribeSynonymsAndSources(t *testing.T) {
	s := NewSettings(start(t, map[string]string{
		"log.retention.hours": "5", "broker.id": "2", "unheard.of": "1", "listener.name.internal.ssl.keystore.password": "x",
		"unclean.leader.election.interval.ms": "5", "log.cleanup.policy": "compact , delete",
	}), 2)
	noErrors(t, s.ApplyDefault(map[string]string{"log.retention.ms": "86400000"}))
	noErrors(t, s.ApplyBroker(map[string]string{"leader.replication.throttled.rate": "1000", "log.cleaner.threads": "2", "no.such.key": "abc"}))

	rows := map[string]Row{}
	for _, r := range s.DescribeBroker() {
		rows[r.Name] = r
	}
	for name, want := range map[string]string{
		"log.retention.ms":                  "86400000 src=3 ro=false sens=false type=5 [log.retention.ms=86400000(3) log.retention.hours=5(4) log.retention.hours=168(5)]",
		"log.retention.hours":               "168 src=4 ro=true sens=false type=3 [log.retention.hours=5(4) log.retention.hours=168(5)]",
		"log.roll.ms":                       "<nil> src=5 ro=false sens=false type=5 []",
		"node.id":                           "2 src=4 ro=true sens=false type=3 [node.id=2(4) node.id=-1(5)]",
		"log.cleaner.threads":               "2 src=2 ro=false sens=false type=3 [log.cleaner.threads=2(2) log.cleaner.threads=1(5)]",
		"no.such.key":                       "<nil> src=2 ro=true sens=true type=0 [no.such.key=<nil>(2)]",
		"unheard.of":                        "<nil> src=4 ro=true sens=true type=0 [unheard.of=<nil>(4)]",
		"leader.replication.throttled.rate": "1000 src=2 ro=true sens=false type=5 [leader.replication.throttled.rate=1000(2)]",
		"ssl.key.password":                  "<nil> src=5 ro=false sens=true type=9 []",
		"listener.name.internal.ssl.keystore.password": "<nil> src=4 ro=true sens=true type=9 [listener.name.internal.ssl.keystore.password=<nil>(4)]",
		"unclean.leader.election.interval.ms":          "5 src=4 ro=true sens=false type=5 [unclean.leader.election.interval.ms=5(4) unclean.leader.election.interval.ms=300000(5)]",
		"log.cleanup.policy":                           "compact,delete src=4 ro=false sens=false type=7 [log.cleanup.policy=compact , delete(4) log.cleanup.policy=delete(5)]",
		"offsets.topic.replication.factor":             "1 src=4 ro=true sens=false type=4 [offsets.topic.replication.factor=1(4) offsets.topic.replication.factor=3(5)]",
	} {
		if got := show(rows[name]); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	// 315 listed ones, and five more that were set: one internal, four that no definition knows as they stand.
	if len(rows) != 315+5 {
		t.Errorf("%d rows", len(rows))
	}

	defaults := s.DescribeDefault()
	if len(defaults) != 1 || show(defaults[0]) != "86400000 src=3 ro=false sens=false type=5 [log.retention.ms=86400000(3)]" {
		t.Errorf("%v", defaults)
	}

	topics := map[string]Row{}
	for _, r := range s.DescribeTopic(map[string]string{"segment.ms": "1000", "cleanup.policy": "delete, compact"}) {
		topics[r.Name] = r
	}
	for name, want := range map[string]string{
		"retention.ms":   "86400000 src=3 ro=false sens=false type=5 [log.retention.ms=86400000(3) log.retention.hours=5(4) log.retention.hours=168(5)]",
		"segment.ms":     "1000 src=1 ro=false sens=false type=5 [segment.ms=1000(1)]",
		"flush.ms":       "9223372036854775807 src=5 ro=false sens=false type=5 []",
		"cleanup.policy": "delete,compact src=1 ro=false sens=false type=7 [cleanup.policy=delete,compact(1) log.cleanup.policy=compact , delete(4) log.cleanup.policy=delete(5)]",
		"preallocate":    "false src=5 ro=false sens=false type=1 [log.preallocate=false(5)]",
	} {
		if got := show(topics[name]); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	if len(topics) != 36 {
		t.Errorf("%d topic rows", len(topics))
	}
	// With nothing but hours set, retention.ms has the value, but no synonym and the source of a default.
	plain := NewSettings(start(t, map[string]string{"log.retention.hours": "5"}), 1)
	for _, r := range plain.DescribeTopic(nil) {
		if r.Name == "retention.ms" && show(r) != "18000000 src=5 ro=false sens=false type=5 []" {
			t.Errorf("retention.ms: %s", show(r))
		}
	}
}

func show(r Row) string {
	text := func(v *string) string {
		if v == nil {
			return "<nil>"
		}
		return *v
	}
	var synonyms []string
	for _, s := range r.Synonyms {
		synonyms = append(synonyms, fmt.Sprintf("%s=%s(%d)", s.Name, text(s.Value), s.Source))
	}
	return fmt.Sprintf("%s src=%d ro=%v sens=%v type=%d %v", text(r.Value), r.Source, r.ReadOnly, r.Sensitive, r.Type, synonyms)
}

func TestLoggers(t *testing.T) {
	core, seen := observer.New(zapcore.DebugLevel - 1)
	levels := NewLoggers(zapcore.InfoLevel)
	logger := zap.New(levels.Core(core))
	found, same := LoggersOf(logger)
	if found != levels || same != logger {
		t.Error("the levels of a logger are not found")
	}
	storage := logger.Named("storage").Named("janitor").With(zap.Int("n", 1))
	storage.Debug("dropped")
	if err := levels.Set("storage", "DEBUG"); err != nil {
		t.Fatal(err)
	}
	storage.Debug("kept")
	logger.Debug("dropped")
	logger.Named("groups").Debug("dropped")
	if err := levels.Set("root", "ERROR"); err != nil {
		t.Fatal(err)
	}
	logger.Warn("dropped")
	if err := levels.Unset("storage"); err != nil {
		t.Fatal(err)
	}
	storage.Warn("dropped")
	var messages []string
	for _, e := range seen.All() {
		messages = append(messages, e.Message)
	}
	if diff := cmp.Diff([]string{"kept"}, messages); diff != "" {
		t.Error(diff)
	}
	if all := levels.All(); all["root"] != "ERROR" || all["storage"] != "ERROR" || len(all) != len(loggerNames)+1 {
		t.Error(all)
	}
	for err, want := range map[error]string{
		levels.Set("storage", "LOUD"):  "Cannot set the log level of storage to LOUD as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
		levels.Set("nobody", "INFO"):   "Logger nobody does not exist!",
		levels.Unset("nobody"):         "Logger nobody does not exist!",
		levels.Unset("root"):           "Removing the log level of the root logger is not allowed",
		levels.CheckSet("root", "off"): "Cannot set the log level of root to off as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
	} {
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if wrapped, logger := LoggersOf(zap.NewNop()); wrapped == nil || logger == nil {
		t.Error("a foreign logger is not wrapped")
	}
}

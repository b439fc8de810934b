package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
)

func TestConflictsStopTheStart(t *testing.T) {
	zk := map[string]string{"zookeeper.connect": "localhost:2181"}
	for _, c := range []struct {
		props map[string]string
		// want are parts of the text: what is wrong, the setting's name, its value, what would be right.
		want []string
	}{
		{map[string]string{"log.retention.ms": "0"}, []string{"log.retention.ms must be unlimited (-1) or, greater than or equal to 1", "log.retention.ms=0"}},
		{map[string]string{"num.partitions": "0"}, []string{"Invalid value 0 for configuration num.partitions", "(valid: [1,...])"}},
		{map[string]string{"num.partitions": "many"}, []string{"num.partitions", "many", "Not a number of type INT"}},
		{map[string]string{"num.partitions": "99999999999"}, []string{"Invalid value 99999999999 for configuration num.partitions", "(valid: [1,...,2147483647])"}},
		{map[string]string{"log.retention.hours": "99999999999"}, []string{"Invalid value 99999999999 for configuration log.retention.hours", "(valid: [-2147483648,...,2147483647])"}},
		{map[string]string{"listener.name.internal.num.network.threads": "0"}, []string{"num.network.threads", "at least 1"}},
		{map[string]string{"log.cleaner.dedupe.buffer.size": "1048576"}, []string{"at least 1MB per cleaner thread", "=1048576"}},
		{map[string]string{"replica.fetch.wait.max.ms": "40000"}, []string{"replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms", "replica.fetch.wait.max.ms=40000, replica.socket.timeout.ms=30000"}},
		{map[string]string{"replica.lag.time.max.ms": "100"}, []string{"less than or equal to replica.lag.time.max.ms", "replica.lag.time.max.ms=100"}},
		{map[string]string{"queued.max.request.bytes": "5"}, []string{"queued.max.request.bytes must be larger or equal to socket.request.max.bytes"}},
		{map[string]string{"max.connections.per.ip": "0"}, []string{"max.connections.per.ip can be set to zero only if"}},
		{map[string]string{"max.connections.per.ip.overrides": "host"}, []string{"max.connections.per.ip.overrides", "host:limit"}},
		{map[string]string{"connections.max.idle.ms": "100"}, []string{"connection.failed.authentication.delay.ms=100 should always be less than connections.max.idle.ms=100"}},
		{map[string]string{"broker.id": "1", "node.id": "2"}, []string{"You must set `node.id` to the same value as `broker.id`.", "node.id=2, broker.id=1"}},
		{map[string]string{"broker.id": "1001"}, []string{"not greater than reserved.broker.max.id", "broker.id=1001, reserved.broker.max.id=1000"}},
		{map[string]string{"broker.id.generation.enable": "false"}, []string{"broker.id must be greater than or equal to 0"}},
		{map[string]string{"log.dirs": " , "}, []string{"At least one log directory must be defined"}},
		{map[string]string{"offsets.topic.compression.codec": "7"}, []string{"Unknown compression type id: 7"}},
		{map[string]string{"log.cleaner.max.compaction.lag.ms": "5", "log.cleaner.min.compaction.lag.ms": "6"}, []string{"log.cleaner.min.compaction.lag.ms=6"}},
		// Listeners.
		{map[string]string{"listeners": "PLAINTEXT://a:1,PLAINTEXT://b:2"}, []string{"Each listener must have a different name"}},
		{map[string]string{"listeners": "PLAINTEXT://a:1,EXTERNAL://b:2"}, []string{"No security protocol defined for listener EXTERNAL"}},
		{map[string]string{"listeners": "PLAINTEXT://a:1,B://b:1", "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,B:PLAINTEXT"}, []string{"Each listener must have a different port"}},
		{map[string]string{"listeners": "PLAINTEXT://127.0.0.1:1,B://127.0.0.2:1", "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,B:PLAINTEXT"}, []string{"one needs to be IPv4 and the other IPv6"}},
		{map[string]string{"listeners": "PLAINTEXT://h"}, []string{"Unable to parse PLAINTEXT://h to a broker endpoint"}},
		{map[string]string{"listeners": "PLAINTEXT://h:99999"}, []string{"port 99999", "between 0 and 65535"}},
		{map[string]string{"listeners": ""}, []string{"There must be at least one broker advertised listener"}},
		{map[string]string{"listener.security.protocol.map": "PLAINTEXT:CLEAR"}, []string{"Invalid security protocol `CLEAR`", "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"}},
		{map[string]string{"advertised.listeners": "PLAINTEXT://0.0.0.0:9092"}, []string{"cannot use the nonroutable meta-address 0.0.0.0"}},
		{map[string]string{"listeners": "PLAINTEXT://0.0.0.0:9092"}, []string{"cannot use the nonroutable meta-address 0.0.0.0"}},
		{map[string]string{"advertised.listeners": "PLAINTEXT://h:1,B://h:2", "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,B:PLAINTEXT"}, []string{"must be equal to or a subset of the ones defined in listeners"}},
		{map[string]string{"inter.broker.listener.name": "PLAINTEXT", "security.inter.broker.protocol": "PLAINTEXT"}, []string{"Only one of inter.broker.listener.name and security.inter.broker.protocol should be set."}},
		{map[string]string{"inter.broker.listener.name": "X"}, []string{"Listener with name X defined in inter.broker.listener.name not found"}},
		{map[string]string{"security.inter.broker.protocol": "SSL"}, []string{"inter.broker.listener.name must be a listener name defined in advertised.listeners", "valid options", "PLAINTEXT"}},
		{map[string]string{"control.plane.listener.name": "PLAINTEXT"}, []string{"should have a different value from the inter broker listener name"}},
		{map[string]string{"control.plane.listener.name": "SSL"}, []string{"control.plane.listener.name must be a listener name defined in advertised.listeners"}},
		{merged(zk, map[string]string{"controller.listener.names": "CONTROLLER"}), []string{"controller.listener.names must be empty"}},
		{merged(zk, map[string]string{"listeners": "A://h:1", "listener.security.protocol.map": "A:PLAINTEXT"}), []string{"inter.broker.listener.name must be a listener name"}},
		// What must not be accepted in silence.
		{map[string]string{"listeners": "SSL://h:1", "security.inter.broker.protocol": "SSL"}, []string{"listener SSL asks for SSL"}},
		{map[string]string{"authorizer.class.name": "kafka.security.authorizer.AclAuthorizer"}, []string{"authorizer.class.name", "will not run open"}},
		{map[string]string{"config.providers": "file"}, []string{"config.providers"}},
		{map[string]string{"listeners": "SASL_PLAINTEXT://h:1", "security.inter.broker.protocol": "SASL_PLAINTEXT"}, []string{"sasl.mechanism.inter.broker.protocol", "asks for SASL_PLAINTEXT"}},
	} {
		_, err := NewStatic(c.props)
		if err == nil {
			t.Errorf("%v starts", c.props)
			continue
		}
		if c.props["listeners"] == "SASL_PLAINTEXT://h:1" {
			c.want = c.want[1:] // GSSAPI is enabled and is the mechanism by default: only our own refusal remains
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v: %v\nlacks %q", c.props, err, part)
			}
		}
	}
}

func TestSASLMechanismMustBeEnabled(t *testing.T) {
	_, err := NewStatic(map[string]string{
		"listeners": "SASL_PLAINTEXT://h:1", "security.inter.broker.protocol": "SASL_PLAINTEXT",
		"listener.name.sasl_plaintext.sasl.enabled.mechanisms": "PLAIN",
	})
	if err == nil || !strings.Contains(err.Error(), "must be included in sasl.enabled.mechanisms") {
		t.Error(err)
	}
}

func merged(a, b map[string]string) map[string]string { return overlay(a, b) }

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := NewStatic(map[string]string{"num.partitions": "0", "num.io.threads": "x", "broker.rack": "fine"})
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Fatalf("%v", err)
	}
	if !errors.Is(err, kerr.InvalidConfig) {
		t.Error("a bad value is not an INVALID_CONFIG")
	}
}

func TestPasswordsStayOutOfErrors(t *testing.T) {
	def := *BrokerDefs().Get("ssl.key.password")
	def.check = func(Value) (string, *string) { return "too short", nil }
	if _, err := def.Parse("hunter2"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestListeners(t *testing.T) {
	b := start(t, map[string]string{
		"zookeeper.connect":              "z:2181/kafka",
		"listeners":                      "internal://:0, EXTERNAL://[::1]:9093 ,V4://127.0.0.1:9094,V6://[::]:9094,",
		"advertised.listeners":           "EXTERNAL://broker-1.example.com:19093,INTERNAL://:9092",
		"listener.security.protocol.map": "internal:plaintext,EXTERNAL:PLAINTEXT,V4:PLAINTEXT,V6:PLAINTEXT",
		"inter.broker.listener.name":     "internal",
	}).Broker()
	want := []Listener{
		{"INTERNAL", "PLAINTEXT", "", 0}, {"EXTERNAL", "PLAINTEXT", "::1", 9093},
		{"V4", "PLAINTEXT", "127.0.0.1", 9094}, {"V6", "PLAINTEXT", "::", 9094},
	}
	if diff := cmp.Diff(want, b.Listeners); diff != "" {
		t.Error(diff)
	}
	if got := b.Listeners[1].String() + " " + b.Advertised[1].String(); got != "EXTERNAL://[::1]:9093 INTERNAL://:9092" {
		t.Error(got)
	}
	if b.InterBrokerListener != "INTERNAL" || b.Alone() {
		t.Errorf("inter-broker listener %s, alone %v", b.InterBrokerListener, b.Alone())
	}
	if _, ok := b.Listener("V6"); !ok {
		t.Error("no listener V6")
	}
}

func TestAlone(t *testing.T) {
	b := start(t, map[string]string{"zookeeper.connect": " "}).Broker()
	if !b.Alone() || b.OffsetsTopicReplication != 1 || b.TransactionStateLogReplication != 1 || b.TransactionStateLogMinISR != 1 {
		t.Errorf("a cluster of one wants more than one replica: %+v", b)
	}
	b = start(t, map[string]string{"offsets.topic.replication.factor": "3"}).Broker()
	if b.OffsetsTopicReplication != 3 {
		t.Error("what the file says does not count")
	}
	b = start(t, map[string]string{"zookeeper.connect": "z:2181"}).Broker()
	if b.OffsetsTopicReplication != 3 || b.TransactionStateLogMinISR != 2 {
		t.Error("defaults with ZooKeeper are not Kafka's")
	}
	// A single listener of another name needs no inter-broker listener beside it.
	b = start(t, map[string]string{"listeners": "DATA://:1", "listener.security.protocol.map": "DATA:PLAINTEXT"}).Broker()
	if b.InterBrokerListener != "DATA" {
		t.Error(b.InterBrokerListener)
	}
	// A file written for Kafka 4: the KRaft controller's listener is left out.
	b = start(t, map[string]string{
		"process.roles": "broker,controller", "node.id": "1", "controller.listener.names": "CONTROLLER",
		"listeners": "PLAINTEXT://:9092,CONTROLLER://:9093", "advertised.listeners": "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
	}).Broker()
	if len(b.Listeners) != 1 || len(b.Advertised) != 1 || b.BrokerID != 1 {
		t.Errorf("%+v", b)
	}
}

// A listener has its own limits of connections, else the broker's (KIP-402, KIP-612), and a change while it runs reaches it.
func TestListenersHaveLimitsOfTheirOwn(t *testing.T) {
	s := NewSettings(start(t, map[string]string{
		"listeners": "IN://:1,OUT://:2", "listener.security.protocol.map": "IN:PLAINTEXT,OUT:PLAINTEXT", "inter.broker.listener.name": "IN",
		"max.connections": "100", "listener.name.out.max.connections": "7", "listener.name.in.max.connection.creation.rate": "3",
	}), 1)
	const unlimited = 1<<31 - 1
	want := map[string]ListenerLimits{"IN": {100, 3}, "OUT": {7, unlimited}}
	if diff := cmp.Diff(want, s.Broker().ListenerLimits); diff != "" {
		t.Error(diff)
	}
	noErrors(t, s.ApplyDefault(map[string]string{"max.connections": "50", "max.connection.creation.rate": "9", "listener.name.out.max.connection.creation.rate": "2"}))
	want = map[string]ListenerLimits{"IN": {50, 3}, "OUT": {7, 2}}
	if diff := cmp.Diff(want, s.Broker().ListenerLimits); diff != "" {
		t.Error(diff)
	}
}

func TestNotices(t *testing.T) {
	s := start(t, map[string]string{
		"num.partitons": "3", "port": "9092", "num.network.threads": "3", "my.plugin.setting": "x",
		"num.partitions": "3", "log.retention.hours": "1", "max.connection.creation.rate": "5", "queued.max.request.bytes": "-1",
		"listener.name.plaintext.max.connections": "5", "listener.name.plaintext.max.connection.creation.rate": "5",
		"listener.name.other.max.connections": "5", "listener.name.plaintext.num.network.threads": "3",
		"listener.name.plaintext.connections.max.idle.ms": "1000",
	})
	want := []Notice{
		{true, "setting listener.name.plaintext.connections.max.idle.ms is ignored, as in Kafka: connections.max.idle.ms holds for all listeners"},
		{true, "unknown setting num.partitons: did you mean num.partitions?"},
		{true, "setting port was removed in Kafka 3.0 and is ignored: use listeners"},
		{false, "settings accepted without effect here: listener.name.other.max.connections, listener.name.plaintext.num.network.threads, num.network.threads"},
		{false, "unknown settings kept as they are: my.plugin.setting"},
	}
	if diff := cmp.Diff(want, s.Notices()); diff != "" {
		t.Error(diff)
	}
	if len(start(t, nil).Notices()) != 0 {
		t.Error("notices without settings")
	}
	if v, ok := s.Given("num.partitions"); !ok || v != "3" {
		t.Error("what was given is lost")
	}
}

func TestUnitsAndFallbacks(t *testing.T) {
	for _, c := range []struct {
		props map[string]string
		got   func(*Broker) int64
		want  int64
	}{
		{nil, func(b *Broker) int64 { return b.TopicDefaults.RetentionMs }, 7 * 24 * 3600 * 1000},
		{map[string]string{"log.retention.hours": "1"}, func(b *Broker) int64 { return b.TopicDefaults.RetentionMs }, 3600_000},
		{map[string]string{"log.retention.hours": "1", "log.retention.minutes": "2"}, func(b *Broker) int64 { return b.TopicDefaults.RetentionMs }, 120_000},
		{map[string]string{"log.retention.ms": "5", "log.retention.minutes": "2"}, func(b *Broker) int64 { return b.TopicDefaults.RetentionMs }, 5},
		{map[string]string{"log.retention.hours": "-7"}, func(b *Broker) int64 { return b.TopicDefaults.RetentionMs }, -1},
		{map[string]string{"log.roll.hours": "2"}, func(b *Broker) int64 { return b.TopicDefaults.SegmentMs }, 7200_000},
		{map[string]string{"log.roll.hours": "2", "log.roll.ms": "9"}, func(b *Broker) int64 { return b.TopicDefaults.SegmentMs }, 9},
		{map[string]string{"log.roll.jitter.hours": "1"}, func(b *Broker) int64 { return b.TopicDefaults.SegmentJitterMs }, 3600_000},
		{map[string]string{"log.flush.scheduler.interval.ms": "77"}, func(b *Broker) int64 { return b.TopicDefaults.FlushMs }, 77},
		{map[string]string{"log.flush.interval.ms": "66", "log.flush.scheduler.interval.ms": "77"}, func(b *Broker) int64 { return b.TopicDefaults.FlushMs }, 66},
		{map[string]string{"zookeeper.session.timeout.ms": "9000"}, func(b *Broker) int64 { return b.ZooKeeperConnectionTimeoutMs }, 9000},
		{map[string]string{"zookeeper.connection.timeout.ms": "4"}, func(b *Broker) int64 { return b.ZooKeeperConnectionTimeoutMs }, 4},
		{map[string]string{"node.id": "5"}, func(b *Broker) int64 { return int64(b.BrokerID) }, 5},
		{map[string]string{"log.message.timestamp.difference.max.ms": "8"}, func(b *Broker) int64 { return b.TopicDefaults.TimestampAfterMaxMs }, 8},
		{map[string]string{"log.message.timestamp.difference.max.ms": "8", "log.message.timestamp.before.max.ms": "9"}, func(b *Broker) int64 { return b.TopicDefaults.TimestampBeforeMaxMs }, 9},
	} {
		if got := c.got(start(t, c.props).Broker()); got != c.want {
			t.Errorf("%v: %d, want %d", c.props, got, c.want)
		}
	}
	b := start(t, map[string]string{"log.dir": "/a", "log.dirs": "/b, /c,", "max.connections.per.ip.overrides": "::1:5, localhost:6", "broker.rack": "r"}).Broker()
	if diff := cmp.Diff([]string{"/b", "/c"}, b.LogDirs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"::1": 5, "localhost": 6}, b.MaxConnectionsPerIPOverrides); diff != "" {
		t.Error(diff)
	}
	if b.Rack == nil || *b.Rack != "r" || start(t, nil).Broker().Rack != nil {
		t.Error("rack")
	}
}

func start(t *testing.T, props map[string]string) *Static {
	t.Helper()
	s, err := NewStatic(props)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

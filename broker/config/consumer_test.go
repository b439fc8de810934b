package config

import (
	"slices"
	"strings"
	"testing"
)

// TestConsumerProtocolIsOnUnlessItIsLeftOut: what is not said is as in Kafka 4.0, which is the first to have the protocol for good.
func TestConsumerProtocolIsOnUnlessItIsLeftOut(t *testing.T) {
	for protocols, want := range map[string]bool{"": true, "classic": false, "classic,consumer": true, "consumer, classic": true} {
		props := map[string]string{}
		if protocols != "" {
			props["group.coordinator.rebalance.protocols"] = protocols
		}
		if got := start(t, props).Broker().ConsumerProtocol; got != want {
			t.Errorf("%q: %v", protocols, got)
		}
	}
	b := start(t, nil).Broker()
	if b.GroupConsumerMigrationPolicy != "bidirectional" || !slices.Equal(b.GroupConsumerAssignors, []string{"uniform", "range"}) ||
		b.GroupConsumerSessionTimeoutMs != 45000 || b.GroupConsumerHeartbeatIntervalMs != 5000 {
		t.Errorf("%+v", b)
	}
	b = start(t, map[string]string{"group.consumer.migration.policy": "Upgrade", "group.consumer.max.size": "7",
		"group.consumer.assignors": "range,org.apache.kafka.coordinator.group.assignor.UniformAssignor"}).Broker()
	if b.GroupConsumerMigrationPolicy != "upgrade" || !slices.Equal(b.GroupConsumerAssignors, []string{"range", "uniform"}) || b.GroupConsumerMaxSize != 7 {
		t.Errorf("%+v", b)
	}
}

func TestConsumerProtocolConflicts(t *testing.T) {
	for want, props := range map[string]map[string]string{
		"Disabling the 'classic' protocol":                {"group.coordinator.rebalance.protocols": "consumer"},
		"The 'share' rebalance protocol is not supported": {"group.coordinator.rebalance.protocols": "classic,share"},
		"is not an assignor that the broker has":          {"group.consumer.assignors": "com.example.Mine"},
		"is named twice":                                  {"group.consumer.assignors": "uniform,org.apache.kafka.coordinator.group.assignor.UniformAssignor"},
		"group.consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms":     {"group.consumer.session.timeout.ms": "44999"},
		"group.consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms":        {"group.consumer.session.timeout.ms": "60001"},
		"group.consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms":  {"group.consumer.heartbeat.interval.ms": "15001"},
		"group.consumer.max.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms": {"group.consumer.max.session.timeout.ms": "100"},
		"group.consumer.heartbeat.interval.ms must be less than group.consumer.session.timeout.ms": {"group.consumer.heartbeat.interval.ms": "5000",
			"group.consumer.session.timeout.ms": "5000", "group.consumer.min.session.timeout.ms": "5000"},
	} {
		_, err := NewStatic(props)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", props, err, want)
		}
	}
}

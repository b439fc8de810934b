package config

import (
	"slices"
	"strings"
)

// The consumer protocol of KIP-848 is of Kafka 4.0, where it is on and groups may change over in both directions. Kafka 3.9 has the
// settings, but with defaults for a protocol in the making, and refuses it without KRaft. So the defaults are here those of 4.0, less
// the protocols that are not built.
const (
	rebalanceProtocols = "group.coordinator.rebalance.protocols"
	migrationPolicy    = "group.consumer.migration.policy"
)

func consumerDefaults(broker *Defs) {
	for name, value := range map[string]string{rebalanceProtocols: "classic,consumer", migrationPolicy: "bidirectional"} {
		broker.Get(name).Default = &value
	}
}

// assignorNames are the short names of the assignors by the classes that Kafka's settings name.
var assignorNames = map[string]string{
	"org.apache.kafka.coordinator.group.assignor.UniformAssignor": "uniform",
	"org.apache.kafka.coordinator.group.assignor.RangeAssignor":   "range",
	"uniform": "uniform", "range": "range",
}

// consumerProtocol checks the settings of the consumer protocol.
func (c *checker) consumerProtocol(b *Broker) {
	enabled := splitList(c.word(rebalanceProtocols))
	c.require(slices.Contains(enabled, "classic"), []string{rebalanceProtocols}, "Disabling the 'classic' protocol is not supported.")
	c.require(!slices.Contains(enabled, "share"), []string{rebalanceProtocols}, "The 'share' rebalance protocol is not supported.")
	b.ConsumerProtocol = slices.Contains(enabled, "consumer")
	b.GroupConsumerMigrationPolicy = strings.ToLower(c.word(migrationPolicy))
	const assignors = "group.consumer.assignors"
	for _, name := range splitList(c.word(assignors)) {
		short := assignorNames[name]
		c.require(short != "", []string{assignors}, "%s is not an assignor that the broker has: uniform, range", name)
		c.require(short == "" || !slices.Contains(b.GroupConsumerAssignors, short), []string{assignors}, "%s is named twice", name)
		b.GroupConsumerAssignors = append(b.GroupConsumerAssignors, short)
	}
	c.require(len(b.GroupConsumerAssignors) > 0, []string{assignors}, "at least one assignor is needed")
	c.between("group.consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms")
	c.between("group.consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms")
	c.require(b.GroupConsumerHeartbeatIntervalMs < b.GroupConsumerSessionTimeoutMs,
		[]string{"group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms"},
		"group.consumer.heartbeat.interval.ms must be less than group.consumer.session.timeout.ms")
}

// between checks that a setting is within the range that two others make.
func (c *checker) between(name, low, high string) {
	c.require(c.must(high) >= c.must(low), []string{low, high}, "%s must be greater than or equal to %s", high, low)
	c.require(c.must(name) >= c.must(low), []string{name, low}, "%s must be greater than or equal to %s", name, low)
	c.require(c.must(name) <= c.must(high), []string{name, high}, "%s must be less than or equal to %s", name, high)
}

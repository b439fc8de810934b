package broker

import (
	"barnabas/broker/config"
	"barnabas/coordinator/group"
)

// consumerOptions are the settings of the consumer protocol.
func consumerOptions(c *config.Broker) group.ConsumerOptions {
	migration := map[string]group.Migration{"disabled": group.MigrationDisabled, "upgrade": group.MigrationUpgrade,
		"downgrade": group.MigrationDowngrade, "bidirectional": group.MigrationBidirectional}
	return group.ConsumerOptions{
		Enabled: c.ConsumerProtocol, Session: int32(c.GroupConsumerSessionTimeoutMs), Heartbeat: int32(c.GroupConsumerHeartbeatIntervalMs),
		MaxSize: c.GroupConsumerMaxSize, Assignors: c.GroupConsumerAssignors, Migration: migration[c.GroupConsumerMigrationPolicy],
	}
}

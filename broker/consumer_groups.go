package broker

import (
	"context"

	"barnabas/broker/config"
	"barnabas/coordinator/controller"
	"barnabas/coordinator/group"
	"barnabas/coordinator/store"
)

// consumerOptions are the settings of the consumer protocol.
func (b *Broker) consumerOptions(c *config.Broker) group.ConsumerOptions {
	migration := map[string]group.Migration{"disabled": group.MigrationDisabled, "upgrade": group.MigrationUpgrade,
		"downgrade": group.MigrationDowngrade, "bidirectional": group.MigrationBidirectional}
	return group.ConsumerOptions{
		Enabled: c.ConsumerProtocol, Session: int32(c.GroupConsumerSessionTimeoutMs), Heartbeat: int32(c.GroupConsumerHeartbeatIntervalMs),
		MaxSize: c.GroupConsumerMaxSize, Assignors: c.GroupConsumerAssignors, Migration: migration[c.GroupConsumerMigrationPolicy],
		OfGroup: b.settings.Group,
	}
}

// configStore keeps settings under the names that clients have for entities.
type configStore struct{ *controller.Admin }

// configNode is the name of an entity's node. A group's id may have any characters.
func configNode(kind, name string) string {
	if kind == store.ConfigGroups {
		return store.Sanitize(name)
	}
	return name
}

// EntityConfig is that of controller.Admin.
func (s configStore) EntityConfig(ctx context.Context, kind, name string) (map[string]string, int32, error) {
	return s.Admin.EntityConfig(ctx, kind, configNode(kind, name))
}

// SetConfigs is that of controller.Admin.
func (s configStore) SetConfigs(ctx context.Context, kind, name string, settings map[string]string, version int32) error {
	return s.Admin.SetConfigs(ctx, kind, configNode(kind, name), settings, version)
}

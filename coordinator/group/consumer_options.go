package group

import (
	"math"

	"barnabas/coordinator/group/assign"
	"barnabas/replication/cluster"
)

// ConsumerOptions are the settings of the consumer protocol (KIP-848).
type ConsumerOptions struct {
	// Enabled says that the protocol is served (group.coordinator.rebalance.protocols). Groups of it that the log has are kept
	// in any case.
	Enabled bool
	// Session and Heartbeat (ms) are group.consumer.session.timeout.ms and group.consumer.heartbeat.interval.ms.
	Session, Heartbeat int32
	MaxSize            int // members: group.consumer.max.size
	// Assignors are the names of those that members may ask for; the first is for those who do not (group.consumer.assignors).
	Assignors []string
	Migration Migration // group.consumer.migration.policy
	// OfGroup gives what a group has in place of Session and Heartbeat; nil is nothing.
	OfGroup func(group string) (session, heartbeat int32)
}

// ConsumerDefaults are Kafka's settings of the consumer protocol, which is on since 4.0.
func ConsumerDefaults() ConsumerOptions {
	return ConsumerOptions{Enabled: true, Session: 45000, Heartbeat: 5000, MaxSize: math.MaxInt32,
		Assignors: []string{"uniform", "range"}, Migration: MigrationBidirectional}
}

// KnownAssignor says whether there is an assignor of that name.
func KnownAssignor(name string) bool { return assign.ByName(name) != nil }

// image is the picture of the cluster, which knows nothing while there is none.
func (o *Options) image() *cluster.Image {
	if o.Image == nil {
		return noImage
	}
	return o.Image()
}

var noImage = cluster.Empty()

func (m *machine) consumerSession(group string) int32 {
	if of := m.o.Consumer.OfGroup; of != nil {
		session, _ := of(group)
		return session
	}
	return m.o.Consumer.Session
}

func (m *machine) consumerInterval(group string) int32 {
	if of := m.o.Consumer.OfGroup; of != nil {
		_, heartbeat := of(group)
		return heartbeat
	}
	return m.o.Consumer.Heartbeat
}

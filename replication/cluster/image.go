// Package cluster holds what a broker knows of the cluster: an Image is an immutable picture of brokers, topics,
// partitions and settings; a Change says what differs between two. Readers take the pointer once and keep it for the
// whole operation. The package knows no disk, no network and no store.
package cluster

import (
	"maps"
	"slices"
)

// TopicID is the UUID of a topic (KIP-516); zero means that it has none.
type TopicID [16]byte

// NoLeader is the leader of a partition that has none.
const NoLeader int32 = -1

// Image is one immutable picture. Whoever wants another one clones it, edits the clone before publishing it, and never
// edits it again.
type Image struct {
	ClusterID string
	// ControllerID is the active controller's broker id, -1 when unknown. ControllerEpoch is the highest epoch heard of.
	ControllerID    int32
	ControllerEpoch int32
	// Brokers are the live ones, by id.
	Brokers map[int32]*Broker
	// Topics by name and by id hold the same values.
	Topics map[string]*Topic
	ByID   map[TopicID]*Topic
}

// Broker is a live broker with its endpoints by listener name.
type Broker struct {
	ID        int32
	Epoch     int64 // czxid of its registration, -1 when unknown
	Rack      *string
	Endpoints []Endpoint // as advertised, in the order of its registration
}

// Endpoint is where one listener of a broker is reached.
type Endpoint struct {
	Listener string // upper case, as "PLAINTEXT"
	Protocol string // PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
	Host     string
	Port     int32
}

// On is the broker's endpoint on a listener.
func (b *Broker) On(listener string) (Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return Endpoint{}, false
}

// Topic is a topic with its partitions, indexed by partition id without holes; an entry may be nil while the
// controller has not told of that partition yet.
type Topic struct {
	Name       string
	ID         TopicID
	Partitions []*Partition
}

// Partition is the state of one partition as the controller last told it.
type Partition struct {
	Leader          int32 // NoLeader when there is none
	LeaderEpoch     int32
	ControllerEpoch int32
	PartitionEpoch  int32 // version of the state znode
	Replicas        []int32
	ISR             []int32
	Adding          []int32
	Removing        []int32
	Offline         []int32 // replicas whose broker or disk is gone
	Recovering      bool    // leader_recovery_state 1: after an unclean election
}

// Empty is an image that knows nothing yet.
func Empty() *Image {
	return &Image{ControllerID: -1, Brokers: map[int32]*Broker{}, Topics: map[string]*Topic{}, ByID: map[TopicID]*Topic{}}
}

// Clone is a copy whose maps may be edited; topics, partitions and brokers are shared and must be replaced, not edited.
func (i *Image) Clone() *Image {
	c := *i
	c.Brokers, c.Topics, c.ByID = maps.Clone(i.Brokers), maps.Clone(i.Topics), maps.Clone(i.ByID)
	return &c
}

// Put adds or replaces a topic in a clone.
func (i *Image) Put(t *Topic) {
	if old := i.Topics[t.Name]; old != nil {
		delete(i.ByID, old.ID)
	}
	i.Topics[t.Name] = t
	if t.ID != (TopicID{}) {
		i.ByID[t.ID] = t
	}
}

// Remove takes a topic out of a clone.
func (i *Image) Remove(name string) {
	if old := i.Topics[name]; old != nil {
		delete(i.ByID, old.ID)
		delete(i.Topics, name)
	}
}

// Partition looks one up; nil when it is unknown.
func (i *Image) Partition(topic string, id int32) *Partition {
	t := i.Topics[topic]
	if t == nil || id < 0 || int(id) >= len(t.Partitions) {
		return nil
	}
	return t.Partitions[id]
}

// BrokerIDs are the live brokers' ids in ascending order.
func (i *Image) BrokerIDs() []int32 {
	ids := make([]int32, 0, len(i.Brokers))
	for id := range i.Brokers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// TopicNames are all topics' names in ascending order.
func (i *Image) TopicNames() []string {
	names := make([]string, 0, len(i.Topics))
	for name := range i.Topics {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// The names of Kafka's internal topics.
const (
	OffsetsTopic      = "__consumer_offsets"
	TransactionsTopic = "__transaction_state"
)

// Internal says whether Kafka manages the topic for itself.
func Internal(topic string) bool { return topic == OffsetsTopic || topic == TransactionsTopic }

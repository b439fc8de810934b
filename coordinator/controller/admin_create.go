package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// NewTopic is a topic to be created.
type NewTopic struct {
	Name string
	// Partitions and ReplicationFactor -1 are the broker's defaults. Both must be -1 if Assignments is given.
	Partitions        int32
	ReplicationFactor int16
	// Assignments are the replicas of each partition, the preferred leader first; empty lets the broker choose.
	Assignments map[int32][]int32
	// Configs are the topic's own settings; a nil value is refused.
	Configs map[string]*string
}

// Created tells of a topic that was created, or would have been.
type Created struct {
	ID                cluster.TopicID // zero when it was only validated
	Partitions        int32
	ReplicationFactor int16
	// Configs are the topic's own settings.
	Configs map[string]string
}

// CreateTopic creates a topic, or with validateOnly says whether it could be. The topic has no leaders yet when it
// returns: the controller sees to that. Refusals have Kafka's codes and texts, and are found in Kafka's order.
func (a *Admin) CreateTopic(ctx context.Context, n NewTopic, validateOnly bool) (Created, error) {
	if a.o.Image().Topics[n.Name] != nil {
		return Created{}, refuse(kerr.TopicAlreadyExists, "Topic '%s' already exists.", n.Name)
	}
	configs, err := plain(n.Configs)
	if err != nil {
		return Created{}, err
	}
	assigned, err := a.assignment(n)
	if err != nil {
		return Created{}, err
	}
	if err := a.checkNew(ctx, n.Name, assigned); err != nil {
		return Created{}, err
	}
	if err := a.checkConfigs(configs); err != nil {
		return Created{}, err
	}
	c := Created{Partitions: int32(len(assigned)), ReplicationFactor: int16(len(assigned[0])), Configs: configs}
	if validateOnly {
		return c, nil
	}
	c.ID = store.NewTopicID()
	if err := a.writeTopic(ctx, n.Name, store.Topic{ID: c.ID, Partitions: assigned}, configs); err != nil {
		return Created{}, err
	}
	a.o.Logger.Info("topic created", zap.String("topic", n.Name), zap.Int32("partitions", c.Partitions),
		zap.Int16("replicationFactor", c.ReplicationFactor), zap.Any("configs", configs))
	return c, nil
}

// plain refuses null values.
func plain(configs map[string]*string) (map[string]string, error) {
	values := make(map[string]string, len(configs))
	var null []string
	for _, name := range sortedKeys(configs) {
		if v := configs[name]; v != nil {
			values[name] = *v
		} else {
			null = append(null, name)
		}
	}
	if null != nil {
		return nil, refuse(kerr.InvalidConfig, "Null value not supported for topic configs: %s", strings.Join(null, ","))
	}
	return values, nil
}

// assignment is what the client asked for, or what the broker chooses.
func (a *Admin) assignment(n NewTopic) (map[int32][]int32, error) {
	if len(n.Assignments) > 0 {
		if n.Partitions != -1 || n.ReplicationFactor != -1 {
			return nil, refuse(kerr.InvalidRequest, "Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the same time.")
		}
		return n.Assignments, nil
	}
	partitions, replication := n.Partitions, n.ReplicationFactor
	defaultPartitions, defaultReplication := a.o.Defaults()
	if partitions == -1 {
		partitions = defaultPartitions
	}
	if replication == -1 {
		replication = defaultReplication
	}
	if partitions > maxPartitions {
		return nil, refuse(kerr.InvalidPartitions, "Number of partitions must not be larger than %d.", maxPartitions)
	}
	var s spread
	places := a.places()
	if len(places) > 0 {
		s.from, s.shift = a.o.Random(len(places)), a.o.Random(len(places))
	}
	lists, err := s.assign(places, int(partitions), int(replication))
	if err != nil {
		return nil, err
	}
	assigned := make(map[int32][]int32, len(lists))
	for p, replicas := range lists {
		assigned[int32(p)] = replicas
	}
	return assigned, nil
}

// maxPartitions of one topic: more do not fit into what the store takes as one node. Kafka runs out of memory or into
// the store's limit instead.
const maxPartitions = 50_000

// checkNew refuses names that are bad or taken, and assignments that cannot be.
func (a *Admin) checkNew(ctx context.Context, name string, assigned map[int32][]int32) error {
	if err := checkTopicName(name); err != nil {
		return err
	}
	if err := a.checkFree(ctx, name); err != nil {
		return err
	}
	for _, replicas := range assigned {
		for _, others := range assigned {
			if len(replicas) != len(others) {
				return refuse(kerr.InvalidReplicaAssignment, "All partitions should have the same number of replicas")
			}
		}
		break
	}
	for _, replicas := range assigned {
		if duplicates(replicas) {
			return refuse(kerr.InvalidReplicaAssignment, "Duplicate replica assignment found: %s", scalaMap(assigned))
		}
	}
	for p := range int32(len(assigned)) {
		if _, ok := assigned[p]; !ok {
			return refuse(kerr.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
	}
	return nil
}

// scalaMap prints an assignment as Kafka's message does.
func scalaMap(assigned map[int32][]int32) string {
	var parts []string
	for _, p := range sortedKeys(assigned) {
		parts = append(parts, fmt.Sprintf("%d -> ArrayBuffer(%s)", p, join(assigned[p])))
	}
	return "HashMap(" + strings.Join(parts, ", ") + ")"
}

// checkFree refuses a name that a topic has, or one that metrics could not tell from it.
func (a *Admin) checkFree(ctx context.Context, name string) error {
	if deleting, err := a.Deleting(ctx, name); err != nil {
		return err
	} else if deleting {
		return refuse(kerr.TopicAlreadyExists, "Topic '%s' is marked for deletion.", name)
	}
	if _, there, err := a.o.Store.Exists(ctx, store.TopicPath(name)); err != nil {
		return err
	} else if there {
		return refuse(kerr.TopicAlreadyExists, "Topic '%s' already exists.", name)
	}
	if !mayCollide(name) {
		return nil
	}
	names, _, err := a.o.Store.Children(ctx, store.TopicsPath)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(names, func(other string) bool { return other == name || !collide(name, other) })
	if len(others) > 0 {
		return refuse(kerr.InvalidTopicException, "Topic '%s' collides with existing topics: %s", name, strings.Join(others, ", "))
	}
	return nil
}

func (a *Admin) checkConfigs(configs map[string]string) error {
	err := a.o.Topics.ValidateTopic(configs)
	if err == nil {
		return nil
	}
	var kafka *kerr.Error
	if !errors.As(err, &kafka) {
		kafka = kerr.InvalidConfig
	}
	return &Refusal{Kafka: kafka, Message: err.Error()}
}

// writeTopic writes the settings and the assignment in one step, in this order. Kafka makes two of it, and leaves settings
// without a topic, or with another one's, when the second fails.
func (a *Admin) writeTopic(ctx context.Context, name string, t store.Topic, configs map[string]string) error {
	config, path := store.ConfigPath(store.ConfigTopics, name), store.TopicPath(name)
	for range maxAttempts {
		check, err := a.controllerCheck(ctx, store.ConfigTopics, name)
		if err != nil {
			return err
		}
		set := store.Create(config, store.EncodeConfig(configs), store.Persistent)
		if _, there, err := a.o.Store.Exists(ctx, config); err != nil {
			return err
		} else if there { // left behind by a topic that is gone
			set = store.Set(config, store.EncodeConfig(configs), store.AnyVersion)
		}
		_, err = a.o.Store.Multi(ctx, check, set, store.Create(path, store.EncodeTopic(t), store.Persistent))
		if err == nil || !conflicting(err) && !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		now, _, again := a.topic(ctx, name)
		switch {
		case again != nil:
			return again
		case now != nil && now.ID == t.ID: // done, though the answer was lost
			return nil
		case now != nil:
			return refuse(kerr.TopicAlreadyExists, "Topic '%s' already exists.", name)
		case !conflicting(err):
			return err
		}
	}
	return fmt.Errorf("topic %s: the store keeps changing: %w", name, kerr.UnknownServerError)
}

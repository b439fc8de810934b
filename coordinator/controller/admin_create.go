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

// CreateResult is what became of one of several topics that were to be created.
type CreateResult struct {
	Created
	// Err is why it was not; Created is zero then.
	Err error
}

// CreateTopic is CreateTopics for one.
func (a *Admin) CreateTopic(ctx context.Context, n NewTopic, validateOnly bool) (Created, error) {
	r := a.CreateTopics(ctx, []NewTopic{n}, validateOnly)[0]
	return r.Created, r.Err
}

// CreateTopics creates topics, or with validateOnly says whether they could be; the results are in their order. What is
// refused does not hinder the others. The topics have no leaders yet when it returns: the controller sees to that. Refusals
// have Kafka's codes and texts, and are found in Kafka's order.
func (a *Admin) CreateTopics(ctx context.Context, ns []NewTopic, validateOnly bool) []CreateResult {
	results := make([]CreateResult, len(ns))
	var drafts []*topicDraft
	for i, n := range ns {
		d, err := a.draftTopic(ctx, n, drafts)
		if err != nil {
			results[i].Err = a.tell("creation of topic", n.Name, err)
			continue
		}
		d.result = &results[i]
		d.result.Created = Created{Partitions: int32(len(d.assigned)), ReplicationFactor: int16(len(d.assigned[0])), Configs: d.configs}
		if !validateOnly {
			d.result.ID = store.NewTopicID()
			drafts = append(drafts, d)
		}
	}
	a.writeTopics(ctx, drafts)
	for _, d := range drafts {
		if d.result.Err != nil {
			d.result.Err = a.tell("creation of topic", d.name, d.result.Err)
			d.result.Created = Created{}
			continue
		}
		a.o.Logger.Info("topic created", zap.String("topic", d.name), zap.Int32("partitions", d.result.Partitions),
			zap.Int16("replicationFactor", d.result.ReplicationFactor), zap.Any("configs", d.configs))
	}
	return results
}

// topicDraft is a topic in which nothing is wrong, before it is written.
type topicDraft struct {
	name     string
	assigned map[int32][]int32
	configs  map[string]string
	result   *CreateResult // its ID is drawn
}

func (d *topicDraft) topic() store.Topic { return store.Topic{ID: d.result.ID, Partitions: d.assigned} }

// draftTopic checks a topic that is to be created after those before it.
func (a *Admin) draftTopic(ctx context.Context, n NewTopic, before []*topicDraft) (*topicDraft, error) {
	if a.o.Image().Topics[n.Name] != nil {
		return nil, refuse(kerr.TopicAlreadyExists, "Topic '%s' already exists.", n.Name)
	}
	configs, err := plain(n.Configs)
	if err != nil {
		return nil, err
	}
	assigned, err := a.assignment(n)
	if err != nil {
		return nil, err
	}
	if err := a.checkNew(ctx, n.Name, assigned, before); err != nil {
		return nil, err
	}
	if err := a.checkConfigs(configs); err != nil {
		return nil, err
	}
	return &topicDraft{name: n.Name, assigned: assigned, configs: configs}, nil
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
func (a *Admin) checkNew(ctx context.Context, name string, assigned map[int32][]int32, before []*topicDraft) error {
	if err := checkTopicName(name); err != nil {
		return err
	}
	if err := a.checkFree(ctx, name, before); err != nil {
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

// checkFree refuses a name that a topic has or is about to have, or one that metrics could not tell from it.
func (a *Admin) checkFree(ctx context.Context, name string, before []*topicDraft) error {
	if deleting, err := a.Deleting(ctx, name); err != nil {
		return err
	} else if deleting {
		return refuse(kerr.TopicAlreadyExists, "Topic '%s' is marked for deletion.", name)
	}
	named := func(d *topicDraft) bool { return d.name == name }
	if _, there, err := a.o.Store.Exists(ctx, store.TopicPath(name)); err != nil {
		return err
	} else if there || slices.ContainsFunc(before, named) {
		return refuse(kerr.TopicAlreadyExists, "Topic '%s' already exists.", name)
	}
	if !mayCollide(name) {
		return nil
	}
	names, _, err := a.o.Store.Children(ctx, store.TopicsPath)
	if err != nil {
		return err
	}
	for _, d := range before {
		names = append(names, d.name)
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

// maxStepBytes bounds what is written in one step: ZooKeeper refuses requests larger than a megabyte, and nobody else's write
// is done meanwhile.
const maxStepBytes = 256 << 10

// writeTopics writes topics, as many in a step as fit: a step is over when it is on disk. Where a step fails each of its
// topics is tried by itself, which tells the one that is why from the others.
func (a *Admin) writeTopics(ctx context.Context, drafts []*topicDraft) {
	for len(drafts) > 0 {
		ops, n := stepOf(drafts)
		if n == 1 || a.writeTogether(ctx, ops) != nil {
			for _, d := range drafts[:n] {
				d.result.Err = a.writeTopic(ctx, d.name, d.topic(), d.configs)
			}
		}
		drafts = drafts[n:]
	}
}

// stepOf is what writes the first topics, and how many those are: one at least.
func stepOf(drafts []*topicDraft) (ops []store.Op, n int) {
	size := 0
	for _, d := range drafts {
		set := store.Create(store.ConfigPath(store.ConfigTopics, d.name), store.EncodeConfig(d.configs), store.Persistent)
		create := store.Create(store.TopicPath(d.name), store.EncodeTopic(d.topic()), store.Persistent)
		size += len(set.Path) + len(set.Data) + len(create.Path) + len(create.Data)
		if n > 0 && size > maxStepBytes {
			break
		}
		ops, n = append(ops, set, create), n+1
	}
	return ops, n
}

// writeTogether writes new topics, while the controller stays who it is.
func (a *Admin) writeTogether(ctx context.Context, ops []store.Op) error {
	check, err := a.controllerCheck(ctx, store.ConfigTopics, "")
	if err == nil {
		_, err = a.o.Store.Multi(ctx, append([]store.Op{check}, ops...)...)
	}
	return err
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

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
)

// CreatePartitions raises a topic's number of partitions to count, or with validateOnly says whether it could be.
// Assignments are the replicas of each new partition; nil lets the broker choose. Refusals have Kafka's codes and texts.
func (a *Admin) CreatePartitions(ctx context.Context, name string, count int32, assignments [][]int32, validateOnly bool) error {
	return a.tell("new partitions of topic", name, a.createPartitions(ctx, name, count, assignments, validateOnly))
}

func (a *Admin) createPartitions(ctx context.Context, name string, count int32, assignments [][]int32, validateOnly bool) error {
	if deleting, err := a.Deleting(ctx, name); err != nil {
		return err
	} else if deleting {
		return refuse(kerr.InvalidTopicException, "The topic is queued for deletion.")
	}
	for range maxAttempts {
		t, version, err := a.topic(ctx, name)
		if err != nil {
			return err
		}
		if t == nil || len(t.Partitions) == 0 {
			return refuse(kerr.UnknownTopicOrPartition, "The topic '%s' does not exist.", name)
		}
		added, err := a.newPartitions(name, t, count, assignments)
		if err != nil || validateOnly {
			return err
		}
		was := int32(len(t.Partitions))
		for i, replicas := range added {
			t.Partitions[was+int32(i)] = replicas
		}
		_, err = a.o.Store.Set(ctx, store.TopicPath(name), store.EncodeTopic(*t), version)
		if err == nil {
			a.o.Logger.Info("partitions added", zap.String("topic", name), zap.Int32("from", was), zap.Int32("to", count))
			return nil
		}
		if !errors.Is(err, store.ErrBadVersion) && !errors.Is(err, store.ErrNoNode) {
			return err
		}
	}
	return fmt.Errorf("topic %s: its assignment keeps changing: %w", name, kerr.UnknownServerError)
}

// newPartitions checks what is asked and gives the replicas of the partitions to be added.
func (a *Admin) newPartitions(name string, t *store.Topic, count int32, assignments [][]int32) ([][]int32, error) {
	was := int32(len(t.Partitions))
	switch {
	case len(t.Adding)+len(t.Removing) > 0:
		return nil, refuse(kerr.ReassignmentInProgress, "A partition reassignment is in progress for the topic '%s'.", name)
	case count < was:
		return nil, refuse(kerr.InvalidPartitions, "Topic currently has %d partitions, which is higher than the requested %d.", was, count)
	case count == was:
		return nil, refuse(kerr.InvalidPartitions, "Topic already has %d partitions.", was)
	case count > maxPartitions:
		return nil, refuse(kerr.InvalidPartitions, "Number of partitions must not be larger than %d.", maxPartitions)
	}
	places := a.places()
	first, ok := t.Partitions[0]
	if !ok {
		return nil, refuse(kerr.UnknownServerError, "Unexpected existing replica assignment for topic '%s', partition id 0 is missing.", name)
	}
	if assignments != nil {
		return assignments, checkAdded(places, was, count-was, len(first), assignments)
	}
	if slices.ContainsFunc(places, func(p place) bool { return p.rack != nil }) && slices.ContainsFunc(places, func(p place) bool { return p.rack == nil }) {
		return nil, refuse(kerr.UnknownServerError, "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.")
	}
	s := spread{next: int(was)}
	if len(first) > 0 {
		s.from = max(0, slices.IndexFunc(places, func(p place) bool { return p.id >= first[0] }))
	}
	s.shift = s.from
	return s.assign(places, int(count-was), len(first))
}

// checkAdded holds a client's assignments of added partitions to Kafka's rules.
func checkAdded(places []place, was, added int32, replication int, assignments [][]int32) error {
	known := map[int32]bool{}
	for _, p := range places {
		known[p.id] = true
	}
	unknown := map[int32]bool{}
	for _, replicas := range assignments {
		for _, id := range replicas {
			if !known[id] {
				unknown[id] = true
			}
		}
	}
	if len(unknown) > 0 {
		return refuse(kerr.InvalidReplicaAssignment, "Unknown broker(s) in replica assignment: %s.", join(sortedKeys(unknown)))
	}
	if len(assignments) != int(added) {
		return refuse(kerr.InvalidReplicaAssignment, "Increasing the number of partitions by %d but %d assignments provided.", added, len(assignments))
	}
	var odd, counts []string
	for i, replicas := range assignments {
		p := was + int32(i)
		switch {
		case len(replicas) == 0:
			return refuse(kerr.InvalidReplicaAssignment, "Cannot have replication factor of 0 for partition id %d.", p)
		case duplicates(replicas):
			return refuse(kerr.InvalidReplicaAssignment, "Duplicate brokers not allowed in replica assignment: %s for partition id %d.", join(replicas), p)
		case len(replicas) != replication:
			odd, counts = append(odd, fmt.Sprint(p)), append(counts, fmt.Sprint(len(replicas)))
		}
	}
	if odd != nil {
		return refuse(kerr.InvalidReplicaAssignment, "Inconsistent replication factor between partitions, partition 0 has %d while partitions [%s] have replication factors [%s], respectively.",
			replication, strings.Join(odd, ", "), strings.Join(counts, ", "))
	}
	return nil
}

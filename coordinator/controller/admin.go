package controller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// TopicConfigs knows which settings topics may have.
type TopicConfigs interface {
	// ValidateTopic refuses settings that a topic cannot have. The error's text is what the client is told; it wraps
	// kerr.InvalidConfig.
	ValidateTopic(overrides map[string]string) error
}

// AdminOptions of NewAdmin.
type AdminOptions struct {
	Store store.Store
	Self  int32 // this broker's id, under which it takes producer ids
	// Image is this broker's picture of the cluster.
	Image  func() *cluster.Image
	Topics TopicConfigs
	// Defaults gives num.partitions and default.replication.factor.
	Defaults func() (partitions int32, replication int16)
	Logger   *zap.Logger // nil for none
	// Random gives a number in [0, n), n > 0; nil is a random one.
	Random func(n int) int
}

// Admin writes what any broker may write into the store: topics and their settings, wishes to delete, blocks of producer
// ids. The controller sees it there and acts. Errors that a client is to see are or wrap a *Refusal. It is safe for
// concurrent use.
type Admin struct{ o AdminOptions }

// NewAdmin makes an Admin.
func NewAdmin(o AdminOptions) *Admin {
	if o.Random == nil {
		o.Random = rand.IntN
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Admin{o: o}
}

// controllerCheck is the step by which a write is made only while the controller stays who it is, and it is one of
// Kafka's brokers in ZooKeeper mode.
func (a *Admin) controllerCheck(ctx context.Context, kind, name string) (store.Op, error) {
	data, stat, err := a.o.Store.Get(ctx, store.ControllerPath)
	if errors.Is(err, store.ErrNoNode) {
		return store.Op{}, refuse(kerr.StaleControllerEpoch, "Cannot set entity configs for %s %s when there is no controller.", kind, name)
	}
	if err != nil {
		return store.Op{}, err
	}
	now, err := store.DecodeController(data)
	if err != nil {
		return store.Op{}, err
	}
	if now.KRaftEpoch > 0 {
		return store.Op{}, refuse(kerr.StaleControllerEpoch, "Cannot set entity configs for %s %s directly when there is a KRaft controller.", kind, name)
	}
	return store.Check(store.ControllerPath, stat.Version), nil
}

// tell gives what a client is told. It logs what that hides: that the store failed, and how. A store that cannot write for
// its disk is KAFKA_STORAGE_ERROR, which Apache Kafka, whose store is elsewhere, has no such answer for.
func (a *Admin) tell(what, name string, err error) error {
	var known *kerr.Error
	told := errors.As(err, &known) && known != kerr.UnknownServerError
	if err != nil && !told && !errors.Is(err, context.Canceled) {
		a.o.Logger.Error("coordination store failed", zap.String("at", what), zap.String("name", name), zap.Error(err))
	}
	if errors.Is(err, store.ErrDisk) {
		return refuse(kerr.KafkaStorageError, "This broker's coordination store lies in its first log dir, whose disk refuses writes: make room there, or mend it.")
	}
	return err
}

// conflicting says whether a step failed because nodes were not as it expected them.
func conflicting(err error) bool {
	return errors.Is(err, store.ErrNoNode) || errors.Is(err, store.ErrNodeExists) || errors.Is(err, store.ErrBadVersion)
}

// places are the live brokers, from the image.
func (a *Admin) places() []place {
	img := a.o.Image()
	list := make([]place, 0, len(img.Brokers))
	for _, id := range img.BrokerIDs() {
		list = append(list, place{id, img.Brokers[id].Rack})
	}
	return list
}

// topic reads an assignment; nil when there is no such topic.
func (a *Admin) topic(ctx context.Context, name string) (*store.Topic, int32, error) {
	if checkTopicName(name) != nil {
		return nil, 0, nil
	}
	data, stat, err := a.o.Store.Get(ctx, store.TopicPath(name))
	if errors.Is(err, store.ErrNoNode) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	t, err := store.DecodeTopic(data)
	if err != nil {
		return nil, 0, fmt.Errorf("topic %s: %w", name, err)
	}
	return &t, stat.Version, nil
}

// join prints ids as Kafka's messages do.
func join(ids []int32) string {
	text := make([]string, len(ids))
	for i, id := range ids {
		text[i] = fmt.Sprint(id)
	}
	return strings.Join(text, ", ")
}

// duplicates says whether an id stands twice in a list.
func duplicates(ids []int32) bool {
	seen := make(map[int32]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			return true
		}
		seen[id] = true
	}
	return false
}

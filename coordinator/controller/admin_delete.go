package controller

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
)

// DeleteTopic asks the controller to delete a topic. One that is being deleted already is fine; one that does not exist
// is UNKNOWN_TOPIC_OR_PARTITION.
func (a *Admin) DeleteTopic(ctx context.Context, name string) error {
	unknown := refuse(kerr.UnknownTopicOrPartition, "Topic `%s` to delete does not exist", name)
	if checkTopicName(name) != nil {
		return unknown
	}
	if _, there, err := a.o.Store.Exists(ctx, store.TopicPath(name)); err != nil {
		return err
	} else if !there {
		return unknown
	}
	_, err := a.o.Store.Create(ctx, store.DeleteTopicPath(name), nil, store.Persistent)
	if errors.Is(err, store.ErrNodeExists) {
		return nil
	}
	if err == nil {
		a.o.Logger.Info("topic marked for deletion", zap.String("topic", name))
	}
	return err
}

// Deleting says whether a topic is marked for deletion.
func (a *Admin) Deleting(ctx context.Context, name string) (bool, error) {
	if checkTopicName(name) != nil {
		return false, nil
	}
	_, there, err := a.o.Store.Exists(ctx, store.DeleteTopicPath(name))
	return there, err
}

// AwaitDeleted waits until nothing in the store tells of the deletion of a topic any more: a topic of that name may be
// created then. The error is the context's.
func (a *Admin) AwaitDeleted(ctx context.Context, name string) error {
	if checkTopicName(name) != nil {
		return nil
	}
	for {
		_, there, gone, err := a.o.Store.ExistsW(ctx, store.DeleteTopicPath(name))
		if err != nil || !there {
			return err
		}
		select {
		case <-gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

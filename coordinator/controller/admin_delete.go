package controller

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
)

// DeleteTopics asks the controller to delete topics; the errors are in their order. One that is being deleted already is
// fine; one that does not exist is UNKNOWN_TOPIC_OR_PARTITION and does not hinder the others.
func (a *Admin) DeleteTopics(ctx context.Context, names []string) []error {
	errs := make([]error, len(names))
	var marks []store.Op
	var at []int // of each mark, the topic's place
	for i, name := range names {
		if errs[i] = a.checkDeletable(ctx, name); errs[i] == nil {
			marks, at = append(marks, store.Create(store.DeleteTopicPath(name), nil, store.Persistent)), append(at, i)
		}
	}
	for len(marks) > 0 {
		n := min(len(marks), maxMarks)
		if _, err := a.o.Store.Multi(ctx, marks[:n]...); err != nil { // one was marked before: each by itself then
			for i, mark := range marks[:n] {
				if _, err := a.o.Store.Create(ctx, mark.Path, nil, mark.Mode); err != nil && !errors.Is(err, store.ErrNodeExists) {
					errs[at[i]] = err
				}
			}
		}
		marks, at = marks[n:], at[n:]
	}
	for i, name := range names {
		if errs[i] = a.tell("deletion of topic", name, errs[i]); errs[i] == nil {
			a.o.Logger.Info("topic marked for deletion", zap.String("topic", name))
		}
	}
	return errs
}

// maxMarks bounds how many topics are marked in one step.
const maxMarks = maxStepBytes / (len(store.DeleteTopicsPath) + 1 + maxTopicName)

// DeleteTopic is DeleteTopics for one.
func (a *Admin) DeleteTopic(ctx context.Context, name string) error {
	return a.DeleteTopics(ctx, []string{name})[0]
}

func (a *Admin) checkDeletable(ctx context.Context, name string) error {
	unknown := refuse(kerr.UnknownTopicOrPartition, "Topic `%s` to delete does not exist", name)
	if checkTopicName(name) != nil {
		return unknown
	}
	if _, there, err := a.o.Store.Exists(ctx, store.TopicPath(name)); err != nil {
		return err
	} else if !there {
		return unknown
	}
	return nil
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

package controller

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/replication/cluster"
)

// Pusher brings a push to a broker and its answer back. For the broker that the controller runs in it is a call, for
// others a request over the network. Calls for one broker come one after the other. An error in PushResult.Err that
// wraps no Kafka error says that the broker was not reached: the push is repeated until the broker is gone.
type Pusher interface {
	Push(ctx context.Context, broker int32, p cluster.Push) cluster.PushResult
}

// pushBackoff is the pause before a push that did not reach its broker is repeated; it is Kafka's.
const pushBackoff = 100 * time.Millisecond

// sender brings one broker its pushes, in order, one at a time.
type sender struct {
	broker int32
	epoch  int64
	queue  *fifo[cluster.Push]
	stop   context.CancelFunc
}

// answered is the event that a broker has answered a push.
type answered struct {
	broker int32
	epoch  int64 // the broker epoch that the sender was for
	push   cluster.Push
	result cluster.PushResult
}

// openSender starts a sender for a registered broker.
func (t *term) openSender(b *cluster.Broker) {
	ctx, cancel := context.WithCancel(t.ctx)
	s := &sender{broker: b.ID, epoch: b.Epoch, queue: newFIFO[cluster.Push](), stop: cancel}
	t.senders[b.ID] = s
	t.wg.Go(func() {
		defer cancel()
		for {
			push, ok := s.queue.take(ctx)
			if !ok {
				return
			}
			if result, ok := t.deliver(ctx, s.broker, push); ok {
				t.inbox.put(answered{s.broker, s.epoch, push, result})
			}
		}
	})
}

// closeSender stops the sender of a broker that is gone; what it had not delivered is dropped.
func (t *term) closeSender(broker int32) {
	if s := t.senders[broker]; s != nil {
		s.stop()
		delete(t.senders, broker)
	}
}

func (t *term) deliver(ctx context.Context, broker int32, push cluster.Push) (cluster.PushResult, bool) {
	for ctx.Err() == nil {
		result := t.o.Pusher.Push(ctx, broker, push)
		var refusal *kerr.Error
		if result.Err == nil || errors.As(result.Err, &refusal) {
			return result, true
		}
		select {
		case <-t.o.Clock.After(pushBackoff):
		case <-ctx.Done():
		}
	}
	return cluster.PushResult{}, false
}

// post hands pushes to the senders.
func (t *term) post(orders []order) {
	for _, o := range orders {
		if s := t.senders[o.broker]; s != nil {
			s.queue.put(o.push)
		}
	}
}

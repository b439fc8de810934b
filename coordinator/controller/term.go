package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/storage/clock"
)

// errFenced says that another controller has taken over: the check of /controller_epoch failed.
var errFenced = errors.New("another broker has become controller")

// term is one reign of this broker as controller, from an election to the loss of the session, of the epoch check, or of
// trust in what it knows. Everything in it belongs to the goroutine that runs it, but for inbox and the senders' queues.
type term struct {
	o       *Options
	ctx     context.Context
	log     *zap.Logger
	session int64 // that holds /controller
	fence   int32 // version of /controller_epoch, which every write checks
	w       *world

	inbox   *fifo[event]
	watches *watches
	lastID  int64 // of watches on topics
	senders map[int32]*sender
	wg      sync.WaitGroup // of the senders
	timer   clock.Timer    // the next look at the balance of leaders
}

// event is what the loop handles, one at a time. An error ends the term.
type event interface {
	handle(t *term) error
}

// runTerm reigns until something ends it; the error says what.
func (c *Controller) runTerm(ctx context.Context, session int64, epoch, fence int32) error {
	ctx, cancel := context.WithCancel(ctx)
	inbox := newFIFO[event]()
	t := &term{
		o: &c.o, ctx: ctx, session: session, fence: fence, inbox: inbox,
		log:     c.o.Logger.With(zap.Int32("controllerEpoch", epoch)),
		w:       newWorld(c.o.Self, epoch),
		watches: newWatches(ctx, inbox),
		senders: map[int32]*sender{},
	}
	news := t.log
	if c.trouble.tries > 0 && news.Core().Enabled(zap.InfoLevel) {
		t.log = news.WithOptions(zap.IncreaseLevel(zap.WarnLevel)) // the same again at each try
	}
	c.begin(inbox, epoch)
	defer func() {
		c.end()
		cancel()
		if t.timer != nil {
			t.timer.Stop()
		}
		for _, left := range inbox.close() {
			if r, ok := left.(request); ok {
				r.refuse(refuse(kerr.NotController, ""))
			}
		}
		t.wg.Wait()
		t.watches.wait()
	}()
	if err := t.start(); err != nil {
		return err
	}
	c.trouble.info("controller is in charge", zap.Int32("controllerEpoch", epoch), zap.Int("brokers", len(t.w.brokers)), zap.Int("topics", len(t.w.topics)))
	if c.trouble.tries > 0 {
		defer t.o.Clock.AfterFunc(firmAfter, func() { inbox.put(firm{&c.trouble, news}) }).Stop()
	}
	for {
		ev, ok := inbox.take(ctx)
		if !ok {
			return ctx.Err()
		}
		if err := t.handle(ev); err != nil {
			return err
		}
	}
}

func (t *term) handle(ev event) error {
	if f, ok := ev.(fired); ok {
		t.watches.left(f.from)
		ev = f.event
	}
	if err := ev.handle(t); err != nil {
		return fmt.Errorf("%T: %w", ev, err)
	}
	return nil
}

// maxStep bounds how many partitions are changed in one step, so that it fits into what a ZooKeeper server takes as one
// request (1 MiB).
const maxStep = 256

// maxAttempts bounds how often a step is decided anew after it lost against another writer. Nobody else writes these
// nodes often; more conflicts than this mean that the world is wrong in a way that reading it again does not mend.
const maxAttempts = 20

// transact has a step decided, does it, and lets it into the world. A step that others' writes have overtaken is
// decided again on what they left. The draft is the one that was done.
func (t *term) transact(decide func(d *draft)) (*draft, error) {
	for range maxAttempts {
		d := newDraft(t.w)
		decide(d)
		conflict, err := t.write(d.ops)
		if d.unwritten && errors.Is(err, store.ErrDisk) {
			// What is read of these partitions later is behind the world; a write that is decided on the world finds that
			// out, reads them again and is decided anew.
			t.log.Warn("the store cannot be written; the brokers are told all the same", zap.Error(err))
			err = nil
		}
		if err != nil {
			return nil, err
		}
		if conflict != nil {
			t.log.Info("the store has changed meanwhile, deciding again", zap.Error(conflict))
			if err := t.reread(d.causes); err != nil {
				return nil, err
			}
			continue
		}
		orders := d.orders()
		d.done()
		t.post(orders)
		t.report(d)
		return d, nil
	}
	return nil, errors.New("the store keeps changing under a decision")
}

// transactEach is transact for many partitions, some at a time; refused gathers what could not be done.
func (t *term) transactEach(list []tp, decide func(d *draft, some []tp)) (refused map[tp]error, err error) {
	refused = map[tp]error{}
	for some := range slices.Chunk(list, maxStep) {
		d, err := t.transact(func(d *draft) { decide(d, some) })
		if err != nil {
			return refused, err
		}
		for p, why := range d.refused {
			refused[p] = why
		}
	}
	return refused, nil
}

// write does operations as one step together with the check that this is still the controller. A conflict is an
// operation that found another state of its node than it expected.
func (t *term) write(ops []store.Op) (conflict, err error) {
	if len(ops) == 0 {
		return nil, nil
	}
	all := append([]store.Op{store.Check(store.ControllerEpochPath, t.fence)}, ops...)
	results, err := t.o.Store.Multi(t.ctx, all...)
	if err == nil {
		return nil, nil
	}
	if len(results) > 0 && results[0].Err != nil && (errors.Is(results[0].Err, store.ErrBadVersion) || errors.Is(results[0].Err, store.ErrNoNode)) {
		return nil, errFenced
	}
	for _, state := range []error{store.ErrBadVersion, store.ErrNoNode, store.ErrNodeExists, store.ErrNotEmpty} {
		if errors.Is(err, state) {
			return err, nil
		}
	}
	return nil, err
}

// mostRefused is how many of a step's refusals have a line of the log: a failed disk may take the leaders of thousands of partitions.
const mostRefused = 10

func (t *term) report(d *draft) {
	for _, n := range d.logs {
		t.log.Debug(n.text, zap.String("topic", n.p.Topic), zap.Int32("partition", n.p.Partition))
	}
	refused := sortedPartitions(d.refused)
	for i, p := range refused {
		if i == mostRefused {
			t.log.Warn("and so for more partitions", zap.Int("count", len(refused)-i))
			break
		}
		t.log.Warn("state change refused", zap.Error(d.refused[p]))
	}
}

// reread brings what the world knows of partitions up to the store's state.
func (t *term) reread(list []tp) error {
	list = slices.Clone(list)
	slices.SortFunc(list, comparePartitions)
	for _, p := range slices.Compact(list) {
		if t.w.partition(p) == nil {
			continue
		}
		if _, there, err := t.o.Store.Exists(t.ctx, store.TopicPath(p.Topic)); err != nil {
			return err
		} else if !there { // removed by hand: the event of that is on its way
			t.w.forget(p.Topic)
			continue
		}
		if err := t.readState(t.w.partition(p)); err != nil {
			return err
		}
	}
	return nil
}

package controller

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
	"barnabas/storage/clock"
)

// Settings are what the controller takes from the broker's settings; they may change while it runs.
type Settings struct {
	DeleteTopics    bool // delete.topic.enable
	UncleanElection bool // unclean.leader.election.enable, for topics that do not say
	AutoRebalance   bool // auto.leader.rebalance.enable
	// ImbalancePercent is leader.imbalance.per.broker.percentage; RebalanceInterval is
	// leader.imbalance.check.interval.seconds, as a duration.
	ImbalancePercent  int32
	RebalanceInterval time.Duration
}

// DefaultSettings are Kafka's defaults.
func DefaultSettings() Settings {
	return Settings{DeleteTopics: true, AutoRebalance: true, ImbalancePercent: 10, RebalanceInterval: 300 * time.Second}
}

// Options of New. All but Settings and Logger are needed.
type Options struct {
	Store  store.Store
	Self   int32 // this broker's id
	Clock  clock.Clock
	Pusher Pusher
	// Settings gives the settings in effect; nil is DefaultSettings.
	Settings func() Settings
	Logger   *zap.Logger
}

// Controller stands for election as controller and, elected, is it.
type Controller struct {
	o       Options
	trouble trouble // belongs to Run

	mu    sync.Mutex // guards inbox and epoch
	inbox *fifo[event]
	epoch int32 // of the present term; 0 when this broker is not the controller
}

// New is a controller that does nothing until Run.
func New(o Options) *Controller {
	if o.Settings == nil {
		o.Settings = DefaultSettings
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Controller{o: o, trouble: trouble{log: o.Logger}}
}

func (c *Controller) begin(inbox *fifo[event], epoch int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox, c.epoch = inbox, epoch
}

func (c *Controller) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox, c.epoch = nil, 0
}

// Active says whether this broker is the controller now, and under which epoch. It may have lost that already without
// knowing; what it writes is fenced.
func (c *Controller) Active() (epoch int32, active bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch, c.epoch != 0
}

// request is an event that somebody waits for the answer of.
type request interface {
	event
	refuse(err error)
}

// ask hands a request to the loop; NOT_CONTROLLER if there is none.
func (c *Controller) ask(r request) {
	c.mu.Lock()
	inbox := c.inbox
	c.mu.Unlock()
	if inbox == nil || !inbox.put(r) {
		r.refuse(refuse(kerr.NotController, ""))
	}
}

// ElectLeaders holds elections in partitions, or in all that need one if partitions is nil. The error is
// NOT_CONTROLLER, or the context's.
func (c *Controller) ElectLeaders(ctx context.Context, kind ElectionType, partitions []cluster.TopicPartition) (map[cluster.TopicPartition]Election, error) {
	answer := make(chan electionsAnswer, 1)
	c.ask(elections{kind, partitions, answer})
	select {
	case a := <-answer:
		return a.results, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ControlledShutdown moves leadership away from a broker that is about to stop; epoch -1 is unknown. It gives the
// partitions that the broker still leads. Errors: NOT_CONTROLLER, STALE_BROKER_EPOCH, BROKER_NOT_AVAILABLE, or the
// context's.
func (c *Controller) ControlledShutdown(ctx context.Context, broker int32, epoch int64) ([]cluster.TopicPartition, error) {
	answer := make(chan leaveAnswer, 1)
	c.ask(leave{broker, epoch, answer})
	select {
	case a := <-answer:
		return a.remaining, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// UncleanElectionAllowed has partitions without a leader looked at again, after the setting that allows unclean
// elections was switched on for a topic, or for all if topic is "".
func (c *Controller) UncleanElectionAllowed(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inbox != nil {
		c.inbox.put(uncleanAllowed{topic})
	}
}

// LogDirFailed has the controller look which replicas of a broker have lost their log dir. It is for the broker of the
// controller's own process when the store cannot be written, and the note that others would leave there with it; a
// controller that is not active does nothing, and its successor asks everybody anyway.
func (c *Controller) LogDirFailed(broker int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inbox != nil {
		c.inbox.put(logDirFailed{broker})
	}
}

// Run stands for election, and reigns when elected, until the context ends or the store is closed; the error says which.
func (c *Controller) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		session, expired, err := c.o.Store.Session(ctx)
		if err == nil {
			sctx, cancel := context.WithCancel(ctx)
			go func() {
				select {
				case <-expired:
					cancel()
				case <-sctx.Done():
				}
			}()
			err = c.stand(sctx, session)
			cancel()
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrClosed):
			return err
		case errors.Is(err, store.ErrSession), errors.Is(err, context.Canceled):
			c.o.Logger.Info("session with the coordination store is over, standing for election anew")
			continue
		}
		select {
		case <-c.o.Clock.After(c.trouble.failed(err)):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

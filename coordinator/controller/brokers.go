package controller

import (
	"errors"
	"reflect"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
)

// brokersChanged: the list of registered brokers has changed.
type brokersChanged struct{}

// brokerChanged: the registration of one broker, under one broker epoch, has changed.
type brokerChanged struct {
	id    int32
	epoch int64
}

// watchBrokers lists the registered brokers and leaves a watch on the list.
func (t *term) watchBrokers() ([]int32, error) {
	names, _, c, err := t.o.Store.ChildrenW(t.ctx, store.BrokerIDsPath)
	if err != nil {
		return nil, err
	}
	t.watches.add(c, brokersChanged{})
	ids := make([]int32, 0, len(names))
	for _, name := range names {
		id, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			t.log.Warn("registration under a name that is no broker id", zap.String("name", name))
			continue
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

func (brokersChanged) handle(t *term) error {
	ids, err := t.watchBrokers()
	if err != nil {
		return err
	}
	gone := map[int32]bool{}
	for id := range t.w.brokers {
		gone[id] = true
	}
	var arrived, bounced []int32
	for _, id := range ids {
		known := t.w.brokers[id]
		if known != nil {
			stat, there, err := t.o.Store.Exists(t.ctx, store.BrokerPath(id))
			if err != nil {
				return err
			}
			if !there {
				continue // gone since it was listed
			}
			if stat.Czxid == known.Epoch {
				delete(gone, id)
				continue
			}
			bounced = append(bounced, id)
			continue
		}
		arrived = append(arrived, id)
	}
	if err := t.brokersUp(arrived); err != nil {
		return err
	}
	if err := t.brokersDown(bounced); err != nil {
		return err
	}
	if err := t.brokersUp(bounced); err != nil {
		return err
	}
	for _, id := range bounced {
		delete(gone, id)
	}
	return t.brokersDown(sortedKeys(gone))
}

// brokersUp takes newly registered brokers in: they learn everything, the others learn of them, and partitions that
// wait for a leader may find one.
func (t *term) brokersUp(ids []int32) error {
	existing := t.w.brokerIDs()
	var up []int32
	for _, id := range ids {
		b, err := t.readBroker(id, true)
		if err != nil {
			return err
		}
		if b == nil {
			continue // gone already
		}
		t.w.brokers[id] = b
		delete(t.w.failed, id)
		t.openSender(b)
		up = append(up, id)
	}
	if len(up) == 0 {
		return nil
	}
	t.log.Info("brokers have come", zap.Int32s("brokers", up))
	for _, tell := range []func(*draft){
		func(d *draft) { d.tell(existing) },
		func(d *draft) { d.tell(up, d.w.led()...) },
		func(d *draft) {
			for _, id := range up {
				d.replicaUp(id, d.w.hosted(id))
			}
		},
	} {
		if _, err := t.transact(tell); err != nil {
			return err
		}
	}
	if _, err := t.electWaiting(); err != nil {
		return err
	}
	for _, id := range up {
		for _, name := range topicsOf(t.w.hosted(id)) {
			if del := t.w.deletions[name]; del != nil {
				del.halted = false
			}
		}
	}
	return t.resumeDeletions()
}

// brokersDown lets brokers go: what they led gets another leader, and they leave the ISRs.
func (t *term) brokersDown(ids []int32) error {
	if len(ids) == 0 {
		return nil
	}
	t.log.Info("brokers are gone", zap.Int32s("brokers", ids))
	lost := map[int32][]tp{}
	for _, id := range ids {
		delete(t.w.brokers, id)
		delete(t.w.leaving, id)
		delete(t.w.failed, id)
		t.closeSender(id)
		lost[id] = t.w.hosted(id)
	}
	return t.replicasDown(lost)
}

// replicasDown deals with replicas, by broker, that serve no longer: the world says already that they are not online.
func (t *term) replicasDown(lost map[int32][]tp) error {
	if _, err := t.transactEach(t.w.leaderless(), (*draft).takeOffline); err != nil {
		return err
	}
	elected, err := t.electWaiting()
	if err != nil {
		return err
	}
	failing := map[int32][]tp{}
	told := elected > 0
	for _, broker := range sortedKeys(lost) {
		var down []tp
		for _, p := range lost[broker] {
			if t.w.deleting(p.Topic) {
				failing[broker] = append(failing[broker], p)
			} else {
				down = append(down, p)
			}
		}
		told = told || len(down) > 0
		if _, err := t.transactEach(down, func(d *draft, some []tp) {
			d.unwritten = true
			d.replicaDown(broker, some)
		}); err != nil {
			return err
		}
	}
	// Where the store had an ISR that the world did not know of, that came out only now, and the election was held without it.
	if late := t.w.electable(); len(late) > 0 {
		if _, err := t.electAmong(late); err != nil {
			return err
		}
	}
	if err := t.deletionsFailed(failing); err != nil {
		return err
	}
	if told {
		return nil
	}
	// No partition has changed, so nobody has been told yet that brokers are gone.
	return t.tellWhoLives()
}

// electWaiting tries to find a leader for every partition that has none and says how many were found.
func (t *term) electWaiting() (int, error) { return t.electAmong(t.w.waiting()) }

func (t *term) electAmong(list []tp) (int, error) {
	unclean, err := t.uncleanTopics(list)
	if err != nil {
		return 0, err
	}
	refused, err := t.transactEach(list, func(d *draft, some []tp) { d.bringOnline(some, electOffline, unclean) })
	elected := len(list) - len(refused)
	if elected > 0 && err == nil {
		t.log.Info("leaders elected", zap.Int("partitions", elected), zap.Int("left without", len(refused)))
	}
	return elected, err
}

// uncleanTopics looks up, for the topics of partitions that have no live replica in sync, whether another may lead.
func (t *term) uncleanTopics(list []tp) (uncleanly, error) {
	allowed := map[string]bool{}
	for _, p := range list {
		part := t.w.partition(p)
		if _, known := allowed[p.Topic]; known || part == nil || part.leadership == nil {
			continue
		}
		if _, ok := first(part.leadership.ISR, func(b int32) bool { return t.w.online(b, p) }); ok {
			continue
		}
		allow := t.o.Settings().UncleanElection
		data, _, err := t.o.Store.Get(t.ctx, store.ConfigPath(store.ConfigTopics, p.Topic))
		if err != nil && !errors.Is(err, store.ErrNoNode) {
			return nil, err
		}
		config, err := store.DecodeConfig(data)
		if err != nil {
			t.log.Warn("settings of a topic are not readable, no unclean election there", zap.String("topic", p.Topic), zap.Error(err))
			allow = false
		}
		if v, set := config["unclean.leader.election.enable"]; set {
			allow = v == "true"
		}
		allowed[p.Topic] = allow
	}
	return func(topic string) bool { return allowed[topic] }, nil
}

// handle passes on new endpoints of a broker.
func (e brokerChanged) handle(t *term) error {
	known := t.w.brokers[e.id]
	if known == nil || known.Epoch != e.epoch {
		return nil // it is gone or another one; that has an event of its own
	}
	now, err := t.readBroker(e.id, true)
	if err != nil || now == nil || now.Epoch != e.epoch {
		return err
	}
	if reflect.DeepEqual(now.Endpoints, known.Endpoints) {
		return nil
	}
	t.log.Info("broker has other endpoints", zap.Int32("broker", e.id))
	t.w.brokers[e.id] = now
	return t.tellWhoLives()
}

// leave is a broker's wish to shut down in order.
type leave struct {
	broker int32
	epoch  int64 // -1 when the broker does not say
	answer chan<- leaveAnswer
}

type leaveAnswer struct {
	remaining []tp
	err       error
}

func (e leave) refuse(err error) { e.answer <- leaveAnswer{err: err} }

// handle moves leadership away from a broker that wants to go, and takes it out of the ISRs. The answer is what it still
// leads.
func (e leave) handle(t *term) error {
	b := t.w.brokers[e.broker]
	switch {
	case b != nil && e.epoch >= 0 && e.epoch < b.Epoch:
		e.refuse(refuse(kerr.StaleBrokerEpoch, "Received controlled shutdown request from an old broker epoch %d for broker %d. Current broker epoch is %d.", e.epoch, e.broker, b.Epoch))
		return nil
	case b == nil:
		e.refuse(refuse(kerr.BrokerNotAvailable, "Broker id %d does not exist.", e.broker))
		return nil
	}
	t.w.leaving[e.broker] = true
	var leads, follows []tp
	for _, p := range t.w.hosted(e.broker) {
		if part := t.w.partition(p); len(part.assigned) > 1 && part.leadership != nil && !t.w.deleting(p.Topic) {
			if part.leadership.Leader == e.broker {
				leads = append(leads, p)
			} else {
				follows = append(follows, p)
			}
		}
	}
	_, err := t.transactEach(leads, func(d *draft, some []tp) { d.bringOnline(some, electLeaving, never) })
	if err == nil {
		_, err = t.transactEach(follows, func(d *draft, some []tp) { d.replicaDown(e.broker, some) })
	}
	if err != nil {
		e.refuse(refuse(kerr.NotController, ""))
		return err
	}
	e.answer <- leaveAnswer{remaining: t.w.all(func(p *partition) bool { return p.leader() == e.broker })}
	return nil
}

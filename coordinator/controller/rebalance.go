package controller

import (
	"time"

	"go.uber.org/zap"
)

// firstRebalance is how long after the beginning of a term the leaders are looked at for the first time.
const firstRebalance = 5 * time.Second

// rebalanceDue: it is time to see whether leadership has drifted away from the preferred replicas.
type rebalanceDue struct{}

func (t *term) scheduleRebalance(in time.Duration) {
	t.timer = t.o.Clock.AfterFunc(in, func() { t.inbox.put(rebalanceDue{}) })
}

func (rebalanceDue) handle(t *term) error {
	s := t.o.Settings()
	defer t.scheduleRebalance(s.RebalanceInterval)
	if !s.AutoRebalance {
		return nil
	}
	for _, list := range t.w.imbalanced(s.ImbalancePercent) {
		t.log.Info("giving leadership back to preferred replicas", zap.Int("partitions", len(list)))
		if _, err := t.elections(PreferredElection, list, false); err != nil {
			return err
		}
	}
	return nil
}

// imbalanced finds, broker by broker, the partitions that the broker should lead and could but does not, if they are
// more than percent of those that it should lead.
func (w *world) imbalanced(percent int32) [][]tp {
	should := map[int32]int{}
	astray := map[int32][]tp{}
	for _, p := range w.all(func(p *partition) bool { return !w.deleting(p.Topic) }) {
		part := w.partition(p)
		b, ok := part.preferred()
		if !ok {
			continue
		}
		should[b]++
		if part.leadership != nil && part.leader() != b {
			astray[b] = append(astray[b], p)
		}
	}
	var lists [][]tp
	for _, b := range sortedKeys(astray) {
		if len(astray[b])*100 <= int(percent)*should[b] {
			continue
		}
		var list []tp
		for _, p := range astray[b] {
			part := w.partition(p)
			if _, in := first(part.leadership.ISR, func(id int32) bool { return id == b }); in && w.online(b, p) {
				list = append(list, p)
			}
		}
		if len(list) > 0 {
			lists = append(lists, list)
		}
	}
	return lists
}

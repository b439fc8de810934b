package controller

import (
	"errors"
	"maps"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// ElectionType is what ElectLeaders asks for.
type ElectionType int8

const (
	// PreferredElection gives leadership back to the first replica of the assignment, if it is in sync.
	PreferredElection ElectionType = 0
	// UncleanElection gives a partition without a leader one, be it out of sync.
	UncleanElection ElectionType = 1
)

// Election is the outcome for one partition: a new leader, or why not.
type Election struct {
	Leader int32
	Err    error
}

// elections is a client's request for elections; partitions nil is all.
type elections struct {
	kind       ElectionType
	partitions []tp
	answer     chan<- electionsAnswer
}

type electionsAnswer struct {
	results map[tp]Election
	err     error
}

func (e elections) refuse(err error) { e.answer <- electionsAnswer{err: err} }

func (e elections) handle(t *term) error {
	list := e.partitions
	if list == nil {
		list = t.w.all(nil)
	}
	results, err := t.elections(e.kind, list, e.kind == UncleanElection)
	if err != nil {
		e.refuse(refuse(kerr.NotController, ""))
		return err
	}
	if e.partitions == nil { // then only those that took place are told of
		maps.DeleteFunc(results, func(_ tp, r Election) bool { return errors.Is(r.Err, kerr.ElectionNotNeeded) })
	}
	e.answer <- electionsAnswer{results: results}
	return nil
}

// elections holds elections where they are needed.
func (t *term) elections(kind ElectionType, list []tp, unclean bool) (map[tp]Election, error) {
	results := make(map[tp]Election, len(list))
	s, unavailable := electPreferred, kerr.PreferredLeaderNotAvailable
	if kind == UncleanElection {
		s, unavailable = electOffline, kerr.EligibleLeadersNotAvailable
	}
	var electable []tp
	for _, p := range list {
		part := t.w.partition(p)
		switch {
		case part == nil:
			results[p] = Election{cluster.NoLeader, refuse(kerr.UnknownTopicOrPartition, "The partition does not exist.")}
		case t.w.deleting(p.Topic):
			results[p] = Election{cluster.NoLeader, refuse(kerr.InvalidTopicException, "The topic is being deleted")}
		case !t.w.needsElection(part, kind):
			results[p] = Election{cluster.NoLeader, refuse(kerr.ElectionNotNeeded, "Leader election not needed for topic partition.")}
		default:
			electable = append(electable, p)
		}
	}
	refused, err := t.transactEach(electable, func(d *draft, some []tp) {
		d.bringOnline(some, s, func(string) bool { return unclean })
	})
	if err != nil {
		return nil, err
	}
	for _, p := range electable {
		if why := refused[p]; why != nil {
			results[p] = Election{cluster.NoLeader, &Refusal{Kafka: unavailable, Message: why.Error()}}
		} else if part := t.w.partition(p); part != nil {
			results[p] = Election{Leader: part.leader()}
		}
	}
	return results, nil
}

// needsElection says whether an election of a kind would change anything.
func (w *world) needsElection(part *partition, kind ElectionType) bool {
	if kind == PreferredElection {
		preferred, ok := part.preferred()
		return ok && part.leader() != preferred
	}
	return part.leader() == cluster.NoLeader || !w.live(part.leader())
}

// electionsAsked: tools of before Kafka 2.4 ask for preferred leaders by a node. It goes once that is done.
type electionsAsked struct{}

func (electionsAsked) handle(t *term) error {
	for {
		data, _, err := t.o.Store.Get(t.ctx, store.PreferredElectionPath)
		if errors.Is(err, store.ErrNoNode) {
			_, there, c, err := t.o.Store.ExistsW(t.ctx, store.PreferredElectionPath)
			if err != nil {
				return err
			}
			if there { // it came between the two looks; the watch left now is for a node that is about to go
				continue
			}
			t.watches.add(c, electionsAsked{})
			return nil
		}
		if err != nil {
			return err
		}
		asked, err := store.DecodePartitions(data)
		if err != nil {
			t.log.Warn("request for preferred leaders is not readable", zap.Error(err))
		}
		list := make([]tp, len(asked))
		for i, p := range asked {
			list[i] = tp(p)
		}
		t.log.Info("preferred leaders are asked for", zap.Int("partitions", len(list)))
		if _, err := t.elections(PreferredElection, list, false); err != nil {
			return err
		}
		if _, err := t.write([]store.Op{store.Delete(store.PreferredElectionPath, store.AnyVersion)}); err != nil {
			return err
		}
	}
}

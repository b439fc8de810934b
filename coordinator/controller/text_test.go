package controller

import (
	"fmt"
	"strings"

	"barnabas/coordinator/store"
	"barnabas/replication/cluster"
)

// opText prints a store operation for a script.
func opText(op store.Op) string {
	data := string(op.Data)
	if op.Data == nil {
		data = "null"
	}
	switch op.Kind {
	case store.OpCreate:
		return fmt.Sprintf("create %s %s", op.Path, data)
	case store.OpSet:
		return fmt.Sprintf("set %s@%d %s", op.Path, op.Version, data)
	case store.OpDelete:
		return "delete " + op.Path
	}
	return "check " + op.Path
}

// pushText prints a push for a script.
func pushText(p cluster.Push) string {
	parts := []string{fmt.Sprintf("epoch %d", p.ControllerEpoch)}
	if p.Roles != nil {
		parts = append(parts, "roles "+statesText(p.Roles))
	}
	if p.Brokers != nil {
		var ids []int32
		for _, b := range p.Brokers {
			ids = append(ids, b.ID)
		}
		parts = append(parts, fmt.Sprintf("live %v", ids))
	}
	if p.Update != nil {
		parts = append(parts, "update "+statesText(p.Update))
	}
	for _, s := range p.Stop {
		text := fmt.Sprintf("stop %s-%d@%d", s.Topic, s.ID, s.LeaderEpoch)
		if s.Delete {
			text += " and delete"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func statesText(topics []cluster.TopicStates) string {
	var parts []string
	for _, t := range topics {
		for _, s := range t.Partitions {
			text := fmt.Sprintf("%s-%d(leader %d@%d isr %v v%d", t.Topic, s.ID, s.Leader, s.LeaderEpoch, s.ISR, s.PartitionEpoch)
			if len(s.Offline) > 0 {
				text += fmt.Sprintf(" offline %v", s.Offline)
			}
			if s.Recovering {
				text += " recovering"
			}
			if s.IsNew {
				text += " new"
			}
			parts = append(parts, text+")")
		}
	}
	return strings.Join(parts, " ")
}

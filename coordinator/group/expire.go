package group

import (
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
)

// sweepLater sets the timer of the next look for expired offsets (offsets.retention.check.interval.ms). A machine without groups
// needs none.
func (m *machine) sweepLater() {
	if m.sweepTimer != nil || len(m.groups) == 0 || m.o.RetentionCheck <= 0 {
		return
	}
	m.sweepTimer = m.host.After(m.o.RetentionCheck, func() {
		m.sweepTimer = nil
		m.sweep()
		m.sweepLater()
	})
}

// sweep erases offsets that have expired, and empty groups of which nothing is left.
func (m *machine) sweep() {
	began, n := m.host.Now(), 0
	for _, g := range m.byName() {
		gone := g.expired(began.UnixMilli(), m.o.Retention.Milliseconds())
		n += len(gone)
		m.drop(g, gone)
	}
	if n > 0 {
		m.log.Info("group: expired offsets erased", zap.Int("offsets", n), zap.Int32("partition", m.host.Partition()),
			zap.Duration("took", m.host.Now().Sub(began).Round(time.Millisecond)))
	}
}

// expired are the offsets whose time is over (KIP-211). They count from the moment when the group became empty; those of a
// group that only keeps offsets here, and those of topics that a stable consumer group does not read any more, from their
// commit, and so do all of a group of the consumer protocol, but for what it subscribes to. A commit with a retention of its own has
// its time in the record. Open transactions keep theirs.
func (g *group) expired(now, retention int64) []TopicPartition {
	var since func(committed) int64
	ofCommit := func(c committed) int64 { return c.timestamp }
	keep := func(string) bool { return false }
	switch {
	case g.consumer != nil:
		topics := subscribed(g.consumer.members, g.consumer.regexes)
		since, keep = ofCommit, func(topic string) bool { return topics[topic] }
	case g.protocolType == "":
		since = ofCommit
	case g.state == Empty && g.since >= 0:
		since = func(committed) int64 { return g.since }
	case g.state == Empty:
		since = ofCommit
	case g.state == Stable && g.protocolType == consumerType && g.subscribed != nil:
		since, keep = ofCommit, func(topic string) bool { return g.subscribed[topic] }
	default:
		return nil
	}
	var gone []TopicPartition
	for tp, c := range g.offsets {
		over := now-since(c) >= retention
		if c.expires != -1 {
			over = now >= c.expires
		}
		if over && !keep(tp.Topic) && !g.unstable(tp) {
			gone = append(gone, tp)
		}
	}
	return sorted(gone)
}

// topicsGone erases the offsets of deleted partitions.
func (m *machine) topicsGone(gone map[TopicPartition]bool) {
	for tp := range gone {
		delete(m.topics, tp.Topic)
	}
	lost := map[string][]TopicPartition{}
	for id, g := range m.groups {
		tps := withOffset(g.offsets, gone)
		for _, offsets := range g.pendingTxn {
			tps = append(tps, withOffset(offsets, gone)...)
		}
		if len(tps) > 0 {
			lost[id] = sorted(tps)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(lost)) {
		m.drop(m.groups[id], lost[id])
	}
}

// withOffset are the partitions that have an offset and are in a set. It walks the smaller of the two.
func withOffset(offsets map[TopicPartition]committed, set map[TopicPartition]bool) (both []TopicPartition) {
	if len(set) < len(offsets) {
		for tp := range set {
			if _, ok := offsets[tp]; ok {
				both = append(both, tp)
			}
		}
		return both
	}
	for tp := range offsets {
		if set[tp] {
			both = append(both, tp)
		}
	}
	return both
}

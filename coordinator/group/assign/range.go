package assign

import (
	"cmp"
	"slices"
)

// Range gives each subscriber of a topic a run of its partitions, topic by topic; the first subscribers get one more where it
// does not come out even. Static members come first, by their instance ids, then the others by their member ids, so topics with
// the same subscribers and counts are divided alike.
func Range(members []Member, topics Topics) map[string]Set {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int {
		switch {
		case a.Instance != nil && b.Instance != nil:
			return cmp.Or(cmp.Compare(*a.Instance, *b.Instance), cmp.Compare(a.ID, b.ID))
		case a.Instance != nil:
			return -1
		case b.Instance != nil:
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	subscribers := map[TopicID][]string{}
	res := make(map[string]Set, len(members))
	for i, subs := range subscriptions(members, topics) {
		res[members[i].ID] = Set{}
		for _, t := range subs {
			subscribers[t] = append(subscribers[t], members[i].ID)
		}
	}
	for t, ids := range subscribers {
		share, extra := topics[t]/int32(len(ids)), topics[t]%int32(len(ids))
		next := int32(0)
		for _, id := range ids {
			end := next + share
			if extra > 0 {
				end++
				extra--
			}
			for ; next < end; next++ {
				res[id][Partition{t, next}] = struct{}{}
			}
		}
	}
	return res
}

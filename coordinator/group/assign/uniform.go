package assign

import (
	"cmp"
	"maps"
	"slices"
)

// Uniform gives the members as equal numbers of partitions as their subscriptions allow, and moves few of them. Where all
// subscribe to the same topics the numbers differ by one at most.
func Uniform(members []Member, topics Topics) map[string]Set {
	if len(members) == 0 {
		return map[string]Set{}
	}
	members = byID(members)
	subs := subscriptions(members, topics)
	for i := 1; i < len(subs); i++ {
		if !slices.Equal(subs[0], subs[i]) {
			return newBalance(members, subs, topics).assign()
		}
	}
	return evenly(members, subs[0], topics)
}

// evenly divides topics that all members subscribe to. Who has more than its share gives up the partitions that come last in
// order; the odd partitions stay with those who have as many already.
func evenly(members []Member, subscribed []TopicID, topics Topics) map[string]Set {
	total := 0
	for _, t := range subscribed {
		total += int(topics[t])
	}
	share, odd := total/len(members), total%len(members)

	taken := make(map[Partition]bool, total)
	kept := make([][]Partition, len(members))
	for i, m := range members {
		for _, p := range m.Last.Sorted() {
			_, wanted := slices.BinarySearchFunc(subscribed, p.Topic, compareIDs)
			if wanted && p.ID < topics[p.Topic] && !taken[p] {
				taken[p] = true
				kept[i] = append(kept[i], p)
			}
		}
	}
	quota := make([]int, len(members))
	for i := range members {
		if quota[i] = share; odd > 0 && len(kept[i]) > share {
			quota[i]++
			odd--
		}
	}
	for i := range members {
		if odd > 0 && quota[i] == share {
			quota[i]++
			odd--
		}
	}
	res := make(map[string]Set, len(members))
	for i, m := range members {
		set := make(Set, quota[i])
		for n, p := range kept[i] {
			if n < quota[i] {
				set[p] = struct{}{}
			} else {
				delete(taken, p)
			}
		}
		res[m.ID] = set
	}
	i := 0
	for _, t := range subscribed {
		for id := range topics[t] {
			p := Partition{t, id}
			if taken[p] {
				continue
			}
			for len(res[members[i].ID]) >= quota[i] {
				i++
			}
			res[members[i].ID][p] = struct{}{}
		}
	}
	return res
}

// maxRounds bounds how often all topics are gone through for partitions that had better be elsewhere.
const maxRounds = 16

// balance divides topics whose subscribers differ.
type balance struct {
	members     []Member
	topics      Topics
	order       []TopicID         // those first whose subscribers have the least choice
	subscribers map[TopicID][]int // indexes of members
	owner       map[Partition]int
	sizes       []int
}

func newBalance(members []Member, subs [][]TopicID, topics Topics) *balance {
	b := &balance{members: members, topics: topics, subscribers: map[TopicID][]int{}, owner: map[Partition]int{},
		sizes: make([]int, len(members))}
	for i, ids := range subs {
		for _, t := range ids {
			b.subscribers[t] = append(b.subscribers[t], i)
		}
	}
	b.order = slices.Collect(maps.Keys(b.subscribers))
	slices.SortFunc(b.order, func(s, t TopicID) int {
		perS := float64(topics[s]) / float64(len(b.subscribers[s]))
		perT := float64(topics[t]) / float64(len(b.subscribers[t]))
		return cmp.Or(cmp.Compare(perT, perS), cmp.Compare(len(b.subscribers[s]), len(b.subscribers[t])), compareIDs(s, t))
	})
	for i, m := range members {
		for _, p := range m.Last.Sorted() {
			_, wanted := slices.BinarySearchFunc(subs[i], p.Topic, compareIDs)
			if _, taken := b.owner[p]; wanted && !taken && p.ID < topics[p.Topic] {
				b.give(p, i)
			}
		}
	}
	return b
}

func (b *balance) give(p Partition, i int) {
	if was, ok := b.owner[p]; ok {
		b.sizes[was]--
	}
	b.owner[p] = i
	b.sizes[i]++
}

func (b *balance) assign() map[string]Set {
	for _, t := range b.order {
		for id := range b.topics[t] {
			p := Partition{t, id}
			if _, taken := b.owner[p]; !taken {
				b.give(p, b.least(b.subscribers[t]))
			}
		}
	}
	for range maxRounds {
		moved := false
		for _, t := range b.order {
			moved = b.even(t) || moved
		}
		if !moved {
			break
		}
	}
	res := make(map[string]Set, len(b.members))
	for _, m := range b.members {
		res[m.ID] = Set{}
	}
	for p, i := range b.owner {
		res[b.members[i].ID][p] = struct{}{}
	}
	return res
}

// least is who has the fewest partitions; the first of equals.
func (b *balance) least(of []int) int {
	return slices.MinFunc(of, func(i, j int) int { return cmp.Or(cmp.Compare(b.sizes[i], b.sizes[j]), cmp.Compare(i, j)) })
}

// even moves partitions of a topic from those who have most to those who have least, as long as that brings their numbers
// closer together.
func (b *balance) even(t TopicID) (moved bool) {
	has := map[int][]int32{} // partitions of the topic by owner, ascending
	for id := range b.topics[t] {
		i := b.owner[Partition{t, id}]
		has[i] = append(has[i], id)
	}
	for {
		to, from := b.least(b.subscribers[t]), -1
		for i := range b.members {
			if len(has[i]) > 0 && (from < 0 || b.sizes[i] > b.sizes[from]) {
				from = i
			}
		}
		if b.sizes[from]-b.sizes[to] <= 1 {
			return moved
		}
		last := len(has[from]) - 1
		id := has[from][last]
		has[from] = has[from][:last]
		has[to] = append(has[to], id)
		b.give(Partition{t, id}, to)
		moved = true
	}
}

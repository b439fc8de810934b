// Package assign divides the partitions of topics among the members of a consumer group, as the assignors of Apache Kafka's
// group coordinator do: uniform and range.
//
// # Owns
//
// The two assignors. They are pure: the same question has the same answer.
//
// # Must never know
//
// Groups, records, epochs, names of topics.
//
// # Non-obvious
//
//   - Apache Kafka walks hash maps, so which of two equal members gets the odd partition is chance there. Here members are
//     taken in the order of their ids, and the uniform assignor lets those keep the odd partitions who have them.
//   - Partitions beyond a topic's count, and topics that are not in Topics, are no one's, whatever the last assignment says.
package assign

import (
	"bytes"
	"cmp"
	"slices"
)

// TopicID is the UUID of a topic.
type TopicID = [16]byte

// Partition is one partition of a topic.
type Partition struct {
	Topic TopicID
	ID    int32
}

// Compare orders partitions by topic id, then by number.
func (p Partition) Compare(q Partition) int {
	return cmp.Or(bytes.Compare(p.Topic[:], q.Topic[:]), cmp.Compare(p.ID, q.ID))
}

// Set is a set of partitions.
type Set map[Partition]struct{}

// Sorted are the partitions of a set in order.
func (s Set) Sorted() []Partition {
	list := make([]Partition, 0, len(s))
	for p := range s {
		list = append(list, p)
	}
	slices.SortFunc(list, Partition.Compare)
	return list
}

// Member is somebody who gets partitions.
type Member struct {
	ID       string
	Instance *string   // group.instance.id of a static member
	Topics   []TopicID // that it subscribes to; those without a count are passed over
	Last     Set       // what the last assignment gave it
}

// Topics is how many partitions each topic has.
type Topics map[TopicID]int32

// Assignor divides the partitions of the topics that members subscribe to: each goes to one member that subscribes to its
// topic. The result has an entry for every member.
type Assignor func(members []Member, topics Topics) map[string]Set

// ByName gives an assignor by the name that clients use: "uniform" or "range"; nil for another.
func ByName(name string) Assignor {
	switch name {
	case "uniform":
		return Uniform
	case "range":
		return Range
	}
	return nil
}

// subscriptions are the existing topics of each member, in order and without doubles.
func subscriptions(members []Member, topics Topics) [][]TopicID {
	subs := make([][]TopicID, len(members))
	for i, m := range members {
		for _, t := range m.Topics {
			if topics[t] > 0 {
				subs[i] = append(subs[i], t)
			}
		}
		slices.SortFunc(subs[i], compareIDs)
		subs[i] = slices.Compact(subs[i])
	}
	return subs
}

func compareIDs(a, b TopicID) int { return bytes.Compare(a[:], b[:]) }

func byID(members []Member) []Member {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

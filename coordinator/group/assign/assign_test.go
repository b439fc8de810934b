package assign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// question is members by name with the topics that they subscribe to and what they had, as "1:0-2 2:5".
type question struct {
	topics  map[byte]int32
	members map[string][2]string // topics, last assignment
	statics map[string]string    // instance ids
}

func id(t byte) TopicID { return TopicID{15: t} }

func (q question) ask(a Assignor) map[string]string {
	topics := Topics{}
	for t, n := range q.topics {
		topics[id(t)] = n
	}
	var members []Member
	for name, m := range q.members {
		mb := Member{ID: name, Last: Set{}}
		for i := range m[0] {
			mb.Topics = append(mb.Topics, id(m[0][i]-'0'))
		}
		for _, f := range strings.Fields(m[1]) {
			var t byte
			var p int32
			if _, err := fmt.Sscanf(f, "%d/%d", &t, &p); err != nil {
				panic(err)
			}
			mb.Last[Partition{id(t), p}] = struct{}{}
		}
		if instance, ok := q.statics[name]; ok {
			mb.Instance = &instance
		}
		members = append(members, mb)
	}
	res := map[string]string{}
	for name, s := range a(members, topics) {
		var text []string
		for _, p := range s.Sorted() {
			text = append(text, fmt.Sprintf("%d/%d", p.Topic[15], p.ID))
		}
		res[name] = strings.Join(text, " ")
	}
	return res
}

// TestExamples has questions whose answers follow from what the assignors promise.
func TestExamples(t *testing.T) {
	for name, c := range map[string]struct {
		q       question
		range_  map[string]string
		uniform map[string]string
	}{
		"nobody":       {question{topics: map[byte]int32{1: 3}}, map[string]string{}, map[string]string{}},
		"no topics":    {question{members: map[string][2]string{"A": {"", ""}}}, map[string]string{"A": ""}, map[string]string{"A": ""}},
		"no such one":  {question{members: map[string][2]string{"A": {"1", "1/0"}}}, map[string]string{"A": ""}, map[string]string{"A": ""}},
		"the first":    {question{topics: map[byte]int32{1: 3}, members: map[string][2]string{"A": {"1", ""}}}, map[string]string{"A": "1/0 1/1 1/2"}, map[string]string{"A": "1/0 1/1 1/2"}},
		"two topics":   {question{topics: map[byte]int32{1: 3, 3: 2}, members: map[string][2]string{"A": {"13", ""}, "B": {"13", ""}}}, map[string]string{"A": "1/0 1/1 3/0", "B": "1/2 3/1"}, map[string]string{"A": "1/0 1/1 1/2", "B": "3/0 3/1"}},
		"more members": {question{topics: map[byte]int32{3: 2}, members: map[string][2]string{"A": {"3", ""}, "B": {"3", ""}, "C": {"3", ""}}}, map[string]string{"A": "3/0", "B": "3/1", "C": ""}, map[string]string{"A": "3/0", "B": "3/1", "C": ""}},
		"a new member": {question{topics: map[byte]int32{1: 3, 2: 3}, members: map[string][2]string{"A": {"12", "1/0 1/1 2/0"}, "B": {"12", "1/2 2/1 2/2"}, "C": {"12", ""}}},
			map[string]string{"A": "1/0 2/0", "B": "1/1 2/1", "C": "1/2 2/2"}, map[string]string{"A": "1/0 1/1", "B": "1/2 2/1", "C": "2/0 2/2"}},
		"a member gone": {question{topics: map[byte]int32{1: 3, 2: 3}, members: map[string][2]string{"A": {"12", "1/0 2/0"}, "B": {"12", "1/1 2/1"}}},
			map[string]string{"A": "1/0 1/1 2/0 2/1", "B": "1/2 2/2"}, map[string]string{"A": "1/0 1/2 2/0", "B": "1/1 2/1 2/2"}},
		"odd ones stay": {question{topics: map[byte]int32{1: 3}, members: map[string][2]string{"A": {"1", "1/0"}, "B": {"1", "1/1 1/2"}}}, map[string]string{"A": "1/0 1/1", "B": "1/2"}, map[string]string{"A": "1/0", "B": "1/1 1/2"}},
		"a topic gone":  {question{topics: map[byte]int32{2: 3}, members: map[string][2]string{"A": {"12", "1/0 2/0"}, "B": {"12", "1/1 2/1 2/2"}}}, map[string]string{"A": "2/0 2/1", "B": "2/2"}, map[string]string{"A": "2/0", "B": "2/1 2/2"}},
		"no more subscribed": {question{topics: map[byte]int32{1: 3, 2: 3}, members: map[string][2]string{"A": {"2", "1/0 2/0"}, "B": {"2", "1/1 2/1 2/2"}}},
			map[string]string{"A": "2/0 2/1", "B": "2/2"}, map[string]string{"A": "2/0", "B": "2/1 2/2"}},
		"different topics": {question{topics: map[byte]int32{1: 3, 2: 3, 3: 2}, members: map[string][2]string{"A": {"12", ""}, "B": {"3", ""}, "C": {"23", ""}}},
			map[string]string{"A": "1/0 1/1 1/2 2/0 2/1", "B": "3/0", "C": "2/2 3/1"}, map[string]string{"A": "1/0 1/1 1/2", "B": "3/0 3/1", "C": "2/0 2/1 2/2"}},
		"static first": {question{topics: map[byte]int32{1: 3}, members: map[string][2]string{"A": {"1", ""}, "B": {"1", ""}, "C": {"1", ""}}, statics: map[string]string{"C": "x", "B": "y"}},
			map[string]string{"C": "1/0", "B": "1/1", "A": "1/2"}, map[string]string{"A": "1/0", "B": "1/1", "C": "1/2"}},
		"one claimed twice": {question{topics: map[byte]int32{1: 2}, members: map[string][2]string{"A": {"1", "1/0"}, "B": {"1", "1/0"}}}, map[string]string{"A": "1/0", "B": "1/1"}, map[string]string{"A": "1/0", "B": "1/1"}},
		"beyond the end":    {question{topics: map[byte]int32{1: 2}, members: map[string][2]string{"A": {"1", "1/7"}, "B": {"1", "1/0"}}}, map[string]string{"A": "1/0", "B": "1/1"}, map[string]string{"A": "1/1", "B": "1/0"}},
	} {
		if got := c.q.ask(Range); !maps.Equal(got, c.range_) {
			t.Errorf("%s: range gives %v, want %v", name, got, c.range_)
		}
		if got := c.q.ask(Uniform); !maps.Equal(got, c.uniform) {
			t.Errorf("%s: uniform gives %v, want %v", name, got, c.uniform)
		}
	}
	if ByName("sticky") != nil || ByName("uniform") == nil || ByName("range") == nil {
		t.Error("names")
	}
}

// TestAssignorsKeepTheirPromises asks random groups again and again, each time with the last answer: every partition that somebody
// subscribes to has one owner, who subscribes to it; the shares are as equal as they can be; and what need not move stays.
func TestAssignorsKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		topics := Topics{}
		for i := range rapid.IntRange(0, 5).Draw(rt, "topics") {
			topics[id(byte(i))] = int32(rapid.IntRange(1, 9).Draw(rt, "partitions"))
		}
		subscription := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) TopicID { return id(byte(rapid.IntRange(0, 6).Draw(rt, "topic"))) }), 0, 6)
		common := subscription.Draw(rt, "common")
		alike := rapid.Bool().Draw(rt, "alike")
		var members []Member
		enter := func(name string) {
			m := Member{ID: name, Topics: common}
			if !alike {
				m.Topics = subscription.Draw(rt, "subscription")
			}
			if rapid.Bool().Draw(rt, "static") {
				m.Instance = &name
			}
			members = append(members, m)
		}
		for i := range rapid.IntRange(1, 6).Draw(rt, "members") {
			enter(fmt.Sprintf("m%d", i))
		}
		assignor, name := Uniform, "uniform"
		if rapid.Bool().Draw(rt, "range") {
			assignor, name = Range, "range"
		}
		for round := range 4 {
			if round > 0 {
				switch rapid.SampledFrom([]string{"nothing", "join", "leave", "grow"}).Draw(rt, "change") {
				case "join":
					enter(fmt.Sprintf("n%d", round))
				case "leave":
					if len(members) > 1 {
						i := rapid.IntRange(0, len(members)-1).Draw(rt, "who")
						members = slices.Delete(members, i, i+1)
					}
				case "grow":
					for _, t := range slices.SortedFunc(maps.Keys(topics), compareIDs) {
						topics[t] += int32(rapid.IntRange(0, 2).Draw(rt, "more"))
					}
				}
			}
			res := assignor(members, topics)
			checkComplete(rt, members, topics, res)
			if name == "uniform" {
				checkBalance(rt, members, res)
			}
			for i := range members {
				members[i].Last = res[members[i].ID]
			}
			again := assignor(members, topics)
			for _, m := range members {
				if !maps.Equal(again[m.ID], res[m.ID]) {
					rt.Fatalf("%s: asked again, %s has %v and not %v", name, m.ID, again[m.ID].Sorted(), res[m.ID].Sorted())
				}
			}
		}
	})
}

func checkComplete(rt *rapid.T, members []Member, topics Topics, res map[string]Set) {
	if len(res) != len(members) {
		rt.Fatalf("%d members of %d", len(res), len(members))
	}
	owner := map[Partition]string{}
	wanted := map[TopicID]bool{}
	for _, m := range members {
		for _, t := range m.Topics {
			wanted[t] = true
		}
		for p := range res[m.ID] {
			if o, twice := owner[p]; twice {
				rt.Fatalf("%v belongs to %s and %s", p, o, m.ID)
			}
			owner[p] = m.ID
			if !slices.Contains(m.Topics, p.Topic) || p.ID >= topics[p.Topic] {
				rt.Fatalf("%s must not have %v", m.ID, p)
			}
		}
	}
	n := 0
	for t := range wanted {
		n += int(topics[t])
	}
	if len(owner) != n {
		rt.Fatalf("%d partitions have an owner, not %d", len(owner), n)
	}
}

// checkBalance looks for a partition that had better belong to somebody who subscribes to its topic and has two fewer.
func checkBalance(rt *rapid.T, members []Member, res map[string]Set) {
	for _, m := range members {
		for p := range res[m.ID] {
			for _, o := range members {
				if slices.Contains(o.Topics, p.Topic) && len(res[m.ID])-len(res[o.ID]) > 1 {
					rt.Fatalf("%s has %d and %s %d, though it could have %v", m.ID, len(res[m.ID]), o.ID, len(res[o.ID]), p)
				}
			}
		}
	}
}

// TestUniformMovesFew: where all subscribe to the same, a member that joins or leaves moves no more than its share.
func TestUniformMovesFew(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		topics := Topics{id(1): int32(rapid.IntRange(1, 30).Draw(rt, "a")), id(2): int32(rapid.IntRange(1, 30).Draw(rt, "b"))}
		total := int(topics[id(1)] + topics[id(2)])
		n := rapid.IntRange(1, 8).Draw(rt, "members")
		var members []Member
		for i := range n {
			members = append(members, Member{ID: fmt.Sprint(i), Topics: []TopicID{id(1), id(2)}})
		}
		res := Uniform(members, topics)
		for i := range members {
			members[i].Last = res[members[i].ID]
		}
		members = append(members, Member{ID: rapid.SampledFrom([]string{"00", "zz"}).Draw(rt, "new"), Topics: []TopicID{id(1), id(2)}})
		moved := 0
		for who, s := range Uniform(members, topics) {
			for p := range s {
				if _, had := res[who][p]; !had {
					moved++
				}
			}
		}
		if most := (total + n) / (n + 1); moved > most {
			rt.Fatalf("%d of %d moved for member %d", moved, total, n+1)
		}
	})
}

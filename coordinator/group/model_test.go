package group

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"barnabas/coordinator/runtime"
)

// TestRandomSchedules lets a few clients do what they like in whatever order, while the clock moves, appends fail and brokers
// take over, and holds the answers against what the protocol promises:
//
//   - within a generation there is one leader, one protocol, and one assignment for each member;
//   - an offset that was acknowledged is there from then on, or a later one;
//   - what is loaded from the log is what was in memory;
//   - when the trouble ends, clients that behave find together.
func TestRandomSchedules(t *testing.T) {
	step := rapid.Custom(func(rt *rapid.T) action {
		return action{
			who:  rapid.IntRange(0, 3).Draw(rt, "who"),
			what: rapid.SampledFrom([]string{"join", "join", "join", "sync", "sync", "heartbeat", "commit", "commit", "commit", "leave", "forget", "wait", "tick", "long", "replay", "fail", "mend", "hold", "release"}).Draw(rt, "what"),
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		schedule := rapid.SliceOfN(step, 20, 150).Draw(rt, "schedule")
		var problem error
		synctest.Test(t, func(*testing.T) { problem = newWorld().run(schedule) })
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

// world is the clients' side: what they were told.
type world struct {
	*trial
	clients []*client
	gens    map[int32]*generation
	plans   map[int32]map[string]bool // by generation, the ids that a leader has assigned something to
	commits int64
	acked   map[TopicPartition]int64 // the highest that was acknowledged
}

type client struct {
	name     string
	instance *string // every other client is static
	member   string
	gen      int32
	leads    bool
	others   []string
	state    string // out, joining, joined, syncing, stable
}

// generation is what answers have said about one.
type generation struct {
	leader, protocol string
	assigned         map[string]string
}

func newWorld() *world {
	o := Defaults()
	o.InitialDelay = 500
	w := &world{trial: &trial{stage: newStage(o)}, gens: map[int32]*generation{}, plans: map[int32]map[string]bool{}, acked: map[TopicPartition]int64{}}
	for i := range 4 {
		c := &client{name: fmt.Sprintf("c%d", i), gen: -1, state: "out"}
		if i%2 == 1 {
			c.instance = &c.name
		}
		w.clients = append(w.clients, c)
	}
	return w
}

func (w *world) run(schedule []action) error {
	defer func() { w.c.Close() }()
	for _, a := range schedule {
		w.act(w.clients[a.who], a.what)
		w.hear()
		if w.problem != nil {
			return w.problem
		}
	}
	w.allWell()
	w.hear()
	if err := w.comparesWithLog(); err != nil {
		return err
	}
	return w.settle()
}

func (w *world) act(c *client, what string) {
	if w.trouble(what) {
		return
	}
	switch what {
	case "join":
		w.join(c)
	case "sync":
		w.sync(c)
	case "heartbeat":
		w.heartbeat(c)
	case "commit":
		w.commit(c)
	case "leave":
		w.c.Leave("g", []Leaving{{Member: c.member, Instance: c.instance}})
		c.member, c.state = "", "out"
	case "forget": // the client restarts
		c.member, c.state = "", "out"
	case "wait":
		w.hear()
	case "tick":
		w.advance(time.Second)
	case "long":
		w.advance(7 * time.Second)
	case "replay":
		w.allWell()
		w.hear()
		if err := w.comparesWithLog(); err != nil {
			w.fail("%v", err)
		}
		w.replay()
	}
}

func pending[R any](w *world, p *runtime.Promise[R], done func(R, error)) {
	w.polls = append(w.polls, func() bool {
		select {
		case <-p.Done():
			done(p.Await(context.Background()))
			return true
		default:
			return false
		}
	})
}

func (w *world) join(c *client) {
	r := JoinRequest{Group: "g", Member: c.member, Instance: c.instance, Client: Client{ID: c.name}, SessionTimeout: 6000,
		RebalanceTimeout: 4000, ProtocolType: "consumer", Protocols: []Protocol{{"range", subscriptionTo("t")}}, CanSkip: true}
	asked := c.member
	c.state = "joining"
	pending(w, w.c.Join(r), func(r JoinResult, err error) {
		if err != nil || r.Err != nil {
			if c.state == "joining" {
				c.state = "out"
			}
			if r.Err == kerr.UnknownMemberID || r.Err == kerr.FencedInstanceID {
				c.member = ""
			}
			return
		}
		if asked != c.member {
			return // answered to an earlier life of this client
		}
		c.member, c.gen, c.state, c.leads, c.others = r.Member, r.Generation, "joined", r.Leader == r.Member && !r.SkipAssignment, nil
		for _, m := range r.Members {
			c.others = append(c.others, m.ID)
		}
		if len(r.Members) > 0 != (r.Leader == r.Member) && r.Leader == r.Member && len(c.others) > 0 {
			w.fail("members given to %s, but %s leads", r.Member, r.Leader)
		}
	})
}

func (w *world) sync(c *client) {
	if c.member == "" || c.gen < 0 {
		return
	}
	r := SyncRequest{Group: "g", Member: c.member, Instance: c.instance, Generation: c.gen, Assignments: map[string][]byte{}}
	if c.leads {
		w.commits++
		if w.plans[c.gen] == nil {
			w.plans[c.gen] = map[string]bool{}
		}
		for _, id := range c.others {
			r.Assignments[id] = fmt.Appendf(nil, "%d:%s:%d", c.gen, id, w.commits)
			w.plans[c.gen][id] = true
		}
	}
	member, gen := c.member, c.gen
	pending(w, w.c.Sync(r), func(r SyncResult, err error) {
		if err != nil || r.Err != nil {
			if c.state == "syncing" || c.state == "joined" {
				c.state = "out"
			}
			return
		}
		g := w.gens[gen]
		if g == nil {
			g = &generation{protocol: *r.Protocol, assigned: map[string]string{}}
			w.gens[gen] = g
		}
		if g.protocol != *r.Protocol {
			w.fail("generation %d: protocols %s and %s", gen, g.protocol, *r.Protocol)
		}
		if was, ok := g.assigned[member]; ok && was != string(r.Assignment) {
			w.fail("generation %d: %s was assigned %q and %q", gen, member, was, r.Assignment)
		}
		if !strings.HasPrefix(string(r.Assignment), fmt.Sprintf("%d:", gen)) && len(r.Assignment) > 0 {
			w.fail("generation %d: %s was assigned %q", gen, member, r.Assignment)
		}
		if w.plans[gen][member] && len(r.Assignment) == 0 {
			w.fail("generation %d: %s did not get what the leader gave it", gen, member)
		}
		g.assigned[member] = string(r.Assignment)
		if c.member == member && c.gen == gen {
			c.state = "stable"
		}
	})
}

func (w *world) heartbeat(c *client) {
	member := c.member
	pending(w, w.c.Heartbeat(HeartbeatRequest{Group: "g", Member: c.member, Instance: c.instance, Generation: c.gen}),
		func(e *kerr.Error, err error) {
			if member != c.member || err != nil || e == nil {
				return
			}
			if c.state != "joining" {
				c.state = "out"
			}
			if e == kerr.UnknownMemberID || e == kerr.FencedInstanceID {
				c.member = ""
			}
		})
}

func (w *world) commit(c *client) {
	w.commits++
	tp := TopicPartition{"t", 0}
	r := CommitRequest{Group: "g", Member: c.member, Instance: c.instance, Generation: c.gen, Retention: -1,
		Topics: []CommitTopic{{tp.Topic, []CommitPartition{{Partition: tp.Partition, Offset: w.commits, LeaderEpoch: -1, Timestamp: -1}}}}}
	if w.commits%2 == 0 { // of somebody without membership, into another group
		r.Group, r.Member, r.Instance, r.Generation = "simple", "", nil, -1
		tp.Topic = "simple"
	}
	at := w.commits
	pending(w, w.c.Commit(r), func(res CommitResult, err error) {
		if err == nil && res[0][0] == nil {
			w.acked[tp] = max(w.acked[tp], at)
		}
	})
}

// comparesWithLog loads the log into another coordinator and compares: offsets always, groups while they are in a state that is
// recorded.
func (w *world) comparesWithLog() error {
	for tp, want := range w.acked {
		group := "g"
		if tp.Topic == "simple" {
			group = "simple"
		}
		p := w.c.Fetch(group, []TopicPartition{{"t", tp.Partition}}, false, math.MaxInt)
		synctest.Wait()
		offsets, err := p.Await(context.Background())
		if err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		if offsets[0].Offset < want {
			return fmt.Errorf("%v: %d was acknowledged, now it is %d", tp, want, offsets[0].Offset)
		}
	}
	other := newStage(w.o)
	other.c.Close()
	other.log = w.log.Clone()
	other.start()
	defer other.c.Close()
	synctest.Wait()
	mine, err := snapshot(w.c)
	if err != nil {
		return err
	}
	loaded, err := snapshot(other.c)
	if err != nil {
		return err
	}
	for id, g := range mine {
		if g.moving {
			g.text = loaded[id].text
		}
		if g.offsets != loaded[id].offsets || g.text != loaded[id].text {
			return fmt.Errorf("group %s is\n%s %s\nand loaded\n%s %s", id, g.text, g.offsets, loaded[id].text, loaded[id].offsets)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(loaded)) {
		if _, ok := mine[id]; !ok {
			return fmt.Errorf("group %s is only in the log", id)
		}
	}
	return nil
}

type shot struct {
	text, offsets string
	moving        bool // between two generations
}

func snapshot(c *Coordinator) (map[string]shot, error) {
	p := runtime.Read(c.rt, 0, func(m *machine, p *runtime.Promise[map[string]shot]) {
		all := map[string]shot{}
		for _, g := range m.byName() {
			s := shot{moving: g.state == PreparingRebalance || g.state == CompletingRebalance}
			if !g.recorded && len(g.offsets) == 0 {
				continue // known to nobody but this machine
			}
			s.text = fmt.Sprint(g.state, g.generation, g.protocolType, deref(g.protocol), g.leader)
			for _, mb := range g.members {
				s.text += fmt.Sprintf(" %s/%s/%d/%d/%s", mb.id, deref(mb.instance), mb.sessionTimeout, mb.rebalanceTimeout, mb.assignment)
			}
			for _, tp := range g.allOffsets() {
				s.offsets += fmt.Sprintf(" %v=%d@%d", tp, g.offsets[tp].offset, g.offsets[tp].at)
			}
			all[g.id] = s
		}
		p.Resolve(all)
	})
	synctest.Wait()
	return p.Await(context.Background())
}

// settle lets all clients behave until they are together in one generation.
func (w *world) settle() error {
	for range 60 {
		gen, stable := int32(-1), 0
		for _, c := range w.clients {
			w.heartbeat(c)
			w.hear()
			switch c.state {
			case "out":
				w.join(c)
			case "joined":
				w.sync(c)
			case "stable":
				if c.gen >= gen {
					if c.gen > gen {
						gen, stable = c.gen, 0
					}
					stable++
				}
			}
			w.hear()
		}
		if w.problem != nil {
			return w.problem
		}
		if stable == len(w.clients) {
			return nil
		}
		w.advance(700 * time.Millisecond)
		w.hear()
	}
	var states []string
	for _, c := range w.clients {
		states = append(states, fmt.Sprintf("%s %s gen %d %s", c.name, c.member, c.gen, c.state))
	}
	return fmt.Errorf("the clients did not find together: %s", strings.Join(states, ", "))
}

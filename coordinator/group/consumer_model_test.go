package group

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime"
	"barnabas/replication/cluster"
)

// TestRandomSchedulesOfBothProtocols lets clients of the consumer protocol and of the classic one do what they like in one group,
// while they crash and come back with the other protocol, topics come and go, the clock moves, appends fail and brokers take over. It
// holds what happens against the rules:
//
//   - two clients whose time is not over never have the same partition;
//   - the epoch of a member never falls;
//   - an offset that was acknowledged is there from then on, or a later one;
//   - a target gives every partition to one member that subscribes to its topic, a member is at no later epoch than the target, nor
//     that than the group, and who is through with the target has what it gives;
//   - what is loaded from the log is what was in memory;
//   - when the trouble ends, clients that behave share all partitions evenly.
func TestRandomSchedulesOfBothProtocols(t *testing.T) {
	step := rapid.Custom(func(rt *rapid.T) action {
		return action{
			who: rapid.IntRange(0, 4).Draw(rt, "who"),
			what: rapid.SampledFrom([]string{"go", "go", "go", "go", "go", "go", "beat", "beat", "revoke", "commit", "commit", "leave", "leave-a-while",
				"crash", "switch", "tick", "tick", "long", "replay", "fail", "mend", "hold", "release", "grow", "topic", "topic-gone"}).Draw(rt, "what"),
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		schedule := rapid.SliceOfN(step, 20, 200).Draw(rt, "schedule")
		policy := Migration(rapid.IntRange(int(MigrationDisabled), int(MigrationBidirectional)).Draw(rt, "policy"))
		var problem error
		synctest.Test(t, func(*testing.T) { problem = newRealm(policy).run(schedule) })
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

const (
	realmSession    = 10 * time.Second // of the classic clients
	realmRevocation = 20 * time.Second // rebalance timeout of the others, shorter than their session
)

// realm is the clients' side.
type realm struct {
	*trial
	clients []*subscriber
	commits int64
	acked   map[TopicPartition]int64
	epochs  map[string]int32 // the highest that a member id was told
	names   int              // member ids that clients have made up
}

// subscriber is one client. It has one request under way at most.
type subscriber struct {
	name     string
	instance *string
	consumer bool // uses the consumer protocol
	busy     bool
	life     int // counts its restarts: what is answered to an earlier life is ignored

	member  string
	epoch   int32 // 0: has to join
	synced  bool  // classic: has its assignment
	leads   bool
	others  []string
	owned   map[TopicPartition]bool
	told    map[TopicPartition]bool // what it is to have, of the last answer
	heard   time.Time               // when the last request was sent that was answered well
	pending time.Time               // when it was first asked to give up what it still has
	// unsure says that an answer was lost: it says all again, and so hears all again. The time to give up something may run since lost.
	unsure bool
	lost   time.Time
}

func newRealm(policy Migration) *realm {
	o := Defaults()
	o.InitialDelay, o.Consumer.Migration = 0, policy
	w := &realm{trial: &trial{stage: newStage(o)}, acked: map[TopicPartition]int64{}, epochs: map[string]int32{}}
	w.image = pictured(topicOf("a", cluster.TopicID{15: 1}, 3), topicOf("b", cluster.TopicID{15: 2}, 2))
	w.topics = 2
	for i := range 5 {
		c := &subscriber{name: fmt.Sprintf("c%d", i), consumer: i < 3}
		c.reset()
		if i%2 == 1 {
			c.instance = &c.name
		}
		w.clients = append(w.clients, c)
	}
	return w
}

func (c *subscriber) reset() {
	c.epoch, c.synced, c.leads, c.others, c.unsure = 0, false, false, nil, false
	c.owned, c.told, c.pending = map[TopicPartition]bool{}, map[TopicPartition]bool{}, time.Time{}
}

// restart is the end of the process and the beginning of the next.
func (c *subscriber) restart() {
	c.life++
	c.busy, c.member = false, ""
	c.reset()
}

// alive says that the client may count on what it has: nobody can have taken it away without its knowledge.
func (c *subscriber) alive(now time.Time) bool {
	if !c.consumer {
		return now.Sub(c.heard) < realmSession
	}
	return now.Sub(c.heard) < realmRevocation && (c.pending.IsZero() || now.Sub(c.pending) < realmRevocation)
}

func (w *realm) run(schedule []action) error {
	defer func() { w.c.Close() }()
	for _, a := range schedule {
		w.act(w.clients[a.who], a.what)
		w.look()
		if w.problem == nil {
			w.inspect()
		}
		if w.problem != nil {
			return fmt.Errorf("after %v: %w", a, w.problem)
		}
	}
	w.mend()
	if w.comparesWithLog(); w.problem != nil {
		return w.problem
	}
	return w.settle()
}

func (w *realm) mend() {
	w.allWell()
	w.look()
}

func (w *realm) look() {
	w.hear()
	owner := map[TopicPartition]string{}
	for _, c := range w.clients {
		if !c.alive(w.clk.Now()) {
			continue
		}
		for tp := range c.owned {
			if other, twice := owner[tp]; twice {
				w.fail("%v belongs to %s and %s", tp, other, c.name)
			}
			owner[tp] = c.name
		}
	}
}

// sent notes a request of a client; done is called if it still is the same life.
func sent[R any](w *realm, c *subscriber, p *runtime.Promise[R], done func(at time.Time, r R, err error)) {
	c.busy = true
	life, at := c.life, w.clk.Now()
	w.polls = append(w.polls, func() bool {
		select {
		case <-p.Done():
		default:
			return false
		}
		if r, err := p.Await(context.Background()); c.life == life {
			c.busy = false
			done(at, r, err)
		}
		return true
	})
}

func (w *realm) act(c *subscriber, what string) {
	if w.trouble(what) {
		return
	}
	switch what {
	case "tick":
		w.advance(time.Second)
	case "long":
		w.advance(9 * time.Second)
	case "replay":
		if w.mend(); w.problem == nil {
			w.comparesWithLog()
		}
		w.replay()
	case "grow":
		t := w.image.Topics["a"]
		w.image = w.image.Clone()
		w.image.Put(topicOf("a", t.ID, min(len(t.Partitions)+1, 7)))
	case "topic":
		if w.image.Topics["b"] == nil {
			w.topics++
			w.image = w.image.Clone()
			w.image.Put(topicOf("b", cluster.TopicID{15: w.topics}, 2))
		}
	case "topic-gone":
		w.image = w.image.Clone()
		w.image.Remove("b")
		for _, c := range w.clients { // its consumers find out
			maps.DeleteFunc(c.owned, func(tp TopicPartition, _ bool) bool { return tp.Topic == "b" })
			maps.DeleteFunc(c.told, func(tp TopicPartition, _ bool) bool { return tp.Topic == "b" })
		}
		delete(w.acked, TopicPartition{"b", 0})
	case "crash":
		c.restart()
	case "switch":
		c.restart()
		c.consumer = !c.consumer
	default:
		if !c.busy {
			w.request(c, what)
		}
	}
}

func (w *realm) request(c *subscriber, what string) {
	switch {
	case what == "commit":
		w.commit(c)
	case what == "leave" && c.epoch != 0:
		w.leave(c, leavingEpoch)
	case what == "leave-a-while" && c.epoch != 0 && c.consumer && c.instance != nil:
		w.leave(c, leavingForAWhile)
	case what == "revoke":
		maps.DeleteFunc(c.owned, func(tp TopicPartition, _ bool) bool { return !c.told[tp] })
	case what == "beat" && c.epoch != 0, what == "go":
		w.forward(c, what == "go")
	}
}

// forward does what the client would do next.
func (w *realm) forward(c *subscriber, behaves bool) {
	switch {
	case c.consumer:
		if behaves {
			w.request(c, "revoke")
		}
		w.heartbeat(c)
	case c.epoch == 0:
		w.join(c)
	case !c.synced:
		w.sync(c)
	default:
		w.classicBeat(c)
	}
}

func (w *realm) heartbeat(c *subscriber) {
	r := ConsumerHeartbeatRequest{Group: "g", Member: c.member, Epoch: c.epoch, Instance: c.instance, RebalanceTimeout: -1, Client: Client{ID: c.name}}
	gaveUp := true
	if c.epoch == 0 || c.unsure {
		r.RebalanceTimeout, r.Topics, r.Regex = int32(realmRevocation.Milliseconds()), []string{"a"}, ptr("b.*")
	}
	if c.epoch == 0 {
		if c.member == "" {
			w.names++
			c.member = fmt.Sprintf("%s-n%d", c.name, w.names)
		}
		r.Member, r.Owned = c.member, []assign.Partition{}
	} else {
		r.Owned = []assign.Partition{}
		for tp := range c.owned {
			r.Owned = append(r.Owned, assign.Partition{Topic: w.image.Topics[tp.Topic].ID, ID: tp.Partition})
			gaveUp = gaveUp && c.told[tp]
		}
	}
	sent(w, c, w.c.ConsumerHeartbeat(r), func(at time.Time, res ConsumerHeartbeatResult, err error) {
		since := at
		if c.unsure {
			since = c.lost
		}
		switch c.unsure, c.lost = err != nil, since; {
		case err != nil:
			return
		case res.Err == kerr.UnreleasedInstanceID, res.Err == kerr.GroupIDNotFound && r.Epoch == 0:
			return // tries again later
		case res.Err != nil:
			c.reset()
			return
		}
		if r.Epoch == 0 {
			delete(w.epochs, res.Member) // the group may be another one of the same name
		}
		if res.Epoch < w.epochs[res.Member] {
			w.fail("%s goes from epoch %d to %d", res.Member, w.epochs[res.Member], res.Epoch)
		}
		w.epochs[res.Member] = res.Epoch
		c.epoch, c.heard = res.Epoch, at
		if res.HasAssigned {
			c.told = map[TopicPartition]bool{}
			for _, ps := range res.Assigned {
				t := w.image.ByID[ps[0].Topic]
				for _, p := range ps {
					if t != nil {
						c.told[TopicPartition{t.Name, p.ID}] = true
					}
				}
			}
		}
		if r.Epoch == 0 {
			c.owned = map[TopicPartition]bool{}
		}
		maps.Copy(c.owned, c.told)
		mustGiveUp := len(c.owned) > len(c.told)
		switch {
		case mustGiveUp && c.pending.IsZero():
			c.pending = since
		case !mustGiveUp && gaveUp:
			c.pending = time.Time{}
		}
	})
}

func (w *realm) join(c *subscriber) {
	c.owned = map[TopicPartition]bool{} // it is an eager one
	r := JoinRequest{Group: "g", Member: c.member, Instance: c.instance, Client: Client{ID: c.name}, SessionTimeout: int32(realmSession.Milliseconds()),
		RebalanceTimeout: 60000, ProtocolType: consumerType, Protocols: []Protocol{{"range", subscriptionWith([]string{"a", "b"}, nil)}}, CanSkip: true}
	sent(w, c, w.c.Join(r), func(at time.Time, res JoinResult, err error) {
		switch {
		case err != nil:
			return
		case res.Err == kerr.RebalanceInProgress, res.Err == kerr.InconsistentGroupProtocol:
			return
		case res.Err != nil:
			c.member = ""
			return
		}
		c.member, c.epoch, c.synced, c.heard = res.Member, res.Generation, false, at
		c.leads, c.others = res.Leader == res.Member && !res.SkipAssignment, nil
		for _, m := range res.Members {
			c.others = append(c.others, m.ID)
		}
	})
}

// partitions are all of the topics that there are.
func (w *realm) partitions() (all []TopicPartition) {
	for _, name := range w.image.TopicNames() {
		for id := range w.image.Topics[name].Partitions {
			all = append(all, TopicPartition{name, int32(id)})
		}
	}
	return all
}

func (w *realm) sync(c *subscriber) {
	r := SyncRequest{Group: "g", Member: c.member, Instance: c.instance, Generation: c.epoch, Assignments: map[string][]byte{}}
	if c.leads && len(c.others) > 0 {
		shares := map[string][]assign.Partition{}
		for i, tp := range w.partitions() {
			who := c.others[i%len(c.others)]
			shares[who] = append(shares[who], assign.Partition{Topic: w.image.Topics[tp.Topic].ID, ID: tp.Partition})
		}
		for _, who := range c.others {
			slices.SortFunc(shares[who], assign.Partition.Compare)
			r.Assignments[who] = assignmentBytes(w.image, shares[who], []byte{0, 1})
		}
	}
	sent(w, c, w.c.Sync(r), func(at time.Time, res SyncResult, err error) {
		if err != nil || res.Err != nil {
			w.refused(c, res.Err, err)
			return
		}
		set, _, ok := readAssignment(w.image, res.Assignment)
		if !ok {
			w.fail("an assignment of %x", res.Assignment)
		}
		c.synced, c.heard, c.owned = true, at, map[TopicPartition]bool{}
		for p := range set {
			c.owned[TopicPartition{w.image.ByID[p.Topic].Name, p.ID}] = true
		}
	})
}

// refused is what a classic client makes of an error.
func (w *realm) refused(c *subscriber, e *kerr.Error, err error) {
	switch {
	case err == kerr.RebalanceInProgress, e == kerr.RebalanceInProgress, e == kerr.IllegalGeneration:
		c.reset()
	case err == nil:
		c.member = ""
		c.reset()
	}
}

func (w *realm) classicBeat(c *subscriber) {
	sent(w, c, w.c.Heartbeat(HeartbeatRequest{Group: "g", Member: c.member, Instance: c.instance, Generation: c.epoch}), func(at time.Time, e *kerr.Error, err error) {
		if err != nil || e != nil {
			w.refused(c, e, err)
			return
		}
		c.heard = at
	})
}

func (w *realm) leave(c *subscriber, epoch int32) {
	if c.consumer {
		w.c.ConsumerHeartbeat(ConsumerHeartbeatRequest{Group: "g", Member: c.member, Epoch: epoch, Instance: c.instance, RebalanceTimeout: -1})
	} else {
		w.c.Leave("g", []Leaving{{Member: c.member, Instance: c.instance}})
	}
	c.restart()
}

// commit stores an offset of something that the client has, or, without membership, tries to.
func (w *realm) commit(c *subscriber) {
	tp := TopicPartition{"a", 0}
	if !c.alive(w.clk.Now()) || !c.owned[tp] {
		tp = TopicPartition{"b", 0}
		if !c.alive(w.clk.Now()) || !c.owned[tp] {
			return
		}
	}
	w.commits++
	at := w.commits
	r := CommitRequest{Group: "g", Member: c.member, Instance: c.instance, Generation: c.epoch, Retention: -1, Epochs: true,
		Topics: []CommitTopic{{tp.Topic, []CommitPartition{{Partition: tp.Partition, Offset: at, LeaderEpoch: -1, Timestamp: -1}}}}}
	sent(w, c, w.c.Commit(r), func(_ time.Time, res CommitResult, err error) {
		if err == nil && res[0][0] == nil && w.image.Topics[tp.Topic] != nil {
			w.acked[tp] = max(w.acked[tp], at)
		}
	})
}

// inspect holds the group, as it is in memory, against the rules of its epochs and assignments.
func (w *realm) inspect() {
	p := runtime.Read(w.c.rt, 0, func(m *machine, p *runtime.Promise[error]) {
		if g := m.groups["g"]; g != nil && g.consumer != nil {
			p.Resolve(g.consumer.holds(w.image))
			return
		}
		p.Resolve(nil)
	})
	synctest.Wait()
	select {
	case <-p.Done():
		if broken, err := p.Await(context.Background()); err == nil && broken != nil {
			w.fail("%v", broken)
		}
	default: // behind something that waits for the log
	}
}

// holds says which rule is broken.
func (c *consumerGroup) holds(image *cluster.Image) error {
	if c.targetEpoch > c.epoch {
		return fmt.Errorf("target of epoch %d in a group of epoch %d", c.targetEpoch, c.epoch)
	}
	owner := map[assign.Partition]string{}
	for _, id := range c.ids() {
		mb := c.members[id]
		if mb.epoch > c.targetEpoch {
			return fmt.Errorf("%s is at epoch %d, the target at %d", id, mb.epoch, c.targetEpoch)
		}
		for _, h := range []holding{mb.assigned, mb.revoking} {
			for p, since := range h {
				if o, twice := owner[p]; twice {
					return fmt.Errorf("%v is held by %s and %s", p, o, id)
				}
				if owner[p] = id; c.owners[p] != id {
					return fmt.Errorf("%v is held by %s, noted for %q", p, id, c.owners[p])
				}
				if since > max(mb.epoch, 0) {
					return fmt.Errorf("%s has %v since epoch %d, but is at %d", id, p, since, mb.epoch)
				}
			}
		}
		if mb.epoch != leavingForAWhile && (mb.state == memberUnrevoked) != (len(mb.revoking) > 0) {
			return fmt.Errorf("%s is in state %d and gives up %v", id, mb.state, mb.revoking)
		}
		if mb.reconciledTo(c.targetEpoch) && !maps.Equal(keys(mb.assigned), c.target[id]) {
			return fmt.Errorf("%s is through with the target %v and has %v", id, c.target[id].Sorted(), mb.assigned.sorted())
		}
		if c.lives[id] == nil || c.lives[id].session == nil {
			return fmt.Errorf("%s has no session", id)
		}
		if mb.instance != nil && c.static[*mb.instance] != id {
			return fmt.Errorf("instance %s belongs to %s, noted for %s", *mb.instance, id, c.static[*mb.instance])
		}
	}
	if len(owner) != len(c.owners) {
		return fmt.Errorf("%d partitions are held, %d noted", len(owner), len(c.owners))
	}
	if len(c.lives) != len(c.members) {
		return fmt.Errorf("%d members, %d lives", len(c.members), len(c.lives))
	}
	if len(c.members) == 0 || c.epoch > c.targetEpoch || c.seen != image || c.resolved != image {
		return nil // no target for what there is now
	}
	given := map[assign.Partition]bool{}
	for id, s := range c.target {
		if c.members[id] == nil {
			return fmt.Errorf("a target for %s, who is no member", id)
		}
		for p := range s {
			t := image.ByID[p.Topic]
			if given[p] || t == nil || int(p.ID) >= len(t.Partitions) {
				return fmt.Errorf("the target gives %v to %s", p, id)
			}
			given[p] = true
		}
	}
	want := 0
	for name := range subscribed(c.members, c.regexes) {
		if t := image.Topics[name]; t != nil {
			want += len(t.Partitions)
		}
	}
	if len(given) != want {
		return fmt.Errorf("the target gives %d partitions of %d", len(given), want)
	}
	return nil
}

// picture is a group of either kind as text, but for what lives in memory only; moving says that it is between two generations.
func (g *group) picture() (text string, moving bool) {
	if g.consumer == nil {
		text = fmt.Sprint(g.state, g.generation, g.protocolType, deref(g.protocol))
		for _, mb := range g.members {
			text += fmt.Sprintf(" %s/%s/%x", mb.id, deref(mb.instance), mb.assignment)
		}
		return text, g.state == PreparingRebalance || g.state == CompletingRebalance
	}
	c := g.consumer
	text = fmt.Sprint(c.epoch, " ", c.hash, " ", c.targetEpoch, " ", c.topicRecord)
	for _, id := range c.ids() {
		mb := *c.members[id]
		text += fmt.Sprintf("\n   %s instance=%s %v %v %q %d %v epoch=%d/%d state=%d has %v gives up %v target %v", id, deref(mb.instance), mb.client, mb.topics,
			mb.regex, mb.rebalanceTimeout, mb.classic, mb.epoch, mb.previous, mb.state, mb.assigned, mb.revoking, c.target[id].Sorted())
	}
	return text + fmt.Sprint(" ", c.regexes), false
}

// comparesWithLog loads the log into another coordinator and compares, and looks for what was acknowledged.
func (w *realm) comparesWithLog() {
	other := newStage(w.o)
	other.c.Close()
	other.log, other.image = w.log.Clone(), w.image
	other.start()
	defer other.c.Close()
	synctest.Wait()
	type shot struct {
		text    string
		moving  bool
		offsets map[TopicPartition]int64
	}
	take := func(c *Coordinator) map[string]shot {
		p := runtime.Read(c.rt, 0, func(m *machine, p *runtime.Promise[map[string]shot]) {
			all := map[string]shot{}
			for id, g := range m.groups {
				text, moving := g.picture()
				s := shot{text, moving, map[TopicPartition]int64{}}
				for tp, o := range g.offsets {
					s.offsets[tp] = o.offset
				}
				if g.consumer != nil || g.recorded || len(s.offsets) > 0 {
					all[id] = s
				}
			}
			p.Resolve(all)
		})
		synctest.Wait()
		all, err := p.Await(context.Background())
		if err != nil {
			w.fail("the group cannot be looked at: %v", err)
		}
		return all
	}
	mine, loaded := take(w.c), take(other.c)
	for id, s := range mine {
		l, ok := loaded[id]
		if !ok || !s.moving && s.text != l.text || !maps.Equal(s.offsets, l.offsets) {
			w.fail("the group is\n%s %v\nand loaded\n%s %v", s.text, s.offsets, l.text, l.offsets)
		}
	}
	if len(loaded) != len(mine) {
		w.fail("%d groups, and %d are loaded", len(mine), len(loaded))
	}
	for tp, at := range w.acked {
		if got := mine["g"].offsets[tp]; got < at {
			w.fail("%v: %d was acknowledged, now it is %d", tp, at, got)
		}
	}
}

// settle lets all clients behave until they share everything evenly.
func (w *realm) settle() error {
	if p := w.o.Consumer.Migration; p != MigrationBidirectional {
		for _, c := range w.clients { // groups of both kinds of clients are not for every policy
			if !c.consumer {
				c.restart()
				c.consumer = true
			}
		}
	}
	var state string
	for range 300 {
		for _, c := range w.clients {
			if !c.busy {
				w.forward(c, true)
				w.look()
			}
		}
		w.advance(time.Second)
		w.look()
		if w.inspect(); w.problem != nil {
			return w.problem
		}
		if state = w.shares(); state == "" {
			return nil
		}
	}
	return fmt.Errorf("the clients do not come together: %s", state)
}

// shares says what is wrong with how the clients share the partitions, "" for nothing.
func (w *realm) shares() string {
	least, most, total := 1<<30, 0, 0
	var text strings.Builder
	for _, c := range w.clients {
		n := len(c.owned)
		least, most, total = min(least, n), max(most, n), total+n
		fmt.Fprintf(&text, " %s(consumer=%v member=%s epoch=%d busy=%v)=%d", c.name, c.consumer, c.member, c.epoch, c.busy, n)
		if !c.pending.IsZero() {
			least = -1 << 30
		}
	}
	if all := len(w.partitions()); total != all || most-least > 1 {
		return fmt.Sprintf("%d of %d:%s", total, all, text.String())
	}
	return ""
}

package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	joinVersion = 5
	syncVersion = 3
)

// heartbeatEvery is how often a member that has its assignment asks whether it still holds.
const heartbeatEvery = 10 * time.Millisecond

// rebalance has all members of a group join again at the same moment with new subscriptions, over and over, and tells how long it takes
// until all have an assignment of the same generation.
func rebalance(o *options) (*result, error) {
	g := &gathering{members: make([]*groupMember, o.members)}
	// A group of its own: the members of a run before are waited for until their sessions end.
	group := fmt.Sprintf("%s-%d-members-%d", o.topic, o.members, time.Now().UnixNano())
	for i := range g.members {
		c, err := coordinated(o.addr, group)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		g.members[i] = &groupMember{connection: c, group: group}
	}
	// The first time members come into an empty group, whose rebalance waits for group.initial.rebalance.delay.ms.
	if _, err := g.round(); err != nil {
		return nil, err
	}
	m := measure(o.pid)
	var took times
	for range o.rounds {
		one, err := g.round()
		if err != nil {
			return nil, err
		}
		took = append(took, one)
	}
	r := &result{}
	took.percentiles(r, "rebalance")
	if o.pid != 0 {
		r.add("broker CPU", (m.process.cpu()-m.cpu).Seconds()*1000/float64(o.rounds), "ms/rebalance")
	}
	return r, nil
}

// gathering is the members of a group on their way to the same generation.
type gathering struct {
	members []*groupMember
	rounds  byte

	mu   sync.Mutex
	in   map[int32]int // members by the generation that they have an assignment of
	last time.Time     // when the last of them got one
}

// round has all members join, and tells how long it takes until they are together.
func (g *gathering) round() (time.Duration, error) {
	g.rounds++
	g.in = map[int32]int{}
	errs := make(chan error, len(g.members))
	began := time.Now()
	for _, m := range g.members {
		go func() { errs <- g.bring(m) }()
	}
	var failed error
	for range g.members {
		if err := <-errs; err != nil && failed == nil {
			failed = err
			g.mu.Lock()
			g.in = nil // the others give up
			g.mu.Unlock()
		}
	}
	return g.last.Sub(began), failed
}

// bring has one member join, as often as the group goes on to another generation, until all are in the same.
func (g *gathering) bring(m *groupMember) error {
	for {
		generation, err := m.joinAndSync(g.rounds)
		if err != nil {
			return err
		}
		g.enter(generation, 1)
		for generation > 0 && !g.together(generation) {
			time.Sleep(heartbeatEvery)
			ok, err := m.heartbeat(generation)
			if err != nil {
				return err
			}
			if !ok && !g.together(generation) {
				break
			}
		}
		if generation > 0 && g.together(generation) {
			return nil
		}
		g.enter(generation, -1)
	}
}

func (g *gathering) enter(generation int32, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in != nil {
		g.in[generation] += n
		g.last = time.Now()
	}
}

// together is true too when the round has failed.
func (g *gathering) together(generation int32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.in == nil || g.in[generation] == len(g.members)
}

// groupMember is a member of a group, on a connection of its own.
type groupMember struct {
	*connection
	group string
	id    string
}

// joinAndSync is 0 when the group went on to another generation meanwhile.
func (m *groupMember) joinAndSync(round byte) (int32, error) {
	join := kmsg.NewPtrJoinGroupRequest()
	join.Version, join.Group, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = joinVersion, m.group, 45_000, 60_000
	join.ProtocolType = "consumer"
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", append(make([]byte, 40), round)
	join.Protocols = append(join.Protocols, p)
	joined, err := m.join(join)
	if err != nil {
		return 0, err
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.Generation, sync.MemberID = syncVersion, m.group, joined.Generation, m.id
	for _, other := range joined.Members { // told to the leader alone
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = other.MemberID, make([]byte, 40)
		sync.GroupAssignment = append(sync.GroupAssignment, a)
	}
	resp, err := m.ask(sync)
	if err != nil {
		return 0, err
	}
	ok, err := holds(resp.(*kmsg.SyncGroupResponse).ErrorCode)
	if !ok {
		return 0, err
	}
	return joined.Generation, nil
}

func (m *groupMember) join(req *kmsg.JoinGroupRequest) (*kmsg.JoinGroupResponse, error) {
	for {
		req.MemberID = m.id
		resp, err := m.ask(req)
		if err != nil {
			return nil, err
		}
		joined := resp.(*kmsg.JoinGroupResponse)
		m.id = joined.MemberID
		switch err := kerr.ErrorForCode(joined.ErrorCode); err {
		case nil:
			return joined, nil
		case kerr.MemberIDRequired:
		default:
			return nil, fmt.Errorf("JoinGroup: %w", err)
		}
	}
}

// heartbeat says whether the generation is still the group's.
func (m *groupMember) heartbeat(generation int32) (bool, error) {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.Generation, req.MemberID = syncVersion, m.group, generation, m.id
	resp, err := m.ask(req)
	if err != nil {
		return false, err
	}
	return holds(resp.(*kmsg.HeartbeatResponse).ErrorCode)
}

// holds says whether what a member has still holds, by the code that it was answered.
func holds(code int16) (bool, error) {
	switch err := kerr.ErrorForCode(code); err {
	case nil:
		return true, nil
	case kerr.RebalanceInProgress, kerr.IllegalGeneration:
		return false, nil
	default:
		return false, err
	}
}

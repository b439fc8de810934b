package main

import (
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func findCoordinator(group string) *kmsg.FindCoordinatorRequest {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey, req.CoordinatorKeys = group, []string{group}
	return req
}

// coordinated waits on both sides until the group's coordinator serves.
func (s *Session) coordinated(group string) string {
	s.both(func(p *Side) {
		p.until(func() bool {
			find := kmsg.NewPtrFindCoordinatorRequest()
			find.Version, find.CoordinatorKey = 2, group
			a := p.ask(find)
			if a.Resp == nil || a.Resp.(*kmsg.FindCoordinatorResponse).ErrorCode != 0 {
				return false
			}
			d := kmsg.NewPtrDescribeGroupsRequest()
			d.Version, d.Groups = 1, []string{group}
			a = p.ask(d)
			return a.Resp != nil && a.Resp.(*kmsg.DescribeGroupsResponse).Groups[0].ErrorCode == 0
		})
	})
	return group
}

var coordinatorScripts = []Script{
	{API: 10, Name: "groups", Run: func(s *Session) {
		s.coordinated("g")
		s.AskSame("a group", findCoordinator("g"))
		s.AskSame("the empty group", findCoordinator(""))
		for _, t := range []int8{2, 3, -1} {
			req := findCoordinator("g")
			req.CoordinatorType = t
			s.AskSame(fmt.Sprint("type ", t), req)
		}
		if s.V >= 4 {
			req := findCoordinator("g")
			req.CoordinatorKeys = []string{"a", "b", "a"}
			s.AskSame("three keys, two the same", req)
			req = findCoordinator("g")
			req.CoordinatorKeys = nil
			s.AskSame("no keys", req)
		}
	}},
}

func join(group, member string, protocols ...string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = group, member, 30000, 5000, "consumer"
	for _, name := range protocols {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = name, subscription(name)
		req.Protocols = append(req.Protocols, p)
	}
	return req
}

// subscription is what a consumer sends with a protocol. It must be whole: Apache Kafka never answers a consumer whose metadata
// it cannot parse.
func subscription(protocol string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics, m.UserData = 1, []string{"some-topic"}, []byte(protocol)
	return m.AppendTo(nil)
}

// joined takes each side through the first join, with its second request where MEMBER_ID_REQUIRED asks for one, comparing all.
func (s *Session) joined(group, name string, ask bool, change func(*kmsg.JoinGroupRequest)) {
	send := func(label string, b build) map[*Side]kmsg.Response {
		if ask {
			return s.Ask(label, b)
		}
		return s.Do(b)
	}
	first := send("join", func(p *Side) kmsg.Request {
		r := join(group, "", "range", "roundrobin")
		change(r)
		return r
	})
	again := false
	for p, a := range first {
		p.vars[name], p.vars["generation"] = "", int32(-1)
		if r, ok := a.(*kmsg.JoinGroupResponse); ok {
			p.vars[name], p.vars["generation"] = r.MemberID, r.Generation
			again = again || r.ErrorCode == 79
		}
	}
	if !again {
		return
	}
	second := send("join with the id", func(p *Side) kmsg.Request {
		r := join(group, p.vars[name].(string), "range", "roundrobin")
		change(r)
		return r
	})
	for p, a := range second {
		if r, ok := a.(*kmsg.JoinGroupResponse); ok {
			p.vars["generation"] = r.Generation
		}
	}
}

func unchanged(*kmsg.JoinGroupRequest) {}

func syncGroup(p *Side, group, name string, assign bool) *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = group, p.vars[name].(string), p.vars["generation"].(int32)
	req.ProtocolType, req.Protocol = str("consumer"), str("range")
	if assign {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		assignment := kmsg.NewConsumerMemberAssignment()
		assignment.UserData = []byte("assignment")
		a.MemberID, a.MemberAssignment = req.MemberID, assignment.AppendTo(nil)
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	return req
}

func heartbeat(p *Side, group, name string, generation int32) *kmsg.HeartbeatRequest {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = group, p.vars[name].(string), generation
	return req
}

func generation(p *Side) int32 { return p.vars["generation"].(int32) }

func leave(group, member string) *kmsg.LeaveGroupRequest {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = group, member
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = member
	req.Members = append(req.Members, m)
	return req
}

// stable is a group with one member that has its assignment; nothing is compared.
func (s *Session) stable(group string) string {
	s.coordinated(group)
	s.joined(group, "m", false, unchanged)
	s.Do(func(p *Side) kmsg.Request { return syncGroup(p, group, "m", true) })
	return group
}

func (s *Session) done(group string) {
	s.Do(func(p *Side) kmsg.Request { return leave(group, p.vars["m"].(string)) })
}

var memberScripts = []Script{
	{API: 11, Name: "join", Run: func(s *Session) {
		g := s.coordinated(s.Fresh("g"))
		s.joined(g, "m", true, unchanged)
		s.Ask("sync", func(p *Side) kmsg.Request { return syncGroup(p, g, "m", true) })
		s.Ask("join again", func(p *Side) kmsg.Request { return join(g, p.vars["m"].(string), "range", "roundrobin") })
		s.done(g)
	}},
	{API: 11, Name: "a connector", Run: func(s *Session) {
		g := s.coordinated(s.Fresh("g"))
		s.joined(g, "m", true, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
		s.done(g)
	}},
	{API: 11, Name: "static", Min: 5, Run: func(s *Session) {
		g := s.coordinated(s.Fresh("g"))
		static := func(r *kmsg.JoinGroupRequest) { r.InstanceID = str("i1") }
		s.joined(g, "m", true, static)
		s.Ask("sync", func(p *Side) kmsg.Request { r := syncGroup(p, g, "m", true); r.InstanceID = str("i1"); return r })
		for p := range map[*Side]bool{s.Kafka: true, s.Barnabas: true} {
			p.vars["old"] = p.vars["m"]
		}
		s.joined(g, "m", true, static)
		s.Ask("the old id is fenced", func(p *Side) kmsg.Request {
			r := heartbeat(p, g, "old", generation(p))
			r.InstanceID = str("i1")
			return r
		})
		s.Ask("an unknown instance", func(p *Side) kmsg.Request {
			r := heartbeat(p, g, "m", generation(p))
			r.InstanceID = str("i2")
			return r
		})
		t := s.Create(s.Topic("t"), 1)
		for _, as := range [][2]string{{"old", "i1"}, {"m", "i2"}, {"m", "i1"}} {
			s.Ask("sync as "+as[0]+" "+as[1], func(p *Side) kmsg.Request {
				r := syncGroup(p, g, as[0], false)
				r.InstanceID = str(as[1])
				return r
			})
			s.Ask("commit as "+as[0]+" "+as[1], func(p *Side) kmsg.Request {
				r := commit(g, t, 0, 5, "m")
				r.Generation, r.MemberID, r.InstanceID = generation(p), p.vars[as[0]].(string), str(as[1])
				return r
			})
			s.Ask("join as "+as[0]+" "+as[1], func(p *Side) kmsg.Request {
				r := join(g, p.vars[as[0]].(string), "range", "roundrobin")
				r.InstanceID = str(as[1])
				return r
			})
		}
		s.Ask("describe", func(p *Side) kmsg.Request { return describeGroups(g) })
		s.Ask("leave as old i1", func(p *Side) kmsg.Request {
			r := leave(g, p.vars["old"].(string))
			r.Members[0].InstanceID = str("i1")
			return r
		})
		s.Ask("join with other protocols", func(p *Side) kmsg.Request {
			r := join(g, "", "roundrobin", "range")
			r.InstanceID = str("i1")
			return r
		})
		s.done(g)
	}},
	{API: 11, Name: "two members", Min: 5, Run: twoMembers},
	{API: 11, Name: "bad", Run: func(s *Session) {
		g := s.coordinated(s.Fresh("g"))
		s.AskSame("empty group", join("", "", "range"))
		s.AskSame("unknown member", join(g, "nobody", "range"))
		s.AskSame("no protocols", join(g, ""))
		short := join(g, "", "range")
		short.SessionTimeoutMillis = 10
		s.AskSame("session timeout too short", short)
		long := join(g, "", "range")
		long.SessionTimeoutMillis = 1 << 30
		s.AskSame("session timeout too long", long)
		none := join(g, "", "range")
		none.ProtocolType = ""
		s.AskSame("no protocol type", none)
		s.joined(g, "m", false, unchanged)
		s.Do(func(p *Side) kmsg.Request { return syncGroup(p, g, "m", true) })
		other := join(g, "", "range")
		other.ProtocolType = "connect"
		s.AskSame("another protocol type", other)
		s.AskSame("no common protocol", join(g, "", "sticky"))
		s.AskSame("a protocol without a name", join(g, "", ""))
		s.done(g)
	}},
	{API: 14, Name: "sync", Run: func(s *Session) {
		g := s.stable(s.Fresh("g"))
		s.Ask("again", func(p *Side) kmsg.Request { return syncGroup(p, g, "m", false) })
		s.Ask("old generation", func(p *Side) kmsg.Request { r := syncGroup(p, g, "m", false); r.Generation = 0; return r })
		s.Ask("unknown member", func(p *Side) kmsg.Request { r := syncGroup(p, g, "m", false); r.MemberID = "x"; return r })
		s.Ask("unknown group", func(p *Side) kmsg.Request { r := syncGroup(p, g, "m", false); r.Group = s.Topic("none"); return r })
		s.Ask("empty group", func(p *Side) kmsg.Request { r := syncGroup(p, g, "m", false); r.Group = ""; return r })
		if s.V >= 5 {
			s.Ask("another protocol type", func(p *Side) kmsg.Request { r := syncGroup(p, g, "m", false); r.ProtocolType = str("x"); return r })
			s.Ask("another protocol", func(p *Side) kmsg.Request { r := syncGroup(p, g, "m", false); r.Protocol = str("x"); return r })
			s.Ask("null protocol", func(p *Side) kmsg.Request {
				r := syncGroup(p, g, "m", false)
				r.Protocol, r.ProtocolType = nil, nil
				return r
			})
		}
		s.done(g)
	}},
	{API: 12, Name: "heartbeat", Run: func(s *Session) {
		g := s.stable(s.Fresh("g"))
		s.Ask("good", func(p *Side) kmsg.Request { return heartbeat(p, g, "m", generation(p)) })
		s.Ask("wrong generation", func(p *Side) kmsg.Request { return heartbeat(p, g, "m", 99) })
		s.Ask("negative generation", func(p *Side) kmsg.Request { return heartbeat(p, g, "m", -1) })
		s.Ask("unknown member", func(p *Side) kmsg.Request { r := heartbeat(p, g, "m", 1); r.MemberID = "x"; return r })
		s.Ask("unknown group", func(p *Side) kmsg.Request { return heartbeat(p, s.Topic("none"), "m", 1) })
		s.Ask("empty group", func(p *Side) kmsg.Request { return heartbeat(p, "", "m", 1) })
		s.done(g)
		s.Ask("after leaving", func(p *Side) kmsg.Request { return heartbeat(p, g, "m", generation(p)) })
	}},
	{API: 13, Name: "leave", Run: func(s *Session) {
		g := s.stable(s.Fresh("g"))
		s.AskSame("unknown member", leave(g, "x"))
		s.AskSame("empty member", leave(g, ""))
		s.AskSame("unknown group", leave(s.Topic("none"), "x"))
		s.AskSame("empty group", leave("", "x"))
		s.Ask("good", func(p *Side) kmsg.Request { return leave(g, p.vars["m"].(string)) })
		s.Ask("again", func(p *Side) kmsg.Request { return leave(g, p.vars["m"].(string)) })
	}},
	{API: 13, Name: "leave by instance", Min: 3, Run: func(s *Session) {
		g := s.coordinated(s.Fresh("g"))
		s.joined(g, "m", false, func(r *kmsg.JoinGroupRequest) { r.InstanceID = str("i1") })
		req := leave(g, "")
		req.Members[0].InstanceID = str("i1")
		unknown := leave(g, "")
		unknown.Members[0].InstanceID = str("i2")
		req.Members = append(req.Members, unknown.Members[0])
		s.AskSame("two, one unknown", req)
		none := leave(g, "")
		none.Members = nil
		s.AskSame("nobody", none)
	}},
}

// twoMembers has a second, static member join and leave a group while the first is there.
func twoMembers(s *Session) {
	g := s.coordinated(s.Fresh("g"))
	as := func(name string) func(r *kmsg.JoinGroupRequest) {
		return func(r *kmsg.JoinGroupRequest) { r.InstanceID = str(name) }
	}
	s.joined(g, "one", true, as("one"))
	s.Ask("sync alone", func(p *Side) kmsg.Request { return syncStatic(p, g, "one", true) })
	second := s.Beside()
	defer second.both(func(p *Side) { p.close() })
	var joining, syncing sync.WaitGroup
	joining.Go(func() { second.joined(g, "two", true, as("two")) })
	s.both(func(p *Side) {
		p.until(func() bool {
			beat := heartbeat(p, g, "one", generation(p))
			beat.Version = 3
			a := p.ask(beat)
			return a.Resp != nil && a.Resp.(*kmsg.HeartbeatResponse).ErrorCode == 27
		})
	})
	rejoined := s.Ask("the first joins again", func(p *Side) kmsg.Request {
		r := join(g, p.vars["one"].(string), "range", "roundrobin")
		r.InstanceID = str("one")
		return r
	})
	joining.Wait()
	for p, a := range rejoined {
		if r, ok := a.(*kmsg.JoinGroupResponse); ok {
			p.vars["generation"] = r.Generation
		}
	}
	syncing.Go(func() {
		second.Ask("sync of the second", func(p *Side) kmsg.Request { return syncStatic(p, g, "two", false) })
	})
	s.Ask("sync of the first", func(p *Side) kmsg.Request {
		r := syncStatic(p, g, "one", true)
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		assignment := kmsg.NewConsumerMemberAssignment()
		assignment.UserData = []byte("the other's")
		a.MemberID, a.MemberAssignment = second.side(p).vars["two"].(string), assignment.AppendTo(nil)
		r.GroupAssignment = append(r.GroupAssignment, a)
		return r
	})
	syncing.Wait()
	s.AskSame("describe", describeGroups(g))
	second.Ask("the second beats", func(p *Side) kmsg.Request { return heartbeat(p, g, "two", generation(p)) })
	out := leave(g, "")
	out.Members[0].InstanceID = str("two")
	s.AskSame("the second is removed", out)
	second.Ask("the second beats again", func(p *Side) kmsg.Request { return heartbeat(p, g, "two", generation(p)) })
	s.Ask("the first beats", func(p *Side) kmsg.Request { return heartbeat(p, g, "one", generation(p)) })
	s.AskSame("describe while rebalancing", describeGroups(g))
	out.Members[0].InstanceID = str("one")
	s.AskSame("the first is removed", out)
	s.AskSame("describe when empty", describeGroups(g))
}

func syncStatic(p *Side, group, name string, assign bool) *kmsg.SyncGroupRequest {
	r := syncGroup(p, group, name, assign)
	r.InstanceID = str(name)
	return r
}

var groupAdminScripts = []Script{
	{API: 15, Name: "describe", Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 1)
		g := s.stable(s.Fresh("g"))
		s.AskSame("stable", describeGroups(g))
		ops := describeGroups(g)
		ops.IncludeAuthorizedOperations = true
		s.AskSame("operations", ops)
		s.done(g)
		s.AskSame("left", describeGroups(g))
		simple := s.coordinated(s.Fresh("simple"))
		s.Do(same(commit(simple, t, 0, 5, "meta")))
		s.AskSame("simple, unknown, empty", describeGroups(simple, s.Topic("none"), ""))
		s.AskSame("nothing", describeGroups())
		half := s.coordinated(s.Fresh("half"))
		s.joined(half, "m", false, unchanged)
		s.AskSame("without an assignment", describeGroups(half))
		s.done(half)
	}},
	{API: 16, Name: "list", Min: 4, Run: func(s *Session) {
		g := s.stable(s.Fresh("g"))
		for _, states := range [][]string{{"Stable"}, {"stable"}, {"Dead"}, {"Nonsense"}, {"PreparingRebalance", "Stable"}} {
			req := kmsg.NewPtrListGroupsRequest()
			req.StatesFilter = states
			s.AskSame(fmt.Sprint("states ", states), req)
		}
		if s.V >= 5 {
			for _, types := range [][]string{{"classic"}, {"Classic"}, {"consumer"}, {"nonsense"}} {
				req := kmsg.NewPtrListGroupsRequest()
				req.StatesFilter, req.TypesFilter = []string{"Stable"}, types
				s.AskSame(fmt.Sprint("types ", types), req)
			}
		}
		s.done(g)
	}},
	{API: 16, Name: "list all", Run: func(s *Session) {
		s.coordinated("g")
		s.AskSame("all", kmsg.NewPtrListGroupsRequest())
	}},
	{API: 42, Name: "delete", Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 1)
		g := s.coordinated(s.Fresh("g"))
		s.Do(same(commit(g, t, 0, 5, "meta")))
		live := s.stable(s.Fresh("live"))
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = []string{g, live, s.Topic("none"), ""}
		s.AskSame("four", req)
		s.AskSame("four again", req)
		s.AskSame("nothing", kmsg.NewPtrDeleteGroupsRequest())
		s.Ask("look", same(offsetFetch(g, t, 0)))
		s.done(live)
	}},
}

func describeGroups(groups ...string) *kmsg.DescribeGroupsRequest {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = groups
	return req
}

package main

import "github.com/twmb/franz-go/pkg/kmsg"

func commit(group, topic string, partition int32, offset int64, metadata string) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation, req.RetentionTimeMillis = group, -1, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.Metadata, p.LeaderEpoch, p.Timestamp = partition, offset, str(metadata), 0, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func offsetFetch(group, topic string, partitions ...int32) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	t := kmsg.NewOffsetFetchRequestTopic()
	t.Topic, t.Partitions = topic, partitions
	req.Topics = append(req.Topics, t)
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	gt := kmsg.NewOffsetFetchRequestGroupTopic()
	gt.Topic, gt.Partitions = topic, partitions
	g.Topics = append(g.Topics, gt)
	g.MemberEpoch = -1
	req.Groups = append(req.Groups, g)
	return req
}

var offsetScripts = []Script{
	{API: 8, Name: "simple", Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 2)
		g := s.coordinated(s.Fresh("g"))
		s.AskSame("first", commit(g, t, 0, 5, "m"))
		s.AskSame("backwards", commit(g, t, 0, 2, ""))
		null := commit(g, t, 1, 9, "")
		null.Topics[0].Partitions[0].Metadata = nil
		s.AskSame("null metadata", null)
		s.AskSame("negative offset", commit(g, t, 0, -5, ""))
		s.AskSame("unknown partition", commit(g, t, 9, 5, ""))
		s.AskSame("unknown topic", commit(g, s.Topic("none"), 0, 5, ""))
		s.AskSame("invalid topic", commit(g, "a b", 0, 5, ""))
		s.AskSame("empty group", commit("", t, 0, 5, ""))
		long := make([]byte, 4097)
		for i := range long {
			long[i] = 'x'
		}
		s.AskSame("too much metadata", commit(g, t, 0, 5, string(long)))
		s.AskSame("just enough metadata", commit(g, t, 0, 5, string(long[1:])))
		empty := commit(g, t, 0, 5, "")
		empty.Topics = nil
		s.AskSame("nothing", empty)
		s.Ask("look", same(offsetFetch(g, t, 0, 1)))
	}},
	{API: 8, Name: "repeated", Run: func(s *Session) {
		t, u := s.Create(s.Topic("t"), 2), s.Create(s.Topic("u"), 1)
		g := s.coordinated(s.Fresh("g"))
		all := func(requests ...*kmsg.OffsetCommitRequest) *kmsg.OffsetCommitRequest {
			req := requests[0]
			for _, r := range requests[1:] {
				req.Topics = append(req.Topics, r.Topics...)
			}
			return req
		}
		bare := func(topic string) *kmsg.OffsetCommitRequest {
			req := commit(g, topic, 0, 1, "")
			req.Topics[0].Partitions = nil
			return req
		}
		s.AskSame("a topic twice", all(commit(g, t, 0, 1, "a"), commit(g, u, 0, 2, "b"), commit(g, t, 1, 3, "c")))
		s.AskSame("a partition twice", all(commit(g, t, 0, 11, "a"), commit(g, t, 0, 12, "b")))
		s.Ask("look", same(offsetFetch(g, t, 0, 1)))
		s.AskSame("a topic without partitions", bare(t))
		s.AskSame("an unknown topic without partitions", bare(s.Topic("none")))
		s.AskSame("both, and a good one", all(bare(t), bare(s.Topic("none")), commit(g, u, 0, 3, "")))
		s.AskSame("known and unknown", all(commit(g, t, 9, 1, ""), commit(g, s.Topic("none"), 0, 1, ""), commit(g, t, 1, 2, ""), commit(g, t, 9, 1, "")))
	}},
	{API: 8, Name: "while a rebalance completes", Min: 1, Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 1)
		g := s.coordinated(s.Fresh("g"))
		s.joined(g, "m", false, unchanged)
		as := func(p *Side, generation int32) kmsg.Request {
			r := commit(g, t, 0, 5, "m")
			r.Generation, r.MemberID = generation, p.vars["m"].(string)
			return r
		}
		s.Ask("commit", func(p *Side) kmsg.Request { return as(p, generation(p)) })
		s.Ask("commit of an old generation", func(p *Side) kmsg.Request { return as(p, 0) })
		s.Ask("heartbeat", func(p *Side) kmsg.Request { return heartbeat(p, g, "m", generation(p)) })
		s.Ask("delete", func(p *Side) kmsg.Request {
			r := kmsg.NewPtrDeleteGroupsRequest()
			r.Groups = []string{g}
			return r
		})
		s.Ask("delete offsets", func(p *Side) kmsg.Request { return offsetDelete(g, t, 0) })
		s.done(g)
	}},
	{API: 8, Name: "members", Min: 1, Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 1)
		g := s.stable(s.Fresh("g"))
		as := func(p *Side, generation int32, member string) kmsg.Request {
			r := commit(g, t, 0, 5, "m")
			r.Generation, r.MemberID = generation, member
			return r
		}
		s.Ask("a member", func(p *Side) kmsg.Request { return as(p, generation(p), p.vars["m"].(string)) })
		s.Ask("wrong generation", func(p *Side) kmsg.Request { return as(p, 77, p.vars["m"].(string)) })
		s.Ask("unknown member", func(p *Side) kmsg.Request { return as(p, generation(p), "x") })
		s.Ask("without membership", func(p *Side) kmsg.Request { return as(p, -1, "") })
		s.done(g)
		s.Ask("after leaving", func(p *Side) kmsg.Request { return as(p, generation(p), p.vars["m"].(string)) })
		s.Ask("generation but no group", func(p *Side) kmsg.Request {
			r := as(p, 3, "x").(*kmsg.OffsetCommitRequest)
			r.Group = s.Fresh("nobody")
			return r
		})
	}},
	{API: 9, Name: "from the store", Run: func(s *Session) { // what v0 committed is not in __consumer_offsets
		t := s.Create(s.Topic("t"), 2)
		g := s.coordinated(s.Fresh("g"))
		s.both(func(p *Side) {
			old := commit(g, t, 0, 5, "meta")
			old.Version = 0
			p.ask(old)
		})
		s.AskSame("a partition that has one", offsetFetch(g, t, 0))
		s.AskSame("both", offsetFetch(g, t, 0, 1))
	}},
	{API: 9, Name: "fetch", Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 3)
		g := s.coordinated(s.Fresh("g"))
		s.AskSame("unknown group", offsetFetch(g, t, 0))
		s.Do(same(commit(g, t, 0, 5, "meta")))
		s.Do(same(commit(g, t, 1, 7, "")))
		s.AskSame("three partitions", offsetFetch(g, t, 0, 1, 2))
		s.AskSame("unknown partition", offsetFetch(g, t, 9))
		s.AskSame("unknown topic", offsetFetch(g, s.Topic("none"), 0))
		s.AskSame("invalid topic", offsetFetch(g, "a b", 0))
		s.AskSame("empty group", offsetFetch("", t, 0))
		twice := offsetFetch(g, t, 0, 1, 0)
		for _, more := range []*kmsg.OffsetFetchRequest{offsetFetch(g, "u"), offsetFetch(g, t, 2, 1)} {
			twice.Topics = append(twice.Topics, more.Topics...)
			twice.Groups[0].Topics = append(twice.Groups[0].Topics, more.Groups[0].Topics...)
		}
		s.AskSame("a topic twice, partitions twice, a topic without", twice)
		none := offsetFetch(g, t)
		none.Topics, none.Groups[0].Topics = []kmsg.OffsetFetchRequestTopic{}, []kmsg.OffsetFetchRequestGroupTopic{}
		s.AskSame("no topics", none)
		if s.V >= 2 {
			all := offsetFetch(g, t)
			all.Topics, all.Groups[0].Topics = nil, nil
			s.AskSame("all", all)
			nobody := offsetFetch(s.Topic("nobody"), t)
			nobody.Topics, nobody.Groups[0].Topics = nil, nil
			s.AskSame("all of an unknown group", nobody)
		}
		if s.V >= 7 {
			stable := offsetFetch(g, t, 0)
			stable.RequireStable = true
			s.AskSame("require stable", stable)
		}
		if s.V >= 8 {
			two := offsetFetch(g, t, 0)
			two.Groups = append(two.Groups, offsetFetch(s.Topic("nobody"), t, 0, 1).Groups[0], two.Groups[0])
			s.AskSame("three groups, two the same", two)
		}
		if s.V >= 9 {
			m := offsetFetch(g, t, 0)
			m.Groups[0].MemberID, m.Groups[0].MemberEpoch = str("x"), 4
			s.AskSame("a member of another protocol", m)
		}
	}},
	{API: 9, Name: "no groups", Min: 8, Max: 8, Run: func(s *Session) {
		none := offsetFetch("g", "t")
		none.Groups = nil
		s.AskSame("none", none)
	}},
	{API: 47, Name: "delete offsets", Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 2)
		g := s.coordinated(s.Fresh("g"))
		s.AskSame("unknown group", offsetDelete(g, t, 0))
		s.Do(same(commit(g, t, 0, 5, "meta")))
		s.AskSame("one of two", offsetDelete(g, t, 0, 1))
		s.Ask("look", same(offsetFetch(g, t, 0, 1)))
		s.AskSame("unknown topic", offsetDelete(g, s.Topic("none"), 0))
		twice := offsetDelete(g, t, 0, 0, 1)
		twice.Topics = append(twice.Topics, offsetDelete(g, t).Topics[0], offsetDelete(g, t, 1, 7).Topics[0])
		s.AskSame("partitions and topics twice", twice)
		s.AskSame("a topic without partitions", offsetDelete(g, t))
		live := s.stable(s.Fresh("live"))
		s.AskSame("a live group", offsetDelete(live, t, 0))
		s.done(live)
		s.AskSame("empty group", offsetDelete("", t, 0))
		none := offsetDelete(g, t)
		none.Topics = nil
		s.AskSame("nothing", none)
	}},
}

func offsetDelete(group, topic string, partitions ...int32) *kmsg.OffsetDeleteRequest {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = group
	t := kmsg.NewOffsetDeleteRequestTopic()
	t.Topic = topic
	for _, n := range partitions {
		p := kmsg.NewOffsetDeleteRequestTopicPartition()
		p.Partition = n
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

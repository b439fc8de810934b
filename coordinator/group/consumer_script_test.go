package group

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/coordinator/group/assign"
	"barnabas/replication/cluster"
)

// Commands of scripts for the consumer protocol:
//
//	topic name=a partitions=3                          makes a topic, or lets it grow
//	topic name=a gone
//	enter who=A topics=(a,b) [regex=r] [id=x] [instance=i] [rack=r] [assignor=x] [rebalance=ms]   a heartbeat that joins
//	beat who=A [epoch=n] [owned=(a/0,b/1)] [topics=(a)] ...
//	quit who=A [for-a-while]
//	again who=A [id=x] [topics=(a)] [owned=(a/0)] [instance=i]   a join of the classic protocol
//	collect who=A [instance=i]                         a sync of the classic protocol, with the assignment in words
//	lead who=A to=B owned=(a/0) data=x                 a sync of the classic protocol that assigns, with data of its own
//	consumer [group=g]                                 what ConsumerGroupDescribe shows
//	fetch-as who=A [epoch=n]
//	steady who=(A,B) for=1h every=1s                   heartbeats while time goes by
//	migration policy=upgrade|downgrade|disabled|bidirectional, max=n    settings, first of all
func (s *stage) playConsumer(t *testing.T, d *datadriven.TestData, a args, group, who string) (out string, known bool) {
	switch d.Cmd {
	case "topic":
		s.topic(a)
	case "enter":
		s.beat(a, group, who, true)
	case "beat":
		s.beat(a, group, who, false)
	case "quit":
		epoch := int32(leavingEpoch)
		if d.HasArg("for-a-while") {
			epoch = leavingForAWhile
		}
		s.send(who, ConsumerHeartbeatRequest{Group: group, Member: a.get("id", s.client(who).member), Epoch: epoch, Instance: a.opt("instance"), RebalanceTimeout: -1})
	case "again":
		s.again(a, group, who)
	case "collect":
		p := s.client(who)
		post(s, who, s.c.Sync(SyncRequest{Group: group, Member: p.member, Instance: a.opt("instance"), Generation: p.gen}), func(r SyncResult) string {
			if r.Err != nil {
				return r.Err.Message
			}
			set, _, ok := readAssignment(s.image, r.Assignment)
			if !ok {
				return fmt.Sprintf("synced %x", r.Assignment)
			}
			return "synced " + s.named(byTopic(set.Sorted()))
		})
	case "lead":
		p := s.client(who)
		b := assignmentBytes(s.image, s.owned(a, "owned"), []byte{0, 1})
		b = append(b[:len(b)-4], 0, 0, 0, byte(len(a.get("data", ""))))
		post(s, who, s.c.Sync(SyncRequest{Group: group, Member: p.member, Generation: p.gen, Assignments: map[string][]byte{
			s.client(a.get("to", "")).member: append(b, a.get("data", "")...)}}), func(r SyncResult) string { return code(r.Err) })
	case "consumer":
		post(s, "consumer", s.c.DescribeConsumer(group, math.MaxInt), s.showConsumer)
	case "fetch-as":
		id := s.client(who).member
		epoch := int32(a.num("epoch", int(s.client(who).gen)))
		post(s, who, s.c.FetchAs(group, &id, epoch, nil, false, math.MaxInt), func(os []Offset) string { return fmt.Sprint(len(os), " offsets") })
	case "steady":
		for whole, every := a.duration("for"), a.duration("every"); whole > 0; whole -= every {
			s.advance(min(whole, every))
			for _, who := range a.list("who") {
				p := s.client(who)
				s.send(who, ConsumerHeartbeatRequest{Group: group, Member: p.member, Epoch: p.gen, RebalanceTimeout: -1})
				if text := s.answers(); text != fmt.Sprintf("%s: epoch=%d\n", who, p.gen) {
					return text, true
				}
			}
		}
	case "migration":
		s.c.Close()
		policy := map[string]Migration{"disabled": MigrationDisabled, "upgrade": MigrationUpgrade, "downgrade": MigrationDowngrade, "bidirectional": MigrationBidirectional}
		s.o.Consumer.Migration = policy[a.get("policy", "bidirectional")]
		s.o.Consumer.MaxSize = a.num("max", s.o.Consumer.MaxSize)
		s.o.InitialDelay = 0
		s.start()
	default:
		return "", false
	}
	return "", true
}

func (s *stage) topic(a args) {
	name := a.get("name", "")
	img := s.image.Clone()
	old := img.Topics[name]
	img.Remove(name)
	if !a.d.HasArg("gone") {
		id := cluster.TopicID{15: s.topics + 1}
		if old != nil {
			id = old.ID
		} else {
			s.topics++
		}
		img.Put(topicOf(name, id, a.num("partitions", 1)))
	}
	s.image = img
}

// owned reads partitions by the names of their topics.
func (s *stage) owned(a args, key string) []assign.Partition {
	if !a.d.HasArg(key) {
		return nil
	}
	ps := []assign.Partition{}
	for _, tp := range partitions(a.t, a.list(key)) {
		t := s.image.Topics[tp.Topic]
		if t == nil {
			a.t.Fatalf("%s: no topic %s", a.d.Pos, tp.Topic)
		}
		ps = append(ps, assign.Partition{Topic: t.ID, ID: tp.Partition})
	}
	return ps
}

func (s *stage) beat(a args, group, who string, joins bool) {
	p := s.client(who)
	r := ConsumerHeartbeatRequest{Group: group, Member: a.get("id", cmp.Or(p.member, who)), Epoch: int32(a.num("epoch", int(p.gen))),
		Instance: a.opt("instance"), Rack: a.opt("rack"), RebalanceTimeout: int32(a.num("rebalance", -1)),
		Regex: a.opt("regex"), Assignor: a.opt("assignor"), Owned: s.owned(a, "owned"), OwnID: true}
	if a.d.HasArg("topics") {
		r.Topics = slices.DeleteFunc(append([]string{}, a.list("topics")...), func(t string) bool { return t == "" })
	}
	if joins {
		r.Epoch, r.Owned, r.RebalanceTimeout = joiningEpoch, []assign.Partition{}, int32(a.num("rebalance", 60000))
	}
	s.send(who, r)
}

func (s *stage) send(who string, r ConsumerHeartbeatRequest) {
	p := s.client(who)
	r.Client = Client{who, "/127.0.0.1"}
	post(s, who, s.c.ConsumerHeartbeat(r), func(r ConsumerHeartbeatResult) string {
		if r.Err != nil {
			return r.Err.Message
		}
		p.member, p.gen = r.Member, r.Epoch
		text := fmt.Sprintf("epoch=%d", r.Epoch)
		if r.HasAssigned {
			text += " " + s.named(r.Assigned)
		}
		return text
	})
}

func (s *stage) again(a args, group, who string) {
	p := s.client(who)
	r := JoinRequest{Group: group, Member: a.get("id", p.member), Instance: a.opt("instance"), Client: Client{who, "/127.0.0.1"},
		SessionTimeout: int32(a.num("session", 10000)), RebalanceTimeout: int32(a.num("rebalance", 60000)), ProtocolType: consumerType,
		Protocols: []Protocol{{a.get("protocol", "range"), subscriptionWith(a.list("topics"), partitions(a.t, a.list("owned")))}}}
	post(s, who, s.c.Join(r), func(r JoinResult) string {
		if r.Err != nil {
			return r.Err.Message
		}
		p.member, p.gen = r.Member, r.Generation
		return fmt.Sprintf("joined member=%s gen=%d leads=%v members=%d", r.Member, r.Generation, r.Leader == r.Member, len(r.Members))
	})
}

// subscriptionWith is a consumer's metadata, version 1.
func subscriptionWith(topics []string, owned []TopicPartition) []byte {
	b := subscriptionTo(topics...)
	b[1] = 1
	b = binary.BigEndian.AppendUint32(b, uint32(len(owned)))
	for _, tp := range owned {
		b = append(append(b, 0, byte(len(tp.Topic))), tp.Topic...)
		b = binary.BigEndian.AppendUint32(b, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(tp.Partition))
	}
	return b
}

// showConsumerRecord prints a record of a consumer group; known says that it is one.
func (s *stage) showConsumerRecord(key, value []byte) (text string, known bool) {
	version, _ := versionOf(key)
	if !ofConsumerGroup(version) {
		return "", false
	}
	_, group, name, err := readConsumerKey(key)
	if err != nil {
		return err.Error(), true
	}
	what := map[int16]string{3: "epoch", 4: "topics", 5: "member", 6: "target epoch", 7: "target of", 8: "current of", 16: "regex"}[version]
	text = strings.TrimSpace(fmt.Sprintf("%s %s %s", group, what, name))
	if value == nil {
		return text + " gone", true
	}
	c := newConsumerGroup()
	apply, err := readConsumerRecord(version, name, value)
	if err != nil {
		return text + " " + err.Error(), true
	}
	apply(c)
	switch mb := c.members[name]; version {
	case consumerGroupKeyOf:
		text += fmt.Sprintf(" %d hash=%v", c.epoch, c.hash != 0)
	case consumerMemberKeyOf:
		text += fmt.Sprintf(" instance=%s rack=%s topics=%v regex=%q rebalance=%d assignor=%s classic=%v", deref(mb.instance), deref(mb.rack),
			mb.topics, mb.regex, mb.rebalanceTimeout, deref(mb.assignor), mb.classic != nil)
	case targetKeyOf:
		text += fmt.Sprintf(" %d", c.targetEpoch)
	case targetMemberKeyOf:
		text += " " + s.named(byTopic(c.target[name].Sorted()))
	case currentKeyOf:
		text += fmt.Sprintf(" epoch=%d before=%d state=%d has=%s gives up=%s", mb.epoch, mb.previous, mb.state, s.held(mb.assigned), s.held(mb.revoking))
	case regexKeyOf:
		text += fmt.Sprintf(" %v", c.regexes[name])
	}
	return text, true
}

// held prints partitions with the epochs in which they were got.
func (s *stage) held(h holding) string {
	var all []string
	for _, p := range h.sorted() {
		all = append(all, fmt.Sprintf("%s@%d", strings.Trim(s.named([][]assign.Partition{{p}}), "[]"), h[p]))
	}
	return "[" + strings.Join(all, " ") + "]"
}

// TestConsumerRequestsThatMakeNoSense are refused with Kafka's errors before they reach a group.
func TestConsumerRequestsThatMakeNoSense(t *testing.T) {
	s := newStage(Defaults())
	defer s.c.Close()
	blank, bad, long := " ", "nope", string(make([]byte, 40000))
	joins := func(change func(*ConsumerHeartbeatRequest)) ConsumerHeartbeatRequest {
		r := ConsumerHeartbeatRequest{Group: "g", Member: "m", RebalanceTimeout: 1000, Topics: []string{"a"}, Owned: []assign.Partition{}, OwnID: true}
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		r    ConsumerHeartbeatRequest
		want *kerr.Error
	}{
		"no group":             {joins(func(r *ConsumerHeartbeatRequest) { r.Group = "" }), kerr.InvalidRequest},
		"no member":            {joins(func(r *ConsumerHeartbeatRequest) { r.Member = "" }), kerr.InvalidRequest},
		"no member in epoch 1": {joins(func(r *ConsumerHeartbeatRequest) { r.Member, r.OwnID, r.Epoch = "", false, 1 }), kerr.InvalidRequest},
		"blank instance":       {joins(func(r *ConsumerHeartbeatRequest) { r.Instance = &blank }), kerr.InvalidRequest},
		"blank rack":           {joins(func(r *ConsumerHeartbeatRequest) { r.Rack = &blank }), kerr.InvalidRequest},
		"no rebalance timeout": {joins(func(r *ConsumerHeartbeatRequest) { r.RebalanceTimeout = -1 }), kerr.InvalidRequest},
		"nothing owned":        {joins(func(r *ConsumerHeartbeatRequest) { r.Owned = nil }), kerr.InvalidRequest},
		"something owned":      {joins(func(r *ConsumerHeartbeatRequest) { r.Owned = []assign.Partition{{ID: 1}} }), kerr.InvalidRequest},
		"no subscription":      {joins(func(r *ConsumerHeartbeatRequest) { r.Topics = nil }), kerr.InvalidRequest},
		"a while without id":   {joins(func(r *ConsumerHeartbeatRequest) { r.Epoch = leavingForAWhile }), kerr.InvalidRequest},
		"epoch -3":             {joins(func(r *ConsumerHeartbeatRequest) { r.Epoch = -3 }), kerr.InvalidRequest},
		"assignor":             {joins(func(r *ConsumerHeartbeatRequest) { r.Assignor = &bad }), kerr.UnsupportedAssignor},
		"long group":           {joins(func(r *ConsumerHeartbeatRequest) { r.Group = long }), kerr.InvalidGroupID},
		"long member":          {joins(func(r *ConsumerHeartbeatRequest) { r.Member = long }), kerr.InvalidRequest},
		"regular expression":   {joins(func(r *ConsumerHeartbeatRequest) { r.Regex = ptr("a)|(b") }), kerr.InvalidRegularExpression},
		"look-ahead":           {joins(func(r *ConsumerHeartbeatRequest) { r.Regex = ptr("(?=a)") }), kerr.InvalidRegularExpression},
	} {
		res, err := s.c.ConsumerHeartbeat(c.r).Await(t.Context())
		if err == nil && res.Err != nil {
			err = res.Err
		}
		if err != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	off := Defaults()
	off.Consumer.Enabled = false
	none := newStage(off)
	defer none.c.Close()
	if _, err := none.c.ConsumerHeartbeat(joins(func(*ConsumerHeartbeatRequest) {})).Await(t.Context()); err != kerr.UnsupportedVersion {
		t.Error("disabled:", err)
	}
	if _, err := none.c.DescribeConsumer("g", math.MaxInt).Await(t.Context()); err != kerr.UnsupportedVersion {
		t.Error("disabled:", err)
	}
}

func ptr(s string) *string { return &s }

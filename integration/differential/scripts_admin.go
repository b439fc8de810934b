package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Settled waits on both sides until a topic leads.
func (s *Session) Settled(topic string) { s.both(func(p *Side) { s.settled(p, topic) }) }

func newTopic(name string, partitions int32, replicas int16, configs ...string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replicas
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name = configs[i]
		if configs[i+1] != "null" {
			c.Value = str(configs[i+1])
		}
		t.Configs = append(t.Configs, c)
	}
	return t
}

func createTopics(topics ...kmsg.CreateTopicsRequestTopic) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 8000
	req.Topics = topics
	return req
}

func assigned(name string, replicas map[int32][]int32) kmsg.CreateTopicsRequestTopic {
	t := newTopic(name, -1, -1)
	for p := range int32(10) {
		if r, ok := replicas[p]; ok {
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition, a.Replicas = p, r
			t.ReplicaAssignment = append(t.ReplicaAssignment, a)
		}
	}
	return t
}

var createTopicsScripts = []Script{
	{API: 19, Name: "good", Run: func(s *Session) {
		s.AskSame("one partition", createTopics(newTopic(s.Fresh("one"), 1, 1)))
		s.AskSame("three with settings", createTopics(newTopic(s.Fresh("three"), 3, 1, "retention.ms", "60000", "cleanup.policy", "compact,delete", "segment.bytes", "1048576")))
		s.AskSame("defaults", createTopics(newTopic(s.Fresh("defaults"), -1, -1)))
		s.AskSame("assigned", createTopics(assigned(s.Fresh("assigned"), map[int32][]int32{0: {0}, 1: {0}})))
		s.AskSame("a setting twice", createTopics(newTopic(s.Fresh("twice"), 1, 1, "retention.ms", "1000", "retention.ms", "2000")))
		s.AskSame("nothing", createTopics())
		s.Ask("metadata of the new", func(*Side) kmsg.Request {
			return metadata(9, false, s.Fresh("three"), s.Fresh("assigned"), s.Fresh("defaults"))
		})
	}},
	{API: 19, Name: "validate only", Min: 1, Run: func(s *Session) {
		req := createTopics(newTopic(s.Fresh("a"), 2, 1, "retention.ms", "5"), newTopic(s.Fresh("b"), 0, 1), newTopic(s.Fresh("c"), 1, 4), newTopic("", 1, 1))
		req.ValidateOnly = true
		s.AskSame("four", req)
		s.Ask("not made", func(*Side) kmsg.Request { return metadata(9, false, s.Fresh("a")) })
	}},
	{API: 19, Name: "no time", Run: func(s *Session) {
		for _, ms := range []int32{0, -1} {
			req := createTopics(newTopic(s.Fresh(fmt.Sprint("t", ms)), 1, 1), newTopic("a b", 1, 1))
			req.TimeoutMillis = ms
			s.AskSame(fmt.Sprint("a timeout of ", ms), req)
			s.Settled(s.Fresh(fmt.Sprint("t", ms)))
		}
	}},
	{API: 19, Name: "a broker that is not there", Run: func(s *Session) { // the topic waits for it, and has no leader
		name := s.Fresh("t")
		req := createTopics(assigned(name, map[int32][]int32{0: {77}, 1: {0}, 2: {77, 0}}))
		req.TimeoutMillis = 500
		s.AskSame("create", req)
		s.AskSame("look", metadata(12, false, name))
		gone := deleteTopics(name)
		gone.TimeoutMillis = 1 // it never is, with a replica there
		s.Do(same(gone))
	}},
	{API: 19, Name: "internal topics", Run: func(s *Session) {
		s.coordinated("g")
		s.AskSame("offsets", createTopics(newTopic("__consumer_offsets", 1, 1)))
	}},
	{API: 19, Name: "bad", Run: func(s *Session) {
		one := s.Create(s.Topic("there"), 1)
		s.Create("d19.c_o", 1)
		bad := map[string]kmsg.CreateTopicsRequestTopic{
			"there already": newTopic(one, 1, 1), "empty name": newTopic("", 1, 1), "dot": newTopic(".", 1, 1), "dots": newTopic("..", 1, 1),
			"blank in the name": newTopic("a b", 1, 1), "long name": newTopic(strings.Repeat("x", 250), 1, 1), "colliding": newTopic("d19_c.o", 1, 1),
			"no partitions": newTopic(s.Fresh("x"), 0, 1), "negative partitions": newTopic(s.Fresh("x"), -2, 1), "no replicas": newTopic(s.Fresh("x"), 1, 0),
			"negative replicas": newTopic(s.Fresh("x"), 1, -3), "too many replicas": newTopic(s.Fresh("x"), 1, 2),
			"null setting": newTopic(s.Fresh("x"), 1, 1, "retention.ms", "null"), "unknown setting": newTopic(s.Fresh("x"), 1, 1, "foo", "1"),
			"not a number": newTopic(s.Fresh("x"), 1, 1, "retention.ms", "abc"), "too small": newTopic(s.Fresh("x"), 1, 1, "segment.bytes", "1"),
			"not in the list": newTopic(s.Fresh("x"), 1, 1, "cleanup.policy", "never"), "bad boolean": newTopic(s.Fresh("x"), 1, 1, "preallocate", "yes"),
			"bad double": newTopic(s.Fresh("x"), 1, 1, "min.cleanable.dirty.ratio", "1.5"), "conflict": newTopic(s.Fresh("x"), 1, 1, "min.compaction.lag.ms", "10", "max.compaction.lag.ms", "5"),
			"remote storage": newTopic(s.Fresh("x"), 1, 1, "remote.storage.enable", "true"), "bad codec": newTopic(s.Fresh("x"), 1, 1, "compression.type", "brotli"),
			"metadata topic": newTopic("__cluster_metadata", 1, 1), "gap in the assignment": assigned(s.Fresh("x"), map[int32][]int32{0: {0}, 2: {0}}),
			"sizes of the assignment": assigned(s.Fresh("x"), map[int32][]int32{0: {0}, 1: {0, 1}}), "a replica twice": assigned(s.Fresh("x"), map[int32][]int32{0: {0, 0}}),
			"assignment from 1": assigned(s.Fresh("x"), map[int32][]int32{1: {0}}),
		}
		both := assigned(s.Fresh("x"), map[int32][]int32{0: {0}})
		both.NumPartitions = 1
		bad["counts and assignment"] = both
		for _, name := range slices.Sorted(maps.Keys(bad)) {
			s.AskSame(name, createTopics(bad[name]))
		}
		s.AskSame("a name twice, and a good one", createTopics(newTopic(s.Fresh("dup"), 1, 1), newTopic(s.Fresh("dup"), 2, 1), newTopic(s.Fresh("good"), 1, 1)))
	}},
}

var topicScripts = []Script{
	{API: 20, Name: "delete", Run: func(s *Session) {
		a, b, c := s.Create(s.Fresh("a"), 1), s.Create(s.Fresh("b"), 3), s.Create(s.Fresh("c"), 1)
		s.AskSame("one", deleteTopics(a))
		s.AskSame("two, unknown, invalid", deleteTopics(b, c, s.Topic("none"), "a b", ""))
		s.AskSame("nothing", deleteTopics())
		d := s.Create(s.Fresh("d"), 1)
		s.AskSame("twice", deleteTopics(d, d))
	}},
	{API: 20, Name: "no time", Run: func(s *Session) {
		for _, ms := range []int32{0, -1} {
			req := deleteTopics(s.Create(s.Fresh(fmt.Sprint("t", ms)), 1), s.Topic("none"))
			req.TimeoutMillis = ms
			s.AskSame(fmt.Sprint("a timeout of ", ms), req)
		}
	}},
	{API: 20, Name: "delete by id", Min: 6, Run: func(s *Session) {
		a := s.Create(s.Fresh("a"), 1)
		b := s.Create(s.Fresh("b"), 1)
		s.Ask("id and name", func(p *Side) kmsg.Request { return deleteID(p.ids[a], str(a)) })
		s.Ask("id", func(p *Side) kmsg.Request { return deleteID(p.ids[b], nil) })
		s.AskSame("unknown id", deleteID([16]byte{7}, nil))
		s.AskSame("neither", deleteID([16]byte{}, nil))
	}},
	{API: 37, Name: "partitions", Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1)
		s.AskSame("to 3", createPartitions(t, 3, false))
		s.Settled(t)
		s.Ask("metadata", func(*Side) kmsg.Request { return metadata(9, false, t) })
		s.AskSame("to 3 again", createPartitions(t, 3, false))
		s.AskSame("to 2", createPartitions(t, 2, false))
		s.AskSame("to 0", createPartitions(t, 0, false))
		s.AskSame("to -1", createPartitions(t, -1, false))
		s.AskSame("validate only", createPartitions(t, 9, true))
		s.AskSame("unknown", createPartitions(s.Topic("none"), 2, false))
		s.AskSame("invalid", createPartitions("a b", 2, false))
		s.AskSame("assigned", createPartitions(t, 5, false, []int32{0}, []int32{0}))
		s.AskSame("too few assignments", createPartitions(t, 7, false, []int32{0}))
		s.AskSame("unknown broker", createPartitions(t, 6, false, []int32{9}))
		s.AskSame("no replicas", createPartitions(t, 6, false, []int32{}))
		s.AskSame("a replica twice", createPartitions(t, 6, false, []int32{0, 0}))
		s.AskSame("another factor", createPartitions(t, 6, false, []int32{0, 1}))
		for _, ms := range []int32{0, -1} {
			none := createPartitions(t, 11+ms, false)
			none.TimeoutMillis = ms
			s.AskSame(fmt.Sprint("a timeout of ", ms), none)
		}
		s.Settled(t)
		dup := createPartitions(t, 8, false)
		dup.Topics = append(dup.Topics, createPartitions(t, 9, false).Topics[0])
		s.AskSame("a topic twice", dup)
	}},
	{API: 43, Name: "elections", Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 2)
		s.AskSame("preferred", elect(0, t, 0, 1))
		s.AskSame("unclean", elect(1, t, 0))
		s.AskSame("unknown type", elect(5, t, 0))
		s.AskSame("unknown partition", elect(0, t, 9))
		s.AskSame("unknown topic", elect(0, s.Topic("none"), 0))
		all := elect(0, t)
		all.Topics = nil
		s.AskSame("all", all)
		twice := elect(0, t, 0, 0, -1)
		twice.Topics = append(twice.Topics, elect(0, t, 1, 0).Topics[0], elect(0, t).Topics[0], elect(0, "a b", 0).Topics[0])
		s.AskSame("repeated", twice)
		quick := elect(0, t, 0)
		quick.TimeoutMillis = 0
		s.AskSame("no time", quick)
		none := elect(0, t)
		none.Topics = []kmsg.ElectLeadersRequestTopic{}
		s.AskSame("none", none)
	}},
	{API: 46, Name: "reassignments", Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 2)
		req := kmsg.NewPtrListPartitionReassignmentsRequest()
		req.TimeoutMillis = 5000
		s.AskSame("all", req)
		rt := kmsg.NewListPartitionReassignmentsRequestTopic()
		rt.Topic, rt.Partitions = t, []int32{0, 7}
		one := kmsg.NewPtrListPartitionReassignmentsRequest()
		one.TimeoutMillis = 5000
		one.Topics = append(one.Topics, rt)
		s.AskSame("one", one)
		twice := kmsg.NewPtrListPartitionReassignmentsRequest()
		twice.Topics = append(twice.Topics, rt, rt)
		s.AskSame("repeated, no time", twice)
		rt.Topic = s.Topic("none")
		none := kmsg.NewPtrListPartitionReassignmentsRequest()
		none.TimeoutMillis = 5000
		none.Topics = append(none.Topics, rt)
		s.AskSame("unknown", none)
	}},
}

func deleteTopics(names ...string) *kmsg.DeleteTopicsRequest {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 8000
	req.TopicNames = names
	for _, n := range names {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = str(n)
		req.Topics = append(req.Topics, t)
	}
	return req
}

func deleteID(id [16]byte, name *string) *kmsg.DeleteTopicsRequest {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 8000
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.TopicID, t.Topic = id, name
	req.Topics = append(req.Topics, t)
	return req
}

func createPartitions(topic string, count int32, validate bool, assignment ...[]int32) *kmsg.CreatePartitionsRequest {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis, req.ValidateOnly = 8000, validate
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, count
	for _, replicas := range assignment {
		a := kmsg.NewCreatePartitionsRequestTopicAssignment()
		a.Replicas = replicas
		t.Assignment = append(t.Assignment, a)
	}
	req.Topics = append(req.Topics, t)
	return req
}

func elect(kind int8, topic string, partitions ...int32) *kmsg.ElectLeadersRequest {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType, req.TimeoutMillis = kind, 5000
	t := kmsg.NewElectLeadersRequestTopic()
	t.Topic, t.Partitions = topic, partitions
	req.Topics = append(req.Topics, t)
	return req
}

var clusterScripts = []Script{
	{API: 60, Name: "cluster", Run: func(s *Session) {
		s.AskSame("plain", kmsg.NewPtrDescribeClusterRequest())
		req := kmsg.NewPtrDescribeClusterRequest()
		req.IncludeClusterAuthorizedOperations = true
		s.AskSame("operations", req)
		if s.V >= 1 {
			for _, e := range []int8{0, 2, 3} {
				req := kmsg.NewPtrDescribeClusterRequest()
				req.EndpointType = e
				s.AskSame(fmt.Sprint("endpoint type ", e), req)
			}
		}
	}},
	{API: 35, Name: "log dirs", Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 2)
		s.Fill(t, 0, batch(spec{count: 3}))
		s.AskSame("a topic", describeLogDirs(t, 0, 1))
		s.AskSame("one partition", describeLogDirs(t, 0))
		s.AskSame("unknown", describeLogDirs(s.Topic("none"), 0))
		s.AskSame("no partitions", describeLogDirs(t))
		twice := describeLogDirs(t, 1, 0, 1, -1)
		twice.Topics = append(twice.Topics, describeLogDirs(t, 0).Topics[0], describeLogDirs("a b", 0).Topics[0])
		s.AskSame("repeated", twice)
		empty := kmsg.NewPtrDescribeLogDirsRequest()
		empty.Topics = []kmsg.DescribeLogDirsRequestTopic{}
		s.AskSame("no topics", empty)
	}},
}

func describeLogDirs(topic string, partitions ...int32) *kmsg.DescribeLogDirsRequest {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	t := kmsg.NewDescribeLogDirsRequestTopic()
	t.Topic, t.Partitions = topic, partitions
	req.Topics = append(req.Topics, t)
	return req
}

var aclScripts = []Script{
	{API: 29, Name: "describe", Run: func(s *Session) {
		req := kmsg.NewPtrDescribeACLsRequest()
		req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = 1, 1, 1, 1
		s.AskSame("any", req)
		req = kmsg.NewPtrDescribeACLsRequest()
		req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = 2, 3, 3, 3
		req.ResourceName, req.Principal, req.Host = str("t"), str("User:a"), str("*")
		s.AskSame("one", req)
		req = kmsg.NewPtrDescribeACLsRequest()
		s.AskSame("all unknown", req)
		req = kmsg.NewPtrDescribeACLsRequest()
		req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = 2, 3, 1, 1
		req.ResourceName, req.Principal, req.Host = str(""), str(""), str("")
		s.AskSame("empty names", req)
	}},
	{API: 30, Name: "create", Run: func(s *Session) {
		req := kmsg.NewPtrCreateACLsRequest()
		s.AskSame("none", req)
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType, c.Principal, c.Host, c.Operation, c.PermissionType = 2, "t", 3, "User:a", "*", 3, 3
		req.Creations = append(req.Creations, c, c)
		s.AskSame("two", req)
		one := kmsg.NewPtrCreateACLsRequest()
		one.Creations = append(one.Creations, c)
		s.AskSame("one", one)
		one.Creations[0].ResourceType, one.Creations[0].Operation = 1, 1
		s.AskSame("one for anything", one)
	}},
	{API: 31, Name: "delete", Run: func(s *Session) {
		req := kmsg.NewPtrDeleteACLsRequest()
		s.AskSame("none", req)
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType = 1, 1, 1, 1
		req.Filters = append(req.Filters, f)
		s.AskSame("any", req)
		req.Filters = append(req.Filters, f)
		s.AskSame("the same twice", req)
		unknown := kmsg.NewPtrDeleteACLsRequest()
		unknown.Filters = append(unknown.Filters, kmsg.NewDeleteACLsRequestFilter())
		s.AskSame("all unknown", unknown)
	}},
}

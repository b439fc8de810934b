package main

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

func describeConfigs(kind int8, name string, keys ...string) *kmsg.DescribeConfigsRequest {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceType(kind), name, keys
	req.Resources = append(req.Resources, r)
	return req
}

const (
	ofTopic  = 2
	ofBroker = 4
	ofLogger = 8
)

func alterConfigs(kind int8, name string, pairs ...string) *kmsg.AlterConfigsRequest {
	req := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(kind), name
	for i := 0; i < len(pairs); i += 2 {
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		c.Name = pairs[i]
		if pairs[i+1] != "null" {
			c.Value = str(pairs[i+1])
		}
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	return req
}

// change is one entry of IncrementalAlterConfigs: op 0 set, 1 delete, 2 append, 3 subtract.
type change struct {
	op          int8
	name, value string
}

func incremental(kind int8, name string, changes ...change) *kmsg.IncrementalAlterConfigsRequest {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(kind), name
	for _, ch := range changes {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op = ch.name, kmsg.IncrementalAlterConfigOp(ch.op)
		if ch.value != "null" {
			c.Value = str(ch.value)
		}
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	return req
}

var configScripts = []Script{
	{API: 32, Name: "describe", Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 1, "retention.ms", "12345", "cleanup.policy", "compact")
		s.AskSame("a topic", describeConfigs(ofTopic, t))
		full := describeConfigs(ofTopic, t)
		full.IncludeSynonyms, full.IncludeDocumentation = true, true
		s.AskSame("a topic with synonyms and documentation", full)
		s.AskSame("two keys", describeConfigs(ofTopic, t, "retention.ms", "segment.bytes"))
		s.AskSame("an unknown key", describeConfigs(ofTopic, t, "foo"))
		none := describeConfigs(ofTopic, t)
		none.Resources[0].ConfigNames = []string{}
		s.AskSame("no keys", none)
		s.AskSame("unknown topic", describeConfigs(ofTopic, s.Topic("none")))
		s.AskSame("invalid topic", describeConfigs(ofTopic, "a b"))
		s.AskSame("topic without a name", describeConfigs(ofTopic, ""))
		for _, kind := range []int8{0, 1, 3, 5, 16, 99} {
			s.AskSame("resource type", describeConfigs(kind, t))
		}
		s.AskSame("a group", describeConfigs(32, t))
		twice := describeConfigs(ofTopic, t, "retention.ms")
		twice.Resources = append(twice.Resources, twice.Resources[0])
		s.AskSame("twice", twice)
	}},
	{API: 32, Name: "describe the broker", Run: func(s *Session) {
		s.AskSame("node 0", describeConfigs(ofBroker, "0"))
		full := describeConfigs(ofBroker, "0")
		full.IncludeSynonyms, full.IncludeDocumentation = true, true
		s.AskSame("node 0 with synonyms and documentation", full)
		s.AskSame("the default", describeConfigs(ofBroker, ""))
		s.AskSame("another node", describeConfigs(ofBroker, "7"))
		s.AskSame("no number", describeConfigs(ofBroker, "x"))
		s.AskSame("some keys", describeConfigs(ofBroker, "0", "num.partitions", "log.retention.ms", "inter.broker.protocol.version", "foo"))
	}},
	{API: 32, Name: "describe loggers", Run: func(s *Session) {
		s.AskSame("another node", describeConfigs(ofLogger, "7"))
		s.AskSame("no name", describeConfigs(ofLogger, ""))
		s.AskSame("the root", describeConfigs(ofLogger, "0", "root"))
		root := describeConfigs(ofLogger, "0", "root")
		root.IncludeSynonyms, root.IncludeDocumentation = true, true
		s.AskSame("the root with documentation", root)
	}},
	{API: 33, Name: "alter", Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1, "retention.ms", "12345")
		look := func() {
			s.Ask("look", same(describeConfigs(ofTopic, t, "retention.ms", "segment.bytes", "cleanup.policy")))
		}
		s.AskSame("set", alterConfigs(ofTopic, t, "segment.bytes", "2000000"))
		look()
		s.AskSame("a null", alterConfigs(ofTopic, t, "segment.bytes", "null"))
		s.AskSame("unknown", alterConfigs(ofTopic, t, "foo", "1"))
		s.AskSame("bad value", alterConfigs(ofTopic, t, "segment.bytes", "x"))
		s.AskSame("nothing", alterConfigs(ofTopic, t))
		look()
		v := alterConfigs(ofTopic, t, "segment.bytes", "3000000")
		v.ValidateOnly = true
		s.AskSame("validate only", v)
		look()
		s.AskSame("unknown topic", alterConfigs(ofTopic, s.Topic("none"), "segment.bytes", "3000000"))
		s.AskSame("no name", alterConfigs(ofTopic, "", "segment.bytes", "3000000"))
		s.AskSame("invalid name", alterConfigs(ofTopic, "a b", "segment.bytes", "3000000"))
		s.AskSame("another broker", alterConfigs(ofBroker, "7", "log.cleaner.threads", "2"))
		s.AskSame("a static setting", alterConfigs(ofBroker, "0", "broker.id", "2"))
		s.AskSame("loggers", alterConfigs(ofLogger, "0", "x", "INFO"))
		s.AskSame("type 1", alterConfigs(1, t, "segment.bytes", "3000000"))
		s.AskSame("a group", alterConfigs(32, t, "consumer.session.timeout.ms", "50000"))
		s.AskSame("type 99", alterConfigs(99, t, "segment.bytes", "3000000"))
		s.AskSame("a key twice", alterConfigs(ofTopic, t, "segment.bytes", "3000000", "segment.bytes", "4000000"))
		look()
	}},
	{API: 33, Name: "a resource twice", Min: 2, Max: 2, Run: func(s *Session) {
		dup := alterConfigs(ofTopic, s.Create(s.Topic("t"), 1), "segment.bytes", "3000000")
		dup.Resources = append(dup.Resources, dup.Resources[0])
		s.AskSame("twice", dup)
	}},
	{API: 44, Name: "incremental", Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1)
		look := func() {
			s.Ask("look", same(describeConfigs(ofTopic, t, "retention.ms", "segment.bytes", "cleanup.policy", "leader.replication.throttled.replicas")))
		}
		s.AskSame("set two", incremental(ofTopic, t, change{0, "retention.ms", "7"}, change{0, "segment.bytes", "2000000"}))
		s.AskSame("delete", incremental(ofTopic, t, change{1, "retention.ms", "null"}))
		s.AskSame("delete what is not set", incremental(ofTopic, t, change{1, "flush.ms", "null"}))
		s.AskSame("append", incremental(ofTopic, t, change{2, "cleanup.policy", "compact"}))
		look()
		s.AskSame("append again", incremental(ofTopic, t, change{2, "cleanup.policy", "compact"}))
		s.AskSame("subtract", incremental(ofTopic, t, change{3, "cleanup.policy", "delete"}))
		look()
		s.AskSame("subtract what is not there", incremental(ofTopic, t, change{3, "cleanup.policy", "delete"}))
		s.AskSame("append to a number", incremental(ofTopic, t, change{2, "retention.ms", "1"}))
		s.AskSame("throttled replicas", incremental(ofTopic, t, change{2, "leader.replication.throttled.replicas", "0:0"}))
		s.AskSame("bad throttled replicas", incremental(ofTopic, t, change{0, "leader.replication.throttled.replicas", "x"}))
		look()
		s.AskSame("unknown operation", incremental(ofTopic, t, change{9, "retention.ms", "1"}))
		s.AskSame("null", incremental(ofTopic, t, change{0, "retention.ms", "null"}))
		s.AskSame("key twice", incremental(ofTopic, t, change{0, "retention.ms", "1"}, change{0, "retention.ms", "2"}))
		s.AskSame("unknown key", incremental(ofTopic, t, change{0, "foo", "1"}))
		s.AskSame("bad value", incremental(ofTopic, t, change{0, "retention.ms", "-2"}))
		s.AskSame("unknown topic", incremental(ofTopic, s.Topic("none"), change{0, "retention.ms", "1"}))
		s.AskSame("no name", incremental(ofTopic, "", change{0, "retention.ms", "1"}))
		s.AskSame("a group", incremental(32, t, change{0, "consumer.session.timeout.ms", "50000"}))
		s.AskSame("type 99", incremental(99, t, change{0, "retention.ms", "1"}))
		s.AskSame("nothing", incremental(ofTopic, t))
		v := incremental(ofTopic, t, change{0, "retention.ms", "99"})
		v.ValidateOnly = true
		s.AskSame("validate only", v)
		dup := incremental(ofTopic, t, change{0, "retention.ms", "99"})
		dup.Resources = append(dup.Resources, dup.Resources[0])
		s.AskSame("a resource twice", dup)
		look()
	}},
	{API: 44, Name: "brokers", Run: func(s *Session) {
		look := func() {
			s.Ask("look", func(*Side) kmsg.Request {
				r := describeConfigs(ofBroker, "0", "log.retention.ms", "num.io.threads", "log.cleaner.threads")
				r.IncludeSynonyms = true
				return r
			})
			s.Ask("look at the default", same(describeConfigs(ofBroker, "")))
		}
		s.AskSame("the default", incremental(ofBroker, "", change{0, "log.retention.ms", "600000000"}))
		s.AskSame("node 0", incremental(ofBroker, "0", change{0, "log.retention.ms", "700000000"}))
		s.SettledConfig("log.retention.ms", "700000000")
		look()
		s.AskSame("another node", incremental(ofBroker, "7", change{0, "log.retention.ms", "7"}))
		s.AskSame("no number", incremental(ofBroker, "x", change{0, "log.retention.ms", "7"}))
		s.AskSame("a static setting", incremental(ofBroker, "0", change{0, "num.partitions", "7"}))
		s.AskSame("unknown setting", incremental(ofBroker, "0", change{0, "foo.bar", "7"}))
		s.AskSame("a setting of each node for all", incremental(ofBroker, "", change{0, "listeners", "PLAINTEXT://:1"}))
		s.AskSame("bad value", incremental(ofBroker, "0", change{0, "num.io.threads", "0"}))
		s.AskSame("take back", incremental(ofBroker, "0", change{1, "log.retention.ms", "null"}))
		s.AskSame("take back the default", incremental(ofBroker, "", change{1, "log.retention.ms", "null"}))
		s.SettledConfig("log.retention.ms", "")
		look()
	}},
	{API: 44, Name: "loggers", Run: func(s *Session) {
		s.AskSame("bad level", incremental(ofLogger, "0", change{0, "kafka.server.KafkaApis", "LOUD"}))
		s.AskSame("bad level of the root", incremental(ofLogger, "0", change{0, "root", "LOUD"}))
		s.AskSame("no logger", incremental(ofLogger, "0", change{0, "no.such.logger", "INFO"}))
		s.AskSame("append", incremental(ofLogger, "0", change{2, "kafka.server.KafkaApis", "INFO"}))
		s.AskSame("delete root", incremental(ofLogger, "0", change{1, "root", "null"}))
		s.AskSame("another node", incremental(ofLogger, "7", change{0, "root", "INFO"}))
	}},
}

// SettledConfig waits until node 0 describes a setting with a dynamic value ("" = with none).
func (s *Session) SettledConfig(name, value string) {
	s.both(func(p *Side) {
		p.until(func() bool {
			req := describeConfigs(ofBroker, "0", name)
			req.Version = 1
			a := p.ask(req)
			if a.Resp == nil || len(a.Resp.(*kmsg.DescribeConfigsResponse).Resources[0].Configs) != 1 {
				return false
			}
			c := a.Resp.(*kmsg.DescribeConfigsResponse).Resources[0].Configs[0]
			if value == "" {
				return c.Source != kmsg.ConfigSourceDynamicBrokerConfig && c.Source != kmsg.ConfigSourceDynamicDefaultBrokerConfig
			}
			return c.Value != nil && *c.Value == value
		})
	})
}

package main

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// oddValues are tried with every setting.
var oddValues = []string{"", " ", "abc", "0", "1", "-1", "-2", " 7 ", "1.5", "true", "TRUE", "2147483647", "2147483648", "-9223372036854775808",
	"9223372036854775807", "9223372036854775808", "1e3", "+5", "0x10", "delete,compact", "delete,,compact", "a,b", "1:1", "*", "all",
	"CreateTime", "gzip", "zstd", "3.0", "PLAINTEXT://:1", "null"}

// brokerValues are dynamic settings of brokers that are tried with odd values. Those whose classes or key stores a Java broker loads
// are left out.
var brokerValues = []string{"advertised.listeners", "background.threads", "compression.type", "compression.gzip.level", "compression.lz4.level",
	"compression.zstd.level", "listeners", "listener.security.protocol.map", "log.cleaner.backoff.ms", "log.cleaner.dedupe.buffer.size", "log.cleaner.delete.retention.ms",
	"log.cleaner.io.buffer.load.factor", "log.cleaner.io.buffer.size", "log.cleaner.io.max.bytes.per.second", "log.cleaner.max.compaction.lag.ms",
	"log.cleaner.min.cleanable.ratio", "log.cleaner.min.compaction.lag.ms", "log.cleaner.threads", "log.cleanup.policy", "log.flush.interval.messages", "log.flush.interval.ms",
	"log.index.interval.bytes", "log.index.size.max.bytes", "log.local.retention.bytes", "log.local.retention.ms", "log.message.downconversion.enable",
	"log.message.timestamp.after.max.ms", "log.message.timestamp.before.max.ms", "log.message.timestamp.difference.max.ms", "log.message.timestamp.type",
	"log.preallocate", "log.retention.bytes", "log.retention.hours", "log.retention.minutes", "log.retention.ms", "log.roll.hours", "log.roll.jitter.hours",
	"log.roll.jitter.ms", "log.roll.ms", "log.segment.bytes", "log.segment.delete.delay.ms", "max.connection.creation.rate", "max.connections",
	"max.connections.per.ip", "max.connections.per.ip.overrides", "message.max.bytes", "min.insync.replicas", "num.io.threads", "num.network.threads",
	"num.recovery.threads.per.data.dir", "num.replica.fetchers", "producer.id.expiration.ms", "transaction.partition.verification.enable",
	"unclean.leader.election.enable", "remote.list.offsets.request.timeout.ms", "remote.log.index.file.cache.total.size.bytes",
	"follower.replication.throttled.rate", "leader.replication.throttled.rate", "replica.alter.log.dirs.io.max.bytes.per.second",
	"listener.name.plaintext.max.connections", "listener.name.plaintext.num.network.threads", "listener.name.other.max.connections", "sasl.enabled.mechanisms", "ssl.protocol"}

var valueScripts = []Script{
	{API: 44, Name: "values of topics", Min: 1, Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 1)
		for name := range settingsOf(s.Kafka, ofTopic, t) {
			s.tryValues(ofTopic, t, name)
		}
	}},
	{API: 44, Name: "values of brokers", Min: 1, Run: func(s *Session) {
		for _, name := range brokerValues {
			s.tryValues(ofBroker, "0", name)
			s.tryValues(ofBroker, "", name)
		}
	}},
	{API: 44, Name: "static settings of brokers", Min: 1, Run: func(s *Session) {
		for name, readOnly := range settingsOf(s.Kafka, ofBroker, "0") {
			if readOnly {
				r := incremental(ofBroker, "0", change{0, name, "1"})
				r.ValidateOnly = true
				s.AskSame(name, r)
			}
		}
	}},
	{API: 33, Name: "values", Min: 2, Run: func(s *Session) {
		for _, name := range []string{"log.retention.ms", "num.io.threads", "log.cleanup.policy", "foo", "broker.id"} {
			for _, v := range oddValues {
				for _, node := range []string{"0", ""} {
					r := alterConfigs(ofBroker, node, name, v)
					r.ValidateOnly = true
					s.AskSame(node+" "+name+" "+v, r)
				}
			}
		}
	}},
	{API: 32, Name: "describe what is set", Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1)
		for name := range settingsOf(s.Kafka, ofTopic, t) {
			for _, v := range []string{"100000000", "true", "0.7", "0:0", "compact", "LogAppendTime", "gzip", "3"} {
				s.Do(same(incremental(ofTopic, t, change{0, name, v})))
			}
		}
		full := describeConfigs(ofTopic, t)
		full.IncludeSynonyms = true
		s.AskSame("all", full)
	}},
}

func (s *Session) tryValues(kind int8, resource, name string) {
	for _, v := range oddValues {
		for _, op := range []int8{0, 2, 3} {
			r := incremental(kind, resource, change{op, name, v})
			r.ValidateOnly = true
			s.AskSame([]string{"set ", "", "append ", "subtract "}[op]+resource+" "+name+" "+v, r)
		}
	}
	r := incremental(kind, resource, change{1, name, "null"})
	r.ValidateOnly = true
	s.AskSame("delete "+name, r)
}

// settingsOf are the names of a resource's settings, and whether they are read-only.
func settingsOf(p *Side, kind int8, resource string) func(func(string, bool) bool) {
	req := describeConfigs(kind, resource)
	req.Version = 1
	a := p.ask(req)
	return func(yield func(string, bool) bool) {
		if a.Resp == nil {
			return
		}
		rows := a.Resp.(*kmsg.DescribeConfigsResponse).Resources[0].Configs
		slices.SortFunc(rows, func(a, b kmsg.DescribeConfigsResponseResourceConfig) int {
			if a.Name < b.Name {
				return -1
			}
			return 1
		})
		for _, c := range rows {
			if !yield(c.Name, c.ReadOnly) {
				return
			}
		}
	}
}

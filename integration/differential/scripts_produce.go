package main

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var codecNames = []string{"none", "gzip", "snappy", "lz4", "zstd"}

var produceScripts = []Script{
	{API: 0, Name: "codecs", Min: 3, Run: func(s *Session) {
		for c := range int8(5) {
			t := s.Create(s.Fresh(codecNames[c]), 1)
			s.AskSame("first "+codecNames[c], produce(t, 0, batch(spec{codec: c, count: 3})))
			s.AskSame("second "+codecNames[c], produce(t, 0, batch(spec{codec: c, count: 2})))
			s.AskFetch("stored", t, 0, 0)
		}
	}},
	{API: 0, Name: "acks", Min: 3, Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1)
		for _, acks := range []int16{0, 1, -1, 2, -2} {
			req := produce(t, 0, batch(spec{}))
			req.Acks = acks
			s.AskSame(fmt.Sprint("acks ", acks), req)
		}
		req := produce(s.Topic("none"), 0, batch(spec{}))
		req.Acks = 0
		s.AskSame("acks 0 to an unknown topic", req)
		s.AskFetch("stored", t, 0, 0)
	}},
	{API: 0, Name: "targets", Min: 3, Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 2)
		s.AskSame("unknown topic", produce(s.Topic("none"), 0, batch(spec{})))
		s.AskSame("empty topic name", produce("", 0, batch(spec{})))
		s.AskSame("invalid topic name", produce("a b", 0, batch(spec{})))
		s.AskSame("unknown partition", produce(t, 9, batch(spec{})))
		s.AskSame("negative partition", produce(t, -1, batch(spec{})))
		s.Do(same(findCoordinator("x")))
		s.Settled("__consumer_offsets")
		s.AskSame("internal topic", produce("__consumer_offsets", 0, batch(spec{})))
		req := produce(t, 0, batch(spec{}))
		req.Topics = append(req.Topics, produce(s.Topic("none"), 1, batch(spec{})).Topics...)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, produce(t, 1, batch(spec{count: 4})).Topics[0].Partitions[0])
		s.AskSame("three partitions, one unknown", req)
		s.AskSame("no topics", kmsgProduce())
		twice := produce(t, 0, batch(spec{count: 2}))
		twice.Topics[0].Partitions = append(twice.Topics[0].Partitions, produce(t, 0, batch(spec{count: 5})).Topics[0].Partitions[0])
		s.AskSame("a partition twice", twice)
		twice = produce(t, 0, batch(spec{count: 2}))
		twice.Topics = append(twice.Topics, produce(t, 1, batch(spec{count: 5})).Topics...)
		s.AskSame("a topic twice", twice)
		s.AskFetch("stored", t, 0, 0)
		s.AskFetch("stored in the other", t, 1, 0)
		hasty := produce(t, 0, batch(spec{}))
		hasty.TimeoutMillis = -1
		s.AskSame("a negative timeout", hasty)
	}},
	{API: 0, Name: "bad batches", Min: 3, Run: func(s *Session) {
		for _, bad := range badBatches() {
			t := s.Create(s.Topic("t"), 1)
			s.AskSame(bad.name, produce(t, 0, bad.records))
		}
	}},
	{API: 0, Name: "null records", Min: 8, Max: 8, Run: func(s *Session) {
		s.AskSame("null", produce(s.Create(s.Fresh("t"), 1), 0, nil))
	}},
	{API: 0, Name: "limits", Min: 3, Run: func(s *Session) {
		small := s.Create(s.Fresh("small"), 1, "max.message.bytes", "1000")
		s.AskSame("larger than max.message.bytes", produce(small, 0, batch(spec{size: 1200})))
		s.AskSame("within", produce(small, 0, batch(spec{size: 500})))
		s.AskSame("compressed within", produce(small, 0, batch(spec{size: 1200, codec: 1})))
		segment := s.Create(s.Fresh("segment"), 1, "segment.bytes", "1024")
		s.AskSame("larger than a segment", produce(segment, 0, batch(spec{size: 1500})))
		clock := s.Create(s.Fresh("clock"), 1, "message.timestamp.before.max.ms", "1000", "message.timestamp.after.max.ms", "1000")
		s.AskSame("too old", produce(clock, 0, batch(spec{count: 2})))
		s.AskSame("too young", produce(clock, 0, batch(spec{ts: 4102444800000})))
	}},
	{API: 0, Name: "topic settings", Min: 3, Run: func(s *Session) {
		appended := s.Create(s.Fresh("append"), 1, "message.timestamp.type", "LogAppendTime")
		s.AskSame("LogAppendTime", produce(appended, 0, batch(spec{count: 3})))
		s.AskSame("LogAppendTime, gzip", produce(appended, 0, batch(spec{count: 3, codec: 1})))
		s.AskFetch("stored", appended, 0, 0)
		compacted := s.Create(s.Fresh("compact"), 1, "cleanup.policy", "compact")
		s.AskSame("with keys", produce(compacted, 0, batch(spec{count: 3})))
		s.AskSame("without keys", produce(compacted, 0, batch(spec{count: 5, noKey: true})))
		s.AskSame("without keys, lz4", produce(compacted, 0, batch(spec{count: 2, noKey: true, codec: 3})))
		for _, codec := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"} {
			t := s.Create(s.Fresh("to-"+codec), 1, "compression.type", codec)
			s.AskSame("plain to "+codec, produce(t, 0, batch(spec{count: 10, size: 50})))
			s.AskSame("lz4 to "+codec, produce(t, 0, batch(spec{count: 10, size: 50, codec: 3})))
			s.AskFetch("stored as "+codec, t, 0, 0)
		}
	}},
	{API: 0, Name: "in-sync replicas", Min: 3, Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1, "min.insync.replicas", "2")
		s.AskSame("more wanted than there are", produce(t, 0, batch(spec{})))
		req := produce(t, 0, batch(spec{}))
		req.Acks = 1
		s.AskSame("not asked for", req)
	}},
	{API: 0, Name: "transactional id", Min: 3, Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1)
		s.AskSame("bit without id", produce(t, 0, batch(spec{attrs: 0x10})))
	}},
}

func kmsgProduce() *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	return req
}

type badBatch struct {
	name    string
	records []byte
}

func badBatches() []badBatch {
	good := batch(spec{count: 3})
	bent := func(at int, v ...byte) []byte {
		b := append([]byte(nil), good...)
		copy(b[at:], v)
		return b
	}
	with := func(f func(*kmsg.RecordBatch)) []byte { return batch(spec{count: 3, mangle: f}) }
	return []badBatch{
		{"empty", []byte{}},
		{"wrong crc", bent(17, 1, 2, 3, 4)},
		{"magic 3", bent(16, 3)},
		{"magic 1 in the place of 2", bent(16, 1)},
		{"two batches", append(append([]byte(nil), good...), good...)},
		{"cut short", good[:len(good)-5]},
		{"only a header", good[:61]},
		{"ten bytes", good[:10]},
		{"length zero", bent(8, 0, 0, 0, 0)},
		{"negative length", bent(8, 0xff, 0xff, 0xff, 0xff)},
		{"length smaller than a header", bent(8, 0, 0, 0, 20)},
		{"junk after the batch", append(append([]byte(nil), good...), 1, 2, 3, 4, 5)},
		{"base offset", with(func(b *kmsg.RecordBatch) { b.FirstOffset = 5 })},
		{"leader epoch", with(func(b *kmsg.RecordBatch) { b.PartitionLeaderEpoch = 7 })},
		{"count too large", with(func(b *kmsg.RecordBatch) { b.NumRecords = 4 })},
		{"count too large, delta too", with(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 4, 3 })},
		{"count too small, delta too", with(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 2, 1 })},
		{"count zero", with(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 0, -1 })},
		{"count negative", with(func(b *kmsg.RecordBatch) { b.NumRecords = -1 })},
		{"delta too large", with(func(b *kmsg.RecordBatch) { b.LastOffsetDelta = 9 })},
		{"control bit", with(func(b *kmsg.RecordBatch) { b.Attributes |= 0x20 })},
		{"unused bits", with(func(b *kmsg.RecordBatch) { b.Attributes |= 0x80 })},
		{"LogAppendTime bit", with(func(b *kmsg.RecordBatch) { b.Attributes |= 8 })},
		{"codec 5", with(func(b *kmsg.RecordBatch) { b.Attributes |= 5 })},
		{"codec 7", with(func(b *kmsg.RecordBatch) { b.Attributes |= 7 })},
		{"gzip that is none", with(func(b *kmsg.RecordBatch) { b.Attributes |= 1 })},
		{"snappy that is none", with(func(b *kmsg.RecordBatch) { b.Attributes |= 2 })},
		{"lz4 that is none", with(func(b *kmsg.RecordBatch) { b.Attributes |= 3 })},
		{"zstd that is none", with(func(b *kmsg.RecordBatch) { b.Attributes |= 4 })},
		{"producer id without sequence", with(func(b *kmsg.RecordBatch) { b.ProducerID, b.ProducerEpoch = 7, 0 })},
		{"records cut", with(func(b *kmsg.RecordBatch) { b.Records = b.Records[:len(b.Records)-4] })},
		{"records with a tail", with(func(b *kmsg.RecordBatch) { b.Records = append(b.Records, 9, 9, 9) })},
		{"record length too large", with(func(b *kmsg.RecordBatch) { b.Records[0] = 0x7e })},
		{"record length negative", with(func(b *kmsg.RecordBatch) { b.Records[0] = 1 })},
		{"offset deltas that repeat", with(func(b *kmsg.RecordBatch) {
			b.Records = append(append([]byte(nil), b.Records[:len(b.Records)/3]...), append(append([]byte(nil), b.Records[:len(b.Records)/3]...), b.Records[:len(b.Records)/3]...)...)
		})},
		{"negative timestamps", with(func(b *kmsg.RecordBatch) { b.FirstTimestamp, b.MaxTimestamp = -5, -3 })},
		{"max timestamp too small", with(func(b *kmsg.RecordBatch) { b.MaxTimestamp-- })},
	}
}

var messageSetScripts = []Script{
	{API: 0, Name: "message sets", Max: 2, Run: func(s *Session) {
		for magic := range int8(2) {
			for c := range int8(4) {
				name := fmt.Sprintf("magic-%d-%s", magic, codecNames[c])
				t := s.Create(s.Fresh(name), 1)
				s.AskSame(name, produce(t, 0, messageSet(magic, c)))
				s.AskSame(name+" again", produce(t, 0, messageSet(magic, c)))
				s.AskFetch("stored "+name, t, 0, 0)
			}
		}
	}},
	{API: 0, Name: "bad message sets", Max: 2, Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1)
		set := messageSet(1, 0)
		bent := func(at int, v ...byte) []byte {
			b := append([]byte(nil), set...)
			copy(b[at:], v)
			return b
		}
		s.AskSame("empty", produce(t, 0, []byte{}))
		s.AskSame("wrong crc", produce(t, 0, bent(12, 1, 2, 3, 4)))
		s.AskSame("cut short", produce(t, 0, set[:len(set)-3]))
		s.AskSame("size zero", produce(t, 0, bent(8, 0, 0, 0, 0)))
		s.AskSame("magic 3", produce(t, 0, bent(16, 3)))
		s.AskSame("magic 2 below v3", produce(t, 0, batch(spec{count: 2})))
		s.AskSame("gzip that is none", produce(t, 0, message(1, 1, 0, nil, []byte("nonsense"))))
		s.AskSame("null value in a wrapper", produce(t, 0, message(1, 1, 0, nil, nil)))
		s.AskSame("zstd", produce(t, 0, message(1, 4, 0, nil, compress(4, set))))
		s.AskSame("mixed magics", produce(t, 0, append(messageSet(1, 0), messageSet(0, 0)...)))
		compacted := s.Create(s.Fresh("compact"), 1, "cleanup.policy", "compact")
		s.AskSame("keyless on a compacted topic", produce(compacted, 0, message(1, 0, 0, nil, []byte("v"))))
		s.AskSame("a null value", produce(compacted, 0, message(1, 0, 0, []byte("k"), nil)))
		append_ := s.Create(s.Fresh("append"), 1, "message.timestamp.type", "LogAppendTime")
		s.AskSame("LogAppendTime", produce(append_, 0, messageSet(1, 1)))
		s.AskFetch("stored", t, 0, 0)
	}},
	{API: 0, Name: "old magic in new versions", Min: 3, Run: func(s *Session) {
		t := s.Create(s.Topic("t"), 1)
		s.AskSame("magic 0", produce(t, 0, messageSet(0, 0)))
		s.AskSame("magic 1", produce(t, 0, messageSet(1, 1)))
	}},
}

var idempotenceScripts = []Script{
	{API: 22, Name: "without transactions", Run: func(s *Session) {
		s.withProducer()
		s.AskSame("first", initProducer())
		s.AskSame("second", initProducer())
	}},
	{API: 22, Name: "with an id and epoch", Min: 3, Run: func(s *Session) {
		s.withProducer()
		req := initProducer()
		req.ProducerID, req.ProducerEpoch = 5, 3
		s.AskSame("id and epoch", req)
		req = initProducer()
		req.ProducerID, req.ProducerEpoch = 5, -1
		s.AskSame("id alone", req)
		req = initProducer()
		req.ProducerEpoch = 4
		s.AskSame("epoch alone", req)
	}},
	{API: 22, Name: "timeouts", Run: func(s *Session) {
		s.withProducer()
		for _, timeout := range []int32{0, -1, 2147483647} {
			req := initProducer()
			req.TransactionTimeoutMillis = timeout
			s.AskSame(fmt.Sprint("timeout ", timeout), req)
		}
	}},
	{API: 22, Name: "empty transactional id", Run: func(s *Session) {
		req := initProducer()
		req.TransactionalID = str("")
		s.AskSame("empty", req)
	}},
	{API: 0, Name: "sequences", Min: 3, Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1)
		s.withProducer()
		type step struct {
			label string
			epoch int16
			seq   int32
			count int
		}
		for _, st := range []step{
			{"first", 0, 0, 3}, {"second", 0, 3, 2}, {"duplicate of the first", 0, 0, 3}, {"duplicate of the second", 0, 3, 2},
			{"a gap", 0, 9, 1}, {"half a duplicate", 0, 0, 2}, {"third", 0, 5, 1}, {"fourth", 0, 6, 1}, {"fifth", 0, 7, 1}, {"sixth", 0, 8, 1},
			{"duplicate beyond the fifth last", 0, 0, 3}, {"new epoch at 5", 1, 5, 1}, {"new epoch at 0", 1, 0, 1}, {"old epoch", 0, 9, 1},
			{"epoch jumps", 5, 0, 1}, {"negative sequence", 5, -1, 1},
		} {
			s.Ask(st.label, func(p *Side) kmsg.Request {
				return produce(t, 0, batch(spec{producer: true, pid: p.vars["pid"].(int64), epoch: st.epoch, seq: st.seq, count: st.count}))
			})
		}
		s.AskFetch("stored", t, 0, 0)
	}},
	{API: 0, Name: "unknown producer", Min: 3, Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1)
		s.withProducer()
		s.Ask("sequence beyond 0", func(p *Side) kmsg.Request {
			return produce(t, 0, batch(spec{producer: true, pid: p.vars["pid"].(int64), seq: 5}))
		})
		s.Ask("sequence at the end of its range", func(p *Side) kmsg.Request {
			return produce(t, 0, batch(spec{producer: true, pid: p.vars["pid"].(int64) + 100000, seq: 2147483646, count: 3}))
		})
		s.Ask("and over it", func(p *Side) kmsg.Request {
			return produce(t, 0, batch(spec{producer: true, pid: p.vars["pid"].(int64) + 100000, seq: 1, count: 2}))
		})
	}},
	{API: 61, Name: "producers", Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 2)
		s.AskSame("none yet", describeProducers(t, 0))
		s.withProducer()
		s.Do(func(p *Side) kmsg.Request {
			return produce(t, 0, batch(spec{producer: true, pid: p.vars["pid"].(int64), count: 3}))
		})
		s.AskSame("one", describeProducers(t, 0))
		s.AskSame("the other partition", describeProducers(t, 1))
		s.AskSame("unknown partition", describeProducers(t, 7))
		s.AskSame("unknown topic", describeProducers(s.Topic("none"), 0))
		twice := describeProducers(t, 1, 1, -1)
		twice.Topics = append(twice.Topics, describeProducers(t, 1).Topics[0], describeProducers(t).Topics[0], describeProducers("a b", 0).Topics[0])
		s.AskSame("repeated", twice)
		s.AskSame("nothing", kmsg.NewPtrDescribeProducersRequest())
	}},
}

func describeProducers(topic string, partitions ...int32) *kmsg.DescribeProducersRequest {
	req := kmsg.NewPtrDescribeProducersRequest()
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = topic, partitions
	req.Topics = append(req.Topics, t)
	return req
}

func initProducer() *kmsg.InitProducerIDRequest {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionTimeoutMillis = 60000
	req.ProducerID, req.ProducerEpoch = -1, -1
	return req
}

// withProducer gives each side's session a producer id. Apache Kafka refuses the first request of all while it fetches its block of
// ids.
func (s *Session) withProducer() {
	s.both(func(p *Side) {
		p.vars["pid"] = int64(1)
		p.until(func() bool {
			req := initProducer()
			req.Version = 4
			a := p.ask(req)
			if a.Resp == nil || a.Resp.(*kmsg.InitProducerIDResponse).ErrorCode != 0 {
				return false
			}
			p.vars["pid"] = a.Resp.(*kmsg.InitProducerIDResponse).ProducerID
			return true
		})
	})
}

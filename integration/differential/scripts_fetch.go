package main

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetch asks for one partition from an offset, waiting 50 ms at most.
func fetch(p *Side, topic string, partition int32, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 50, 1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, p.ids[topic]
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.Partition, fp.FetchOffset, fp.PartitionMaxBytes = partition, offset, 1<<20
	t.Partitions = append(t.Partitions, fp)
	req.Topics = append(req.Topics, t)
	return req
}

// AskFetch compares what is stored from an offset on.
func (s *Session) AskFetch(label, topic string, partition int32, offset int64) {
	s.Ask(label, func(p *Side) kmsg.Request { return fetch(p, topic, partition, offset) })
}

func fetchWith(s *Session, label, topic string, offset int64, change func(r *kmsg.FetchRequest)) {
	s.Ask(label, func(p *Side) kmsg.Request {
		req := fetch(p, topic, 0, offset)
		change(req)
		return req
	})
}

// filled is a topic with a batch of each codec, the same at every version.
func (s *Session) filled() string {
	t := s.Topic("filled")
	_, known := s.Kafka.ids[t]
	s.Create(t, 2)
	if !known {
		for c := range int8(4) {
			s.Fill(t, 0, batch(spec{codec: c, count: 5, ts: epochStart + int64(c)*1000}))
		}
	}
	return t
}

var fetchScripts = []Script{
	{API: 1, Name: "nothing and things twice", Run: func(s *Session) {
		t := s.filled()
		fetchWith(s, "no topics", t, 0, func(r *kmsg.FetchRequest) { r.Topics = []kmsg.FetchRequestTopic{} })
		fetchWith(s, "no partitions", t, 0, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions = []kmsg.FetchRequestTopicPartition{} })
		fetchWith(s, "a partition twice", t, 0, func(r *kmsg.FetchRequest) {
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, r.Topics[0].Partitions[0])
		})
		fetchWith(s, "all twice", t, 0, func(r *kmsg.FetchRequest) { r.Topics = append(r.Topics, r.Topics[0]) })
		if s.V >= 7 {
			fetchWith(s, "nothing, for a session", t, 0, func(r *kmsg.FetchRequest) { r.Topics, r.SessionEpoch = []kmsg.FetchRequestTopic{}, 0 })
		}
	}},
	{API: 1, Name: "offsets", Run: func(s *Session) {
		t := s.filled()
		for _, o := range []int64{0, 3, 5, 12, 19} {
			s.AskFetch(fmt.Sprint("from ", o), t, 0, o)
		}
		s.AskFetch("at the end", t, 0, 20)
		s.AskFetch("beyond the end", t, 0, 21)
		s.AskFetch("before the start", t, 0, -1)
		s.AskFetch("an empty partition", t, 1, 0)
		s.AskFetch("unknown partition", t, 5, 0)
		s.AskFetch("negative partition", t, -1, 0)
		if s.V < 13 {
			s.AskFetch("unknown topic", s.Topic("none"), 0, 0)
			s.AskFetch("empty name", "", 0, 0)
		}
	}},
	{API: 1, Name: "sizes", Run: func(s *Session) {
		t := s.filled()
		fetchWith(s, "a small partition limit", t, 0, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].PartitionMaxBytes = 10 })
		fetchWith(s, "a partition limit of zero", t, 0, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].PartitionMaxBytes = 0 })
		fetchWith(s, "a limit in the middle of a batch", t, 0, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].PartitionMaxBytes = 300 })
		fetchWith(s, "a small limit for all", t, 0, func(r *kmsg.FetchRequest) { r.MaxBytes = 10 })
		fetchWith(s, "a limit of zero for all", t, 0, func(r *kmsg.FetchRequest) { r.MaxBytes = 0 })
		fetchWith(s, "min bytes zero at the end", t, 20, func(r *kmsg.FetchRequest) { r.MinBytes = 0 })
		fetchWith(s, "more min bytes than there are", t, 0, func(r *kmsg.FetchRequest) { r.MinBytes = 1 << 19 })
		fetchWith(s, "a negative partition limit", t, 0, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].PartitionMaxBytes = -1 })
		fetchWith(s, "a negative partition limit at the end", t, 20, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].PartitionMaxBytes = -1 })
		fetchWith(s, "a negative limit for all", t, 0, func(r *kmsg.FetchRequest) { r.MaxBytes = -1 })
		fetchWith(s, "negative min bytes", t, 20, func(r *kmsg.FetchRequest) { r.MinBytes = -1 })
		fetchWith(s, "a negative wait", t, 20, func(r *kmsg.FetchRequest) { r.MaxWaitMillis = -1 })
		for _, second := range []int32{1, 0} {
			s.Ask(fmt.Sprint("partitions 0 and ", second), func(p *Side) kmsg.Request {
				r := fetch(p, t, 0, 0)
				r.Topics[0].Partitions = append(r.Topics[0].Partitions, fetch(p, t, second, 5).Topics[0].Partitions[0])
				return r
			})
		}
		s.Ask("a topic twice", func(p *Side) kmsg.Request {
			r := fetch(p, t, 0, 0)
			r.Topics = append(r.Topics, fetch(p, t, 1, 0).Topics[0])
			return r
		})
		s.AskSame("nothing", func() kmsg.Request {
			r := kmsg.NewPtrFetchRequest()
			r.MaxWaitMillis, r.MaxBytes, r.SessionEpoch = 50, 1000, -1
			return r
		}())
	}},
	{API: 1, Name: "isolation", Min: 4, Run: func(s *Session) {
		t := s.filled()
		fetchWith(s, "read committed", t, 0, func(r *kmsg.FetchRequest) { r.IsolationLevel = 1 })
		fetchWith(s, "read committed at the end", t, 20, func(r *kmsg.FetchRequest) { r.IsolationLevel = 1 })
		fetchWith(s, "level 2", t, 0, func(r *kmsg.FetchRequest) { r.IsolationLevel = 2 })
		fetchWith(s, "level -1", t, 0, func(r *kmsg.FetchRequest) { r.IsolationLevel = -1 })
		s.Ask("level 2 of an unknown partition", func(p *Side) kmsg.Request { r := fetch(p, t, 9, 0); r.IsolationLevel = 2; return r })
		s.Ask("level 2 of nothing", func(p *Side) kmsg.Request { r := fetch(p, t, 9, 0); r.Topics, r.IsolationLevel = nil, 2; return r })
		fetchWith(s, "read committed, unknown partition", t, 0, func(r *kmsg.FetchRequest) { r.IsolationLevel, r.Topics[0].Partitions[0].Partition = 1, 9 })
		fetchWith(s, "read committed beyond the end", t, 30, func(r *kmsg.FetchRequest) { r.IsolationLevel = 1 })
	}},
	{API: 1, Name: "epochs", Min: 9, Run: func(s *Session) {
		t := s.filled()
		for _, e := range []int32{-1, 0, 5, -2} {
			fetchWith(s, fmt.Sprint("leader epoch ", e), t, 0, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].CurrentLeaderEpoch = e })
		}
		if s.V >= 12 {
			for _, e := range []int32{0, 3} {
				fetchWith(s, fmt.Sprint("last fetched epoch ", e), t, 5, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].LastFetchedEpoch = e })
			}
		}
	}},
	{API: 1, Name: "replicas", Run: func(s *Session) {
		t := s.filled()
		for _, id := range []int32{-2, -3, 0, 9} {
			fetchWith(s, fmt.Sprint("replica ", id), t, 0, func(r *kmsg.FetchRequest) {
				if s.V >= 15 {
					r.ReplicaState.ID = id
				} else {
					r.ReplicaID = id
				}
			})
		}
	}},
	{API: 1, Name: "racks", Min: 11, Run: func(s *Session) {
		fetchWith(s, "a rack", s.filled(), 0, func(r *kmsg.FetchRequest) { r.Rack = "r1" })
	}},
	{API: 1, Name: "unknown ids", Min: 13, Run: func(s *Session) {
		t := s.filled()
		fetchWith(s, "unknown", t, 0, func(r *kmsg.FetchRequest) { r.Topics[0].TopicID = [16]byte{9, 9} })
		fetchWith(s, "zero", t, 0, func(r *kmsg.FetchRequest) { r.Topics[0].TopicID = [16]byte{} })
	}},
	{API: 1, Name: "zstd", Run: func(s *Session) {
		t := s.Topic("zstd")
		if _, known := s.Kafka.ids[t]; !known {
			s.Create(t, 1)
			s.Fill(t, 0, batch(spec{codec: 4, count: 3}))
		}
		s.AskFetch("stored by zstd", t, 0, 0)
	}},
	{API: 1, Name: "a topic of zstd", Run: func(s *Session) {
		t := s.Topic("t")
		if _, known := s.Kafka.ids[t]; !known {
			s.Create(t, 1, "compression.type", "zstd")
			s.Fill(t, 0, batch(spec{count: 3}))
		}
		s.AskFetch("from the start", t, 0, 0)
		s.AskFetch("at the end", t, 0, 3)
		s.AskFetch("beyond the end", t, 0, 4)
		s.AskFetch("unknown partition", t, 7, 0)
	}},
	{API: 1, Name: "no down-conversion", Run: func(s *Session) {
		t := s.Topic("t")
		if _, known := s.Kafka.ids[t]; !known {
			s.Create(t, 1, "message.downconversion.enable", "false")
			s.Fill(t, 0, batch(spec{count: 3}))
		}
		s.AskFetch("from the start", t, 0, 0)
		s.AskFetch("at the end", t, 0, 3)
		s.AskFetch("beyond the end", t, 0, 4)
	}},
	{API: 1, Name: "several partitions", Run: func(s *Session) {
		t := s.Topic("t")
		if _, known := s.Kafka.ids[t]; !known {
			s.Create(t, 3, "segment.bytes", "2000", "message.timestamp.type", "LogAppendTime")
			for p := range int32(3) {
				for range 6 {
					s.Fill(t, p, batch(spec{count: 3, size: 200}))
				}
			}
		}
		all := func(limit, each int32) build {
			return func(p *Side) kmsg.Request {
				r := fetch(p, t, 0, 0)
				r.MaxBytes = limit
				r.Topics[0].Partitions = nil
				for id, offset := range []int64{4, 0, 18} {
					part := fetch(p, t, int32(id), offset).Topics[0].Partitions[0]
					part.PartitionMaxBytes = each
					r.Topics[0].Partitions = append(r.Topics[0].Partitions, part)
				}
				return r
			}
		}
		for _, limit := range []int32{10, 700, 800, 1600, 1 << 20} {
			for _, each := range []int32{10, 800, 1 << 20} {
				s.Ask(fmt.Sprint("limit ", limit, ", each ", each), all(limit, each))
			}
		}
		for offset := range int64(19) {
			s.AskFetch(fmt.Sprint("from ", offset), t, 0, offset)
		}
	}},
	{API: 1, Name: "headers and producers for old clients", Run: func(s *Session) {
		t := s.Topic("t")
		if _, known := s.Kafka.ids[t]; !known {
			s.Create(t, 1)
			s.Fill(t, 0, batch(spec{count: 40, size: 100}), batch(spec{count: 2, noKey: true}), batch(spec{count: 30, codec: 1, size: 200}), batch(spec{count: 30, codec: 3, size: 200}))
		}
		for _, o := range []int64{0, 7, 41, 45, 80} {
			s.AskFetch(fmt.Sprint("from ", o), t, 0, o)
			fetchWith(s, fmt.Sprint("a little from ", o), t, o, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].PartitionMaxBytes = 700 })
		}
	}},
}

var fetchSessionScripts = []Script{
	{API: 1, Name: "sessions", Min: 7, Run: func(s *Session) {
		t := s.filled()
		first := s.Ask("open", func(p *Side) kmsg.Request { r := fetch(p, t, 0, 0); r.SessionEpoch = 0; return r })
		session := func(p *Side) int32 {
			if r, ok := first[p].(*kmsg.FetchResponse); ok {
				return r.SessionID
			}
			return 1
		}
		bare := func(p *Side, id, epoch int32) *kmsg.FetchRequest {
			r := kmsg.NewPtrFetchRequest()
			r.MaxWaitMillis, r.MinBytes, r.MaxBytes, r.SessionID, r.SessionEpoch = 50, 1, 1<<20, id, epoch
			return r
		}
		s.Ask("the same again", func(p *Side) kmsg.Request { return bare(p, session(p), 1) })
		s.Ask("moved to the end", func(p *Side) kmsg.Request {
			r := fetch(p, t, 0, 20)
			r.SessionID, r.SessionEpoch = session(p), 2
			return r
		})
		s.Ask("nothing new", func(p *Side) kmsg.Request { return bare(p, session(p), 3) })
		s.Ask("a second partition", func(p *Side) kmsg.Request {
			r := fetch(p, t, 1, 0)
			r.SessionID, r.SessionEpoch = session(p), 4
			return r
		})
		s.Ask("a partition that is not there", func(p *Side) kmsg.Request {
			r := fetch(p, t, 7, 0)
			r.SessionID, r.SessionEpoch = session(p), 5
			return r
		})
		s.Ask("forget it", func(p *Side) kmsg.Request {
			r := bare(p, session(p), 6)
			f := kmsg.NewFetchRequestForgottenTopic()
			f.Topic, f.TopicID, f.Partitions = t, p.ids[t], []int32{7}
			r.ForgottenTopics = append(r.ForgottenTopics, f)
			return r
		})
		s.Ask("an epoch too old", func(p *Side) kmsg.Request { return bare(p, session(p), 3) })
		s.Ask("an epoch too young", func(p *Side) kmsg.Request { return bare(p, session(p), 99) })
		s.Ask("an unknown session", func(p *Side) kmsg.Request { return bare(p, session(p)+12345, 1) })
		s.Ask("a session id without an epoch", func(p *Side) kmsg.Request { return bare(p, 0, 5) })
		s.Ask("close", func(p *Side) kmsg.Request { return bare(p, session(p), -1) })
		s.Ask("after the close", func(p *Side) kmsg.Request { return bare(p, session(p), 7) })
		s.Ask("open with nothing", func(p *Side) kmsg.Request { return bare(p, 0, 0) })
		s.Ask("epoch -2", func(p *Side) kmsg.Request { return bare(p, 0, -2) })
		first = s.Ask("open again", func(p *Side) kmsg.Request {
			r := fetch(p, t, 0, 0)
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, fetch(p, t, 1, 0).Topics[0].Partitions[0])
			r.SessionEpoch = 0
			return r
		})
		s.Ask("forget what is not there", func(p *Side) kmsg.Request {
			r := bare(p, session(p), 1)
			f := kmsg.NewFetchRequestForgottenTopic()
			f.Topic, f.TopicID, f.Partitions = t, p.ids[t], []int32{5, -1}
			r.ForgottenTopics = append(r.ForgottenTopics, f)
			return r
		})
		s.Fill(t, 1, batch(spec{count: 2}))
		s.Ask("a partition has grown", func(p *Side) kmsg.Request { return bare(p, session(p), 2) })
		s.Ask("beyond the end", func(p *Side) kmsg.Request {
			r := fetch(p, t, 1, 1000)
			r.SessionID, r.SessionEpoch = session(p), 3
			return r
		})
		s.Ask("still beyond the end", func(p *Side) kmsg.Request { return bare(p, session(p), 4) })
		s.Ask("forget all", func(p *Side) kmsg.Request {
			r := bare(p, session(p), 5)
			f := kmsg.NewFetchRequestForgottenTopic()
			f.Topic, f.TopicID, f.Partitions = t, p.ids[t], []int32{0, 1}
			r.ForgottenTopics = append(r.ForgottenTopics, f)
			return r
		})
		s.Ask("after all is forgotten", func(p *Side) kmsg.Request { return bare(p, session(p), 6) })
		second := s.Ask("open a third time", func(p *Side) kmsg.Request { r := fetch(p, t, 0, 0); r.SessionEpoch = 0; return r })
		s.Ask("open in place of it", func(p *Side) kmsg.Request {
			r := fetch(p, t, 0, 20)
			r.SessionEpoch = 0
			if opened, ok := second[p].(*kmsg.FetchResponse); ok {
				r.SessionID = opened.SessionID
			}
			return r
		})
		first = second
		s.Ask("the one before", func(p *Side) kmsg.Request { return bare(p, session(p), 1) })
	}},
}

var listOffsetsScripts = []Script{
	{API: 2, Name: "times", Run: func(s *Session) {
		t := s.filled()
		for _, ts := range []int64{-1, -2, -3, -4, -5, -6, 0, epochStart, epochStart + 2, epochStart + 999, epochStart + 1000, epochStart + 3004, epochStart + 3005, 4102444800000} {
			s.AskSame(fmt.Sprint("time ", ts), listOffsets(t, 0, ts))
		}
		s.AskSame("an empty partition", listOffsets(t, 1, -1))
		s.AskSame("an empty partition by time", listOffsets(t, 1, epochStart))
		s.AskSame("the youngest of an empty partition", listOffsets(t, 1, -3))
		s.AskSame("unknown partition", listOffsets(t, 9, -1))
		s.AskSame("unknown topic", listOffsets(s.Topic("none"), 0, -1))
		s.AskSame("invalid topic", listOffsets("a b", 0, -1))
		s.AskSame("nothing", kmsg.NewPtrListOffsetsRequest())
		twice := listOffsets(t, 0, -1)
		twice.Topics[0].Partitions = append(twice.Topics[0].Partitions, twice.Topics[0].Partitions[0])
		s.AskSame("a partition twice", twice)
	}},
	{API: 2, Name: "segments and odd times", Run: func(s *Session) {
		t := s.Topic("t")
		if _, known := s.Kafka.ids[t]; !known {
			s.Create(t, 2, "segment.bytes", "1000", "index.interval.bytes", "100")
			for i := range int64(12) {
				s.Fill(t, 0, batch(spec{count: 4, ts: epochStart + (i*7%12)*1000, codec: int8(i % 4)}))
			}
			s.Fill(t, 1, batch(spec{count: 2}), batch(spec{count: 2, ts: -1, mangle: func(b *kmsg.RecordBatch) { b.FirstTimestamp, b.MaxTimestamp = -1, -1 }}))
		}
		for _, p := range []int32{0, 1} {
			for _, ts := range []int64{-1, -2, -3, -4, 0} {
				s.AskSame(fmt.Sprint("partition ", p, ", time ", ts), listOffsets(t, p, ts))
			}
		}
		for i := range int64(13) {
			s.AskSame(fmt.Sprint("second ", i), listOffsets(t, 0, epochStart+i*1000))
			s.AskSame(fmt.Sprint("behind second ", i), listOffsets(t, 0, epochStart+i*1000+2))
		}
	}},
	{API: 2, Name: "after a deletion", Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1)
		s.Fill(t, 0, batch(spec{count: 4, ts: epochStart + 9000}), batch(spec{count: 4}))
		s.Do(same(deleteRecords(t, 0, 6)))
		for _, ts := range []int64{-1, -2, -3, -4, 0, epochStart, epochStart + 9000} {
			s.AskSame(fmt.Sprint("time ", ts), listOffsets(t, 0, ts))
		}
		s.Do(same(deleteRecords(t, 0, -1)))
		for _, ts := range []int64{-1, -2, -3, -4, 0} {
			s.AskSame(fmt.Sprint("all deleted, time ", ts), listOffsets(t, 0, ts))
		}
	}},
	{API: 2, Name: "many offsets", Max: 1, Run: func(s *Session) {
		if s.V > 0 {
			return
		}
		t := s.filled()
		for _, n := range []int32{0, 1, 10, -1} {
			for _, ts := range []int64{-1, -2, 4102444800000} {
				req := listOffsets(t, 0, ts)
				req.Topics[0].Partitions[0].MaxNumOffsets = n
				s.AskSame(fmt.Sprint(n, " before ", ts), req)
			}
		}
	}},
	{API: 2, Name: "isolation", Min: 2, Run: func(s *Session) {
		t := s.filled()
		for _, ts := range []int64{-1, -2, epochStart + 1000} {
			req := listOffsets(t, 0, ts)
			req.IsolationLevel = 1
			s.AskSame(fmt.Sprint("read committed ", ts), req)
		}
		for _, level := range []int8{2, -1} {
			req := listOffsets(t, 0, -1)
			req.IsolationLevel = level
			s.AskSame(fmt.Sprint("level ", level), req)
			req.ReplicaID = -2
			s.AskSame(fmt.Sprint("level of a debugger ", level), req)
			req = listOffsets(t, 9, -1)
			req.IsolationLevel = level
			s.AskSame(fmt.Sprint("unknown partition, level ", level), req)
		}
	}},
	{API: 2, Name: "epochs and replicas", Min: 4, Run: func(s *Session) {
		t := s.filled()
		for _, e := range []int32{-1, 0, 4, -2} {
			req := listOffsets(t, 0, -1)
			req.Topics[0].Partitions[0].CurrentLeaderEpoch = e
			s.AskSame(fmt.Sprint("epoch ", e), req)
		}
		for _, id := range []int32{-2, 0, 8} {
			req := listOffsets(t, 0, -1)
			req.ReplicaID = id
			s.AskSame(fmt.Sprint("replica ", id), req)
		}
	}},
}

func listOffsets(topic string, partition int32, ts int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp, p.MaxNumOffsets = partition, ts, 1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

var epochScripts = []Script{
	{API: 23, Name: "epochs", Run: func(s *Session) {
		t := s.filled()
		for _, e := range []int32{-1, 0, 1, 7} {
			s.AskSame(fmt.Sprint("end of ", e), epochEnd(t, 0, e, -1))
		}
		s.AskSame("an empty partition", epochEnd(t, 1, 0, -1))
		s.AskSame("unknown partition", epochEnd(t, 9, 0, -1))
		s.AskSame("unknown topic", epochEnd(s.Topic("none"), 0, 0, -1))
		s.AskSame("end of -2", epochEnd(t, 0, -2, -1))
		twice := epochEnd(t, 0, 0, -1)
		twice.Topics[0].Partitions = append(twice.Topics[0].Partitions, twice.Topics[0].Partitions[0])
		s.AskSame("a partition twice", twice)
		s.AskSame("nothing", kmsg.NewPtrOffsetForLeaderEpochRequest())
		for _, e := range []int32{0, 6, -2} {
			s.AskSame(fmt.Sprint("current epoch ", e), epochEnd(t, 0, 0, e))
		}
		req := epochEnd(t, 0, 0, -1)
		req.ReplicaID = 7
		s.AskSame("a replica", req)
	}},
}

func epochEnd(topic string, partition, epoch, current int32) *kmsg.OffsetForLeaderEpochRequest {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	t := kmsg.NewOffsetForLeaderEpochRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.Partition, p.LeaderEpoch, p.CurrentLeaderEpoch = partition, epoch, current
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

var deleteRecordsScripts = []Script{
	{API: 21, Name: "offsets", Run: func(s *Session) {
		t := s.Create(s.Fresh("t"), 1)
		s.Fill(t, 0, batch(spec{count: 10}), batch(spec{count: 10}))
		for _, o := range []int64{0, 5, 3, 12, 21, -2, -1, 20} {
			s.AskSame(fmt.Sprint("before ", o), deleteRecords(t, 0, o))
			s.Ask("start", func(*Side) kmsg.Request { return listOffsets(t, 0, -2) })
		}
		s.AskSame("unknown partition", deleteRecords(t, 4, 0))
		s.AskSame("unknown topic", deleteRecords(s.Topic("none"), 0, 0))
		compacted := s.Create(s.Fresh("compacted"), 1, "cleanup.policy", "compact")
		s.AskSame("compacted", deleteRecords(compacted, 0, 0))
		s.Do(same(findCoordinator("x")))
		s.Settled("__consumer_offsets")
		s.AskSame("internal", deleteRecords("__consumer_offsets", 0, 0))
		s.AskSame("nothing", kmsg.NewPtrDeleteRecordsRequest())
		twice := deleteRecords(t, 0, 20)
		twice.Topics[0].Partitions = append(twice.Topics[0].Partitions, deleteRecords(t, 0, 99).Topics[0].Partitions[0])
		s.AskSame("a partition twice", twice)
		hasty := deleteRecords(t, 0, 20)
		hasty.TimeoutMillis = -1
		s.AskSame("a negative timeout", hasty)
		s.AskFetch("below the start", t, 0, 2)
	}},
}

func deleteRecords(topic string, partition int32, offset int64) *kmsg.DeleteRecordsRequest {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 5000
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic = topic
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

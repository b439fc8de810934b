package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Script is a conversation about one API.
type Script struct {
	API      int16
	Name     string // unique for the API
	Min, Max int16  // versions at which it makes sense; Max 0 = all
	Run      func(s *Session)
}

// Of returns the script with its lowest and highest version.
func (sc Script) Of(lowest, highest int16) Script { sc.Min, sc.Max = lowest, highest; return sc }

// A Session is one run of a script at one version, on both sides.
type Session struct {
	Kafka, Barnabas *Side
	V               int16 // version of the script's API
	script          *Script
	out             *Report
	step            int
}

// Beside is the same script on connections of its own, for a second client. Its questions are compared too.
func (s *Session) Beside() *Session {
	other := *s
	other.Kafka, other.Barnabas = s.Kafka.beside(), s.Barnabas.beside()
	other.step = 100
	return &other
}

// side is this session's side for another session's.
func (s *Session) side(p *Side) *Side {
	if p.Name == s.Kafka.Name {
		return s.Kafka
	}
	return s.Barnabas
}

type build = func(p *Side) kmsg.Request

// both runs f for each side at the same time.
func (s *Session) both(f func(p *Side)) {
	var wg sync.WaitGroup
	for _, p := range []*Side{s.Kafka, s.Barnabas} {
		wg.Go(func() { f(p) })
	}
	wg.Wait()
}

// Ask sends the request to both and compares the answers, which are returned for a script to learn from (nil: no answer).
func (s *Session) Ask(label string, b build) map[*Side]kmsg.Response {
	answers := s.send(b)
	s.compare(label, answers)
	if answers[0].Req.Key() == s.script.API {
		s.out.covers(s, answers[0].Req, answers[0])
	}
	return map[*Side]kmsg.Response{s.Kafka: answers[0].Resp, s.Barnabas: answers[1].Resp}
}

// AskSame is Ask with a request that is the same for both.
func (s *Session) AskSame(label string, req kmsg.Request) map[*Side]kmsg.Response {
	s.setVersion(req)
	return s.Ask(label, func(*Side) kmsg.Request { return req })
}

// Do sends a request whose answers are not compared.
func (s *Session) Do(b build) map[*Side]kmsg.Response {
	answers := s.send(b)
	return map[*Side]kmsg.Response{s.Kafka: answers[0].Resp, s.Barnabas: answers[1].Resp}
}

// AskRaw sends the same whole frame to both; kind is the answer to expect, nil if none.
func (s *Session) AskRaw(label string, kind kmsg.Response, frame []byte) {
	var answers [2]Answer
	s.both(func(p *Side) {
		var resp kmsg.Response
		if kind != nil {
			resp = kmsg.ResponseForKey(kind.Key())
			resp.SetVersion(kind.GetVersion())
		}
		answers[s.index(p)] = p.askRaw(resp, append([]byte(nil), frame...))
	})
	s.compare(label, answers)
	if kind != nil && kind.Key() == s.script.API && kind.GetVersion() == s.V {
		s.out.covers(s, nil, answers[0])
	}
}

func (s *Session) send(b build) [2]Answer {
	var answers [2]Answer
	s.both(func(p *Side) {
		req := b(p)
		s.setVersion(req)
		a := &answers[s.index(p)]
		if r, ok := req.(*kmsg.ProduceRequest); ok && r.Acks == 0 {
			*a = p.askRaw(nil, frameOf(req))
		} else {
			*a = p.ask(req)
		}
		a.Req = req
	})
	return answers
}

func (s *Session) index(p *Side) int {
	if p == s.Kafka {
		return 0
	}
	return 1
}

// A request of the script's API is sent at the session's version, others at helperVersions.
func (s *Session) setVersion(req kmsg.Request) {
	if req.Key() == s.script.API {
		req.SetVersion(s.V)
	} else if v, ok := helperVersions[req.Key()]; ok {
		req.SetVersion(v)
	}
}

// helperVersions are the versions at which other APIs' scripts use an API to prepare or to look: old enough for any broker.
var helperVersions = map[int16]int16{0: 8, 1: 11, 2: 6, 3: 12, 8: 8, 9: 7, 10: 3, 11: 6, 12: 4, 13: 4, 14: 4, 15: 5, 16: 4, 19: 7, 20: 5, 21: 2, 22: 4, 32: 4, 37: 2, 42: 2, 44: 1}

// Topic is a name that only this script uses, the same at every version.
func (s *Session) Topic(suffix string) string {
	clean := strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' || r == '/' {
			return '-'
		}
		return r
	}, s.script.Name)
	return fmt.Sprintf("d%d-%s-%s", s.script.API, clean, suffix)
}

// Fresh is a name that only this script uses, and only at this version.
func (s *Session) Fresh(suffix string) string { return fmt.Sprintf("%s-v%d", s.Topic(suffix), s.V) }

// Create makes a topic on both sides, unless it is there from an earlier version, and waits until it has a leader.
func (s *Session) Create(topic string, partitions int32, configs ...string) string {
	s.both(func(p *Side) {
		if _, ok := p.ids[topic]; ok {
			return
		}
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version, req.TimeoutMillis = 7, 10000
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, 1
		for i := 0; i < len(configs); i += 2 {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = configs[i], kmsg.StringPtr(configs[i+1])
			t.Configs = append(t.Configs, c)
		}
		req.Topics = append(req.Topics, t)
		a := p.ask(req)
		if a.Resp == nil {
			return
		}
		p.ids[topic] = a.Resp.(*kmsg.CreateTopicsResponse).Topics[0].TopicID
		s.settled(p, topic)
	})
	return topic
}

// settled waits until every partition of a topic has a leader and that leader answers ListOffsets.
func (s *Session) settled(p *Side, topic string) { p.until(func() bool { return leads(p, topic) }) }

// until polls a side; a side that never gets there shows in the comparisons that follow.
func (p *Side) until(ok func() bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline) && !ok(); <-tick.C {
	}
}

func leads(p *Side, topic string) bool {
	md := kmsg.NewPtrMetadataRequest()
	md.Version = 9
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(topic)
	md.Topics = append(md.Topics, t)
	a := p.ask(md)
	if a.Resp == nil || len(a.Resp.(*kmsg.MetadataResponse).Topics) != 1 {
		return false
	}
	found := a.Resp.(*kmsg.MetadataResponse).Topics[0]
	lo := kmsg.NewPtrListOffsetsRequest()
	lo.Version = 6
	lt := kmsg.NewListOffsetsRequestTopic()
	lt.Topic = topic
	for _, part := range found.Partitions {
		lp := kmsg.NewListOffsetsRequestTopicPartition()
		lp.Partition, lp.Timestamp = part.Partition, -1
		lt.Partitions = append(lt.Partitions, lp)
	}
	lo.Topics = append(lo.Topics, lt)
	a = p.ask(lo)
	if found.ErrorCode != 0 || a.Resp == nil {
		return false
	}
	for _, part := range a.Resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions {
		if part.ErrorCode != 0 {
			return false
		}
	}
	return true
}

// Fill appends record batches to a partition on both sides.
func (s *Session) Fill(topic string, partition int32, batches ...[]byte) {
	for _, b := range batches {
		s.both(func(p *Side) {
			req := produce(topic, partition, b)
			req.Version = 8
			p.ask(req)
		})
	}
}

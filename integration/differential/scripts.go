package main

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var scriptTable = concat(metadataScripts, apiVersionsScripts, produceScripts, messageSetScripts, idempotenceScripts, fetchScripts, fetchSessionScripts,
	listOffsetsScripts, epochScripts, deleteRecordsScripts, createTopicsScripts, topicScripts, configScripts, valueScripts, clusterScripts, aclScripts,
	coordinatorScripts, memberScripts, consumerScripts, offsetScripts, groupAdminScripts, frameScripts())

func scripts() []Script { return scriptTable }

func concat(families ...[]Script) []Script {
	var all []Script
	for _, f := range families {
		all = append(all, f...)
	}
	return all
}

func str(s string) *string { return kmsg.StringPtr(s) }

// same builds the same request for both sides.
func same(req kmsg.Request) build { return func(*Side) kmsg.Request { return req } }

// framedAPIs are the APIs whose frames are bent by frameScripts.
var framedAPIs = []int16{0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 29, 30, 31, 32, 33, 35, 37, 42, 43, 44, 46, 47, 60, 61, 68, 69}

// frameScripts send each API's frame cut within the header and within the body, and with bytes after its end.
func frameScripts() []Script {
	var all []Script
	for _, api := range framedAPIs {
		all = append(all, Script{API: api, Name: "frames", Run: func(s *Session) {
			req := kmsg.RequestForKey(api)
			req.SetVersion(s.V)
			switch r := req.(type) {
			case *kmsg.ProduceRequest:
				r.Acks = -1
			case *kmsg.OffsetFetchRequest: // Apache Kafka never answers one without groups
				r.Groups = offsetFetch("g", "t").Groups
			}
			resp := req.ResponseKind()
			resp.SetVersion(s.V)
			whole := frameOf(req)
			s.AskRaw("header cut before the client id", resp, resize(whole[:12]))
			body := len(req.AppendTo(nil))
			if body > 0 {
				s.AskRaw("body cut by a byte", resp, resize(whole[:len(whole)-1]))
				s.AskRaw("no body", resp, resize(whole[:len(whole)-body]))
			}
			if api != 11 && api != 1 { // an empty JoinGroup is answered by a rebalance, an empty Fetch by waiting
				s.AskRaw("bytes after the body", resp, resize(append(whole[:len(whole):len(whole)], 1, 2, 3)))
			}
		}})
	}
	return append(all, Script{API: 18, Name: "odd frames", Run: func(s *Session) {
		resp := kmsg.NewPtrApiVersionsResponse()
		s.AskRaw("size zero", resp, []byte{0, 0, 0, 0})
		s.AskRaw("negative size", resp, []byte{0xff, 0xff, 0xff, 0xff})
		s.AskRaw("size beyond the limit", resp, []byte{0x7f, 0xff, 0xff, 0xff, 0, 18, 0, 0})
		s.AskRaw("three bytes", resp, []byte{0, 0, 0, 3, 0, 18, 0})
		s.AskRaw("header cut before the client id", resp, []byte{0, 0, 0, 8, 0, 18, 0, 0, 0, 0, 0, 77})
		s.AskRaw("client id longer than the frame", resp, []byte{0, 0, 0, 12, 0, 18, 0, 0, 0, 0, 0, 77, 0, 90, 'a', 'b'})
		s.AskRaw("null client id", resp, []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 77, 0xff, 0xff})
		s.AskRaw("unknown api key", resp, resize([]byte{0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0, 77, 0xff, 0xff}))
		s.AskRaw("negative api key", resp, resize([]byte{0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 77, 0xff, 0xff}))
		s.AskRaw("version of Metadata beyond all", resp, resize([]byte{0, 0, 0, 0, 0, 3, 0, 99, 0, 0, 0, 77, 0xff, 0xff}))
		s.AskRaw("negative version of Metadata", resp, resize([]byte{0, 0, 0, 0, 0, 3, 0xff, 0xff, 0, 0, 0, 77, 0xff, 0xff}))
		s.AskRaw("a request line of HTTP", resp, []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	}}.Of(0, 0))
}

// resize sets the size of a frame to what follows it.
func resize(frame []byte) []byte {
	b := append([]byte(nil), frame...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

var apiVersionsScripts = []Script{
	{API: 18, Name: "answer", Run: func(s *Session) { s.AskSame("a well-known client", apiVersions("apache-kafka-java", "3.9.2")) }},
	{API: 18, Name: "names", Min: 3, Run: func(s *Session) {
		for _, n := range [][2]string{{"", ""}, {"a", ""}, {"-a", "1"}, {"a-", "1"}, {"a b", "1"}, {"a", "1.0-x"}, {"ä", "1"}} {
			s.AskSame("client "+n[0]+" "+n[1], apiVersions(n[0], n[1]))
		}
	}},
	{API: 18, Name: "unknown version", Max: 0, Run: func(s *Session) {
		if s.V > 0 {
			return
		}
		for _, v := range []int16{99, 32767, -1} {
			req := []byte{0, 0, 0, 0, 0, 18, byte(uint16(v) >> 8), byte(v), 0, 0, 0, correlation, 0xff, 0xff}
			s.AskRaw(fmt.Sprint("version ", v), kmsg.NewPtrApiVersionsResponse(), resize(req))
			s.AskRaw(fmt.Sprint("with tags, version ", v), kmsg.NewPtrApiVersionsResponse(), resize(append(req, 0)))
		}
	}},
	{API: 18, Name: "twice", Run: func(s *Session) {
		s.AskSame("first", apiVersions("x", "1"))
		s.AskSame("second", apiVersions("x", "1"))
		s.AskSame("third", apiVersions("y", "2"))
	}},
}

func apiVersions(name, version string) *kmsg.ApiVersionsRequest {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = name, version
	return req
}

var metadataScripts = []Script{
	{API: 3, Name: "topics", Run: func(s *Session) {
		one := s.Create(s.Topic("one"), 1)
		three := s.Create(s.Topic("three"), 3)
		s.AskSame("no topics", metadata(s.V, false))
		s.AskSame("one", metadata(s.V, false, one))
		s.AskSame("two and one twice", metadata(s.V, false, three, one, one))
		if s.V >= 4 { // before, asking creates
			s.AskSame("unknown, not created", metadata(s.V, false, s.Topic("none")))
		}
		for _, bad := range []string{"", ".", "..", "a b", "x/y", "ü"} {
			s.AskSame("invalid name "+bad, metadata(s.V, true, bad))
		}
	}},
	{API: 3, Name: "all topics", Run: func(s *Session) {
		s.Create(s.Topic("t"), 2)
		all := kmsg.NewPtrMetadataRequest()
		all.IncludeTopicAuthorizedOperations, all.IncludeClusterAuthorizedOperations = s.V >= 8, s.V >= 8 && s.V <= 10
		s.AskSame("all", all)
	}},
	{API: 3, Name: "authorized operations", Min: 8, Run: func(s *Session) {
		one := s.Create(s.Topic("one"), 1)
		req := metadata(s.V, false, one, s.Topic("none"))
		req.IncludeTopicAuthorizedOperations, req.IncludeClusterAuthorizedOperations = true, true
		s.AskSame("asked for", req)
	}},
	{API: 3, Name: "internal topic", Run: func(s *Session) {
		s.Do(same(findCoordinator("x")))
		s.Settled("__consumer_offsets")
		s.AskSame("offsets", metadata(s.V, false, "__consumer_offsets"))
	}},
	{API: 3, Name: "auto creation", Run: func(s *Session) {
		name := s.Fresh("made")
		s.Do(same(metadata(s.V, true, name)))
		s.Settled(name)
		s.AskSame("afterwards", metadata(s.V, false, name))
		s.AskSame("a colliding name", metadata(s.V, true, "d3.collide_x"))
		s.Settled("d3.collide_x")
		s.AskSame("collides", metadata(s.V, true, "d3_collide_x"))
	}},
	{API: 3, Name: "ids", Min: 10, Run: func(s *Session) {
		one := s.Create(s.Topic("one"), 1)
		s.Ask("by id", func(p *Side) kmsg.Request { return metadataID(p.ids[one], nil) })
		s.Ask("by id and another name", func(p *Side) kmsg.Request { return metadataID(p.ids[one], str("other")) })
		s.AskSame("unknown id", metadataID([16]byte{1, 2, 3}, nil))
		s.AskSame("neither", metadataID([16]byte{}, nil))
	}},
}

func metadata(version int16, create bool, topics ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = create
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, t := range topics {
		mt := kmsg.NewMetadataRequestTopic()
		mt.Topic = str(t)
		req.Topics = append(req.Topics, mt)
	}
	if version == 0 && len(topics) == 0 { // v0's empty list means all: other scripts' topics
		return metadata(0, false, "d3-none-at-all")
	}
	return req
}

func metadataID(id [16]byte, name *string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.TopicID, t.Topic = id, name
	req.Topics = append(req.Topics, t)
	return req
}

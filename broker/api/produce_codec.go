package api

import (
	"encoding/binary"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceRequest is a Produce request with its response, in memory that is used again once the response is written:
// producing is what a broker does most, and what it allocates for each request shows in its tail latencies.
type produceRequest struct {
	kmsg.ProduceRequest
	images Images // has the strings of topics' names
	// partitions are those of all topics, one after the other, if the request was read by hand.
	partitions []kmsg.ProduceRequestTopicPartition
	response   produceResponse
}

// produceResponse is the response of a produceRequest. AppendTo is its end.
type produceResponse struct {
	kmsg.ProduceResponse
	partitions []kmsg.ProduceResponseTopicPartition // of all topics
	request    *produceRequest
}

var produceRequests = sync.Pool{New: func() any {
	r := &produceRequest{}
	r.response.request = r
	return r
}}

// newProduceRequest takes one that is not in use.
func (d *Data) newProduceRequest() kmsg.Request {
	r := produceRequests.Get().(*produceRequest)
	r.images = d.Images
	return r
}

// dropRecords lets go of the connection's buffer, before the answer waits.
func (r *produceRequest) dropRecords() {
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			r.Topics[i].Partitions[j].Records = nil
		}
	}
	for i := range r.partitions { // those of the request as it was, where partitions came twice
		r.partitions[i].Records = nil
	}
}

// free ends the use of the request and its response.
func (r *produceRequest) free() {
	clear(r.partitions) // they point to the connection's buffer
	r.ProduceRequest = kmsg.ProduceRequest{Topics: r.Topics[:0]}
	a := &r.response
	a.ProduceResponse = kmsg.ProduceResponse{Topics: a.Topics[:0]}
	produceRequests.Put(r)
}

// Key and MaxVersion do without a request, for the table of routes.
func (*produceRequest) Key() int16        { return (*kmsg.ProduceRequest)(nil).Key() }
func (*produceRequest) MaxVersion() int16 { return (*kmsg.ProduceRequest)(nil).MaxVersion() }

// ReadFrom reads a request's body. The usual forms are read by hand; the rest is kmsg's.
func (r *produceRequest) ReadFrom(body []byte) error {
	if r.readUsual(body) {
		return nil
	}
	r.ProduceRequest = kmsg.ProduceRequest{Version: r.Version}
	return r.ProduceRequest.ReadFrom(body)
}

// readUsual reads a request without a transaction, tags and nulls; false when it is not one.
func (r *produceRequest) readUsual(body []byte) bool {
	c := fields{b: body, flexible: r.Version >= 9}
	if r.Version >= 3 {
		c.noString() // transactional id
	}
	r.Acks, r.TimeoutMillis = c.int16(), c.int32()
	r.Topics, r.partitions = r.Topics[:0], r.partitions[:0]
	for range c.count() {
		var t kmsg.ProduceRequestTopic
		if r.Version >= 13 {
			copy(t.TopicID[:], c.span(len(t.TopicID)))
		} else {
			t.Topic = topicString(r.images, c.string())
		}
		from := len(r.partitions)
		for range c.count() {
			r.partitions = append(r.partitions, kmsg.ProduceRequestTopicPartition{Partition: c.int32(), Records: c.bytes()})
			if c.noTags(); c.odd {
				return false
			}
		}
		t.Partitions = r.partitions[from:len(r.partitions):len(r.partitions)]
		r.Topics = append(r.Topics, t)
		if c.noTags(); c.odd {
			return false
		}
	}
	c.noTags()
	return c.done()
}

// respond makes room for the answers: one for each partition of the request.
func (r *produceRequest) respond() *produceResponse {
	a := &r.response
	a.Version = r.Version
	n := 0
	for i := range r.Topics {
		n += len(r.Topics[i].Partitions)
	}
	a.Topics = resize(a.Topics, len(r.Topics))
	a.partitions = resize(a.partitions, n)
	rest := a.partitions
	for i := range r.Topics {
		rt, at := &r.Topics[i], &a.Topics[i]
		n := len(rt.Partitions)
		*at = kmsg.ProduceResponseTopic{Topic: rt.Topic, TopicID: rt.TopicID, Partitions: rest[:n:n]}
		rest = rest[n:]
		for j := range at.Partitions {
			ap := &at.Partitions[j]
			*ap = kmsg.ProduceResponseTopicPartition{Partition: rt.Partitions[j].Partition}
			ap.Default()
			ap.BaseOffset, ap.LogAppendTime, ap.LogStartOffset = -1, -1, -1
		}
	}
	return a
}

// resize gives a slice of n elements, the same one if it is large enough, whose elements are anything.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// AppendTo writes the response, which must not be used any more.
func (a *produceResponse) AppendTo(dst []byte) []byte {
	dst = a.append(dst)
	a.request.free()
	return dst
}

func (a *produceResponse) append(b []byte) []byte {
	flexible := a.Version >= 9
	b = appendCount(b, len(a.Topics), flexible)
	for i := range a.Topics {
		t := &a.Topics[i]
		if a.Version >= 13 {
			b = append(b, t.TopicID[:]...)
		} else {
			b = appendString(b, t.Topic, flexible)
		}
		b = appendCount(b, len(t.Partitions), flexible)
		for j := range t.Partitions {
			b = a.appendPartition(b, &t.Partitions[j])
		}
		if flexible {
			b = append(b, 0)
		}
	}
	if a.Version >= 1 {
		b = binary.BigEndian.AppendUint32(b, uint32(a.ThrottleMillis))
	}
	if flexible {
		b = appendLeaders(b, a.Brokers)
	}
	return b
}

func (a *produceResponse) appendPartition(b []byte, p *kmsg.ProduceResponseTopicPartition) []byte {
	flexible := a.Version >= 9
	b = binary.BigEndian.AppendUint32(b, uint32(p.Partition))
	b = binary.BigEndian.AppendUint16(b, uint16(p.ErrorCode))
	b = binary.BigEndian.AppendUint64(b, uint64(p.BaseOffset))
	if a.Version >= 2 {
		b = binary.BigEndian.AppendUint64(b, uint64(p.LogAppendTime))
	}
	if a.Version >= 5 {
		b = binary.BigEndian.AppendUint64(b, uint64(p.LogStartOffset))
	}
	if a.Version >= 8 {
		b = appendCount(b, len(p.ErrorRecords), flexible)
		for i := range p.ErrorRecords {
			e := &p.ErrorRecords[i]
			b = binary.BigEndian.AppendUint32(b, uint32(e.RelativeOffset))
			if b = appendNullable(b, e.ErrorMessage, flexible); flexible {
				b = append(b, 0)
			}
		}
		b = appendNullable(b, p.ErrorMessage, flexible)
	}
	switch l := p.CurrentLeader; {
	case !flexible:
	case l.LeaderID != -1 || l.LeaderEpoch != -1:
		b = append(b, 1, 0, 4+4+1) // one tag, its number, its size
		b = binary.BigEndian.AppendUint32(b, uint32(l.LeaderID))
		b = binary.BigEndian.AppendUint32(b, uint32(l.LeaderEpoch))
		b = append(b, 0)
	default:
		b = append(b, 0)
	}
	return b
}

func appendNullable(b []byte, s *string, flexible bool) []byte {
	switch {
	case s != nil:
		return appendString(b, *s, flexible)
	case flexible:
		return append(b, 0)
	}
	return append(b, 0xff, 0xff)
}

// appendLeaders writes the tags of a response of Produce or Fetch: the endpoints of the leaders that its partitions name
// (KIP-951).
func appendLeaders(b []byte, brokers []kmsg.ProduceResponseBroker) []byte {
	if len(brokers) == 0 {
		return append(b, 0)
	}
	field := appendCount(nil, len(brokers), true)
	for _, n := range brokers {
		field = binary.BigEndian.AppendUint32(field, uint32(n.NodeID))
		field = appendString(field, n.Host, true)
		field = binary.BigEndian.AppendUint32(field, uint32(n.Port))
		field = append(appendNullable(field, n.Rack, true), 0)
	}
	b = append(b, 1, 0)
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}

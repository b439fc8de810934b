package api

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchRequest is a Fetch request in memory that is used again once the handler has returned.
type fetchRequest struct {
	kmsg.FetchRequest
	images     Images                            // has the strings of topics' names
	partitions []kmsg.FetchRequestTopicPartition // of all topics, if the request was read by hand
}

var fetchRequests = sync.Pool{New: func() any { return new(fetchRequest) }}

// newFetchRequest takes one that is not in use.
func (d *Data) newFetchRequest() kmsg.Request {
	r := fetchRequests.Get().(*fetchRequest)
	r.images = d.Images
	return r
}

// free ends the use of the request.
func (r *fetchRequest) free() { fetchRequests.Put(r) }

// Key and MaxVersion do without a request, for the table of routes.
func (*fetchRequest) Key() int16        { return (*kmsg.FetchRequest)(nil).Key() }
func (*fetchRequest) MaxVersion() int16 { return (*kmsg.FetchRequest)(nil).MaxVersion() }

// ReadFrom reads a request's body. The usual forms are read by hand; the rest is kmsg's.
func (r *fetchRequest) ReadFrom(body []byte) error {
	if r.readUsual(body) {
		return nil
	}
	r.FetchRequest = kmsg.FetchRequest{Version: r.Version}
	return r.FetchRequest.ReadFrom(body)
}

// readUsual reads a consumer's request, which has no tags, nor has it partitions to forget; false when it is not one.
func (r *fetchRequest) readUsual(body []byte) bool {
	c := fields{b: body, flexible: r.Version >= 12}
	r.FetchRequest = kmsg.FetchRequest{Version: r.Version, Topics: r.Topics[:0]}
	r.Default()
	if r.Version <= 14 {
		r.ReplicaID = c.int32()
	}
	r.MaxWaitMillis, r.MinBytes = c.int32(), c.int32()
	if r.Version >= 3 {
		r.MaxBytes = c.int32()
	}
	if r.Version >= 4 {
		r.IsolationLevel = c.int8()
	}
	if r.Version >= 7 {
		r.SessionID, r.SessionEpoch = c.int32(), c.int32()
	}
	r.partitions = r.partitions[:0]
	for range c.count() {
		var t kmsg.FetchRequestTopic
		if r.Version >= 13 {
			copy(t.TopicID[:], c.span(len(t.TopicID)))
		} else {
			t.Topic = topicString(r.images, c.string())
		}
		from := len(r.partitions)
		for range c.count() {
			r.partitions = append(r.partitions, r.readPartition(&c))
			if c.odd {
				return false
			}
		}
		t.Partitions = r.partitions[from:len(r.partitions):len(r.partitions)]
		r.Topics = append(r.Topics, t)
		if c.noTags(); c.odd {
			return false
		}
	}
	if r.Version >= 7 && c.count() > 0 {
		return false
	}
	if r.Version >= 11 {
		r.Rack = string(c.string())
	}
	c.noTags()
	return c.done()
}

func (r *fetchRequest) readPartition(c *fields) kmsg.FetchRequestTopicPartition {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition = c.int32()
	if r.Version >= 9 {
		p.CurrentLeaderEpoch = c.int32()
	}
	p.FetchOffset = c.int64()
	if r.Version >= 12 {
		p.LastFetchedEpoch = c.int32()
	}
	if r.Version >= 5 {
		p.LogStartOffset = c.int64()
	}
	p.PartitionMaxBytes = c.int32()
	c.noTags()
	return p
}

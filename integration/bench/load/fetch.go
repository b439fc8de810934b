package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record"
)

// reader fetches one partition, without a session.
type reader struct {
	c        *connection
	frame    []byte
	offsetAt int // of the fetch offset in the frame
	headerAt int // of the partition's fields in an answer
}

func newReader(addr, topic string, limit, minBytes int, wait time.Duration) (*reader, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = fetchVersion, int32(wait.Milliseconds()), int32(minBytes), int32(limit)
	t, p := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LogStartOffset = 0x0102030405060708, int32(limit), -1, -1
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	r := &reader{c: c, frame: frame(req), headerAt: 4 + 4 + 2 + 4 + 4 + 2 + len(topic) + 4}
	for at := range len(r.frame) - 8 {
		if binary.BigEndian.Uint64(r.frame[at:]) == uint64(p.FetchOffset) {
			r.offsetAt = at
		}
	}
	return r, nil
}

// ask sends the request for an offset.
func (r *reader) ask(offset int64) error {
	binary.BigEndian.PutUint64(r.frame[r.offsetAt:], uint64(offset))
	return r.c.send(r.frame)
}

// answer is the records that came and the high watermark.
func (r *reader) answer() (records []byte, watermark int64, err error) {
	b, err := r.c.receive()
	if err != nil {
		return nil, 0, err
	}
	if len(b) < r.headerAt+6+24+4 {
		return nil, 0, fmt.Errorf("an answer of %d bytes", len(b))
	}
	if err := kerr.ErrorForCode(int16(binary.BigEndian.Uint16(b[8:]))); err != nil {
		return nil, 0, err
	}
	p := b[r.headerAt:]
	if err := kerr.ErrorForCode(int16(binary.BigEndian.Uint16(p[4:]))); err != nil {
		return nil, 0, err
	}
	watermark = int64(binary.BigEndian.Uint64(p[6:]))
	aborted := int(int32(binary.BigEndian.Uint32(p[30:])))
	p = p[34+max(aborted, 0)*16+4:]
	n := int(int32(binary.BigEndian.Uint32(p)))
	return p[4 : 4+max(n, 0)], watermark, nil
}

// fetch reads a log that it fills first.
func fetch(o *options) (*result, error) {
	if err := makeTopic(o.addr, o.topic, 1); err != nil {
		return nil, err
	}
	if err := fill(o); err != nil {
		return nil, err
	}
	r, err := newReader(o.addr, o.topic, o.max, 1, patience)
	if err != nil {
		return nil, err
	}
	defer r.c.Close()
	var records, bytes, answers, offset int64
	var took times
	m := measure(o.pid)
	for time.Since(m.began) < o.duration {
		began := time.Now()
		if err := r.ask(offset); err != nil {
			return nil, err
		}
		b, watermark, err := r.answer()
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
		from := offset
		for {
			entry, rest, err := record.Next(b)
			if err != nil {
				break // the rest of a batch that is fetched again
			}
			offset, b = record.Batch(entry).LastOffset()+1, rest
			bytes += int64(len(entry))
		}
		if offset == from {
			return nil, fmt.Errorf("no whole batch at offset %d", offset)
		}
		records += offset - from
		answers++
		if offset >= watermark {
			offset = 0
		}
	}
	out := &result{}
	m.moved(out, records, bytes)
	out.add("requests", float64(answers)/time.Since(m.began).Seconds(), "1/s")
	took.percentiles(out, "")
	return out, nil
}

// fill appends batches until the log has the size that was asked for.
func fill(o *options) error {
	c, err := dial(o.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	batch := batchOf(o.batch, o.record)
	s := &stream{c: c, topic: o.topic, frame: produceFrame(o.topic, 0, 1, batch)}
	if s.run(1, time.Now().Add(patience), 1); s.err != nil {
		return s.err
	}
	first, err := produced(c.in, o.topic)
	if err != nil {
		return err
	}
	have := first / int64(batch.Count()) * int64(len(batch))
	if more := (o.bytes - have) / int64(len(batch)); more > 0 {
		s.run(o.inFlight, time.Now().Add(10*patience), more)
	}
	return s.err
}

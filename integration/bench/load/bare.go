package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record"
)

// kept is how many batches a bare partition holds for a reader that is behind.
const kept = 4096

// bare is a broker of one partition without a disk, for pace: whatever is produced is numbered and handed to the fetch that waits.
// What pace measures against it is the price of the sockets, the wake-ups and the load itself.
type bare struct {
	mu      sync.Mutex
	next    int64           // the offset of the next batch; each has one record
	batches [kept][]byte    // offset o is at o % kept
	waiting *fetchInWaiting // at most one
}

// fetchInWaiting is a fetch at the end of the log.
type fetchInWaiting struct {
	c           *connection
	correlation int32
	topic       string
}

// serveBare prints its address when it listens, and answers until it is killed.
func serveBare(o *options) (*result, error) {
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return nil, err
	}
	fmt.Println(l.Addr())
	b := &bare{}
	for {
		c, err := l.Accept()
		if err != nil {
			return nil, err
		}
		go b.serve(&connection{Conn: c})
	}
}

func (b *bare) serve(c *connection) {
	defer c.Close()
	for {
		f, err := c.receive()
		if err != nil {
			return
		}
		if err := b.answer(c, f); err != nil {
			fmt.Fprintln(os.Stderr, "load bare:", err)
			return
		}
	}
}

// answer serves a request frame without its size.
func (b *bare) answer(c *connection, f []byte) error {
	req := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(f)))
	if req == nil {
		return fmt.Errorf("API key %d", binary.BigEndian.Uint16(f))
	}
	req.SetVersion(int16(binary.BigEndian.Uint16(f[2:])))
	correlation := int32(binary.BigEndian.Uint32(f[4:]))
	body := f[10+len("load"):]
	if req.IsFlexible() {
		body = body[1:] // no tags
	}
	if err := req.ReadFrom(body); err != nil {
		return err
	}
	switch req := req.(type) {
	case *kmsg.CreateTopicsRequest:
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic = req.Topics[0].Topic
		resp.Topics = append(resp.Topics, t)
		return reply(c, correlation, resp)
	case *kmsg.MetadataRequest:
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		t, p := kmsg.NewMetadataResponseTopic(), kmsg.NewMetadataResponseTopicPartition()
		t.Topic, t.Partitions = req.Topics[0].Topic, append(t.Partitions, p)
		resp.Topics = append(resp.Topics, t)
		return reply(c, correlation, resp)
	case *kmsg.ProduceRequest:
		return b.produced(c, correlation, req)
	case *kmsg.FetchRequest:
		return b.fetched(c, correlation, req)
	}
	return fmt.Errorf("API key %d", req.Key())
}

// produced hands the batch on before it is acknowledged, as a broker does whose readers wait.
func (b *bare) produced(c *connection, correlation int32, req *kmsg.ProduceRequest) error {
	batch := record.Batch(bytes.Clone(req.Topics[0].Partitions[0].Records))
	b.mu.Lock()
	offset, reader := b.next, b.waiting
	batch.SetBaseOffset(offset)
	b.batches[offset%kept] = batch
	b.next, b.waiting = offset+1, nil
	b.mu.Unlock()
	if reader != nil {
		if err := reader.give(batch, offset+1); err != nil {
			return err
		}
	}
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	t, p := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
	p.BaseOffset = offset
	t.Topic, t.Partitions = req.Topics[0].Topic, append(t.Partitions, p)
	resp.Topics = append(resp.Topics, t)
	return reply(c, correlation, resp)
}

func (b *bare) fetched(c *connection, correlation int32, req *kmsg.FetchRequest) error {
	f := &fetchInWaiting{c: c, correlation: correlation, topic: req.Topics[0].Topic}
	from := req.Topics[0].Partitions[0].FetchOffset
	b.mu.Lock()
	next := b.next
	var records []byte
	for o := max(from, next-kept); o < next; o++ {
		records = append(records, b.batches[o%kept]...)
	}
	if len(records) == 0 {
		b.waiting = f
	}
	b.mu.Unlock()
	if len(records) == 0 {
		return nil
	}
	return f.give(records, next)
}

func (f *fetchInWaiting) give(records []byte, watermark int64) error {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = fetchVersion
	t, p := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
	p.HighWatermark, p.RecordBatches = watermark, records
	t.Topic, t.Partitions = f.topic, append(t.Partitions, p)
	resp.Topics = append(resp.Topics, t)
	return reply(f.c, f.correlation, resp)
}

func reply(c *connection, correlation int32, resp kmsg.Response) error {
	b := binary.BigEndian.AppendUint32(make([]byte, 4, 2048), uint32(correlation))
	if resp.IsFlexible() {
		b = append(b, 0) // no tags
	}
	b = resp.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err := c.Write(b)
	return err
}

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record"
)

const (
	produceVersion  = 9
	fetchVersion    = 11
	metadataVersion = 9
	createVersion   = 4

	patience = 30 * time.Second
)

// connection is a bare connection to a broker.
type connection struct {
	net.Conn
	in          []byte // the last answer, reused
	correlation int32
}

func dial(addr string) (*connection, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c}, nil
}

var formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID("load"))

// frame is a whole request, with its size.
func frame(req kmsg.Request) []byte { return formatter.AppendRequest(nil, req, 0) }

// send writes a frame under the next correlation id.
func (c *connection) send(f []byte) error {
	c.correlation++
	binary.BigEndian.PutUint32(f[8:], uint32(c.correlation))
	_, err := c.Write(f)
	return err
}

// receive reads one answer without its size; it is valid until the next.
func (c *connection) receive() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if n < 4 || n > 128<<20 {
		return nil, fmt.Errorf("an answer of %d bytes", n)
	}
	if cap(c.in) < n {
		c.in = make([]byte, n)
	}
	c.in = c.in[:n]
	_, err := io.ReadFull(c, c.in)
	return c.in, err
}

// ask sends a request and decodes the answer into the response that belongs to it.
func (c *connection) ask(req kmsg.Request) (kmsg.Response, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if err := c.send(frame(req)); err != nil {
		return nil, err
	}
	b, err := c.receive()
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	b = b[4:]
	if resp.IsFlexible() && req.Key() != 18 {
		b = b[1:] // no tags
	}
	return resp, errors.Join(resp.ReadFrom(b), c.SetDeadline(time.Time{}))
}

// produce sends a produceFrame and waits for its acknowledgement, which has the base offset.
func (c *connection) produce(f []byte, topic string) (offset int64, err error) {
	if err := c.send(f); err != nil {
		return 0, err
	}
	answer, err := c.receive()
	if err != nil {
		return 0, err
	}
	return produced(answer, topic)
}

// makeTopic makes a topic unless it is there, and waits until all its partitions have leaders.
func makeTopic(addr, name string, partitions int) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version, create.TimeoutMillis = createVersion, int32(patience.Milliseconds())
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, int32(partitions), 1
	create.Topics = append(create.Topics, t)
	resp, err := c.ask(create)
	if err != nil {
		return err
	}
	code := resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode
	if err := kerr.ErrorForCode(code); err != nil && err != kerr.TopicAlreadyExists {
		return err
	}
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		if ready, err := led(c, name, partitions); ready || err != nil {
			return err
		}
	}
	return fmt.Errorf("topic %s has no leaders for %d partitions", name, partitions)
}

func metadataOf(topic string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = metadataVersion
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	return req
}

func led(c *connection, name string, partitions int) (bool, error) {
	resp, err := c.ask(metadataOf(name))
	if err != nil {
		return false, err
	}
	n := 0
	for _, p := range resp.(*kmsg.MetadataResponse).Topics[0].Partitions {
		if p.ErrorCode == 0 && p.Leader >= 0 {
			n++
		}
	}
	return n >= partitions, nil
}

// batchOf makes a batch of records with values of the given size, as many as fit into size bytes, at least one.
func batchOf(size, value int) record.Batch {
	b := record.NewBuilder(record.BatchSpec{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None})
	now, v := time.Now().UnixMilli(), make([]byte, value)
	for i := range v {
		v[i] = byte('a' + i%26)
	}
	for b.Count() == 0 || b.Size()+value+12 <= size {
		b.Append(now, nil, v)
	}
	batch, err := b.Build()
	if err != nil {
		panic(err) // it is not empty
	}
	return batch
}

func produceFrame(topic string, partition int, acks int, batch record.Batch) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = produceVersion, int16(acks), int32(patience.Milliseconds())
	t, p := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = int32(partition), batch
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return frame(req)
}

// produced reads the base offset out of the answer to a produceFrame.
func produced(answer []byte, topic string) (int64, error) {
	at := 4 + 1 + 1 + 1 + len(topic) + 1 + 4 // correlation id, tags, topics, name, partitions, index
	if len(answer) < at+10 {
		return 0, fmt.Errorf("an answer of %d bytes", len(answer))
	}
	if err := kerr.ErrorForCode(int16(binary.BigEndian.Uint16(answer[at:]))); err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(answer[at+2:])), nil
}

package broker

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol/record"
)

// exchange is a client that costs nothing but its system calls: one request over and over.
type exchange struct {
	b     *testing.B
	conn  net.Conn
	frame []byte
	at    int // of the fetch offset in the frame
	in    []byte
}

func newExchange(b *testing.B, addr string, req kmsg.Request) *exchange {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &exchange{b: b, conn: conn, frame: kmsg.NewRequestFormatter(kmsg.FormatterClientID("b")).AppendRequest(nil, req, 1), in: make([]byte, 2<<20)}
}

func (e *exchange) send() {
	if _, err := e.conn.Write(e.frame); err != nil {
		e.b.Fatal(err)
	}
}

func (e *exchange) receive() []byte {
	if _, err := io.ReadFull(e.conn, e.in[:4]); err != nil {
		e.b.Fatal(err)
	}
	n := binary.BigEndian.Uint32(e.in)
	if _, err := io.ReadFull(e.conn, e.in[:n]); err != nil {
		e.b.Fatal(err)
	}
	return e.in[:n]
}

func benchBatch(b *testing.B, records, size int) record.Batch {
	builder := record.NewBuilder(record.BatchSpec{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None})
	for range records {
		builder.Append(1, nil, make([]byte, size))
	}
	batch, err := builder.Build()
	if err != nil {
		b.Fatal(err)
	}
	return batch
}

func benchProduce(batch record.Batch) kmsg.Request {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = 9, -1
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch}}}}
	return req
}

const unset = 0x0102030405060708

func benchFetch() kmsg.Request {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 11, 10_000, 1, 64<<10
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = unset, 64<<10, -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return req
}

func (e *exchange) seek(offset int64) {
	if e.at == 0 {
		e.at = bytes.Index(e.frame, binary.BigEndian.AppendUint64(nil, unset))
	}
	binary.BigEndian.PutUint64(e.frame[e.at:], uint64(offset))
}

func BenchmarkProduce(b *testing.B) {
	for name, batch := range map[string]record.Batch{"1x1K": benchBatch(b, 1, 1024), "149x100": benchBatch(b, 149, 100)} {
		b.Run(name, func(b *testing.B) {
			e := newExchange(b, serveData(b, 1, nil).addr, benchProduce(batch))
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				e.send()
				e.receive()
			}
		})
	}
}

func BenchmarkFetch64K(b *testing.B) {
	addr := serveData(b, 1, nil).addr
	batch := benchBatch(b, 149, 100)
	p := newExchange(b, addr, benchProduce(batch))
	for range 100 {
		p.send()
		p.receive()
	}
	e := newExchange(b, addr, benchFetch())
	e.seek(50 * 149)
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		e.send()
		e.receive()
	}
}

// BenchmarkTail appends one record at a time, which a fetch is waiting for.
func BenchmarkTail(b *testing.B) {
	addr := serveData(b, 1, nil).addr
	p := newExchange(b, addr, benchProduce(benchBatch(b, 1, 1024)))
	e := newExchange(b, addr, benchFetch())
	b.ReportAllocs()
	next := int64(0)
	for b.Loop() {
		e.seek(next)
		e.send()
		p.send()
		p.receive()
		e.receive()
		next++
	}
}

// BenchmarkTailOf500 is BenchmarkTail by a consumer of 500 partitions with a session, all but one of them silent.
func BenchmarkTailOf500(b *testing.B) {
	addr := serveData(b, 500, nil).addr
	p := newExchange(b, addr, benchProduce(benchBatch(b, 1, 1024)))
	first := benchFetch().(*kmsg.FetchRequest)
	one := first.Topics[0].Partitions[0]
	first.SessionEpoch, first.MaxWaitMillis, first.Topics[0].Partitions = 0, 0, nil
	for id := range int32(500) {
		q := one
		q.Partition, q.FetchOffset = id, 0
		first.Topics[0].Partitions = append(first.Topics[0].Partitions, q)
	}
	e := newExchange(b, addr, first)
	e.send()
	session := binary.BigEndian.Uint32(e.receive()[10:]) // behind correlation id, throttle time and error
	next := benchFetch().(*kmsg.FetchRequest)
	next.SessionID, next.SessionEpoch = int32(session), 1
	e.frame = kmsg.NewRequestFormatter(kmsg.FormatterClientID("b")).AppendRequest(nil, next, 1)
	epochAt := bytes.Index(e.frame, binary.BigEndian.AppendUint32(nil, session)) + 4
	b.ReportAllocs()
	offset := int64(0)
	for b.Loop() {
		e.seek(offset)
		e.send()
		p.send()
		p.receive()
		e.receive()
		offset++
		binary.BigEndian.PutUint32(e.frame[epochAt:], uint32(offset+1))
	}
}

// BenchmarkProduce100 appends one small batch to each of 100 partitions with one request.
func BenchmarkProduce100(b *testing.B) {
	batch := benchBatch(b, 1, 100)
	req := benchProduce(batch).(*kmsg.ProduceRequest)
	req.Topics[0].Partitions = nil
	for id := range int32(100) {
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: id, Records: batch})
	}
	e := newExchange(b, serveData(b, 100, nil).addr, req)
	b.ReportAllocs()
	for b.Loop() {
		e.send()
		e.receive()
	}
}

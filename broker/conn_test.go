package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/api"
	"barnabas/protocol"
	"barnabas/protocol/record"
)

// wire is a raw connection: requests go out as they are given, answers are matched by correlation id.
type wire struct {
	t *testing.T
	net.Conn
	frames *protocol.FrameReader
	next   int32
}

func dial(t *testing.T, addr string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &wire{t: t, Conn: c, frames: protocol.NewFrameReader(c, 64<<20)}
}

func (w *wire) send(reqs ...kmsg.Request) {
	w.t.Helper()
	var b []byte
	for _, r := range reqs {
		b = append(b, kmsg.NewRequestFormatter(kmsg.FormatterClientID("raw")).AppendRequest(nil, r, w.next)...)
		w.next++
	}
	if _, err := w.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

// receive reads the answer to a request, whose correlation id must be next in line.
func (w *wire) receive(req kmsg.Request, correlation int32) kmsg.Response {
	w.t.Helper()
	frame, err := w.frames.Next()
	if err != nil {
		w.t.Fatal(err)
	}
	if got := int32(binary.BigEndian.Uint32(frame)); got != correlation {
		w.t.Fatalf("answer %d, want %d", got, correlation)
	}
	body := frame[4:]
	if req.IsFlexible() && req.Key() != protocol.KeyApiVersions {
		body = body[1:]
	}
	resp := req.ResponseKind()
	if err := resp.ReadFrom(body); err != nil {
		w.t.Fatal(err)
	}
	return resp
}

func (w *wire) wantClosed() {
	w.t.Helper()
	if _, err := w.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !isReset(err) {
		w.t.Fatalf("the connection must be closed, got %v", err)
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

func produce(acks int16, values ...string) *kmsg.ProduceRequest {
	b := record.NewBuilder(record.BatchSpec{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None})
	for _, v := range values {
		b.Append(time.Now().UnixMilli(), nil, []byte(v))
	}
	batch, err := b.Build()
	if err != nil {
		panic(err)
	}
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, acks, 5000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "t"
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	return req
}

func fetchFrom(offset int64, wait time.Duration) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 11, int32(wait.Milliseconds()), 1, 1<<20, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "t"
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 1<<20
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	return req
}

func TestProduceThenFetch(t *testing.T) {
	d := serveData(t, 1, nil)
	w := dial(t, d.addr)
	p, f := produce(-1, "one", "two"), fetchFrom(0, time.Second)
	w.send(p, f)
	if got := w.receive(p, 0).(*kmsg.ProduceResponse).Topics[0].Partitions[0]; got.ErrorCode != 0 || got.BaseOffset != 0 {
		t.Fatalf("%+v", got)
	}
	got := w.receive(f, 1).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if got.ErrorCode != 0 || got.HighWatermark != 2 || !bytes.Contains(got.RecordBatches, []byte("two")) {
		t.Fatalf("%+v", got)
	}
}

// A fetch that waits holds back the answers behind it, not the requests: what is produced on the same connection is
// what it waits for.
func TestRequestsGoOnWhileAnAnswerWaits(t *testing.T) {
	d := serveData(t, 1, nil)
	w := dial(t, d.addr)
	f, p, v := fetchFrom(0, 20*time.Second), produce(1, "wake up"), kmsg.NewPtrApiVersionsRequest()
	w.send(f, p, v)
	if got := w.receive(f, 0).(*kmsg.FetchResponse); len(got.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Fatal("no records")
	}
	w.receive(p, 1)
	w.receive(v, 2)
}

func TestNoAnswerWithAcks0(t *testing.T) {
	d := serveData(t, 1, nil)
	w := dial(t, d.addr)
	p, v := produce(0, "x"), kmsg.NewPtrApiVersionsRequest()
	w.send(p, v)
	w.receive(v, 1)
	bad := produce(0, "x")
	bad.Topics[0].Topic = "nowhere"
	w.send(bad)
	w.wantClosed()
}

func TestManyPipelinedRequestsKeepTheirOrder(t *testing.T) {
	d := serveData(t, 1, nil)
	w := dial(t, d.addr)
	var reqs []kmsg.Request
	for i := range 3 * owedMax {
		switch i % 3 {
		case 0:
			reqs = append(reqs, produce(-1, fmt.Sprint(i)))
		case 1:
			reqs = append(reqs, fetchFrom(int64(i/3), time.Second))
		default:
			reqs = append(reqs, fetchFrom(int64(i/3)+1, time.Second))
		}
	}
	go w.send(reqs...)
	for i, r := range reqs {
		w.receive(r, int32(i))
	}
}

func TestUnknownApiVersionIsAnsweredInVersion0(t *testing.T) {
	d := serveData(t, 1, nil)
	for version, tags := range map[uint16]string{99: "\x00", 0xffff: ""} {
		w := dial(t, d.addr)
		frame := append([]byte{0, 0, 0, byte(10 + len(tags)), 0, 18, byte(version >> 8), byte(version), 0, 0, 0, 5, 0xff, 0xff}, tags...)
		if _, err := w.Write(frame); err != nil {
			t.Fatal(err)
		}
		got, err := w.frames.Next()
		if err != nil {
			t.Fatal(err)
		}
		if want := []byte{0, 0, 0, 5, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 5}; !bytes.Equal(got, want) {
			t.Fatalf("version %d: %x, want %x", version, got, want)
		}
	}
}

func TestWhatCannotBeServedClosesTheConnection(t *testing.T) {
	d := serveData(t, 1, nil)
	for name, bytes := range map[string]string{
		"http":                         "GET / HTTP/1.1\r\n\r\n",
		"tls":                          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"negative size":                "\xff\xff\xff\xff",
		"too large":                    "\x7f\xff\xff\xff",
		"no header":                    "\x00\x00\x00\x03abc",
		"unknown key":                  "\x00\x00\x00\x0a\x03\xe7\x00\x00\x00\x00\x00\x01\xff\xff",
		"unknown version":              "\x00\x00\x00\x0a\x00\x03\x00\x63\x00\x00\x00\x01\xff\xff",
		"unknown version without tags": "\x00\x00\x00\x0a\x00\x12\x00\x63\x00\x00\x00\x01\xff\xff",
		"short body":                   "\x00\x00\x00\x0b\x00\x00\x00\x03\x00\x00\x00\x01\xff\xff\x00",
		"huge array":                   "\x00\x00\x00\x0e\x00\x03\x00\x01\x00\x00\x00\x01\xff\xff\x7f\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			w := dial(t, d.addr)
			if _, err := w.Write([]byte(bytes)); err != nil {
				t.Fatal(err)
			}
			w.wantClosed()
		})
	}
	w, v := dial(t, d.addr), kmsg.NewPtrApiVersionsRequest()
	w.send(v)
	w.receive(v, 0)
}

// Kafka looks at a request when the one before it is answered; here they are read ahead, which must not show.
func TestWhatCameBeforeABadRequestIsAnswered(t *testing.T) {
	d := serveData(t, 1, nil)
	v, f := kmsg.NewPtrApiVersionsRequest(), fetchFrom(0, 200*time.Millisecond)
	for name, bad := range map[string]string{
		"unknown key":   "\x00\x00\x00\x0a\x03\xe7\x00\x00\x00\x00\x00\x01\xff\xff",
		"short body":    "\x00\x00\x00\x0b\x00\x00\x00\x03\x00\x00\x00\x01\xff\xff\x00",
		"negative size": "\xff\xff\xff\xff",
	} {
		for _, before := range []kmsg.Request{v, f} {
			t.Run(fmt.Sprintf("%s after %s", name, kmsg.NameForKey(before.Key())), func(t *testing.T) {
				w := dial(t, d.addr)
				b := kmsg.NewRequestFormatter().AppendRequest(nil, before, 0)
				if _, err := w.Write(append(b, bad...)); err != nil {
					t.Fatal(err)
				}
				w.receive(before, 0)
				w.wantClosed()
			})
		}
	}
}

// A connection that ends leaves nothing half done: what was appended is flushed as the topic wants it, and seen.
func TestWhatIsOwedIsFinishedWhenTheConnectionEnds(t *testing.T) {
	d := serveData(t, 1, nil)
	p := d.partitions.Get("t", 0)
	s := *p.Settings()
	s.Log.FlushMessages = 1
	d.partitions.SetSettings("t", &s)
	for range 10 {
		w := dial(t, d.addr)
		var reqs []kmsg.Request
		for range 2 * owedMax {
			reqs = append(reqs, produce(-1, "value"))
		}
		w.send(reqs...)
		if err := w.Conn.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		w.Close()
	}
	d.stop()
	if end, seen := p.Log().End(), p.HighWatermark().Get(); seen != end {
		t.Fatalf("the log ends at %d, %d is seen", end, seen)
	}
}

// unspeakable is a response that cannot be encoded.
type unspeakable struct{}

func (unspeakable) AppendTo([]byte) []byte { panic("unspeakable") }

func TestAResponseThatCannotBeEncodedCostsItsConnection(t *testing.T) {
	d := serveData(t, 1, nil)
	client, socket := net.Pipe()
	defer client.Close()
	c := newConn(t.Context(), d.server, socket, 1)
	defer c.cancel()
	if err := c.respond(owedReply{key: 3, reply: api.Done(unspeakable{})}, unspeakable{}); !errors.Is(err, api.ErrPanic) {
		t.Fatal(err)
	}
	if err := c.flush(); !errors.Is(err, api.ErrPanic) {
		t.Fatal("half a response is written:", err)
	}
}

// Whoever waits for an answer is not idle, nor who has just had one: the reader's deadline may have begun long before.
func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second // long enough for a machine that is busy elsewhere to send in time
	d := serveData(t, 1, func(s *server) { s.limits.idle = idle })
	w := dial(t, d.addr)
	f, v := fetchFrom(0, idle*19/10), kmsg.NewPtrApiVersionsRequest()
	w.send(f)
	w.receive(f, 0)
	w.send(v)
	w.receive(v, 1)
	w.wantClosed()
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	d := serveData(t, 1, func(s *server) { s.crowd.set(crowdOf(100, 2)) })
	a, b, v := dial(t, d.addr), dial(t, d.addr), kmsg.NewPtrApiVersionsRequest()
	for _, w := range []*wire{a, b} {
		w.send(v)
		w.receive(v, 0)
	}
	dial(t, d.addr).wantClosed()
	more := crowdOf(100, 2)
	more.overrides = map[netip.Addr]int{netip.MustParseAddr("127.0.0.1"): 3}
	d.server.crowd.set(more)
	c := dial(t, d.addr)
	c.send(v)
	c.receive(v, 0)
}

// max.connections holds newcomers back until somebody leaves, as Kafka's acceptor does.
func TestConnectionsOfTheBrokerAreBounded(t *testing.T) {
	d := serveData(t, 1, func(s *server) { s.crowd.set(crowdOf(1, 100)) })
	a, b, v := dial(t, d.addr), dial(t, d.addr), kmsg.NewPtrApiVersionsRequest()
	a.send(v)
	a.receive(v, 0)
	b.send(v)
	a.Close()
	b.receive(v, 0)
}

func TestKgoProducesAndConsumes(t *testing.T) {
	d := serveData(t, 3, nil)
	client, err := kgo.NewClient(kgo.SeedBrokers(d.addr), kgo.ConsumeTopics("t"), kgo.DisableIdempotentWrite(),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const n = 3000
	value := bytes.Repeat([]byte("x"), 100)
	for range n {
		client.Produce(t.Context(), &kgo.Record{Topic: "t", Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < n; {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		got += fetches.NumRecords()
	}
}

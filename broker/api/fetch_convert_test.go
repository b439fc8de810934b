package api

import (
	"bytes"
	"io"
	"net"
	"testing"

	"barnabas/protocol"
	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"
)

// oldAnswer is the answer to a fetch at version 2 of many partitions with a batch of 200 KB each, as it is before it is sent.
func oldAnswer(t *testing.T, partitions int) (resp *fetchResponse, batch []byte) {
	t.Helper()
	e := newData(t)
	e.FetchMaxBytes = 64 << 20
	e.make("old", [16]byte{9}, partitions)
	b := record.NewBuilder(record.BatchSpec{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None, Codec: codec.None})
	for i := range 200 {
		b.Append(dataTime+int64(i), []byte("k"), bytes.Repeat([]byte{byte(i)}, 1000))
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	req := fetching(2, 0)
	req.Topics[0].Topic = "old"
	for id := range int32(partitions) {
		if _, err := e.Partitions.Get("old", id).Append(bytes.Clone(batch), 9, false); err != nil {
			t.Fatal(err)
		}
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetching(2, 0, id).Topics[0].Partitions[0])
	}
	f := &fetchRequest{FetchRequest: *req}
	answer, ok := e.Fetch(&Call{Version: 2, Listener: "PLAINTEXT"}, f).Ready()
	if !ok {
		t.Fatal("it waits")
	}
	return answer.(*fetchResponse), batch
}

// An old consumer's answer is not converted before it is sent, but for the first of its batches, and then batch by batch. Once 55 MB
// were converted and held, three times over, for as long as the client took to read them.
func TestOldConsumersAreConvertedForAsTheyRead(t *testing.T) {
	const partitions = 50
	resp, batch := oldAnswer(t, partitions)
	var m protocol.Message
	if err := resp.AppendMessage(&m); err != nil {
		t.Fatal(err)
	}
	if m.Size() < partitions*len(batch) {
		t.Fatalf("an answer of %d bytes", m.Size())
	}
	if n := m.Holds(); n > 2*convertedAhead {
		t.Errorf("it holds %d bytes before it is sent", n)
	}
	m.Release()
	resp, _ = oldAnswer(t, partitions)
	conn := &reading{}
	m = protocol.Message{}
	mark := m.BeginFrame()
	if err := resp.AppendMessage(&m); err != nil {
		t.Fatal(err)
	}
	m.EndFrame(mark)
	most := 0
	s := protocol.NewSender(conn)
	s.Stalled(func() { most = max(most, m.Holds()) })
	if err := s.Send(&m); err != nil {
		t.Fatal(err)
	}
	size := m.Size()
	m.Release()
	if most > 4*convertedAhead+len(batch)*2 {
		t.Errorf("%d bytes are held at a time, of %d", most, size)
	}
	var copied protocol.Message
	resp, _ = oldAnswer(t, partitions)
	mark = copied.BeginFrame()
	copied.Buf = resp.AppendTo(copied.Buf)
	copied.EndFrame(mark)
	if !bytes.Equal(conn.all.Bytes(), copied.Buf) {
		t.Errorf("%d bytes are sent, want %d", conn.all.Len(), len(copied.Buf))
	}
}

// Who waits for a turn holds nothing that has been converted ahead, where what answers hold is bounded: two hundred came to 50 MB that
// nothing counted. What is sent is the same.
func TestAnOldAnswerThatWaits(t *testing.T) {
	_, batch := oldAnswer(t, 1)
	for _, bounded := range []bool{true, false} {
		var looks int
		roomy := make(chan struct{})
		close(roomy)
		c := conversions{}
		if bounded {
			c.room = func() <-chan struct{} {
				if looks++; looks == 3 {
					return roomy
				}
				return nil
			}
		}
		var all []*record.Converted
		for i := range 3 {
			one, err := record.NewConverted(bytes.NewReader(batch), len(batch), 1, 0, len(batch)*2, &c)
			if err != nil || one.Holds() == 0 {
				t.Fatalf("holds %d: %v", one.Holds(), err)
			}
			all = append(all, one)
			c.keeps(one)
			if forgotten := i == 2 && bounded; c.bytes == one.Holds() != (i == 0 || forgotten) || (all[0].Holds() == 0) != forgotten {
				t.Errorf("bounded %v, %d begun: %d bytes are held, the first holds %d", bounded, i+1, c.bytes, all[0].Holds())
			}
		}
		want, err := record.Down(batch, 1, 0, len(batch))
		if err != nil {
			t.Fatal(err)
		}
		for i, one := range all {
			if got, err := io.ReadAll(&pieces{one, nil}); err != nil || !bytes.Equal(got, want) {
				t.Errorf("bounded %v, %d: %d bytes, want %d: %v", bounded, i, len(got), len(want), err)
			}
		}
	}
}

// pieces reads what is converted.
type pieces struct {
	*record.Converted
	rest []byte
}

func (p *pieces) Read(b []byte) (n int, err error) {
	if len(p.rest) == 0 {
		p.rest, err = p.Next()
	}
	n = copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, err
}

// An answer that is not sent lets its files go, and what was converted.
func TestAnOldAnswerThatIsNotSent(t *testing.T) {
	resp, _ := oldAnswer(t, 3)
	var all []*converted
	for i := range resp.parts {
		all = append(all, resp.parts[i].converted.(*converted))
	}
	resp.Release()
	for i, c := range all {
		if c.Holds() != 0 || resp.parts[i].converted != nil {
			t.Errorf("partition %d holds %d bytes", i, c.Holds())
		}
	}
}

// A large answer is bytes when it leaves its handler, goes out as they are, and counts with what it holds.
func TestLargeAnswersAreBytes(t *testing.T) {
	body := bytes.Repeat([]byte("answer"), 100_000)
	var size answerSize
	if !size.add(answerSome) || size.made(encodedBody("x")) != Response(encodedBody("x")) {
		t.Error("a small one is changed")
	}
	if !size.add(1) || !size.some || size.alone {
		t.Errorf("%+v", size)
	}
	if !size.add(answerLarge) || !size.alone {
		t.Errorf("%+v", size)
	}
	if large.TryLock() {
		t.Error("another can be made")
	}
	resp := size.made(encodedBody(string(body))).(*bulk)
	if size.addMore(answerMax) {
		t.Error("there is no end")
	}
	size.end()
	if !large.TryLock() || len(turns) > 0 {
		t.Fatal("no other can be made")
	}
	large.Unlock()
	var m protocol.Message
	m.Buf = append(m.Buf, "head"...)
	if err := resp.AppendMessage(&m); err != nil || m.Size() != 4+len(body) || m.Holds() < len(body) {
		t.Fatalf("%d bytes, holds %d: %v", m.Size(), m.Holds(), err)
	}
	conn := &reading{}
	if err := protocol.NewSender(conn).Send(&m); err != nil || !bytes.Equal(conn.all.Bytes()[4:], body) {
		t.Errorf("%d bytes, %v", conn.all.Len(), err)
	}
	if resp.Holds() != 0 {
		t.Error("it is held afterwards")
	}
	m.Release()
}

type encodedBody string

func (e encodedBody) AppendTo(dst []byte) []byte { return append(dst, e...) }

// reading is a connection to a client that reads everything.
type reading struct {
	net.Conn
	all bytes.Buffer
}

func (r *reading) Write(b []byte) (int, error) { return r.all.Write(b) }

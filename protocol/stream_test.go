package protocol

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// pieces is a stream, which holds what it has given last.
type pieces struct {
	list     [][]byte
	held     int
	fails    error // in place of io.EOF
	released int
}

func (p *pieces) Len() (n int) {
	for _, b := range p.list {
		n += len(b)
	}
	return n
}
func (p *pieces) ReadInto(dst []byte) (int, error) {
	return copy(dst, bytes.Join(p.list, nil)), nil
}
func (p *pieces) Fd() (uintptr, int64, bool) { return 0, 0, false }
func (p *pieces) Release()                   { p.released++ }
func (p *pieces) Holds() int                 { return p.held }
func (p *pieces) Next() ([]byte, error) {
	if p.held = 0; len(p.list) == 0 {
		if p.fails != nil {
			return nil, p.fails
		}
		return nil, io.EOF
	}
	b := p.list[0]
	p.list, p.held = p.list[1:], len(b)
	return b, nil
}

// A stream's pieces are sent as they are made; a small one is copied into the message, as all small regions are.
func TestStreamIsSentInPieces(t *testing.T) {
	for _, size := range []int{10, copyBelow, 100_000} {
		s := &pieces{list: [][]byte{bytes.Repeat([]byte("a"), size/2), bytes.Repeat([]byte("b"), size-size/2)}}
		want := append([]byte("head"), bytes.Join(s.list, nil)...)
		var m Message
		m.Buf = append(m.Buf, "head"...)
		if err := m.AppendRegion(s); err != nil {
			t.Fatal(err)
		}
		if m.Size() != len(want) || m.HasRegions() != (size >= copyBelow) {
			t.Fatalf("%d bytes, regions: %v", m.Size(), m.HasRegions())
		}
		if got := sendAndReceive(t, &m); !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want %d", len(got), len(want))
		}
		if m.Release(); s.released != 1 || s.held != 0 {
			t.Errorf("released %d times, %d bytes are held", s.released, s.held)
		}
	}
}

// What a stream cannot give, or gives too much of, ends the connection: its frame has said how much there is.
func TestStreamThatDoesNotKeepItsLength(t *testing.T) {
	_, server := pair(t)
	for name, s := range map[string]*pieces{
		"fails": {list: [][]byte{make([]byte, copyBelow)}, fails: errors.New("the disk")},
		"short": {list: [][]byte{make([]byte, copyBelow)}},
	} {
		m := Message{cuts: []cut{{0, longer{s}}}}
		if err := NewSender(server).Send(&m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s := &pieces{list: [][]byte{make([]byte, copyBelow)}}
	m := Message{cuts: []cut{{0, shorter{s}}}}
	if err := NewSender(server).Send(&m); err == nil {
		t.Error("too much: no error")
	}
}

type longer struct{ *pieces }

func (l longer) Len() int { return l.pieces.Len() + 1 }

type shorter struct{ *pieces }

func (s shorter) Len() int { return s.pieces.Len() - 1 }

// Whoever has a client that does not read is told before it waits, for bytes, for a file and for a stream, and what the message
// holds then can be asked for. A client that reads has nobody told.
func TestStalled(t *testing.T) {
	const large = 16 << 20
	for name, fill := range map[string]func(*Message){
		"bytes": func(m *Message) { m.Buf = make([]byte, large) },
		"stream": func(m *Message) {
			_ = m.AppendRegion(&pieces{list: [][]byte{make([]byte, 5), make([]byte, large)}})
		},
	} {
		client, server := pair(t)
		var m Message
		fill(&m)
		s := NewSender(server)
		stalled := make(chan int, 1)
		s.Stalled(func() {
			select {
			case stalled <- m.Holds():
			default:
			}
		})
		sent := make(chan error)
		go func() { sent <- s.Send(&m) }()
		if n := <-stalled; n < large || n > large+100 {
			t.Errorf("%s: %d bytes are held", name, n)
		}
		client.Close()
		if err := <-sent; err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	client, server := pair(t)
	m := Message{Buf: []byte("small")}
	s := NewSender(server)
	s.Stalled(func() { t.Error("stalled") })
	if err := s.Send(&m); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
}

// On a connection without a descriptor it cannot be seen that it takes no more.
func TestStalledWithoutADescriptor(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	s := NewSender(server)
	n := 0
	s.Stalled(func() { n++ })
	_ = server.SetWriteDeadline(time.Now().Add(-time.Second))
	if err := s.Send(&Message{Buf: []byte("x")}); err == nil || n != 1 {
		t.Errorf("told %d times, %v", n, err)
	}
}

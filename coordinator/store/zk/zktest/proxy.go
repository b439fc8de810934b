package zktest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy comes between one client and a server. It can cut the line, and knows the session that goes over it.
type Proxy struct {
	Addr   string // where the client connects
	server string

	listener net.Listener
	running  sync.WaitGroup
	held     sync.RWMutex // a gate: write-held while new connections wait

	mu      sync.Mutex // guards what follows
	conns   map[net.Conn]struct{}
	paused  bool
	swallow bool   // the next answer is not passed on, and the connection is cut
	id      int64  // of the session
	passwd  []byte // of the session
}

// NewProxy begins to listen. It stops when the test ends.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), server: server, listener: l, conns: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.Pause()
		p.running.Wait()
	})
	return p
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	p.held.RLock()
	p.held.RUnlock() //nolint:staticcheck // nothing is guarded: it is a gate
	server, err := net.DialTimeout("tcp", p.server, time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.enter(client, server) {
		return
	}
	defer p.leave(client, server)
	var up sync.WaitGroup
	up.Go(func() {
		io.Copy(server, client)
		server.Close()
	})
	p.answers(client, server)
	client.Close()
	up.Wait()
}

func (p *Proxy) enter(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return !p.paused
}

func (p *Proxy) leave(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// answers copies what the server says, packet by packet. The first is its greeting: protocol, timeout, session, password.
func (p *Proxy) answers(client, server net.Conn) {
	for first := true; ; first = false {
		packet, err := readPacket(server)
		if err != nil {
			return
		}
		p.mu.Lock()
		if first && len(packet) >= 4+36 {
			p.id = int64(binary.BigEndian.Uint64(packet[12:]))
			p.passwd = packet[24:40]
		}
		// Pings have the number -2 and events -1; an answer has that of its request.
		drop := p.swallow && !first && len(packet) >= 8 && int32(binary.BigEndian.Uint32(packet[4:])) > 0
		if drop {
			p.swallow = false
		}
		p.mu.Unlock()
		if drop {
			return
		}
		if _, err := client.Write(packet); err != nil {
			return
		}
	}
}

// readPacket reads a packet with its length before it.
func readPacket(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > 16<<20 {
		return nil, fmt.Errorf("a packet of %d bytes", n)
	}
	packet := make([]byte, 4+n)
	copy(packet, head[:])
	_, err := io.ReadFull(r, packet[4:])
	return packet, err
}

// Pause cuts all connections and refuses new ones.
func (p *Proxy) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = true
	p.cutLocked()
}

// Resume takes connections again.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = false
}

// Cut cuts all connections; new ones are welcome.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutLocked()
}

func (p *Proxy) cutLocked() {
	for c := range p.conns {
		c.Close()
	}
}

// SwallowAnswer lets the server do the next request, and cuts the connection instead of passing on its answer.
func (p *Proxy) SwallowAnswer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swallow = true
}

// EndSession ends the session that goes over the proxy from outside, so that to its client it has expired: by a second
// client with the same id and password, which closes it. It returns when the server has done so. The first client must
// not come back meanwhile: it would take the session over again, and the server would close the second one's connection.
func (p *Proxy) EndSession(t testing.TB) {
	t.Helper()
	p.held.Lock()
	defer p.held.Unlock()
	p.Cut()
	p.mu.Lock()
	id, passwd := p.id, p.passwd
	p.mu.Unlock()
	c, err := net.DialTimeout("tcp", p.server, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	hello := binary.BigEndian.AppendUint32(nil, 0)           // protocol
	hello = binary.BigEndian.AppendUint64(hello, 0)          // last zxid seen
	hello = binary.BigEndian.AppendUint32(hello, 10_000)     // timeout in ms
	hello = binary.BigEndian.AppendUint64(hello, uint64(id)) // session
	hello = binary.BigEndian.AppendUint32(hello, uint32(len(passwd)))
	hello = append(hello, passwd...)
	if err := send(c, hello); err != nil {
		t.Fatal(err)
	}
	greeting, err := readPacket(c)
	if err != nil || len(greeting) < 20 || int64(binary.BigEndian.Uint64(greeting[12:])) != id {
		t.Fatalf("the server does not take over session 0x%x: % x, %v", uint64(id), greeting, err)
	}
	const closeSession = -11
	op := int32(closeSession)
	bye := binary.BigEndian.AppendUint32(nil, 1) // number of the request
	if err := send(c, binary.BigEndian.AppendUint32(bye, uint32(op))); err != nil {
		t.Fatal(err)
	}
	answer, err := readPacket(c)
	if err != nil || len(answer) < 20 || binary.BigEndian.Uint32(answer[4:]) != 1 || binary.BigEndian.Uint32(answer[16:]) != 0 {
		t.Fatalf("the server does not close session 0x%x: % x, %v", uint64(id), answer, err)
	}
}

func send(w io.Writer, packet []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...))
	return err
}

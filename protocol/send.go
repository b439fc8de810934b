package protocol

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sender writes messages to one connection. It is not safe for concurrent use.
type Sender struct {
	conn net.Conn
	raw  syscall.RawConn // nil when the connection has no descriptor of its own (TLS, pipes): regions are copied

	// What raw.Write is given, made once, and what it works on: a function made for each write would be an allocation for
	// each write.
	sendBytes, sendFile func(fd uintptr) bool
	b                   []byte // for sendBytes: what is left
	more                bool
	file                int // for sendFile: descriptor, offset and length of what is left
	offset              int64
	left                int
	err                 error

	stalled func() // see Stalled
}

// NewSender writes to conn.
func NewSender(conn net.Conn) *Sender {
	s := &Sender{conn: conn}
	if sc, ok := conn.(*net.TCPConn); ok {
		s.raw, _ = sc.SyscallConn()
	}
	s.sendBytes, s.sendFile = s.trySend, s.trySendfile
	return s
}

// Stalled has f called when Send is about to wait for a connection that takes no more at present, each time. On a connection
// without a descriptor of its own that is before each write.
func (s *Sender) Stalled(f func()) { s.stalled = f }

func (s *Sender) stalls() {
	if s.stalled != nil {
		s.stalled()
	}
}

// Send writes the whole message: bytes that a region follows are sent with MSG_MORE, so that both leave in one segment.
func (s *Sender) Send(m *Message) error {
	at := 0
	for i := range m.cuts {
		c := &m.cuts[i]
		if err := s.bytes(m.Buf[at:c.at], true); err != nil {
			return err
		}
		at = c.at
		if err := s.region(c.region); err != nil {
			return err
		}
	}
	return s.bytes(m.Buf[at:], false)
}

func (s *Sender) bytes(b []byte, more bool) error {
	if len(b) == 0 {
		return nil
	}
	if s.raw == nil {
		s.stalls()
		_, err := s.conn.Write(b)
		return err
	}
	s.b, s.err, s.more = b, nil, more
	err := s.raw.Write(s.sendBytes)
	s.b = nil
	return errors.Join(err, s.err)
}

// trySend sends; false says that it has to wait.
func (s *Sender) trySend(fd uintptr) bool {
	for len(s.b) > 0 {
		n, err := s.send(int(fd))
		switch {
		case err == unix.EAGAIN:
			s.stalls()
			return false
		case err == unix.EINTR:
		case err != nil:
			s.err = fmt.Errorf("send: %w", err)
			return true
		default:
			s.b = s.b[n:]
		}
	}
	return true
}

func (s *Sender) send(fd int) (int, error) {
	if s.more {
		return unix.SendmsgN(fd, s.b, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
	}
	return unix.Write(fd, s.b)
}

func (s *Sender) region(r Region) error {
	if stream, ok := r.(Stream); ok {
		return s.stream(stream)
	}
	from, offset, ok := r.Fd()
	if !ok || s.raw == nil {
		return s.copyRegion(r)
	}
	s.file, s.offset, s.left, s.err = int(from), offset, r.Len(), nil
	err := s.raw.Write(s.sendFile)
	if errors.Is(s.err, unix.EIO) {
		// Only whoever reads learns of a failing disk, so the region's owner must read.
		_, readErr := r.ReadInto(make([]byte, r.Len()))
		s.err = errors.Join(s.err, readErr)
	}
	return errors.Join(err, s.err)
}

// trySendfile is trySend for a region.
func (s *Sender) trySendfile(fd uintptr) bool {
	for s.left > 0 {
		n, err := unix.Sendfile(int(fd), s.file, &s.offset, s.left)
		switch {
		case err == unix.EAGAIN:
			s.stalls()
			return false
		case err == unix.EINTR:
		case err != nil:
			s.err = fmt.Errorf("sendfile: %w", err)
			return true
		case n == 0:
			s.err = fmt.Errorf("sendfile: %w", io.ErrUnexpectedEOF)
			return true
		default:
			s.left -= n
		}
	}
	return true
}

// stream sends a stream piece by piece.
func (s *Sender) stream(r Stream) error {
	for left := r.Len(); ; {
		piece, err := r.Next()
		if left == 0 && err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(piece) == 0 || len(piece) > left {
			return fmt.Errorf("a piece of %d bytes where %d are left", len(piece), left)
		}
		left -= len(piece)
		if err := s.bytes(piece, left > 0); err != nil {
			return err
		}
	}
}

// copyRegion sends a region where sendfile cannot.
func (s *Sender) copyRegion(r Region) error {
	n := r.Len()
	borrowed := borrowBuffer(n)
	defer borrowed.giveBack()
	b := borrowed.b[:n]
	if got, err := r.ReadInto(b); err != nil || got != n {
		return fmt.Errorf("read %d of %d bytes: %w", got, n, err)
	}
	_, err := s.conn.Write(b)
	return err
}

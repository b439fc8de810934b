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
}

// NewSender writes to conn.
func NewSender(conn net.Conn) *Sender {
	s := &Sender{conn: conn}
	if sc, ok := conn.(*net.TCPConn); ok {
		s.raw, _ = sc.SyscallConn()
	}
	return s
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
	if !more || s.raw == nil {
		_, err := s.conn.Write(b)
		return err
	}
	var failed error
	err := s.raw.Write(func(fd uintptr) bool {
		for len(b) > 0 {
			n, err := unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
			switch {
			case err == unix.EAGAIN:
				return false
			case err == unix.EINTR:
			case err != nil:
				failed = fmt.Errorf("send: %w", err)
				return true
			default:
				b = b[n:]
			}
		}
		return true
	})
	return errors.Join(err, failed)
}

func (s *Sender) region(r Region) error {
	from, offset, ok := r.Fd()
	if !ok || s.raw == nil {
		return s.copyRegion(r)
	}
	left := r.Len()
	var failed error
	err := s.raw.Write(func(fd uintptr) bool {
		for left > 0 {
			n, err := unix.Sendfile(int(fd), int(from), &offset, left)
			switch {
			case err == unix.EAGAIN:
				return false
			case err == unix.EINTR:
			case err != nil:
				failed = fmt.Errorf("sendfile: %w", err)
				if err == unix.EIO {
					// Only whoever reads learns of a failing disk, so the region's owner must read.
					_, readErr := r.ReadInto(make([]byte, r.Len()))
					failed = errors.Join(failed, readErr)
				}
				return true
			case n == 0:
				failed = fmt.Errorf("sendfile: %w", io.ErrUnexpectedEOF)
				return true
			default:
				left -= n
			}
		}
		return true
	})
	return errors.Join(err, failed)
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

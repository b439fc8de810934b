package protocol

import (
	"fmt"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// BorrowingReader is a reader that can wait without memory to read into.
type BorrowingReader interface {
	io.Reader
	// ReadBorrowed reads into what borrow gives, as Read does. It asks whenever there may be something to read, and calls
	// giveBack when there was nothing and it has to wait on.
	ReadBorrowed(borrow func() []byte, giveBack func()) (int, error)
}

// Receiver reads from one connection. It is not safe for concurrent use.
type Receiver struct {
	conn net.Conn
	raw  syscall.RawConn // nil when the connection has no descriptor of its own (TLS, pipes): it waits with memory
	try  func(fd uintptr) bool

	// What one call of ReadBorrowed hands to try, and gets from it: a function made for each read would be an allocation
	// for each read.
	borrow   func() []byte
	giveBack func()
	n        int
	err      error
}

// NewReceiver reads from conn.
func NewReceiver(conn net.Conn) *Receiver {
	r := &Receiver{conn: conn}
	if sc, ok := conn.(*net.TCPConn); ok {
		r.raw, _ = sc.SyscallConn()
	}
	r.try = r.tryRead
	return r
}

// Read is the connection's.
func (r *Receiver) Read(b []byte) (int, error) { return r.conn.Read(b) }

// ReadBorrowed holds memory only while it reads; see BorrowingReader.
func (r *Receiver) ReadBorrowed(borrow func() []byte, giveBack func()) (int, error) {
	if r.raw == nil {
		return r.conn.Read(borrow())
	}
	r.borrow, r.giveBack = borrow, giveBack
	r.n, r.err = 0, nil
	if err := r.raw.Read(r.try); err != nil {
		return 0, err
	}
	return r.n, r.err
}

// tryRead reads once; false says that there is nothing to read yet.
func (r *Receiver) tryRead(fd uintptr) bool {
	b := r.borrow()
	for {
		switch n, err := unix.Read(int(fd), b); {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			r.giveBack()
			return false
		case err != nil:
			r.err = fmt.Errorf("read: %w", err)
			return true
		case n == 0:
			r.err = io.EOF
			return true
		default:
			r.n = n
			return true
		}
	}
}

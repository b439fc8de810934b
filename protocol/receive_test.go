package protocol

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair is a TCP connection's two ends.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func TestFramesOverASocket(t *testing.T) {
	client, server := pair(t)
	payloads := [][]byte{[]byte("one"), make([]byte, 5*smallestBuffer), {}, []byte("four")}
	go func() {
		defer client.Close()
		for _, p := range payloads {
			_, _ = client.Write(framed(p))
		}
	}()
	f := NewFrameReader(NewReceiver(server), 1<<20)
	for i, want := range payloads {
		if got, err := f.Next(); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("frame %d: %d bytes, %v", i, len(got), err)
		}
	}
	if _, err := f.Next(); err != io.EOF {
		t.Fatal(err)
	}
}

// A reader knows whether it has waited for its client: who has not is let others run.
func TestWaited(t *testing.T) {
	client, server := pair(t)
	f := NewFrameReader(NewReceiver(server), 1<<20)
	if _, err := client.Write(bytes.Repeat(framed([]byte("there")), 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Next(); err != nil {
		t.Fatal(err)
	}
	f.Waited() // the first bytes may have taken their time
	for range 2 {
		if _, err := f.Next(); err != nil || f.Waited() {
			t.Fatalf("%v, or it has waited for what was there", err)
		}
	}
	if err := server.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Next(); !errors.Is(err, os.ErrDeadlineExceeded) || !f.Waited() || f.Waited() {
		t.Errorf("%v, or it has not waited, or says so twice", err)
	}
}

func TestDeadlineWhileNoMemoryIsHeld(t *testing.T) {
	_, server := pair(t)
	f := NewFrameReader(NewReceiver(server), 1<<20)
	if err := server.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Next(); !errors.Is(err, os.ErrDeadlineExceeded) || f.borrowed != nil {
		t.Fatal(err)
	}
}

func TestConnectionClosedWhileItWaits(t *testing.T) {
	_, server := pair(t)
	failed := make(chan error, 1)
	go func() {
		_, err := NewFrameReader(NewReceiver(server), 1<<20).Next()
		failed <- err
	}()
	server.Close()
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestReceiverOfAPipe(t *testing.T) {
	client, server := net.Pipe()
	go func() { _, _ = client.Write(framed([]byte("abc"))) }()
	if got, err := NewFrameReader(NewReceiver(server), 100).Next(); err != nil || string(got) != "abc" {
		t.Fatalf("%q, %v", got, err)
	}
}

package protocol

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// fileRegion is a region of a real file, or of memory when file is nil.
type fileRegion struct {
	file     *os.File
	data     []byte // the whole file
	off, n   int
	released *int
}

func (r fileRegion) Len() int { return r.n }
func (r fileRegion) Release() { *r.released++ }
func (r fileRegion) ReadInto(dst []byte) (int, error) {
	return copy(dst, r.data[r.off:r.off+r.n]), nil
}
func (r fileRegion) Fd() (uintptr, int64, bool) {
	if r.file == nil {
		return 0, 0, false
	}
	return r.file.Fd(), int64(r.off), true
}

func TestMessageArrivesWhole(t *testing.T) {
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, backing := range map[string]*os.File{"file": file, "memory": nil} {
		t.Run(name, func(t *testing.T) {
			released := 0
			var m Message
			var want []byte
			mark := m.BeginFrame()
			for _, r := range [][2]int{{0, 100}, {5, 2 << 20}, {1 << 20, copyBelow}, {7, copyBelow - 1}, {0, 0}} {
				m.Buf = append(m.Buf, "head"...)
				want = append(want, "head"...)
				if err := m.AppendRegion(fileRegion{backing, data, r[0], r[1], &released}); err != nil {
					t.Fatal(err)
				}
				want = append(want, data[r[0]:r[0]+r[1]]...)
			}
			m.Buf = append(m.Buf, "tail"...)
			want = append(want, "tail"...)
			m.EndFrame(mark)
			if m.HasRegions() != (backing != nil) {
				t.Fatalf("regions: %v", m.HasRegions())
			}
			got := sendAndReceive(t, &m)
			if frame, err := NewFrameReader(bytes.NewReader(got), len(got)).Next(); err != nil || !bytes.Equal(frame, want) {
				t.Fatalf("%d bytes, want %d: %v", len(frame), len(want), err)
			}
			m.Reset()
			if released != 5 || m.Size() != 0 {
				t.Fatalf("%d of 5 regions released, %d bytes left", released, m.Size())
			}
		})
	}
}

func sendAndReceive(t *testing.T, m *Message) []byte {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sent := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = NewSender(conn).Send(m)
			conn.Close()
		}
		sent <- err
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	return got
}

// A file that has shrunk under the message must end the connection, not leave it waiting for bytes that never come.
func TestRegionBeyondTheFile(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	released := 0
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var m Message
	if err := m.AppendRegion(fileRegion{file, nil, 0, copyBelow, &released}); err != nil {
		t.Fatal(err)
	}
	if err := NewSender(conn).Send(&m); err == nil {
		t.Fatal("no error")
	}
}

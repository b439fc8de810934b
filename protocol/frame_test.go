package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func framed(payloads ...[]byte) []byte {
	var b []byte
	for _, p := range payloads {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

func TestFramesComeWholeAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 50), rapid.IntRange(0, 3*smallestBuffer)), 1, 20).Draw(t, "sizes")
		payloads := make([][]byte, len(sizes))
		for i, n := range sizes {
			payloads[i] = bytes.Repeat([]byte{byte(i)}, n)
		}
		var src io.Reader = bytes.NewReader(framed(payloads...))
		switch rapid.IntRange(0, 2).Draw(t, "reader") {
		case 1:
			src = iotest.OneByteReader(src)
		case 2:
			src = iotest.HalfReader(src)
		}
		f := NewFrameReader(src, 1<<20)
		for i, want := range payloads {
			got, err := f.Next()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("frame %d: %d bytes, %v; want %d", i, len(got), err, len(want))
			}
		}
		if _, err := f.Next(); err != io.EOF {
			t.Fatalf("after the last frame: %v", err)
		}
	})
}

func TestFrameSizeLimit(t *testing.T) {
	for _, c := range []struct {
		size uint32
		want error
	}{{100, nil}, {101, ErrFrameSize}, {1 << 31, ErrFrameSize}, {0xffffffff, ErrFrameSize}, {0x16030100, ErrFrameSize}} {
		b := binary.BigEndian.AppendUint32(nil, c.size)
		b = append(b, make([]byte, 100)...)
		if _, err := NewFrameReader(bytes.NewReader(b), 100).Next(); !errors.Is(err, c.want) {
			t.Errorf("size %#x: %v, want %v", c.size, err, c.want)
		}
	}
}

// A claim of a hundred megabytes in a short frame must cost what has arrived, not what is claimed.
func TestClaimedSizeIsNotAllocated(t *testing.T) {
	b := append(binary.BigEndian.AppendUint32(nil, 100<<20), make([]byte, 1000)...)
	f := NewFrameReader(bytes.NewReader(b), 100<<20)
	if _, err := f.Next(); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	if len(f.buf) > 1<<20 {
		t.Fatalf("holds %d bytes for 1000", len(f.buf))
	}
}

// A large frame is admitted before more of it is read than the smallest buffer holds, and again whenever there is to be room for
// more; one that is not is not read, and none makes room for the next before that is admitted. A small one need not be.
func TestFramesAreAdmittedBeforeTheyAreRead(t *testing.T) {
	large, small := make([]byte, 4*smallestBuffer), []byte("small")
	src := bytes.NewReader(framed(large, small, large))
	refusal := errors.New("no")
	var asked []int
	f := NewFrameReader(src, 1<<20)
	f.Admit(func(n int) error {
		if len(f.buf) > smallestBuffer && len(asked) != 1 || f.r != 0 || f.w != len(f.buf) {
			t.Errorf("%d bytes are held, %d are in it, before %d are admitted", len(f.buf), f.w-f.r, n)
		}
		if asked = append(asked, n); len(asked) == 3 {
			return refusal
		}
		return nil
	})
	for _, want := range [][]byte{large, small} {
		if got, err := f.Next(); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; want %d", len(got), err, len(want))
		}
	}
	if !slices.Equal(asked, []int{4 * smallestBuffer, 4 + len(large)}) {
		t.Fatalf("asked for %v", asked)
	}
	f.drop() // what was read ahead of the third
	src.Reset(framed(large)[:smallestBuffer-1])
	if _, err := f.Next(); err != io.ErrUnexpectedEOF || len(asked) != 2 {
		t.Fatalf("%v; asked for %v before as much has come", err, asked)
	}
	f.drop()
	src.Reset(framed(large))
	if _, err := f.Next(); err != refusal {
		t.Fatal(err)
	}
	if read := len(framed(large)) - src.Len(); read > smallestBuffer || len(asked) != 3 {
		t.Fatalf("%d bytes of a frame that is refused are read; asked for %v", read, asked)
	}
}

func TestReadyOnlyWithAWholeFrame(t *testing.T) {
	f := NewFrameReader(bytes.NewReader(append(framed([]byte("one"), []byte("two")), 0, 0, 0, 9, 1)), 100)
	for _, want := range []bool{true, false} {
		if _, err := f.Next(); err != nil {
			t.Fatal(err)
		}
		if f.Ready() != want {
			t.Fatalf("Ready = %v", !want)
		}
	}
}

// Who has sent a large frame is given room for the next at once, and less with every small one.
func TestBufferFollowsTheFrames(t *testing.T) {
	large := make([]byte, 10*smallestBuffer)
	payloads := [][]byte{large, large}
	for range 10 {
		payloads = append(payloads, []byte("small"))
	}
	f := NewFrameReader(iotest.OneByteReader(bytes.NewReader(framed(payloads...))), 8<<20)
	for i := range payloads {
		if _, err := f.Next(); err != nil {
			t.Fatal(err)
		}
		if i == 1 && len(f.buf) < len(large) {
			t.Fatalf("holds %d bytes", len(f.buf))
		}
	}
	if len(f.buf) > smallestBuffer {
		t.Fatalf("keeps %d bytes", len(f.buf))
	}
	if _, err := f.Next(); err != io.EOF || f.buf != nil {
		t.Fatalf("%v, keeps %d bytes", err, len(f.buf))
	}
}

// moody has nothing to read every other time.
type moody struct {
	io.Reader
	gaveBack int
}

func (m *moody) ReadBorrowed(borrow func() []byte, giveBack func()) (int, error) {
	borrow()
	giveBack()
	m.gaveBack++
	return m.Read(borrow())
}

func TestFramesOfABorrowingReader(t *testing.T) {
	payloads := [][]byte{[]byte("one"), make([]byte, 3*smallestBuffer), []byte("three"), {}}
	m := &moody{Reader: iotest.HalfReader(bytes.NewReader(framed(payloads...)))}
	f := NewFrameReader(m, 1<<20)
	for i, want := range payloads {
		if got, err := f.Next(); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("frame %d: %d bytes, %v", i, len(got), err)
		}
	}
	if _, err := f.Next(); err != io.EOF || m.gaveBack == 0 || f.borrowed != nil {
		t.Fatalf("%v, gave back %d times", err, m.gaveBack)
	}
}

// Who has sent a part of a frame and is silent then holds that part, not a buffer.
func TestAnUnfinishedFrameHoldsNoBuffer(t *testing.T) {
	for _, part := range []int{1, 4, 20, stashMax, stashMax + 1} {
		frame := framed(bytes.Repeat([]byte("0123456789"), 2*stashMax))
		waiting, proceed := make(chan int), make(chan struct{})
		f := NewFrameReader(nil, 1<<20)
		p := &paused{rest: frame, part: part, pause: func() { waiting <- len(f.buf); <-proceed }}
		f.src, f.patient = p, p
		done := make(chan error)
		go func() {
			got, err := f.Next()
			if err == nil && !bytes.Equal(got, frame[4:]) {
				err = errors.New("another frame than was sent")
			}
			done <- err
		}()
		if part <= stashMax {
			if held := <-waiting; held != 0 {
				t.Errorf("%d bytes have come, and %d are held", part, held)
			}
			proceed <- struct{}{}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// paused gives part of what it has, then nothing for a while, then the rest.
type paused struct {
	rest  []byte
	part  int
	pause func()
}

func (p *paused) Read(b []byte) (int, error) {
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *paused) ReadBorrowed(borrow func() []byte, giveBack func()) (int, error) {
	b := borrow()
	if p.part > 0 {
		n := copy(b, p.rest[:p.part])
		p.rest, p.part = p.rest[n:], 0
		return n, nil
	}
	giveBack()
	p.pause()
	return p.Read(borrow())
}

func FuzzFrame(f *testing.F) {
	f.Add(framed([]byte("abc"), nil, []byte("d")))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewFrameReader(bytes.NewReader(b), 1<<16)
		rest := b
		for {
			got, err := r.Next()
			if err != nil {
				return
			}
			n := int(binary.BigEndian.Uint32(rest))
			if !bytes.Equal(got, rest[4:4+n]) {
				t.Fatal("another frame than was sent")
			}
			rest = rest[4+n:]
		}
	})
}

func BenchmarkFrames(b *testing.B) {
	stream := framed(make([]byte, 16400), make([]byte, 16400), make([]byte, 16400), make([]byte, 16400), make([]byte, 16400))
	src := bytes.NewReader(stream)
	f := NewFrameReader(src, 1<<20)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(stream)
		for range 5 {
			if _, err := f.Next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

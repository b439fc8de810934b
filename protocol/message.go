package protocol

import (
	"encoding/binary"
	"fmt"
)

// Region is a stretch of an open file that a message carries by reference. Whoever makes it holds the file open until
// Release.
type Region interface {
	Len() int
	// ReadInto fills dst, at most Len bytes, from the region's start.
	ReadInto(dst []byte) (int, error)
	// Fd is the descriptor and the offset in it at which the region starts; ok is false when the file has none.
	Fd() (fd uintptr, offset int64, ok bool)
	Release()
}

// Stream is a region without a file, whose bytes are made while they are sent: a message holds no more of it than a piece.
type Stream interface {
	Region
	// Next gives the next piece, which is not empty and valid until the next call. They have Len bytes in all. Behind the last it
	// lets go of its memory and gives io.EOF.
	Next() ([]byte, error)
	// Holds is how much memory, in bytes, it takes at present.
	Holds() int
}

// copyBelow is the size under which a region is copied into the message: a system call of its own costs more.
const copyBelow = 16 << 10

// Message is a sequence of bytes and file regions on its way to a connection. The zero value is empty and ready, and holds
// no memory: that comes with the first frame and goes with Reset.
// Regions are owned by the message from AppendRegion on; Release lets them go.
type Message struct {
	// Buf holds all bytes that are not regions, ready to be appended to.
	Buf      []byte
	borrowed *buffer // what Buf began in, nil if it was given
	cuts     []cut
	// regionBytes is the sum of the regions' lengths.
	regionBytes int
}

// cut is a region that goes between Buf[:at] and Buf[at:].
type cut struct {
	at     int
	region Region
}

// AppendRegion puts a region behind what is there. Small ones are read at once and released.
func (m *Message) AppendRegion(r Region) error {
	n := r.Len()
	if n == 0 {
		r.Release()
		return nil
	}
	_, _, ok := r.Fd()
	if !ok {
		_, ok = r.(Stream)
	}
	if ok && n >= copyBelow {
		m.cuts = append(m.cuts, cut{len(m.Buf), r})
		m.regionBytes += n
		return nil
	}
	defer r.Release()
	at := len(m.Buf)
	m.Buf = append(m.Buf, make([]byte, n)...)
	if got, err := r.ReadInto(m.Buf[at:]); err != nil || got != n {
		m.Buf = m.Buf[:at]
		return fmt.Errorf("read %d of %d bytes: %w", got, n, err)
	}
	return nil
}

// Size is the number of bytes that the message has on the wire.
func (m *Message) Size() int { return len(m.Buf) + m.regionBytes }

// Holds is how much memory the message takes, in bytes.
func (m *Message) Holds() int {
	n := cap(m.Buf)
	for i := range m.cuts {
		if s, ok := m.cuts[i].region.(Stream); ok {
			n += s.Holds()
		}
	}
	return n
}

// HasRegions says that the message cannot be written as Buf alone.
func (m *Message) HasRegions() bool { return len(m.cuts) > 0 }

// Mark is where a frame of the message began.
type Mark struct{ field, size int }

// BeginFrame reserves a frame's size field.
func (m *Message) BeginFrame() Mark {
	if m.Buf == nil {
		m.borrowed = borrowBuffer(smallestBuffer)
		m.Buf = m.borrowed.b[:0]
	}
	at := len(m.Buf)
	m.Buf = append(m.Buf, 0, 0, 0, 0)
	return Mark{at, m.Size()}
}

// EndFrame writes the size of what has been appended since k.
func (m *Message) EndFrame(k Mark) {
	binary.BigEndian.PutUint32(m.Buf[k.field:], uint32(m.Size()-k.size))
}

// Reset empties the message and lets go of its memory.
func (m *Message) Reset() {
	m.Release()
	if m.borrowed != nil {
		m.borrowed.giveBack()
	}
	m.borrowed, m.Buf = nil, nil
}

// Release lets all regions go. The message must not be written afterwards.
func (m *Message) Release() {
	for i := range m.cuts {
		m.cuts[i].region.Release()
		m.cuts[i].region = nil
	}
	m.cuts = m.cuts[:0]
	m.regionBytes = 0
}

package api

import (
	"io"
	"runtime"
	"sync"

	"barnabas/protocol"
)

const (
	// answerMax bounds the elements of an answer to a request that may ask for the same thing as often as it likes, in a few
	// bytes each: all settings of a broker, all members of a group, all offsets of one. An element takes some hundred bytes.
	answerMax = 1_000_000
	// answerSome and answerLarge are the sizes, in elements, from which not all answers are made at a time: the former take turns, of
	// the latter there is one.
	answerSome  = 1000
	answerLarge = 20_000
	// answerUnit is how many bytes of text or that clients have given count as an element of an answer.
	answerUnit = 256
	// answerGarbage is the size, in elements, of an answer whose making leaves so much behind that the next has to wait until that
	// is collected.
	answerGarbage = answerLarge
)

// large is held, besides a turn, by whoever makes an answer above answerLarge, in the process, until it is nothing but bytes: what it
// is made from takes several times as much, and there are as many who ask for such as there are connections.
var large sync.Mutex

// answerSize is the size of an answer in the making. What was begun with add must be ended.
type answerSize struct {
	turn        turn
	n           int
	some, alone bool // has a turn; holds large
}

// add counts elements that are about to be made. Nothing may be waited for from then on. False means that nobody waits for them any
// more: there is no answer to be made, and those who are gone may be many.
func (s *answerSize) add(n int) (ok bool) {
	s.n += n
	if s.n > answerSome && !s.begin() {
		return false
	}
	if s.n > answerLarge && !s.alone {
		large.Lock()
		s.alone = true
	}
	select {
	case <-s.turn.gone:
		return false
	default:
		return true
	}
}

// begin takes a turn at once: for an answer that is likely to become large, and of which nothing is to be held before. False as add.
func (s *answerSize) begin() (ok bool) {
	if !s.some {
		s.some = s.turn.Begin(nil) == nil
	}
	return s.some
}

// addMore is add for what a client may ask for over and over. False also means that it is more than such a one shall have.
func (s *answerSize) addMore(n int) (ok bool) { return s.add(n) && s.n <= answerMax }

// refused is what is given when addMore has said no: nothing to a client that is gone, and to others the end of the connection.
func (s *answerSize) refused() Response {
	select {
	case <-s.turn.gone:
		return nil
	default:
		return tooLarge{}
	}
}

// made gives the answer, as bytes if it is more than small.
func (s *answerSize) made(resp Response) Response {
	if !s.some {
		return resp
	}
	return &bulk{b: resp.AppendTo(nil)}
}

// end lets others make answers.
func (s *answerSize) end() {
	if s.alone {
		if s.n > answerGarbage {
			runtime.GC()
		}
		large.Unlock()
	}
	if s.some {
		s.turn.End()
	}
}

// bulk is the body of a large answer, which is not copied any more. As a region of its message it is a protocol.Stream of one piece.
type bulk struct {
	b     []byte // nil when it is gone
	given bool
}

// AppendTo copies it all the same.
func (b *bulk) AppendTo(dst []byte) []byte { return append(dst, b.b...) }

// AppendMessage appends it by reference.
func (b *bulk) AppendMessage(m *protocol.Message) error { return m.AppendRegion(b) }

// Len is the size in bytes.
func (b *bulk) Len() int { return len(b.b) }

// ReadInto copies the beginning.
func (b *bulk) ReadInto(dst []byte) (int, error) { return copy(dst, b.b), nil }

// Fd says that there is no file.
func (b *bulk) Fd() (fd uintptr, offset int64, ok bool) { return 0, 0, false }

// Holds is the memory in use.
func (b *bulk) Holds() int { return cap(b.b) }

// Next gives all of it at once.
func (b *bulk) Next() ([]byte, error) {
	if b.given || len(b.b) == 0 {
		b.Release()
		return nil, io.EOF
	}
	b.given = true
	return b.b, nil
}

// Release lets go of it.
func (b *bulk) Release() { b.b = nil }

// tooLarge is the answer that would take too much memory: the connection ends.
type tooLarge struct{}

// AppendTo is not asked for: AppendMessage comes first.
func (tooLarge) AppendTo(dst []byte) []byte { return dst }

// AppendMessage fails with ErrTooLarge.
func (tooLarge) AppendMessage(*protocol.Message) error { return ErrTooLarge }

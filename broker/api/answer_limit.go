package api

import "barnabas/protocol"

// answerMax bounds the elements of an answer to a request that may ask for the same thing as often as it likes, in a few
// bytes each: all settings of a broker, all members of a group, all offsets of one. An element takes some hundred bytes.
const answerMax = 1_000_000

// answerUnit is how many bytes that clients have given count as an element of an answer.
const answerUnit = 256

// tooLarge is the answer that would take too much memory: the connection ends.
type tooLarge struct{}

// AppendTo is not asked for: AppendMessage comes first.
func (tooLarge) AppendTo(dst []byte) []byte { return dst }

// AppendMessage fails with ErrTooLarge.
func (tooLarge) AppendMessage(*protocol.Message) error { return ErrTooLarge }

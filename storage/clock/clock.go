// Package clock is the only place of the broker that asks for the time. Everything that waits, expires or stamps takes
// a Clock, so that tests move time by hand.
package clock

import "time"

// Clock tells the time and calls back. Implementations are safe for concurrent use.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f in a goroutine of its own (the hand-moved clock: within Advance) once d has passed.
	AfterFunc(d time.Duration, f func()) Timer
	// After is a channel that receives once when d has passed.
	After(d time.Duration) <-chan time.Time
}

// Timer is a pending AfterFunc.
type Timer interface {
	// Stop keeps the function from being called; false says that it was called or stopped already.
	Stop() bool
}

// Millis is the time as Kafka writes it: milliseconds since 1970.
func Millis(c Clock) int64 { return c.Now().UnixMilli() }

// Real is the machine's clock.
var Real Clock = realClock{}

type realClock struct{}

func (realClock) Now() time.Time                            { return time.Now() }
func (realClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
func (realClock) After(d time.Duration) <-chan time.Time    { return time.After(d) }

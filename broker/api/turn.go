package api

import (
	"errors"
	"runtime"
)

// turns has a place for each CPU: whoever makes a large answer, or a piece of one, has it over work in memory only, never while
// anything is waited for but large and a heavy batch, whose holders wait for nothing. More at a time would be no faster, and hold more.
var turns = make(chan struct{}, runtime.GOMAXPROCS(0))

// errGone says that nobody waits for an answer any more.
var errGone = errors.New("the client is gone")

// turn is what one connection takes its turns with. The zero value knows no bound, and nobody who leaves.
type turn struct {
	gone <-chan struct{}        // Call.Gone
	room func() <-chan struct{} // Call.Room
}

func (c *Call) turn() turn { return turn{c.Gone, c.Room} }

// Begin waits for a turn, which End ends, until there is room for what is made in it. The look for room comes after the place is
// taken: whoever looked first, and waited then, had looked together with hundreds, each of whom came to hold something. Without room
// the place is given back, as those who leave may be waiting for one. Before it waits it calls waits, unless that is nil, to let go
// of memory. The error is errGone, and there is no turn then.
func (t turn) Begin(waits func()) error {
	for {
		select {
		case turns <- struct{}{}:
		default:
			if waits != nil {
				waits()
			}
			select {
			case turns <- struct{}{}:
			case <-t.gone:
				return errGone
			}
		}
		roomy := t.look()
		if roomy == nil {
			return nil
		}
		t.End()
		if waits != nil {
			waits()
		}
		select {
		case <-roomy:
		case <-t.gone:
			return errGone
		}
	}
}

// look is nil when there is room, and else closed when there may be.
func (t turn) look() <-chan struct{} {
	if t.room == nil {
		return nil
	}
	return t.room()
}

// End lets others have their turn.
func (t turn) End() { <-turns }

package group

import "fmt"

// Larger is the error of a question whose answer has more elements than were wanted: how many it has now, of members, offsets or
// groups. It is asked again when there is room for as many.
type Larger struct{ Size int }

func (l *Larger) Error() string { return fmt.Sprintf("the answer has %d elements", l.Size) }

// larger is a *Larger if there are more than the most that are wanted.
func larger(size, most int) error {
	if size > most {
		return &Larger{size}
	}
	return nil
}

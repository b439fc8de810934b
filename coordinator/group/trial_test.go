package group

import (
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// trial is what both models of random schedules have: a coordinator that the schedule gets into trouble, answers that are waited for,
// and the first thing that was wrong.
type trial struct {
	*stage
	problem error
	polls   []func() bool // true when the answer was there
}

type action struct {
	who  int
	what string
}

func (a action) String() string { return fmt.Sprintf("%d:%s", a.who, a.what) }

func (t *trial) fail(format string, args ...any) {
	if t.problem == nil {
		t.problem = fmt.Errorf(format, args...)
	}
}

// hear lets everything come to rest and takes the answers that are there.
func (t *trial) hear() {
	synctest.Wait()
	t.polls = slices.DeleteFunc(t.polls, func(poll func() bool) bool { return poll() })
}

// trouble does what a schedule has happen to the coordinator's log, and says whether it was that.
func (t *trial) trouble(what string) bool {
	switch what {
	case "fail":
		t.log.Fail(kerr.KafkaStorageError)
	case "mend":
		t.log.Fail(nil)
		t.advance(time.Second)
	case "hold":
		t.log.Hold()
	case "release":
		t.log.Commit()
	default:
		return false
	}
	return true
}

// allWell ends all trouble, and waits until what it has kept waiting is done.
func (t *trial) allWell() {
	t.log.Fail(nil)
	t.log.Commit()
	t.advance(3 * time.Second)
}

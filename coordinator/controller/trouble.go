package controller

import (
	"time"

	"go.uber.org/zap"
)

const (
	// retryPause is how long the controller waits before it stands for election again after something went wrong; each further
	// failure doubles it.
	retryPause = 100 * time.Millisecond
	// longestPause bounds the pauses, so that a store that works again (its disk has room) has a controller within seconds.
	longestPause = 5 * time.Second
	// firmAfter is how long a term must last for the trouble before it to be over.
	firmAfter = 5 * time.Second
)

// trouble is a row of failures to become or to stay the controller, such as a full disk under the store brings. Each reason is said
// once, and so is the end; what goes on in between is not news and goes to the debug level. It belongs to the goroutine of Run.
type trouble struct {
	log   *zap.Logger
	pause time.Duration // before the next try; 0 when there is no trouble
	tries int
	said  map[string]bool // reasons
}

// failed notes a failure and gives the pause before the next try.
func (t *trouble) failed(err error) time.Duration {
	t.tries++
	t.pause = min(max(2*t.pause, retryPause), longestPause)
	say := t.log.Debug
	if !t.said[err.Error()] {
		say = t.log.Warn
		if t.said == nil {
			t.said = map[string]bool{}
		}
		t.said[err.Error()] = true
	}
	say("this broker cannot be the controller, trying again until it can, at most 5 s apart", zap.Error(err))
	return t.pause
}

// info logs what is news unless there is trouble.
func (t *trouble) info(message string, fields ...zap.Field) {
	if t.tries > 0 {
		t.log.Debug(message, fields...)
		return
	}
	t.log.Info(message, fields...)
}

// over ends the trouble: this broker's term has lasted, or another broker is the controller.
func (t *trouble) over() {
	if t.tries > 0 {
		t.log.Info("the trouble of the controller is over", zap.Int("failures", t.tries))
	}
	*t = trouble{log: t.log}
}

// firm: a term has lasted.
type firm struct {
	trouble *trouble
	log     *zap.Logger // of the term, which has said no more than warnings
}

func (e firm) handle(t *term) error {
	e.trouble.over()
	t.log = e.log
	return nil
}

package broker

import (
	"errors"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// acceptPause is how long an acceptor waits that could not accept: connections that end will free descriptors. Those who want
// to come in wait in the backlog meanwhile.
const acceptPause = 100 * time.Millisecond

// acceptFailures says that connections cannot be accepted: at once, then once a minute, and when it is over. It is for the
// acceptor alone.
type acceptFailures struct {
	n             int
	since, saidAt time.Time
}

// failed notes a failure.
func (f *acceptFailures) failed(log *zap.Logger, listener string, now time.Time, err error) {
	if f.n++; f.n == 1 {
		f.since = now
	} else if now.Sub(f.saidAt) < time.Minute {
		return
	}
	f.saidAt = now
	fields := []zap.Field{zap.String("listener", listener), zap.Error(err), zap.Int("failures", f.n)}
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		fields = append(fields, zap.String("advice", "raise the limit of open files (ulimit -n, LimitNOFILE), or lower max.connections"))
	}
	log.Warn("cannot accept connections; they wait", fields...)
}

// over notes that one has been accepted.
func (f *acceptFailures) over(log *zap.Logger, listener string, now time.Time) {
	if f.n == 0 {
		return
	}
	log.Info("connections are accepted again", zap.String("listener", listener), zap.Int("failures", f.n), zap.Duration("after", now.Sub(f.since)))
	*f = acceptFailures{}
}

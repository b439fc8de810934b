package storage

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// A process, or the system, that has no descriptor left is no fault of a disk. What is refused for it leaves the log as it was, and
// whoever asks again when some are free is answered. What must not be left half done waits for them, see insist.

const (
	// tellShortage is how often a lack of descriptors or mappings is told of.
	tellShortage = time.Minute
	// awaitFiles is the time between two tries of what must not be left half done, lastTry when it is given up.
	awaitFiles = 50 * time.Millisecond
	lastTry    = time.Minute
)

// shortage tells of a lack of descriptors or mappings at once, and then once in a while.
type shortage struct {
	mu   sync.Mutex // guards what follows
	n    int        // refusals that were not told of
	told time.Time
}

func (s *shortage) tell(log *zap.Logger, clk clock.Clock, op string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	now := clk.Now()
	if !s.told.IsZero() && now.Sub(s.told) < tellShortage && !now.Before(s.told) {
		return
	}
	advice := "raise the limit of open files (ulimit -n, LimitNOFILE), or lower max.connections"
	if vfs.OutOfMaps(err) {
		advice = "raise vm.max_map_count"
	}
	log.Warn("too many open files or mappings, refusing what needs more", zap.String("op", op), zap.Int("times", s.n), zap.Error(err), zap.String("advice", advice))
	s.n, s.told = 0, now
}

// insist does what must not be left half done again and again until there is a descriptor for it. After lastTry the log, which
// is then neither what it was nor what it was to be, goes offline. f must be such that it can be done twice.
func (l *Log) insist(op string, f func() error) error {
	err := insist(l.clock, f)
	if err != nil && vfs.OutOfFiles(err) {
		return l.fail(op, fmt.Errorf("given up after %v: %v", lastTry, err)) //nolint:errorlint // it counts as a failure now
	}
	return err
}

func insist(clk clock.Clock, f func() error) error {
	began := clk.Now()
	for {
		err := f()
		if err == nil || !vfs.OutOfFiles(err) || clk.Now().Sub(began) > lastTry {
			return err
		}
		<-clk.After(awaitFiles)
	}
}

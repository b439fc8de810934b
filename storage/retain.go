package storage

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
)

// SetStart raises the log start (DeleteRecords): what lies before is not served any more, and goes with the next Retain.
// OFFSET_OUT_OF_RANGE above the high watermark; a lower start than the present changes nothing.
func (l *Log) SetStart(at int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	if hw := l.hw.Load(); at > hw {
		return fmt.Errorf("%s: log start %d above high watermark %d: %w", l, at, hw, kerr.OffsetOutOfRange)
	}
	l.raiseStart(at)
	return nil
}

func (l *Log) raiseStart(at int64) {
	if at <= l.start.Load() {
		return
	}
	l.start.Store(at)
	if l.epochs.TruncateFromStart(at) {
		l.epochsDirty = true
	}
	l.producers.Replicated(at)
	l.settle()
}

// Retain removes the segments that the settings allow to go, from the oldest on, and returns how many. Nothing at or above
// the high watermark goes.
func (l *Log) Retain(now int64) (int, error) {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return 0, err
	}
	c := l.config.Load()
	n, err := l.remove("log start", func(_ *segment, next int64, last bool) (bool, error) {
		return !last && next <= l.start.Load(), nil
	})
	if err != nil || !c.Delete {
		return n, err
	}
	if c.RetentionBytes >= 0 {
		over := l.list().bytes() - c.RetentionBytes
		m, err := l.remove("size", func(s *segment, _ int64, _ bool) (bool, error) {
			if over -= s.size.Load(); over < 0 {
				return false, nil
			}
			return true, nil
		})
		if n += m; err != nil {
			return n, err
		}
	}
	if c.RetentionMs >= 0 {
		m, err := l.remove("age", func(s *segment, _ int64, _ bool) (bool, error) {
			newest, err := s.newestOrWritten()
			return now-newest > c.RetentionMs, err
		})
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// newestOrWritten is the largest timestamp, or when the file was last written if no record has one.
func (s *segment) newestOrWritten() (int64, error) {
	ts, _, err := s.largest()
	if err != nil || ts >= 0 || !s.onDisk {
		return max(ts, 0), err
	}
	info, err := s.log.fs.Stat(s.path(logSuffix))
	return info.ModTime.UnixMilli(), err
}

// remove takes away the oldest segments for which due holds without a gap. An empty active segment stays; when a full one
// goes, an empty one takes its place.
func (l *Log) remove(why string, due func(s *segment, next int64, last bool) (bool, error)) (int, error) {
	list, end := l.list(), l.end.Load()
	n := 0
	for i, s := range list {
		last := i+1 == len(list)
		next := list.end(i, end)
		if l.hw.Load() < next || last && s.size.Load() == 0 {
			break
		}
		ok, err := due(s, next, last)
		if err != nil {
			return 0, l.readError(err)
		}
		if !ok {
			break
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	if n == len(list) {
		if _, err := l.roll(end); err != nil {
			return 0, err
		}
		list = l.list()
	}
	gone := list[:n]
	l.nameless.Store(true)
	l.dirDirty = true // the next flush syncs the names
	l.logger.Info("retention", zap.Stringer("log", l), zap.String("by", why), zap.Int("segments", n), zap.Int64("start", list[n].base))
	// The start first, then the list: a reader never finds the start in a segment that is gone.
	l.raiseStart(list[n].base)
	l.setList(slices.Clone(list[n:]))
	for _, s := range gone {
		if err := l.discard(s); err != nil {
			return n, err
		}
	}
	return n, l.dropSnapshots(func(at int64) bool {
		return slices.ContainsFunc(gone, func(s *segment) bool { return s.base == at })
	})
}

package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"go.uber.org/zap"

	"barnabas/storage/producers"
	"barnabas/storage/vfs"
)

// straySnapshots removes the snapshots that are of no use: beyond the end, not above the start, and those at no segment's
// base, of which the newest stays when it lies in the active segment.
func (ld *loader) straySnapshots(start, end int64) error {
	list := ld.Log.list()
	newest := int64(-1)
	for _, at := range ld.snapshots {
		if at <= end && at >= list.active().base {
			newest = max(newest, at)
		}
	}
	var kept []int64
	for _, at := range ld.snapshots {
		pending := slices.ContainsFunc(ld.pending, func(p snapshot) bool { return p.offset == at })
		i := list.floor(at)
		if pending || at <= end && at > start && (at == newest || i >= 0 && list[i].base == at) {
			kept = append(kept, at)
			continue
		}
		if err := ld.fs.Remove(filepath.Join(ld.dir, fileName(at, snapshotSuffix))); err != nil && !isMissing(err) {
			return err
		}
	}
	ld.snapshots = kept
	return nil
}

// loadProducers fills the table after a clean stop.
func (ld *loader) loadProducers(start, end int64) error {
	if len(ld.snapshots) == 0 && ld.o.Clean {
		// Nobody kept producers here, or there was nothing to keep. Snapshots of nothing spare a later start the scan.
		ld.lastSnap = start
		list := ld.Log.list()
		if n := len(list); n > 1 {
			ld.takeSnapshot(list[n-2].base)
		}
		ld.takeSnapshot(list.active().base)
		ld.takeSnapshot(end)
		return nil
	}
	return ld.reloadProducers(end)
}

// newestSnapshot loads the newest usable snapshot not above an offset, removing the corrupt ones, and says where it ends;
// start when there is none.
func (l *Log) newestSnapshot(upTo int64) (states []producers.State, at int64, err error) {
	for i := len(l.snapshots) - 1; i >= 0; i-- {
		at := l.snapshots[i]
		if at > upTo || at <= l.start.Load() {
			continue
		}
		b, err := l.readSnapshot(at)
		if err == nil {
			if states, err = producers.DecodeSnapshot(b); err == nil {
				return states, at, nil
			}
		}
		if !errors.Is(err, producers.ErrSnapshot) && !isMissing(err) {
			return nil, 0, err
		}
		l.logger.Warn("producer snapshot is of no use", zap.Stringer("log", l), zap.Int64("offset", at), zap.Error(err))
		if err := l.fs.Remove(filepath.Join(l.dir, fileName(at, snapshotSuffix))); err != nil && !isMissing(err) {
			return nil, 0, err
		}
		l.snapshots = slices.Delete(l.snapshots, i, i+1)
	}
	return nil, max(l.start.Load(), l.list()[0].base), nil
}

func (l *Log) readSnapshot(at int64) ([]byte, error) {
	for _, p := range l.pending {
		if p.offset == at {
			return p.data, nil
		}
	}
	return vfs.ReadFile(l.fs, filepath.Join(l.dir, fileName(at, snapshotSuffix)), 1<<30)
}

// reloadProducers makes the table what it was when the log ended at an offset: from the newest snapshot and the batches
// behind it.
func (l *Log) reloadProducers(end int64) error {
	states, at, err := l.newestSnapshot(end)
	if err != nil {
		return l.fail("read of snapshot", err)
	}
	l.producers.Load(states, l.now(), l.config.Load().ProducerExpirationMs)
	l.lastSnap = at
	if err := l.replay(at, end); err != nil {
		return err
	}
	l.settle()
	return nil
}

// misled is the error of a replay, with the segment that it was in.
type misled struct {
	segment *segment
	err     error
}

func (m *misled) Error() string {
	return fmt.Sprintf("replay of segment %d: %v", m.segment.base, m.err)
}
func (m *misled) Unwrap() error { return m.err }

// replay applies the batches in [from, upTo) to the producers. Its error is a *misled.
func (l *Log) replay(from, upTo int64) error {
	list := l.list()
	for i := max(list.floor(from), 0); i < len(list) && list[i].base < upTo; i++ {
		s := list[i]
		pos, err := s.position(from)
		if err != nil {
			return l.readError(&misled{s, err})
		}
		err = s.entries(pos, func(e entry, b []byte) bool {
			if e.first >= upTo {
				return false
			}
			if e.magic == 2 {
				l.replayed(b)
			}
			return true
		})
		if err != nil {
			return l.readError(&misled{s, err})
		}
	}
	return nil
}

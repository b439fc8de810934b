package storage

import (
	"errors"

	"barnabas/storage/checkpoint"
)

// The checkpoints of a log dir are made from atomic fields of its logs, so that no lock of a log is wanted here: a log
// calls for them under its own (see LogOptions.OnLowered).

func partitionOf(l *Log) checkpoint.Partition {
	return checkpoint.Partition{Topic: l.Topic(), ID: l.Partition()}
}

// write replaces one checkpoint with what value gives for each log in the log dir; logs for which it gives false are left
// out.
func (d *logDir) write(name string, value func(*Log) (int64, bool)) error {
	if e := d.failure.Load(); e != nil {
		return e
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writeLocked(name, value)
}

func (d *logDir) writeLocked(name string, value func(*Log) (int64, bool)) error {
	o := checkpoint.Offsets{}
	for _, h := range d.m.in(d) {
		if at, ok := value(h.log); ok {
			o[partitionOf(h.log)] = at
		}
	}
	return d.replace(name, o)
}

func (d *logDir) writeRecoveryPoints() error {
	return d.write(checkpoint.RecoveryPoints, recoveryPoint)
}
func (d *logDir) writeLogStarts() error  { return d.write(checkpoint.LogStarts, logStart) }
func (d *logDir) writeFirstDirty() error { return d.write(checkpoint.FirstDirty, firstDirty) }
func (d *logDir) writeHighWatermarks() error {
	return d.write(checkpoint.HighWatermarks, highWatermark)
}

func recoveryPoint(l *Log) (int64, bool) { return l.RecoveryPoint(), true }
func highWatermark(l *Log) (int64, bool) { return l.HighWatermark(), true }

// firstDirty is only noted of logs that were ever cleaned.
func firstDirty(l *Log) (int64, bool) { at := l.CleanedTo(); return at, at > 0 }

// logStart is only noted where the files do not say it, or do not say it durably.
func logStart(l *Log) (int64, bool) {
	return l.Start(), l.nameless.Load() || l.Start() > l.list()[0].base
}

// writeAll replaces all of them; then they list no deleted replica any more.
func (d *logDir) writeAll() error {
	if e := d.failure.Load(); e != nil {
		return e
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writeAllLocked()
}

func (d *logDir) writeAllLocked() error {
	err := errors.Join(
		d.writeLocked(checkpoint.RecoveryPoints, recoveryPoint),
		d.writeLocked(checkpoint.LogStarts, logStart),
		d.writeLocked(checkpoint.HighWatermarks, highWatermark),
		d.writeLocked(checkpoint.FirstDirty, firstDirty))
	if err == nil {
		clear(d.ghosts)
	}
	return err
}

// haunt notes that the checkpoints may list a replica that is gone.
func (d *logDir) haunt(p checkpoint.Partition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ghosts[p] = struct{}{}
}

// forgetGhost brings the checkpoints up to date before a replica is made of whose name they may know a deleted one.
func (d *logDir) forgetGhost(p checkpoint.Partition) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.ghosts[p]; !ok {
		return nil
	}
	return d.writeAllLocked()
}

package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"barnabas/storage/checkpoint"
)

// closers is how many logs of a log dir are closed at a time, at least: closing waits for the disk, not for a processor, and the
// file system writes down together what many wait for.
const closers = 16

// Close closes all logs and leaves each log dir as a clean stop does, so that the next start, of barnabas or of a Java
// broker, scans nothing: logs flushed, checkpoints written, then the mark of the clean stop, then the lock given back.
//
// A log dir that has failed, or whose logs could not all be closed before ctx ended, gets no mark: the next start recovers
// it. One that Load did not finish gets its mark back if it had one, as nothing was written to it, and keeps its
// checkpoints.
func (m *Manager) Close(ctx context.Context) error {
	if !m.shut() {
		return nil
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	errs := make([]error, len(m.dirs))
	m.cleaner.stop()
	for _, d := range m.dirs {
		d.janitor.stop()
	}
	done := make(chan int)
	for i, d := range m.dirs {
		go func() {
			errs[i] = d.close(ctx)
			done <- i
		}()
	}
	for range m.dirs {
		<-done
	}
	m.unlock(true)
	return errors.Join(errs...)
}

func (d *logDir) close(ctx context.Context) error {
	if e := d.failure.Load(); e != nil {
		d.abandon()
		return nil // told when it happened
	}
	m := d.m
	err := d.closeLogs(ctx)
	d.queue.stop()
	if err == nil && d.loaded {
		err = d.writeAll()
	}
	if err == nil && (d.loaded || d.clean) {
		if err = checkpoint.MarkClean(m.o.FS, d.path); err != nil {
			err = d.fail("write of "+checkpoint.CleanShutdown, err)
		}
	}
	if err != nil {
		d.abandon()
		return fmt.Errorf("log dir %s is not left clean: %w", d.path, err)
	}
	m.o.Logger.Info("closed log dir", zap.String("dir", d.path))
	return nil
}

// closeLogs closes many logs at a time, and those for which there were too few descriptors one by one.
func (d *logDir) closeLogs(ctx context.Context) error {
	var mu sync.Mutex
	var short []hosted
	if err := each(ctx, max(closers, int(d.m.threads.Load())), sorted(d.m.in(d)), func(h hosted) error {
		err := h.log.Close()
		if isPassing(err) {
			mu.Lock()
			defer mu.Unlock()
			short = append(short, h)
			return nil
		}
		return err
	}); err != nil {
		return err
	}
	return each(ctx, 1, short, func(h hosted) error { return h.log.Close() })
}

// abandon lets go of what the logs hold, without writing.
func (d *logDir) abandon() {
	for _, h := range d.m.in(d) {
		h.log.Abandon()
	}
	d.queue.stop()
}

// Kill drops everything as it is: no flush, no checkpoint, no mark, lock files left behind. For tests, in place of kill -9.
func (m *Manager) Kill() {
	if !m.shut() {
		return
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	m.cleaner.stop()
	for _, d := range m.dirs {
		d.janitor.stop()
		d.abandon()
	}
	m.unlock(false)
}

// shut refuses changes from now on; false when somebody did before.
func (m *Manager) shut() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.closed
	m.closed = true
	return !was
}

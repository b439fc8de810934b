package storage

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"barnabas/storage/clock"
)

// janitor does the chores of one log dir, one at a time: retention, checkpoints, flush.ms, removal of deleted replicas,
// expiry of producers. It sleeps on one timer of the storage clock, so that tests run it by moving the clock.
type janitor struct {
	dir *logDir

	run sync.Mutex // held while chores run; before mu

	mu       sync.Mutex // guards what follows
	chores   []chore
	removals []removal
	timer    clock.Timer
	armed    time.Time // when timer is due
	started  bool
	stopped  bool
}

type chore struct {
	every time.Duration
	next  time.Time
	do    func(now int64)
}

type removal struct {
	path string
	at   time.Time
}

// Start begins the chores of the log dirs and the cleaner: after Load, when partitions can have leaders.
func (m *Manager) Start() {
	for _, d := range m.live() {
		d.janitor.start()
	}
	m.cleaner.start()
}

func (j *janitor) start() {
	d, o := j.dir, &j.dir.m.o
	now := o.Clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	add := func(first, every time.Duration, do func(now int64)) {
		if every > 0 {
			j.chores = append(j.chores, chore{every: every, next: now.Add(first), do: do})
		}
	}
	// Errors have taken the log dir offline, which tells its story.
	add(o.HighWatermarks, o.HighWatermarks, func(int64) { _ = d.writeHighWatermarks() })
	add(o.FirstDelay, o.RetentionCheck, d.retain)
	add(o.FirstDelay, o.RecoveryPoints, func(int64) { _ = d.writeRecoveryPoints() })
	add(o.FirstDelay, o.LogStarts, func(int64) { _ = d.writeLogStarts() })
	add(o.ProducerExpiry, o.ProducerExpiry, d.expireProducers)
	add(o.FirstDelay, o.FlushCheck, d.flushDue)
	j.started = true
	j.armLocked()
}

// armLocked sets the timer for what is due first.
func (j *janitor) armLocked() {
	if !j.started || j.stopped {
		return
	}
	var first time.Time
	for _, c := range j.chores {
		if first.IsZero() || c.next.Before(first) {
			first = c.next
		}
	}
	for _, r := range j.removals {
		if r.at.Before(first) {
			first = r.at
		}
	}
	if j.timer != nil {
		if j.armed.Equal(first) {
			return
		}
		j.timer.Stop()
	}
	j.armed = first
	clk := j.dir.m.o.Clock
	j.timer = clk.AfterFunc(first.Sub(clk.Now()), j.tick)
}

// tick does what is due. A second one that comes meanwhile waits, and finds nothing.
func (j *janitor) tick() {
	j.run.Lock()
	defer j.run.Unlock()
	j.mu.Lock()
	j.timer = nil
	now := j.dir.m.o.Clock.Now()
	var due []func()
	for i := range j.chores {
		if c := &j.chores[i]; !c.next.After(now) && !j.stopped {
			// Missed rounds are not made up for.
			c.next = now.Add(c.every)
			due = append(due, func() { c.do(now.UnixMilli()) })
		}
	}
	if !j.stopped {
		j.removals = slices.DeleteFunc(j.removals, func(r removal) bool {
			if r.at.After(now) {
				return false
			}
			due = append(due, func() { j.dir.erase(r.path) })
			return true
		})
	}
	j.mu.Unlock()
	for _, do := range due {
		if j.dir.failure.Load() != nil {
			j.halt()
			return
		}
		do()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.armLocked()
}

// remove has a directory removed after a delay.
func (j *janitor) remove(path string, delay time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.removals = append(j.removals, removal{path: path, at: j.dir.m.o.Clock.Now().Add(delay)})
	j.armLocked()
}

// halt ends the chores; one that runs goes on.
func (j *janitor) halt() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stopped = true
	if j.timer != nil {
		j.timer.Stop()
		j.timer = nil
	}
}

// stop ends the chores, and returns when none runs.
func (j *janitor) stop() {
	j.halt()
	j.run.Lock()
	defer j.run.Unlock()
}

func (d *logDir) retain(now int64) {
	for _, h := range d.m.in(d) {
		if _, err := h.log.Retain(now); err != nil && h.log.usable() == nil && !isPassing(err) {
			d.m.o.Logger.Warn("retention failed", zap.Stringer("log", h.log), zap.Error(err))
		}
	}
}

func (d *logDir) expireProducers(now int64) {
	for _, h := range d.m.in(d) {
		h.log.ExpireProducers(now)
	}
}

func (d *logDir) flushDue(now int64) {
	for _, h := range d.m.in(d) {
		if err := h.log.SyncDue(now); err != nil && h.log.usable() == nil && !isPassing(err) {
			d.m.o.Logger.Warn("flush failed", zap.Stringer("log", h.log), zap.Error(err))
		}
	}
}

package storage

import (
	"errors"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"barnabas/storage/checkpoint"
	"barnabas/storage/clean"
	"barnabas/storage/clock"
)

// CleanerConfig is the settings of the log cleaner, log.cleaner.*.
type CleanerConfig struct {
	Threads           int           // log.cleaner.threads; 0 or less: nothing is compacted (log.cleaner.enable)
	DedupeBytes       int64         // log.cleaner.dedupe.buffer.size, of all threads together; taken while there are keys
	LoadFactor        float64       // log.cleaner.io.buffer.load.factor
	BufferBytes       int           // log.cleaner.io.buffer.size, of all threads together
	MaxBytesPerSecond float64       // log.cleaner.io.max.bytes.per.second, read and written
	Backoff           time.Duration // log.cleaner.backoff.ms
}

// minBackoff keeps a back-off of 0 from being a busy loop.
const minBackoff = 10 * time.Millisecond

// giveBackAt is how many bytes passes must have taken for them to be worth a collection of garbage when all are done.
const giveBackAt = 8 << 20

// cleaner compacts the logs of all log dirs, the dirtiest first. While nothing is dirty there is one timer and nothing else:
// when it fires, up to Threads goroutines clean until nothing is left to do.
//
// It takes no part in what else happens to a log: a pass works on sealed segments that it has seen, and puts its result in
// their place only if they are still there and nothing was truncated. Whoever takes a log's files away ends its pass first.
type cleaner struct {
	m        *Manager
	throttle throttle

	mu      sync.Mutex // guards what follows; Log.mu may be taken under it
	idle    *sync.Cond // on mu; signalled when workers falls
	config  CleanerConfig
	quit    chan struct{} // closed by stop
	workers int
	busy    map[*Log]struct{} // what the workers have in hand
	garbage int64             // bytes that passes have taken since memory was given back
	timer   clock.Timer
	started bool
	stopped bool
}

func newCleaner(m *Manager, c CleanerConfig) *cleaner {
	cl := &cleaner{m: m, quit: make(chan struct{}), config: c, busy: map[*Log]struct{}{}}
	cl.idle = sync.NewCond(&cl.mu)
	cl.throttle.init(m.o.Clock, c.MaxBytesPerSecond)
	return cl
}

// SetCleaner changes the settings of the log cleaner: the limit of its I/O at once, memory and threads with the next log
// that is cleaned.
func (m *Manager) SetCleaner(c CleanerConfig) {
	cl := m.cleaner
	cl.throttle.set(c.MaxBytesPerSecond)
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.config == c {
		return
	}
	cl.config = c
	cl.disarmLocked()
	cl.armLocked()
}

// start begins with a back-off, in which a broker that has just started gets on with more urgent things.
func (c *cleaner) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = true
	c.armLocked()
}

func (c *cleaner) disarmLocked() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

func (c *cleaner) armLocked() {
	if c.timer == nil && c.started && !c.stopped && c.workers < c.config.Threads {
		c.timer = c.m.o.Clock.AfterFunc(max(c.config.Backoff, minBackoff), c.tick)
	}
}

// tick sets workers to work.
func (c *cleaner) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = nil
	for !c.stopped && c.workers < c.config.Threads {
		c.workers++
		go c.work()
	}
}

// stop ends all passes and returns when none runs.
func (c *cleaner) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		close(c.quit)
	}
	c.stopped = true
	c.disarmLocked()
	c.restLocked()
}

// restLocked returns when nobody works.
func (c *cleaner) restLocked() {
	for c.workers > 0 {
		c.idle.Wait()
	}
}

// work cleans until nothing is left.
func (c *cleaner) work() {
	for {
		h, extent, o, ok := c.filthiest()
		if !ok || !c.clean(h, extent, o) {
			break
		}
	}
	c.retain()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.workers == 1 && c.garbage >= giveBackAt {
		// The runtime would keep it for minutes, and a broker that is idle is to be small.
		c.garbage = 0
		c.mu.Unlock()
		debug.FreeOSMemory()
		c.mu.Lock()
	}
	c.workers--
	c.idle.Broadcast()
	c.armLocked()
}

// filthiest takes the dirtiest log that is due.
func (c *cleaner) filthiest() (best hosted, extent clean.Extent, o CleanOptions, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || c.workers > c.config.Threads {
		return hosted{}, clean.Extent{}, o, false
	}
	now := clock.Millis(c.m.o.Clock)
	for _, h := range c.m.hosted(hosted.compacted) {
		if _, taken := c.busy[h.log]; taken {
			continue
		}
		e, err := h.log.Cleanable(now)
		if err != nil {
			if !isPassing(err) {
				c.uncleanable(h, err)
			}
			continue
		}
		if e.Due(h.log.config.Load().MinCleanableRatio) && (!ok || e.Ratio() > extent.Ratio()) {
			best, extent, ok = h, e, true
		}
	}
	if !ok {
		return best, extent, o, false
	}
	c.busy[best.log] = struct{}{}
	threads := max(c.config.Threads, 1)
	return best, extent, CleanOptions{
		DedupeBytes: c.config.DedupeBytes / int64(threads), LoadFactor: c.config.LoadFactor,
		BufferBytes: c.config.BufferBytes / threads / 2, Stop: c.quit, Throttle: c.throttle.take,
	}, true
}

// compacted says whether the cleaner has to do with a log.
func (h hosted) compacted() bool {
	return h.log.config.Load().Compact && h.log.uncleanable.Load() == nil && h.log.usable() == nil
}

// clean does one pass, and says whether to look for the next log at once.
func (c *cleaner) clean(h hosted, extent clean.Extent, o CleanOptions) bool {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.busy, h.log)
	}()
	began := c.m.o.Clock.Now()
	did, err := h.log.Clean(o)
	c.mu.Lock()
	c.garbage += did.MapBytes
	c.mu.Unlock()
	switch {
	case err == nil:
		did.log(c.m.o.Logger, h.log, extent, c.m.o.Clock.Now().Sub(began))
		_ = h.dir.writeFirstDirty() // an error has taken the log dir offline
		return did.To > did.From
	case IsCleanStopped(err), errors.Is(err, ErrCleaning), isPassing(err):
		return false
	}
	c.uncleanable(h, err)
	return true
}

// uncleanable leaves a log alone from now on, so that the others get their turn.
func (c *cleaner) uncleanable(h hosted, err error) {
	if h.log.usable() != nil {
		return // it tells its own story
	}
	c.m.o.Logger.Warn("log cannot be compacted, leaving it alone until the next start", zap.Stringer("log", h.log), zap.String("dir", h.dir.path), zap.Error(err))
	h.log.uncleanable.Store(&err)
}

// retain does for compacted logs what the janitor does, with the cleaner's pace, as Kafka does.
func (c *cleaner) retain() {
	now := clock.Millis(c.m.o.Clock)
	for _, h := range c.m.hosted(hosted.compacted) {
		if _, err := h.log.Retain(now); err != nil && h.log.usable() == nil && !isPassing(err) {
			c.m.o.Logger.Warn("retention failed", zap.Stringer("log", h.log), zap.Error(err))
		}
	}
}

// Uncleanable is a log that the cleaner leaves alone, because a pass over it failed.
type Uncleanable struct {
	Topic     string
	Partition int32
	Dir       string // the log dir
	Err       error  // what the pass met
	Bytes     int64  // that wait to be cleaned
}

// Uncleanable lists the logs that are compacted and cannot be, in the order of the partitions.
func (m *Manager) Uncleanable() []Uncleanable {
	var all []Uncleanable
	for _, h := range m.hosted(func(h hosted) bool { return h.log.uncleanable.Load() != nil }) {
		u := Uncleanable{Topic: h.log.Topic(), Partition: h.log.Partition(), Dir: h.dir.path, Err: *h.log.uncleanable.Load()}
		if e, err := h.log.Cleanable(clock.Millis(m.o.Clock)); err == nil {
			u.Bytes = e.DirtyBytes
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b Uncleanable) int {
		return checkpoint.Partition{Topic: a.Topic, ID: a.Partition}.Compare(checkpoint.Partition{Topic: b.Topic, ID: b.Partition})
	})
	return all
}

// throttle spreads bytes over time, for all passes together.
type throttle struct {
	clock clock.Clock

	mu      sync.Mutex // guards what follows
	rate    float64    // bytes a second
	free    time.Time  // when what was taken is paid for
	changed chan struct{}
}

// slack is the time for which bytes may be taken ahead: timers are not finer.
const slack = 100 * time.Millisecond

func (t *throttle) init(c clock.Clock, rate float64) {
	t.clock, t.rate, t.changed = c, rate, make(chan struct{})
}

// set changes the rate at once; debts are forgiven.
func (t *throttle) set(rate float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rate == rate {
		return
	}
	t.rate, t.free = rate, time.Time{}
	close(t.changed)
	t.changed = make(chan struct{})
}

// take counts bytes, and waits until there may be more, the rate changes or a channel is closed.
func (t *throttle) take(bytes int64, stop ...<-chan struct{}) {
	wait, changed := t.owe(bytes)
	if wait <= slack {
		return
	}
	stop = append(slices.Clip(stop), nil, nil)
	select {
	case <-t.clock.After(wait):
	case <-changed:
	case <-stop[0]:
	case <-stop[1]:
	}
}

func (t *throttle) owe(bytes int64) (wait time.Duration, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if t.free.Before(now) {
		t.free = now
	}
	if t.rate <= 0 {
		t.rate = math.MaxFloat64
	}
	seconds := float64(bytes) / t.rate
	t.free = t.free.Add(time.Duration(min(seconds, float64(maxDebt/time.Second)) * float64(time.Second)))
	return t.free.Sub(now), t.changed
}

// maxDebt bounds what one call may have to wait for, with a rate next to nothing.
const maxDebt = time.Hour

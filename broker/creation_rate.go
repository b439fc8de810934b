package broker

import (
	"math"
	"time"
)

// creationRate measures how many connections a second come in, and how long the next must wait for the rate to come down to
// its limit. It is Kafka's measure: the newcomers of the last windows, by the time since the oldest of them began. A rate
// that has just begun counts as if all windows but one had passed, so that a burst is let in.
type creationRate struct {
	windows int   // how many are kept, besides the one that begins
	window  int64 // milliseconds
	samples []rateSample
	current int // the sample that newcomers are counted in
}

// rateSample is a window: the newcomers since a time, and the time of the last one (milliseconds).
type rateSample struct {
	n           int
	start, last int64
}

func newCreationRate(windows int, window time.Duration) creationRate {
	return creationRate{windows: windows, window: window.Milliseconds()}
}

// record counts a newcomer at now (milliseconds), and says how many milliseconds it must wait for the rate to be limit: one
// window at most.
func (r *creationRate) record(now int64, limit int) int64 {
	s := r.at(now)
	s.n, s.last = s.n+1, now
	elapsed, n := r.measure(now)
	bound := float64(limit)
	rate := float64(n) / (float64(elapsed) / 1000)
	if rate <= bound {
		return 0
	}
	delay := (rate - bound) / bound * float64(elapsed) // +Inf for a limit of 0
	return int64(math.Round(min(delay, float64(r.window))))
}

// at is the sample of a time, a fresh one when that before is complete. Their memory is used in a circle.
func (r *creationRate) at(now int64) *rateSample {
	if len(r.samples) == 0 {
		r.samples = append(r.samples, rateSample{start: now, last: now})
	}
	if now-r.samples[r.current].start >= r.window {
		r.current = (r.current + 1) % (r.windows + 1)
		if r.current == len(r.samples) {
			r.samples = append(r.samples, rateSample{})
		}
		r.samples[r.current] = rateSample{start: now, last: now}
	}
	return &r.samples[r.current]
}

// measure counts the newcomers of the samples that are not too old, which begin anew, and the milliseconds that they took.
func (r *creationRate) measure(now int64) (elapsed int64, n int) {
	oldest := now
	for i := range r.samples {
		s := &r.samples[i]
		if now-s.last >= int64(r.windows)*r.window {
			*s = rateSample{start: now, last: now}
		}
		n += s.n
		oldest = min(oldest, s.start)
	}
	elapsed = now - oldest
	if full := elapsed / r.window; full < int64(r.windows-1) {
		elapsed += (int64(r.windows-1) - full) * r.window
	}
	return max(elapsed, 1), n
}

package main

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// awakeNap is how long a nap takes: short of the 10 ms after which sysmon takes the processor from a goroutine in a system call.
	awakeNap = 5 * time.Millisecond
	// awakeLook is how often the process looks whether it is at work.
	awakeLook = 100 * time.Millisecond
	// awakeShare is the share of one CPU above which the process is at work.
	awakeShare = 0.02
)

// stayAwake spares a working broker the wakings of Go's monitor thread, until ctx is done.
//
// Whenever no goroutine runs, sysmon sleeps; the next request wakes it, and it then polls every 20 µs for a millisecond (runtime/proc.go,
// sysmon). A broker that waits for its clients thousands of times a second spends up to half of its processor time on that. A goroutine
// that naps in a system call holds a processor of the scheduler, so that the process never looks idle and sysmon backs off to 10 ms.
// That processor is added to those of GOMAXPROCS. A quiet process does not nap.
func stayAwake(ctx context.Context) {
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(before + 1)
	defer runtime.GOMAXPROCS(before)
	awake{used: processorTime, nap: nap, look: awakeLook}.run(ctx)
}

// An awake is stayAwake without the process: used gives the processor time so far.
type awake struct {
	used func() time.Duration
	nap  func()
	look time.Duration
}

func (a awake) run(ctx context.Context) {
	for busy := false; ctx.Err() == nil; {
		at, before := time.Now(), a.used()
		if busy {
			a.naps(ctx, at.Add(a.look))
		} else {
			select {
			case <-ctx.Done():
			case <-time.After(a.look):
			}
		}
		busy = atWork(a.used()-before, time.Since(at))
	}
}

func (a awake) naps(ctx context.Context, until time.Time) {
	for ctx.Err() == nil && time.Now().Before(until) {
		a.nap()
		runtime.Gosched() // a goroutine that the scheduler has not seen for 10 ms loses its processor
	}
}

// atWork says whether a process that used so much processor time meanwhile is at work.
func atWork(used, elapsed time.Duration) bool {
	return float64(used) > awakeShare*float64(elapsed)
}

// nap blocks in a system call, unlike time.Sleep, which parks the goroutine.
func nap() {
	t := unix.NsecToTimespec(awakeNap.Nanoseconds())
	_ = unix.Nanosleep(&t, nil)
}

// processorTime is what the process has used, in user mode and in the kernel.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"
)

// progress counts long work and shows the count now and then, where a person may be looking.
type progress struct {
	w      io.Writer
	verb   string
	count  atomic.Int64
	bytes  atomic.Int64
	began  time.Time
	done   chan struct{}
	once   sync.Once
	closed sync.WaitGroup
}

// isTerminal tells whether a stream of the command is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// showProgress begins to show on w, unless it is no terminal or hidden; the counts work either way.
func showProgress(w io.Writer, verb string, hidden bool) *progress {
	p := &progress{w: w, verb: verb, began: time.Now(), done: make(chan struct{})}
	if hidden || !isTerminal(w) {
		return p
	}
	p.closed.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(p.w, "\r%s\x1b[K", p.line())
			case <-p.done:
				fmt.Fprint(p.w, "\r\x1b[K")
				return
			}
		}
	})
	return p
}

func (p *progress) add(bytes int) {
	p.count.Add(1)
	p.bytes.Add(int64(bytes))
}

// stop ends the display, once; the caller prints the last line where it wants one.
func (p *progress) stop() {
	p.once.Do(func() { close(p.done) })
	p.closed.Wait()
}

func (p *progress) line() string {
	took := time.Since(p.began)
	n := p.count.Load()
	noun := "records"
	if n == 1 {
		noun = "record"
	}
	line := fmt.Sprintf("%s %s %s in %.1f s", grouped(n), noun, p.verb, took.Seconds())
	if s := took.Seconds(); s >= 1 && float64(n) >= 10*s { // slower is waiting, not work
		line += fmt.Sprintf(" (%s/s, %.1f MB/s)", grouped(int64(float64(n)/s)), float64(p.bytes.Load())/1e6/s)
	}
	return line
}

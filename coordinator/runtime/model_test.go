package runtime

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"barnabas/coordinator/runtime/runtimetest"
	"barnabas/storage/clock"
)

// TestWhatWasAcknowledgedStays runs random schedules of writes, reads, watermarks, failures and changes of leader. Every value
// that was acknowledged, and every value that a read has shown, is there ever after, unless a later write replaced it.
func TestWhatWasAcknowledgedStays(t *testing.T) {
	actions := []string{"put", "put", "put", "get", "commit", "hold", "fail", "mend", "refuse", "change", "settle", "advance"}
	rapid.Check(t, func(rt *rapid.T) {
		schedule := rapid.SliceOfN(rapid.SampledFrom(actions), 10, 200).Draw(rt, "schedule")
		var problem error
		synctest.Test(t, func(*testing.T) { problem = play(schedule) })
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

func play(schedule []string) error {
	clk := clock.NewManual(time.UnixMilli(1700000000000))
	r := New(Options{Clock: clk, Logger: zap.NewNop(), New: newShelf})
	defer r.Close()
	log := runtimetest.NewLog()
	r.Lead(0, 0, log)
	type asked struct {
		*Promise[int]
		least int // what had been seen when it was asked
	}
	var open []asked
	n, epoch := 0, int32(0)
	seen := 0 // the highest value that somebody has been told of
	look := func() error {
		var left []asked
		for _, p := range open {
			select {
			case <-p.Done():
				v, err := p.Await(context.Background())
				if err == nil && v < p.least {
					return fmt.Errorf("an answer gave %d, but %d had been seen when it was asked", v, p.least)
				}
				if err == nil {
					seen = max(seen, v)
				}
			default:
				left = append(left, p)
			}
		}
		open = left
		return nil
	}
	value := func(s *shelf) int {
		v := 0
		fmt.Sscan(s.kept["k"], &v)
		return v
	}
	for _, a := range schedule {
		switch a {
		case "put":
			n++
			v := n
			open = append(open, asked{least: seen, Promise: Do(r, 0, func(s *shelf, p *Promise[int]) {
				if err := s.host.Write(Plain, Record{[]byte("k"), fmt.Append(nil, v)}); err != nil {
					p.Fail(err)
					return
				}
				p.Resolve(v)
			})})
		case "get":
			open = append(open, asked{least: seen, Promise: Read(r, 0, func(s *shelf, p *Promise[int]) { p.Resolve(value(s)) })})
		case "commit":
			log.Commit()
		case "hold":
			log.Hold()
		case "fail":
			log.Fail(kerr.KafkaStorageError)
		case "mend":
			log.Fail(nil)
			log.Refuse(nil)
		case "refuse":
			log.Refuse(kerr.NotEnoughReplicas)
		case "change": // the next leader has what was committed, and perhaps no more
			epoch++
			r.Resign(0, epoch)
			synctest.Wait()
			log.Truncate()
			log = log.Clone()
			r.Lead(0, epoch, log)
			synctest.Wait()
		case "settle":
			synctest.Wait()
		case "advance":
			clk.Advance(time.Second)
		}
		if err := look(); err != nil {
			return err
		}
	}
	log.Fail(nil)
	log.Refuse(nil)
	log.Commit()
	clk.Advance(10 * time.Second)
	synctest.Wait()
	if err := look(); err != nil {
		return err
	}
	last := Read(r, 0, func(s *shelf, p *Promise[int]) { p.Resolve(value(s)) })
	synctest.Wait()
	v, err := last.Await(context.Background())
	if err != nil {
		return fmt.Errorf("the shard does not serve at the end: %w", err)
	}
	if v < seen {
		return fmt.Errorf("the log has %d, but %d was acknowledged", v, seen)
	}
	return nil
}

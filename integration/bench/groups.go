package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// committed is how many offsets the broker reads back when it starts again, at least.
	committed = 2_000_000
	// commitPartitions is how many offsets there are in a request.
	commitPartitions = 10
	commitGroups     = 100
)

// groups measures commits, rebalances, and a start that has many commits to read.
func (b *bench) groups(ctx context.Context, s *side) error {
	fmt.Fprintf(os.Stderr, "%s: groups\n", s.kind)
	addr, pid := "-addr="+s.Addr, fmt.Sprint("-pid=", s.Pid())
	topic := []string{"-topic=commits", fmt.Sprint("-partitions=", commitPartitions), fmt.Sprint("-groups=", commitGroups)}
	for round := range b.rounds + 1 {
		m, err := b.run(ctx, append([]string{"commit", "-json", addr, pid, "-duration=5s"}, topic...)...)
		if err != nil {
			return err
		}
		if round > 0 {
			s.note("offsets committed, 1/s", m["commits 1/s"])
			s.note("broker CPU, us per offset committed", m["broker CPU us/commit"])
		}
	}
	for _, members := range []int{10, 100, 1000} {
		for range b.rounds {
			m, err := b.run(ctx, "rebalance", "-json", addr, pid, fmt.Sprint("-members=", members))
			if err != nil {
				return err
			}
			s.note(fmt.Sprintf("rebalance of %d members, p50 ms", members), m["rebalance p50 ms"])
		}
	}
	fill := append([]string{"commit", "-json", addr, "-duration=5m", fmt.Sprint("-count=", committed/commitPartitions)}, topic...)
	if _, err := b.run(ctx, fill...); err != nil {
		return err
	}
	for range b.rounds {
		if err := s.Stop(5 * time.Minute); err != nil {
			return err
		}
		began := time.Now()
		if err := s.Restart(ctx); err != nil {
			return err
		}
		if _, err := b.run(ctx, append([]string{"coordinate", "-json", addr}, topic...)...); err != nil {
			return err
		}
		s.note("restart until all groups are served, s", time.Since(began).Seconds())
	}
	return nil
}

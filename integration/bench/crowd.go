package main

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// crowded measures how long a client waits for its acknowledgements while a crowd keeps the broker busy that is far more than it can
// serve: 500 connections with 2,000 requests for metadata on the way, each. Everything runs on the processors of one machine, so that the
// load itself delays the client; with both brokers.
func (b *bench) crowded(ctx context.Context, s *side) error {
	for round := range b.rounds + 1 {
		fmt.Fprintf(os.Stderr, "round %d of %d: %s, a crowd\n", round, b.rounds, s.kind)
		over := make(chan error, 1)
		go func() {
			_, err := b.run(ctx, "crowd", "-json", "-addr", s.Addr, "-topic", "crowd", "-partitions", "10", "-conns", "500", "-inflight", "2000", "-duration", (3 * b.pace / 4).String())
			over <- err
		}()
		m, err := b.run(ctx, "beside", "-json", "-addr", s.Addr, "-topic", "beside", "-rate", "100", "-record", "1024", "-duration", (b.pace / 2).String())
		if err = errors.Join(err, <-over); err != nil {
			return err
		}
		if round > 0 {
			for _, q := range []string{"p50", "p99"} {
				s.note("produce in a crowd, "+q+" ms", m["produce "+q+" ms"])
			}
		}
	}
	return nil
}

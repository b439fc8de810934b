package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// poll prints until the count or the ends are reached, or nothing came for --idle, or for ever. Then an interrupt is a
// normal end. Where there are ends the cluster is waited for no longer than --timeout.
func (f *consumeFlags) poll(ctx context.Context, cl *client, w io.Writer, print printer, ends map[string]map[int32]int64, shown *progress) error {
	out := bufio.NewWriter(w)
	defer out.Flush()
	patience := f.idle
	if ends != nil {
		patience = cl.timeout
	}
	latest := time.Now()
	left := func() time.Duration { return patience - time.Since(f.quietSince(latest, cl.timeout)) }
	for {
		fetches, waited := cl.pollFor(ctx, min(left(), patience), patience > 0)
		if waited && ctx.Err() == nil && left() > 0 { // it joined while nothing came
			continue
		}
		switch {
		case ctx.Err() != nil && ends != nil:
			return ctx.Err()
		case ctx.Err() != nil, waited && ends == nil:
			return nil
		case waited:
			return fmt.Errorf("no answer from %s within %v, after %s records", strings.Join(cl.brokers, ", "), patience, grouped(shown.count.Load()))
		}
		if err := f.fetchError(cl, fetches); err != nil {
			return err
		}
		done := false
		for it := fetches.RecordIter(); !it.Done() && !done; {
			r := it.Next()
			if !r.Attrs.IsControl() && !past(ends, r) {
				print(out, r)
				shown.add(len(r.Key) + len(r.Value))
			}
			reached(ends, r.Topic, r.Partition, r.Offset+1)
			done = f.count > 0 && shown.count.Load() >= f.count
			if f.group != "" {
				cl.MarkCommitRecords(r)
			}
			latest = time.Now()
		}
		if err := out.Flush(); err != nil {
			return err
		}
		if f.group != "" {
			err := cl.CommitMarkedOffsets(ctx)
			if err != nil && ctx.Err() == nil && (done || !passes(err)) { // what is marked goes with the next commit
				return cl.groupError(err, f.group, "")
			}
		}
		if done || ends != nil && len(ends) == 0 {
			return nil
		}
	}
}

// assigned notes that the group gave out its partitions.
func (f *consumeFlags) assigned() {
	now := time.Now()
	f.joined.Store(&now)
}

// quietSince is when the time began in which nothing came, after the latest record. A group gathers its members for seconds before
// it gives out any partition: that is waited for, so long as an answer may take, and does not count.
func (f *consumeFlags) quietSince(latest time.Time, answer time.Duration) time.Time {
	if f.group == "" {
		return latest
	}
	joined := f.joined.Load()
	if joined == nil {
		return latest.Add(answer)
	}
	if joined.After(latest) {
		return *joined
	}
	return latest
}

// pollFor polls, at most for so long when it is bounded, and tells whether that time is over.
func (c *client) pollFor(ctx context.Context, most time.Duration, bounded bool) (fetches kgo.Fetches, waited bool) {
	if !bounded {
		return c.PollRecords(ctx, 0), false
	}
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	fetches = c.PollRecords(limited, 0)
	return fetches, fetches.NumRecords() == 0 && limited.Err() != nil
}

// past tells whether a record came after the ends were looked up.
func past(ends map[string]map[int32]int64, r *kgo.Record) bool {
	if ends == nil {
		return false
	}
	end, ok := ends[r.Topic][r.Partition]
	return !ok || r.Offset >= end
}

// reached forgets a partition whose end is at next or before.
func reached(ends map[string]map[int32]int64, topic string, partition int32, next int64) {
	if end, ok := ends[topic][partition]; ok && next >= end {
		if delete(ends[topic], partition); len(ends[topic]) == 0 {
			delete(ends, topic)
		}
	}
}

// fetchError gives the first error that will not pass by itself.
func (f *consumeFlags) fetchError(cl *client, fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		var session *kgo.ErrGroupSession
		switch {
		case passes(e.Err):
		case errors.As(e.Err, &session):
			return cl.groupError(session.Err, f.group, "")
		default:
			return cl.explain(e.Err, fmt.Sprintf("topic %q partition %d", e.Topic, e.Partition), "")
		}
	}
	return nil
}

// passes tells whether the client gets over an error by itself: one that brokers call retriable, or a lost connection.
func passes(err error) bool {
	var refused *kerr.Error
	var lost *kgo.ErrDataLoss
	var session *kgo.ErrGroupSession
	var network net.Error
	switch {
	case errors.As(err, &refused):
		return refused.Retriable
	case errors.As(err, &lost), errors.As(err, &session): // a group session that no broker has ended is begun anew
		return true
	}
	return errors.As(err, &network) || errors.Is(err, io.EOF)
}

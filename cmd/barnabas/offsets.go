package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func newOffsets() *cobra.Command {
	conn := &connection{}
	var at string
	cmd := &cobra.Command{
		Use:   "offsets [TOPIC...]",
		Short: "Show the offsets of topics' partitions, or those of a time",
		Long: `Show the first offset, the end and the number of offsets between them for each partition, of all topics when none is
named.
With --at show one offset: earliest, latest, max-timestamp (of the newest record by time), or the first at or after a
time as 2025-01-31T12:00:00Z, @ and milliseconds, or 90m-ago.`,
		Example:           "  barnabas offsets orders\n  barnabas offsets orders --at 2025-01-31T12:00:00Z\n  barnabas offsets orders --at 1h-ago",
		ValidArgsFunction: conn.completeTopics,
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, topics []string) error {
			details, err := cl.existing(ctx, topics...)
			if err != nil {
				return err
			}
			details.FilterInternal()
			if len(topics) == 0 {
				topics = details.Names()
			}
			if at == "" {
				return printRanges(ctx, cmd, cl, topics)
			}
			return printOffsets(ctx, cmd, cl, topics, at)
		}),
	}
	conn.addTo(cmd)
	cmd.Flags().StringVar(&at, "at", "", "earliest, latest, max-timestamp, or a time")
	completeWords(cmd, "at", "earliest", "latest", "max-timestamp")
	return cmd
}

// ranges lists the first offsets of topics' partitions and, with list, their ends.
func (c *client) ranges(ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error), topics []string) (starts, ends kadm.ListedOffsets, err error) {
	if starts, err = eachPartition(c.adm.ListStartOffsets(ctx, topics...)); err == nil {
		ends, err = eachPartition(list(ctx, topics...))
	}
	return starts, ends, c.explain(err, "offsets", "")
}

// eachPartition lets an error that some partitions have, such as to be without a leader, be theirs, and not that of the others.
func eachPartition(listed kadm.ListedOffsets, err error) (kadm.ListedOffsets, error) {
	var some *kadm.ShardErrors
	if !errors.As(err, &some) {
		return listed, err
	}
	for _, e := range some.Errs {
		req, ok := e.Req.(*kmsg.ListOffsetsRequest)
		var refused *kerr.Error
		if !ok || !errors.As(e.Err, &refused) {
			return listed, err
		}
		for _, t := range req.Topics {
			if listed[t.Topic] == nil {
				listed[t.Topic] = map[int32]kadm.ListedOffset{}
			}
			for _, p := range t.Partitions {
				listed[t.Topic][p.Partition] = kadm.ListedOffset{Topic: t.Topic, Partition: p.Partition, Offset: -1, Timestamp: -1, Err: e.Err}
			}
		}
	}
	return listed, nil
}

func printRanges(ctx context.Context, cmd *cobra.Command, cl *client, topics []string) error {
	starts, ends, err := cl.ranges(ctx, cl.adm.ListEndOffsets, topics)
	if err != nil {
		return err
	}
	var rows [][]string
	var failed error // the first: what there is is printed all the same
	for _, end := range sortedOffsets(ends) {
		start, _ := starts.Lookup(end.Topic, end.Partition)
		if err := cmp.Or(start.Err, end.Err); err != nil {
			failed = cmp.Or(failed, cl.explain(err, fmt.Sprintf("topic %q partition %d", end.Topic, end.Partition), ""))
			continue
		}
		rows = append(rows, []string{end.Topic, fmt.Sprint(end.Partition), fmt.Sprint(start.Offset), fmt.Sprint(end.Offset), fmt.Sprint(end.Offset - start.Offset)})
	}
	return cmp.Or(failed, table(cmd.OutOrStdout(), "TOPIC PARTITION START END COUNT", rows))
}

func printOffsets(ctx context.Context, cmd *cobra.Command, cl *client, topics []string, at string) error {
	var listed kadm.ListedOffsets
	var err error
	switch at {
	case "earliest":
		listed, err = cl.adm.ListStartOffsets(ctx, topics...)
	case "latest":
		listed, err = cl.adm.ListEndOffsets(ctx, topics...)
	case "max-timestamp":
		listed, err = cl.adm.ListMaxTimestampOffsets(ctx, topics...)
	default:
		if _, perr := strconv.ParseUint(at, 10, 64); perr == nil {
			at = "@" + at // a plain number is no offset here
		}
		when, perr := parseTime(at, time.Now())
		if perr != nil {
			return fmt.Errorf("--at: %w", perr)
		}
		listed, err = cl.adm.ListOffsetsAfterMilli(ctx, when.UnixMilli(), topics...)
	}
	if listed, err = eachPartition(listed, err); err != nil {
		return cl.explain(err, "offsets", "")
	}
	var rows [][]string
	var failed error
	for _, o := range sortedOffsets(listed) {
		if o.Err != nil {
			failed = cmp.Or(failed, cl.explain(o.Err, fmt.Sprintf("topic %q partition %d", o.Topic, o.Partition), ""))
			continue
		}
		rows = append(rows, []string{o.Topic, fmt.Sprint(o.Partition), fmt.Sprint(o.Offset), shownTime(o.Timestamp)})
	}
	return cmp.Or(failed, table(cmd.OutOrStdout(), "TOPIC PARTITION OFFSET TIME", rows))
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
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
	if starts, err = c.adm.ListStartOffsets(ctx, topics...); err == nil {
		ends, err = list(ctx, topics...)
	}
	return starts, ends, c.explain(err, "offsets", "")
}

func printRanges(ctx context.Context, cmd *cobra.Command, cl *client, topics []string) error {
	starts, ends, err := cl.ranges(ctx, cl.adm.ListEndOffsets, topics)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, end := range sortedOffsets(ends) {
		start, _ := starts.Lookup(end.Topic, end.Partition)
		for _, o := range []kadm.ListedOffset{start, end} {
			if o.Err != nil {
				return cl.explain(o.Err, fmt.Sprintf("topic %q partition %d", end.Topic, end.Partition), "")
			}
		}
		rows = append(rows, []string{end.Topic, fmt.Sprint(end.Partition), fmt.Sprint(start.Offset), fmt.Sprint(end.Offset), fmt.Sprint(end.Offset - start.Offset)})
	}
	return table(cmd.OutOrStdout(), "TOPIC PARTITION START END COUNT", rows)
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
	if err != nil {
		return cl.explain(err, "offsets", "")
	}
	var rows [][]string
	for _, o := range sortedOffsets(listed) {
		if o.Err != nil {
			return cl.explain(o.Err, fmt.Sprintf("topic %q partition %d", o.Topic, o.Partition), "")
		}
		rows = append(rows, []string{o.Topic, fmt.Sprint(o.Partition), fmt.Sprint(o.Offset), shownTime(o.Timestamp)})
	}
	return table(cmd.OutOrStdout(), "TOPIC PARTITION OFFSET TIME", rows)
}

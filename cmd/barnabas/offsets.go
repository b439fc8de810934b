package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func newOffsets() *cobra.Command {
	conn := &connection{}
	var at string
	cmd := &cobra.Command{
		Use:   "offsets TOPIC...",
		Short: "Show the offsets of topics' partitions, or those of a time",
		Long: `Show the first offset, the end and the number of offsets between them for each partition.
With --at show one offset: earliest, latest, max-timestamp (of the newest record by time), or the first at or after a
time as 2025-01-31T12:00:00Z, @ and milliseconds, or 90m-ago.`,
		Example: "  barnabas offsets orders\n  barnabas offsets orders --at 2025-01-31T12:00:00Z\n  barnabas offsets orders --at 1h-ago",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, topics []string) error {
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			if _, err := cl.existing(cmd.Context(), topics...); err != nil {
				return err
			}
			if at == "" {
				return printRanges(cmd, cl, topics)
			}
			return printOffsets(cmd, cl, topics, at)
		},
	}
	conn.addTo(cmd)
	cmd.Flags().StringVar(&at, "at", "", "earliest, latest, max-timestamp, or a time")
	return cmd
}

func printRanges(cmd *cobra.Command, cl *client, topics []string) error {
	ctx, cancel := cl.limit(cmd.Context())
	defer cancel()
	starts, err := cl.adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return cl.explain(err, "offsets", "")
	}
	ends, err := cl.adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return cl.explain(err, "offsets", "")
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

func printOffsets(cmd *cobra.Command, cl *client, topics []string, at string) error {
	ctx, cancel := cl.limit(cmd.Context())
	defer cancel()
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
